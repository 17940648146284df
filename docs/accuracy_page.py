"""The page of accuracy: what is promised of every elementwise op and its derivatives, in units in the last place.

The promises are data. A test measures each against mpmath, so that the page is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import mpmath
import numpy as np

from docs.markdown_text import NOTE, code, table
from graphc.op import OPS, Op

ACCURACY = """\
# Accuracy

{note}
How far the value of an elementwise operation, and each of its partial derivatives, may be from the truth: in units in
the last place (ulp), the distance from one float to the next. Correct rounding is 0.5. The first number holds in
float64, the second in float32; one number holds in both.

The bounds are rounded up to a coarse scale. Tests hold every one of them to mpmath, with as many digits as it takes,
at numbers of all sizes from the smallest normal number to the largest, at others near 1, near whole numbers and near
multiples of π/4, wherever operands, value and derivative are normal numbers or 0. NumPy promises 4 ulp of its own
functions in float32, so most bounds there are no smaller.

{rows}
Values and derivatives are exact of {exact} and `where`.

A bound **of 1** counts in units of a number near 1 where the true number is smaller: the distance is small beside 1,
but a number that is itself tiny may have no right digit.

## What is not repaired, and why

{costs}
The [stability rules](stability.md) choose such forms where a model is written; [operations](operations.md) has the
formulas.
"""


@dataclass(frozen=True)
class Bound:
    """The largest error in ulp, in float64 and in float32.

    Where ``size`` gives a larger number than the truth, the units are that number's; ``of`` says what it is.
    """

    wide: float
    narrow: float
    of: str = ""
    size: Callable[..., mpmath.mpf] | None = None


@dataclass(frozen=True)
class Claim:
    """What is promised of an op.

    Attributes
    ----------
    op : str
    value : Bound
    partials : tuple of Bound
        One per operand.
    where : str
        A part of the domain; all of it when empty.
    holds : callable
        Whether operands are in that part.
    drawn : callable
        Operands for the test, made of arbitrary ones: whole orders, positive bases.
    """

    op: str
    value: Bound
    partials: tuple[Bound, ...]
    where: str = ""
    holds: Callable[..., object] = lambda *operands: True
    drawn: Callable[..., Sequence[object]] = lambda *operands: operands


Ulps = tuple[float, float] | float


def bound(ulps: Ulps | Bound, of: str = "", size: Callable[..., mpmath.mpf] | None = None) -> Bound:
    """A bound of one number for both float types, or of one each."""
    if isinstance(ulps, Bound):
        return ulps
    wide, narrow = ulps if isinstance(ulps, tuple) else (ulps, ulps)
    return Bound(wide, narrow, of, size)


def claim(
    op: str,
    value: Ulps | Bound,
    *partials: Ulps | Bound,
    where: str = "",
    holds: Callable[..., object] = lambda *operands: True,
    drawn: Callable[..., Sequence[object]] = lambda *operands: operands,
) -> Claim:
    """A claim, written shortly."""
    return Claim(op, bound(value), tuple(map(bound, partials)), where, holds, drawn)


def of_one(ulps: Ulps) -> Bound:
    """A bound relative to 1 where the truth is smaller."""
    return bound(ulps, "of 1", lambda *operands: mpmath.mpf(1))


def _log_gamma_terms(x: mpmath.mpf) -> mpmath.mpf:
    return max(1, abs(mpmath.loggamma(1 - x)), abs(mpmath.log(abs(mpmath.sinpi(x)))))


def _digamma_terms(x: mpmath.mpf) -> mpmath.mpf:
    return max(1, abs(mpmath.digamma(1 - x)), abs(mpmath.pi / mpmath.tan(mpmath.pi * x)))


def _trigamma_terms(x: mpmath.mpf) -> mpmath.mpf:
    return max(1, mpmath.psi(1, 1 - x), (mpmath.pi / mpmath.sin(mpmath.pi * x)) ** 2)


def _order(n: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.floor(np.abs(n)) % 5 + 1, np.abs(x)


_NUMPY = (1, 4)
"""Of a function that NumPy has."""

CLAIMS: tuple[Claim, ...] = (
    claim("add", 0.5, 0, 0),
    claim("sub", 0.5, 0, 0),
    claim("mul", 0.5, 0, 0),
    claim("div", 0.5, 0.5, 2),
    claim("floor_divide", 2, 0, 0),
    claim("mod", 0.5, 0, 2),
    claim("neg", 0, 0),
    claim("power", _NUMPY, (4, 8), 4, where="y ≥ 1", holds=lambda x, y: y >= 1),
    claim("power", _NUMPY, (1000, 100), 4, where="y < 1", holds=lambda x, y: y < 1),
    claim("abs", 0, 0),
    claim("square", 0.5, 0),
    claim("maximum", 0, 0, 0),
    claim("minimum", 0, 0, 0),
    claim("clip", 0, 0, 0, 0, drawn=lambda x, y, z: (x, np.full_like(x, -1.5), np.full_like(x, 2.5))),
    claim("sign", 0, 0),
    claim("floor", 0, 0),
    claim("ceil", 0, 0),
    claim("round", 0, 0),
    claim("step", 0, 0),
    claim("relu", 0, 0),
    claim("exp", _NUMPY, _NUMPY),
    claim("expm1", _NUMPY, (2, 4), where="x ≥ -1", holds=lambda x: x >= -1),
    claim("expm1", _NUMPY, of_one(1), where="x < -1", holds=lambda x: x < -1),
    claim("log", _NUMPY, 0.5),
    claim("log1p", _NUMPY, 2),
    claim("log2", _NUMPY, 2),
    claim("log10", _NUMPY, 4),
    claim("sqrt", 0.5, 2),
    claim("sin", _NUMPY, _NUMPY),
    claim("cos", _NUMPY, _NUMPY),
    claim("tan", _NUMPY, (2, 8)),
    claim("asin", _NUMPY, 2),
    claim("acos", _NUMPY, 2),
    claim("atan", _NUMPY, 4),
    claim("atan2", _NUMPY, 4, 4),
    claim("sinh", _NUMPY, _NUMPY),
    claim("cosh", _NUMPY, _NUMPY),
    claim("tanh", _NUMPY, (8, 16), where="|x| ≤ 1", holds=lambda x: abs(x) <= 1),
    claim("tanh", _NUMPY, of_one((2, 4)), where="|x| > 1", holds=lambda x: abs(x) > 1),
    claim("asinh", _NUMPY, 2),
    claim("acosh", _NUMPY, 4),
    claim("atanh", _NUMPY, 2),
    claim("sigmoid", (2, 4), 4, where="x ≤ 0", holds=lambda x: x <= 0),
    claim("sigmoid", (2, 4), of_one(1), where="x > 0", holds=lambda x: x > 0),
    claim("softplus", (2, 4), (2, 4)),
    claim("erf", (2, 4), (4, 8), where="|x| ≤ 2", holds=lambda x: abs(x) <= 2),
    claim("erf", (2, 4), (1000, 100), where="|x| > 2", holds=lambda x: abs(x) > 2),
    claim("log_base", (4, 8), (4, 8), (8, 16), drawn=lambda x, y: (abs(x), abs(y))),
    claim("hypot", (1, 4), 2, 2),
    claim(
        "logaddexp",
        bound((4, 8), "of the larger operand", lambda x, y: max(abs(x), abs(y))),
        (16, 16),
        (16, 16),
        where="|x - y| ≤ 16",
        holds=lambda x, y: abs(x - y) <= 16,
    ),
    claim(
        "logaddexp",
        bound((4, 8), "of the larger operand", lambda x, y: max(abs(x), abs(y))),
        (1000, 100),
        (1000, 100),
        where="|x - y| > 16",
        holds=lambda x, y: abs(x - y) > 16,
    ),
    claim("xlogy", (2, 8), _NUMPY, 0.5),
    claim("xlog1py", (2, 8), _NUMPY, 2),
    claim("log1mexp", (2, 4), 2),
    claim("erfc", 4, (4, 8), where="|x| ≤ 2", holds=lambda x: abs(x) <= 2),
    claim("erfc", 4, (1000, 100), where="|x| > 2", holds=lambda x: abs(x) > 2),
    claim("erfinv", 4, 8, where="|x| ≤ 0.9", holds=lambda x: abs(x) <= 0.9),
    claim("erfinv", 4, 100, where="|x| > 0.9", holds=lambda x: abs(x) > 0.9),
    claim("lgamma", 4, 4, where="x > 0", holds=lambda x: x > 0),
    claim(
        "lgamma",
        bound((8, 8), "of the largest term of the reflection", _log_gamma_terms),
        bound((8, 8), "of the largest term of the reflection", _digamma_terms),
        where="-1000 < x < 0",
        holds=lambda x: (x > -1000) & (x < 0),
    ),
    claim("digamma", 4, 4, where="x > 0", holds=lambda x: x > 0),
    claim(
        "digamma",
        bound((8, 8), "of the largest term of the reflection", _digamma_terms),
        bound((8, 8), "of the largest term of the reflection", _trigamma_terms),
        where="-1000 < x < 0",
        holds=lambda x: (x > -1000) & (x < 0),
    ),
    claim("polygamma", 4, 0, 8, where="x from 1 to 5, y > 0", drawn=_order),
    claim("cot", (2, 4), (4, 8)),
    claim("sec", (2, 4), (4, 8)),
    claim("csc", (2, 4), (4, 8)),
    claim("acot", (2, 4), 4),
    claim("asec", 4, 4),
    claim("acsc", 4, 4),
    claim("sech", (2, 4), (4, 8)),
    claim("csch", (2, 4), (4, 8)),
    claim("coth", (2, 4), (4, 16)),
    claim("acoth", (2, 4), 4),
    claim("asech", 4, 4),
    claim("acsch", (2, 4), 4),
)
"""What is promised; of ops that are not listed `DEFAULT`."""

DEFAULT = 4.0

COSTS: Mapping[str, str] = {
    "tanh": "`1 - f * f` reuses the result, which costs a fraction of `square(sech(x))`, but has no right digit from "
    "|x| = 19 on (9 in float32). A model that needs them there writes `square(sech(x))`.",
    "sigmoid": "`f * (1 - f)` reuses the result; where f is near 1, the digits of `1 - f` are lost: all of them from "
    "x = 37 on (17 in float32). `sigmoid(x) * sigmoid(-x)` has them, for another exponential.",
    "expm1": "`f + 1` reuses the result, and has no right digit below x = -38 (-18 in float32); `exp(x)` has all.",
    "erf": "and of `erfc`: x² is rounded before `exp(-x²)`, which costs up to x²/2 ulp.",
    "erfinv": "the result is rounded before `exp(f²)`, which costs up to f² ulp.",
    "power": "`y * x**(y - 1)`: below 1 the exponent is rounded, which costs up to |log(x)| ulp. `f * y / x` would "
    "not, but is NaN at x = 0, and 0 where the power underflows.",
    "logaddexp": "the difference of the operands is rounded before its exponential, which costs up to |x - y|/2 ulp. "
    "Where the value crosses 0, the operands cancel.",
    "lgamma": "and of `digamma`: negative operands go by reflection, whose terms cancel near the zeros between poles.",
}
"""Why some bounds are what they are, by op."""


def claims() -> list[Claim]:
    """The claims of all elementwise ops that have numbers as results."""
    listed = {name: [c for c in CLAIMS if c.op == name] for name in {c.op for c in CLAIMS}}
    return [c for op in OPS.values() if _has_digits(op) for c in listed.get(op.name, [_unlisted(op)])]


def _has_digits(op: Op) -> bool:
    return op.elementwise is not None and op.elementwise.coercion in ("number", "float")


def _unlisted(op: Op) -> Claim:
    return claim(op.name, DEFAULT, *[DEFAULT] * (op.arity or 0))


def accuracy_page() -> str:
    """The page of accuracy."""
    exact = [c.op for c in claims() if _is_exact(c)]
    shown = [c for c in claims() if not _is_exact(c)]
    rows = [row for _, group in groupby(shown, lambda c: c.op) for row in _rows(list(group))]
    return ACCURACY.format(
        note=NOTE,
        rows=table(["operation", "where", "value", "derivatives"], rows),
        exact=", ".join(map(code, exact)),
        costs="".join(f"* {code(name)}: {text}\n" for name, text in COSTS.items()),
    )


def _is_exact(c: Claim) -> bool:
    return not any(b.wide or b.narrow for b in (c.value, *c.partials))


def _rows(group: Sequence[Claim]) -> list[list[str]]:
    names = ", ".join("xyz"[: len(group[0].partials)])
    title = code(f"{group[0].op}({names})")
    return [
        ["" if k else title, c.where or "everywhere", _text(c.value), ", ".join(map(_text, c.partials))]
        for k, c in enumerate(group)
    ]


def _text(b: Bound) -> str:
    numbers = dict.fromkeys(map(_number, (b.wide, b.narrow)))
    return " ".join(filter(None, (" / ".join(numbers), b.of)))


def _number(ulps: float) -> str:
    powers = {0: "exact", 100: "10²", 1000: "10³"}
    return powers.get(ulps, f"{ulps:g}")
