"""Products that run along an axis, whose derivatives of every order are right where elements are zero.

The derivative of a running product is a linear recurrence ``s[i] = a[i] s[i - 1] + b[i]``, an op of its own, whose
derivative is a linear recurrence from the other end: nothing is divided, and the cost stays linear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphc.errors import TypeRuleError
from graphc.numpy_text import call
from graphc.op import OPS, Op, Sample, define
from graphc.ops import batch_rules
from graphc.ops.axes import along, described, normalize_axis
from graphc.ops.indexing import Slice
from graphc.tensor_type import TensorType, shape_text

if TYPE_CHECKING:
    from graphc.value import Value


def _moved(x: Value, axis: int, steps: int, filling: float) -> Value:
    """The elements one place further (1) or nearer (-1) along an axis, with a number in the place left free."""
    size = x.shape[axis]
    widths = [(0, 0)] * x.ndim
    widths[axis] = (1, 0) if steps > 0 else (0, 1)
    padded = OPS["pad"](x, pad_width=tuple(widths), constant_values=filling)
    items = [Slice(0, other, 1) for other in x.shape]
    items[axis] = Slice(0, size, 1) if steps > 0 else Slice(1, size + 1, 1)
    return OPS["index"](padded, items=tuple(items))


def _from_the_end(a: Value, ct: Value, axis: int) -> Value:
    """t with ``t[i] = a[i + 1] t[i + 1] + ct[i]``."""
    factors = OPS["flip"](_moved(a, axis, -1, 0.0), axis=axis)
    return OPS["flip"](OPS["linear_recurrence"](factors, OPS["flip"](ct, axis=axis), axis=axis), axis=axis)


def _recurrence_vjp(ct: Value, s: Value, a: Value, b: Value, *, axis: int) -> tuple[Value, Value]:
    total = _from_the_end(a, ct, axis)
    return total * _moved(s, axis, 1, 0.0), total


def _recurrence_type(a: TensorType, b: TensorType, *, axis: int) -> TensorType:
    if a.shape != b.shape:
        message = f"linear_recurrence needs equal shapes, got {shape_text(a.shape)} and {shape_text(b.shape)}"
        notes = {0: described(a), 1: described(b)}
        raise TypeRuleError("GC203", message, f"{{0}} {notes[0]}, {{1}} {notes[1]}", notes)
    return b


_VECTOR, _MATRIX = TensorType("float64", (4,)), TensorType("float64", (3, 4))

LINEAR_RECURRENCE = define(
    Op(
        "linear_recurrence",
        2,
        infer=_recurrence_type,
        numpy=lambda c, a, b, *, axis: call("_linear_recurrence", a, b, axis),
        vjp=_recurrence_vjp,
        normalize=lambda a, b, *, axis=-1: {"axis": normalize_axis(axis, b.ndim)},
        flops=2,
        batching=batch_rules.later_axes("linear_recurrence"),
        samples=(
            Sample((_MATRIX, _MATRIX), {"axis": 0}),
            Sample((_VECTOR, _VECTOR)),
            Sample((TensorType("float64", (2, 0)),) * 2),
        ),
        doc="s with s[i] = x[i] s[i - 1] + y[i] along an axis",
    )
)


def _cumprod_attrs(x: TensorType, *, axis: object = None) -> dict[str, object]:
    if axis is None and x.ndim != 1:
        raise TypeRuleError("GC203", f"cumprod of a tensor with {x.ndim} axes needs axis=", f"{{0}} has {x.ndim} axes")
    return {"axis": normalize_axis(0 if axis is None else axis, x.ndim)}


def _cumprod_vjp(ct: Value, y: Value, x: Value, *, axis: int) -> tuple[Value]:
    """The product of what stands before an element, times what comes back from the products after it."""
    before = OPS["cumprod"](_moved(x, axis, 1, 1.0), axis=axis)
    return (before * _from_the_end(x, ct, axis),)


CUMPROD = define(
    Op(
        "cumprod",
        1,
        infer=lambda x, *, axis: TensorType(x.dtype if x.is_float else "int64", x.shape),
        numpy=lambda c, x, *, axis: call("np.cumprod", x, axis=axis if c.operand().ndim > 1 else None),
        vjp=_cumprod_vjp,
        normalize=_cumprod_attrs,
        flops=1,
        apart=along,
        batching=batch_rules.later_axes("cumprod"),
        samples=(
            Sample((_VECTOR,)),
            Sample((_MATRIX,), {"axis": 0}),
            Sample((TensorType("float64", (2, 0, 3)),), {"axis": -2}),
        ),
        doc="running product along an axis",
    )
)
