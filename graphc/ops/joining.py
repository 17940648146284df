"""Several tensors as one, and one as several: concatenate, stack, split."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from graphc.errors import TypeRuleError
from graphc.numpy_text import call
from graphc.op import OPS, Condition, Op, OpCall, Sample, define
from graphc.ops import batch_rules
from graphc.ops.axes import described, every_cotangent, normalize_axis, quoted
from graphc.ops.indexing import Slice
from graphc.ops.operand_text import common_dtype
from graphc.size import Size, SizeExpr, at_least, divide, exact_quotient
from graphc.tensor_type import TensorType, TupleType, promote, shape_text

if TYPE_CHECKING:
    from graphc.value import Value


def _refuse_different(op: str, operands: Sequence[TensorType], skipped: int | None) -> None:
    """Refuse operands whose shapes differ other than along the skipped axis."""
    first = operands[0]
    for position, other in enumerate(operands):
        same = other.ndim == first.ndim and all(
            a == skipped or size == first.shape[a] for a, size in enumerate(other.shape)
        )
        if not same:
            but = "" if skipped is None else f" but for axis {skipped}"
            message = f"{op} needs equal shapes{but}, got {shape_text(first.shape)} and {shape_text(other.shape)}"
            label = f"{{0}} {described(first)}, {{{position}}} {described(other)}"
            raise TypeRuleError("GC203", message, label, {p: described(x) for p, x in enumerate(operands)})


def _join_attrs(*operands: TensorType, axis: object = 0) -> dict[str, object]:
    return {"axis": normalize_axis(axis, operands[0].ndim)}


def _concatenated(*operands: TensorType, axis: int) -> TensorType:
    _refuse_different("concatenate", operands, axis)
    shape = list(operands[0].shape)
    shape[axis] = sum((x.shape[axis] for x in operands[1:]), shape[axis])
    return TensorType(promote([x.dtype for x in operands]), tuple(shape))


def _joined_text(function: str, c: OpCall, operands: Sequence[ast.expr], axis: int) -> ast.expr:
    listed = ast.List(list(operands), ast.Load())
    return call(function, listed, axis=axis or None, dtype=common_dtype(c, *operands))


def _concatenate_vjp(ct: Value, y: Value, *operands: Value, axis: int) -> tuple[Value, ...]:
    parts = []
    start: Size = 0
    for x in operands:
        stop = start + x.shape[axis]
        parts.append(_part(ct, start, stop, axis))
        start = stop
    return tuple(parts)


def _part(x: Value, start: Size, stop: Size, axis: int) -> Value:
    items = [Slice(0, size, 1) for size in x.shape]
    items[axis] = Slice(start, stop, 1)
    return OPS["index"](x, items=tuple(items))


_VECTOR, _MATRIX = TensorType("float64", (3,)), TensorType("float64", (3, 4))

CONCATENATE = define(
    Op(
        "concatenate",
        None,
        infer=_concatenated,
        numpy=lambda c, *operands, axis: _joined_text("np.concatenate", c, operands, axis),
        vjp=_concatenate_vjp,
        normalize=_join_attrs,
        flops=0,
        linear=True,
        batching=batch_rules.later_axes("concatenate"),
        samples=(
            Sample((_MATRIX, _MATRIX)),
            Sample((_MATRIX, TensorType("float64", (3, 1)), TensorType("float64", (3, 0))), {"axis": -1}),
            Sample((_VECTOR,)),
        ),
        doc="operands one after another along an axis",
    )
)


def _stack_attrs(*operands: TensorType, axis: object = 0) -> dict[str, object]:
    return {"axis": normalize_axis(axis, operands[0].ndim + 1, of_result=True)}


def _stacked(*operands: TensorType, axis: int) -> TensorType:
    _refuse_different("stack", operands, None)
    shape = operands[0].shape
    return TensorType(promote([x.dtype for x in operands]), (*shape[:axis], len(operands), *shape[axis:]))


def _stack_vjp(ct: Value, y: Value, *operands: Value, axis: int) -> tuple[Value, ...]:
    before = (slice(None),) * axis
    return tuple(OPS["index"](ct, items=(*before, position)) for position in range(len(operands)))


STACK = define(
    Op(
        "stack",
        None,
        infer=_stacked,
        numpy=lambda c, *operands, axis: _joined_text("np.stack", c, operands, axis),
        vjp=_stack_vjp,
        normalize=_stack_attrs,
        flops=0,
        linear=True,
        batching=batch_rules.later_axes("stack"),
        samples=(
            Sample((_MATRIX, _MATRIX)),
            Sample((_VECTOR, _VECTOR, _VECTOR), {"axis": -1}),
            Sample((TensorType("float64", ()), TensorType("float64", ()))),
        ),
        doc="operands side by side along a new axis",
    )
)

Sections = int | tuple[Size, ...]
MAX_SECTIONS = 10_000


def _split_attrs(x: TensorType, *, sections: object, axis: object = 0) -> dict[str, object]:
    settled = normalize_axis(axis, x.ndim)
    count = len(sections) if isinstance(sections, Sequence) else sections
    if isinstance(count, int) and count > MAX_SECTIONS:
        raise TypeRuleError("GC401", f"split gives at most {MAX_SECTIONS} sections, found {count}")
    if isinstance(sections, Sequence):
        return {"sections": tuple(_bound(index, x.shape[settled]) for index in sections), "axis": settled}
    if not isinstance(sections, int) or isinstance(sections, bool) or sections < 1:
        raise TypeRuleError("GC203", f"split needs a number of sections or their bounds, got {quoted(sections)}")
    return {"sections": sections, "axis": settled}


def _bound(index: object, size: Size) -> Size:
    if not isinstance(index, (int, SizeExpr)):
        raise TypeRuleError("GC203", f"split needs integers or sizes as bounds, got {quoted(index)}")
    return size + index if isinstance(index, int) and index < 0 else index


def _bounds(x: TensorType, sections: Sections, axis: int) -> list[Size]:
    """Where the sections begin and end, from 0 to the size of the axis."""
    size = x.shape[axis]
    if not isinstance(sections, int):
        return [0, *sections, size]
    each = divide(size, sections)
    return [each * k for k in range(sections + 1)]


def _split_type(x: TensorType, *, sections: Sections, axis: int) -> TupleType:
    size = x.shape[axis]
    if isinstance(sections, int) and isinstance(size, int) and size % sections:
        message = f"split needs an axis that {sections} divides, got {size}"
        raise TypeRuleError("GC203", message, "{0} " + described(x), {0: described(x)})
    sizes = [stop - start for start, stop in pairwise(_bounds(x, sections, axis))]
    if any(at_least(part, 0) is False for part in sizes):
        raise TypeRuleError(
            "GC203", f"split needs bounds in order within {size}, got {sections}", "{0} " + described(x)
        )
    return TupleType(tuple(TensorType(x.dtype, (*x.shape[:axis], part, *x.shape[axis + 1 :])) for part in sizes))


def _split_conditions(x: TensorType, *, sections: Sections, axis: int) -> list[Condition]:
    if isinstance(sections, int):
        exact = exact_quotient(x.shape[axis], sections) is not None
        return [] if exact else [Condition(x.shape[axis], "divisible_by", sections)]
    sizes = [stop - start for start, stop in pairwise(_bounds(x, sections, axis))]
    return [Condition(part, "at_least", 0) for part in sizes if at_least(part, 0) is None]


def _split_vjp(ct: Sequence[Value | None], y: Value, x: Value, *, sections: Sections, axis: int) -> tuple[Value]:
    joined = OPS["concatenate"](*every_cotangent(ct, y), axis=axis)
    # Sections of a named size are floors of a division; that it is exact is a condition.
    return (joined if joined.shape == x.shape else OPS["reshape"](joined, shape=x.shape),)


SPLIT = define(
    Op(
        "split",
        1,
        infer=_split_type,
        numpy=lambda c, x, *, sections, axis: call("np.split", x, sections, axis=axis or None),
        vjp=_split_vjp,
        normalize=_split_attrs,
        linear=True,
        flops=0,
        view="strided",
        conditions=_split_conditions,
        batching=batch_rules.split,
        samples=(
            Sample((_MATRIX,), {"sections": 2, "axis": 1}),
            Sample((_MATRIX,), {"sections": (1, -1), "axis": -1}),
            Sample((_VECTOR,), {"sections": (0, 3)}),
        ),
        doc="equal sections along an axis, or those between bounds: several results",
    )
)
