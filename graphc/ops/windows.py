"""Sliding windows along axes, as a view, and their adjoint, which adds windows up again where they came from.

Convolution and pooling are written on them in the library. Each is the derivative of the other, so that derivatives of
every order, forward mode and batching need no more rules.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphc.errors import TypeRuleError
from graphc.numpy_text import call
from graphc.op import OPS, Condition, Op, OpCall, Sample, define
from graphc.ops import batch_rules
from graphc.ops.axes import described, is_size, normalize_axis, quoted, shape_attr
from graphc.ops.indexing import needed
from graphc.ops.operand_text import as_array
from graphc.size import Size, at_least, divide
from graphc.tensor_type import Shape, TensorType, shape_text

if TYPE_CHECKING:
    from graphc.value import Value

Numbers = tuple[int, ...]


def _axes(axis: object, ndim: int) -> Numbers:
    axes = tuple(normalize_axis(a, ndim) for a in (axis if isinstance(axis, (tuple, list)) else [axis]))
    if not axes or len(set(axes)) < len(axes):
        raise TypeRuleError("GC203", f"windows need one or more different axes, got {quoted(axis)}")
    return axes


def _steps(name: str, value: object, count: int) -> Numbers:
    """A whole number for each axis, of one for all of them or a list."""
    given = value if isinstance(value, (tuple, list)) else (value,) * count
    numbers = tuple(n for n in given if isinstance(n, int) and not isinstance(n, bool) and n >= 1)
    if not len(numbers) == len(given) == count:
        raise TypeRuleError("GC203", f"a {name} is a whole number of at least 1 for each axis, got {quoted(value)}")
    return numbers


def _windows_attrs(
    x: TensorType, *, size: object, axis: object, stride: object = 1, dilation: object = 1
) -> dict[str, object]:
    axes = _axes(axis, x.ndim)
    count = len(axes)
    sizes = size if isinstance(size, (tuple, list)) else (size,) * count
    if len(sizes) != count or not all(is_size(n) and n != 0 for n in sizes):
        raise TypeRuleError("GC203", f"a window has a size of at least 1 for each axis, got {quoted(size)}")
    steps = {"stride": _steps("stride", stride, count), "dilation": _steps("dilation", dilation, count)}
    return {"size": tuple(sizes), "axis": axes, **steps}


def _reach(size: Shape, dilation: Numbers) -> list[Size]:
    """From the first place of a window to its last, both included."""
    return [step * (count - 1) + 1 for count, step in zip(size, dilation, strict=True)]


def _windows_type(x: TensorType, *, size: Shape, axis: Numbers, stride: Numbers, dilation: Numbers) -> TensorType:
    shape = list(x.shape)
    for a, reach, step in zip(axis, _reach(size, dilation), stride, strict=True):
        if at_least(x.shape[a] - reach, 0) is False:
            message = f"a window over {reach} elements does not fit in the {x.shape[a]} of axis {a}"
            raise TypeRuleError("GC203", message, "{0} " + described(x), {0: described(x)})
        shape[a] = divide(x.shape[a] - reach + step, step)
    return TensorType(x.dtype, (*shape, *size))


def _windows_conditions(
    x: TensorType, *, size: Shape, axis: Numbers, stride: Numbers, dilation: Numbers
) -> list[Condition]:
    wanted: list[tuple[Size, int]] = [(count, 1) for count in size]
    wanted += [(x.shape[a] - reach, 0) for a, reach in zip(axis, _reach(size, dilation), strict=True)]
    return [needed(*need) for need in dict.fromkeys(wanted) if at_least(*need) is None]


def _text(function: str, x: ast.expr, shape: Shape, axis: Numbers, stride: Numbers, dilation: Numbers) -> ast.expr:
    steps = {"stride": stride, "dilation": dilation}
    return call(function, x, shape, axis=axis, **{name: s if set(s) != {1} else None for name, s in steps.items()})


def _windows_text(
    c: OpCall, x: ast.expr, *, size: Shape, axis: Numbers, stride: Numbers, dilation: Numbers
) -> ast.expr:
    return _text("_windows", as_array(c, x), size, axis, stride, dilation)


def _windows_vjp(ct: Value, y: Value, x: Value, *, size: Shape, **where: object) -> tuple[Value]:
    return (OPS["overlap_add"](ct, shape=x.shape, **where),)


def _tensor(*shape: int) -> TensorType:
    return TensorType("float64", shape)


WINDOWS = define(
    Op(
        "windows",
        1,
        infer=_windows_type,
        numpy=_windows_text,
        vjp=_windows_vjp,
        normalize=_windows_attrs,
        linear=True,
        flops=0,
        view="strided",
        conditions=_windows_conditions,
        batching=batch_rules.later_axes("windows"),
        samples=(
            Sample((_tensor(7),), {"size": 3, "axis": 0}),
            Sample((_tensor(3, 9),), {"size": 2, "axis": -1, "stride": 2, "dilation": 3}),
            Sample((_tensor(2, 5, 6),), {"size": (3, 2), "axis": (1, 2), "stride": (1, 3)}),
            Sample((_tensor(4, 3, 5),), {"size": (2, 2), "axis": (2, 0), "dilation": (2, 1)}),
            Sample((_tensor(0, 4),), {"size": 4, "axis": 1}),
        ),
        doc="sliding windows of a size along axes, `stride` apart, `dilation` between elements; their elements are the "
        "last axes",
    )
)


def _overlap_attrs(
    x: TensorType, *, shape: object, axis: object, stride: object = 1, dilation: object = 1
) -> dict[str, object]:
    settled = shape_attr("overlap_add", shape)
    axes = _axes(axis, len(settled))
    steps = {"stride": _steps("stride", stride, len(axes)), "dilation": _steps("dilation", dilation, len(axes))}
    return {"shape": settled, "axis": axes, **steps}


def _overlapped(x: TensorType, *, shape: Shape, axis: Numbers, **steps: Numbers) -> TensorType:
    size = x.shape[max(x.ndim - len(axis), 0) :]
    result = TensorType(x.dtype, shape)
    expected = _windows_type(result, size=size, axis=axis, **steps) if len(size) == len(axis) else None
    if expected != x:
        found = "too few axes" if expected is None else f"{shape_text(expected.shape)} for {shape_text(x.shape)}"
        message = f"overlap_add needs the windows of a tensor {shape_text(shape)}, got {found}"
        raise TypeRuleError("GC203", message, "{0} " + described(x), {0: described(x)})
    return result


def _overlap_conditions(x: TensorType, *, shape: Shape, axis: Numbers, **steps: Numbers) -> Sequence[Condition]:
    size = x.shape[x.ndim - len(axis) :]
    return _windows_conditions(TensorType(x.dtype, shape), size=size, axis=axis, **steps)


OVERLAP_ADD = define(
    Op(
        "overlap_add",
        1,
        infer=_overlapped,
        numpy=lambda c, x, *, shape, axis, stride, dilation: _text("_overlap_add", x, shape, axis, stride, dilation),
        vjp=lambda ct, y, x, *, shape, **where: (OPS["windows"](ct, size=x.shape[len(shape) :], **where),),
        normalize=_overlap_attrs,
        linear=True,
        flops=lambda y, x, **_: x.size,
        conditions=_overlap_conditions,
        batching=lambda values, batched, *, shape, axis, **steps: OPS["overlap_add"](
            values[0], shape=(values[0].shape[0], *shape), axis=tuple(a + 1 for a in axis), **steps
        ),
        samples=(
            Sample((_tensor(5, 3),), {"shape": 7, "axis": 0}),
            Sample((_tensor(3, 3, 2),), {"shape": (3, 9), "axis": -1, "stride": 2, "dilation": 3}),
            Sample((_tensor(2, 3, 2, 3, 2),), {"shape": (2, 5, 6), "axis": (1, 2), "stride": (1, 3)}),
        ),
        doc="windows added up where they come from, in a tensor of this shape: the adjoint of windows",
    )
)
