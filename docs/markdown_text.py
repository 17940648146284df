"""Pieces of Markdown."""

from __future__ import annotations

from collections.abc import Sequence

NOTE = "<!-- Written by docs/generate.py. -->\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; bars in its cells are escaped."""
    escaped = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, ["---"] * len(head), *escaped))


def code(text: str) -> str:
    """Text as code; nothing stays nothing."""
    return f"`{text}`" if text else ""


def fenced(language: str, text: str) -> str:
    """A block of code."""
    return f"```{language}\n{text}```\n"
