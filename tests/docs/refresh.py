"""Writes into pages what their blocks print today: ``python -m tests.docs.refresh README.md docs/tutorial.md``.

What is elided by ``...`` is left alone when it still fits, and reported when it does not.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

from tests.docs.blocks import Page, blocks, close_figures, same

RUN = ("python", "gc", "console")


def refreshed(markdown: str, name: str) -> str:
    """A page with the outputs of its blocks as they are; it runs in the working directory."""
    page = Page(name)
    edits = []
    for block in blocks(markdown):
        if block.language not in RUN:
            continue
        found, expected = page.printed(block), page.expected(block)
        if expected is None or same(expected, found):
            continue
        shown = block if block.language == "console" else block.output
        if shown is None or "..." in expected:
            print(f"{name}:{block.line} prints\n{found}", file=sys.stderr)
        else:
            edits.append((shown, found))
    for shown, found in reversed(edits):
        markdown = markdown[: shown.start] + found + markdown[shown.start + len(shown.text) :]
    return markdown


def main() -> None:
    """Refresh the pages that the command line names."""
    for path in [Path(argument).resolve() for argument in sys.argv[1:]]:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            sys.path.insert(0, folder)
            path.write_text(refreshed(path.read_text(encoding="utf-8"), path.name), encoding="utf-8")
            sys.path.remove(folder)
            close_figures()


if __name__ == "__main__":
    main()
