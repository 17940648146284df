"""STABILITY: equal over the reals, never overflowing where the original did not, and finite where mathematics is.

Applied before differentiation, so that gradients are those of the stable form. No rule drops the last path to an
operand: a variable whose gradient is zero by algebra stays connected.
"""

from __future__ import annotations

from math import log as logarithm_of

from graphc.builder import Builder
from graphc.graph import Node
from graphc.ops import OPS
from graphc.ops.indexing import Slice
from graphc.rewrite.pattern import FLOAT, INDEX, MASK, NUMBER, Kind, Rule, attr, number_of, once, var
from graphc.tensor_type import TensorType
from graphc.value import Value

__all__ = ["STABILITY"]

Axes = tuple[int, ...]

_NONNEGATIVE_OPS = frozenset(("exp", "sigmoid", "softmax", "softplus", "square", "abs", "sqrt"))


def _is_nonnegative(node: Node) -> bool:
    return node.op.name in _NONNEGATIVE_OPS and FLOAT.accepts(node)


def _nonnegative_sample(builder: Builder) -> Value:
    return OPS["exp"](builder.input("exponent", TensorType("float64", (2, 3))))


def _counted(builder: Builder) -> Value:
    return builder.value(builder.make(OPS["arange"], (), {"stop": 2}))


a, x, y = var("a", FLOAT), var("x", FLOAT), var("y", FLOAT)
exponent = var("exponent", Kind(lambda node: NUMBER.accepts(node) and number_of(node) != 0, 3.0))
nonnegative = var("nonnegative", Kind(_is_nonnegative, _nonnegative_sample))
items = attr("items")
mask, labels = var("mask", MASK), var("labels", INDEX)
rows = var("rows", Kind(lambda node: node.op.name == "arange", _counted))
unsigned = var("unsigned", Kind(lambda node: node.op.name != "sign" and FLOAT.accepts(node), FLOAT.sample))
axis, other, keepdims = attr("axis"), attr("other"), attr("keepdims")

exp, expm1, log, log1p = OPS["exp"], OPS["expm1"], OPS["log"], OPS["log1p"]
sigmoid, softplus, tanh = OPS["sigmoid"], OPS["softplus"], OPS["tanh"]
softmax, log_softmax, logsumexp = OPS["softmax"], OPS["log_softmax"], OPS["logsumexp"]
absolute, sign, square, sqrt = OPS["abs"], OPS["sign"], OPS["square"], OPS["sqrt"]
pick, gather, index = OPS["pick"], OPS["gather"], OPS["index"]
summed, product, largest, expand_dims = OPS["sum"], OPS["prod"], OPS["max"], OPS["expand_dims"]

sum_exp = summed(exp(x), axis=axis, keepdims=keepdims)
reduced_exp = logsumexp(x, axis=axis, keepdims=keepdims)
shifted = x - largest(x, axis=other, keepdims=keepdims)


def _broadcasts_back(x: Value, axis: Axes, keepdims: bool) -> bool:
    """Whether a reduction of x over these axes broadcasts against x as it is."""
    return keepdims or len(axis) == x.ndim


def _constant_along(x: Value, axis: Axes, other: Axes, keepdims: bool) -> bool:
    """Whether a reduction of x over ``other`` is the same number along ``axis``."""
    return set(axis) <= set(other) and _broadcasts_back(x, other, keepdims)


_ROWS = {"axis": (1,), "keepdims": True}
_LAST = {"axis": (1,), "other": (1,), "keepdims": True}

_LOGISTIC = (
    Rule("logistic", 1 / (1 + exp(-x)), sigmoid(x)),
    Rule("logistic_quotient", exp(x) / (1 + exp(x)), sigmoid(x)),
    Rule("hyperbolic_tangent", (exp(x) - exp(-x)) / (exp(x) + exp(-x)), tanh(x)),
    Rule("hyperbolic_tangent_of_half", expm1(x) / (1 + exp(x)), tanh(x / 2)),
    Rule("reversed_logistic", 1 / (1 + exp(x)), sigmoid(-x)),
    Rule("logistic_weight", a / (1 + exp(x)), a * sigmoid(-x)),
)

