"""Matplotlib's axes in the colours of the graphs: lines, fills and colour maps come from `graphc.backends.palette`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.backends.palette import THEMES, Theme
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.plotting.points import Array, misfit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.colors import Colormap

GET_MATPLOTLIB = 'pip install "matplotlib>=3.8"'
OLDEST = (3, 8)

STYLES = ("-", "--", "-.", ":")
MARKERS = "os^DvP*X"
"""What tells lines and classes apart where there is no colour."""

_ROLES = ("forward", "gradient", "input", "param")


def drawn_on(ax: Axes | None, theme: str) -> tuple[Axes, Theme]:
    """The axes to draw on, by default those of a new figure, in the colours of a theme.

    Raises
    ------
    GraphcError
        GC403 for a theme that there is not, GC404 without Matplotlib.
    """
    if theme not in tuple(THEMES):
        raise GraphcError(Diagnostic("GC403", f"expected one of the themes {', '.join(THEMES)}, found {theme!r}"))
    require_matplotlib()
    from matplotlib import pyplot

    look = THEMES[theme]
    if ax is not None and not isinstance(ax, pyplot.Axes):
        raise misfit(f"expected Matplotlib axes for ax, found a {type(ax).__name__}")
    if ax is None:
        _, ax = pyplot.subplots(layout="constrained")
    _dress(ax, look)
    return ax, look


def require_matplotlib() -> None:
    """Refuse to go on without a Matplotlib that is recent enough."""
    found = matplotlib_version()
    if found is None or found < OLDEST:
        state = "none" if found is None else ".".join(map(str, found))
        message = f"expected Matplotlib {'.'.join(map(str, OLDEST))} or later for plots, found {state}"
        raise GraphcError(Diagnostic("GC404", message, hint=f"`{GET_MATPLOTLIB}`"))


def matplotlib_version() -> tuple[int, int] | None:
    """The version of Matplotlib; None where it cannot be imported."""
    try:
        import matplotlib
    except ImportError:
        return None
    major, minor, *_ = matplotlib.__version_info__
    return int(major), int(minor)


def line_color(look: Theme, number: int) -> str:
    """The colour of a line or class, by its number."""
    return look.looks[_ROLES[number % len(_ROLES)]].line


def fill_color(look: Theme, number: int) -> str:
    """The colour behind a class, by its number: on black and white pages a grey."""
    role = look.looks[_ROLES[number % len(_ROLES)]]
    return role.fill if role.fill != look.page else _mixed(look.page, look.ink, 0.08 * (1 + number % len(_ROLES)))


def heights(look: Theme) -> Colormap:
    """From the lowest to the highest value: ever further away from the page, so that greys say the same."""
    low, high = (_mixed(look.page, look.looks["forward"].line, share) for share in (0.08, 0.8))
    return _colormap(low, high)


def sides(look: Theme) -> Colormap:
    """From class 0 over the page to class 1; from the page to the ink where both have the same colour."""
    first, second = (_mixed(look.page, line_color(look, number), 0.45) for number in (0, 1))
    return _colormap(first, look.page, second) if first != second else _colormap(look.page, second)


def _mixed(first: str, second: str, share: float) -> str:
    """A colour on the way from one to another."""
    from matplotlib.colors import to_hex, to_rgb

    return str(to_hex([a + share * (b - a) for a, b in zip(to_rgb(first), to_rgb(second), strict=True)]))


def _colormap(*colors: str) -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("graphc", colors)


def add_legend(ax: Axes, look: Theme) -> None:
    """A legend of what is labelled, where anything is."""
    if ax.get_legend_handles_labels()[0]:
        ax.legend(labelcolor=look.ink, facecolor=look.page, edgecolor=look.looks["band"].line)


def add_colorbar(ax: Axes, look: Theme, values: Any, label: str) -> Colorbar:
    """A scale of the colours of what was drawn."""
    bar: Colorbar = ax.figure.colorbar(values, ax=ax, pad=0.03)
    bar.outline.set_edgecolor(look.thin)
    bar.ax.tick_params(colors=look.muted)
    bar.set_label(label, color=look.ink)
    return bar


def share_axis(ax: Axes, look: Theme, label: str) -> Axes:
    """Axes over others, with a scale of their own from 0 to 1 at the right."""
    shares = ax.twinx()
    shares.set_ylim(0, 1)
    shares.set_ylabel(label, color=look.ink)
    shares.tick_params(colors=look.muted)
    for spine in shares.spines.values():
        spine.set_visible(False)
    return shares


def is_spatial(ax: Axes) -> bool:
    """Whether axes have three dimensions (``projection="3d"``)."""
    return bool(ax.name == "3d")


def draw_surface(ax: Any, look: Theme, surface: tuple[Array, Array, Array], alpha: float) -> None:
    """A surface in space: coordinates along both axes, and the height of each of their points."""
    across, up, found = surface
    # Smoothed edges would show as a net.
    faces = {"linewidth": 0, "antialiased": False, "rcount": 60, "ccount": 60}
    ax.plot_surface(*np.meshgrid(across, up), found, cmap=heights(look), alpha=alpha, **faces)


def _dress(ax: Axes, look: Theme) -> None:
    # Ticks and labels are drawn on the figure: its background belongs to the theme as well.
    ax.figure.set_facecolor(look.page)
    ax.set_facecolor(look.page)
    ax.tick_params(colors=look.muted)
    ax.title.set_color(look.ink)
    for spine in ax.spines.values():
        spine.set_color(look.thin)
    axes: list[Any] = [ax.xaxis, ax.yaxis, *([getattr(ax, "zaxis")] if is_spatial(ax) else [])]  # noqa: B009 only Axes3D has it
    for axis in axes:
        axis.label.set_color(look.ink)
        if is_spatial(ax):
            axis.set_pane_color(look.looks["band"].fill)
            axis.line.set_color(look.thin)
            axis.set_tick_params(labelcolor=look.muted)
            axis.labelpad = 8
            axis.get_major_locator().set_params(nbins=5)
    if is_spatial(ax):
        # Its lines keep the colour of the user's settings, which may be none of the theme's.
        ax.grid(False)
        # Room for the labels, which layouts do not know of.
        ax.set_box_aspect(None, zoom=0.85)
    else:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color=look.looks["band"].line, linewidth=0.6)
        ax.set_axisbelow(True)
