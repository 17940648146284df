"""Reductions over axes, and the running sum."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from graphc.errors import TypeRuleError
from graphc.numpy_text import call
from graphc.op import OPS, Condition, Op, Sample, define
from graphc.ops import batch_rules
from graphc.ops.axes import across, along, kept, normalize_axes, normalize_axis, quoted, spread
from graphc.ops.operand_text import as_float
from graphc.ops.products import prod_vjp
from graphc.ops.reduction_text import extremum_text, is_product, mean_text, reduction_text, sum_text
from graphc.size import Size, at_least
from graphc.tensor_type import DType, TensorType, product

if TYPE_CHECKING:
    from graphc.value import Value

Axes = tuple[int, ...]

_VECTOR, _MATRIX, _CUBE = (TensorType("float64", shape) for shape in ((4,), (3, 4), (2, 3, 4)))
_SAMPLES = (
    Sample((_MATRIX,)),
    Sample((_MATRIX,), {"axis": 0}),
    Sample((_MATRIX,), {"axis": -1, "keepdims": True}),
    Sample((_CUBE,), {"axis": (0, -1)}),
    Sample((TensorType("float64", (1, 3, 1)),), {"axis": (0, 1)}),
)


def reduction_attrs(x: TensorType, *, axis: object = None, keepdims: object = False) -> dict[str, object]:
    """The canonical attributes of a reduction."""
    return {"axis": normalize_axes(axis, x.ndim), "keepdims": bool(keepdims)}


def spread_attrs(
    x: TensorType, *, axis: object = None, ddof: object = 0, keepdims: object = False
) -> dict[str, object]:
    """The canonical attributes of var and std."""
    if not isinstance(ddof, int) or isinstance(ddof, bool):
        raise TypeRuleError("GC203", f"ddof is an integer, got {quoted(ddof)}")
    return {"axis": normalize_axes(axis, x.ndim), "ddof": ddof, "keepdims": bool(keepdims)}


def reduced(x: TensorType, axis: Axes, keepdims: bool, dtype: DType | None = None) -> TensorType:
    """The type of a reduction; it keeps the dtype unless told."""
    sizes = [1 if a in axis else size for a, size in enumerate(x.shape) if keepdims or a not in axis]
    return TensorType(dtype or x.dtype, tuple(sizes))


def float_of(x: TensorType) -> DType:
    """The dtype of a result that must be a float."""
    return x.dtype if x.is_float else "float64"


def _summed(x: TensorType, *, axis: Axes, keepdims: bool) -> TensorType:
    return reduced(x, axis, keepdims, x.dtype if x.is_float else "int64")


def _averaged(x: TensorType, *, axis: Axes, keepdims: bool, ddof: int = 0) -> TensorType:
    return reduced(x, axis, keepdims, float_of(x))


def _selected(name: str) -> Callable[..., TensorType]:
    def infer(x: TensorType, *, axis: Axes, keepdims: bool) -> TensorType:
        _refuse_empty(name, x, axis)
        return reduced(x, axis, keepdims)

    return infer


def _refuse_empty(name: str, x: TensorType, axis: Axes) -> None:
    for a in axis:
        if at_least(x.shape[a], 1) is False:
            raise TypeRuleError(
                "GC203", f"{name} over axis {a}, which is empty", f"{{0}} has {x.shape[a]} elements on axis {a}"
            )


def _nonempty(x: TensorType, *, axis: Axes | int, keepdims: bool) -> Sequence[Condition]:
    axes = (axis,) if isinstance(axis, int) else axis
    return [Condition(x.shape[a], "at_least", 1) for a in axes if at_least(x.shape[a], 1) is None]


def _count(x: Value, axis: Axes) -> Size:
    return product([x.shape[a] for a in axis])


def _mean_vjp(ct: Value, y: Value, x: Value, *, axis: Axes, keepdims: bool) -> tuple[Value]:
    return (spread(ct / _count(x, axis), x, axis, keepdims),)


def _selection_vjp(ct: Value, y: Value, x: Value, *, axis: Axes, keepdims: bool) -> tuple[Value]:
    """Elements that tie for the extremum share the cotangent evenly."""
    chosen = OPS["equal"](x, kept(y, axis, keepdims))
    share = kept(ct, axis, keepdims) / OPS["sum"](chosen, axis=axis, keepdims=True)
    return (share * chosen,)


def _centred(x: Value, axis: Axes) -> Value:
    return x - OPS["mean"](x, axis=axis, keepdims=True)


def _var_vjp(ct: Value, y: Value, x: Value, *, axis: Axes, ddof: int, keepdims: bool) -> tuple[Value]:
    return (kept(ct, axis, keepdims) * (2 / _divisor(x, axis, ddof)) * _centred(x, axis),)


def _std_vjp(ct: Value, y: Value, x: Value, *, axis: Axes, ddof: int, keepdims: bool) -> tuple[Value]:
    """``(x - mean) / (n std)``; where all elements are equal that is 0/0 and 0 is taken."""
    safe = OPS["where"](OPS["equal"](y, 0), 1, y)
    return (kept(ct / (safe * _divisor(x, axis, ddof)), axis, keepdims) * _centred(x, axis),)


def _divisor(x: Value, axis: Axes, ddof: int) -> Value:
    return x.builder.size(_count(x, axis) - ddof, x.type.dtype)


def _ones(y: TensorType, x: TensorType, *, axis: Axes, **_: object) -> Size:
    """The bytes of the ones that a sum multiplies by."""
    return product([x.shape[a] for a in axis]) * x.item_bytes if is_product(x, axis) else 0


def _regrouped(y: TensorType, x: TensorType, *, axis: Axes, **_: object) -> Size:
    """The bytes of columns made rows, or of where each row begins, in extrema along rows."""
    length = x.shape[-1] if axis == (x.ndim - 1,) != (0,) else 0
    if isinstance(length, int) and length <= 12:
        return x.nbytes if length else 0
    return y.size * 8


def _centred_copy(y: TensorType, x: TensorType, **_: object) -> Size:
    return x.size * y.item_bytes


def _reduction(
    name: str,
    infer: Callable[..., TensorType],
    vjp: Callable[..., tuple[Value]],
    *,
    numpy: Callable[..., ast.expr] | None = None,
    normalize: Callable[..., dict[str, object]] = reduction_attrs,
    linear: bool = False,
    nonnegative: bool = False,
    conditions: Callable[..., Sequence[Condition]] | None = None,
    flops: int = 1,
    scratch: Callable[..., Size] | int = 0,
    label: str = "",
    method: bool = False,
    convention: str = "",
    samples: tuple[Sample, ...] = (),
    doc: str,
) -> Op:
    return Op(
        name,
        1,
        infer,
        numpy or reduction_text(f"np.{name}"),
        vjp,
        normalize=normalize,
        linear=linear,
        nonnegative=nonnegative,
        apart=across,
        conditions=conditions,
        flops=lambda y, x, **_: x.size * flops,
        scratch=scratch,
        label=label,
        method=method,
        convention=convention,
        batching=batch_rules.later_axes(name),
        samples=_SAMPLES + samples,
        doc=doc,
    )


_EMPTY = (Sample((TensorType("float64", (0, 3)),), {"axis": 0}), Sample((_VECTOR,), {"axis": ()}))

_REDUCTIONS = (
    _reduction(
        "sum",
        _summed,
        lambda ct, y, x, *, axis, keepdims: (spread(ct, x, axis, keepdims),),
        numpy=sum_text,
        scratch=_ones,
        linear=True,
        label="Σ",
        method=True,
        samples=_EMPTY,
        doc="sum over axes",
    ),
    _reduction(
        "mean",
        _averaged,
        _mean_vjp,
        numpy=mean_text,
        scratch=_ones,
        linear=True,
        method=True,
        doc="arithmetic mean over axes",
    ),
    _reduction("prod", _summed, prod_vjp, label="Π", method=True, samples=_EMPTY, doc="product over axes"),
    _reduction(
        "max",
        _selected("max"),
        _selection_vjp,
        numpy=extremum_text("max"),
        scratch=_regrouped,
        conditions=_nonempty,
        method=True,
        convention="ties of max share the cotangent evenly",
        doc="largest over axes",
    ),
    _reduction(
        "min",
        _selected("min"),
        _selection_vjp,
        numpy=extremum_text("min"),
        scratch=_regrouped,
        conditions=_nonempty,
        method=True,
        convention="ties of min share the cotangent evenly",
        doc="smallest over axes",
    ),
    _reduction(
        "var",
        _averaged,
        _var_vjp,
        numpy=reduction_text("np.var", as_float),
        normalize=spread_attrs,
        nonnegative=True,
        flops=4,
        scratch=_centred_copy,
        samples=(Sample((_MATRIX,), {"axis": 0, "ddof": 1}),),
        doc="variance over axes, divided by n - ddof",
    ),
    _reduction(
        "std",
        _averaged,
        _std_vjp,
        numpy=reduction_text("np.std", as_float),
        normalize=spread_attrs,
        nonnegative=True,
        flops=4,
        scratch=_centred_copy,
        samples=(Sample((_MATRIX,), {"axis": 0, "ddof": 1}),),
        convention="std'(all equal) = 0",
        doc="standard deviation over axes, divided by n - ddof",
    ),
)

for _op in _REDUCTIONS:
    define(_op)


def _position_attrs(x: TensorType, *, axis: object = None, keepdims: object = False) -> dict[str, object]:
    return {"axis": None if axis is None else normalize_axis(axis, x.ndim), "keepdims": bool(keepdims)}


def _position_axes(x: TensorType, axis: int | None) -> Axes:
    return tuple(range(x.ndim)) if axis is None else (axis,)


def _position(name: str, doc: str) -> Op:
    def infer(x: TensorType, *, axis: int | None, keepdims: bool) -> TensorType:
        _refuse_empty(name, x, _position_axes(x, axis))
        return reduced(x, _position_axes(x, axis), keepdims, "int64")

    return Op(
        name,
        1,
        infer,
        lambda c, x, *, axis, keepdims: call(f"np.{name}", x, axis=axis, keepdims=keepdims or None),
        normalize=_position_attrs,
        flops=lambda y, x, **_: x.size,
        # Along another axis than the last NumPy moves the elements first.
        scratch=lambda y, x, *, axis, **_: 0 if axis in (None, x.ndim - 1) else x.nbytes,
        conditions=lambda x, *, axis, keepdims: _nonempty(x, axis=_position_axes(x, axis), keepdims=keepdims),
        batching=batch_rules.position(name),
        samples=(Sample((_MATRIX,)), Sample((_MATRIX,), {"axis": -1}), Sample((_CUBE,), {"axis": 1, "keepdims": True})),
        doc=doc,
    )


ARGMAX = define(_position("argmax", "where the first largest element is"))
ARGMIN = define(_position("argmin", "where the first smallest element is"))


def _cumsum_attrs(x: TensorType, *, axis: object = None) -> dict[str, object]:
    if axis is None and x.ndim != 1:
        raise TypeRuleError("GC203", f"cumsum of a tensor with {x.ndim} axes needs axis=", f"{{0}} has {x.ndim} axes")
    return {"axis": normalize_axis(0 if axis is None else axis, x.ndim)}


def _cumsum_vjp(ct: Value, y: Value, x: Value, *, axis: int) -> tuple[Value]:
    flipped = OPS["flip"](ct, axis=axis)
    return (OPS["flip"](OPS["cumsum"](flipped, axis=axis), axis=axis),)


CUMSUM = define(
    Op(
        "cumsum",
        1,
        infer=lambda x, *, axis: TensorType(x.dtype if x.is_float else "int64", x.shape),
        numpy=lambda c, x, *, axis: call("np.cumsum", x, axis=axis if c.operand().ndim > 1 else None),
        vjp=_cumsum_vjp,
        normalize=_cumsum_attrs,
        linear=True,
        flops=1,
        apart=along,
        batching=batch_rules.later_axes("cumsum"),
        samples=(Sample((_VECTOR,)), Sample((_MATRIX,), {"axis": 0}), Sample((_CUBE,), {"axis": -2})),
        doc="running sum along an axis",
    )
)
