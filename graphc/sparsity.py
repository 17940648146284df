"""Which elements of an output depend on which elements of the variables, by structure alone; columns in colours.

Elements are followed through elementwise ops, ops that move them, reductions and products with saved matrices; through
any other op every element of the result depends on all that its operands depend on.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from graphc.autodiff import carries_cotangent
from graphc.backends import runtime, special
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.graph import Graph, Node
from graphc.numpy_text import FLOAT, fill
from graphc.op import OpCall
from graphc.tensor_type import TensorType, TupleType

Indices: TypeAlias = NDArray[np.int64]
Reach: TypeAlias = Indices
"""What a node's elements depend on: ``element * columns + column`` of each pair, in order, each once."""

MAX_PAIRS = 50_000_000
"""How many places a pattern may have."""
MAX_EDGES = 5_000_000
"""With how many neighbours, counted from both sides, columns are coloured; beyond, each has a colour of its own."""


@dataclass(frozen=True, eq=False)
class Pattern:
    """Where a Jacobian may differ from zero; everywhere else it is zero at every point.

    Attributes
    ----------
    rows, columns : ndarray of int
        The places, row by row.
    shape : (int, int)
        The number of elements of the output and of the variables, which stand side by side, each row by row.
    """

    rows: Indices
    columns: Indices
    shape: tuple[int, int]

    @cached_property
    def matrix(self) -> NDArray[np.bool_]:
        """The pattern as a matrix."""
        found = np.zeros(self.shape, bool)
        found[self.rows, self.columns] = True
        return found

    @cached_property
    def colors(self) -> Indices:
        """A colour for each column, such that no row has two columns of one colour.

        One product with the sum of all columns of a colour has their values (Curtis, Powell & Reid 1974). The colours
        are those of a greedy colouring of the graph in which columns that share a row are neighbours.
        """
        counts = np.bincount(self.rows, minlength=1)
        if counts.max() == self.shape[1] or np.sum(counts**2) > MAX_EDGES:
            # A full row leaves nothing to win; long rows make a graph of too many edges.
            return np.arange(self.shape[1])
        return _greedy_colors(np.split(self.columns, np.cumsum(counts)[:-1]), self.shape[1])

    @property
    def color_count(self) -> int:
        """The number of colours."""
        return int(self.colors.max(initial=-1)) + 1

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"<pattern {rows}×{columns}: {len(self.rows)} places, {self.color_count} colours>"


def pattern_of(graph: Graph, output: Node, variables: Sequence[Node]) -> Pattern:
    """The pattern of the Jacobian of an output by some nodes, side by side.

    Raises
    ------
    GraphcError
        GC308 when a size is no number, GC401 when there are too many places.
    """
    _refuse_free_sizes(graph)
    sizes = [_size(node.tensor) for node in variables]
    walk = _Walk(graph, sum(sizes))
    for node, start in zip(variables, np.cumsum([0, *sizes[:-1]]), strict=True):
        elements = np.arange(_size(node.tensor))
        walk.reaches[node] = elements * walk.columns + elements + start
    for node in graph.nodes:
        if node not in walk.reaches and any(operand in walk.reaches for operand in graph.operands(node)):
            walk.reaches[node] = walk.through(node)
    reach = cast(Reach, walk.reaches.get(output, np.empty(0, np.int64)))
    rows, columns = np.divmod(reach, max(walk.columns, 1))
    return Pattern(rows, columns, (_size(output.tensor), walk.columns))


_REDUCED = frozenset(["sum", "mean", "max", "min", "prod", "var", "std", "logsumexp", "median"])
_ALONG = frozenset(["softmax", "log_softmax", "cumsum", "cumprod", "sort", "exclusive_prod"])
_SELECTING = ("index", "gather", "pick", "take_along_axis", "split", "squeeze", "expand_dims", "reshape", "transpose")
_PLACING = ("scatter_slice", "concatenate", "stack", "broadcast_to", "flip", "pad", "tril", "triu", "diag", "cast")
_MOVED = frozenset([*_SELECTING, *_PLACING])
"""Ops whose results are elements of their operands, and zeros: applied to numbers of elements, they tell which."""


