"""What pictures show of a graph, or of a joint graph: which nodes, in which roles, under which names and formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from graphc.autodiff import Joint
from graphc.backends.listing import call_text
from graphc.graph import Graph, Node
from graphc.steps import forward_nodes, is_constant
from graphc.tensor_type import TensorType, shape_text

View = Literal["forward", "gradient", "joint"]
VIEWS: tuple[View, ...] = ("forward", "gradient", "joint")

_LONGEST_OPERAND = 24


@dataclass(frozen=True, eq=False)
class Picture:
    """What is drawn of a graph.

    Attributes
    ----------
    graph : Graph
    nodes : tuple of Node
        Those that are shown, in the order of the model.
    names : mapping of Node to tuple of str
        The user's names, and ``∂name`` for cotangents.
    roles : mapping of Node to str
        The keys of a theme's looks.
    backward : frozenset of Node
        Those that exist for the gradient only.
    outputs : frozenset of Node
    beside : mapping of Node to Node
        From forward nodes to the cotangents that share their rank.
    """

    graph: Graph
    nodes: tuple[Node, ...]
    names: Mapping[Node, tuple[str, ...]]
    roles: Mapping[Node, str]
    backward: frozenset[Node]
    outputs: frozenset[Node]
    beside: Mapping[Node, Node]

    @cached_property
    def formulas(self) -> Mapping[Node, str]:
        """What each node computes, in the names of its operands; a short nameless one is spelled out."""
        formulas: dict[Node, str] = {}
        for node in self.graph.nodes:
            operands = [_reference(self, operand, formulas[operand]) for operand in self.graph.operands(node)]
            formulas[node] = _formula(node, operands)
        return formulas


def picture_of(drawn: Graph | Joint, view: View) -> Picture:
    """What a view shows.

    Parameters
    ----------
    drawn : Graph or Joint
        A graph has a forward view only, whichever is asked for.
    view : {"forward", "gradient", "joint"}
        The model, its gradient with the values that it needs, or both.
    """
    return _of_joint(drawn, view) if isinstance(drawn, Joint) else _of_graph(drawn)


def shape_of(node: Node) -> str:
    """The shape, and the dtype where it is not the model's float type."""
    if not isinstance(node.type, TensorType):
        return str(node.type)
    return shape_text(node.type.shape) + ("" if node.type.is_float else f" {node.type.dtype}")


def shortened(text: str, longest: int) -> str:
    """A text for a label: no longer than that, without control characters, which Graphviz refuses."""
    printable = "".join(letter if letter.isprintable() else "�" for letter in text)
    return printable if len(printable) <= longest else f"{printable[: longest - 1]}…"


def _of_graph(graph: Graph) -> Picture:
    outputs = frozenset(graph.outputs.values())
    roles = {node: _role(node, node in outputs) for node in graph.nodes}
    return Picture(graph, graph.nodes, graph.names, roles, frozenset(), outputs, {})


def _of_joint(joint: Joint, view: View) -> Picture:
    graph = joint.graph
    backward = frozenset(graph.nodes) - forward_nodes(joint)
    gradients = set(joint.gradients.values())
    outputs = frozenset(node for name, node in graph.outputs.items() if name not in gradients)
    returned = {graph.outputs[name] for name in gradients}
    roles = {
        node: _backward_role(node, node in returned) if node in backward else _role(node, node in outputs)
        for node in graph.nodes
    }
    forward = tuple(node for node in graph.nodes if node not in backward)
    nodes = {"forward": forward, "joint": graph.nodes, "gradient": _with_operands(graph, backward)}[view]
    beside = _beside(joint, backward) if view == "joint" else {}
    return Picture(graph, nodes, _gradient_names(joint, backward), roles, backward, outputs, beside)


def _role(node: Node, is_output: bool) -> str:
    if node.op.name in ("input", "param"):
        return node.op.name
    return "output" if is_output else "constant" if is_constant(node) else "forward"


def _backward_role(node: Node, is_returned: bool) -> str:
    return "gradient" if is_returned else "constant" if is_constant(node) else "backward"


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


_Reference = tuple[str, bool]
"""How an operand is written, and whether an operator beside it calls for brackets."""


def _reference(picture: Picture, node: Node, formula: str) -> _Reference:
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
