"""Batching: a graph copied into a builder with one more leading axis on what depends on batched leaves.

Elementwise ops align that axis, structural ops have rules; what depends on no batched leaf is copied as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from graphc.builder import Builder, rebuild
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.graph import Graph, Node
from graphc.ops import batch_rules
from graphc.size import Size
from graphc.value import Value


@dataclass(frozen=True)
class Batched:
    """A copied graph.

    Attributes
    ----------
    nodes : mapping of Node to Node
        From each node of the graph to what stands for it.
    batched : frozenset of Node
        The nodes of the graph whose copies have the batch axis.
    """

    nodes: Mapping[Node, Node]
    batched: frozenset[Node]

    def whole(self, builder: Builder, node: Node, size: Size) -> Value:
        """The copy of a node with the batch axis, repeated along it where the node depends on nothing batched."""
        value = builder.value(self.nodes[node])
        return value if node in self.batched else batch_rules.spread_over(value, size)


def batch(
    graph: Graph, builder: Builder, leaves: Mapping[Node, Value], shared: Mapping[Node, Value] | None = None
) -> Batched:
    """Copy a graph into a builder, with a batch axis on what depends on some leaves.

    Parameters
    ----------
    graph : Graph
    builder : Builder
    leaves : mapping of Node to Value
        For each batched leaf of the graph what stands for it in the builder, with the leading axis. Leaves whose
        batches have different sizes may not meet.
    shared : mapping of Node to Value, optional
        For leaves that are in the builder already what stands for them, without the axis.

    Raises
    ------
    GraphcError
        GC305, with the place, when an op on the way has no batching rule.

    Examples
    --------
    >>> from graphc.builder import Builder
    >>> from graphc.op import OPS
    >>> from graphc.tensor_type import TensorType
    >>> one, many = Builder(), Builder(intern=True)
    >>> x = one.input("x", TensorType("float64", (3,)))
    >>> graph = one.finish({"y": OPS["sum"](x * x).node})
    >>> found = batch(graph, many, {x.node: many.input("x", TensorType("float64", (5, 3)))})
    >>> str(found.nodes[graph.outputs["y"]].type)
    'float64[5]'
    """
    batched = set(leaves)
    given = {**(shared or {}), **leaves}
    several: dict[Node, tuple[Value, ...]] = {}

    def step(node: Node, operands: tuple[Node, ...]) -> Node | None:
        if node in given:
            return given[node].node
        has = tuple(operand in batched for operand in graph.operands(node))
        if not any(has):
            return None
        batched.add(node)
        source = graph.operands(node)[0]
        if source in several:
            return several[source][cast(int, node.attrs["index"])].node
        found = _applied(graph, builder, node, [builder.value(operand) for operand in operands], has)
        if isinstance(found, tuple):
            several[node] = found
            return found[0].node
        return found.node

    nodes = rebuild(graph, builder, step=step)
    return Batched(nodes, frozenset(batched))


def _applied(
    graph: Graph, builder: Builder, node: Node, values: list[Value], has: tuple[bool, ...]
) -> Value | tuple[Value, ...]:
    if node.op.elementwise is not None:
        ndim = node.tensor.ndim
        return node.op(*(batch_rules.aligned(x, ndim) if moved else x for x, moved in zip(values, has, strict=True)))
    if node.op.batching is None:
        raise GraphcError(_refusal(graph, node))
    given = {"engine": batch} if node.op.higher_order else {}
    return node.op.batching(values, has, **node.attrs, **given)


def _refusal(graph: Graph, node: Node) -> Diagnostic:
    span = next(iter(graph.spans.get(node, ())), None)
    message = f"expected operations that can be mapped over a batch, found {node.op.name}, which has no batching rule"
    return Diagnostic("GC305", message, span, f"{node.op.name} of a batch")
