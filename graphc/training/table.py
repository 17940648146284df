"""A CSV file as columns of texts that know their places, so that errors can point at a cell."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.source import Source, Span


@dataclass(frozen=True)
class Table:
    """Columns of texts.

    Attributes
    ----------
    source : Source
        The text of the file.
    columns : mapping of str to sequence of str
        By the names in the first line.
    lines : sequence of int
        Of each row, its line in the file.
    """

    source: Source
    columns: Mapping[str, Sequence[str]]
    lines: Sequence[int]

    def span(self, row: int, column: str) -> Span:
        """The place of a cell; its whole line where quotes make columns hard to count."""
        line = self.lines[row]
        before = [cells[row] for cells in self._before(column)]
        start = sum(len(cell) + 1 for cell in before)
        cell = self.columns[column][row]
        if '"' in self.source.line(line):
            return Span(self.source, line, 1, line, len(self.source.line(line)) + 1)
        return Span(self.source, line, start + 1, line, start + 1 + max(len(cell), 1))

    @property
    def header(self) -> Span:
        """The line of the names."""
        return Span(self.source, 1, 1, 1, len(self.source.line(1)) + 1)

    def _before(self, column: str) -> list[Sequence[str]]:
        names = list(self.columns)
        return [self.columns[name] for name in names[: names.index(column)]]


def read_csv(path: str | os.PathLike[str]) -> Table:
    """Read a file of comma-separated values whose first line names the columns; empty lines are left out.

    Raises
    ------
    GraphcError
        GC513 when there is no such file, or it is no table with at least one row.
    """
    source = Source(Path(path).name, _text(Path(path)))
    rows: list[list[str]] = []
    lines: list[int] = []
    reader = csv.reader(io.StringIO(source.text), strict=True)
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as fault:
        raise refusal(f"expected comma-separated values, found otherwise: {fault}", source, reader.line_num) from None
    if not rows:
        raise refusal("expected a line with the names of columns, found an empty file", source, 1)
    names = [name.strip() for name in rows[0]]
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        raise refusal(f"expected columns with names of their own, found {twice[0] or 'no name'} twice", source, 1)
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(names):
            raise refusal(f"expected {len(names)} values as the first line has, found {len(row)}", source, line)
    if len(rows) == 1:
        raise refusal("expected rows below the names of the columns, found none", source, 1)
    columns = dict(zip(names, map(list, zip(*rows[1:], strict=True)), strict=True))
    return Table(source, columns, lines[1:])


def refusal(message: str, source: Source, line: int) -> GraphcError:
    """An error about a line of a file."""
    return GraphcError(Diagnostic("GC513", message, Span(source, line, 1, line, len(source.line(line)) + 1)))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as fault:
        reason = (fault.strerror or str(fault)).lower()
        raise GraphcError(Diagnostic("GC513", f"expected a file of data at {path}, found none: {reason}")) from None
    except UnicodeDecodeError as fault:
        found = f"byte 0x{fault.object[fault.start]:02x} at {fault.start}"
        raise GraphcError(Diagnostic("GC513", f"expected UTF-8 text in {path}, found {found}")) from None
