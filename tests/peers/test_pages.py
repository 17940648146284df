"""What the documentation shows of other packages is right: their blocks run, after the one that has the data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import Page, blocks

PAGE = Path(__file__).parents[2] / "docs" / "coming_from.md"


@pytest.fixture
def jax_as_before() -> Iterator[None]:
    """JAX in the precision that it had: the page turns on float64 for good."""
    jax = pytest.importorskip("jax", reason="needs JAX: pip install jax")
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("package", ["autograd", "jax", "torch"])
def test_blocks_of_other_packages_print_what_the_page_says(package: str, request: pytest.FixtureRequest) -> None:
    pytest.importorskip(package, reason=f"needs {package}: pip install {package}")
    if package == "jax":
        request.getfixturevalue("jax_as_before")
    found = blocks(PAGE.read_text(encoding="utf-8"))
    data, *others = (block for block in found if block.language in ("python", f"python {package}"))
    page = Page(PAGE.name)
    page.check(data)
    own = [block for block in others if block.language != "python"]
    assert own
    for block in own:
        page.check(block)
