"""Special functions: error and gamma functions, and sums and products of logarithms at their limits; see `elementwise`.

What NumPy lacks is in `graphc.backends.special`, each with its source and its accuracy.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import TYPE_CHECKING

from graphc.op import OPS, Alternative, define, elementwise

if TYPE_CHECKING:
    from graphc.value import Value


def _hypot_share(r: Value, x: Value) -> Value:
    return x / OPS["where"](OPS["equal"](r, 0), 1, r)


def _half_at_origin(r: Value, x: Value) -> Value:
    return OPS["where"](OPS["equal"](r, 0), 0.5, _hypot_share(r, x))


def _exp_share(r: Value, x: Value, y: Value) -> Value:
    """``exp(x) / (exp(x) + exp(y))``; a half where both are the same infinity, whose difference would be NaN.

    There, and otherwise only where a float has no room for log(2), both operands and the result are equal.
    """
    same = OPS["logical_and"](OPS["equal"](x, y), OPS["equal"](x, r))
    return OPS["sigmoid"](OPS["where"](same, 0, x) - OPS["where"](same, 0, y))


def _log_slope(x: Value, y: Value) -> Value:
    """``x / y``; 0 where both are 0, as everywhere on the line x = 0."""
    origin = OPS["logical_and"](OPS["equal"](x, 0), OPS["equal"](y, 0))
    return x / OPS["where"](origin, 1, y)


_LOGARITHMS = (
    elementwise(
        "log_base",
        lambda sp, x, y: sp.log(x) / sp.log(y),
        "np.log(x) / np.log(y)",
        coercion="float",
        partials=(
            lambda r, x, y: 1 / (x * OPS["log"](y)),
            lambda r, x, y: -r / (y * OPS["log"](y)),
        ),
        domain=((0.1, 3), (1.5, 3)),
        needs=("no", "no"),
        flops=20,
        scratch=1,
        doc="logarithm of x to the base y",
    ),
    elementwise(
        "hypot",
        lambda sp, x, y: sp.sqrt(x**2 + y**2),
        "np.hypot(x, y)",
        coercion="float",
        partials=(lambda r, x, y: _hypot_share(r, x), lambda r, x, y: _hypot_share(r, y)),
        commutative=True,
        nonnegative=True,
        flops=12,
        convention="hypot'(0, 0) = 0",
        alternatives={
            "jax": Alternative(
                "hypot'(0, 0) = 1/2",
                (lambda r, x, y: _half_at_origin(r, x), lambda r, x, y: _half_at_origin(r, y)),
            )
        },
        doc="sqrt(x² + y²) without overflow",
    ),
    elementwise(
        "logaddexp",
        lambda sp, x, y: sp.log(sp.exp(x) + sp.exp(y)),
        "np.logaddexp(x, y)",
        coercion="float",
        partials=(lambda r, x, y: _exp_share(r, x, y), lambda r, x, y: _exp_share(r, y, x)),
        commutative=True,
        flops=20,
        convention="logaddexp'(equal infinities) = 1/2",
        doc="log(exp(x) + exp(y)) without overflow",
    ),
    # By x the derivative is log(y), also where that is -inf.
    elementwise(
        "xlogy",
        lambda sp, x, y: x * sp.log(y),
        "_xlogy(x, y)",
        coercion="float",
        partials=(lambda r, x, y: OPS["log"](y), lambda r, x, y: _log_slope(x, y)),
        domain=((-2, 2), (0.1, 3)),
        needs=("any", "positive"),
        flops=12,
        scratch=1,
        convention="xlogy'(0, 0) = (-inf, 0)",
        doc="x log(y), and 0 where x is 0",
    ),
    elementwise(
        "xlog1py",
        lambda sp, x, y: x * sp.log(1 + y),
        "_xlog1py(x, y)",
        coercion="float",
        partials=(lambda r, x, y: OPS["log1p"](y), lambda r, x, y: _log_slope(x, 1 + y)),
        domain=((-2, 2), (-0.9, 3)),
        needs=("any", "nonnegative"),
        flops=16,
        scratch=1,
        convention="xlog1py'(0, -1) = (-inf, 0)",
        doc="x log(1 + y), and 0 where x is 0",
    ),
    # SymPy's derivative by the result's formula, exp(x) / (exp(x) - 1), is inf / inf in no part of the domain x < 0,
    # but loses the digits near 0.
    elementwise(
        "log1mexp",
        lambda sp, x: sp.log(1 - sp.exp(x)),
        "_log1mexp(x)",
        coercion="float",
        partials=(lambda r, x: -1 / OPS["expm1"](-x),),
        domain=((-3, -0.1),),
        needs=("no",),
        flops=30,
        scratch=2,
        doc="log(1 - exp(x)) of negative x, exact everywhere",
    ),
)

_ERRORS = (
    elementwise(
        "erfc",
        lambda sp, x: sp.erfc(x),
        "_erfc(x)",
        coercion="float",
        partials=(lambda r, x: OPS["exp"](-(OPS["square"](x))) * (-2 / sqrt(pi)),),
        nonnegative=True,
        flops=90,
        scratch=17,
        doc="1 - erf(x), exact in the tail",
    ),
    elementwise(
        "erfinv",
        lambda sp, x: sp.erfinv(x),
        "_erfinv(x)",
        coercion="float",
        partials=(lambda r, x: OPS["exp"](OPS["square"](r)) * (sqrt(pi) / 2),),
        domain=((-0.9, 0.9),),
        needs=("no",),
        flops=500,
        scratch=25,
        doc="inverse error function",
    ),
)

_GAMMA = (
    elementwise(
        "lgamma",
        lambda sp, x: sp.loggamma(x),
        "_lgamma(x)",
        coercion="float",
        partials=(lambda r, x: OPS["digamma"](x),),
        domain=((0.2, 6),),
        needs=("positive",),
        flops=80,
        scratch=10,
        doc="logarithm of the absolute gamma function",
    ),
    elementwise(
        "digamma",
        lambda sp, x: sp.digamma(x),
        "_digamma(x)",
        coercion="float",
        partials=(lambda r, x: OPS["polygamma"](1, x),),
        domain=((0.4, 6),),
        needs=("positive",),
        flops=80,
        scratch=10,
        doc="derivative of lgamma",
    ),
    elementwise(
        "polygamma",
        lambda sp, x, y: sp.polygamma(x, y),
        "_polygamma(x, y)",
        coercion="float",
        partials=(None, lambda r, x, y: OPS["polygamma"](x + 1, y)),
        domain=((1, 1), (0.6, 6)),
        needs=("any", "positive"),
        flops=200,
        scratch=9,
        doc="derivative of digamma of a whole order x, at y",
    ),
)

for _op in (*_LOGARITHMS, *_ERRORS, *_GAMMA):
    define(_op)
