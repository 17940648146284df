"""Order along an axis: sort, argsort, median, and selection by the indices that they give."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from graphc.errors import TypeRuleError
from graphc.numpy_text import call
from graphc.op import OPS, Condition, Op, OpCall, Sample, define
from graphc.ops import batch_rules
from graphc.ops.axes import along, described, kept, normalize_axis
from graphc.ops.indexing import Slice, named_elements
from graphc.ops.operand_text import as_float
from graphc.size import Size, at_least, divide
from graphc.tensor_type import Shape, TensorType, product, shape_text

if TYPE_CHECKING:
    from graphc.value import Value

_VECTOR, _MATRIX, _CUBE = (TensorType("float64", shape) for shape in ((5,), (3, 4), (2, 3, 4)))
_SAMPLES = (
    Sample((_VECTOR,)),
    Sample((_MATRIX,), {"axis": 0}),
    Sample((_CUBE,), {"axis": -2}),
    Sample((TensorType("float64", (0, 3)),), {"axis": 0}),
)


def _axis_attrs(x: TensorType, *, axis: object = -1) -> dict[str, object]:
    return {"axis": normalize_axis(axis, x.ndim)}


def _shown(axis: int, ndim: int) -> int | None:
    """The axis as NumPy needs it: the last one is its default."""
    return None if axis == ndim - 1 else axis


def _sort_vjp(ct: Value, y: Value, x: Value, *, axis: int) -> tuple[Value]:
    order = OPS["argsort"](x, axis=axis)
    return (OPS["scatter_along_axis"](ct, order, axis=axis, size=x.shape[axis]),)


SORT = define(
    Op(
        "sort",
        1,
        infer=lambda x, *, axis: x,
        numpy=lambda c, x, *, axis: call("np.sort", x, axis=_shown(axis, c.tensor.ndim)),
        vjp=_sort_vjp,
        normalize=_axis_attrs,
        apart=along,
        flops=20,
        convention="ties of sort get their cotangents in the order of the elements",
        samples=_SAMPLES,
        batching=batch_rules.later_axes("sort"),
        doc="the elements along an axis in ascending order, NaN last",
    )
)

ARGSORT = define(
    Op(
        "argsort",
        1,
        infer=lambda x, *, axis: TensorType("int64", x.shape),
        numpy=lambda c, x, *, axis: call("np.argsort", x, axis=_shown(axis, c.tensor.ndim), stable=True),
        normalize=_axis_attrs,
        flops=20,
        samples=_SAMPLES,
        batching=batch_rules.later_axes("argsort"),
        doc="where the elements of sort come from; equal ones stay in order",
    )
)


# selection along an axis


def _along_attrs(x: TensorType, index: TensorType, *, axis: object = -1) -> dict[str, object]:
    return _axis_attrs(x, axis=axis)


def _taken(x: TensorType, index: TensorType, *, axis: int) -> TensorType:
    _refuse_unlike("take_along_axis", x, index, axis)
    return TensorType(x.dtype, index.shape)


def _refuse_unlike(name: str, x: TensorType, index: TensorType, axis: int) -> None:
    if not index.is_int:
        raise TypeRuleError("GC204", f"an index is an integer tensor, got {index}", f"{{1}} is {index.dtype}")
    same = index.ndim == x.ndim and all(a == axis or index.shape[a] == size for a, size in enumerate(x.shape))
    if not same:
        found = f"{shape_text(x.shape)} and {shape_text(index.shape)}"
        message = f"{name} needs equal shapes but for axis {axis}, got {found}"
        rows = {0: described(x), 1: described(index)}
        raise TypeRuleError("GC203", message, f"{{0}} {rows[0]}, {{1}} {rows[1]}", rows)


TAKE_ALONG_AXIS = define(
    Op(
        "take_along_axis",
        2,
        infer=_taken,
        numpy=lambda c, x, index, *, axis: call("np.take_along_axis", x, index, axis),
        vjp=lambda ct, y, x, index, *, axis: (
            OPS["scatter_along_axis"](ct, index, axis=axis, size=x.shape[axis]),
            None,
        ),
        normalize=_along_attrs,
        flops=0,
        reads=named_elements,
        limits=lambda x, index, *, axis: {1: x.shape[axis]},
        samples=(
            Sample((_VECTOR, (0, 4, 4))),
            Sample((_MATRIX, ((0, 2, 1, 1),)), {"axis": 0}),
            Sample((_MATRIX, ((3, 0), (1, 1), (0, 2)))),
        ),
        batching=batch_rules.later_axes("take_along_axis"),
        doc="along an axis, the elements that an integer tensor names, as NumPy's",
    )
)


def _scatter_attrs(x: TensorType, index: TensorType, *, axis: object = -1, size: Size) -> dict[str, object]:
    return {"axis": normalize_axis(axis, x.ndim), "size": size}


def _scattered(x: TensorType, index: TensorType, *, axis: int, size: Size) -> TensorType:
    _refuse_unlike("scatter_along_axis", x, index, axis)
    return TensorType(x.dtype, (*x.shape[:axis], size, *x.shape[axis + 1 :]))


def _scatter_text(c: OpCall, x: ast.expr, index: ast.expr, *, axis: int, size: Size) -> ast.expr:
    return call("_scatter_along_axis", x, index, axis, size)


SCATTER_ALONG_AXIS = define(
    Op(
        "scatter_along_axis",
        2,
        infer=_scattered,
        numpy=_scatter_text,
        vjp=lambda ct, y, x, index, *, axis, size: (OPS["take_along_axis"](ct, index, axis=axis), None),
        normalize=_scatter_attrs,
        flops=lambda y, x, index, **_: x.size,
        limits=lambda x, index, *, axis, size: {1: size},
        samples=(
            Sample((TensorType("float64", (3,)), (0, 4, 4)), {"size": 5}),
            Sample((TensorType("float64", (2, 2)), ((3, 0), (1, 1))), {"axis": 0, "size": 4}),
        ),
        batching=batch_rules.later_axes("scatter_along_axis"),
        doc="zeros with the first operand added along an axis at integer indices: the adjoint of take_along_axis",
    )
)


# median


def _median_attrs(x: TensorType, *, axis: object = None, keepdims: object = False) -> dict[str, object]:
    settled = None if axis is None and x.ndim != 1 else normalize_axis(0 if axis is None else axis, x.ndim)
    return {"axis": settled, "keepdims": bool(keepdims)}


def _median_axes(x: TensorType, axis: int | None) -> tuple[int, ...]:
    return tuple(range(x.ndim)) if axis is None else (axis,)


def _median_type(x: TensorType, *, axis: int | None, keepdims: bool) -> TensorType:
    axes = _median_axes(x, axis)
    if at_least(product([x.shape[a] for a in axes]), 1) is False:
        raise TypeRuleError("GC203", "median of no elements", "{0} " + described(x), {0: described(x)})
    shape: Shape = tuple(1 if a in axes else size for a, size in enumerate(x.shape) if keepdims or a not in axes)
    return TensorType(x.dtype if x.is_float else "float64", shape)


def _median_conditions(x: TensorType, *, axis: int | None, keepdims: bool) -> list[Condition]:
    return [Condition(x.shape[a], "at_least", 1) for a in _median_axes(x, axis) if at_least(x.shape[a], 1) is None]


def _median_text(c: OpCall, x: ast.expr, *, axis: int | None, keepdims: bool) -> ast.expr:
    shown = None if c.operand().ndim == 1 else axis
    return call("np.median", as_float(c, x), axis=shown, keepdims=keepdims or None)


def _median_vjp(ct: Value, y: Value, x: Value, *, axis: int | None, keepdims: bool) -> tuple[Value]:
    """Half of the cotangent to each of the two places in the middle, which are one where their number is odd."""
    flat, place = (x, axis) if axis is not None else (OPS["reshape"](x, shape=x.type.size), 0)
    ct = OPS["reshape"](ct, shape=1) if axis is None else kept(ct, (axis,), keepdims)
    order, size = OPS["argsort"](flat, axis=place), flat.shape[place]
    parts = [_sent(ct / 2, order, place, size, middle) for middle in (divide(size + -1, 2), divide(size, 2))]
    total = parts[0] + parts[1]
    return (total if total.shape == x.shape else OPS["reshape"](total, shape=x.shape),)


def _sent(ct: Value, order: Value, axis: int, size: Size, middle: Size) -> Value:
    items = tuple(Slice(middle, middle + 1, 1) if a == axis else Slice(0, n, 1) for a, n in enumerate(order.shape))
    return OPS["scatter_along_axis"](ct, OPS["index"](order, items=items), axis=axis, size=size)


MEDIAN = define(
    Op(
        "median",
        1,
        infer=_median_type,
        numpy=_median_text,
        vjp=_median_vjp,
        normalize=_median_attrs,
        batching=batch_rules.position("median"),
        flops=lambda y, x, **_: x.size * 20,
        scratch=lambda y, x, **_: x.size * y.item_bytes,
        conditions=_median_conditions,
        convention="ties of median: the first of the elements in the middle get the cotangent",
        samples=(
            Sample((_VECTOR,)),
            Sample((_MATRIX,)),
            Sample((_MATRIX,), {"axis": 0}),
            Sample((_CUBE,), {"axis": -1, "keepdims": True}),
            Sample((_CUBE,), {"keepdims": True}),
            Sample((TensorType("float64", ()),)),
        ),
        doc="the element in the middle along an axis, or of all, the mean of two where their number is even",
    )
)
