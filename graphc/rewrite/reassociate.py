"""REASSOCIATE: sums and products regrouped; may lose digits to cancellation, or overflow on the way.

`ROUNDING` are the rules whose error is that of a few roundings of the terms as they were written (and the sign of a
zero), as long as nothing overflows or underflows: safe, and used unless told otherwise. The others state their bound.
"""

from __future__ import annotations

from graphc.ops import OPS
from graphc.rewrite.contractions import CONTRACTIONS
from graphc.rewrite.differences import DIFFERENCES
from graphc.rewrite.pattern import FLOAT, INDEX, MASK, NUMBER, SCALAR, TENSOR, Rule, attr, once, var
from graphc.rewrite.placed import PLACED
from graphc.size import at_least
from graphc.tensor_type import Shape, TensorType, broadcast_shapes, product
from graphc.value import Value

__all__ = ["CANCELLING", "REASSOCIATE", "ROUNDING"]

Axes = tuple[int, ...]

a, b = var("a", TENSOR), var("b", TENSOR)
x, y, z = var("x", FLOAT), var("y", FLOAT), var("z", FLOAT)
c, d = var("c", SCALAR), var("d", SCALAR)
m, n = var("m", NUMBER), var("n", NUMBER)
axis, first, keepdims, shape = attr("axis"), attr("first"), attr("keepdims"), attr("shape")

labels, mask = var("labels", INDEX), var("mask", MASK)
total, exp = OPS["sum"], OPS["exp"]

matmul, broadcast_to, one_hot, where = OPS["matmul"], OPS["broadcast_to"], OPS["one_hot"], OPS["where"]

_ZEROS = (
    Rule("add_zero", x + 0, x),
    Rule("zero_minus", 0 - x, -x),
    Rule("negative_of_difference", -once(x - y), y - x),
    Rule("sum_of_branches", once(where(mask, x, 0.0)) + once(where(mask, 0.0, y)), where(mask, x, y)),
    Rule("difference_of_branches", once(where(mask, x, 0.0)) - once(where(mask, 0.0, y)), where(mask, x, -y)),
)

# One of the two products is used here only, so no work is added.
_COMMON_SCALARS = (
    Rule("common_scalar_of_sum", once(a * c) + b * c, (a + b) * c),
    Rule("common_scalar_of_difference", once(a * c) - b * c, (a - b) * c),
    Rule("common_scalar_of_difference_reversed", a * c - once(b * c), (a - b) * c),
    Rule("common_divisor_of_sum", once(a / c) + b / c, (a + b) / c),
    Rule("common_divisor_of_difference", once(a / c) - b / c, (a - b) / c),
    Rule("common_divisor_of_difference_reversed", a / c - once(b / c), (a - b) / c),
)


def _full(a: Value, result: TensorType) -> bool:
    """Whether an operand is already as large as the result."""
    return a.type == result


_SCALARS = (
    Rule("scalars_multiply", once(a * c) * d, a * (c * d)),
    Rule("scalar_after_divisor", once(a / c) * d, a * (d / c)),
    Rule("divisor_after_scalar", once(a * c) / d, a * (c / d)),
    Rule("divisors_multiply", once(a / c) / d, a / (c * d)),
    # Outward, where no work is added: there they meet others.
    Rule("scalar_outward", once(a * c) * b, (a * b) * c, when=_full),
    Rule("divisor_outward", once(a / c) * b, (a * b) / c, when=_full),
    Rule("scalar_out_of_numerator", once(a * c) / b, (a / b) * c, when=_full),
    Rule("numbers_multiply", (x * m) * n, x * (m * n)),
    Rule("number_inside_product", once(x * once(y * m)) * n, x * (y * (m * n))),
    Rule("number_after_divisor", (x / m) * n, x * (n / m)),
    Rule("divisor_after_number", (x * m) / n, x * (m / n)),
    Rule("number_over_scalar", once(x * once(c / y)) * n, x * ((c * n) / y)),
    Rule("numbers_of_factors", once(m / x) * once(y * n), ((m * n) / x) * y),
    Rule("number_over", (m / x) * n, (m * n) / x),
    # The gradient of y / exp(x) by x, such as that of a likelihood by the logarithm of its scale.
    Rule("quotient_scaled_back", (y / exp(x)) * exp(x), y),
    Rule("multiple_scaled_back", (z * (y / exp(x))) * exp(x), z * y),
)


def _one_per_row(x: Value, axis: Axes, result: TensorType) -> bool:
    """Whether a sum runs along the rows of one_hot, along which x does not change."""
    return axis == (result.ndim - 1,) and (not x.ndim or x.shape[-1] == 1)


_LABELLED = {"x": TensorType("float64", (2, 1)), "axis": (1,), "depth": 3}

