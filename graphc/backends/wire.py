"""The wire style, for scalars: values above the wires, gradients below, a dot where a value goes several ways.

A wire is itself a node, a table of value, thin rule and gradient with fixed cells; edges meet the rule. So numbers sit
on the wire whichever engine draws it, and showing one moves nothing: frames of single steps have one layout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from graphc.autodiff import Edge, Joint
from graphc.backends.dot_text import canvas, escaped, html, styled
from graphc.backends.numbers import number, sum_of
from graphc.backends.palette import LIGHT, Theme
from graphc.backends.picture import Picture, picture_of, shortened
from graphc.graph import Graph, Node
from graphc.steps import Known, Step, known_after, steps_of
from graphc.tensor_type import TensorType

if TYPE_CHECKING:
    import graphviz

    from graphc.evaluated import Evaluated

_MOST_NODES = 80
"""Beyond this, boxes are easier to read than wires."""
_NARROWEST, _LETTER, _LONGEST = 44, 9, 30
"""The least width of a wire's table and what a letter adds, in points; the letters that it has at most."""


@dataclass(frozen=True)
class Wire:
    """A wire: all the way from a value to its only user, the trunk before a fork, or a branch after it.

    Attributes
    ----------
    id, start, end : str
        Its own id and what it joins.
    node : Node
        Whose value is on it.
    edge : Edge or None
        The operand edge that it is; None for a trunk, and for a wire to an output.
    """

    id: str
    start: str
    end: str
    node: Node
    edge: Edge | None

    @property
    def trunk(self) -> bool:
        """Whether it ends in a fork."""
        return self.end.startswith("fork")

    @property
    def branch(self) -> bool:
        """Whether it starts in a fork."""
        return self.start.startswith("fork")


@dataclass(frozen=True)
class WireText:
    """What is beside a wire when all is known.

    Attributes
    ----------
    id : str
        Of the wire.
    above, below : str
        The value and the gradient, or their names.
    node : Node
        The value's.
    edge : Edge or None
        Of a branch: the edge whose contribution is below it; otherwise it is the node's gradient.
    """

    id: str
    above: str
    below: str
    node: Node
    edge: Edge | None


@dataclass(frozen=True, eq=False)
class _Shown:
    """What is written beside the wires."""

    theme: Theme
    joint: Joint | None
    at: Evaluated | None
    known: Known
    current: Step | None
    room: Sequence[Evaluated] = ()


def is_small_scalar(drawn: Graph | Joint) -> bool:
    """Whether a model is drawn as wires unless told: scalars only, and few enough to read."""
    nodes = picture_of(drawn).nodes
    return len(nodes) <= _MOST_NODES and all(isinstance(n.type, TensorType) and not n.type.shape for n in nodes)


def wire_dot(
    drawn: Graph | Joint,
    theme: Theme,
    title: str,
    *,
    at: Evaluated | None = None,
    step: int | None = None,
    gradient: bool = True,
    room: Sequence[Evaluated] = (),
    legend: bool = True,
) -> str:
    """The DOT text of a picture in wire style; without numbers, the names of values and of their gradients.

    Wires are wide enough for the numbers of the points in ``room`` too.
    """
    picture = picture_of(drawn)
    steps = steps_of(drawn)
    known = known_after(steps, len(steps) if step is None else step)
    joint = drawn if isinstance(drawn, Joint) and gradient else None
    shown = _Shown(theme, joint, at, known, steps[step - 1] if step else None, room)
    wires = tuple(_wires(picture))
    page = {"nodesep": "0.16", "ranksep": "0.2", "splines": "true", "pad": "0.2", "rankdir": "LR"}
    out = canvas(
        title, theme, **page, labelloc="b", fontsize="12", label=_legend(picture, shown, wires) if legend else ""
    )
    out.attr("edge", color=theme.thin, penwidth="2", arrowhead="none", arrowsize="0.55")
    for node in picture.nodes:
        _value(out, picture, shown, node)
    for name, node in picture.graph.outputs.items():
        if node in picture.outputs:
            _circle(out, theme, f"out_{name}", name, "output", escaped(f"output {name}"))
    for wire in wires:
        _wire(out, picture, shown, wire)
    for chain in _chains(picture, wires):
        out.body.append(f"\t{{rank=same; {' -> '.join(chain)} [style=invis]}}\n")
    return str(out.source)


