"""ALGEBRA: the same value up to rounding on every input, finite or not, barring overflow of intermediates.

Signed zeros are kept too, except that a sum whose terms cancel may come out as the other zero. So ``x * 0``,
``x - x`` and ``x + 0`` are not here.
"""

from __future__ import annotations

from graphc.ops import OPS
from graphc.ops.indexing import Slice
from graphc.rewrite.pattern import FLOAT, INDEX, MASK, NUMBER, Kind, Rule, attr, number_of, once, var
from graphc.tensor_type import TensorType
from graphc.value import Value

__all__ = ["ALGEBRA"]

a, b, x = var("a"), var("b"), var("x")
p, n = var("p", FLOAT), var("n", NUMBER)
below = var("below", Kind(lambda node: NUMBER.accepts(node) and number_of(node) < 0, -2.0))
one = var("one", Kind(lambda node: NUMBER.accepts(node) and number_of(node) == 1, 1.0))
mask, index = var("mask", MASK), var("index", INDEX)
items, shape = attr("items"), attr("shape")
axis, axes, keepdims = attr("axis"), attr("axes"), attr("keepdims")

absolute, square, relu = OPS["abs"], OPS["square"], OPS["relu"]
summed, mean, matmul = OPS["sum"], OPS["mean"], OPS["matmul"]
transpose, expand_dims, squeeze, reshape = OPS["transpose"], OPS["expand_dims"], OPS["squeeze"], OPS["reshape"]
broadcast_to, pick, gather = OPS["broadcast_to"], OPS["pick"], OPS["gather"]

_IDENTITIES = (
    Rule("multiply_by_one", x * 1, x),
    Rule(
        "multiply_by_ones",
        broadcast_to(one, shape=shape) * x,
        lambda x, result: broadcast_to(x, shape=result.shape),
        example={"shape": (4, 1, 3)},
    ),
    Rule("multiply_by_minus_one", x * -1, -x),
    Rule("divide_by_one", x / 1, x),
    Rule("divide_by_minus_one", x / -1, -x),
    Rule("subtract_zero", x - 0, x),
    Rule("add_minus_zero", p + -0.0, p),
    Rule("power_one", x**1, x),
    Rule("power_two", x**2, square(x)),
    Rule("power_minus_one", p**-1, 1 / p),
)

_COLUMN = {"x": TensorType("float64", (2, 1)), "p": TensorType("float64", (2, 1)), "axis": (1,)}
_FACTORS = {"b": TensorType("float64", (3, 4))}
negative = -x

# Signs move outward, towards the root, where they meet and cancel.
_SIGNS = (
    Rule("double_negation", -negative, x),
    Rule("add_negative", a + (-b), a - b),
    Rule("subtract_negative", a - (-b), a + b),
    Rule("negative_minus", (-a) - b, -(a + b)),
    Rule("multiply_negative", (-a) * b, -(a * b), ordered=True),
    Rule("multiply_by_negative", a * (-b), -(a * b), ordered=True),
    Rule("negative_numerator", (-a) / b, -(a / b)),
    Rule("negative_denominator", a / (-b), -(a / b)),
    Rule("negative_left_factor", matmul(-a, b), -matmul(a, b), example=_FACTORS),
    Rule("negative_right_factor", matmul(a, -b), -matmul(a, b), example=_FACTORS),
    Rule("sum_of_negative", summed(-x, axis=axis, keepdims=keepdims), -summed(x, axis=axis, keepdims=keepdims)),
    Rule("mean_of_negative", mean(-x, axis=axis, keepdims=keepdims), -mean(x, axis=axis, keepdims=keepdims)),
    Rule("negative_of_multiple", -(p * n), p * -n),
    Rule("transpose_of_negative", transpose(-x, axes=axes), -transpose(x, axes=axes), example={"axes": (1, 0)}),
    Rule(
        "broadcast_negative", broadcast_to(-x, shape=shape), -broadcast_to(x, shape=shape), example={"shape": (4, 2, 3)}
    ),
    Rule("reshaped_negative", reshape(-x, shape=shape), -reshape(x, shape=shape), example={"shape": (6,)}),
    Rule("expanded_negative", expand_dims(-x, axis=axis), -expand_dims(x, axis=axis), example={"axis": (1,)}),
    Rule(
        "squeezed_negative",
        squeeze(-x, axis=axis),
        -squeeze(x, axis=axis),
        example=_COLUMN,
    ),
    Rule("pick_of_negative", pick(-x, index), -pick(x, index)),
    Rule(
        "gather_of_negative",
        gather(-x, index, items=items),
        -gather(x, index, items=items),
        example={"items": ("tensor", Slice(0, 3, 1))},
    ),
    Rule(
        "index_of_negative",
        OPS["index"](-x, items=items),
        -OPS["index"](x, items=items),
        example={"items": (Slice(0, 1, 1), 2)},
    ),
    Rule("negative_number_over", below / p, -(-below / p)),
    Rule("add_negative_multiple", a + p * below, a - p * -below),
    Rule("subtract_negative_multiple", a - p * below, a + p * -below),
    Rule("square_of_negative", square(-x), square(x)),
)


def _exchanges_last(a: Value, b: Value, axes: tuple[int, ...]) -> bool:
    """Whether this order of axes turns two matrices, or stacks of as many axes, into their transposes."""
    front = len(axes) - 2
    return a.ndim == b.ndim == len(axes) and axes == (*range(front), front + 1, front)


_TURNED = {"b": TensorType("float64", (2, 4)), "axes": (1, 0)}

# A number meets others further out; no work is added.
_MULTIPLES = (
    Rule(
        "transpose_of_multiple",
        transpose(once(p * n), axes=axes),
        transpose(p, axes=axes) * n,
        example={"axes": (1, 0)},
    ),
    Rule(
        "expanded_multiple", expand_dims(once(p * n), axis=axis), expand_dims(p, axis=axis) * n, example={"axis": (1,)}
    ),
    Rule("squeezed_multiple", squeeze(once(p * n), axis=axis), squeeze(p, axis=axis) * n, example=_COLUMN),
)

_TRANSPOSES = (
    Rule(
        "transpose_of_product_with_transpose",
        transpose(once(matmul(transpose(a, axes=axes), b)), axes=axes),
        matmul(transpose(b, axes=axes), a),
        when=_exchanges_last,
        example=_TURNED,
    ),
    Rule(
        "transpose_of_product_by_transpose",
        transpose(once(matmul(b, transpose(a, axes=axes))), axes=axes),
        matmul(a, transpose(b, axes=axes)),
        when=_exchanges_last,
        example={"b": TensorType("float64", (4, 3)), "axes": (1, 0)},
    ),
)

_QUOTIENTS = (Rule("multiply_by_reciprocal", a * (1 / b), a / b),)

_REPEATED = (
    Rule("absolute_twice", absolute(absolute(x)), absolute(x)),
    Rule("square_of_absolute", square(absolute(x)), square(x)),
    Rule("relu_twice", relu(relu(x)), relu(x)),
    Rule("same_mask_twice", (x * mask) * mask, x * mask),
    Rule("not_not", OPS["logical_not"](OPS["logical_not"](mask)), mask),
)

ALGEBRA: tuple[Rule, ...] = (*_IDENTITIES, *_SIGNS, *_MULTIPLES, *_TRANSPOSES, *_QUOTIENTS, *_REPEATED)
