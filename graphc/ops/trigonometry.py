"""The rest of trigonometry: reciprocal functions, circular and hyperbolic, and their inverses; see `elementwise`.

Texts are formulas that keep their digits where ``1 / cosh(x)`` would overflow or ``acos(1 / x)`` would lose them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphc.op import OPS, define, elementwise

if TYPE_CHECKING:
    from graphc.value import Value


def _secant_slope(x: Value) -> Value:
    """``1 / (|x| sqrt(x² - 1))``, of which no square overflows and no digit is lost near 1."""
    size = OPS["abs"](x)
    return 1 / (size * (OPS["sqrt"](size - 1) * OPS["sqrt"](size + 1)))


_CIRCULAR = (
    elementwise(
        "cot",
        lambda sp, x: sp.cot(x),
        "1.0 / np.tan(x)",
        coercion="float",
        partials=(lambda r, x: -(1 + OPS["square"](r)),),
        domain=((0.3, 2.8),),
        needs=("nonzero",),
        flops=16,
        scratch=1,
        doc="cotangent",
    ),
    elementwise(
        "sec",
        lambda sp, x: sp.sec(x),
        "1.0 / np.cos(x)",
        coercion="float",
        partials=(lambda r, x: r * OPS["tan"](x),),
        domain=((-1.2, 1.2),),
        flops=12,
        scratch=1,
        doc="secant",
    ),
    elementwise(
        "csc",
        lambda sp, x: sp.csc(x),
        "1.0 / np.sin(x)",
        coercion="float",
        partials=(lambda r, x: -(r * OPS["cot"](x)),),
        domain=((0.3, 2.8),),
        needs=("nonzero",),
        flops=12,
        scratch=1,
        doc="cosecant",
    ),
    elementwise(
        "acot",
        lambda sp, x: sp.acot(x),
        "_acot(x)",
        coercion="float",
        partials=(lambda r, x: -1 / (1 + OPS["square"](x)),),
        domain=((0.2, 3),),
        flops=17,
        scratch=1,
        doc="arc cotangent atan(1 / x), which jumps at 0, where it is π/2",
    ),
    elementwise(
        "asec",
        lambda sp, x: sp.asec(x),
        "_asec(x)",
        coercion="float",
        partials=(lambda r, x: _secant_slope(x),),
        domain=((1.1, 3),),
        needs=("no",),
        flops=30,
        scratch=3,
        doc="arc secant acos(1 / x), exact near 1",
    ),
    elementwise(
        "acsc",
        lambda sp, x: sp.acsc(x),
        "_acsc(x)",
        coercion="float",
        partials=(lambda r, x: -_secant_slope(x),),
        domain=((1.1, 3),),
        needs=("no",),
        flops=30,
        scratch=4,
        doc="arc cosecant asin(1 / x), exact near 1",
    ),
)

_HYPERBOLIC = (
    elementwise(
        "sech",
        lambda sp, x: sp.sech(x),
        "_sech(x)",
        coercion="float",
        partials=(lambda r, x: -(r * OPS["tanh"](x)),),
        flops=14,
        scratch=2,
        doc="hyperbolic secant, exact in the tails",
    ),
    elementwise(
        "csch",
        lambda sp, x: sp.csch(x),
        "_csch(x)",
        coercion="float",
        partials=(lambda r, x: -(r * OPS["coth"](x)),),
        domain=((0.3, 3),),
        needs=("nonzero",),
        flops=25,
        scratch=3,
        doc="hyperbolic cosecant, exact in the tails",
    ),
    elementwise(
        "coth",
        lambda sp, x: sp.coth(x),
        "1.0 / np.tanh(x)",
        coercion="float",
        partials=(lambda r, x: -(OPS["square"](OPS["csch"](x))),),
        domain=((0.3, 3),),
        needs=("nonzero",),
        flops=14,
        scratch=1,
        doc="hyperbolic cotangent",
    ),
    elementwise(
        "acoth",
        lambda sp, x: sp.acoth(x),
        "_acoth(x)",
        coercion="float",
        partials=(lambda r, x: 1 / ((1 - x) * (1 + x)),),
        domain=((1.1, 3),),
        needs=("no",),
        flops=17,
        scratch=1,
        doc="inverse hyperbolic cotangent, exact near 1",
    ),
    elementwise(
        "asech",
        lambda sp, x: sp.asech(x),
        "_asech(x)",
        coercion="float",
        partials=(lambda r, x: -1 / (x * OPS["sqrt"]((1 - x) * (1 + x))),),
        domain=((0.1, 0.9),),
        needs=("no",),
        flops=30,
        scratch=2,
        doc="inverse hyperbolic secant, exact near 1",
    ),
    elementwise(
        "acsch",
        lambda sp, x: sp.acsch(x),
        "np.arcsinh(1.0 / x)",
        coercion="float",
        partials=(lambda r, x: -1 / (OPS["abs"](x) * OPS["hypot"](x, 1)),),
        domain=((0.2, 3),),
        needs=("nonzero",),
        flops=17,
        scratch=1,
        doc="inverse hyperbolic cosecant",
    ),
)

for _op in (*_CIRCULAR, *_HYPERBOLIC):
    define(_op)
