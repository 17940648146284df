"""Elementwise functions: exponentials, roots, trigonometry and the smooth activations; see `elementwise`."""

from __future__ import annotations

from math import pi, sqrt
from typing import TYPE_CHECKING

from graphc.op import OPS, define, elementwise

if TYPE_CHECKING:
    from graphc.value import Value


def _scaled_point(x: Value, y: Value) -> tuple[Value, Value, Value]:
    """``(u, v, d)`` with ``(u, v)`` the point divided by its larger coordinate m and ``d = m (u² + v²)``, never 0.

    No square overflows, and u/d and v/d are 0 at the origin. They do not depend on m, so it is a constant here.
    """
    largest = OPS["stop_gradient"](OPS["maximum"](OPS["abs"](x), OPS["abs"](y)))
    origin = OPS["equal"](largest, 0)
    largest = OPS["where"](origin, 1, largest)
    u, v = x / largest, y / largest
    return u, v, largest * (OPS["square"](u) + OPS["square"](v) + origin)


def _atan2_first(r: Value, x: Value, y: Value) -> Value:
    _, v, distance = _scaled_point(x, y)
    return v / distance


def _atan2_second(r: Value, x: Value, y: Value) -> Value:
    u, _, distance = _scaled_point(x, y)
    return -u / distance


_EXPONENTIALS = (
    elementwise(
        "exp",
        lambda sp, x: sp.exp(x),
        "np.exp(x)",
        coercion="float",
        partials=(lambda r, x: r,),
        nonnegative=True,
        flops=8,
        doc="exponential",
    ),
    elementwise(
        "expm1",
        lambda sp, x: sp.exp(x) - 1,
        "np.expm1(x)",
        coercion="float",
        partials=(lambda r, x: r + 1,),
        flops=12,
        doc="exp(x) - 1, exact near 0",
    ),
    elementwise(
        "log",
        lambda sp, x: sp.log(x),
        "np.log(x)",
        coercion="float",
        partials=(lambda r, x: 1 / x,),
        domain=((0.1, 3),),
        needs=("positive",),
        flops=8,
        doc="natural logarithm",
    ),
    elementwise(
        "log1p",
        lambda sp, x: sp.log(1 + x),
        "np.log1p(x)",
        coercion="float",
        partials=(lambda r, x: 1 / (1 + x),),
        domain=((-0.9, 3),),
        needs=("nonnegative",),
        flops=12,
        doc="log(1 + x), exact near 0",
    ),
    elementwise(
        "log2",
        lambda sp, x: sp.log(x) / sp.log(2),
        "np.log2(x)",
        coercion="float",
        domain=((0.1, 3),),
        needs=("positive",),
        flops=8,
        doc="logarithm to base 2",
    ),
    elementwise(
        "log10",
        lambda sp, x: sp.log(x) / sp.log(10),
        "np.log10(x)",
        coercion="float",
        domain=((0.1, 3),),
        needs=("positive",),
        flops=8,
        doc="logarithm to base 10",
    ),
    elementwise(
        "sqrt",
        lambda sp, x: sp.sqrt(x),
        "np.sqrt(x)",
        coercion="float",
        partials=(lambda r, x: 0.5 / r,),
        domain=((0.1, 3),),
        nonnegative=True,
        needs=("nonnegative",),
        flops=4,
        label="√",
        doc="square root",
    ),
)