# A row of one_hot adds up to 1.
_ONE_HOT = (
    Rule(
        "sum_of_one_hot",
        total(one_hot(labels), axis=axis, keepdims=keepdims),
        lambda labels, result: broadcast_to(labels.builder.constant(1, result.dtype), shape=result.shape),
        when=lambda labels, axis: axis == (labels.ndim,),
        example=_LABELLED,
    ),
    Rule(
        "sum_of_one_hot_multiple",
        total(x * one_hot(labels), axis=axis, keepdims=True),
        lambda x, result: broadcast_to(x, shape=result.shape),
        when=_one_per_row,
        example=_LABELLED,
    ),
    Rule(
        "sum_of_one_hot_quotient",
        total(one_hot(labels) / x, axis=axis, keepdims=True),
        lambda x, result: broadcast_to(1 / x, shape=result.shape),
        when=_one_per_row,
        example=_LABELLED,
    ),
)

_REDUCTIONS = tuple(
    rule
    for op in (total, OPS["mean"])
    for rule in (
        Rule(
            f"{op.name}_of_multiple",
            op(once(a * c), axis=axis, keepdims=keepdims),
            op(a, axis=axis, keepdims=keepdims) * c,
            example={"axis": (1,), "keepdims": False},
        ),
        Rule(
            f"{op.name}_of_quotient",
            op(once(a / c), axis=axis, keepdims=keepdims),
            op(a, axis=axis, keepdims=keepdims) / c,
            example={"axis": (1,), "keepdims": False},
        ),
    )
)


def _sum_at_once(x: Value, first: Axes, axis: Axes) -> Value:
    left = [place for place in range(x.ndim) if place not in first]
    return total(x, axis=tuple(sorted((*first, *(left[place] for place in axis)))))


_SUMS = (
    Rule(
        "sum_of_sum",
        total(once(total(x, axis=first, keepdims=False)), axis=axis, keepdims=False),
        _sum_at_once,
        example={"x": TensorType("float64", (2, 3, 4)), "first": (1,), "axis": (1,)},
    ),
)


def _sums_repetitions(x: Value, shape: Shape, axis: Axes) -> bool:
    """Whether a sum is over nothing but axes that broadcasting put in front."""
    return bool(axis) and (not x.ndim or max(axis) < len(shape) - x.ndim)


def _multiplied(x: Value, shape: Shape, axis: Axes, result: TensorType) -> Value:
    count = x.builder.size(product([shape[a] for a in axis]), x.type.dtype)
    return broadcast_to(x * count, shape=result.shape)


def _shrinks(a: Value, result: TensorType) -> bool:
    return at_least(a.type.size - result.size, 0) is True


_FILLED = {"shape": (2, 3)}
_ROW = TensorType("float64", (3,))
_SQUARE = {"a": TensorType("float64", (3, 3)), "b": TensorType("float64", (3, 3))}

_LINEAR = (
    # The values are the same; of the gradients the sums are regrouped.
    Rule(
        "product_of_broadcast",
        broadcast_to(x, shape=shape) * y,
        lambda x, y, result: broadcast_to(x * y, shape=result.shape),
        when=lambda x, y, result: broadcast_shapes([x.shape, y.shape]) != result.shape,
        example={"x": _ROW, "y": _ROW, **_FILLED},
    ),
    Rule("quotient_of_broadcast", broadcast_to(c, shape=shape) / d, broadcast_to(c / d, shape=shape), example=_FILLED),
    Rule("quotient_by_broadcast", c / broadcast_to(d, shape=shape), broadcast_to(c / d, shape=shape), example=_FILLED),
    Rule(
        "sum_of_repetitions",
        total(broadcast_to(x, shape=shape), axis=axis, keepdims=keepdims),
        _multiplied,
        when=_sums_repetitions,
        example={"shape": (4, 2, 3), "axis": (0,), "keepdims": False},
    ),
    Rule("scalar_out_of_left_factor", matmul(once(a * c), b), matmul(a, b) * c, when=_shrinks, example=_SQUARE),
    Rule(
        "scalar_out_of_right_factor",
        matmul(a, once(b * c)),
        matmul(a, b) * c,
        when=lambda b, result: _shrinks(b, result),
        example=_SQUARE,
    ),
)

ROUNDING: tuple[Rule, ...] = (
    *(*_ZEROS, *_COMMON_SCALARS, *_SCALARS, *_ONE_HOT, *_REDUCTIONS, *_SUMS, *_LINEAR),
    *(*PLACED, *CONTRACTIONS),
)

CANCELLING: tuple[Rule, ...] = (
    # Error: rounding of |a||c| + |b||c|, where the terms as written may be far smaller than these.
    Rule("common_factor_of_sum", once(a * x) + once(b * x), (a + b) * x),
    Rule("common_factor_of_difference", once(a * x) - once(b * x), (a - b) * x),
)

REASSOCIATE: tuple[Rule, ...] = (*ROUNDING, *CANCELLING, *DIFFERENCES)
