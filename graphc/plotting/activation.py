"""Functions of one number, such as activations, with their derivatives: a model in, two curves and their kinks out."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.calculus import value_and_grad
from graphc.compiled_model import Model
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.functions import FUNCTIONS
from graphc.plotting.axes import STYLES, add_legend, drawn_on, line_color
from graphc.plotting.points import Array, Limits, limits, misfit
from graphc.plotting.response import as_model
from graphc.vectorised import vmap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 401
_LONGEST = 40
"""Characters of a legend; models with a longer text are called by their name."""

_HALVINGS = 60
"""From the distance of two points of the curve to that of neighbouring floats."""


def plot_activation(
    f: Any, *, xlim: Limits = (-5.0, 5.0), ax: Axes | None = None, theme: str = "light", legend: bool = True
) -> Axes:
    """Plot a function of one number and its derivative, both compiled; where it has a kink, both are marked.

    Parameters
    ----------
    f : str, Model or what `graphc.compile` takes
        A name of the language or its library (``"relu"``, ``"gelu"``), or any model with one scalar input.
    xlim : pair of float
        From where to where.
    ax : matplotlib.axes.Axes, optional
        By default those of a new figure.
    theme : {"light", "dark", "print", "lecture"}
    legend : bool
        Whether a legend, and where there are shades a scale, say what is what; small plots side by side need it once.

    Returns
    -------
    matplotlib.axes.Axes
        Its first line is the function, its second one the derivative, with gaps where they jump. The filled mark at a
        kink is the derivative that graphc uses there.

    Raises
    ------
    GraphcError
        GC101 for a name that is no function's, GC404 without Matplotlib, GC505 for a function of anything but one
        number.

    Examples
    --------
    >>> ax = plot_activation("relu")
    >>> [line.get_label() for line in ax.get_lines()[:2]]
    ['relu(x)', 'derivative']
    """
    model = as_model(_called(f))
    inputs = (*model.graph.inputs, *model.graph.params)
    if [(node.tensor.shape, node.tensor.is_float) for node in inputs] != [((), True)]:
        found = ", ".join(f"{node.attrs['name']}: {node.type}" for node in inputs) or "none"
        raise misfit(f"expected a function of one number, found the inputs {found}")
    x = np.linspace(*limits("xlim", xlim, np.array([-5.0, 5.0])), _POINTS)
    both = _Both(vmap(value_and_grad(model)), str(inputs[0].attrs["name"]))
    ax, look = drawn_on(ax, theme)
    steps, bends = jumps(both.value, x), jumps(both.slope, x)
    text = model.source.text.strip()
    name = text if len(text) <= _LONGEST and "\n" not in text else model.name
    ax.plot(*broken(both.value, x, steps), STYLES[0], color=line_color(look, 0), linewidth=2, label=name)
    slope = broken(both.slope, x, np.concatenate([steps, bends]))
    ax.plot(*slope, STYLES[1], color=line_color(look, 1), linewidth=2, label="derivative")
    _mark(ax, both, _kinks(both, bends), (line_color(look, 0), line_color(look, 1), look.page))
    ax.set_xlabel(both.name)
    if legend:
        add_legend(ax, look)
    return ax


def _called(f: Any) -> Any:
    """A name as a call of the function: as a model it would be an input, and a misspelt one a straight line."""
    if not isinstance(f, str) or not f.isidentifier() or len(f) == 1:
        return f
    if f not in FUNCTIONS:
        close = difflib.get_close_matches(f, FUNCTIONS, n=1)
        hint = f"did you mean {close[0]}?" if close else ""
        raise GraphcError(
            Diagnostic("GC101", f"expected the name of a function or an expression, found {f}", hint=hint)
        )
    return f"{f}(x)"


@dataclass(frozen=True)
class _Both:
    """A function and its derivative, of arrays."""

    model: Model
    name: str

    def value(self, x: Array) -> Array:
        return self._pair(x)[0]

    def slope(self, x: Array) -> Array:
        return self._pair(x)[1]

    def _pair(self, x: Array) -> tuple[Array, Array]:
        with np.errstate(all="ignore"):
            value, slope = self.model(**{self.name: x})
        return np.asarray(value), np.asarray(slope)


def jumps(f: Callable[[Array], Array], x: Array) -> Array:
    """The pairs of neighbouring floats, as rows, between which a function jumps; at most one between two points of x.

    All intervals are halved at once, each time to the half with the larger difference, which goes to 0 unless there is
    a jump.

    Examples
    --------
    >>> low, high = jumps(np.sign, np.array([-2.0, -1.0, 1.5]))[0]
    >>> print(low <= 0 <= high, high - low < 1e-15)
    True True
    """
    low, high = x[:-1], x[1:]
    for _ in range(_HALVINGS):
        middle = low + (high - low) / 2
        left = _distance(f(low), f(middle)) >= _distance(f(middle), f(high))
        low, high = np.where(left, low, middle), np.where(left, middle, high)
    values = f(x)
    scale = max(1.0, np.abs(values[np.isfinite(values)]).max(initial=0.0))
    found = _distance(f(low), f(high)) > 1e-6 * scale
    return np.stack([low[found], high[found]], axis=1)


def broken(f: Callable[[Array], Array], x: Array, gaps: Array) -> tuple[Array, Array]:
    """The points of a curve, up to both sides of each gap, and a NaN between them."""
    sides = np.unique(np.concatenate([x, gaps.ravel()]))
    values = f(sides)
    after = np.flatnonzero(np.isin(sides, gaps[:, 0])) + 1
    return np.insert(sides, after, sides[after - 1]), np.insert(values, after, np.nan)


def _distance(first: Array, second: Array) -> Array:
    with np.errstate(invalid="ignore"):
        found: Array = np.nan_to_num(np.abs(first - second), nan=0.0)
    return found


def _kinks(both: _Both, bends: Array) -> Array:
    """Where the derivative jumps and the function does not.

    A jump on both sides of a point is one kink; it is at a round number where one is that near.
    """
    low, high = bends.T
    finite = np.isfinite(both.slope(low)) & np.isfinite(both.slope(high))
    smooth = finite & np.isclose(both.value(low), both.value(high), rtol=1e-6, atol=1e-6)
    places: Array = np.unique(np.round(bends[smooth].mean(axis=1), 9)) + 0.0
    return places


def _mark(ax: Axes, both: _Both, places: Array, colors: tuple[str, str, str]) -> None:
    """Where the derivative jumps, and what it is there."""
    if not len(places):
        return
    value, slope, page = colors
    # Where both are the same point, one is inside the other.
    kink = {"marker": "D", "markersize": 11, "markerfacecolor": page, "markeredgewidth": 1.5, "color": value}
    used = {"marker": "o", "markersize": 6, "color": slope}
    ax.plot(places, both.value(places), linestyle="none", zorder=3, label="kink", **kink)
    ax.plot(places, both.slope(places), linestyle="none", zorder=4, label="derivative used there", **used)
