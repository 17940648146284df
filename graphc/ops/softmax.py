"""Exponentials normalised over axes: logsumexp, softmax, log_softmax; none of them overflows."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from graphc.numpy_text import call
from graphc.op import OPS, Op, OpCall, Sample, define
from graphc.ops import batch_rules
from graphc.ops.axes import across, along, kept, normalize_axes, shown_axes
from graphc.ops.operand_text import as_float
from graphc.ops.reduction_text import reduction_text
from graphc.ops.reductions import float_of, reduced, reduction_attrs
from graphc.tensor_type import TensorType

if TYPE_CHECKING:
    from graphc.value import Value

_MATRIX = TensorType("float64", (3, 4))
_SAMPLES = (
    Sample((_MATRIX,)),
    Sample((_MATRIX,), {"axis": 0}),
    Sample((TensorType("float64", (2, 3, 4)),), {"axis": (0, -1)}),
    Sample((TensorType("float64", (3, 1)),), {"axis": -1}),
)


def _logsumexp_vjp(ct: Value, y: Value, x: Value, *, axis: tuple[int, ...], keepdims: bool) -> tuple[Value]:
    """softmax(x), which exp(x - y) is too, but not to the last digits of a large y."""
    return (kept(ct, axis, keepdims) * OPS["softmax"](x, axis=axis),)


LOGSUMEXP = define(
    Op(
        "logsumexp",
        1,
        infer=lambda x, *, axis, keepdims: reduced(x, axis, keepdims, float_of(x)),
        numpy=reduction_text("_logsumexp", as_float),
        vjp=_logsumexp_vjp,
        normalize=reduction_attrs,
        apart=across,
        flops=lambda y, x, **_: x.size * 12,
        scratch=lambda y, x, **_: x.size * y.item_bytes,
        batching=batch_rules.later_axes("logsumexp"),
        samples=(*_SAMPLES, Sample((_MATRIX,), {"axis": 1, "keepdims": True})),
        doc="log of the sum of exponentials over axes",
    )
)


def _attrs(x: TensorType, *, axis: object = -1) -> dict[str, object]:
    return {"axis": normalize_axes(axis, x.ndim)}


def _softmax_vjp(ct: Value, y: Value, x: Value, *, axis: tuple[int, ...]) -> tuple[Value]:
    return (y * (ct - OPS["sum"](ct * y, axis=axis, keepdims=True)),)


def _log_softmax_vjp(ct: Value, y: Value, x: Value, *, axis: tuple[int, ...]) -> tuple[Value]:
    return (ct - OPS["exp"](y) * OPS["sum"](ct, axis=axis, keepdims=True),)


def _text(c: OpCall, x: ast.expr, function: str, axis: tuple[int, ...]) -> ast.expr:
    return call(function, as_float(c, x), axis=shown_axes(axis))


SOFTMAX = define(
    Op(
        "softmax",
        1,
        infer=lambda x, *, axis: TensorType(float_of(x), x.shape),
        numpy=lambda c, x, *, axis: _text(c, x, "_softmax", axis),
        vjp=_softmax_vjp,
        normalize=_attrs,
        nonnegative=True,
        apart=along,
        flops=14,
        batching=batch_rules.later_axes("softmax"),
        samples=_SAMPLES,
        doc="exp(x) / sum(exp(x)) over axes, by default the last",
    )
)
LOG_SOFTMAX = define(
    Op(
        "log_softmax",
        1,
        infer=lambda x, *, axis: TensorType(float_of(x), x.shape),
        numpy=lambda c, x, *, axis: _text(c, x, "_log_softmax", axis),
        vjp=_log_softmax_vjp,
        normalize=_attrs,
        apart=along,
        flops=14,
        scratch=1,
        batching=batch_rules.later_axes("log_softmax"),
        samples=_SAMPLES,
        doc="log(softmax(x)) over axes, by default the last",
    )
)
