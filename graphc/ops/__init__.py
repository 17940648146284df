"""The operations, by family; importing this package fills `graphc.op.OPS`."""

from graphc.op import OPS
from graphc.ops import (
    elementwise,
    functions,
    gather,
    indexing,
    joining,
    leaves,
    linear_algebra,
    products,
    reductions,
    reshape,
    running,
    shapes,
    softmax,
    sources,
    special,
    trigonometry,
)

__all__ = [
    "OPS",
    "elementwise",
    "functions",
    "gather",
    "indexing",
    "joining",
    "leaves",
    "linear_algebra",
    "products",
    "reductions",
    "reshape",
    "running",
    "shapes",
    "softmax",
    "sources",
    "special",
    "trigonometry",
]
