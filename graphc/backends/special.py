"""Special functions that generated modules call; copied and bound by the same rules as `graphc.backends.runtime`.

Accuracy is in units in the last place (ulp), measured against mpmath in float64 and float32 by the tests. Coefficients
are those of interpolants in the Chebyshev points, computed for this file at 60 digits; a test computes them again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphc.backends.runtime import _erf


def _polynomial(u: Any, coefficients: tuple[float, ...]) -> Any:
    """A polynomial by Horner's rule, the coefficient of the highest power first."""
    value = 0.0 * u
    for coefficient in coefficients:
        value = value * u + coefficient
    return value


def _acot(x: NDArray[Any]) -> Any:
    """arctan(1 / x), to 3 ulp, and π/2 at both zeros."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.arctan(1.0 / (x + 0.0))


def _asec(x: NDArray[Any]) -> Any:
    """arccos(1 / x), to 4 ulp also near 1, where 1 / x loses digits: the tangent is sqrt(x² - 1)."""
    size = np.abs(x)
    return np.arctan2(np.sqrt(size - 1.0) * np.sqrt(size + 1.0), np.copysign(np.ones_like(x), x))


def _acsc(x: NDArray[Any]) -> Any:
    """arcsin(1 / x), to 4 ulp also near 1, where 1 / x loses digits: the cotangent is sqrt(x² - 1)."""
    size = np.abs(x)
    return np.copysign(np.arctan2(np.ones_like(x), np.sqrt(size - 1.0) * np.sqrt(size + 1.0)), x)


def _sech(x: NDArray[Any]) -> Any:
    """1 / cosh(x), to 4 ulp; only exponentials of negative numbers are formed, so nothing overflows."""
    e = np.exp(-np.abs(x))
    return 2.0 * e / (1.0 + e * e)


def _csch(x: NDArray[Any]) -> Any:
    """1 / sinh(x), to 4 ulp; only exponentials of negative numbers are formed, so nothing overflows."""
    size = np.abs(x)
    with np.errstate(divide="ignore"):
        return np.copysign(2.0 * np.exp(-size) / -np.expm1(-2.0 * size), x)


def _acoth(x: NDArray[Any]) -> Any:
    """arctanh(1 / x), to 4 ulp also near 1, where 1 / x loses digits."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.copysign(0.5 * np.log1p(2.0 / (np.abs(x) - 1.0)), x)


def _asech(x: NDArray[Any]) -> Any:
    """arccosh(1 / x), to 4 ulp also near 1, where 1 / x loses digits: the hyperbolic sine is sqrt(1 - x²) / x."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.arcsinh(np.sqrt((1.0 - x) / x) * np.sqrt((1.0 + x) / x))


def _xlogy(x: NDArray[Any], y: NDArray[Any]) -> Any:
    """x log(y); 0 where x is 0, unless y is NaN."""
    return x * np.log(np.where((x == 0) & (y == y), 1.0, y))


def _xlog1py(x: NDArray[Any], y: NDArray[Any]) -> Any:
    """x log(1 + y); 0 where x is 0, unless y is NaN."""
    return x * np.log1p(np.where((x == 0) & (y == y), 0.0, y))


def _log1mexp(x: NDArray[Any]) -> Any:
    """log(1 - exp(x)) of negative x, to 4 ulp.

    Above -log 2 by expm1, below it by log1p (Mächler, "Accurately computing log(1 - exp(-|a|))", 2012).
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        near = np.log(-np.expm1(x))
        return np.where(x > -0.6931471805599453, near, np.log1p(-np.exp(np.minimum(x, 0.0))))[()]