class _Walk:
    """What the nodes of a graph depend on, as far as it is known."""

    def __init__(self, graph: Graph, columns: int) -> None:
        self.graph, self.columns = graph, columns
        self.reaches: dict[Node, Reach | tuple[Reach, ...]] = {}
        self._values: dict[Node, Any] = {}

    def through(self, node: Node) -> Reach | tuple[Reach, ...]:
        """What a node depends on, from what its operands do."""
        operands, name = self.graph.operands(node), node.op.name
        if not carries_cotangent(node) or name == "stop_gradient":
            return np.empty(0, np.int64)
        if name == "item":
            held = self.reaches[operands[0]]
            assert isinstance(held, tuple), f"{operands[0]} has several results"
            return held[cast(int, node.attrs["index"])]
        if node.op.elementwise is not None:
            return self._united(self._broadcast(operand, node.tensor.shape) for operand in operands)
        if name in _REDUCED:
            return self._grouped(operands[0], *_groups(operands[0].tensor, node.attrs["axis"]))
        if name in _ALONG:
            groups, count = _groups(operands[0].tensor, node.attrs["axis"])
            return self._selected(self._grouped(operands[0], groups, count), groups)
        if name in _MOVED and all(self._is_static(operand) for operand in operands if operand.tensor.is_int):
            return self._moved(node, operands)
        if name == "matmul" and all(operand.tensor.ndim <= 2 for operand in operands):
            return self._multiplied(node, operands)
        return self._dense(node, operands)

    def _broadcast(self, operand: Node, shape: Sequence[Any]) -> Reach:
        elements = np.arange(_size(operand.tensor)).reshape(_shape(operand.tensor))
        return self._selected(self._reach(operand), np.broadcast_to(elements, tuple(shape)).ravel())

    def _moved(self, node: Node, operands: Sequence[Node]) -> Reach | tuple[Reach, ...]:
        """The op on numbers of elements, counted from 1 through all operands; 0 is no element."""
        numbers, joined, start = [], [], 1
        for operand in operands:
            if not operand.tensor.is_float:
                numbers.append(self._value(operand))
                continue
            size = _size(operand.tensor)
            numbers.append(np.arange(start, start + size).reshape(_shape(operand.tensor))[()])
            joined.append(self._reach(operand) + (start - 1) * self.columns)
            start += size
        whole = np.concatenate(joined)
        try:
            found = _computed(node, operands, numbers, np.dtype(np.int64))
        except IndexError:
            # An index out of range, which the module refuses when it is called.
            return self._dense(node, operands)
        if isinstance(node.type, TupleType):
            return tuple(self._selected(whole, np.ravel(part) - 1) for part in found)
        return self._selected(whole, np.ravel(found) - 1)

    def _multiplied(self, node: Node, operands: Sequence[Node]) -> Reach | tuple[Reach, ...]:
        """Sums of products: of a row of the first and a column of the second, where the other is not a saved zero."""
        shapes = [_shape(operand.tensor) for operand in operands]
        left = (1, *shapes[0]) if len(shapes[0]) == 1 else shapes[0]
        right = (*shapes[1], 1) if len(shapes[1]) == 1 else shapes[1]
        (rows, inner), columns = left, right[1]
        if rows * inner * columns > MAX_PAIRS:
            return self._dense(node, operands)
        kept = np.ones((rows, inner, columns), bool)
        for operand, shape, axis in zip(operands, (left, right), (2, 0), strict=True):
            if self._is_static(operand):
                kept &= np.expand_dims(np.reshape(self._value(operand), shape) != 0, axis)
        row, middle, column = np.nonzero(kept)
        result = row * columns + column
        parts = zip(operands, (row * inner + middle, middle * columns + column), strict=True)
        return self._united(self._selected(self._reach(operand), place, result) for operand, place in parts)

    def _dense(self, node: Node, operands: Sequence[Node]) -> Reach | tuple[Reach, ...]:
        held = [self.reaches[operand] for operand in operands if operand in self.reaches]
        parts = [part for reach in held for part in (reach if isinstance(reach, tuple) else (reach,))]
        columns = _each_once(np.concatenate(parts) % max(self.columns, 1))
        types = node.type.items if isinstance(node.type, TupleType) else (node.type,)
        found = tuple([self._full(_size(type), columns) for type in types])
        return found if isinstance(node.type, TupleType) else found[0]

    def _full(self, size: int, columns: Indices) -> Reach:
        _refuse_more(size * len(columns))
        return np.add.outer(np.arange(size) * self.columns, columns).ravel()

    def _grouped(self, operand: Node, groups: Indices, count: int) -> Reach:
        """What each group of elements depends on together."""
        return self._selected(self._reach(operand), np.arange(len(groups)), groups)

    def _selected(self, reach: Reach, elements: Indices, results: Indices | None = None) -> Reach:
        """What results depend on that are made of elements: of one each, in order, unless told; -1 is no element."""
        results = np.arange(len(elements)) if results is None else results
        starts, stops = (np.searchsorted(reach, (elements + shift) * self.columns) for shift in (0, 1))
        counts = np.where(elements >= 0, stops - starts, 0)
        _refuse_more(int(counts.sum()))
        places = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        return _each_once(np.repeat(results, counts) * self.columns + reach[places] % max(self.columns, 1))

    def _united(self, reaches: Any) -> Reach:
        return _each_once(np.concatenate(list(reaches)))

    def _reach(self, node: Node) -> Reach:
        return cast(Reach, self.reaches.get(node, np.empty(0, np.int64)))

    def _is_static(self, node: Node) -> bool:
        """Whether a value depends on nothing that is given."""
        stack = [node]
        while stack:
            found = stack.pop()
            if found.op.name in ("input", "param") or found.op.name.startswith("random"):
                return False
            stack += [operand for operand in self.graph.operands(found) if operand not in self._values]
        return True

    def _value(self, node: Node) -> Any:
        """A value that depends on nothing that is given."""
        stack = [node]
        while stack:
            found = stack[-1]
            operands = self.graph.operands(found)
            if lacking := [operand for operand in operands if operand not in self._values]:
                stack += lacking
                continue
            values = [self._values[operand] for operand in operands]
            self._values[found] = _computed(found, operands, values, np.dtype(np.float64))
            stack.pop()
        return self._values[node]


