"""The diff view: kept is quiet, removed dashed and struck with −, added thick with +; what changed and is around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from graphc.backends.dot_text import canvas, escaped, html, styled
from graphc.backends.formulas import Notation, notation_of
from graphc.backends.palette import Theme
from graphc.backends.picture import shape_of, shortened
from graphc.changes import Change, neighbourhood
from graphc.graph import Graph, Node

if TYPE_CHECKING:
    import graphviz

MOST_SHAPES = 200
"""Where there are more arrows, their shapes are tooltips: laying out so many labels takes ten times as long."""

_SIGNS = {"kept": "", "removed": "− ", "added": "+ "}


def diff_dot(change: Change, theme: Theme, title: str) -> str:
    """The DOT text of a change."""
    page = {"rankdir": "LR", "nodesep": "0.32", "ranksep": "0.5", "pad": "0.25"}
    out = canvas(title, theme, **page, labelloc="t", labeljust="l", fontsize="12", label=_title(change, theme))
    before, after = neighbourhood(change)
    ids = {old: f"n{new.serial}" for new, old in change.kept.items()}
    now = notation_of(change.after, every=True)
    then = notation_of(change.before, every=True, known={old: now.names[new] for new, old in change.kept.items()})
    shown = set()
    for node in change.before.nodes:
        id = ids.get(node, f"o{node.serial}")
        if node in before:
            shown.add(id)
            if id[0] == "o":
                _box(out, theme, id, node, "removed", then)
    for node in change.after.nodes:
        id = f"n{node.serial}"
        if node in after or id in shown:
            shown.add(id)
            _box(out, theme, id, node, "kept" if node in change.kept else "added", now)
    arrows = [arrow for arrow in _arrows(change, ids) if arrow[0] in shown and arrow[1] in shown]
    place = "label" if len(arrows) <= MOST_SHAPES else "tooltip"
    for start, end, kind, shape in arrows:
        text = {} if shape.startswith("scalar") else {place: escaped(f" {shortened(shape, 28)}")}
        _arrow(out, theme, start, end, kind, text)
    return str(out.source)


def _arrows(change: Change, ids: Mapping[Node, str]) -> Iterator[tuple[str, str, str, str]]:
    before = [*_edges(change.before, {node: ids.get(node, f"o{node.serial}") for node in change.before.nodes})]
    after = [*_edges(change.after, {node: f"n{node.serial}" for node in change.after.nodes})]
    now, then = {edge[:2] for edge in after}, {edge[:2] for edge in before}
    yield from ((start, end, "removed", shape) for start, end, shape in before if (start, end) not in now)
    yield from ((s, e, "kept" if (s, e) in then else "added", shape) for s, e, shape in after)


def _edges(graph: Graph, ids: Mapping[Node, str]) -> Iterator[tuple[str, str, str]]:
    for node in graph.nodes:
        yield from ((ids[operand], ids[node], shape_of(operand)) for operand in dict.fromkeys(graph.operands(node)))


def _box(out: graphviz.Digraph, theme: Theme, id: str, node: Node, kind: str, notation: Notation) -> None:
    formula = notation.formulas[node]
    name = notation.names[node][0]
    leaf = node.op.name in ("input", "param")
    head = name if leaf else formula if node.op.arity == 0 else node.op.name
    body = node.op.name if leaf else "constant" if node.op.arity == 0 else f"{name} = {formula}"
    color = {"kept": theme.muted, "removed": theme.gradient, "added": theme.value}[kind]
    line = theme.kept if kind == "kept" else color
    fill = {"kept": theme.page, "removed": theme.looks["backward"].fill, "added": theme.looks["forward"].fill}[kind]
    sign = styled(_SIGNS[kind], color, bold=True) if kind != "kept" else ""
    text = sign + styled(head, color, bold=True, strike=kind == "removed")
    lines = [text, styled(body, theme.muted if kind == "kept" else theme.ink, mono=True)]
    style = "rounded,filled,dashed" if kind == "removed" else "rounded,filled"
    look = {"color": line, "fillcolor": fill, "style": style, "shape": "box", "height": "0.5", "margin": "0.13,0.06"}
    width = {"kept": "1", "removed": "1.3", "added": "2.6"}[kind]
    tooltip = escaped(f"{name} = {formula}: {node.type}")
    out.node(id, html(lines), id=id, **{"class": kind}, tooltip=tooltip, penwidth=width, **look)


def _arrow(out: graphviz.Digraph, theme: Theme, start: str, end: str, kind: str, text: Mapping[str, str]) -> None:
    if kind == "removed":
        out.edge(start, end, color=theme.gradient, style="dashed", **text)
    elif kind == "added":
        out.edge(start, end, color=theme.value, penwidth="2.4", **text)
    else:
        out.edge(start, end, color=theme.kept, penwidth="1", **text)


def _title(change: Change, theme: Theme) -> str:
    gap = styled("   ·   ", theme.muted, size=12)
    parts = [styled(change.title, theme.muted, bold=True, size=12)]
    if change.firing is not None:
        rule = styled(change.firing.rule, theme.muted, mono=True, size=12)
        parts = [styled(f"{change.title}:  ", theme.muted, bold=True, size=12) + rule]
    if change.others:
        parts.append(styled(f"with {', '.join(change.others)}", theme.muted, size=12, longest=60))
    parts.append(styled(f"−{_nodes(len(change.removed))}  +{_nodes(len(change.added))}", theme.muted, size=12))
    if change.firing is not None and change.firing.span is not None:
        span = change.firing.span
        parts.append(styled(f"{span.source.name}:{span.line}", theme.muted, size=12))
    return f"<{gap.join(parts)}<BR/> >"


def _nodes(count: int) -> str:
    return f"{count} node" if count == 1 else f"{count} nodes"
