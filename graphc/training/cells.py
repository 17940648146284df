"""Cells of a column as numbers, or as integers that stand for texts; what is none is named with its row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphc.training.table import Cells

Array = NDArray[Any]


class CellError(Exception):
    """What was expected of a cell and what was found, in which row of those at hand.

    The input and the column are for those to add who know them, and the rows before.
    """

    def __init__(self, wanted: str, found: str, row: int) -> None:
        super().__init__(wanted, found, row)
        self.wanted, self.found, self.row = wanted, found, row
        self.input, self.column = "", ""


class NoIntegerError(CellError):
    """A text that is no integer: it may be a label."""


def floats(cells: Cells, dtype: str) -> Array:
    """Finite numbers of a dtype."""
    try:
        numbers = cells.astype(np.float64) if isinstance(cells, np.ndarray) else _parsed(cells)
    except ValueError:
        row = next(row for row, cell in enumerate(cells) if not is_number(cell))
        raise CellError("a number", shown(cells[row]), row) from None
    with np.errstate(over="ignore"):
        # 1e300 is finite, but not in float32.
        numbers = numbers.astype(dtype, copy=False)
    if not np.isfinite(numbers).all():
        row = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise CellError("a finite number", shown(cells[row]), row)
    return numbers


def integers(cells: Cells, low: int, high: int) -> Array:
    """Integers between two bounds, which are among them."""
    numbers = _whole(cells)
    outside = (numbers < low) | (numbers > high)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise CellError(f"an integer from {low} to {high}", shown(cells[row]), row)
    return numbers


def labels(cells: Cells, codes: dict[str, int], most: int | None, known: bool) -> Array:
    """What texts stand for.

    Parameters
    ----------
    cells : Cells
    codes : dict
        The integer for each text; where they are not known already, new ones are added in their order.
    most : int, optional
        How many there may be.
    known : bool
    """
    texts = [cell.strip() for cell in (cells.astype(str).tolist() if isinstance(cells, np.ndarray) else cells)]
    for row, text in enumerate(texts):
        if text in codes:
            continue
        if not text:
            raise CellError("a label", "an empty cell", row)
        if known:
            raise CellError(f"a label among {listed(codes)}", shown(text), row)
        if len(codes) == most:
            raise CellError(f"at most {most} labels", f"{shown(text)} besides {listed(codes)}", row)
        codes[text] = len(codes)
    return np.array([codes[text] for text in texts])


def is_number(text: str) -> bool:
    """Whether a text is a number; Python's underscores belong to no table."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def shown(cell: object) -> str:
    """A cell for people."""
    text = str(cell).strip()
    return repr(text[:40]) if text else "an empty cell"


def listed(names: Iterable[str]) -> str:
    """Names for people, the first of them where there are many."""
    found = list(names)
    return ", ".join(found[:8]) + (f" and {len(found) - 8} more" if len(found) > 8 else "")


def _parsed(cells: Sequence[str]) -> Array:
    return np.fromiter(map(float, _plain(cells)), np.float64, len(cells))


def _plain(cells: Sequence[str]) -> Sequence[str]:
    if "_" in "".join(cells):
        raise ValueError
    return cells


def _whole(cells: Cells) -> Array:
    """Integers; of a dtype that holds them whatever their size."""
    if isinstance(cells, np.ndarray):
        return _whole_numbers(cells)
    try:
        return np.fromiter(map(int, _plain(cells)), np.int64, len(cells))
    except (ValueError, OverflowError):
        return np.array([_integer(cell, row) for row, cell in enumerate(cells)], dtype=object)


def _whole_numbers(cells: Array) -> Array:
    if cells.dtype.kind != "f":
        return cells.astype(np.int64) if cells.dtype.kind == "b" else cells
    # Beyond 2 ** 53 a float may stand for its neighbours.
    wrong = ~(np.abs(cells) < 2**53) | (cells != np.floor(cells))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise CellError("an integer", shown(cells[row]), row)
    return cells.astype(np.int64)


def _integer(cell: str, row: int) -> int:
    """An integer that may be written as other numbers are, such as 3.0 or 1e3."""
    text = cell.strip()
    number = float(text) if is_number(text) else np.nan
    if text.lstrip("+-").isdecimal() and np.isfinite(number):
        return int(text)
    if not (abs(number) < 2**53 and number.is_integer()):
        raise NoIntegerError("an integer", shown(cell), row)
    return int(number)
