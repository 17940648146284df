"""Labels and indices: what they stay below, and which of them a function checks where it computes them."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from graphc.backends.numpy_sizes import place_text
from graphc.graph import Graph, Node
from graphc.numpy_text import call, literal
from graphc.op import OPS
from graphc.ops.leaves import Array
from graphc.size import Size, at_least, size_names
from graphc.tensor_type import TensorType


@dataclass(frozen=True)
class RangeCheck:
    """Elements of an index are at least 0 and, where that can be told, below a limit."""

    function: str
    shown: str
    below: Size | None
    place: str

    def text(self, index: ast.expr) -> ast.expr:
        """The index, checked."""
        below = literal(float("inf") if self.below is None else self.below)
        return call("_in_range", self.function, self.shown, index, below, self.place)


def entry_limits(raw: Graph) -> dict[Node, tuple[Size, ...]]:
    """The sizes that the elements of inputs and parameters stay below, where these are labels or indices."""
    found: dict[Node, dict[Size, None]] = {}
    for _, index, limit in _uses(raw):
        root = _selected_from(raw, index)
        if root.op in _GIVEN:
            found.setdefault(root, {})[limit] = None
    return {node: tuple(limits) for node, limits in found.items()}


def range_checks(
    graph: Graph, raw: Graph | None, function: str, told: Collection[str]
) -> dict[Node, tuple[RangeCheck, ...]]:
    """What a function checks of the labels and indices that it computes; those that it is given are checked at entry.

    Parameters
    ----------
    graph : Graph
        What the function computes.
    raw : Graph, optional
        The model as written, after which the entry check is made; none for the step of a scan, whose inputs are not
        those of the model.
    function : str
    told : collection of str
        The named sizes that shapes tell.
    """
    entry = {} if raw is None else entry_limits(raw)
    checked = {(node.attrs["name"], limit) for node, limits in entry.items() for limit in limits}
    found: dict[Node, dict[Size, RangeCheck]] = {}
    for user, index, limit in _uses(graph):
        root = _selected_from(graph, index)
        given = root.op in _GIVEN and (root.attrs["name"], limit) in checked
        if not given and not _stays_below(graph, root, limit):
            place = place_text(next(iter(graph.spans.get(user, ())), None))
            below = limit if set(told).issuperset(size_names(limit)) else None
            check = RangeCheck(function, _shown(graph, index, user), below, place)
            found.setdefault(index, {}).setdefault(limit, check)
    return {node: tuple(checks.values()) for node, checks in found.items()}


_GIVEN = (OPS["input"], OPS["param"])


def _uses(graph: Graph) -> Iterator[tuple[Node, Node, Size]]:
    """Each op that takes labels or indices, these, and what they stay below."""
    for node in graph.nodes:
        if node.op.limits is not None:
            operands = graph.operands(node)
            types = (operand.type for operand in operands)
            for position, limit in node.op.limits(*types, **node.attrs).items():
                yield node, operands[position], limit


def _selected_from(graph: Graph, node: Node) -> Node:
    """Where all elements of an index come from: through views of the whole, and from one integer type to another."""
    while graph.operands(node) and (node.op.flops == 0 or node.op is OPS["cast"]):
        below = graph.operands(node)[0]
        if not (isinstance(below.type, TensorType) and below.type.is_int):
            break
        if node.op is not OPS["broadcast_to"] and node.tensor.size != below.type.size:
            break
        node = below
    return node


def _stays_below(graph: Graph, node: Node, limit: Size) -> bool:
    """Whether the elements are known to be in range."""
    if node.op is OPS["arange"]:
        (stop,) = node.tensor.shape
        return at_least(limit - stop, 0) is True
    if node.op in (OPS["argmax"], OPS["argmin"]):
        axis, x = node.attrs["axis"], graph.operands(node)[0].tensor
        return limit == (x.shape[axis] if isinstance(axis, int) else x.size)
    order = _selection_of_order(graph, node)
    if order is not None:
        return limit == graph.operands(order)[0].tensor.shape[cast(int, order.attrs["axis"])]
    while node.op is OPS["gather"]:
        # Its elements are some of those that it is taken from.
        node = graph.operands(node)[0]
    values = _constants(node)
    if values is None:
        return False
    return not values.size or (values.min() >= 0 and at_least(limit - int(values.max()), 1) is True)


def _selection_of_order(graph: Graph, node: Node) -> Node | None:
    """The argsort that all elements of an index come from; some of them may be left out."""
    while node.op.flops == 0 and graph.operands(node):
        node = graph.operands(node)[0]
    return node if node.op is OPS["argsort"] else None


def _constants(node: Node) -> NDArray[Any] | None:
    if node.op is OPS["const"]:
        return np.asarray(node.attrs["value"])
    array = node.attrs.get("array")
    return np.frombuffer(array.data, np.dtype(array.dtype).newbyteorder("<")) if isinstance(array, Array) else None


def _shown(graph: Graph, index: Node, user: Node) -> str:
    """What the model calls an index: its name, or its text where that stands in one line."""
    name = graph.name(index)
    if name:
        return name
    span = next(iter(graph.spans.get(index, ())), None)
    if span is not None and span.line == span.end_line and 0 < len(span.text) <= _LONGEST:
        return span.text
    return f"the index of {user.op.name}"


_LONGEST = 40