def _erfc(x: NDArray[Any]) -> Any:
    """1 - erf(x), to 4 ulp as far as the result is a normal number.

    Up to 0.5 from `_erf`; beyond, ``exp(-x²) p(u) / (x + 1)`` with the interpolant p of ``(x + 1) exp(x²) erfc(x)``
    in ``u = (576 / (x + 4) - 73) / 55``, which is in [-1, 1] for x in [0.5, 28]. The square is taken in float64, of few
    digits, where it is exact, and of the rest; what its rounding loses is put in beside the polynomial.
    """
    # fmt: off
    interpolant = (
        1.5719605397162244e-11, -2.578093267377588e-11, -2.831391902223363e-10, 2.6247267674776263e-10,
        3.833792344661125e-09, 1.2792010339702545e-09, -4.643440643767307e-08, -1.0807807142965659e-07,
        3.707079118946423e-07, 2.618693859100113e-06, 3.669499105529186e-06, -2.5692436651196805e-05,
        -0.0001921796619698086, -0.000734684404432178, -0.0019504968498093788, -0.0037217677846567753,
        -0.0043755961436542645, 0.0009693601455374394, 0.021516315484289433, 0.06947298810734781,
        0.15478208949574768, 0.6877886708669759,
    )
    # fmt: on
    size = np.minimum(np.abs(x), 28.0)
    wide = size.astype("float64")
    head = np.round(wide * 16.0) / 16.0
    rest = (wide - head) * (wide + head)
    square = head * head + rest
    lost = (rest - (square - head * head)).astype(size.dtype)
    u = 1.0 - 128.0 * (size - 0.5) / (55.0 * (size + 4.0))
    rising = u * _polynomial(u, interpolant[:-1])
    # exp(-x²) is exp(-square) (1 - lost); that factor goes in before the last sum rounds.
    scaled = (rising - lost * (rising + interpolant[-1]) + interpolant[-1]) / (size + 1.0)
    tail = (np.exp(-square) * scaled).astype(size.dtype)
    return np.where(np.abs(x) <= 0.5, 1.0 - _erf(x), np.where(x < 0.0, 2.0 - tail, tail))[()]


def _erfinv(y: NDArray[Any]) -> Any:
    """The inverse of the error function, to 4 ulp.

    Three of Halley's steps, on erf up to 0.5 and beyond on erfc, from Winitzki's approximation ("A handy approximation
    for the error function and its inverse", 2008).
    """
    size = np.abs(y)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        logarithm = np.log1p(-size) + np.log1p(size)
        half = 4.330746750799873 + 0.5 * logarithm
        x = np.sqrt(np.maximum(np.sqrt(half * half - logarithm / 0.147) - half, 0.0))
        for _ in range(3):
            missing = np.where(size < 0.5, _erf(x) - size, (1.0 - size) - _erfc(x))
            step = 0.886226925452758 * missing * np.exp(x * x)
            x = x - step / (1.0 + x * step)
    return np.copysign(np.where(size == 1.0, np.inf, x), y)


