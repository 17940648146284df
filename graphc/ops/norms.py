"""The Euclidean norm over axes."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from graphc.errors import TypeRuleError
from graphc.numpy_text import call
from graphc.op import OPS, Op, OpCall, Sample, define
from graphc.ops.axes import described, kept, quoted, shown_axes
from graphc.ops.operand_text import as_float
from graphc.ops.reductions import float_of, reduced, reduction_attrs
from graphc.tensor_type import TensorType

if TYPE_CHECKING:
    from graphc.value import Value


def _norm_attrs(x: TensorType, *, axis: object = None, keepdims: object = False) -> dict[str, object]:
    attrs = reduction_attrs(x, axis=axis, keepdims=keepdims)
    settled = attrs["axis"]
    assert isinstance(settled, tuple)
    if len(settled) not in (1, 2, x.ndim):
        message = f"norm is over one axis, two, or all, got {quoted(axis)}"
        raise TypeRuleError("GC203", message, "{0} " + described(x))
    return attrs


def _norm_text(c: OpCall, x: ast.expr, *, axis: tuple[int, ...], keepdims: bool) -> ast.expr:
    shown = None if len(axis) == c.operand().ndim else shown_axes(axis)
    return call("np.linalg.norm", as_float(c, x), axis=shown, keepdims=keepdims or None)


def _norm_vjp(ct: Value, y: Value, x: Value, *, axis: tuple[int, ...], keepdims: bool) -> tuple[Value]:
    """``x / norm``; where all elements are 0 that is 0/0 and 0 is taken."""
    safe = OPS["where"](OPS["equal"](y, 0), 1, y)
    return (kept(ct / safe, axis, keepdims) * x,)


NORM = define(
    Op(
        "norm",
        1,
        infer=lambda x, *, axis, keepdims: reduced(x, axis, keepdims, float_of(x)),
        numpy=_norm_text,
        vjp=_norm_vjp,
        normalize=_norm_attrs,
        flops=lambda y, x: x.size * 2,
        label="‖ ‖",
        convention="norm'(0) = 0",
        samples=(
            Sample((TensorType("float64", (4,)),)),
            Sample((TensorType("float64", (3, 4)),)),
            Sample((TensorType("float64", (3, 4)),), {"axis": 0}),
            Sample((TensorType("float64", (2, 3, 4)),), {"axis": (0, -1), "keepdims": True}),
            Sample((TensorType("float64", (2, 3, 4)),), {"keepdims": True}),
        ),
        doc="square root of the sum of squares over one axis, two, or all",
    )
)
