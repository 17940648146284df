"""Loss curves: a table in, as a mapping or a CSV file; one curve for each column out."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from graphc.backends.palette import Theme
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.plotting.axes import STYLES, add_legend, drawn_on, line_color, share_axis
from graphc.plotting.points import Array, misfit, numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COUNTERS = ("epoch", "step", "steps", "iteration")
"""What a column is called that counts instead of measuring."""
ACCURACY = "accuracy"
"""What a column is called that is a share, and no loss: it has an axis of its own."""


def plot_losses(
    history: Mapping[str, ArrayLike] | str | os.PathLike[str],
    *,
    log: bool = False,
    best: str | None = None,
    ax: Axes | None = None,
    theme: str = "light",
    legend: bool = True,
) -> Axes:
    """Plot losses over the epochs of a training, and mark the lowest one.

    Parameters
    ----------
    history : mapping of str to sequence, or path of a CSV file
        A curve for each name: ``{"training": [0.9, 0.5], "hold-out": [1.0, 0.7]}``; of a file, for each column of its
        first line that is not empty below it. The first column called ``epoch``, ``step``, ``steps`` or ``iteration``
        is the horizontal axis, else epochs count from 1. A column called ``accuracy`` has an axis of its own, at the
        right. Empty cells and NaN are left out.
    log : bool
        Whether the scale of the losses is logarithmic.
    best : str, optional
        The curve whose lowest point is marked: by default the last one.
    ax, theme, legend
        As in `plot_activation`.

    Raises
    ------
    GraphcError
        GC402 for a file that cannot be read, GC404 without Matplotlib, GC505 for a table that is none.

    Examples
    --------
    >>> ax = plot_losses({"training": [0.9, 0.5, 0.3], "hold-out": [1.0, 0.6, 0.7]})
    >>> [line.get_label() for line in ax.get_lines()]
    ['training', 'hold-out', 'lowest: 0.6 at epoch 2']
    """
    table = history if isinstance(history, Mapping) else _read(history)
    counter, x, curves = _curves(table)
    accuracy = curves.pop(ACCURACY, None) if len(curves) > 1 else None
    if best is not None and best not in curves:
        raise misfit(f"expected one of the curves {', '.join(curves)} for best, found {best!r}")
    _check_positive(curves if log else {})
    ax, look = drawn_on(ax, theme)
    for number, (name, y) in enumerate(curves.items()):
        # Between dollars is mathematics.
        _draw_curve(ax, look, number, x, y, name.replace("$", r"\$"))
    if accuracy is not None:
        shares = share_axis(ax, look, ACCURACY)
        _draw_curve(shares, look, len(curves), x, accuracy, ACCURACY)
        # The legend of one axis does not know of the other.
        _draw_curve(ax, look, len(curves), x[:0], accuracy[:0], ACCURACY)
    _mark_lowest(ax, counter, x, curves[best or list(curves)[-1]], look.ink)
    ax.set_xlabel(counter)
    ax.set_ylabel("loss")
    if log:
        ax.set_yscale("log")
    if legend:
        add_legend(ax, look)
    return ax


def _draw_curve(ax: Axes, look: Theme, number: int, x: Array, y: Array, label: str) -> None:
    there = ~np.isnan(y)
    style, color = STYLES[number % len(STYLES)], line_color(look, number)
    ax.plot(x[: len(y)][there], y[there], style, color=color, linewidth=2, label=label)


def _curves(table: Mapping[str, ArrayLike]) -> tuple[str, Array, dict[str, Array]]:
    """The name and values of the horizontal axis, and the curves by name."""
    columns = {str(name): numbers(str(name), values) for name, values in table.items()}
    for name, values in columns.items():
        if values.ndim != 1 or np.isnan(values).all():
            raise misfit(f"expected one number for each epoch in {name}, found the shape {values.shape}, "
                         f"{np.isfinite(values).sum()} of them finite")  # fmt: skip
    counters = [name for name in columns if name.lower() in COUNTERS]
    curves = {name: values for name, values in columns.items() if name not in counters}
    if not curves:
        raise misfit(f"expected at least one loss, found {', '.join(columns) or 'none'}")
    longest = max(map(len, curves.values()))
    if not counters:
        return "epoch", np.arange(1.0, longest + 1), curves
    counter = counters[0]
    if len(columns[counter]) < longest:
        raise misfit(f"expected {longest} values in {counter}, found {len(columns[counter])}")
    return counter, columns[counter], curves


def _mark_lowest(ax: Axes, counter: str, x: Array, y: Array, color: str) -> None:
    if not np.isfinite(y).any():
        return
    lowest = int(np.argmin(np.where(np.isfinite(y), y, np.inf)))
    label = f"lowest: {y[lowest]:.4g} at {counter} {x[lowest]:g}"
    ax.plot(x[lowest], y[lowest], "*", markersize=13, color=color, linestyle="none", zorder=3, label=label)


def _check_positive(curves: Mapping[str, Array]) -> None:
    for name, values in curves.items():
        if (values <= 0).any():
            raise misfit(f"expected losses above 0 for a logarithmic scale, found {values[values <= 0][0]:g} in {name}")


def _read(file: str | os.PathLike[str]) -> dict[str, list[float]]:
    """The columns of a CSV file by the names in its first line; empty cells are NaN."""
    try:
        path = Path(file)
    except TypeError:
        raise misfit(f"expected losses by name or a CSV file, found a {type(file).__name__}") from None
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = [row for row in csv.reader(lines) if row]
    except OSError as fault:
        reason = (fault.strerror or str(fault)).lower()
        raise GraphcError(Diagnostic("GC402", f"expected a CSV file at {path}, found none: {reason}")) from None
    except (UnicodeDecodeError, csv.Error) as fault:
        raise misfit(f"expected a CSV file in UTF-8 at {path}, found: {fault}") from None
    if len(rows) < 2:
        raise misfit(f"expected a line of names and lines of numbers in {path}, found {len(rows)} lines")
    names, *cells = ([cell.strip() for cell in row] for row in rows)
    if wrong := [number for number, line in enumerate(cells, start=2) if len(line) != len(names)]:
        raise misfit(f"expected {len(names)} cells in each line of {path}, found another number in line {wrong[0]}")
    filled = [i for i in range(len(names)) if any(line[i] for line in cells)]
    return {names[i]: [_cell(path, names[i], line[i]) for line in cells] for i in filled}


def _cell(path: Path, name: str, text: str) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        raise misfit(f"expected numbers in column {name} of {path}, found {text[:40]!r}") from None
