"""Axes and shapes as attributes: canonical forms, and moving values between a shape and its reduction or broadcast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from graphc.errors import TypeRuleError
from graphc.op import OPS
from graphc.size import SizeExpr
from graphc.tensor_type import Shape, TensorType, TupleType, check_axes
from graphc.tensor_type import described as described_shape

if TYPE_CHECKING:
    from graphc.builder import Builder
    from graphc.value import Value


Apart: TypeAlias = tuple[int | None, ...]
"""For each axis of an operand the axis of the result along which elements do not mix; see `Op.apart`."""


def normalize_axis(axis: object, ndim: int, *, of_result: bool = False) -> int:
    """An axis counted from the front, of the operand or of an op's result.

    Raises
    ------
    TypeRuleError
        GC203 when it is no int, or there is no such axis.
    """
    if not isinstance(axis, int) or isinstance(axis, bool):
        raise TypeRuleError("GC203", f"an axis is an integer, got {quoted(axis)}")
    if not -ndim <= axis < ndim:
        found = f"{ndim} axis" if ndim == 1 else f"{ndim} axes"
        whose = "result" if of_result else "tensor"
        label = "" if of_result else "{0} has " + found
        raise TypeRuleError("GC203", f"there is no axis {axis} in a {whose} with {found}", label)
    return axis % ndim


def normalize_axes(axis: object, ndim: int, *, of_result: bool = False) -> tuple[int, ...]:
    """Axes counted from the front, in order; None is all of them."""
    if axis is None:
        return tuple(range(ndim))
    check_axes(ndim)
    given = axis if isinstance(axis, (tuple, list)) else [axis]
    found = [normalize_axis(a, ndim, of_result=of_result) for a in given]
    if len(set(found)) < len(found):
        raise TypeRuleError("GC203", f"axes {axis} name an axis twice")
    return tuple(sorted(found))


def is_size(value: object) -> bool:
    """Whether an attribute is a size: a nonnegative int or an expression of named sizes."""
    return isinstance(value, SizeExpr) or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def shape_attr(op: str, shape: object) -> Shape:
    """A shape given as a size or a sequence of sizes.

    Raises
    ------
    TypeRuleError
        GC203 for anything else.
    """
    sizes = tuple(shape) if isinstance(shape, Sequence) and not isinstance(shape, str) else (shape,)
    for size in sizes:
        if not is_size(size):
            raise TypeRuleError("GC203", f"{op} needs a shape of sizes, got {quoted(size)}")
    return sizes


def quoted(value: object) -> str:
    """A value that a message names; its braces are no places for operands' names."""
    return repr(value).replace("{", "{{").replace("}", "}}")


def shown_axes(axis: tuple[int, ...]) -> int | tuple[int, ...]:
    """Axes as people write them: an int for one."""
    return axis[0] if len(axis) == 1 else axis


def unbroadcast(ct: Value, type: TensorType) -> Value:
    """The cotangent of an operand that was broadcast to the cotangent's shape: the sum over the stretched axes."""
    leading = ct.ndim - type.ndim
    if leading:
        ct = OPS["sum"](ct, axis=tuple(range(leading)), keepdims=False)
    stretched = tuple(axis for axis, size in enumerate(type.shape) if size == 1 and ct.shape[axis] != 1)
    return OPS["sum"](ct, axis=stretched, keepdims=True) if stretched else ct


def kept(value: Value, axis: tuple[int, ...], keepdims: bool) -> Value:
    """A reduced value with its axes as axes of size 1, so that it broadcasts against what was reduced."""
    return value if keepdims or not axis else OPS["expand_dims"](value, axis=axis)


def spread(value: Value, like: Value, axis: tuple[int, ...], keepdims: bool) -> Value:
    """A reduced value along its axes again, broadcast to the shape before the reduction."""
    value = kept(value, axis, keepdims)
    return value if value.shape == like.shape else OPS["broadcast_to"](value, shape=like.shape)


def zeros(builder: Builder, type: TensorType) -> Value:
    """A cotangent or tangent that is zero everywhere."""
    return OPS["broadcast_to"](builder.constant(0.0, type.dtype), shape=type.shape)


def every_cotangent(ct: Sequence[Value | None], y: Value) -> list[Value]:
    """The cotangents of an op with several results, zeros for a result that none reaches."""
    assert isinstance(y.node.type, TupleType)
    pairs = zip(ct, y.node.type.items, strict=True)
    return [zeros(y.builder, type) if part is None else part for part, type in pairs]


def along(*operands: TensorType, axis: int | tuple[int, ...], **attrs: object) -> list[Apart]:
    """`Op.apart` of an op that mixes elements along axes and has a result with the axes of its operands."""
    mixed = axis if isinstance(axis, tuple) else (axis,)
    return [tuple(None if a in mixed else a for a in range(x.ndim)) for x in operands]


def across(x: TensorType, *, axis: tuple[int, ...], keepdims: bool, **attrs: object) -> list[Apart]:
    """`Op.apart` of a reduction over axes."""
    places = iter(range(x.ndim))
    if keepdims:
        return along(x, axis=axis)
    return [tuple(None if a in axis else next(places) for a in range(x.ndim))]


def described(x: TensorType) -> str:
    """What an error says of an operand at its own place: ``is 64×10``."""
    return described_shape(x.shape)