_SOFTMAX = (
    Rule("softmax", exp(x) / sum_exp, softmax(x, axis=axis), when=_broadcasts_back, example=_ROWS),
    Rule(
        "softmax_expanded",
        exp(x) / expand_dims(summed(exp(x), axis=axis, keepdims=False), axis=axis),
        softmax(x, axis=axis),
        example={"axis": (1,)},
    ),
    Rule("softmax_of_shifted", softmax(shifted, axis=axis), softmax(x, axis=axis), when=_constant_along, example=_LAST),
    # Only when the logsumexp is not needed itself: subtracting one that is there costs least.
    Rule("log_softmax", x - once(reduced_exp), log_softmax(x, axis=axis), when=_broadcasts_back, example=_ROWS),
    Rule(
        "log_softmax_of_shifted",
        log_softmax(shifted, axis=axis),
        log_softmax(x, axis=axis),
        when=_constant_along,
        example=_LAST,
    ),
    Rule(
        "logsumexp_of_shifted",
        logsumexp(shifted, axis=axis, keepdims=keepdims) + largest(x, axis=other, keepdims=keepdims),
        logsumexp(x, axis=axis, keepdims=keepdims),
        when=lambda axis, other: axis == other,
        example=_LAST,
    ),
)

# The rules above the two of log1p are more special.
_LOGARITHMS = (
    Rule("log_of_softmax", log(softmax(x, axis=axis)), log_softmax(x, axis=axis), example={"axis": (1,)}),
    # Also where elements are taken first: log_softmax costs what softmax does.
    Rule(
        "log_of_picked_softmax",
        log(pick(softmax(x, axis=axis), labels)),
        pick(log_softmax(x, axis=axis), labels),
        example={"axis": (1,)},
    ),
    Rule(
        "log_of_gathered_softmax",
        log(gather(softmax(x, axis=axis), labels, items=items)),
        gather(log_softmax(x, axis=axis), labels, items=items),
        example={"axis": (1,), "items": ("tensor", Slice(0, 3, 1))},
    ),
    Rule(
        "log_of_indexed_softmax",
        log(index(softmax(x, axis=axis), items=items)),
        index(log_softmax(x, axis=axis), items=items),
        example={"axis": (1,), "items": (Slice(0, 2, 1), 1)},
    ),
    Rule("log_of_sum_of_exponentials", log(sum_exp), reduced_exp, example={"axis": (1,), "keepdims": False}),
    Rule("log_of_sigmoid", log(sigmoid(x)), -softplus(-x)),
    Rule("log_of_complement", log(1 - sigmoid(x)), -softplus(x)),
    Rule("log1p_of_complement", log1p(-sigmoid(x)), -softplus(x)),
    Rule("softplus", log(1 + exp(x)), softplus(x)),
    Rule("softplus_log1p", log1p(exp(x)), softplus(x)),
    Rule("log_of_exponential", log(exp(x)), x),
    Rule("log_of_square", log(square(x)), 2 * log(absolute(x))),
    Rule("log_of_reciprocal", log(1 / x), -log(x)),
    Rule(
        "log_of_nonnegative_product",
        log(product(nonnegative, axis=axis, keepdims=keepdims)),
        summed(log(nonnegative), axis=axis, keepdims=keepdims),
        example=_ROWS,
    ),
    # Two negative factors have a positive product, whose logarithm the sum of theirs would miss; a negative product
    # has none. The product of the signs is 1, -1 or 0, and its logarithm 0, NaN or -inf, as it should be.
    Rule(
        "log_of_product",
        log(product(unsigned, axis=axis, keepdims=keepdims)),
        summed(log(absolute(unsigned)), axis=axis, keepdims=keepdims)
        + log(product(sign(unsigned), axis=axis, keepdims=keepdims)),
        example=_ROWS,
    ),
    Rule("log_of_sum_of_two_exponentials", log(exp(x) + exp(y)), OPS["logaddexp"](x, y)),
    Rule("log_of_hyperbolic_cosine", log(OPS["cosh"](x)), OPS["logaddexp"](x, -x) - logarithm_of(2)),
    Rule("log1p_of_minus_exponential", log1p(-exp(x)), OPS["log1mexp"](x)),
    Rule("log_of_minus_expm1", log(-expm1(x)), OPS["log1mexp"](x)),
    Rule("log_of_root", log(sqrt(x)), 0.5 * log(x)),
    Rule("log_of_nonnegative_power", log(nonnegative**exponent), exponent * log(nonnegative)),
    # Of an operand times its own logarithm only: any other product would be slower and harder to read.
    Rule("entropy", x * log(x), OPS["xlogy"](x, x)),
    Rule("log_of_one_plus", log(1 + x), log1p(x)),
    Rule("log_of_one_minus", log(1 - x), log1p(-x)),
)

