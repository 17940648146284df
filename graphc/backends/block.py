"""The block style, for tensors: forward from the top down, each gradient on the rank of the value that it belongs to.

Gradient edges are written from the upper node to the lower one and drawn backwards, which also keeps layout fast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from graphc.backends.dot_text import LONGEST_LABEL, canvas, escaped, html, styled
from graphc.backends.palette import Theme
from graphc.backends.picture import Picture, shape_of, shortened
from graphc.graph import Node

if TYPE_CHECKING:
    import graphviz

_MOST_NAMES = 3
_LARGE = 400
"""Nodes from which the layout takes fewer rounds and straight lines: tidy pictures would cost minutes."""


def block_dot(picture: Picture, theme: Theme, title: str) -> str:
    """The DOT text of a picture in block style."""
    shown = set(picture.nodes)
    out = _canvas(title, theme, len(picture.nodes))
    labels = _edge_labels(picture)
    for node in picture.nodes:
        out.node(f"n{node.serial}", **_node_attributes(picture, theme, node))
    for node in picture.nodes:
        for operand in picture.graph.operands(node):
            if operand in shown:
                _edge(out, picture, theme, operand, node, labels.get(operand, ""))
    for left, right in picture.beside.items():
        out.body.append(f"\t{{rank=same; n{left.serial}; n{right.serial}}}\n")
    return str(out.source)


def _canvas(title: str, theme: Theme, count: int) -> graphviz.Digraph:
    layout = {"splines": "line", "nslimit": "2", "mclimit": "0.5"} if count > _LARGE else {"splines": "true"}
    return canvas(title, theme, rankdir="TB", nodesep="0.3", ranksep="0.45", pad="0.25", **layout)


def _node_attributes(picture: Picture, theme: Theme, node: Node) -> dict[str, str]:
    formula = picture.formulas[node]
    role = picture.roles[node]
    look = theme.looks[role]
    tooltip = f"%{node.serial} {formula}: {node.type}"
    shared = {"id": f"n{node.serial}", "class": role, "tooltip": escaped(tooltip)}
    if node not in picture.backward:
        # Operands from left to right, as in the source.
        shared["ordering"] = "in"
    if not look.fill:
        return {**shared, **_PLAIN, "label": html([styled(formula, theme.muted, mono=True)])}
    label = html(_label(picture, theme, node, formula, look.text))
    # An input that is also an output has the border of one.
    width = theme.looks["output"].width if node in picture.outputs else look.width
    outline = {"color": look.line, "fillcolor": look.fill, "style": look.style, "penwidth": f"{width:g}"}
    return {**shared, "shape": "box", "height": "0.5", "label": label, "margin": "0.13,0.06", **outline}


_PLAIN = {"shape": "plaintext", "style": "", "margin": "0.04,0.02", "width": "0", "height": "0"}


def _label(picture: Picture, theme: Theme, node: Node, formula: str, color: str) -> list[str]:
    """The two lines of a box: what it is called, and how it comes about."""
    names = picture.names.get(node, ())
    seed = node in picture.backward and node.op.name == "input"
    if picture.roles[node] in ("input", "param", "gradient") or seed:
        below = "seed" if seed else formula
        return [styled(_joined(names), color, bold=True), styled(below, theme.ink, mono=True)]
    head = styled(node.op.name, color, bold=True)
    return [head, styled(f"{_joined(names)} = {formula}" if names else formula, theme.ink, mono=True)]


def _joined(names: Sequence[str]) -> str:
    return " = ".join([*names[:_MOST_NAMES], *["…"][: len(names) > _MOST_NAMES]])


def _edge_labels(picture: Picture) -> Mapping[Node, str]:
    """The shapes of values; none on constants, and none at all where every value is a scalar."""
    tensors = [node for node in picture.nodes if picture.roles[node] != "constant"]
    shapes = {node: shape_of(node) for node in tensors}
    return shapes if any(not shape.startswith("scalar") for shape in shapes.values()) else {}


def _edge(out: graphviz.Digraph, picture: Picture, theme: Theme, operand: Node, user: Node, label: str) -> None:
    text = {"label": escaped(f" {shortened(label, LONGEST_LABEL)}")} if label else {}
    if operand in picture.backward:
        color = theme.looks["backward"].line
        look = {"color": color, "fontcolor": color, "style": theme.backward_style}
        out.edge(f"n{user.serial}", f"n{operand.serial}", dir="back", weight="4", **look, **text)
    elif user in picture.backward:
        kept = {"color": theme.kept, "style": "dashed", "arrowhead": "vee"}
        out.edge(f"n{operand.serial}", f"n{user.serial}", weight="0", **kept)
    else:
        out.edge(f"n{operand.serial}", f"n{user.serial}", weight="4", color=theme.wire, fontcolor=theme.muted, **text)