def wire_texts(drawn: Graph | Joint, at: Evaluated | None) -> tuple[WireText, ...]:
    """What is beside each wire of a picture of both passes."""
    picture = picture_of(drawn)
    shown = _Shown(LIGHT, drawn if isinstance(drawn, Joint) else None, at, Known(), None)
    return tuple(
        WireText(
            wire.id,
            shortened(_above(picture, shown, wire), _LONGEST),
            shortened(_below(picture, shown, wire), _LONGEST),
            wire.node,
            wire.edge if wire.branch else None,
        )
        for wire in _wires(picture)
        if wire.id
    )


def _wires(picture: Picture) -> Iterator[Wire]:
    nodes = set(picture.nodes)
    for node in picture.nodes:
        name = f"w{node.serial}"
        edges = [edge for edge in picture.graph.users(node) if edge[0] in nodes]
        ends: list[tuple[str, str, Edge | None]] = [
            (f"{name}_{user.serial}_{position}", f"n{user.serial}", (user, position)) for user, position in edges
        ]
        outputs = [output for output, found in picture.graph.outputs.items() if found is node]
        ends += [(f"{name}_{output}", f"out_{output}", None) for output in outputs if node in picture.outputs]
        if picture.roles[node] == "constant":
            yield from (Wire("", f"n{node.serial}", end, node, edge) for _, end, edge in ends)
        elif len(ends) == 1:
            yield Wire(name, f"n{node.serial}", ends[0][1], node, ends[0][2])
        elif ends:
            yield Wire(name, f"n{node.serial}", f"fork{node.serial}", node, None)
            yield from (Wire(id, f"fork{node.serial}", end, node, edge) for id, end, edge in ends)


def _value(out: graphviz.Digraph, picture: Picture, shown: _Shown, node: Node) -> None:
    theme, id = shown.theme, f"n{node.serial}"
    tooltip = escaped(f"%{node.serial} {picture.formulas[node]}: {node.type}")
    role = picture.roles[node]
    if role == "constant":
        label = html([styled(picture.formulas[node], theme.muted, size=13)])
        out.node(id, label, id=id, shape="plaintext", margin="0.02", width="0", height="0", tooltip=tooltip)
    elif role in ("input", "param"):
        _circle(out, theme, id, picture.graph.name(node), role, tooltip, ring=_ring(shown, node))
    else:
        ring = _ring(shown, node)
        label = node.op.label if 0 < len(node.op.label) <= 2 else node.op.name
        outline = {"color": ring or theme.ink, "penwidth": "4" if ring else "1.3", "style": "filled"}
        symbol = {"shape": "circle", "width": "0.46", "fixedsize": "true", "fontsize": "19"}
        word = {"shape": "ellipse", "height": "0.46", "margin": "0.06,0.02", "fontsize": "13"}
        look = {**(symbol if len(label) <= 2 else word), **outline, "fillcolor": theme.looks["output"].fill}
        out.node(id, escaped(shortened(label, _LONGEST)), id=id, **{"class": "op"}, tooltip=tooltip, **look)


def _ring(shown: _Shown, node: Node) -> str:
    """The colour of the ring around the node that the step is about; none around others."""
    if shown.current is None or shown.current.node is not node:
        return ""
    return shown.theme.gradient if shown.current.backward else shown.theme.value


