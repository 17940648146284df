"""Steps of `scan` as graphs: which inputs some nodes need, and a step cut out of what it was made in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from graphc.builder import Builder
from graphc.graph import Graph, Node, Scope
from graphc.source import Span


class Nodes(Protocol):
    """Nodes with operands, names and places: a graph, or a builder that makes one."""

    def operands(self, node: Node) -> tuple[Node, ...]:
        """A node's operands, in position."""

    @property
    def names(self) -> Mapping[Node, Iterable[str]]:
        """The user's names."""

    @property
    def spans(self) -> Mapping[Node, Iterable[Span]]:
        """The places in the model."""

    @property
    def scopes(self) -> Mapping[Node, Iterable[Scope]]:
        """The layer calls around."""


def reached(nodes: Nodes, roots: Iterable[Node], ends: Iterable[Node] = ()) -> set[Node]:
    """What some nodes are computed from, themselves included; beyond an end nobody looks."""
    found = set(roots)
    stack, stops = list(found), set(ends)
    while stack:
        node = stack.pop()
        for operand in () if node in stops else nodes.operands(node):
            if operand not in found:
                found.add(operand)
                stack.append(operand)
    return found


def arranged(nodes: Nodes, inputs: Sequence[Node], outputs: Sequence[Node], doc: str) -> Graph:
    """The step with these inputs, in this order, whatever they were before, and these outputs.

    Parameters
    ----------
    nodes : Graph or Builder
    inputs : sequence of Node
        Nodes that become inputs, called what the model calls them.
    outputs : sequence of Node
        The next carries, then what is stacked.
    doc : str
        The name of the function that the step is made from.
    """
    builder = Builder()
    made: dict[Node, Node] = {}
    for node in inputs:
        names = tuple(nodes.names.get(node, ())) or (str(node.attrs.get("name") or node.op.name),)
        made[node] = builder.input(names[0], node.tensor).node
        builder.name(made[node], *names)
    for node in sorted(reached(nodes, outputs, inputs), key=lambda node: node.serial):
        if node not in made:
            with builder.at(tuple(nodes.spans.get(node, ())), tuple(nodes.scopes.get(node, ()))):
                made[node] = builder.make(node.op, tuple(made[o] for o in nodes.operands(node)), node.attrs, node.type)
            builder.name(made[node], *nodes.names.get(node, ()))
    return builder.finish({f"out_{k}": made[node] for k, node in enumerate(outputs)}, doc=doc)