_EXPONENTIALS = (
    Rule("exponential_minus_one", exp(x) - 1, expm1(x)),
    Rule("one_minus_exponential", 1 - exp(x), -expm1(x)),
    Rule("softplus_minus_operand", softplus(x) - x, softplus(-x)),
    Rule("operand_minus_softplus", x - softplus(x), -softplus(-x)),
    Rule(
        "product_of_exponentials",
        product(exp(x), axis=axis, keepdims=keepdims),
        exp(summed(x, axis=axis, keepdims=keepdims)),
        example=_ROWS,
    ),
)

# A function that is near 1, or near another, is not subtracted from it.
_COMPLEMENTS = (
    Rule("one_minus_cosine", 1 - OPS["cos"](x), 2 * square(OPS["sin"](x / 2))),
    Rule("hyperbolic_cosine_minus_one", OPS["cosh"](x) - 1, 2 * square(OPS["sinh"](x / 2))),
    Rule("one_minus_square_of_tanh", 1 - square(once(tanh(x))), square(OPS["sech"](x))),
    Rule("one_minus_erf", 1 - OPS["erf"](x), OPS["erfc"](x)),
    Rule("one_minus_erfc", 1 - OPS["erfc"](x), OPS["erf"](x)),
    Rule("difference_of_roots", sqrt(x + 1) - sqrt(x), 1 / (sqrt(x + 1) + sqrt(x))),
)

_QUOTIENTS = (Rule("divide_by_reciprocal", a / (1 / x), a * x),)

# The values of these are bit-identical, their gradients equal over the reals: a cotangent that is infinite is not
# multiplied by the 0 of a mask, or only then.
_CHOICES = (
    Rule("same_branches", OPS["where"](mask, x, x), x),
    Rule("maximum_of_same", OPS["maximum"](x, x), x),
    Rule("minimum_of_same", OPS["minimum"](x, x), x),
    Rule(
        "pick_by_counting",
        gather(x, rows, labels, items=("tensor", "tensor")),
        pick(x, labels),
        when=lambda x, rows, labels: x.shape[:1] == rows.shape == labels.shape,
    ),
)

_ROOTS = (
    Rule("root_of_sum_of_squares", sqrt(square(x) + square(y)), OPS["hypot"](x, y)),
    Rule("root_of_sum_of_products", sqrt(x * x + y * y), OPS["hypot"](x, y)),
    Rule("root_of_one_plus_square", sqrt(1 + square(x)), OPS["hypot"](x, 1)),
    Rule("root_of_square", sqrt(square(x)), absolute(x)),
    Rule("root_of_product_with_itself", sqrt(x * x), absolute(x)),
    # The derivative of log|x|, which would be 0 * inf at 0.
    Rule("sign_over_absolute", (a / absolute(x)) * sign(x), a / x),
)

STABILITY: tuple[Rule, ...] = (
    *_LOGISTIC,
    *_SOFTMAX,
    *_LOGARITHMS,
    *_EXPONENTIALS,
    *_COMPLEMENTS,
    *_QUOTIENTS,
    *_CHOICES,
    *_ROOTS,
)
