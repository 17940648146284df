"""A graph in another library: each node by that library's functions, the gradient by that library's differentiation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from graphc.graph import Graph, Node
from graphc.ops import OPS
from graphc.ops.indexing import Slice
from graphc.tensor_type import TupleType

Table = Mapping[str, Callable[..., Any]]
"""From the name of an op to what it is in a library: a function of operands and attributes."""
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Peer:
    """A library that differentiates.

    Attributes
    ----------
    name : str
    table : Table
    array : callable
        A NumPy array as the library's.
    cast : callable
        An array of the library in another dtype.
    value_and_grad : callable
        ``value_and_grad(function, point)``: what a scalar function of several arrays is at a point, and its gradients.
    none : mapping of str to str
        The differentiable ops that the library has no derivative of, with the reason.
    rough : mapping of str to float
        The relative error of ops that the library computes to fewer digits than the others.
    """

    name: str
    table: Table
    array: Callable[[np.ndarray], Any]
    cast: Callable[[Any, str], Any]
    value_and_grad: Callable[[Callable[..., Any], Sequence[np.ndarray]], tuple[Any, Sequence[Any]]]
    none: Mapping[str, str] = field(default_factory=dict)
    rough: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """A graph with an output ``loss``, the values of its inputs, and those that it is differentiated by."""

    graph: Graph
    values: Arrays
    names: Sequence[str]

    @property
    def ops(self) -> set[str]:
        """The names of the ops of the graph."""
        return {node.op.name for node in self.graph.nodes}


def total_and_gradients(peer: Peer, problems: Sequence[Problem]) -> tuple[float, list[Arrays]]:
    """The sum of the losses, and the gradient of each, as a library has them: all in one call, which JAX compiles."""
    bounds = list(pairwise(accumulate((len(problem.names) for problem in problems), initial=0)))

    def total(*moved: Any) -> Any:
        losses = [
            evaluated(peer, problem, dict(zip(problem.names, moved[start:stop], strict=True)))
            for problem, (start, stop) in zip(problems, bounds, strict=True)
        ]
        return sum(losses[1:], losses[0])

    value, found = peer.value_and_grad(total, [problem.values[name] for problem in problems for name in problem.names])
    gradients = [np.asarray(gradient) for gradient in found]
    return float(value), [
        dict(zip(problem.names, gradients[start:stop], strict=True))
        for problem, (start, stop) in zip(problems, bounds, strict=True)
    ]


def evaluated(peer: Peer, problem: Problem, moved: Mapping[str, Any]) -> Any:
    """The loss, as the library's; what is moved is the library's already."""
    graph = problem.graph
    names = {node: str(node.attrs["name"]) for node in (*graph.inputs, *graph.params)}
    given = {n: moved[name] if name in moved else peer.array(problem.values[name]) for n, name in names.items()}
    return values_of(peer, graph, given)[graph.outputs["loss"]]


def values_of(peer: Peer, graph: Graph, given: Mapping[Node, Any]) -> dict[Node, Any]:
    """The value of each node, from those of the inputs."""
    found = dict(given)
    for node in graph.nodes:
        if node in found:
            continue
        operands = [found[operand] for operand in graph.operands(node)]
        attrs = {name: settled(value) for name, value in node.attrs.items()}
        if node.op.name == "scan":
            found[node] = _scanned(peer, node, operands, **attrs)
        elif not operands:
            found[node] = peer.array(np.asarray(_LEAVES[node.op.name](**attrs), dtype=node.tensor.dtype))
        else:
            found[node] = peer.table[node.op.name](*_promoted(peer, node, operands), **attrs)
    return found


def _scanned(
    peer: Peer, node: Node, operands: Sequence[Any], *, step: Graph, carries: int, xs: int, length: int, reverse: bool
) -> list[Any]:
    """The steps one after the other, each by the library's functions."""
    assert isinstance(node.type, TupleType)
    carried, over, captured = operands[:carries], operands[carries : carries + xs], operands[carries + xs :]
    rows: dict[int, list[Any]] = {}
    for t in reversed(range(length)) if reverse else range(length):
        given = dict(zip(step.inputs, [*carried, *(x[t] for x in over), *captured], strict=True))
        values = values_of(peer, step, given)
        outputs = [values[output] for output in step.outputs.values()]
        rows[t] = [*outputs[carries:], *carried]
        carried = outputs[:carries]
    stacked = node.type.items[carries:]
    if not rows:
        return [*carried, *(peer.array(np.zeros(type.shape)) for type in stacked)]
    return [*carried, *(peer.table["stack"](*(rows[t][k] for t in range(length)), axis=0) for k in range(len(stacked)))]


def settled(value: Any) -> Any:
    """An attribute with Python's slices for graphc's."""
    if isinstance(value, Slice):
        return slice(value.start, None if value.stop == -1 else value.stop, value.step)
    return tuple(map(settled, value)) if isinstance(value, tuple) else value


_LEAVES: Table = {
    "const": lambda *, value, dtype: value,
    "size": lambda *, size, dtype: size,
    "arange": lambda *, stop: np.arange(stop),
}


def _promoted(peer: Peer, node: Node, operands: list[Any]) -> list[Any]:
    """Operands in the dtype of the result, where the op promotes them; not every library does so by itself."""
    rule = node.op.elementwise
    if rule.coercion not in ("number", "float", "where") if rule else node.op not in _PROMOTING:
        return operands
    kept = 1 if rule and rule.coercion == "where" else 0
    return [*operands[:kept], *(peer.cast(operand, node.tensor.dtype) for operand in operands[kept:])]


_PROMOTING = tuple(OPS[name] for name in ("matmul", "einsum", "tensordot", "concatenate", "stack", "sum", "mean"))
