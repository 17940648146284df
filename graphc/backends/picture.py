"""What pictures show of a graph, or of a joint graph: which nodes, in which roles, under which names and formulas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from graphc.autodiff import Joint
from graphc.backends.formulas import notation_of
from graphc.graph import Graph, Node
from graphc.steps import forward_nodes, is_constant
from graphc.tensor_type import TensorType, shape_text

View = Literal["forward", "gradient", "joint", "diff"]
VIEWS: tuple[View, ...] = ("forward", "gradient", "joint", "diff")


@dataclass(frozen=True, eq=False)
class Picture:
    """What is drawn of a graph.

    Attributes
    ----------
    graph : Graph
    nodes : tuple of Node
        Those that are shown, in the order of the model.
    names : mapping of Node to tuple of str
        The user's names.
    roles : mapping of Node to str
        The keys of a theme's looks.
    formulas : mapping of Node to str
        What each node computes, in the names of its operands.
    outputs : frozenset of Node
    """

    graph: Graph
    nodes: tuple[Node, ...]
    names: Mapping[Node, tuple[str, ...]]
    roles: Mapping[Node, str]
    formulas: Mapping[Node, str]
    outputs: frozenset[Node]


def picture_of(drawn: Graph | Joint) -> Picture:
    """The values of a model, without those that exist for its gradient only."""
    graph = drawn.graph if isinstance(drawn, Joint) else drawn
    shown = forward_nodes(drawn) if isinstance(drawn, Joint) else frozenset(graph.nodes)
    gradients = set(drawn.gradients.values()) if isinstance(drawn, Joint) else set()
    outputs = frozenset(node for name, node in graph.outputs.items() if name not in gradients)
    nodes = tuple(node for node in graph.nodes if node in shown)
    roles = {node: _role(node, node in outputs) for node in nodes}
    return Picture(graph, nodes, graph.names, roles, notation_of(drawn).formulas, outputs)


def shape_of(node: Node) -> str:
    """The shape, and the dtype where it is not the model's float type; of several results one after the other."""
    types = (node.type,) if isinstance(node.type, TensorType) else node.type.items
    return ", ".join(shape_text(type.shape) + ("" if type.is_float else f" {type.dtype}") for type in types)


def shortened(text: str, longest: int) -> str:
    """A text for a label: no longer than that, without control characters, which Graphviz refuses."""
    printable = "".join(letter if letter.isprintable() else "�" for letter in text)
    return printable if len(printable) <= longest else f"{printable[: longest - 1]}…"


def _role(node: Node, is_output: bool) -> str:
    if node.op.name in ("input", "param"):
        return node.op.name
    return "output" if is_output else "constant" if is_constant(node) else "forward"
