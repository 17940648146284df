"""FAST_MATH: equal over the reals where both sides are defined; may hide NaN and inf. Off unless asked for."""

from __future__ import annotations

from graphc.ops import OPS
from graphc.rewrite.pattern import FLOAT, Rule, var
from graphc.tensor_type import TensorType
from graphc.value import Value

__all__ = ["FAST_MATH"]

x, y = var("x", FLOAT), var("y", FLOAT)
exp, log, sqrt, square = OPS["exp"], OPS["log"], OPS["sqrt"], OPS["square"]


def _filled(number: float, x: Value, result: TensorType) -> Value:
    return OPS["broadcast_to"](x.builder.constant(number, result.dtype), shape=result.shape)


FAST_MATH: tuple[Rule, ...] = (
    Rule("multiply_by_zero", x * 0, lambda x, result: _filled(0.0, x, result)),
    Rule("zero_numerator", 0 / x, lambda x, result: _filled(0.0, x, result)),
    Rule("subtract_itself", x - x, lambda x, result: _filled(0.0, x, result)),
    Rule("divide_by_itself", x / x, lambda x, result: _filled(1.0, x, result)),
    Rule("power_zero", x**0, lambda x, result: _filled(1.0, x, result)),
    Rule("cancel_factor", (x * y) / y, x),
    Rule("exponential_of_logarithm", exp(log(x)), x),
    Rule("square_of_root", square(sqrt(x)), x),
)
