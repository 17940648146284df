"""Functions of one or two numbers, such as losses, with a path on them: a model in; a curve, or contours, out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from graphc.backends.palette import Theme
from graphc.plotting.axes import add_colorbar, add_legend, draw_surface, drawn_on, heights, is_spatial, line_color
from graphc.plotting.points import Array, Limits, grid, limits, points, resolution
from graphc.plotting.response import Response, of_free

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 401
_LEVELS = 15
_WHOLE = np.array([-5.0, 5.0])
"""What is drawn where neither limits nor a path say it."""


def plot_surface(
    f: Any,
    *,
    at: Mapping[str, Any] | None = None,
    path: ArrayLike | None = None,
    output: str | None = None,
    xlim: Limits | None = None,
    ylim: Limits | None = None,
    grid_resolution: int = 100,
    ax: Axes | None = None,
    theme: str = "light",
    legend: bool = True,
) -> Axes:
    """Plot a function of one or two numbers, such as a loss by its parameters, and a path of gradient descent on it.

    Parameters
    ----------
    f : Model or what `graphc.compile` takes
        With a scalar output.
    at : mapping, optional
        Values of inputs and parameters. Those without one are what the picture goes over: one or two numbers in all.
    path : array of shape (n,), (n, 1) or (n, 2), optional
        The points that gradient descent, or ascent, went through, in the order of the axes.
    output : str, optional
        By default the loss.
    xlim, ylim : pair of float, optional
        By default those of the path and a margin, or from -5 to 5 and beyond.
    grid_resolution : int
        The number of points along each of two axes.
    ax : matplotlib.axes.Axes, optional
        By default those of a new figure. With ``projection="3d"`` two numbers give a surface, else contours.
    theme, legend
        As in `plot_activation`.

    Raises
    ------
    GraphcError
        GC404 without Matplotlib; GC505 when more than two numbers are free, or the path does not fit them.

    Examples
    --------
    >>> ax = plot_surface("(w - 2)**2", path=[0.0, 1.0, 1.5])
    >>> walked = ax.get_lines()[1]
    >>> print(*walked.get_ydata())
    4.0 1.0 0.25
    """
    response = of_free(f, at or {}, output)
    dimension = len(response.coordinates.labels)
    walked = None if path is None else points("path", path, (dimension,))
    given = [("xlim", xlim), ("ylim", ylim)][:dimension]
    sides = [limits(name, pair, _WHOLE if walked is None else walked[:, i]) for i, (name, pair) in enumerate(given)]
    count = resolution(grid_resolution)
    if dimension == 1:
        across = np.linspace(*sides[0], _POINTS)
        curve = response.at(across[:, None])
        ax, look = drawn_on(ax, theme)
        ax.plot(across, curve, color=line_color(look, 0), linewidth=2)
        ax.set_ylabel(response.name)
    else:
        across, up, places = grid(sides[0], sides[1], count)
        found = response.at(places).reshape(count, count)
        ax, look = drawn_on(ax, theme)
        _draw(ax, look, response, (across, up, found), legend)
    if walked is not None:
        _draw_path(ax, look, walked, response.at(walked))
        if legend:
            add_legend(ax, look)
    ax.set_xlabel(response.coordinates.labels[0])
    return ax


def _draw(ax: Any, look: Theme, response: Response, surface: tuple[Array, Array, Array], scale: bool) -> None:
    if is_spatial(ax):
        draw_surface(ax, look, surface, 1.0)
        ax.set_zlabel(response.name)
    else:
        filled = ax.contourf(*surface, levels=_LEVELS, cmap=heights(look))
        if scale:
            add_colorbar(ax, look, filled, response.name)
    ax.set_ylabel(response.coordinates.labels[1])


def _draw_path(ax: Any, look: Theme, walked: Array, found: Array) -> None:
    """The points in their order, the first one hollow, the last one a star."""
    flat = walked.shape[1] == 2 and not is_spatial(ax)
    path = walked if flat else np.column_stack([walked, found])
    color = line_color(look, 1)
    above = {"color": color, "zorder": 10}
    ax.plot(*path.T, "-o", linewidth=1.5, markersize=4, label="path", **above)
    ax.plot(*path[:1].T, "o", markersize=9, markerfacecolor=look.page, markeredgewidth=2, label="start", **above)
    ax.plot(*path[-1:].T, "*", markersize=14, markeredgecolor=look.page, linestyle="none", label="end", **above)
