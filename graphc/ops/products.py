"""Products over an axis whose derivatives of every order are right where elements are zero: nothing is divided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphc.numpy_text import call
from graphc.op import OPS, Op, Sample, define
from graphc.ops import batch_rules
from graphc.ops.axes import along, kept, normalize_axis
from graphc.tensor_type import TensorType, product

if TYPE_CHECKING:
    from graphc.value import Value


def _to_last(x: Value, axis: int) -> Value:
    axes = (*(a for a in range(x.ndim) if a != axis), axis)
    return OPS["transpose"](x, axes=axes)


def _from_last(x: Value, axis: int) -> Value:
    axes = [*range(x.ndim - 1)]
    axes.insert(axis, x.ndim - 1)
    return OPS["transpose"](x, axes=tuple(axes))


def _exclusive_vjp(ct: Value, y: Value, x: Value, *, axis: int) -> tuple[Value]:
    """Row i of a matrix has every element but the i-th, and 1 in its place; each row is a product of its own."""
    last, ct = _to_last(x, axis), _to_last(ct, axis)
    places = x.builder.apply(OPS["arange"], (), {"stop": x.shape[axis]})
    diagonal = OPS["equal"](OPS["expand_dims"](places, axis=1), places)
    rows = OPS["where"](diagonal, 1, OPS["expand_dims"](last, axis=last.ndim - 1))
    parts = OPS["expand_dims"](ct, axis=ct.ndim) * OPS["exclusive_prod"](rows, axis=-1)
    return (_from_last(OPS["sum"](OPS["where"](diagonal, 0, parts), axis=-2), axis),)


def prod_vjp(ct: Value, y: Value, x: Value, *, axis: tuple[int, ...], keepdims: bool) -> tuple[Value]:
    """The cotangent times the product of the others; several axes are taken as one."""
    if not axis:
        return (ct,)
    if len(axis) == 1:
        return (kept(ct, axis, keepdims) * OPS["exclusive_prod"](x, axis=axis[0]),)
    order = (*(a for a in range(x.ndim) if a not in axis), *axis)
    moved = OPS["transpose"](x, axes=order)
    split = x.ndim - len(axis)
    joined = OPS["reshape"](moved, shape=(*moved.shape[:split], product(moved.shape[split:])))
    others = OPS["reshape"](OPS["exclusive_prod"](joined, axis=-1), shape=moved.shape)
    back = tuple(order.index(a) for a in range(x.ndim))
    return (kept(ct, axis, keepdims) * OPS["transpose"](others, axes=back),)


EXCLUSIVE_PROD = define(
    Op(
        "exclusive_prod",
        1,
        infer=lambda x, *, axis: x,
        numpy=lambda c, x, *, axis: call("_exclusive_prod", x, axis),
        vjp=_exclusive_vjp,
        normalize=lambda x, *, axis=-1: {"axis": normalize_axis(axis, x.ndim)},
        apart=along,
        flops=5,
        scratch=2,
        batching=batch_rules.later_axes("exclusive_prod"),
        samples=(
            Sample((TensorType("float64", (3, 4)),), {"axis": 0}),
            Sample((TensorType("float64", (2, 3)),), {"axis": -1}),
            Sample((TensorType("float64", (1,)),)),
            Sample((TensorType("float64", (0,)),)),
        ),
        doc="for each element the product of the others along an axis",
    )
)
