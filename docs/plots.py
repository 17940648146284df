"""The plots that pages show: the pages in, the files that their code saves out."""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
from pathlib import Path

from docs.pages import PAGES, SHOWN_PLOT
from tests.docs.blocks import Page, blocks, close_figures

_METADATA = re.compile(r" *<metadata>.*?</metadata>\n", re.DOTALL)
_SETTINGS = {"svg.hashsalt": "graphc", "savefig.pad_inches": 0.1, "font.size": 11}


def plot_pictures() -> dict[str, str]:
    """The SVG texts by file name; the same each time for one version of Matplotlib and one machine."""
    import matplotlib as mpl

    mpl.use("agg")
    found: dict[str, str] = {}
    with mpl.rc_context(_SETTINGS):
        for path in PAGES:
            page = path.read_text(encoding="utf-8")
            if names := SHOWN_PLOT.findall(page):
                found |= _saved(path.name, page, names)
    return found


def _saved(name: str, page: str, plots: list[str]) -> dict[str, str]:
    """The plots that the code of a page saves; it runs in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        sys.path.insert(0, folder)
        run = Page(name)
        for block in blocks(page):
            if block.language in ("gc", "console", "python"):
                run.printed(block)
        sys.path.remove(folder)
        close_figures()
        # The metadata has the date.
        return {plot: _METADATA.sub("", Path(plot).read_text(encoding="utf-8")) for plot in plots}
