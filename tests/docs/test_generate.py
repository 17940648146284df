"""The generated pages and pictures are those that the code of today gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from docs.generate import generated_texts
from docs.pictures import commands

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def texts() -> Mapping[str, str]:
    return generated_texts()


def test_committed_texts_are_up_to_date(texts: Mapping[str, str]) -> None:
    stale = [path for path, text in texts.items() if (DOCS / path).read_text(encoding="utf-8") != text]
    assert stale == [], "run python -m docs.generate"


def test_every_picture_is_drawn_from_its_dot_text(texts: Mapping[str, str]) -> None:
    drawn = sorted(path.with_suffix(".dot").name for path in (DOCS / "figures").glob("*.svg"))
    assert drawn == sorted(Path(path).name for path in texts if path.endswith(".dot"))
    for name in drawn:
        dot, svg = ((DOCS / "figures" / name).with_suffix(end).read_text(encoding="utf-8") for end in (".dot", ".svg"))
        assert set(re.findall(r"\bid=(n\d+)", dot)) == set(re.findall(r'<g id="(n\d+)"', svg)), name


def test_a_picture_is_drawn_by_the_command_on_its_page() -> None:
    shown = "![A product](figures/product.svg)\n"
    assert commands(f"$ graphc draw -e 'x * y' -o product.svg\n{shown}") == {"product": ["draw", "-e", "x * y", "-o"]}
    with pytest.raises(KeyError, match="product"):
        commands(f"$ graphc draw -e 'x * y' -o other.svg\n{shown}")


def test_every_plot_is_saved_by_the_code_of_its_page_and_shown_there() -> None:
    page = (DOCS / "plots.md").read_text(encoding="utf-8")
    saved = re.findall(r'savefig\("(\w+\.svg)"\)\n', page)
    assert saved == re.findall(r"\(figures/plots/(\w+\.svg)\)", page)
    assert sorted(saved) == sorted(path.name for path in (DOCS / "figures" / "plots").iterdir())
