"""What nodes and graphs cost, in sizes: arithmetic operations, bytes read and bytes written.

Pure functions, so that passes decide by what users are shown. Scalars are in registers: their bytes are not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from graphc.graph import Graph, Node, subgraphs
from graphc.op import Op
from graphc.size import Size, substitute
from graphc.tensor_type import TensorType, TupleType, Type


@dataclass(frozen=True)
class Cost:
    """Arithmetic operations, and bytes read and written; costs add up.

    Examples
    --------
    >>> Cost(flops=2, read=16) + Cost(flops=1, written=8)
    Cost(flops=3, read=16, written=8)
    """

    flops: Size = 0
    read: Size = 0
    written: Size = 0

    @property
    def moved(self) -> Size:
        """Bytes read and written."""
        return self.read + self.written

    def __bool__(self) -> bool:
        return self != Cost()

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.read + other.read, self.written + other.written)

    def times(self, count: Size) -> Cost:
        """The cost of doing it so often."""
        return Cost(self.flops * count, self.read * count, self.written * count)

    def at(self, sizes: Mapping[str, Size]) -> Cost:
        """The cost with numbers for named sizes.

        Examples
        --------
        >>> from graphc.size import named_size
        >>> Cost(flops=named_size("N") * 2).at({"N": 10})
        Cost(flops=20, read=0, written=0)
        """
        return Cost(*(substitute(part, sizes) for part in (self.flops, self.read, self.written)))


def graph_cost(graph: Graph, nodes: Iterable[Node] | None = None) -> Cost:
    """The cost of a graph, or of some of its nodes.

    Examples
    --------
    >>> from graphc.builder import Builder
    >>> from graphc.size import named_size
    >>> b, n = Builder(), named_size("N")
    >>> x, w = b.input("x", TensorType("float64", (n, 3))), b.input("w", TensorType("float64", (3, 4)))
    >>> graph_cost(b.finish({"y": (x @ w).node}))
    Cost(flops=24*N, read=24*N + 96, written=32*N)
    """
    return sum((node_cost(graph, node) for node in (graph.nodes if nodes is None else nodes)), Cost())


def node_cost(graph: Graph, node: Node) -> Cost:
    """The cost of one node of a graph; of a scan that of its steps."""
    if node.op.repeats is not None:
        steps = sum((graph_cost(step) for step in subgraphs(node)), Cost())
        return steps.times(node.op.repeats(**node.attrs))
    types = [operand.type for operand in graph.operands(node)]
    if is_copied(graph, node):
        return Cost(read=_bytes(types[0]), written=_bytes(node.type))
    return op_cost(node.op, node.type, types, node.attrs)


def is_copied(graph: Graph, node: Node) -> bool:
    """Whether a reshape cannot be a view: the elements do not lie in their order."""
    if node.op.view != "row_major":
        return False
    return is_strided(graph, graph.operands(node)[0])


def is_strided(graph: Graph, node: Node) -> bool:
    """Whether a node is a view whose elements are not in C order."""
    while node.op.view == "straight" and graph.operands(node):
        node = graph.operands(node)[0]
    return node.op.view == "strided"


def op_cost(op: Op, result: Type, operands: Iterable[Type], attrs: Mapping[str, object]) -> Cost:
    """What it costs to apply an op to operands of these types."""
    if op.view:
        return Cost()
    given = list(operands)
    flops = _elements(result) * op.flops if isinstance(op.flops, int) else op.flops(result, *given, **attrs)
    if op.reads is None:
        read = sum(map(_bytes, given), 0)
    else:
        counts = op.reads(result, *given, **attrs)
        read = sum((_bytes(type, count) for type, count in zip(given, counts, strict=True)), 0)
    return Cost(flops, read, _bytes(result))


def scratch(
    op: Op, result: Type, operands: Sequence[Type], attrs: Mapping[str, object], strided: Sequence[bool] = ()
) -> Size:
    """The bytes that an op needs while it runs, beside operands and result.

    Parameters
    ----------
    op : Op
    result : Type
    operands : sequence of Type
    attrs : mapping
    strided : sequence of bool
        Which operands are views whose elements are not in C order; by default none.
    """
    if isinstance(op.scratch, int):
        return result.nbytes * op.scratch
    return op.scratch(result, *operands, strided=strided or (False,) * len(operands), **attrs)


def _elements(type: Type) -> Size:
    return type.size if isinstance(type, TensorType) else sum((item.size for item in type.items), 0)


def _bytes(type: Type, count: Size | None = None) -> Size:
    """The bytes of an array, or of so many of its elements."""
    if isinstance(type, TupleType):
        return sum(map(_bytes, type.items), 0)
    if not type.shape:
        return 0
    return type.nbytes if count is None else type.item_bytes * count
