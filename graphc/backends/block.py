"""The block style, for tensors: parameters, forward spine, parameter gradients and gradient spine in four columns.

Places of boxes and ways of arrows are written into the DOT text (``layout=nop2``), so they are the same in every
version of Graphviz and cost it no time. Gradient arrows are written from the upper box to the lower one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from graphc.backends.diagram import Arrow, Box, Diagram
from graphc.backends.dot_text import canvas, escaped, html, styled, table
from graphc.backends.grid import Grid, grid_of
from graphc.backends.palette import Theme
from graphc.backends.picture import shortened
from graphc.backends.placing import BAND_INDENT, BAND_LETTER, Placed, band_title, letters, place
from graphc.backends.readings import Readings
from graphc.backends.routes import Route, Router
from graphc.graph import Scope

if TYPE_CHECKING:
    import graphviz

_LONGEST = {"head": 36, "body": 52, "aside": 28}


def block_dot(diagram: Diagram, theme: Theme, title: str, readings: Readings | None = None) -> str:
    """The DOT text of a diagram in block style, with numbers where there are readings."""
    page = {"layout": "nop2", "pad": "0.25", "outputorder": "edgesfirst"}
    out = canvas(title, theme, **page, labelloc="b", fontsize="11", label=_legend(diagram, theme))
    grid = grid_of(diagram)
    numbers = {box.id: (readings.width(box), readings.height(box)) for box in diagram.boxes} if readings else {}
    placed = place(diagram, grid, _LONGEST, numbers)
    _boxes(out, diagram, theme, placed, readings)
    for arrow, route in _routed(diagram, Router(placed)):
        _arrow(out, theme, arrow, route)
    if diagram.joint:
        _headings(out, theme, grid, placed)
    return str(out.source)


def box_attributes(box: Box, theme: Theme, readings: Readings | None = None) -> dict[str, str]:
    """How a box looks, with its label; one whose value is not known yet is empty and grey."""
    look = theme.looks[box.role]
    if readings is not None and not readings.is_reached(box):
        look = replace(look, line=theme.kept, fill=theme.page, text=theme.muted)
    lines = [styled(box.head, look.text, bold=True, longest=_LONGEST["head"]) + _aside(box, theme)]
    lines += [styled(line, theme.ink, mono=True, longest=_LONGEST["body"]) for line in box.body.split("\n")]
    outline = {"color": look.line, "fillcolor": look.fill or theme.page, "style": look.style}
    shape = {"shape": "box", "margin": "0.08,0.02", "penwidth": f"{look.width:g}"}
    about = {"id": box.id, "class": box.role, "tooltip": escaped(box.tooltip)}
    below = readings.lines(box, theme) if readings is not None else []
    return {"label": table(["<BR/>".join(lines), *below]) if below else html(lines), **shape, **outline, **about}


def _aside(box: Box, theme: Theme) -> str:
    if not box.aside:
        return ""
    return styled(f"  {box.aside}", theme.muted, mono=True, size=9.5, longest=_LONGEST["aside"])


def _boxes(out: graphviz.Digraph, diagram: Diagram, theme: Theme, placed: Placed, readings: Readings | None) -> None:
    """The boxes, those of a layer in a band."""
    members: dict[Scope, list[Box]] = {}
    for box in diagram.boxes:
        if box.id not in diagram.hidden:
            layer = box.layer[:1]
            members.setdefault(layer if layer in placed.bands else (), []).append(box)
    for layer, boxes in members.items():
        if not layer:
            _plain(out, boxes, theme, placed, readings)
            continue
        look, around = theme.looks["band"], placed.bands[layer]
        with out.subgraph(name=f"cluster_{escaped('/'.join(layer))}") as band:
            title = band_title(diagram, layer, _LONGEST)
            band.attr(label=html([styled(title, look.text, bold=True, size=11)]), style="rounded,filled")
            corners = (around.left, around.bottom, around.right, around.top)
            band.attr(bb=",".join(f"{value:g}" for value in corners))
            band.attr(lp=f"{around.left + BAND_INDENT + BAND_LETTER / 2 * letters(title):g},{around.top - 9:g}")
            band.attr(color=look.line, fillcolor=look.fill, tooltip=escaped("/".join(layer)))
            _plain(band, boxes, theme, placed, readings)


def _plain(
    out: graphviz.Digraph, boxes: Iterable[Box], theme: Theme, placed: Placed, readings: Readings | None
) -> None:
    for box in boxes:
        spot = placed.boxes[box.id]
        size = {"width": f"{spot.width / 72:.3f}", "height": f"{spot.height / 72:.3f}"}
        out.node(box.id, **box_attributes(box, theme, readings), pos=f"{spot.x:g},{spot.y:g}", **size)


def _routed(diagram: Diagram, router: Router) -> list[tuple[Arrow, Route]]:
    """The arrows and their ways, values that are kept last; a value's shape is on the straightest of its arrows."""
    shown = [arrow for arrow in diagram.arrows if not {arrow.start, arrow.end} & diagram.hidden]
    shown.sort(key=lambda arrow: arrow.kind == "kept")
    routes = [router.route(arrow.start, arrow.end, arrow.label) for arrow in shown]
    straightest: dict[str, int] = {}
    for number, (arrow, route) in enumerate(zip(shown, routes, strict=True)):
        best = straightest.setdefault(arrow.start, number)
        if arrow.label and route.slant < routes[best].slant:
            straightest[arrow.start] = number
    return [
        (arrow if straightest[arrow.start] == number else replace(arrow, label=""), route)
        for number, (arrow, route) in enumerate(zip(shown, routes, strict=True))
    ]


