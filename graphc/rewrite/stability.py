"""STABILITY: equal over the reals, never overflowing where the original did not, and finite where mathematics is.

Each rule says where its pattern fails, with a point; a test sees it fail there and the replacement be right.
Applied before differentiation, so that gradients are those of the stable form. No rule drops the last path to an
operand: a variable whose gradient is zero by algebra stays connected.
"""

from __future__ import annotations

from math import inf
from math import log as logarithm_of

from graphc.builder import Builder
from graphc.graph import Node
from graphc.ops import OPS
from graphc.ops.indexing import Slice
from graphc.rewrite.pattern import FLOAT, INDEX, MASK, NUMBER, Failure, Kind, Rule, attr, number_of, once, var
from graphc.tensor_type import TensorType
from graphc.value import Value

__all__ = ["STABILITY"]

Axes = tuple[int, ...]

_POSITIVE_OPS = frozenset(("exp", "sigmoid", "softmax"))


def _is_nonnegative(node: Node) -> bool:
    return node.op.nonnegative and FLOAT.accepts(node)


def _is_positive(node: Node) -> bool:
    return node.op.name in _POSITIVE_OPS and FLOAT.accepts(node)


def _is_even(node: Node) -> bool:
    return NUMBER.accepts(node) and number_of(node) % 2 == 0 and number_of(node) != 0


def _exponential(builder: Builder) -> Value:
    return OPS["exp"](builder.input("exponent", TensorType("float64", (2, 3))))


def _counted(builder: Builder) -> Value:
    return builder.value(builder.make(OPS["arange"], (), {"stop": 2}))


a, x, y = var("a", FLOAT), var("x", FLOAT), var("y", FLOAT)
exponent = var("exponent", Kind(lambda node: NUMBER.accepts(node) and number_of(node) != 0, 3.0))
nonnegative = var("nonnegative", Kind(_is_nonnegative, _exponential))
positive = var("positive", Kind(_is_positive, _exponential))
even = var("even", Kind(_is_even, 4.0))
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
summed, product, largest, mean = OPS["sum"], OPS["prod"], OPS["max"], OPS["mean"]
expand_dims, where = OPS["expand_dims"], OPS["where"]

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

# How several patterns fail.
_NAN = Failure("exp(x) overflows above x = 709, inf / inf is NaN", {"x": 800.0})
_NAN_GRADIENT = Failure("exp(x) overflows above x = 709, its gradient is NaN", {"a": 1.0, "x": 800.0})
_OVERFLOW = Failure("exp(x) overflows above x = 709", {"x": 800.0, "y": 790.0})
_UNDERFLOW = Failure("log(0) once softmax underflows, logits 745 apart", {"x": (0.0, 800.0, 0.0), "labels": 0})
_SATURATED = Failure("log(0) once sigmoid(x) rounds to 1, above x = 37", {"x": 40.0})
_IMPROBABLE = Failure("log(0) once the power underflows, of a = 1 below x = -745", {"a": 1.0, "x": -800.0})
_CERTAIN = Failure("log(0) once sigmoid(x) rounds to 1, above x = 37", {"a": 1.0, "x": 40.0})
_PRODUCT = Failure("the product overflows or underflows", {"exponent": 300.0, "unsigned": (1e200, 1e200, -1e200)})
_FACTORS = Failure("the product overflows or underflows", {"exponent": (500.0, -500.0, 1.0), "y": (1e200, 1e-200, 2.0)})
_RATIO = Failure("the quotient overflows or underflows", {"exponent": (500.0, -500.0, 1.0), "y": (1e-200, 1e200, 2.0)})
_SMALL = Failure("digits cancel at small x", {"x": 1e-20})
_LARGE = Failure("digits cancel: it is 0 above x = 37", {"x": 40.0})
_SQUARES = Failure(
    "x² overflows above |x| = 1e154 and underflows below 1e-162", {"x": (1e200, 1e-200, 1.0), "y": (1e200, 1e-200, 1.0)}
)

