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
    found: dict[Node, Any] = {}
    for node in graph.nodes:
        attrs = {name: settled(value) for name, value in node.attrs.items()}
        if node.op.name in ("input", "param"):
            name = str(attrs["name"])
            found[node] = moved[name] if name in moved else peer.array(problem.values[name])
        elif not graph.operands(node):
            found[node] = peer.array(np.asarray(_LEAVES[node.op.name](**attrs), dtype=node.tensor.dtype))
        else:
            operands = _promoted(peer, node, [found[operand] for operand in graph.operands(node)])
            found[node] = peer.table[node.op.name](*operands, **attrs)
    return found[graph.outputs["loss"]]


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