def _circle(
    out: graphviz.Digraph, theme: Theme, id: str, name: str, role: str, tooltip: str, *, ring: str = ""
) -> None:
    look = theme.looks[role]
    short = len(name) <= 2
    shape = {"shape": "circle", "width": "0.42", "fixedsize": "true"} if short else {"shape": "box", "height": "0.42"}
    corners = "filled" if short or role == "param" else "rounded,filled"
    outline = {"color": ring or look.line, "penwidth": "4" if ring else f"{look.width:g}", "fillcolor": look.fill}
    label = html([styled(name, look.text, italic=True, size=16, longest=_LONGEST)])
    out.node(
        id, label, id=id, **{"class": role}, tooltip=tooltip, style=corners, margin="0.08,0.02", **shape, **outline
    )


def _wire(out: graphviz.Digraph, picture: Picture, shown: _Shown, wire: Wire) -> None:
    if not wire.id:
        out.edge(wire.start, wire.end, arrowhead="normal", penwidth="1.3")
        return
    weight = {"minlen": "2"} if wire.branch else {"weight": "8" if wire.trunk else "6"}
    out.node(wire.id, _table(picture, shown, wire), id=wire.id, **{"class": "wire"}, shape="plain")
    out.edge(wire.start, f"{wire.id}:w:w", headclip="false", **weight)
    if wire.trunk:
        dot = {"shape": "circle", "width": "0.09", "fixedsize": "true", "style": "filled", "label": ""}
        out.node(wire.end, **dot, **{"class": "junction"}, fillcolor=shown.theme.thin, color=shown.theme.thin)
        out.edge(f"{wire.id}:w:e", wire.end, tailclip="false", weight="8")
    else:
        out.edge(f"{wire.id}:w:e", wire.end, tailclip="false", arrowhead="normal")


def _table(picture: Picture, shown: _Shown, wire: Wire) -> str:
    """Value, rule and gradient; cells are as wide as what they hold when all is known, so that nothing moves."""
    theme = shown.theme
    above, below = _above(picture, shown, wire), _below(picture, shown, wire)
    others = [replace(shown, at=at) for at in shown.room]
    texts = [above, below, *(text for it in others for text in (_above(picture, it, wire), _below(picture, it, wire)))]
    width = max(_NARROWEST, *(_LETTER * min(len(text), _LONGEST) + 8 for text in texts))
    step = shown.current
    new_value = step is not None and wire.node in step.values
    new_gradient = step is not None and (
        wire.edge in step.contributions or (not wire.branch and wire.node in step.gradients)
    )
    value = _cell(above if _value_known(shown, wire) else "", theme.value, theme.bold_values, new_value)
    gradient = _cell(below if _gradient_known(shown, wire) else "", theme.gradient, True, new_gradient)
    rows = (
        f'<TD WIDTH="{width}" HEIGHT="19" VALIGN="BOTTOM">{value}</TD>',
        f'<TD HEIGHT="2" WIDTH="{width}" BGCOLOR="{theme.thin}">{_rule(width)}</TD>',
        f'<TD WIDTH="{width}" HEIGHT="19" VALIGN="TOP">{gradient}</TD>',
    )
    body = "".join(f"<TR>{row}</TR>" for row in rows)
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{body}</TABLE>>'


def _rule(width: int) -> str:
    """Where edges end: a point inside of the rule, or a hair of the page would show between them."""
    end = '<TD WIDTH="1" HEIGHT="2" FIXEDSIZE="TRUE"></TD>'
    middle = f'<TD PORT="w" WIDTH="{width - 2}" HEIGHT="2" FIXEDSIZE="TRUE"></TD>'
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR>{end}{middle}{end}</TR></TABLE>'


def _cell(text: str, color: str, bold: bool, new: bool) -> str:
    return styled(text, color, bold=bold, underline=new and bool(text), size=14, longest=_LONGEST)


def _value_known(shown: _Shown, wire: Wire) -> bool:
    return wire.node in shown.known.values


