"""Pictures as DOT text: a graph, or a joint graph with its gradient, in; Graphviz source out, always the same bytes.

Forward runs from the top down. A cotangent stands beside the value that it belongs to: gradient edges are written from
the upper node to the lower one and drawn backwards, which also keeps layout fast.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape as escape_html
from typing import TYPE_CHECKING, Literal

from graphc.autodiff import Joint
from graphc.backends.listing import call_text
from graphc.backends.palette import INK, KEPT, MONO, MUTED, PAGE, PALETTE, SANS, WIRE
from graphc.graph import Graph, Node
from graphc.tensor_type import TensorType, shape_text

if TYPE_CHECKING:
    import graphviz

View = Literal["forward", "gradient", "joint"]
VIEWS: tuple[View, ...] = ("forward", "gradient", "joint")

_LONGEST_LABEL, _LONGEST_OPERAND, _MOST_NAMES = 40, 24, 3
_LARGE = 400
"""Nodes from which the layout takes fewer rounds and straight lines: tidy pictures would cost minutes."""


@dataclass(frozen=True)
class _Picture:
    """What is drawn: some nodes of a graph, in which roles and under which names."""

    graph: Graph
    nodes: tuple[Node, ...]
    names: Mapping[Node, tuple[str, ...]]
    roles: Mapping[Node, str]
    backward: frozenset[Node]
    outputs: frozenset[Node]
    rows: tuple[tuple[Node, Node], ...]


def dot(drawn: Graph | Joint, *, view: View = "joint", title: str = "graphc") -> str:
    """The DOT text of a picture.

    Parameters
    ----------
    drawn : Graph or Joint
        A graph has a forward view only, whichever is asked for.
    view : {"forward", "gradient", "joint"}
        The model, its gradient with the values that it needs, or both.
    title : str
        The name of the DOT graph, which is the title of an SVG.

    Examples
    --------
    >>> from graphc.builder import Builder
    >>> from graphc.tensor_type import TensorType
    >>> b = Builder()
    >>> x, y = b.input("x", TensorType("float64")), b.input("y", TensorType("float64"))
    >>> 'n0 -> n2 [' in dot(b.finish({"f": (x * y).node}))
    True
    """
    picture = _of_joint(drawn, view) if isinstance(drawn, Joint) else _of_graph(drawn)
    shown = set(picture.nodes)
    out = _canvas(title, len(picture.nodes))
    formulas = _formulas(picture)
    labels = _edge_labels(picture)
    for node in picture.nodes:
        out.node(f"n{node.serial}", **_node_attributes(picture, node, formulas[node]))
    for node in picture.nodes:
        for operand in picture.graph.operands(node):
            if operand in shown:
                _edge(out, picture, operand, node, labels.get(operand, ""))
    for left, right in picture.rows:
        out.body.append(f"\t{{rank=same; n{left.serial}; n{right.serial}}}\n")
    return str(out.source)


def _of_graph(graph: Graph) -> _Picture:
    outputs = frozenset(graph.outputs.values())
    roles = {node: _role(node, node in outputs) for node in graph.nodes}
    return _Picture(graph, graph.nodes, graph.names, roles, frozenset(), outputs, ())


def _of_joint(joint: Joint, view: View) -> _Picture:
    graph = joint.graph
    backward = _backward(joint)
    gradients = set(joint.gradients.values())
    outputs = frozenset(node for name, node in graph.outputs.items() if name not in gradients)
    returned = {graph.outputs[name] for name in gradients}
    roles = {
        node: _backward_role(node, node in returned) if node in backward else _role(node, node in outputs)
        for node in graph.nodes
    }
    forward = tuple(node for node in graph.nodes if node not in backward)
    nodes = {"forward": forward, "joint": graph.nodes, "gradient": _with_operands(graph, backward)}[view]
    rows = tuple(_beside(joint, backward).items()) if view == "joint" else ()
    return _Picture(graph, nodes, _gradient_names(joint, backward), roles, backward, outputs, rows)


def _role(node: Node, is_output: bool) -> str:
    if node.op.name in ("input", "param"):
        return node.op.name
    return "output" if is_output else "constant" if node.op.arity == 0 else "forward"


def _backward_role(node: Node, is_returned: bool) -> str:
    is_constant = node.op.arity == 0 and node.op.name != "input"
    return "gradient" if is_returned else "constant" if is_constant else "backward"


def _backward(joint: Joint) -> frozenset[Node]:
    """The nodes that exist for the gradient only: what the forward outputs do not need."""
    graph = joint.graph
    gradients = set(joint.gradients.values())
    seeds = set(joint.seeds.values())
    leaves = [node for node in (*graph.inputs, *graph.params) if node not in seeds]
    needed = {*leaves, *(node for name, node in graph.outputs.items() if name not in gradients), *joint.nodes.values()}
    stack = list(needed)
    while stack:
        for operand in graph.operands(stack.pop()):
            if operand not in needed:
                needed.add(operand)
                stack.append(operand)
    return frozenset(node for node in graph.nodes if node not in needed)


def _beside(joint: Joint, backward: frozenset[Node]) -> dict[Node, Node]:
    """Forward nodes and the cotangents that share their row; a cotangent that serves several stands by the last."""
    by_cotangent: dict[Node, Node] = {}
    for node in joint.graph.nodes:
        cotangent = joint.cotangents.get(node)
        if cotangent is not None and cotangent in backward and node not in backward:
            by_cotangent[cotangent] = node
    return {node: cotangent for cotangent, node in by_cotangent.items()}


def _with_operands(graph: Graph, backward: frozenset[Node]) -> tuple[Node, ...]:
    shown = {*backward, *(operand for node in backward for operand in graph.operands(node))}
    return tuple(node for node in graph.nodes if node in shown)


def _gradient_names(joint: Joint, backward: frozenset[Node]) -> dict[Node, tuple[str, ...]]:
    """User names, and ``∂name`` for cotangents."""
    graph = joint.graph
    names = {node: [] if node in backward else list(graph.names.get(node, ())) for node in graph.nodes}
    for node in graph.nodes:
        cotangent = joint.cotangents.get(node)
        if cotangent in backward:
            names[cotangent] += [f"∂{name}" for name in graph.names.get(node, ())]
    named = {name: graph.outputs[output] for name, output in joint.gradients.items()}
    for name, gradient in [*named.items(), *joint.seeds.items()]:
        if gradient in names and f"∂{name}" not in names[gradient]:
            names[gradient].append(f"∂{name}")
    return {node: tuple(found) for node, found in names.items()}


def _canvas(title: str, count: int) -> graphviz.Digraph:
    import graphviz

    layout = {"splines": "line", "nslimit": "2", "mclimit": "0.5"} if count > _LARGE else {"splines": "true"}
    page = {"rankdir": "TB", "newrank": "true", "bgcolor": PAGE, "nodesep": "0.3", "ranksep": "0.45", "pad": "0.25"}
    node = {"shape": "box", "style": "rounded,filled", "fontname": SANS, "fontsize": "12", "height": "0.5"}
    edge = {"fontname": MONO, "fontsize": "9.5", "arrowsize": "0.65", "penwidth": "1.3"}
    page |= {"fontname": SANS, "tooltip": graphviz.escape(title), **layout}
    # A graph's name knows no escape for a backslash.
    return graphviz.Digraph(graphviz.escape(title.replace("\\", "/")), graph_attr=page, node_attr=node, edge_attr=edge)


def _node_attributes(picture: _Picture, node: Node, formula: str) -> dict[str, str]:
    import graphviz

    look = PALETTE[picture.roles[node]]
    tooltip = f"%{node.serial} {formula}: {node.type}"
    shared = {"id": f"n{node.serial}", "class": picture.roles[node], "tooltip": graphviz.escape(tooltip)}
    if node not in picture.backward:
        # Operands from left to right, as in the source.
        shared["ordering"] = "in"
    if not look.fill:
        return {**shared, **_PLAIN, "label": _html([_text(formula, MUTED, mono=True)])}
    label = _html(_label(picture, node, formula, look.text))
    # An input that is also an output has the border of one.
    width = PALETTE["output"].width if node in picture.outputs else look.width
    outline = {"color": look.line, "fillcolor": look.fill, "style": look.style, "penwidth": f"{width:g}"}
    return {**shared, "label": label, "margin": "0.13,0.06", **outline}


_PLAIN = {"shape": "plaintext", "style": "", "margin": "0.04,0.02", "width": "0", "height": "0"}


def _label(picture: _Picture, node: Node, formula: str, color: str) -> list[str]:
    """The two lines of a box: what it is called, and how it comes about."""
    names = picture.names.get(node, ())
    seed = node in picture.backward and node.op.name == "input"
    if picture.roles[node] in ("input", "param", "gradient") or seed:
        below = "seed" if seed else formula
        return [_text(_joined(names), color, bold=True), _text(below, INK, mono=True)]
    head = _text(node.op.name, color, bold=True)
    return [head, _text(f"{_joined(names)} = {formula}" if names else formula, INK, mono=True)]


def _joined(names: Sequence[str]) -> str:
    return " = ".join([*names[:_MOST_NAMES], *["…"][: len(names) > _MOST_NAMES]])


def _text(text: str, color: str, *, bold: bool = False, mono: bool = False) -> str:
    # In HTML labels \N is the node's name, however it is written; a space without width keeps the letters apart.
    plain = escape_html(_shortened(text, _LONGEST_LABEL)).replace("\\", "\\\u200b")
    face = f' FACE="{MONO}" POINT-SIZE="10"' if mono else ""
    return f'<FONT COLOR="{color}"{face}>{f"<B>{plain}</B>" if bold else plain}</FONT>'


def _html(lines: Iterable[str]) -> str:
    return f"<{'<BR/>'.join(lines)}>"


def _shortened(text: str, longest: int) -> str:
    # Graphviz refuses control characters and, in bold, an empty run.
    printable = "".join(letter if letter.isprintable() else "�" for letter in text)
    return printable if len(printable) <= longest else f"{printable[: longest - 1]}…"


def _formulas(picture: _Picture) -> dict[Node, str]:
    """What each node computes, in the names of its operands; a nameless operand is spelled out while it is short."""
    formulas: dict[Node, str] = {}
    for node in picture.graph.nodes:
        operands = [_reference(picture, operand, formulas[operand]) for operand in picture.graph.operands(node)]
        formulas[node] = _formula(node, operands)
    return formulas


_Reference = tuple[str, bool]
"""How an operand is written, and whether an operator beside it calls for brackets."""


def _reference(picture: _Picture, node: Node, formula: str) -> _Reference:
    names = picture.names.get(node, ())
    if names:
        return names[0], False
    return (formula, _is_operator(node)) if len(formula) <= _LONGEST_OPERAND else ("…", False)


def _formula(node: Node, operands: Sequence[_Reference]) -> str:
    bracketed = [f"({text})" if is_operator else text for text, is_operator in operands]
    label, value = node.op.label, node.attrs.get("value")
    if node.op.arity == 0 and isinstance(value, float) and value.is_integer():
        return f"{value:g}"
    if node.op.arity == 1 and label in _POSTFIX and node.attrs.get("axes", (1, 0)) == (1, 0):
        return f"{bracketed[0]}{_POSTFIX[label]}"
    if not _is_operator(node):
        return call_text(node, [text for text, _ in operands])
    return f" {label} ".join(bracketed) if len(bracketed) == 2 else f"{label}{bracketed[0]}"


_POSTFIX = {"T": "ᵀ", "²": "²"}


def _is_operator(node: Node) -> bool:
    """Whether its label is written between its operands or before its only one."""
    op = node.op
    symbol = bool(op.label) and not any(letter.isalnum() or letter.isspace() for letter in op.label)
    # What has no derivative rule, as `grad`, is written as a call.
    return symbol and not node.attrs and op.arity in (1, 2) and (op.elementwise is not None or op.vjp is not None)


def _edge_labels(picture: _Picture) -> dict[Node, str]:
    """The shapes of values; none on constants, and none at all where every value is a scalar."""
    tensors = [node for node in picture.nodes if picture.roles[node] != "constant"]
    shapes = {node: _shape(node) for node in tensors}
    return shapes if any(not shape.startswith("scalar") for shape in shapes.values()) else {}


def _shape(node: Node) -> str:
    """The shape, and the dtype where it is not the model's float type."""
    if not isinstance(node.type, TensorType):
        return str(node.type)
    return shape_text(node.type.shape) + ("" if node.type.is_float else f" {node.type.dtype}")


def _edge(out: graphviz.Digraph, picture: _Picture, operand: Node, user: Node, label: str) -> None:
    import graphviz

    text = {"label": graphviz.escape(f" {_shortened(label, _LONGEST_LABEL)}")} if label else {}
    if operand in picture.backward:
        color = PALETTE["backward"].line
        out.edge(f"n{user.serial}", f"n{operand.serial}", dir="back", weight="4", color=color, fontcolor=color, **text)
    elif user in picture.backward:
        out.edge(f"n{operand.serial}", f"n{user.serial}", color=KEPT, style="dashed", arrowhead="vee", weight="0")
    else:
        out.edge(f"n{operand.serial}", f"n{user.serial}", weight="4", color=WIRE, fontcolor=MUTED, **text)
