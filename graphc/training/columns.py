"""Which columns of a table are whose: those that are chosen or called like an input, and the rest of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from graphc.graph import Node
from graphc.size import Size
from graphc.training.cells import listed
from graphc.training.table import Table


def columns_of(table: Table, inputs: Sequence[Node], chosen: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """The columns of each input.

    Parameters
    ----------
    table : Table
    inputs : sequence of Node
        Their first axis is that of the rows.
    chosen : mapping of str to sequence of str
        The columns of an input. By default those are, for an input ``X``, the column ``X`` where it needs one and
        ``X0``, ``X1``, … where it needs several, or all that no other input has taken.

    Raises
    ------
    GraphcError
        GC511 for columns that are missing.
    """
    known = [str(node.attrs["name"]) for node in inputs]
    if unknown := [name for name in chosen if name not in known]:
        raise table.lacking(f"expected columns for {', '.join(known)}, found some for {unknown[0]}")
    for column in (column for columns in chosen.values() for column in columns):
        if column not in table.columns:
            raise table.lacking(f"expected a column {column}, found {listed(table.columns)}")
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
            raise table.lacking(f"expected a column {wanted} for the input {name}, found {listed(table.columns)}")
        names[name] = _counted(table, name, count, free)
    return {str(node.attrs["name"]): names[str(node.attrs["name"])] for node in inputs}


def _own(table: Table, name: str, count: Size) -> list[str]:
    """The columns that are called like an input."""
    there = set(table.columns)
    numbered = (f"{name}{place}" for place in range(len(table.columns)))
    found = [column for column in numbered if column in there]
    return [name] if name in there and (count == 1 or not found) else found if count != 1 else []


def _counted(table: Table, name: str, count: Size, columns: Sequence[str]) -> Sequence[str]:
    if isinstance(count, int) and len(columns) != count:
        message = f"expected {count} column{'s' * (count != 1)} for the input {name}, found {listed(columns)}"
        raise table.lacking(message)
    return columns
