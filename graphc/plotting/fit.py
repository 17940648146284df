"""Functions that were fitted to data: a model and its data in; a curve through points, or a surface over them, out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from graphc.backends.palette import Theme
from graphc.plotting.axes import add_colorbar, add_legend, draw_surface, drawn_on, heights, is_spatial, line_color
from graphc.plotting.points import Array, Limits, grid, limits, misfit, numbers, one_each, points, resolution
from graphc.plotting.response import Response, of_inputs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.contour import QuadContourSet

_POINTS = 401
_LEVELS = 12


def plot_fit(
    model: Any,
    params: Mapping[str, Any] | None,
    x: ArrayLike,
    y: ArrayLike,
    *,
    output: str | None = None,
    xlim: Limits | None = None,
    ylim: Limits | None = None,
    grid_resolution: int = 100,
    ax: Axes | None = None,
    theme: str = "light",
    legend: bool = True,
) -> Axes:
    """Plot a fitted function of one or two inputs over the data that it was fitted to.

    Parameters
    ----------
    model : Model or what `graphc.compile` takes
        Its inputs take points as rows (``x: Input[N]``, ``X: Input[N, 2]``) or one point (``x1: Input``).
    params : mapping or None
        The fitted parameters; None for a model without any.
    x : array of shape (n,), (n, 1) or (n, 2)
    y : array of shape (n,)
    output : str, optional
        The fitted function: by default the only output besides the loss.
    xlim, ylim : pair of float, optional
        The limits of the first and the second input: by default those of the data and a margin.
    grid_resolution : int
        The number of points along each axis where there are two inputs.
    ax : matplotlib.axes.Axes, optional
        By default those of a new figure. On axes with ``projection="3d"`` a function of two inputs is a surface, on
        others its contours are filled, and points have the colour of their own height.
    theme, legend
        As in `plot_activation`.

    Raises
    ------
    GraphcError
        GC404 without Matplotlib, GC505 for data that does not fit the model.

    Examples
    --------
    >>> line = "x: Input[N]\\na: Param\\nb: Param\\ny: Output = a * x + b"
    >>> ax = plot_fit(line, {"a": 2.0, "b": 1.0}, [0.0, 1.0, 2.0], [1.1, 2.9, 5.2])
    >>> x, y = ax.get_lines()[0].get_data()
    >>> bool((y == 2 * x + 1).all())
    True
    """
    data = points("x", x, (1, 2))
    targets = numbers("y", one_each("y", y, len(data)))
    response = of_inputs(model, params, output, data.shape[1])
    sides = [limits(name, given, data[:, i]) for i, (name, given) in enumerate(_given(xlim, ylim, data.shape[1]))]
    count = resolution(grid_resolution)
    if data.shape[1] == 1:
        across = np.linspace(*sides[0], _POINTS)
        curve = _heights(response, across[:, None])
        ax, look = drawn_on(ax, theme)
        _draw_curve(ax, look, response, (across, curve), (data[:, 0], targets))
        labelled = True
    else:
        across, up, places = grid(sides[0], sides[1], count)
        surface = _heights(response, places).reshape(count, count)
        ax, look = drawn_on(ax, theme)
        labelled = is_spatial(ax)
        if labelled:
            _draw_surface(ax, look, response.name, (across, up, surface), (data, targets))
        else:
            filled = _draw_contours(ax, look, (across, up, surface), (data, targets))
            if legend:
                add_colorbar(ax, look, filled, response.name)
        ax.set_ylabel(response.coordinates.labels[1])
    ax.set_xlabel(response.coordinates.labels[0])
    if labelled and legend:
        add_legend(ax, look)
    return ax


def _given(xlim: Limits | None, ylim: Limits | None, dimension: int) -> list[tuple[str, Limits | None]]:
    return [("xlim", xlim), ("ylim", ylim)][:dimension]


def _heights(response: Response, places: Array) -> Array:
    """One value for each place."""
    found = response.at(places)
    if found.shape not in ((len(places),), (len(places), 1)):
        raise misfit(
            f"expected one value for each point from {response.name}, found the shape {found.shape[1:]} for each"
        )
    return found.reshape(len(places)).astype(float)


def _draw_curve(
    ax: Axes, look: Theme, response: Response, curve: tuple[Array, Array], data: tuple[Array, Array]
) -> None:
    ax.plot(*curve, color=line_color(look, 0), linewidth=2, label=response.name)
    ax.plot(*data, "o", color=line_color(look, 2), markeredgecolor=look.page, markersize=6, zorder=3, label="data")
    ax.set_ylabel(response.name)


def _draw_contours(
    ax: Axes, look: Theme, surface: tuple[Array, Array, Array], data: tuple[Array, Array]
) -> QuadContourSet:
    (places, targets), colors = data, heights(look)
    levels = _levels(np.concatenate([surface[2].ravel(), targets]))
    filled = ax.contourf(*surface, levels=levels, cmap=colors)
    shown = {"cmap": colors, "vmin": levels[0], "vmax": levels[-1]}
    ax.scatter(*places.T, c=targets, edgecolors=look.ink, linewidths=0.9, s=36, zorder=3, label="data", **shown)
    return filled


def _draw_surface(
    ax: Any, look: Theme, name: str, surface: tuple[Array, Array, Array], data: tuple[Array, Array]
) -> None:
    places, targets = data
    draw_surface(ax, look, surface, 0.75)
    shown = {"color": line_color(look, 2), "edgecolors": look.page, "s": 30, "depthshade": False}
    ax.scatter(*places.T, targets, label="data", **shown)
    ax.set_zlabel(name)


def _levels(values: Array) -> Array:
    """Round heights, from below the lowest to above the highest."""
    from matplotlib.ticker import MaxNLocator

    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    found: Array = np.asarray(MaxNLocator(_LEVELS).tick_values(low, high if high > low else low + 1.0))
    return found