def _arrow(out: graphviz.Digraph, theme: Theme, arrow: Arrow, route: Route) -> None:
    label = shortened(arrow.label, _LONGEST["aside"])
    text = {"label": escaped(label), "lp": ",".join(f"{value:g}" for value in route.label)} if label else {}
    if arrow.kind == "gradient":
        color = theme.looks["backward"].line
        look = {"color": color, "fontcolor": color, "style": theme.backward_style, "penwidth": "1.5"}
        out.edge(arrow.end, arrow.start, dir="back", pos=route.text(back=True), **look, **text)
    elif arrow.kind == "kept":
        kept = {"color": theme.kept, "style": "dashed", "arrowhead": "vee", "arrowsize": "0.6", "penwidth": "1.1"}
        out.edge(arrow.start, arrow.end, pos=route.text(), **kept)
    else:
        out.edge(arrow.start, arrow.end, pos=route.text(), color=theme.wire, fontcolor=theme.muted, **text)


def _headings(out: graphviz.Digraph, theme: Theme, grid: Grid, placed: Placed) -> None:
    """``forward ↓`` and ``gradient ↑`` over the halves, beside what is on top where there is room."""
    top = placed.rows[0]
    rights = [spot.x for id, spot in placed.boxes.items() if grid.lanes[id] == grid.gradient]
    right = rights[0] if rights else max(spot.right for spot in placed.boxes.values())
    free = len(top) == 1 and top[0].x < right - 40
    y = top[0].y if free else max(spot.top for spot in top) + 22
    left = top[0].left - 60 if free else 0.0
    for id, text, color, x in (
        ("forward", "forward ↓", theme.value, left),
        ("gradient", "gradient ↑", theme.gradient, right),
    ):
        out.node(id, html([styled(text, color, bold=True, size=13)]), shape="plain", style="", pos=f"{x:g},{y:g}")


_WORDS = {"forward": "forward op", "backward": "gradient op", "input": "input", "param": "parameter"}
_CUES = {"forward": "round: op", "backward": "with ′ or ∂, bold dashes: gradient", "param": "square: parameter"}
"""What the roles are called in their colours, and how they are told apart without."""


def _legend(diagram: Diagram, theme: Theme) -> str:
    """A line that says what colours, borders and dashes mean, of what there is in the picture."""
    roles = {box.role for box in diagram.boxes}
    colorless = theme.looks["forward"].line == theme.looks["backward"].line
    words = {role: word for role, word in (_CUES if colorless else _WORDS).items() if role in roles}
    parts = [styled(word, theme.looks[role].line, bold=True, size=11) for role, word in words.items()]
    if roles & {"gradient", "output"}:
        parts.append(styled("thick box: returned", theme.muted, size=11))
    if any(arrow.kind == "kept" for arrow in diagram.arrows):
        dashes = "thin dashes" if colorless else "dashed"
        parts.append(styled(f"{dashes}: kept for the backward pass", theme.muted, size=11, longest=60))
    return f"<<BR/>{styled('   ·   ', theme.muted, size=11).join(parts)}>"