def _lgamma(x: NDArray[Any]) -> Any:
    """log(abs(gamma(x))), to 4 ulp of positive x, also near the zeros at 1 and 2; inf at the poles.

    Of negative x by reflection, to 1e-15 times the larger of 1 and the terms that are subtracted, so that near the
    zeros between the poles only the absolute error is small.

    In [1, 3] ``(x - 1) (x - 2) p(x - 2)`` with the Chebyshev interpolant p; from there to 10 and below 1 by recurrence;
    from 10 on Stirling's series (Abramowitz & Stegun 6.1.41), reflection by 6.1.17.
    """
    # fmt: off
    interpolant = (
        -7.639292345836201e-10, 1.5746606982777302e-09, 2.0986002157033107e-09, -4.312495770350818e-09,
        -7.842557720538356e-09, 1.6194359237484174e-08, -2.7296358592514825e-09, 5.910565853507869e-09,
        -4.9827532071170234e-08, 1.042041826608264e-07, -1.878442644643758e-07, 3.958940459367468e-07,
        -8.54560908975883e-07, 1.8113906873056685e-06, -3.846858091533014e-06, 8.221234475942905e-06,
        -1.7661767658452517e-05, 3.816907658276081e-05, -8.309511477709561e-05, 0.0001825526153982638,
        -0.0004057073983775151, 0.0009153769240386907, -0.0021081308339216706, 0.004998641164627129,
        -0.012384192193371805, 0.03296500062115691, -0.10031730167435392, 0.42278433509846713,
    )
    stirling = (
        0.17964437236883057, -0.029550653594771242, 0.00641025641025641, -0.0019175269175269176, 0.0008417508417508417,
        -0.0005952380952380953, 0.0007936507936507937, -0.002777777777777778, 0.08333333333333333,
    )
    # fmt: on
    size = np.where(x < 0.0, 1.0 - x, x)[()]
    z = np.minimum(size, 10.0)
    product = 1.0 + 0.0 * z
    for _ in range(7):
        above = z > 3.0
        z = np.where(above, z - 1.0, z)
        product = np.where(above, product * z, product)
    below = z < 1.0
    u = z - np.where(below, 1.0, 2.0).astype(z.dtype)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        near = u * (u + 1.0) * _polynomial(u, interpolant) + np.where(
            below, -np.where(z < 0.5, np.log(z), np.log1p(u)), np.log(product)
        )
        far = np.where(size < 10.0, 10.0, size)
        series = _polynomial(1.0 / (far * far), stirling) / far
        far = (far - 0.5) * (np.log(far) - 1.0) + (0.4189385332046727 + series)
        found = np.where(size < 10.0, near, far)
        turn = x - np.round(x)
        reflected = -np.log(np.abs(np.sin(np.pi * turn)) / np.pi) - found
    reflected = np.where(np.isinf(x), np.inf, reflected)
    return np.where(x < 0.0, reflected, found)[()]


def _digamma(x: NDArray[Any]) -> Any:
    """The derivative of `_lgamma`, to 4 ulp of positive x, also near its zero; NaN at negative poles.

    Of negative x by reflection, to 1e-15 times the larger of 1 and the terms that are subtracted, so that near the
    zeros between the poles only the absolute error is small.

    In [1, 2] ``(x - z) p(2 x - 3)`` with the zero z in two parts and the Chebyshev interpolant p; from there to 10 and
    below 1 by recurrence (Abramowitz & Stegun 6.3.5); from 10 on the series 6.3.18, reflection by 6.3.7.
    """
    # fmt: off
    interpolant = (
        2.832706668021759e-11, -8.498137230186096e-11, 9.206434499177992e-11, -2.7619635330317715e-10,
        1.2358072433984831e-09, -3.7075072647122386e-09, 1.0542687624027994e-08, -3.163020268955334e-08,
        9.542050972688906e-08, -2.86315275846934e-07, 8.589127353033379e-07, -2.57809436305308e-06,
        7.741232223504057e-06, -2.325824239445257e-05, 6.995018873950506e-05, -0.00021074841140458636,
        0.0006368880303257201, -0.0019350666648590097, 0.005936795278305649, -0.018550615381735115,
        0.060135621060196744, -0.2118137106407303, 0.9510558760318328,
    )
    series = (
        3.0539543302701198, -0.4432598039215686, 0.08333333333333333, -0.021092796092796094, 0.007575757575757576,
        -0.004166666666666667, 0.003968253968253968, -0.008333333333333333, 0.08333333333333333,
    )
    # fmt: on
    size = np.where(x < 0.0, 1.0 - x, x)[()]
    z = np.minimum(size, 10.0)
    total = 0.0 * z
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(8):
            above = z > 2.0
            z = np.where(above, z - 1.0, z)
            total = np.where(above, total + 1.0 / z, total)
        total = np.where(z < 1.0, -1.0 / z, total)
        z = np.where(z < 1.0, z + 1.0, z)
        # The zero in three parts, of which float32 holds the first.
        distance = ((z - 1.4616321325302124) - 1.2438149938918909e-08) - 4.341643069426251e-25
        near = total + distance * _polynomial(2.0 * z - 3.0, interpolant)
        far = np.where(size < 10.0, 10.0, size)
        square = 1.0 / far / far
        far = np.log(far) - (0.5 / far + square * _polynomial(square, series))
        found = np.where(size < 10.0, near, far)
        turn = x - np.round(x)
        reflected = np.where(turn == 0.0, np.nan, found - np.pi / np.tan(np.pi * turn))
    return np.where(x < 0.0, reflected, found)[()]


