"""The passes of backpropagation in order, one step at a time: what frames, reports and derivations go by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from graphc.autodiff import Edge, Joint
from graphc.graph import Graph, Node

Kind = Literal["leaf", "forward", "seed", "backward", "sum"]


@dataclass(frozen=True)
class Step:
    """One step, and what is known after it that was not before.

    Attributes
    ----------
    kind : {"leaf", "forward", "seed", "backward", "sum"}
        A leaf is given, an op computes its value; the loss gets its cotangent, an op sends its cotangent on to its
        operands, what several users sent is added.
    node : Node
        The forward node that it is about.
    values, gradients : tuple of Node
        The forward nodes whose value, whose gradient it gives.
    contributions : tuple of Edge
        The edges along which a gradient has come back.
    """

    kind: Kind
    node: Node
    values: tuple[Node, ...] = ()
    gradients: tuple[Node, ...] = ()
    contributions: tuple[Edge, ...] = ()

    @property
    def backward(self) -> bool:
        """Whether it belongs to the backward pass."""
        return self.kind in ("seed", "backward", "sum")


@dataclass(frozen=True)
class Known:
    """What is known after some steps."""

    values: frozenset[Node] = frozenset()
    gradients: frozenset[Node] = frozenset()
    contributions: frozenset[Edge] = frozenset()


def steps_of(drawn: Graph | Joint) -> tuple[Step, ...]:
    """The steps of a forward graph, or of a joint graph's two passes.

    Constants are known from the start and take no step.

    Examples
    --------
    >>> import graphc
    >>> joint = graphc.compile("((x + y) + (x * y)) * z").joint
    >>> " ".join(step.kind for step in steps_of(joint))
    'leaf leaf leaf forward forward forward forward seed backward backward backward backward sum sum'
    """
    if isinstance(drawn, Graph):
        return tuple(_forward(drawn, drawn.nodes))
    nodes = sorted(forward_nodes(drawn), key=lambda node: node.serial)
    return (*_forward(drawn.graph, nodes), *_backward(drawn))


def known_after(steps: tuple[Step, ...], count: int) -> Known:
    """What is known after the first steps."""
    done = steps[:count]
    return Known(
        frozenset(node for step in done for node in step.values),
        frozenset(node for step in done for node in step.gradients),
        frozenset(edge for step in done for edge in step.contributions),
    )


def forward_nodes(joint: Joint) -> frozenset[Node]:
    """The nodes of a joint graph that the model itself has, used or not."""
    graph, seeds = joint.graph, set(joint.seeds.values())
    gradients = set(joint.gradients.values())
    needed = {node for node in (*graph.inputs, *graph.params) if node not in seeds}
    needed |= {*joint.nodes.values(), *(node for name, node in graph.outputs.items() if name not in gradients)}
    stack = list(needed)
    while stack:
        for operand in graph.operands(stack.pop()):
            if operand not in needed:
                needed.add(operand)
                stack.append(operand)
    return frozenset(needed)


def is_constant(node: Node) -> bool:
    """Whether a node is neither given nor computed: a number, an array, a size."""
    return node.op.arity == 0 and node.op.name not in ("input", "param")


def _forward(graph: Graph, nodes: tuple[Node, ...] | list[Node]) -> Iterator[Step]:
    leaves = (*graph.inputs, *graph.params)
    shown = set(nodes)
    yield from (Step("leaf", node, values=(node,)) for node in leaves if node in shown)
    given = set(leaves)
    yield from (Step("forward", node, values=(node,)) for node in nodes if node not in given and not is_constant(node))


def _backward(joint: Joint) -> Iterator[Step]:
    sent: dict[Node, list[Edge]] = {}
    arrived: dict[Node, list[Edge]] = {}
    for edge in joint.contributions:
        user, position = edge
        sent.setdefault(user, []).append(edge)
        arrived.setdefault(joint.graph.operands(user)[position], []).append(edge)
    seeded = {joint.graph.outputs[name] for name in joint.seeds}
    for node in sorted({*joint.cotangents, *sent}, key=lambda node: -node.serial):
        if node in seeded:
            yield Step("seed", node, gradients=() if arrived.get(node) else (node,))
        parts = len(arrived.get(node, ())) + (node in seeded)
        if parts > 1:
            yield Step("sum", node, gradients=(node,))
        if node in sent:
            yield _sending(joint, node, sorted(sent[node], key=lambda edge: edge[1]), arrived, seeded)


def _sending(joint: Joint, node: Node, edges: list[Edge], arrived: dict[Node, list[Edge]], seeded: set[Node]) -> Step:
    operands = [joint.graph.operands(node)[position] for _, position in edges]
    whole = [operand for operand in operands if len(arrived[operand]) == 1 and operand not in seeded]
    return Step("backward", node, gradients=tuple(whole), contributions=tuple(edges))
