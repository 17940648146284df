"""Columns of a table as the arrays that a model takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.graph import Node
from graphc.size import Size
from graphc.training.table import Table

Array = NDArray[Any]
Labels = Mapping[str, Sequence[str]]
"""For inputs that are labels, the texts that stand for 0, 1, 2 …"""


@dataclass(frozen=True)
class Columns:
    """Arrays made of columns.

    Attributes
    ----------
    arrays : mapping of str to array
        By input.
    names : mapping of str to sequence of str
        The columns of each.
    labels : Labels
    """

    arrays: Mapping[str, Array]
    names: Mapping[str, Sequence[str]]
    labels: Labels = field(default_factory=dict)


def arrays_of(table: Table, inputs: Iterable[Node], chosen: Mapping[str, Sequence[str]], labels: Labels) -> Columns:
    """The arrays for inputs that have an entry for each row.

    Parameters
    ----------
    table : Table
    inputs : iterable of Node
        Their first axis is that of the rows.
    chosen : mapping of str to sequence of str
        The columns of an input. By default those are, for an input ``X``, the column ``X`` where it needs one and
        ``X0``, ``X1``, … where it needs several, or all that no other input has taken.
    labels : Labels
        Texts that are known already; others are sorted.

    Raises
    ------
    GraphcError
        GC511 for columns that are missing, GC512 for a value that does not fit, each with its place.
    """
    inputs = list(inputs)
    names = _names(table, inputs, chosen)
    arrays: dict[str, Array] = {}
    found = dict(labels)
    for node in inputs:
        name = str(node.attrs["name"])
        if node.tensor.is_float:
            stacked = np.stack([_numbers(table, column) for column in names[name]], axis=1)
        else:
            stacked = np.stack([_integers(table, column, name, found) for column in names[name]], axis=1)
        sizes = tuple(size if isinstance(size, int) else -1 for size in node.tensor.shape[1:])
        arrays[name] = stacked.reshape(len(table.lines), *sizes).astype(node.tensor.dtype)
    return Columns(arrays, names, found)


def _names(table: Table, inputs: Sequence[Node], chosen: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """The columns of each input, those that are chosen or named like it first."""
    known = [str(node.attrs["name"]) for node in inputs]
    if unknown := [name for name in chosen if name not in known]:
        raise _lacking(f"expected columns for {', '.join(known)}, found some for {unknown[0]}", table)
    for column in (column for columns in chosen.values() for column in columns):
        if column not in table.columns:
            raise _lacking(f"expected a column {column}, found {_listed(table.columns)}", table)
    names: dict[str, Sequence[str]] = {}
    rest: list[tuple[str, Size]] = []
    for node in inputs:
        name, count = str(node.attrs["name"]), prod(node.tensor.shape[1:])
        found = chosen[name] if name in chosen else _own(table, name, count)
        if found:
            names[name] = _counted(table, name, count, found)
        else:
            rest.append((name, count))
    taken = {column for columns in names.values() for column in columns}
    free = [column for column in table.columns if column not in taken]
    # What needs one column is told first: the rest of them may be for it.
    for name, count in sorted(rest, key=lambda item: item[1] != 1):
        if len(rest) > 1 or not free or count == 1:
            wanted = name if count == 1 else f"{name}0, {name}1, …"
            raise _lacking(f"expected a column {wanted} for the input {name}, found {_listed(table.columns)}", table)
        names[name] = _counted(table, name, count, free)
    return {str(node.attrs["name"]): names[str(node.attrs["name"])] for node in inputs}


def _own(table: Table, name: str, count: Size) -> list[str]:
    """The columns that are called like an input."""
    numbered = [f"{name}{place}" for place in range(len(table.columns))]
    found = [column for column in numbered if column in table.columns]
    return [name] if name in table.columns and (count == 1 or not found) else found if count != 1 else []


def _counted(table: Table, name: str, count: Size, columns: Sequence[str]) -> Sequence[str]:
    if isinstance(count, int) and len(columns) != count:
        message = f"expected {count} column{'s' * (count != 1)} for the input {name}, found {_listed(columns)}"
        raise _lacking(message, table)
    return columns


def _numbers(table: Table, column: str) -> Array:
    """A column of finite numbers."""
    cells = table.columns[column]
    try:
        numbers = np.array([float(cell) for cell in cells])
    except ValueError:
        row = next(row for row, cell in enumerate(cells) if not _is_number(cell))
        raise _unfit(
            f"expected a number in the column {column}, found {_shown(cells[row])}", table, row, column
        ) from None
    if not np.isfinite(numbers).all():
        row = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise _unfit(f"expected a finite number in the column {column}, found {_shown(cells[row])}", table, row, column)
    return numbers


def _integers(table: Table, column: str, name: str, labels: dict[str, Sequence[str]]) -> Array:
    """A column of integers, or of texts that stand for them; these are added to the labels."""
    cells = [cell.strip() for cell in table.columns[column]]
    if name not in labels:
        integers = [_integer(cell) for cell in cells]
        if all(integer is not None for integer in integers):
            return np.array(integers)
        if "" in cells:
            row = cells.index("")
            raise _unfit(f"expected a label in the column {column}, found an empty cell", table, row, column)
        labels[name] = sorted(set(cells))
    places = {text: place for place, text in enumerate(labels[name])}
    for row, cell in enumerate(cells):
        if cell not in places:
            expected = _listed(labels[name])
            raise _unfit(f"expected a label among {expected}, found {_shown(cell)}", table, row, column)
    return np.array([places[cell] for cell in cells])


def _integer(cell: str) -> int | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return int(number) if abs(number) < 2**53 and number == int(number) else None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _shown(cell: str) -> str:
    return repr(cell.strip()[:40]) if cell.strip() else "an empty cell"


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    return ", ".join(found[:8]) + (f" and {len(found) - 8} more" if len(found) > 8 else "")


def _lacking(message: str, table: Table) -> GraphcError:
    return GraphcError(Diagnostic("GC511", message, table.header))


def _unfit(message: str, table: Table, row: int, column: str) -> GraphcError:
    return GraphcError(Diagnostic("GC512", message, table.span(row, column)))