_LOGISTIC = (
    Rule(
        "logistic",
        1 / (1 + exp(-x)),
        sigmoid(x),
        fails=Failure("exp(-x) overflows below x = -709, its gradient is NaN", {"x": -800.0}),
    ),
    Rule("logistic_quotient", exp(x) / (1 + exp(x)), sigmoid(x), fails=_NAN),
    Rule("hyperbolic_tangent", (exp(x) - exp(-x)) / (exp(x) + exp(-x)), tanh(x), fails=_NAN),
    Rule("hyperbolic_tangent_of_half", expm1(x) / (1 + exp(x)), tanh(x / 2), fails=_NAN),
    Rule("reversed_logistic", 1 / (1 + exp(x)), sigmoid(-x), fails=_NAN_GRADIENT),
    Rule("logistic_weight", a / (1 + exp(x)), a * sigmoid(-x), fails=_NAN_GRADIENT),
    # The probability of a label that is there, of two: that of the other one loses its digits.
    Rule(
        "probability_or_complement",
        where(mask, sigmoid(x), 1 - sigmoid(x)),
        sigmoid(where(mask, x, -x)),
        fails=Failure("1 - sigmoid(x) is 0 above x = 37", {"mask": False, "x": 40.0}),
    ),
    Rule(
        "complement_or_probability",
        where(mask, 1 - sigmoid(x), sigmoid(x)),
        sigmoid(where(mask, -x, x)),
        fails=Failure("1 - sigmoid(x) is 0 above x = 37", {"mask": True, "x": 40.0}),
    ),
)

_SOFTMAX = (
    Rule("softmax", exp(x) / sum_exp, softmax(x, axis=axis), when=_broadcasts_back, example=_ROWS, fails=_NAN),
    Rule(
        "softmax_expanded",
        exp(x) / expand_dims(summed(exp(x), axis=axis, keepdims=False), axis=axis),
        softmax(x, axis=axis),
        example={"axis": (1,)},
        fails=_NAN,
    ),
    Rule("softmax_of_shifted", softmax(shifted, axis=axis), softmax(x, axis=axis), when=_constant_along, example=_LAST),
    # Only when the logsumexp is not needed itself: subtracting one that is there costs least.
    Rule(
        "log_softmax",
        x - once(reduced_exp),
        log_softmax(x, axis=axis),
        when=_broadcasts_back,
        example=_ROWS,
        fails=Failure("digits cancel: of logits near 1e10, ten are lost", {"x": (1e10, 1e10 + 1, 1e10 + 2)}),
    ),
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
        fails=Failure("inf - inf is NaN where all is masked by -inf", {"x": -inf}),
    ),
)

