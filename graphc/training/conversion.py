"""A table as the arrays that a model takes: every cell is checked, and its number goes to a temporary file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.graph import Node
from graphc.training.cells import CellError, NoIntegerError, floats, integers, is_number, labels
from graphc.training.columns import columns_of
from graphc.training.table import CELLS, Cells, Table

Array = NDArray[Any]
Labels = Mapping[str, Sequence[str]]
"""For inputs that are labels, the texts that stand for 0, 1, 2 …"""


@dataclass(frozen=True)
class Converted:
    """Arrays made of a table.

    Attributes
    ----------
    arrays : mapping of str to array
        By input; mapped from files that have no name, and are gone with them.
    columns : mapping of str to sequence of str
        The columns of each.
    labels : Labels
    """

    arrays: Mapping[str, Array]
    columns: Mapping[str, Sequence[str]]
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True)
class _Wanted:
    """An input, what its integers stay below, and where it has texts, the integers that these stand for."""

    name: str
    columns: Sequence[str]
    dtype: str
    sizes: tuple[int, ...]
    limit: int | None
    codes: dict[str, int] | None
    known: bool

    def numbers(self, cells: Cells) -> Array:
        if np.dtype(self.dtype).kind == "f":
            return floats(cells, self.dtype)
        if self.codes is not None:
            return labels(cells, self.codes, self.limit, self.known)
        if self.limit is not None:
            return integers(cells, 0, self.limit - 1)
        bounds = np.iinfo(self.dtype)
        return integers(cells, int(bounds.min), int(bounds.max))


def converted(
    table: Table,
    inputs: Sequence[Node],
    chosen: Mapping[str, Sequence[str]],
    known: Labels,
    limits: Mapping[str, int],
) -> Converted:
    """The arrays for inputs that have an entry for each row.

    Parameters
    ----------
    table : Table
    inputs : sequence of Node
    chosen : mapping of str to sequence of str
        See `columns_of`.
    known : Labels
        Texts that are known already; others are sorted.
    limits : mapping of str to int
        What labels and indices stay below.

    Raises
    ------
    GraphcError
        GC511 for columns that are missing, GC512 for a value that does not fit, each with its place; GC513 for what
        is no table or finds no room.
    """
    columns = columns_of(table, inputs, chosen)
    if not inputs:
        return Converted({}, {})
    texts: dict[str, CellError] = {}
    while True:
        wanted = [_wanted(table, node, columns, known, limits, texts) for node in inputs]
        try:
            arrays = _arrays(table, wanted)
            break
        except NoIntegerError as fault:
            # Where one cell is a text all of them are, from the first row on.
            texts[fault.input] = fault
        except CellError as fault:
            raise _error(table, _first_fault(wanted, texts).get(fault.input, fault)) from None
    for unfit in _first_fault(wanted, texts).values():
        raise _error(table, unfit)
    found = {item.name: sorted(item.codes) if not item.known else known[item.name] for item in wanted if item.codes}
    return Converted(arrays, columns, {**known, **found})


def _wanted(
    table: Table,
    node: Node,
    columns: Mapping[str, Sequence[str]],
    known: Labels,
    limits: Mapping[str, int],
    texts: Mapping[str, CellError],
) -> _Wanted:
    name, dtype = str(node.attrs["name"]), str(node.tensor.dtype)
    limit = 2 if dtype == "bool" else limits.get(name)
    labelled = known.get(name, ()) if not node.tensor.is_float else ()
    if limit is not None and len(labelled) > limit:
        raise table.lacking(f"expected at most {limit} labels for {name}, found {len(labelled)}")
    sizes = tuple(size if isinstance(size, int) else -1 for size in node.tensor.shape[1:])
    if sizes.count(-1) > 1 or (-1 in sizes and len(columns[name]) % -prod(sizes)):
        shown = ", ".join(map(str, node.tensor.shape))
        raise table.lacking(f"expected columns that fill the shape ({shown}) of {name}, found {len(columns[name])}")
    codes = {text: place for place, text in enumerate(labelled)} if labelled or name in texts else None
    return _Wanted(name, columns[name], dtype, sizes, limit, codes, bool(labelled))


def _first_fault(wanted: Sequence[_Wanted], texts: Mapping[str, CellError]) -> dict[str, CellError]:
    """Of inputs whose texts are all numbers, such as 1.5, the first that is no integer: these are no labels."""
    return {
        item.name: texts[item.name] for item in wanted if item.name in texts and all(map(is_number, item.codes or ()))
    }


def _error(table: Table, fault: CellError) -> GraphcError:
    message = f"expected {fault.wanted} in the column {fault.column}, found {fault.found}"
    return table.unfit(message, fault.row, fault.column)


def _arrays(table: Table, wanted: Sequence[_Wanted]) -> dict[str, Array]:
    rows = 0
    with ExitStack() as stack:
        with _room():
            files = [stack.enter_context(tempfile.TemporaryFile()) for _ in wanted]
        for chunk in table.chunks([column for item in wanted for column in item.columns]):
            cells = iter(chunk)
            for item, file in zip(wanted, files, strict=True):
                block = _block(item, [next(cells) for _ in item.columns], rows)
                with _room():
                    file.write(block.data)
            rows += len(chunk[0])
        return {item.name: _mapped(item, file, rows) for item, file in zip(wanted, files, strict=True)}


def _block(item: _Wanted, cells: Sequence[Cells], start: int) -> Array:
    """Some rows of an input."""
    block = np.empty((len(cells[0]), len(cells)), item.dtype)
    for place, column in enumerate(item.columns):
        try:
            block[:, place] = item.numbers(cells[place])
        except CellError as fault:
            fault.input, fault.column, fault.row = item.name, column, fault.row + start
            raise
    return block


def _mapped(item: _Wanted, file: IO[bytes], rows: int) -> Array:
    """What was written to a file; labels were numbered as they came, and now are in their order."""
    with _room():
        file.flush()
    array = np.memmap(file, item.dtype, "r+", shape=(rows, len(item.columns)))
    if item.codes and not item.known:
        order = np.argsort(np.argsort(list(item.codes)))
        for start in range(0, rows, CELLS):
            array[start : start + CELLS] = order[array[start : start + CELLS].astype(np.int64)]
    return np.asarray(array).reshape(rows, *item.sizes)


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        folder, reason = tempfile.gettempdir(), (fault.strerror or str(fault)).lower()
        message = f"expected room for the numbers of a table in {folder}, found none: {reason}"
        raise GraphcError(Diagnostic("GC513", message, hint="`TMPDIR` is the folder for temporary files")) from None
