"""Arrays that users give, checked: points, limits and grids; a misfit is GC505 and says what was expected and found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError

Array: TypeAlias = NDArray[Any]
Limits: TypeAlias = tuple[float, float]

MARGIN = 0.08
"""What is drawn beyond the data, as a share of its extent."""


def misfit(message: str, hint: str = "") -> GraphcError:
    """The error of data that does not fit a plot."""
    return GraphcError(Diagnostic("GC505", message, hint=hint))


def numbers(name: str, values: ArrayLike) -> Array:
    """Numbers that users give, as floats."""
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise misfit(f"expected numbers for {name}, found {_short(values)}") from None


def points(name: str, values: ArrayLike, columns: Sequence[int]) -> Array:
    """Points as rows, with one of these numbers of coordinates; a vector is points with one."""
    array = numbers(name, values)
    rows = array[:, None] if array.ndim == 1 else array
    if rows.ndim != 2 or rows.shape[1] not in columns or not len(rows):
        shapes = " or ".join("(n,)" if count == 1 else f"(n, {count})" for count in columns)
        raise misfit(f"expected {name} of shape {shapes}, with n at least 1, found {array.shape}")
    if not np.isfinite(rows).all():
        raise misfit(f"expected finite numbers for {name}, found {rows[~np.isfinite(rows)][0]}")
    return rows


def one_each(name: str, values: ArrayLike, count: int) -> Array:
    """One value for each of so many points."""
    array = np.asarray(values)
    if array.shape not in ((count,), (count, 1)):
        raise misfit(f"expected {name} of shape ({count},), one for each point, found {array.shape}")
    return array.reshape(count)


def limits(name: str, given: Limits | None, values: Array) -> Limits:
    """The limits that were given, else those of some values with a margin."""
    if given is None:
        low, high = float(values.min()), float(values.max())
        margin = MARGIN * (high - low) or 1.0
        return low - margin, high + margin
    pair = numbers(name, given)
    if pair.shape != (2,) or not np.abs(pair).max() < 1e300 or not pair[0] < pair[1]:
        raise misfit(f"expected two finite numbers for {name}, the lower one first, found {_short(given)}")
    return float(pair[0]), float(pair[1])


def resolution(given: object) -> int:
    """A number of points along each axis, at least two and few enough for the memory."""
    if not isinstance(given, int) or not 2 <= given <= 2000:
        raise misfit(f"expected a grid_resolution from 2 to 2000, found {_short(given)}")
    return given


def grid(x: Limits, y: Limits, count: int) -> tuple[Array, Array, Array]:
    """The coordinates along both axes, and all points of the grid as rows."""
    across, up = np.linspace(*x, count), np.linspace(*y, count)
    return across, up, np.stack([axis.ravel() for axis in np.meshgrid(across, up)], axis=1)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