def _each_once(numbers: Indices) -> Indices:
    """Numbers in order; np.unique does the same ten times slower."""
    ordered = np.sort(numbers)
    return ordered[np.diff(ordered, prepend=-1) > 0]


def _groups(type: TensorType, axis: object) -> tuple[Indices, int]:
    """For each element the number of its group along some axes, and how many groups there are."""
    given = range(type.ndim) if axis is None else (axis,) if isinstance(axis, int) else cast("tuple[int, ...]", axis)
    axes = {a % type.ndim for a in given}
    shape = tuple(1 if place in axes else size for place, size in enumerate(_shape(type)))
    count = int(np.prod(shape, dtype=int))
    return np.broadcast_to(np.arange(count).reshape(shape), _shape(type)).ravel(), count


def _computed(node: Node, operands: Sequence[Node], values: Sequence[Any], dtype: np.dtype[Any]) -> Any:
    """The NumPy text of a node, evaluated for some values of its operands."""
    names: list[ast.expr] = [ast.Name(f"x{place}", ast.Load()) for place in range(len(values))]
    # What is padded with is no element.
    attrs = {**node.attrs, "constant_values": 0} if node.op.name == "pad" and dtype.kind == "i" else node.attrs
    if isinstance(node.op.numpy, str):
        text = fill(node.op.numpy, dict(zip("xyz", names, strict=False)))
    else:
        text = node.op.numpy(OpCall(node.type, tuple(o.type for o in operands)), *names, **attrs)
    scope = {**vars(runtime), **vars(special), "np": np, FLOAT: dtype}
    scope |= {f"x{place}": value for place, value in enumerate(values)}
    expression = ast.fix_missing_locations(ast.Expression(text))
    return eval(compile(expression, "<pattern>", "eval"), scope)


def _greedy_colors(rows: Sequence[Indices], columns: int) -> Indices:
    """A greedy colouring by networkx of the graph in which the columns of a row are neighbours."""
    import networkx as nx

    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(range(columns))
    for row in rows:
        places = row.tolist()
        graph.add_edges_from((a, b) for k, a in enumerate(places) for b in places[:k])
    found: Mapping[int, int] = nx.greedy_color(graph, strategy="largest_first")
    return np.array([found[column] for column in range(columns)], dtype=np.int64)


def _refuse_free_sizes(graph: Graph) -> None:
    for node in (*graph.inputs, *graph.params):
        free = [str(size) for size in node.tensor.shape if not isinstance(size, int)]
        if free:
            message = f"a sparsity pattern is one of sizes that are numbers, expected some for {', '.join(free)}"
            label = f"{node.attrs['name']} is {node.type}"
            hint = "`sizes=` of compile, or `--size`, makes free sizes numbers"
            raise GraphcError(
                Diagnostic("GC308", message, next(iter(graph.spans.get(node, ())), None), label, hint=hint)
            )


def _refuse_more(pairs: int) -> None:
    if pairs > MAX_PAIRS:
        raise GraphcError(
            Diagnostic("GC401", f"a sparsity pattern has at most {MAX_PAIRS:,} places, this has {pairs:,}")
        )


def _shape(type: TensorType) -> tuple[int, ...]:
    return cast("tuple[int, ...]", type.shape)


def _size(type: TensorType) -> int:
    return cast(int, type.size)
