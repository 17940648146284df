"""The generated pages and pictures are those that the code of today gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from docs.generate import generated_texts
from docs.pages import DOCS, PAGES, SAVED_PLOT, SHOWN_PLOT
from docs.pictures import commands


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
    shown: list[str] = []
    for page in (path.read_text(encoding="utf-8") for path in PAGES):
        plots = SHOWN_PLOT.findall(page)
        assert plots == [name for name in SAVED_PLOT.findall(page) if name in plots]
        shown += plots
    assert sorted(shown) == sorted(path.name for path in (DOCS / "figures" / "plots").iterdir())
