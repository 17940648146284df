"""What a table of any format gives: the names of its columns, cells chunk by chunk, and errors about places in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

from graphc.errors import GraphcError

CELLS = 2**13
"""About so many cells are in memory at a time. With more of them reading is slower: processors' caches are small."""

Cells: TypeAlias = "Sequence[str] | NDArray[Any]"
"""Some cells of a column: texts, or numbers where a format has these."""


class Table(Protocol):
    """A table that is read from its start as often as needed."""

    @property
    def columns(self) -> Sequence[str]:
        """The names of the columns, each of which is there once."""

    def chunks(self, columns: Sequence[str]) -> Iterator[Sequence[Cells]]:
        """For some rows after the other, the cells of these columns, of which there is at least one.

        Raises
        ------
        GraphcError
            GC513 where the file turns out to be no table.
        """

    def lacking(self, message: str) -> GraphcError:
        """An error about the columns, GC511."""

    def unfit(self, message: str, row: int, column: str) -> GraphcError:
        """An error about a cell, GC512; rows count from 0."""