_TRIGONOMETRY = (
    elementwise(
        "sin",
        lambda sp, x: sp.sin(x),
        "np.sin(x)",
        coercion="float",
        partials=(lambda r, x: OPS["cos"](x),),
        flops=10,
        doc="sine",
    ),
    elementwise(
        "cos",
        lambda sp, x: sp.cos(x),
        "np.cos(x)",
        coercion="float",
        partials=(lambda r, x: -(OPS["sin"](x)),),
        flops=10,
        doc="cosine",
    ),
    elementwise(
        "tan", lambda sp, x: sp.tan(x), "np.tan(x)", coercion="float", domain=((-1, 1),), flops=15, doc="tangent"
    ),
    # In asin, acos and atanh 1 - x² would lose the digits of 1 - |x| near 1.
    elementwise(
        "asin",
        lambda sp, x: sp.asin(x),
        "np.arcsin(x)",
        coercion="float",
        partials=(lambda r, x: 1 / OPS["sqrt"]((1 - x) * (1 + x)),),
        domain=((-0.9, 0.9),),
        needs=("no",),
        flops=15,
        doc="arc sine",
    ),
    elementwise(
        "acos",
        lambda sp, x: sp.acos(x),
        "np.arccos(x)",
        coercion="float",
        partials=(lambda r, x: -1 / OPS["sqrt"]((1 - x) * (1 + x)),),
        domain=((-0.9, 0.9),),
        needs=("no",),
        flops=15,
        doc="arc cosine",
    ),
    elementwise("atan", lambda sp, x: sp.atan(x), "np.arctan(x)", coercion="float", flops=15, doc="arc tangent"),
    # At the origin SymPy's x/(x² + y²) is 0/0; where squares overflow it is 0 or NaN.
    elementwise(
        "atan2",
        lambda sp, x, y: sp.atan2(x, y),
        "np.arctan2(x, y)",
        coercion="float",
        partials=(_atan2_first, _atan2_second),
        flops=20,
        convention="atan2'(0, 0) = 0",
        doc="angle of the point (y, x)",
    ),
    elementwise("sinh", lambda sp, x: sp.sinh(x), "np.sinh(x)", coercion="float", flops=12, doc="hyperbolic sine"),
    elementwise("cosh", lambda sp, x: sp.cosh(x), "np.cosh(x)", coercion="float", flops=12, doc="hyperbolic cosine"),
    elementwise(
        "tanh",
        lambda sp, x: sp.tanh(x),
        "np.tanh(x)",
        coercion="float",
        # The result again: it has no digits of sech(x)² in the tails, which would cost another exponential. Not
        # square(r), in which a stability rule would see what the user asks it to repair.
        partials=(lambda r, x: 1 - r * r,),
        flops=12,
        doc="hyperbolic tangent",
    ),
    elementwise(
        "asinh", lambda sp, x: sp.asinh(x), "np.arcsinh(x)", coercion="float", flops=15, doc="inverse hyperbolic sine"
    ),
    elementwise(
        "acosh",
        lambda sp, x: sp.acosh(x),
        "np.arccosh(x)",
        coercion="float",
        domain=((1.1, 3),),
        needs=("no",),
        flops=15,
        doc="inverse hyperbolic cosine",
    ),
    elementwise(
        "atanh",
        lambda sp, x: sp.atanh(x),
        "np.arctanh(x)",
        coercion="float",
        partials=(lambda r, x: 1 / ((1 - x) * (1 + x)),),
        domain=((-0.9, 0.9),),
        needs=("no",),
        flops=15,
        doc="inverse hyperbolic tangent",
    ),
)

_ACTIVATIONS = (
    elementwise(
        "sigmoid",
        lambda sp, x: 1 / (1 + sp.exp(-x)),
        "_sigmoid(x)",
        coercion="float",
        partials=(lambda r, x: r * (1 - r),),
        nonnegative=True,
        flops=12,
        scratch=2,
        label="σ",
        doc="logistic function 1 / (1 + exp(-x))",
    ),
    elementwise(
        "softplus",
        lambda sp, x: sp.log(1 + sp.exp(x)),
        "np.logaddexp(x, 0.0)",
        coercion="float",
        partials=(lambda r, x: OPS["sigmoid"](x),),
        nonnegative=True,
        flops=20,
        doc="log(1 + exp(x)) without overflow",
    ),
    elementwise(
        "erf",
        lambda sp, x: sp.erf(x),
        "_erf(x)",
        coercion="float",
        partials=(lambda r, x: OPS["exp"](-(OPS["square"](x))) * (2 / sqrt(pi)),),
        flops=50,
        scratch=7,
        doc="error function",
    ),
)

for _op in (*_EXPONENTIALS, *_TRIGONOMETRY, *_ACTIVATIONS):
    define(_op)
