"""Which of the values that a decomposition gives can be told apart: equal ones leave their vectors undetermined.

Derivatives of vectors divide by differences of values. Where such a difference is a rounding error it is NaN here, and
so is the gradient, instead of a number that means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import nan
from typing import TYPE_CHECKING, cast

from graphc.numpy_text import call
from graphc.op import OPS, Op, Sample, define
from graphc.ops import batch_rules
from graphc.ops.indexing import Items, indexed_shape
from graphc.ops.operand_text import as_float
from graphc.ops.reductions import float_of
from graphc.tensor_type import TensorType

if TYPE_CHECKING:
    from graphc.value import Value

RESOLUTION = define(
    Op(
        "resolution",
        1,
        infer=lambda x: TensorType(float_of(x), (*x.shape[:-1], 1)),
        numpy=lambda c, x: call("_resolution", as_float(c, x)),
        flops=lambda y, x: x.size * 2,
        scratch=lambda y, x, **_: x.nbytes,
        differentiable=(),
        samples=tuple(Sample((TensorType("float64", shape),)) for shape in ((3,), (2, 4), (2, 0))),
        batching=batch_rules.unchanged("resolution"),
        doc="up to which size differences of values along the last axis are rounding errors of a decomposition",
    )
)


def gaps(x: Value, used: Value | None, factor: Value | int) -> Value:
    """The differences ``x[j] - x[i]``, times a factor; NaN where they are rounding errors.

    On the diagonal, and where neither vector i nor vector j is used, only 0 is divided by them: there they are 1.
    """
    row, column = OPS["expand_dims"](x, axis=-2), OPS["expand_dims"](x, axis=-1)
    places = x.builder.apply(OPS["arange"], (), {"stop": x.shape[-1]})
    unneeded = OPS["equal"](OPS["expand_dims"](places, axis=-1), places)
    if used is not None:
        pairs = OPS["expand_dims"](used, axis=-1) + used
        unneeded = OPS["logical_or"](unneeded, OPS["equal"](pairs, 0))
    found = row - column
    apart = OPS["greater"](OPS["abs"](found), OPS["expand_dims"](OPS["resolution"](x), axis=-2))
    return OPS["where"](unneeded, 1, OPS["where"](apart, found * factor, nan))


def distinct_from_zero(x: Value, used: Value | None) -> Value:
    """Values that are not negative; NaN where they are rounding errors, 1 where their vectors are not used."""
    found = OPS["where"](OPS["greater"](x, OPS["resolution"](x)), x, nan)
    return found if used is None else OPS["where"](OPS["equal"](used, 0), 1, found)


def used_slices(ct: Value, axis: int) -> Value | None:
    """1 for each vector along an axis that slices of the vectors take, 0 for others; None where all may be used.

    What no slice takes has no influence on the loss. A cotangent that happens to be 0 tells less: its derivative need
    not be.
    """
    found: list[Value] = []
    stack = [ct]
    while stack:
        part = stack.pop()
        operands = [ct.builder.value(operand) for operand in ct.builder.operands(part.node)]
        items = cast(Items, part.node.attrs.get("items", ()))
        if part.node.op is OPS["add"] and all(operand.shape == ct.shape for operand in operands):
            stack += operands
        elif part.node.op is OPS["scatter_slice"] and None not in items:
            item = items[axis]
            ones = OPS["broadcast_to"](ct.builder.constant(1.0, ct.type.dtype), shape=tuple(indexed_shape((item,))))
            found.append(OPS["scatter_slice"](ones, items=(item,), shape=(ct.shape[axis],)))
        else:
            return None
    return either(found)


def either(marks: Sequence[Value | None]) -> Value | None:
    """Larger than 0 where one of the marks is; None where one is None."""
    known = [mark for mark in marks if mark is not None]
    return reduce(lambda left, right: left + right, known) if len(known) == len(marks) else None
