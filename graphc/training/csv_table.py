"""A CSV file as a table: rows are read when they are needed, and again for an error that shows one of them."""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TextIO

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.source import Source, Span
from graphc.training.table import CELLS

_LONGEST = 2**24
"""A first line of more characters is not one of names; whatever it is, it does not get into memory."""

_OTHER_SEPARATORS = ";\t|"
"""What stands between values in files that other programs call CSV."""


@dataclass(frozen=True)
class CsvTable:
    """A table in a file of comma-separated values.

    Attributes
    ----------
    name : str
        What errors call it.
    file : file of bytes
    columns : sequence of str
        The names in its first line that is not empty.
    """

    name: str
    file: IO[bytes]
    columns: Sequence[str]

    def chunks(self, columns: Sequence[str]) -> Iterator[Sequence[Sequence[str]]]:
        """See `Table.chunks`; empty lines are no rows."""
        place_of = {column: place for place, column in enumerate(self.columns)}
        places = [place_of[column] for column in columns]
        width, start = len(self.columns), 0
        rows = _rows(self.name, self.file)
        next(rows)
        while chunk := list(islice(rows, max(1, CELLS // width))):
            if set(map(len, chunk)) != {width}:
                self._refuse_ragged(chunk, start)
            cells = list(zip(*chunk, strict=True))
            yield [cells[place] for place in places]
            start += len(chunk)
        if not start:
            raise _refusal("expected rows below the names of the columns, found none", self._row(-1))

    def lacking(self, message: str) -> GraphcError:
        """An error about the first line."""
        return GraphcError(Diagnostic("GC511", message, _first_line(self._row(-1)), hint=self._separator_hint()))

    def unfit(self, message: str, row: int, column: str) -> GraphcError:
        """An error about a cell; its whole line where quotes make columns hard to count."""
        source = self._row(row)
        span, text = _first_line(source), source.line(source.first)
        if '"' not in text:
            cells, place = text.split(","), self.columns.index(column)
            start = sum(len(cell) + 1 for cell in cells[:place]) + 1
            span = Span(source, span.line, start, span.line, start + max(len(cells[place]), 1))
        return GraphcError(Diagnostic("GC512", message, span, hint=self._separator_hint()))

    def _refuse_ragged(self, chunk: Sequence[Sequence[str]], start: int) -> None:
        width = len(self.columns)
        row, found = next((row, len(cells)) for row, cells in enumerate(chunk) if len(cells) != width)
        message = f"expected {width} values as the first line has, found {found}"
        raise _refusal(message, self._row(start + row), self._separator_hint())

    def _separator_hint(self) -> str:
        """What to say where the first line is one name for graphc and several for whoever wrote it."""
        (name, *others) = self.columns
        found = next((separator for separator in _OTHER_SEPARATORS if separator in name), "")
        return f"the separator of {self.name} seems to be {found!r}, expected ','" if found and not others else ""

    def _row(self, row: int) -> Source:
        """The lines of a row; -1 is that of the names."""
        seen: list[str] = []
        with _opened_text(self.file) as lines:
            reader = csv.reader(_remembered(lines, seen), strict=True)
            count = -1
            for cells in reader:
                if cells and count == row:
                    return Source(self.name, "".join(seen).rstrip("\r\n"), reader.line_num - len(seen) + 1)
                count += bool(cells)
                seen.clear()
        raise AssertionError(f"no row {row}")


@contextmanager
def csv_table(path: str | os.PathLike[str]) -> Iterator[CsvTable]:
    """Open a file of comma-separated values, whose first line names the columns.

    Raises
    ------
    GraphcError
        GC513 when there is no such file, or its first line does not name columns.
    """
    name = Path(path).name
    with _opened(Path(path)) as file:
        with _opened_text(file) as lines:
            try:
                too_long = len(lines.readline(_LONGEST)) == _LONGEST
            except UnicodeDecodeError:
                raise _undecodable(name, file) from None
        if too_long:
            message = (
                f"expected a line with the names of columns in {name}, found one of more than {_LONGEST} characters"
            )
            raise GraphcError(Diagnostic("GC513", message))
        header = next(_rows(name, file), None)
        if header is None:
            message = "expected a line with the names of columns, found an empty file"
            raise _refusal(message, Source(name, ""))
        table = CsvTable(name, file, [column.strip() for column in header])
        if twice := [column for column, count in Counter(table.columns).items() if count > 1]:
            message = f"expected columns with names of their own, found {twice[0] or 'no name'} twice"
            raise _refusal(message, table._row(-1))
        yield table


def _opened(path: Path) -> IO[bytes]:
    try:
        file = path.open("rb", buffering=0)
    except OSError as fault:
        reason = (fault.strerror or str(fault)).lower()
        raise GraphcError(Diagnostic("GC513", f"expected a file of data at {path}, found none: {reason}")) from None
    if path.is_file():
        return file
    # What comes through a pipe is there only once.
    with file:
        copy = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 the caller closes it
        shutil.copyfileobj(file, copy)
        return copy


def _opened_text(file: IO[bytes], errors: str = "strict") -> TextIO:
    """The text of a file from its start; closing it leaves the file open."""
    file.seek(0)
    return open(file.fileno(), encoding="utf-8-sig", errors=errors, newline="", closefd=False)


def _rows(name: str, file: IO[bytes]) -> Iterator[list[str]]:
    """The rows that are not empty, that with the names first."""
    with _opened_text(file) as lines:
        reader = csv.reader(lines, strict=True)
        try:
            yield from filter(None, reader)
        except csv.Error as fault:
            message = f"expected comma-separated values, found otherwise: {fault}"
            raise _refusal(message, _line(name, file, reader.line_num)) from None
        except UnicodeDecodeError:
            raise _undecodable(name, file) from None


def _remembered(lines: Iterable[str], seen: list[str]) -> Iterator[str]:
    for line in lines:
        seen.append(line)
        yield line


def _line(name: str, file: IO[bytes], number: int) -> Source:
    with _opened_text(file, "replace") as lines:
        text = next(islice(lines, number - 1, None), "")
    return Source(name, text.rstrip("\r\n"), number)


def _undecodable(name: str, file: IO[bytes]) -> GraphcError:
    """The error for the first line that is no UTF-8."""
    file.seek(0)
    with open(file.fileno(), "rb", closefd=False) as lines:
        for number, line in enumerate(lines, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as fault:
                message = f"expected UTF-8 text, found the byte 0x{line[fault.start]:02x}"
                return _refusal(message, _line(name, file, number))
    raise AssertionError("all lines are UTF-8")


def _refusal(message: str, source: Source, hint: str = "") -> GraphcError:
    """An error about a line of a file."""
    return GraphcError(Diagnostic("GC513", message, _first_line(source), hint=hint))


def _first_line(source: Source) -> Span:
    return Span(source, source.first, 1, source.first, len(source.line(source.first)) + 1)
