"""How far elementwise ops and their derivatives are from the truth, in units in the last place (ulp).

The truth is the op's mathematics, and SymPy's derivative of it, at the very floats, with as many digits as it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import pi

import mpmath
import numpy as np
import sympy

from docs.accuracy_page import Bound, Claim
from graphc.autodiff import differentiate
from graphc.builder import Builder
from graphc.op import OPS, Op
from graphc.rewrite.engine import rewrite
from graphc.rewrite.sets import SIMPLIFY
from graphc.symbolic import between_jumps, mathematics
from graphc.tensor_type import TensorType
from tests.evaluate import evaluate

Exact = Callable[..., object]
DIGITS = (40, 80, 160, 330, 700)
WORDS = {
    "Heaviside": lambda x, at_zero=0.5: 1 if x > 0 else 0 if x < 0 else at_zero,
    # The op is the logarithm of the absolute value.
    "loggamma": lambda x: mpmath.re(mpmath.loggamma(x)),
}


@dataclass(frozen=True)
class Worst:
    """The largest error of the value or of a derivative, how large it may be, in ulp, and the operands there."""

    quantity: str
    ulp: float
    allowed: float
    at: tuple[float, ...]


def worst_errors(claim: Claim, dtype: str, count: int) -> list[Worst]:
    """The largest errors of a claim's value and derivatives, at points that depend on the count alone."""
    op = OPS[claim.op]
    operands = points(claim, dtype, count)
    exact = [[true_value(f, at) for at in zip(*operands, strict=True)] for f in functions(op)]
    usable = [is_normal(value, dtype) for value in exact[0]]
    worst = []
    for k, (name, found) in enumerate(computed(op, operands).items()):
        bound = (claim.value, *claim.partials)[k]
        errors = [
            error(f, e, dtype, bound, at) if ok and is_normal(e, dtype) else 0.0
            for f, e, ok, at in zip(found, exact[k], usable, zip(*operands, strict=True), strict=True)
        ]
        at = max(range(len(errors)), key=errors.__getitem__)
        allowed = bound.wide if dtype == "float64" else bound.narrow
        worst.append(Worst(name, errors[at], allowed, tuple(float(x[at]) for x in operands)))
    return worst


def points(claim: Claim, dtype: str, count: int) -> list[np.ndarray]:
    """Operands in the claim's part of the domain: of two, all sorts of pairs, also nearly equal and opposite ones."""
    operands = [pool(dtype, count)]
    if OPS[claim.op].arity != 1:
        (first,), random = operands, np.random.default_rng(1)
        rest = [random.permutation(first) for _ in range((OPS[claim.op].arity or 0) - 1)]
        near = first * (1 + np.finfo(dtype).eps * random.integers(-40, 41, len(first))).astype(dtype)
        moderate = random.uniform(0, 20, (1 + len(rest), 2 * count)).astype(dtype)
        operands = [np.concatenate([first, first, -first, moderate[0]])]
        operands += [np.concatenate([second, near, near, m]) for second, m in zip(rest, moderate[1:], strict=True)]
    operands = [np.asarray(x, dtype) for x in claim.drawn(*operands)]
    return [x[np.broadcast_to(claim.holds(*operands), x.shape)] for x in operands]


def pool(dtype: str, count: int) -> np.ndarray:
    """Normal numbers of both signs and all sizes; some near 1, near whole numbers and multiples of π/4."""
    random, info = np.random.default_rng(count), np.finfo(dtype)
    largest = np.log10(float(info.max)) - 1
    near = 10.0 ** random.uniform(np.log10(info.eps) + 1, -1, count)
    parts = (
        random.uniform(-4, 4, 2 * count),
        random.uniform(-40, 40, count),
        random.uniform(-760, 760, count // 2),
        10.0 ** random.uniform(-20, 4, count) * random.choice([-1, 1], count),
        10.0 ** random.uniform(-largest, largest, count // 2) * random.choice([-1, 1], count // 2),
        random.choice([-1, 1], count) * (1 + near * random.choice([-1, 1], count)),
        random.integers(-6, 7, count) + near,
        random.integers(1, 21, count // 2) * pi / 4,
        [0.5, 1.0, -1.0, 2.0, -2.0, 3.0, 1.4616321449683622, float(info.tiny), -float(info.tiny)],
    )
    return np.unique(np.concatenate(parts).astype(dtype))


@cache
def functions(op: Op) -> tuple[Exact, ...]:
    """The value and the partial derivatives as functions of mpmath numbers."""
    expression, symbols = mathematics(op)
    wanted = (expression, *(between_jumps(sympy.diff(expression, symbol)) for symbol in symbols))
    return tuple(sympy.lambdify(symbols, part, [WORDS, "mpmath"]) for part in wanted)


def true_value(function: Exact, operands: Sequence[float]) -> mpmath.mpf | None:
    """A real number to more digits than a float has; None where there is none."""
    last = None
    for digits in DIGITS:
        with mpmath.workdps(digits):
            try:
                found = mpmath.mpmathify(function(*(mpmath.mpf(float(x)) for x in operands)))
            except (ZeroDivisionError, ValueError, OverflowError, mpmath.libmp.NoConvergence):
                return None
            if not mpmath.isfinite(found) or mpmath.im(found) != 0:
                return None
            if last is not None and found and abs(found - last) <= abs(found) * mpmath.mpf(10) ** -22:
                return mpmath.re(found)
            last = mpmath.re(found)
    return last if last == 0 else None


def is_normal(exact: mpmath.mpf | None, dtype: str) -> bool:
    """Whether a number is one that the float type holds with all digits, or 0."""
    info = np.finfo(dtype)
    return exact is not None and (exact == 0 or float(info.tiny) <= abs(exact) <= float(info.max))


def computed(op: Op, operands: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """The value and the derivatives by each operand, as generated modules compute them."""
    builder = Builder()
    shape = operands[0].shape
    values = {f"x{k}": builder.input(f"x{k}", TensorType("float64", shape)) for k in range(len(operands))}
    graph = builder.finish({"y": builder.apply(op, list(values.values())).node})
    variables = {name: value.node for name, value in values.items()}
    joint = rewrite(differentiate(graph, ["y"], variables, check=False).graph, SIMPLIFY).graph
    given = {**dict(zip(values, operands, strict=True)), "d_y": np.ones(shape)}
    with np.errstate(all="ignore"):
        found = evaluate(joint, given, dtype=str(operands[0].dtype))
    return {name: np.broadcast_to(np.asarray(found[name]), shape) for name in ("y", *(f"d_{x}" for x in values))}


def error(found: float, exact: mpmath.mpf, dtype: str, bound: Bound, operands: Sequence[float]) -> float:
    """The distance of a float from a number, in ulp of the number or of what the bound is relative to."""
    if not np.isfinite(found):
        return float("inf")
    size = max(abs(exact), bound.size(*(mpmath.mpf(float(x)) for x in operands)) if bound.size else 0)
    return float(abs(mpmath.mpf(float(found)) - exact) / mpmath.mpf(float(np.spacing(np.asarray(float(size), dtype)))))
