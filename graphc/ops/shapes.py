"""Ops that move the elements of one operand: transpose, broadcast, axes of size 1, flip, pad."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphc.errors import TypeRuleError
from graphc.numpy_text import call, float_dtype, literal, subscript
from graphc.op import OPS, Op, OpCall, Sample, define
from graphc.ops import batch_rules
from graphc.ops.axes import (
    described,
    is_size,
    normalize_axes,
    normalize_axis,
    quoted,
    shape_attr,
    shown_axes,
    unbroadcast,
)
from graphc.ops.indexing import Slice
from graphc.ops.operand_text import as_array, is_literal
from graphc.size import Size
from graphc.tensor_type import Shape, TensorType, shape_text

if TYPE_CHECKING:
    from graphc.value import Value

_MATRIX, _CUBE = TensorType("float64", (3, 4)), TensorType("float64", (2, 3, 4))


# transpose


def _transpose_attrs(x: TensorType, *, axes: object = None) -> dict[str, object]:
    if axes is None:
        return {"axes": tuple(reversed(range(x.ndim)))}
    order = tuple(normalize_axis(axis, x.ndim) for axis in (axes if isinstance(axes, (tuple, list)) else [axes]))
    if sorted(order) != list(range(x.ndim)):
        message = f"transpose needs each of {x.ndim} axes once, got {quoted(axes)}"
        raise TypeRuleError("GC203", message, "{0} " + described(x))
    return {"axes": order}


def _transpose_text(c: OpCall, x: ast.expr, *, axes: tuple[int, ...]) -> ast.expr:
    if axes == tuple(reversed(range(len(axes)))):
        return ast.Attribute(as_array(c, x), "T", ast.Load())
    moved = [axis for axis, origin in enumerate(axes) if axis != origin]
    if len(moved) == 2:
        return call("np.swapaxes", x, *(axis - len(axes) if moved[0] == len(axes) - 2 else axis for axis in moved))
    return call("np.transpose", x, axes)


def _transpose_vjp(ct: Value, y: Value, x: Value, *, axes: tuple[int, ...]) -> tuple[Value]:
    return (OPS["transpose"](ct, axes=tuple(axes.index(axis) for axis in range(len(axes)))),)


TRANSPOSE = define(
    Op(
        "transpose",
        1,
        infer=lambda x, *, axes: TensorType(x.dtype, tuple(x.shape[axis] for axis in axes)),
        numpy=_transpose_text,
        vjp=_transpose_vjp,
        normalize=_transpose_attrs,
        linear=True,
        flops=0,
        view="strided",
        label="T",
        batching=batch_rules.transpose,
        samples=(Sample((_MATRIX,)), Sample((_CUBE,), {"axes": (1, 2, 0)}), Sample((_CUBE,), {"axes": (0, -1, 1)})),
        doc="the axes in another order, by default reversed",
    )
)


# broadcast_to


def _broadcast_attrs(x: TensorType, *, shape: object) -> dict[str, object]:
    return {"shape": shape_attr("broadcast_to", shape)}


def _broadcast_type(x: TensorType, *, shape: Shape) -> TensorType:
    offset = len(shape) - x.ndim
    if offset < 0 or any(size not in (1, shape[axis]) for axis, size in enumerate(x.shape, offset)):
        message = f"shape {shape_text(x.shape)} does not broadcast to {shape_text(shape)}"
        raise TypeRuleError("GC202", message, "{0} " + described(x), {0: described(x)})
    return TensorType(x.dtype, shape)


def _broadcast_text(c: OpCall, x: ast.expr, *, shape: Shape) -> ast.expr:
    shown = shape[0] if len(shape) == 1 else shape
    if not c.tensor.is_float or not is_literal(x):
        return call("np.broadcast_to", x, shown)
    name = {"0.0": "np.zeros", "1.0": "np.ones"}.get(ast.unparse(x))
    if name is not None:
        return call(name, shown, dtype=float_dtype())
    return call("np.full", shown, x, dtype=float_dtype())


BROADCAST_TO = define(
    Op(
        "broadcast_to",
        1,
        infer=_broadcast_type,
        numpy=_broadcast_text,
        vjp=lambda ct, y, x, *, shape: (unbroadcast(ct, x.type),),
        normalize=_broadcast_attrs,
        linear=True,
        flops=0,
        view="strided",
        implicit=True,
        batching=batch_rules.broadcast_to,
        samples=(
            Sample((TensorType("float64", (4,)),), {"shape": (3, 4)}),
            Sample((TensorType("float64", (3, 1)),), {"shape": (2, 3, 4)}),
            Sample((TensorType("float64", ()),), {"shape": (2,)}),
            Sample((TensorType("float64", (1,)),), {"shape": (0,)}),
        ),
        doc="repeated along axes of size 1 and new leading axes",
    )
)


# axes of size 1


def _expand_attrs(x: TensorType, *, axis: object) -> dict[str, object]:
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    return {"axis": normalize_axes(axis, x.ndim + count, of_result=True)}


def _expanded(x: TensorType, *, axis: tuple[int, ...]) -> TensorType:
    sizes = iter(x.shape)
    return TensorType(x.dtype, tuple(1 if a in axis else next(sizes) for a in range(x.ndim + len(axis))))


def _expand_text(c: OpCall, x: ast.expr, *, axis: tuple[int, ...]) -> ast.expr:
    """``x[:, None]``; of a scalar, which may be a Python number, ``np.reshape``."""
    if c.operand().ndim == 0:
        return call("np.reshape", as_array(c, x), (1,) * len(axis))
    new = literal(None)
    ndim = c.tensor.ndim
    if axis == tuple(range(ndim - len(axis), ndim)) and c.operand().ndim > 1:
        return subscript(x, ast.Constant(...), *[new for _ in axis])
    return subscript(x, *[new if a in axis else ast.Slice() for a in range(max(axis, default=-1) + 1)])


EXPAND_DIMS = define(
    Op(
        "expand_dims",
        1,
        infer=_expanded,
        numpy=_expand_text,
        vjp=lambda ct, y, x, *, axis: (OPS["squeeze"](ct, axis=axis),),
        normalize=_expand_attrs,
        linear=True,
        flops=0,
        view="straight",
        implicit=True,
        batching=batch_rules.later_axes("expand_dims"),
        samples=(
            Sample((_MATRIX,), {"axis": 1}),
            Sample((_MATRIX,), {"axis": -1}),
            Sample((_MATRIX,), {"axis": (0, 2)}),
            Sample((TensorType("float64", ()),), {"axis": (0, 1)}),
        ),
        doc="axes of size 1 put in",
    )
)


def _squeeze_attrs(x: TensorType, *, axis: object = None) -> dict[str, object]:
    ones = tuple(a for a, size in enumerate(x.shape) if size == 1)
    return {"axis": ones if axis is None else normalize_axes(axis, x.ndim)}


def _squeezed(x: TensorType, *, axis: tuple[int, ...]) -> TensorType:
    for a in axis:
        if x.shape[a] != 1:
            message = f"squeeze needs an axis of size 1, got {x.shape[a]} on axis {a}"
            raise TypeRuleError("GC203", message, "{0} " + described(x), {0: described(x)})
    return TensorType(x.dtype, tuple(size for a, size in enumerate(x.shape) if a not in axis))


SQUEEZE = define(
    Op(
        "squeeze",
        1,
        infer=_squeezed,
        numpy=lambda c, x, *, axis: call("np.squeeze", as_array(c, x), axis=shown_axes(axis)),
        vjp=lambda ct, y, x, *, axis: (OPS["expand_dims"](ct, axis=axis) if axis else ct,),
        normalize=_squeeze_attrs,
        linear=True,
        flops=0,
        view="straight",
        batching=batch_rules.later_axes("squeeze"),
        samples=(
            Sample((TensorType("float64", (1, 3, 1)),)),
            Sample((TensorType("float64", (1, 3, 1)),), {"axis": -1}),
            Sample((_MATRIX,)),
        ),
        doc="axes of size 1 taken out",
    )
)


# flip and pad


def _flip_attrs(x: TensorType, *, axis: object = None) -> dict[str, object]:
    return {"axis": normalize_axes(axis, x.ndim)}


FLIP = define(
    Op(
        "flip",
        1,
        infer=lambda x, *, axis: x,
        numpy=lambda c, x, *, axis: call("np.flip", x, axis=None if len(axis) == c.tensor.ndim else shown_axes(axis)),
        vjp=lambda ct, y, x, *, axis: (OPS["flip"](ct, axis=axis),),
        normalize=_flip_attrs,
        linear=True,
        flops=0,
        view="strided",
        batching=batch_rules.later_axes("flip"),
        samples=(Sample((_MATRIX,)), Sample((_MATRIX,), {"axis": 0}), Sample((_CUBE,), {"axis": (0, -1)})),
        doc="the elements of axes in reverse order",
    )
)

Widths = tuple[tuple[Size, Size], ...]


def _pad_attrs(x: TensorType, *, pad_width: object, constant_values: object = 0.0) -> dict[str, object]:
    if not isinstance(constant_values, (int, float)):
        raise TypeRuleError("GC203", f"pad needs a number for constant_values, got {quoted(constant_values)}")
    widths = tuple(pad_width) if isinstance(pad_width, Sequence) else (pad_width, pad_width)
    if len(widths) == 2 and all(is_size(width) for width in widths):
        widths = (widths,) * x.ndim
    pairs = [tuple(pair) if isinstance(pair, Sequence) else (pair,) for pair in widths]
    pairs = pairs * x.ndim if len(pairs) == 1 else pairs
    if len(pairs) != x.ndim or not all(len(pair) == 2 and all(is_size(width) for width in pair) for pair in pairs):
        message = f"pad needs (before, after) for each of {x.ndim} axes, got {quoted(pad_width)}"
        raise TypeRuleError("GC203", message, "{0} " + described(x))
    return {"pad_width": tuple(pairs), "constant_values": constant_values}


def _padded(x: TensorType, *, pad_width: Widths, constant_values: float) -> TensorType:
    sizes = (before + size + after for size, (before, after) in zip(x.shape, pad_width, strict=True))
    return TensorType(x.dtype, tuple(sizes))


def _pad_text(c: OpCall, x: ast.expr, *, pad_width: Widths, constant_values: float) -> ast.expr:
    shown: object = pad_width[0] if len(set(pad_width)) == 1 else pad_width
    if len(set(pad_width)) == 1 and pad_width[0][0] == pad_width[0][1]:
        shown = pad_width[0][0]
    return call("np.pad", x, shown, constant_values=constant_values or None)


def _pad_vjp(ct: Value, y: Value, x: Value, *, pad_width: Widths, constant_values: float) -> tuple[Value]:
    items = [Slice(before, before + size, 1) for size, (before, _) in zip(x.shape, pad_width, strict=True)]
    return (OPS["index"](ct, items=tuple(items)),)


PAD = define(
    Op(
        "pad",
        1,
        infer=_padded,
        numpy=_pad_text,
        vjp=_pad_vjp,
        normalize=_pad_attrs,
        flops=0,
        batching=batch_rules.pad,
        samples=(
            Sample((_MATRIX,), {"pad_width": 1}),
            Sample((_MATRIX,), {"pad_width": ((0, 2), (1, 0)), "constant_values": 3.0}),
            Sample((TensorType("float64", (0,)),), {"pad_width": (1, 2)}),
        ),
        doc="a constant around the elements",
    )
)
