"""The vector product of vectors in space."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphc.errors import TypeRuleError
from graphc.numpy_text import call
from graphc.op import OPS, Op, OpCall, Sample, define
from graphc.ops.axes import described, unbroadcast
from graphc.ops.batch_rules import aligned
from graphc.ops.operand_text import as_float
from graphc.size import divide
from graphc.tensor_type import TensorType, broadcast_shapes, promote, shape_text

if TYPE_CHECKING:
    from graphc.value import Value


def _cross_type(x: TensorType, y: TensorType) -> TensorType:
    for position, operand in enumerate((x, y)):
        if operand.shape[-1:] != (3,):
            message = f"cross needs 3 elements along the last axis, got {shape_text(operand.shape)}"
            label = f"{{{position}}} {described(operand)}"
            raise TypeRuleError("GC203", message, label, {position: described(operand)})
    dtype = promote([x.dtype, y.dtype])
    return TensorType("int64" if dtype == "bool" else dtype, broadcast_shapes([x.shape, y.shape]))


def _cross_text(c: OpCall, x: ast.expr, y: ast.expr) -> ast.expr:
    return call("np.cross", *((as_float(c, text, p) for p, text in enumerate((x, y))) if c.tensor.is_float else (x, y)))


def _cross_vjp(ct: Value, z: Value, x: Value, y: Value) -> tuple[Value, Value]:
    """The triple product ct · (x × y) is x · (y × ct) and y · (ct × x)."""
    return unbroadcast(OPS["cross"](y, ct), x.type), unbroadcast(OPS["cross"](ct, x), y.type)


def _cross_batching(values: Sequence[Value], batched: Sequence[bool]) -> Value:
    ndim = max(value.ndim - has for value, has in zip(values, batched, strict=True))
    return OPS["cross"](*(aligned(value, ndim) if has else value for value, has in zip(values, batched, strict=True)))


CROSS = define(
    Op(
        "cross",
        2,
        infer=_cross_type,
        numpy=_cross_text,
        vjp=_cross_vjp,
        flops=3,
        # The six products of single coordinates, and one more.
        scratch=lambda z, x, y, **_: divide(z.nbytes * 7, 3),
        label="×",
        batching=_cross_batching,
        samples=tuple(
            Sample((TensorType("float64", left), TensorType("float64", right)))
            for left, right in (((3,), (3,)), ((2, 3), (2, 3)), ((2, 3), (3,)), ((1, 3), (4, 2, 3)), ((0, 3), (3,)))
        ),
        doc="the vector product of vectors in space, along the last axis",
    )
)
