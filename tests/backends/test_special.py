"""The special functions of generated modules against mpmath: in ulp over their domains, at zeros, poles and edges."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np
import pytest

from graphc.backends import special
from tests.backends.test_runtime import _tuples

INF = float("inf")
_random = np.random.default_rng(0)
_decades = 10.0 ** _random.uniform(-20, 2, 150)
_near_one = 10.0 ** _random.uniform(-6, 0, 150)
POSITIVE = np.concatenate([_random.uniform(0, 4, 400), _random.uniform(4, 30, 100), _decades, [1e30, 1.0, 2.0, 1.5]])
OUTSIDE = np.concatenate([1 + _near_one, -1 - _near_one, 1 + _decades])
INSIDE = np.concatenate([_random.uniform(0, 1, 200), 1 - _near_one])
LINE = np.concatenate([_random.uniform(-80, 80, 300), _decades, -_decades])

Exact = Callable[[mpmath.mpf], object]
ROWS: list[tuple[str, Exact, np.ndarray, float, float]] = [
    ("_acot", mpmath.acot, LINE, 3, 3),
    ("_asec", mpmath.asec, OUTSIDE, 4, 4),
    ("_acsc", mpmath.acsc, OUTSIDE, 4, 4),
    ("_sech", mpmath.sech, LINE, 4, 4),
    ("_csch", mpmath.csch, LINE, 4, 4),
    ("_acoth", mpmath.acoth, OUTSIDE, 4, 4),
    ("_asech", mpmath.asech, INSIDE, 4, 4),
    ("_log1mexp", lambda x: mpmath.log(-mpmath.expm1(x)), -_decades[_decades < 60], 4, 4),
    ("_erfc", mpmath.erfc, np.concatenate([_random.uniform(-6, 9, 800), _decades]), 4, 4),
    ("_erfinv", mpmath.erfinv, np.concatenate([INSIDE, -INSIDE]), 4, 4),
    ("_lgamma", mpmath.loggamma, POSITIVE, 4, 4),
    ("_digamma", mpmath.digamma, POSITIVE, 4, 4),
]


def in_ulp(found: np.ndarray, exact: list[object]) -> float:
    unit = np.spacing(np.array([abs(float(e)) for e in exact]).astype(found.dtype)).astype("float64")  # type: ignore[arg-type]
    return max(float(abs(mpmath.mpf(float(f)) - e)) / u for f, e, u in zip(found, exact, unit, strict=True))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "exact", "points", "wide", "narrow"), ROWS, ids=[row[0] for row in ROWS])
def test_against_mpmath(name: str, exact: Exact, points: np.ndarray, wide: float, narrow: float, dtype: str) -> None:
    x = points.astype(dtype)
    x = x[(np.abs(x) != 1) | (name in ("_lgamma", "_digamma"))]
    found = getattr(special, name)(x)
    assert found.dtype == dtype
    with mpmath.workdps(80):
        assert in_ulp(found, [exact(mpmath.mpf(float(v))) for v in x]) <= (wide if dtype == "float64" else narrow)
    scalar = getattr(special, name)(x[0])
    assert isinstance(scalar, np.generic) and scalar == found[0]


@pytest.mark.parametrize(("order", "ulps"), [(1, 4), (2, 4), (3, 4), (5, 4), (15, 8)])
def test_polygamma_against_mpmath(order: int, ulps: float) -> None:
    x = POSITIVE[(POSITIVE > 1e-9) & (POSITIVE < 1e9)]
    with mpmath.workdps(40):
        exact = [mpmath.psi(order, mpmath.mpf(v)) for v in x]
    assert in_ulp(special._polygamma(float(order), x), exact) <= ulps
    assert special._polygamma(1.0, x.astype("float32")).dtype == "float32"


@pytest.mark.parametrize("x", [1.4616321449683622, 1.4616321449683625, np.nextafter(1.4616321449683622, 0)])
def test_digamma_at_its_zero(x: float) -> None:
    with mpmath.workdps(40):
        assert in_ulp(np.array([special._digamma(np.float64(x))]), [mpmath.digamma(mpmath.mpf(x))]) <= 4


def test_erfc_in_the_tail() -> None:
    x = np.linspace(9, 26.5, 400)
    with mpmath.workdps(40):
        assert in_ulp(special._erfc(x), [mpmath.erfc(mpmath.mpf(v)) for v in x]) <= 4


def test_negative_arguments_by_reflection() -> None:
    x = -_random.uniform(0, 20, 300)
    functions: dict[str, tuple[Exact, Callable[[np.ndarray], np.ndarray]]] = {
        "lgamma": (lambda v: mpmath.re(mpmath.loggamma(v)), special._lgamma),
        "digamma": (mpmath.digamma, special._digamma),
        "trigamma": (lambda v: mpmath.psi(1, v), lambda v: special._polygamma(1.0, v)),
    }
    for exact, function in functions.values():
        expected = np.array([float(exact(mpmath.mpf(v))) for v in x])  # type: ignore[arg-type]
        assert np.max(np.abs(function(x) - expected) / np.maximum(1, np.abs(expected))) < 3e-15


@pytest.mark.parametrize(
    ("name", "points", "expected"),
    [
        ("_erfc", [INF, -INF, 0.0, 30.0], [0, 2, 1, 0]),
        ("_erfinv", [1.0, -1.0, 2.0, 0.0], [INF, -INF, np.nan, 0]),
        ("_lgamma", [0.0, -1.0, INF, -INF, 1.0, 2.0], [INF, INF, INF, INF, 0, 0]),
        ("_digamma", [0.0, -1.0, INF], [-INF, np.nan, INF]),
        ("_acot", [0.0, -0.0, INF], [np.pi / 2, np.pi / 2, 0]),
        ("_asec", [1.0, -1.0, INF, 0.5], [0, np.pi, np.pi / 2, np.nan]),
        ("_acsc", [1.0, -1.0, 0.5], [np.pi / 2, -np.pi / 2, np.nan]),
        ("_sech", [800.0, INF], [0, 0]),
        ("_csch", [0.0, -0.0, 800.0], [INF, -INF, 0]),
        ("_acoth", [1.0, -1.0, 0.5], [INF, -INF, np.nan]),
        ("_asech", [1.0, 0.0, -0.5], [0, INF, np.nan]),
        ("_log1mexp", [0.0, -INF, 1.0], [-INF, 0, np.nan]),
    ],
)
def test_edges(name: str, points: list[float], expected: list[float]) -> None:
    with np.errstate(all="ignore"):
        found = getattr(special, name)(np.array([*points, np.nan]))
    np.testing.assert_array_equal(found, [*expected, np.nan])


def test_logarithms_times_zero() -> None:
    x, y = np.array([0.0, 0.0, 2.0, 0.0]), np.array([0.0, INF, 0.0, np.nan])
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(special._xlogy(x, y), [0, 0, -INF, np.nan])
        np.testing.assert_array_equal(special._xlog1py(x, y - 1), [0, 0, -INF, np.nan])


def test_coefficients_are_those_that_the_docstrings_say() -> None:
    with mpmath.workdps(60):
        zero = mpmath.findroot(mpmath.digamma, 1.46)

        def scaled_erfc(u: mpmath.mpf) -> mpmath.mpf:
            x = 576 / (55 * u + 73) - 4
            return (x + 1) * mpmath.exp(x * x) * mpmath.erfc(x)

        interpolated = {
            special._erfc: scaled_erfc,
            special._lgamma: lambda u: mpmath.loggamma(u + 2) / (u * (u + 1)),
            special._digamma: lambda u: mpmath.digamma((u + 3) / 2) / ((u + 3) / 2 - zero),
        }
        for function, target in interpolated.items():
            (found,) = _tuples(function)[:1]
            assert found == [float(c) for c in _interpolant(target, len(found))][::-1], function
        series = [mpmath.bernoulli(2 * k) for k in range(12)]
        assert _tuples(special._lgamma)[1] == [float(series[k] / (2 * k * (2 * k - 1))) for k in range(9, 0, -1)]
        assert _tuples(special._digamma)[1] == [float(series[k] / (2 * k)) for k in range(9, 0, -1)]
        assert _tuples(special._polygamma_of)[0] == [float(series[k] / mpmath.factorial(2 * k)) for k in range(1, 12)]


def _interpolant(function: Exact, count: int) -> mpmath.matrix:
    """The coefficients of the polynomial that is equal to a function in the Chebyshev points."""
    nodes = [mpmath.cos(mpmath.pi * (2 * k + 1) / (2 * count)) for k in range(count)]
    powers = mpmath.matrix([[u**j for j in range(count)] for u in nodes])
    return mpmath.lu_solve(powers, mpmath.matrix([function(u) for u in nodes]))
