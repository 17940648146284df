"""What moving something out of a step, or into an array of all steps, costs and saves; in tenths of nanoseconds."""

from __future__ import annotations

from math import prod

from graphc.cost import op_cost
from graphc.graph import Graph, Node
from graphc.size import nominal
from graphc.tensor_type import TensorType

FREE = 32
"""What a free size counts for: that of a batch."""
LARGEST = 4
"""What is computed at once is no larger than so many times what the loop reads and writes anyway."""

MOST_NODES = 2000
"""Longer steps stay as they are: their own calls are more than any around them, and cuts take time."""

# Measured: a byte that leaves the cache; one of an array that is made at once and read step by step; one of an array
# that is filled step by step and read at once; a scalar operation; a view, or a store; a call of NumPy; arithmetic of
# matrix products, and elementwise.
BYTE, READ_BYTE, KEPT_BYTE, SCALAR, VIEW, CALL = 1, 3, 8, 800, 1000, 7000
PRODUCT, ELEMENTWISE = 0.4, 1.5


def nbytes(node: Node) -> int:
    """The memory of a value, where free sizes are as large as `FREE`; more than there is of several in one."""
    if not isinstance(node.type, TensorType):
        return 1 << 60
    return prod(max(nominal(size, FREE), 0) for size in node.type.shape) * node.type.item_bytes


def call(node: Node) -> int:
    """What a node costs beside its arithmetic; a view is best made where it is used."""
    if node.op.view:
        return VIEW if isinstance(node.type, TensorType) and not node.type.shape else -1
    return SCALAR if isinstance(node.type, TensorType) and not node.type.shape else CALL


def arithmetic(graph: Graph, node: Node) -> int:
    """What its arithmetic costs."""
    flops = op_cost(node.op, node.type, [x.type for x in graph.operands(node)], node.attrs).flops
    return int(nominal(flops, FREE) * (ELEMENTWISE if isinstance(node.op.flops, int) else PRODUCT))


def kept(node: Node) -> int:
    """What it costs to write a value of each step into an array, and to use that later."""
    return 2 * VIEW + nbytes(node) * KEPT_BYTE