# The rules above the two of log1p are more special.
_LOGARITHMS = (
    Rule(
        "log_of_softmax",
        log(softmax(x, axis=axis)),
        log_softmax(x, axis=axis),
        example={"axis": (1,)},
        fails=_UNDERFLOW,
    ),
    # Also where elements are taken first: log_softmax costs what softmax does.
    Rule(
        "log_of_picked_softmax",
        log(pick(softmax(x, axis=axis), labels)),
        pick(log_softmax(x, axis=axis), labels),
        example={"axis": (1,)},
        fails=_UNDERFLOW,
    ),
    Rule(
        "log_of_gathered_softmax",
        log(gather(softmax(x, axis=axis), labels, items=items)),
        gather(log_softmax(x, axis=axis), labels, items=items),
        example={"axis": (1,), "items": ("tensor", Slice(0, 3, 1))},
        fails=_UNDERFLOW,
    ),
    Rule(
        "log_of_indexed_softmax",
        log(index(softmax(x, axis=axis), items=items)),
        index(log_softmax(x, axis=axis), items=items),
        example={"axis": (1,), "items": (Slice(0, 2, 1), 0)},
        fails=_UNDERFLOW,
    ),
    Rule(
        "log_of_sum_of_exponentials",
        log(sum_exp),
        reduced_exp,
        example={"axis": (1,), "keepdims": False},
        fails=_OVERFLOW,
    ),
    Rule(
        "log_of_sigmoid",
        log(sigmoid(x)),
        -softplus(-x),
        fails=Failure("log(0) once sigmoid(x) underflows, below x = -745", {"x": -800.0}),
    ),
    Rule("log_of_complement", log(1 - sigmoid(x)), -softplus(x), fails=_SATURATED),
    Rule("log1p_of_complement", log1p(-sigmoid(x)), -softplus(x), fails=_SATURATED),
    # The three of a Bernoulli likelihood, p**y * (1 - p) ** (1 - y), whose exponents are data.
    Rule("log_of_sigmoid_power", log(sigmoid(x) ** a), -(a * softplus(-x)), fails=_IMPROBABLE),
    Rule("log_of_complement_power", log((1 - sigmoid(x)) ** a), -(a * softplus(x)), fails=_CERTAIN),
    Rule(
        "log_of_sigmoid_power_factor",
        log(sigmoid(x) ** a * y),
        log(sigmoid(x) ** a) + log(y),
        fails=Failure("the product underflows", {"a": 100.0, "x": -7.0, "y": 1e-100}),
    ),
    Rule(
        "softplus",
        log(1 + exp(x)),
        softplus(x),
        fails=Failure("exp(x) overflows above x = 709, 1 + exp(x) is 1 below x = -37", {"x": (800.0, -40.0, 0.0)}),
    ),
    Rule("softplus_log1p", log1p(exp(x)), softplus(x), fails=_OVERFLOW),
    Rule("log_of_exponential", log(exp(x)), x, fails=_OVERFLOW),
    Rule("log_of_square", log(square(x)), 2 * log(absolute(x)), fails=_SQUARES),
    Rule(
        "log_of_reciprocal",
        log(1 / x),
        -log(x),
        fails=Failure(
            "1 / x overflows below x = 5e-309, its gradient underflows above x = 1e154", {"x": (1e-310, 1e200, 1.0)}
        ),
    ),
    Rule(
        "log_of_nonnegative_product",
        log(product(nonnegative, axis=axis, keepdims=keepdims)),
        summed(log(nonnegative), axis=axis, keepdims=keepdims),
        example=_ROWS,
        fails=_PRODUCT,
    ),
    # Two negative factors have a positive product, whose logarithm the sum of theirs would miss; a negative product
    # has none. The product of the signs is 1, -1 or 0, and its logarithm 0, NaN or -inf, as it should be.
    Rule(
        "log_of_product",
        log(product(unsigned, axis=axis, keepdims=keepdims)),
        summed(log(absolute(unsigned)), axis=axis, keepdims=keepdims)
        + log(product(sign(unsigned), axis=axis, keepdims=keepdims)),
        example=_ROWS,
        fails=_PRODUCT,
    ),
    Rule("log_of_sum_of_two_exponentials", log(exp(x) + exp(y)), OPS["logaddexp"](x, y), fails=_OVERFLOW),
    Rule(
        "log_of_hyperbolic_cosine",
        log(OPS["cosh"](x)),
        OPS["logaddexp"](x, -x) - logarithm_of(2),
        fails=Failure("cosh(x) overflows above |x| = 710", {"x": 800.0}),
    ),
    Rule(
        "log1p_of_minus_exponential",
        log1p(-exp(x)),
        OPS["log1mexp"](x),
        fails=Failure("log(0) once exp(x) rounds to 1, above x = -1e-16", {"x": -1e-20}),
    ),
    Rule(
        "log_of_minus_expm1",
        log(-expm1(x)),
        OPS["log1mexp"](x),
        fails=Failure("log(1) once expm1(x) rounds to -1, below x = -37", {"x": -40.0}),
    ),
    Rule(
        "log_of_root",
        log(sqrt(x)),
        0.5 * log(x),
        fails=Failure(
            "sqrt(x) loses the last digits of x, near 1 the only ones of the logarithm", {"x": 1.0000000000000002}
        ),
    ),
    Rule(
        "log_of_nonnegative_power",
        log(nonnegative**exponent),
        exponent * log(nonnegative),
        fails=Failure("the power overflows or underflows", {"exponent": 300.0}),
    ),
    Rule(
        "log_of_even_power",
        log(x**even),
        even * log(absolute(x)),
        fails=Failure("the power overflows or underflows", {"x": (1e100, 1e-100, 1.0)}),
    ),
    Rule(
        "log_of_power",
        log(x**exponent),
        exponent * log(x),
        when=lambda exponent: not _is_even(exponent.node),
        fails=Failure("the power overflows or underflows", {"x": (1e200, 1e-200, 1.0)}),
    ),
    Rule("log_of_positive_factor", log(positive * y), log(positive) + log(y), fails=_FACTORS),
    Rule("log_of_positive_numerator", log(positive / y), log(positive) - log(y), fails=_RATIO),
    Rule("log_of_positive_denominator", log(y / positive), log(y) - log(positive), fails=_RATIO),
    # Of an operand times its own logarithm only: any other product would be slower and harder to read.
    Rule("entropy", x * log(x), OPS["xlogy"](x, x), fails=Failure("0 * log(0) is NaN", {"x": 0.0})),
    Rule("log_of_one_plus", log(1 + x), log1p(x), fails=Failure("1 + x loses the digits of a small x", {"x": 1e-20})),
    Rule("log_of_one_minus", log(1 - x), log1p(-x), fails=Failure("1 - x loses the digits of a small x", {"x": 1e-20})),
)