def _polygamma(order: Any, x: Any) -> Any:
    """The derivatives of `_digamma`, of whole orders from 0 on; see `_polygamma_of`."""
    result = np.full(np.broadcast(order, x).shape, np.nan, np.result_type(order, x))
    order = np.round(order)
    for n in np.unique(order):
        if n >= 0:
            result = np.where(order == n, _polygamma_of(int(n), x).astype(result.dtype), result)
    return result[()]


def _polygamma_of(n: int, x: Any) -> Any:
    """The derivative of `_digamma` of order n, to 4 ulp of positive x up to order 5 and to 8 up to order 15.

    ``(-1)**(n + 1) n!`` times Hurwitz's zeta function, by recurrence up to n + 10 and from there on by its asymptotic
    series (Abramowitz & Stegun 6.4.6, 6.4.11); of negative x by reflection (6.4.7), as accurate as the absolute value
    of what is subtracted allows. In high orders the rounding of x + k counts.
    """
    # B(2k) / (2k)!
    bernoulli = (
        0.08333333333333333, -0.001388888888888889, 3.306878306878307e-05, -8.267195767195768e-07, 2.08767569878681e-08,
        -5.284190138687493e-10, 1.3382536530684679e-11, -3.3896802963225827e-13, 8.586062056277845e-15,
        -2.174868698558062e-16, 5.5090028283602295e-18,
    )  # fmt: skip
    if n == 0:
        return _digamma(x)
    size = np.where(x < 0.0, 1.0 - x, x)[()]
    rising = [float(np.prod(np.arange(n + 1.0, n + 2 * k))) for k in range(len(bernoulli), 0, -1)]
    series = tuple(number * factor for number, factor in zip(bernoulli[::-1], rising, strict=True))
    count = np.maximum(np.ceil(n + 10.0 - size), 0.0)
    z = size + count
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = z**-n * (1.0 / n + (0.5 / z + _polynomial(1.0 / z / z, series) / z / z))
        # The smallest terms first: then few roundings count.
        for k in reversed(range(n + 10)):
            found = np.where(k < count, found + (size + k) ** -(n + 1), found)
        found = (-1) ** (n + 1) * float(np.prod(np.arange(1.0, n + 1.0))) * found
        # The derivatives of the cotangent are polynomials in it.
        powers = np.array([0.0, 1.0])
        for _ in range(n):
            slopes = powers[1:] * np.arange(1.0, len(powers))
            powers = -np.concatenate([slopes, [0.0, 0.0]]) - np.concatenate([[0.0, 0.0], slopes])
        turn = x - np.round(x)
        cotangent = _polynomial(1.0 / np.tan(np.pi * turn), tuple(powers[::-1].tolist()))
        reflected = (-1) ** n * found - np.pi ** (n + 1) * cotangent
    reflected = np.where(turn == 0.0, np.inf if n % 2 else np.nan, reflected)
    return np.where(x < 0.0, reflected, found)[()]


def _linear_recurrence(a: NDArray[Any], b: NDArray[Any], axis: int) -> NDArray[Any]:
    """s with ``s[i] = a[i] s[i - 1] + b[i]`` along an axis, from ``s[0] = b[0]``."""
    factors = np.moveaxis(a, axis, 0)
    result = np.array(np.moveaxis(b, axis, 0))
    for i in range(1, len(result)):
        result[i] += factors[i] * result[i - 1]
    return np.moveaxis(result, 0, axis)
