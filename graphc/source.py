"""Model text and places in it: every node, error and comment points back through a `Span`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple


@dataclass(frozen=True, eq=False)
class Source:
    """A named piece of model text.

    Attributes
    ----------
    name : str
        What errors and comments call it: a file name without folders, or ``<model>``.
    text : str
        The whole text, or some lines of what is too long to be held.
    first : int
        The number of its first line.
    """

    name: str
    text: str
    first: int = 1

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines of the text, without line ends."""
        return tuple(self.text.split("\n"))

    def line(self, number: int) -> str:
        """The line with this 1-based number; empty when there is none."""
        place = number - self.first
        return self.lines[place] if 0 <= place < len(self.lines) else ""


class Span(NamedTuple):
    """A stretch of a source. Lines and columns count from 1, in characters; the end is exclusive.

    Examples
    --------
    >>> str(Span(Source("mlp.gc", "h = X @ W"), 1, 5, 1, 10))
    'mlp.gc:1:5'
    """

    source: Source
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"

    @property
    def text(self) -> str:
        """The first line of what the span covers."""
        line = self.source.line(self.line)
        end = self.end_column - 1 if self.end_line == self.line else len(line)
        return line[self.column - 1 : end]