_EXPONENTIALS = (
    Rule("exponential_minus_one", exp(x) - 1, expm1(x), fails=_SMALL),
    Rule("one_minus_exponential", 1 - exp(x), -expm1(x), fails=_SMALL),
    Rule("softplus_minus_operand", softplus(x) - x, softplus(-x), fails=_LARGE),
    Rule("operand_minus_softplus", x - softplus(x), -softplus(-x), fails=_LARGE),
    Rule(
        "product_of_exponentials",
        product(exp(x), axis=axis, keepdims=keepdims),
        exp(summed(x, axis=axis, keepdims=keepdims)),
        example=_ROWS,
        fails=Failure("exp(x) overflows above x = 709, inf * 0 is NaN", {"x": (800.0, -800.0, 1.0)}),
    ),
)

# A function that is near 1, or near another, is not subtracted from it.
_COMPLEMENTS = (
    Rule("one_minus_cosine", 1 - OPS["cos"](x), 2 * square(OPS["sin"](x / 2)), fails=_SMALL),
    Rule("hyperbolic_cosine_minus_one", OPS["cosh"](x) - 1, 2 * square(OPS["sinh"](x / 2)), fails=_SMALL),
    Rule(
        "one_minus_square_of_tanh",
        1 - square(tanh(x)),
        square(OPS["sech"](x)),
        fails=Failure("digits cancel: it is 0 above |x| = 19", {"x": 40.0}),
    ),
    Rule(
        "one_minus_erf",
        1 - OPS["erf"](x),
        OPS["erfc"](x),
        fails=Failure("digits cancel: it is 0 above x = 5.9", {"x": 10.0}),
    ),
    Rule("one_minus_erfc", 1 - OPS["erfc"](x), OPS["erf"](x), fails=_SMALL),
    Rule(
        "difference_of_roots",
        sqrt(x + 1) - sqrt(x),
        1 / (sqrt(x + 1) + sqrt(x)),
        fails=Failure("digits cancel at large x", {"x": 1e20}),
    ),
)

average = mean(x, axis=axis, keepdims=keepdims)
_VARIANCES = tuple(
    Rule(
        name,
        mean(squares, axis=axis, keepdims=keepdims) - squared,
        OPS["var"](x, axis=axis, keepdims=keepdims),
        example=_ROWS,
        fails=Failure("digits cancel: of numbers near 1e8 all are lost", {"x": (1e8, 1e8 + 1, 1e8 + 2)}),
    )
    for name, squares, squared in (
        ("variance", square(x), square(average)),
        ("variance_of_products", x * x, average * average),
        ("variance_of_products_and_square", x * x, square(average)),
        ("variance_of_squares_and_product", square(x), average * average),
    )
)

_QUOTIENTS = (
    Rule(
        "divide_by_reciprocal",
        a / (1 / x),
        a * x,
        fails=Failure("1 / x overflows below |x| = 5e-309", {"a": 1e300, "x": 1e-310}),
    ),
)

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
    Rule("root_of_sum_of_squares", sqrt(square(x) + square(y)), OPS["hypot"](x, y), fails=_SQUARES),
    Rule("root_of_sum_of_products", sqrt(x * x + y * y), OPS["hypot"](x, y), fails=_SQUARES),
    Rule("root_of_one_plus_square", sqrt(1 + square(x)), OPS["hypot"](x, 1), fails=_SQUARES),
    Rule(
        "root_of_square",
        sqrt(square(x)),
        absolute(x),
        fails=_SQUARES,
    ),
    Rule(
        "root_of_product_with_itself",
        sqrt(x * x),
        absolute(x),
        fails=_SQUARES,
    ),
    # The derivative of log|x|, which would be 0 * inf at 0.
    Rule(
        "sign_over_absolute",
        (a / absolute(x)) * sign(x),
        a / x,
        fails=Failure("inf * 0 at x = 0 is NaN", {"a": 1.0, "x": 0.0}),
    ),
)

STABILITY: tuple[Rule, ...] = (
    *_LOGISTIC,
    *_SOFTMAX,
    *_LOGARITHMS,
    *_EXPONENTIALS,
    *_COMPLEMENTS,
    *_VARIANCES,
    *_QUOTIENTS,
    *_CHOICES,
    *_ROOTS,
)
