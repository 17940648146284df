"""A Parquet file as a table, read by pyarrow some rows at a time."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.training.table import CELLS, Cells

GET_PYARROW = 'pip install "pyarrow>=17"'
"""The one command that brings what reads Parquet."""


@dataclass(frozen=True)
class ParquetTable:
    """A table in a Parquet file.

    Attributes
    ----------
    name : str
        What errors call it.
    file : pyarrow.parquet.ParquetFile
    columns : sequence of str
    """

    name: str
    file: Any
    columns: Sequence[str]

    def chunks(self, columns: Sequence[str]) -> Iterator[Sequence[Cells]]:
        """See `Table.chunks`."""
        self._check_types(columns)
        if not self.file.metadata.num_rows:
            raise _refusal(f"expected rows in {self.name}, found none")
        rows = max(1, CELLS // len(columns))
        with _refused(self.name):
            for batch in self.file.iter_batches(rows, columns=list(dict.fromkeys(columns)), use_threads=False):
                if batch.num_rows:
                    yield [_cells(batch.column(column)) for column in columns]

    def lacking(self, message: str) -> GraphcError:
        """An error about the columns."""
        return GraphcError(Diagnostic("GC511", f"{message} in {self.name}"))

    def unfit(self, message: str, row: int, column: str) -> GraphcError:
        """An error about a cell; rows count from 1 in its message."""
        return GraphcError(Diagnostic("GC512", f"{message} in row {row + 1} of {self.name}"))

    def _check_types(self, columns: Sequence[str]) -> None:
        from pyarrow import types

        schema = self.file.schema_arrow
        known = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null, _is_text)
        for column in columns:
            type = schema.field(column).type
            if not any(is_known(type) for is_known in known):
                message = f"expected numbers or texts in the column {column} of {self.name}, found {type}"
                raise GraphcError(Diagnostic("GC512", message))


@contextmanager
def parquet_table(path: str | os.PathLike[str]) -> Iterator[ParquetTable]:
    """Open a Parquet file.

    Raises
    ------
    GraphcError
        GC418 when pyarrow is not installed, GC513 when there is no such file, or it is none of this format.
    """
    parquet = _parquet()
    name = Path(path).name
    with _refused(path):
        # The pages of a column come one after the other, not all of a group of rows at once.
        file = parquet.ParquetFile(path, buffer_size=2**16, pre_buffer=False)
    with file:
        columns = file.schema_arrow.names
        if twice := [column for column, count in Counter(columns).items() if count > 1]:
            raise _refusal(f"expected columns with names of their own in {name}, found {twice[0]} twice")
        yield ParquetTable(name, file, columns)


def _parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        message = "Parquet files are read by pyarrow, expected it to be installed, found none"
        raise GraphcError(Diagnostic("GC418", message, hint=f"`{GET_PYARROW}`")) from None
    return parquet


@contextmanager
def _refused(path: str | os.PathLike[str]) -> Iterator[None]:
    """What pyarrow says of a file, as an error about it."""
    from pyarrow import ArrowException

    try:
        yield
    except MemoryError:
        raise
    except FileNotFoundError:
        raise _refusal(f"expected a file of data at {path}, found none: no such file or directory") from None
    except (ArrowException, OSError) as fault:
        reason = str(fault).split("\n")[0].lower()
        raise _refusal(f"expected a Parquet file at {path}, found otherwise: {reason}") from None


def _cells(column: Any) -> Cells:
    """Numbers as an array, all else as texts; what is null is an empty text."""
    from pyarrow import types

    if column.null_count or _is_text(column.type) or types.is_null(column.type):
        return ["" if value is None else str(value) for value in column.to_pylist()]
    if types.is_decimal(column.type):
        column = column.cast("float64")
    cells: Cells = column.to_numpy(zero_copy_only=False)
    return cells


def _is_text(type: Any) -> bool:
    from pyarrow import types

    held = type.value_type if types.is_dictionary(type) else type
    return bool(types.is_string(held) or types.is_large_string(held) or types.is_string_view(held))


def _refusal(message: str) -> GraphcError:
    return GraphcError(Diagnostic("GC513", message))