def _gradient_known(shown: _Shown, wire: Wire) -> bool:
    if wire.edge is not None and wire.branch:
        return wire.edge in shown.known.contributions
    return wire.node in shown.known.gradients


def _above(picture: Picture, shown: _Shown, wire: Wire) -> str:
    named = picture.roles[wire.node] == "forward" and not wire.branch
    name = picture.graph.name(wire.node) if named else ""
    if shown.at is None:
        return name
    value = number(shown.at.values[wire.node])
    return f"{name} = {value}" if name else value


def _below(picture: Picture, shown: _Shown, wire: Wire) -> str:
    """The gradient by the value, of a branch what its path adds, of a trunk the sum."""
    if shown.joint is None:
        return ""
    if shown.at is None:
        name = picture.graph.name(wire.node)
        return f"∂{name}" if name and not wire.branch and wire.node in shown.joint.cotangents else ""
    at = shown.at
    if wire.branch:
        sent = at.contributions.get(wire.edge) if wire.edge else _seed(shown.joint, wire)
        return "" if sent is None else number(sent)
    if wire.node not in at.gradients:
        return ""
    gradient = at.gradients[wire.node]
    if not wire.trunk:
        return number(gradient)
    edges = [edge for edge in picture.graph.users(wire.node) if edge in at.contributions]
    parts = [at.contributions[edge] for edge in edges]
    seeds = [1.0 for name in shown.joint.seeds if picture.graph.outputs[name] is wire.node]
    return sum_of([*parts, *seeds], gradient) if len(parts) + len(seeds) > 1 else number(gradient)


def _seed(joint: Joint, wire: Wire) -> float | None:
    """The cotangent that a wire to an output starts with."""
    return 1.0 if wire.end.removeprefix("out_") in joint.seeds else None


def _chains(picture: Picture, wires: Sequence[Wire]) -> list[list[str]]:
    """What stands in one column, in the order of the model: leaves, ops of one depth, the branches that lead there."""
    depth: dict[Node, int] = {}
    for node in picture.nodes:
        depth[node] = max((depth[operand] + 1 for operand in picture.graph.operands(node)), default=0)
    leaves = [node for node in picture.nodes if picture.roles[node] in ("input", "param")]
    rows: dict[tuple[str, int], list[str]] = {("leaf", 0): [f"n{node.serial}" for node in leaves]}
    for node in picture.nodes:
        if depth[node]:
            rows.setdefault(("op", depth[node]), []).append(f"n{node.serial}")
    branches = [(wire.edge, wire.id) for wire in wires if wire.branch and wire.edge is not None]
    for (user, _), id in sorted(branches, key=lambda branch: (branch[0][0].serial, branch[0][1])):
        rows.setdefault(("wire", depth[user]), []).append(id)
    return [row for row in rows.values() if len(row) > 1]


def _legend(picture: Picture, shown: _Shown, wires: Sequence[Wire]) -> str:
    theme = shown.theme
    dot = styled("   ·   ", theme.muted, size=12)
    parts: list[str] = []
    if above := _kind_above(picture, shown, wires):
        kind = styled(above, theme.value, bold=True, size=12)
        parts.append(styled("above the wire: ", theme.muted, size=12) + kind)
    if shown.joint is not None:
        of = next(iter(shown.joint.seeds))
        gradient = styled(f"gradient ∂{of}/∂wire", theme.gradient, bold=True, size=12)
        parts.append(styled("below the wire: ", theme.muted, size=12) + gradient)
        if any(wire.trunk for wire in wires):
            parts.append(styled("at a junction ● the path gradients add", theme.muted, size=12))
    return f"<<BR/>{dot.join(parts)}>" if parts else ""


def _kind_above(picture: Picture, shown: _Shown, wires: Sequence[Wire]) -> str:
    """What stands above wires: values where there are numbers, else the names of those that have one."""
    if shown.at is not None:
        return "value"
    return "name" if any(_above(picture, shown, wire) for wire in wires) else ""
