"""Classifiers of points in the plane: a model and its data in; the region of each class, and the points, out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from graphc.backends.palette import Theme
from graphc.plotting.axes import MARKERS, add_colorbar, add_legend, drawn_on, fill_color, line_color, sides
from graphc.plotting.points import Array, Limits, grid, limits, misfit, one_each, points, resolution
from graphc.plotting.response import of_inputs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.contour import QuadContourSet

Grid = tuple[Array, Array, Array]
"""Coordinates along both axes, and a value, or row of values, for each of their points."""

_PAIRS = ((0, 1), (-1, 1))

_LEAST = 2.0**-53
"""The probability that counts as the least: one less it is the largest below 1."""


def plot_decision_boundary(
    model: Any,
    params: Mapping[str, Any] | None,
    X: ArrayLike,
    y: ArrayLike,
    *,
    output: str | None = None,
    threshold: float = 0.5,
    xlim: Limits | None = None,
    ylim: Limits | None = None,
    grid_resolution: int = 100,
    ax: Axes | None = None,
    theme: str = "light",
    legend: bool = True,
) -> Axes:
    """Plot what a classifier says of each point of the plane, over the points that it learnt from.

    Parameters
    ----------
    model : Model or what `graphc.compile` takes
        Its inputs take points as rows (``X: Input[N, 2]``) or one point.
    params : mapping or None
        The trained parameters; None for a model without any.
    X : array of shape (n, 2)
    y : array of shape (n,)
        Classes: 0, 1, … for an output with a column of scores for each, else two numbers such as 0 and 1, or -1 and 1.
    output : str, optional
        By default the only output besides the loss. One float for each point is compared with the threshold, and is
        shaded as a probability where it is one; of several, one for each class, the largest counts; an integer is the
        class itself.
    threshold : float
        From where on a point is of the second class: 0.5 for probabilities, 0 for scores.
    xlim, ylim : pair of float, optional
        By default those of the data and a margin.
    grid_resolution : int
        The number of points along each axis.
    ax, theme, legend
        As in `plot_activation`.

    Raises
    ------
    GraphcError
        GC404 without Matplotlib, GC505 for data that does not fit the model.

    Examples
    --------
    >>> text = "X: Input[N, 2]\\nw: Param[2]\\np: Output = sigmoid(X @ w)"
    >>> ax = plot_decision_boundary(text, {"w": [1.0, -1.0]}, [[0.0, 1.0], [1.0, 0.0]], [0, 1])
    >>> [str(text.get_text()) for text in ax.get_legend().get_texts()]
    ['class 0', 'class 1']
    """
    data = points("X", X, (2,))
    labels = one_each("y", y, len(data))
    response = of_inputs(model, params, output, 2)
    count = resolution(grid_resolution)
    across, up, places = grid(limits("xlim", xlim, data[:, 0]), limits("ylim", ylim, data[:, 1]), count)
    decision = _decision(response.name, response.at(places), labels, threshold)
    ax, look = drawn_on(ax, theme)
    if decision.probability is not None:
        shades = _shade(ax, look, (across, up, decision.probability.reshape(count, count)))
        if legend:
            _add_scale(ax, look, shades, decision.classes[1])
    else:
        _fill(ax, look, (across, up, decision.leads.reshape(count, count, -1)))
    _outline(ax, look, (across, up, decision.leads.reshape(count, count, -1)))
    _scatter(ax, look, data, labels, decision.classes)
    for axis, label in zip((ax.xaxis, ax.yaxis), response.coordinates.labels, strict=True):
        axis.set_label_text(label)
    if legend:
        add_legend(ax, look)
    return ax


@dataclass(frozen=True)
class _Decision:
    """The classes; by how much each leads before the best of the others, as columns; the probability of the second."""

    classes: Array
    leads: Array
    probability: Array | None = None


def _decision(name: str, found: Array, labels: Array, threshold: float) -> _Decision:
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim == 2:
        classes = np.arange(found.shape[1])
        _check_classes(labels, classes)
        return _Decision(classes, _leads(found))
    if found.ndim != 1:
        raise misfit(
            f"expected one value or row of scores for each point from {name}, found the shape {found.shape[1:]}"
        )
    if found.dtype.kind in "iub":
        classes = np.union1d(found, labels).astype(int)
        return _Decision(classes, _leads(1.0 * (found[:, None] == classes)))
    probable = 0 < threshold < 1 and bool(((found >= 0) & (found <= 1)).all())
    margin = _log_odds(found) - _log_odds(np.array(threshold)) if probable else found - threshold
    return _Decision(_two_classes(labels), np.stack([-margin, margin], axis=1), found if probable else None)


def _log_odds(probability: Array) -> Array:
    """What a sigmoid was taken of: straight where a probability is a step, of which a grid would make a staircase."""
    clipped = np.clip(probability.astype(float), _LEAST, 1 - _LEAST)
    found: Array = np.log(clipped) - np.log1p(-clipped)
    return found


def _leads(scores: Array) -> Array:
    """By how much each column is above the largest of the others."""
    if scores.shape[1] == 1:
        return np.ones_like(scores)
    ordered = np.sort(scores, axis=1)
    best, second = ordered[:, -1:], ordered[:, -2:-1]
    with np.errstate(invalid="ignore"):
        found: Array = scores - np.where(scores == best, second, best)
    return found


def _two_classes(labels: Array) -> Array:
    """The two numbers that classes are called, the lower one first."""
    found = np.unique(labels)
    for pair in _PAIRS:
        if np.isin(found, pair).all():
            return np.array(pair)
    if len(found) != 2:
        raise misfit(f"expected two classes in y, found {len(found)}: {', '.join(map(str, found[:8]))}")
    return found


def _check_classes(labels: Array, classes: Array) -> None:
    wrong = labels[~np.isin(labels, classes)]
    if len(wrong):
        raise misfit(f"expected classes from 0 to {classes[-1]} in y, one for each column of scores, found {wrong[0]}")


_LEVELS = np.linspace(0, 1, 11)
"""The probabilities between which there is a shade."""


def _shade(ax: Axes, look: Theme, probability: Grid) -> QuadContourSet:
    """The probability of the second class."""
    across, up, found = probability
    colors = sides(look)(_LEVELS[:-1] + 0.05)
    return ax.contourf(across, up, _log_odds(found), levels=_log_odds(_LEVELS), colors=colors)


def _add_scale(ax: Axes, look: Theme, shades: QuadContourSet, second: object) -> None:
    bar = add_colorbar(ax, look, shades, f"probability of class {second}")
    bar.set_ticks(_log_odds(_LEVELS)[::2], labels=[f"{level:.1f}" for level in _LEVELS[::2]])


def _fill(ax: Axes, look: Theme, leads: Grid) -> None:
    """The region of each class in a colour of its own."""
    across, up, columns = leads
    for number in range(columns.shape[2]):
        lead = columns[:, :, number]
        if lead.max() > 0:
            ax.contourf(across, up, lead, levels=[0, lead.max() + 1], colors=[fill_color(look, number)])


def _outline(ax: Axes, look: Theme, leads: Grid) -> None:
    """Where classes meet."""
    across, up, columns = leads
    for lead in np.moveaxis(columns, 2, 0)[1:] if columns.shape[2] == 2 else np.moveaxis(columns, 2, 0):
        if lead.min() < 0 < lead.max():
            ax.contour(across, up, lead, levels=[0], colors=look.ink, linewidths=1.8)


def _scatter(ax: Axes, look: Theme, data: Array, labels: Array, classes: Array) -> None:
    """The points; each class has a shape."""
    for number, known in enumerate(classes):
        chosen = data[labels == known]
        marker = MARKERS[number % len(MARKERS)]
        style = {"color": line_color(look, number), "edgecolors": look.page, "linewidths": 0.9, "s": 46, "zorder": 3}
        if len(chosen):
            ax.scatter(*chosen.T, marker=marker, label=f"class {known}", **style)
