"""Functions with which generated modules check their own gradient, copied into them like those of `runtime`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def _gradient_agrees(function: Any, point: Any, variables: Sequence[str], rng: Any) -> bool:
    """Whether a gradient is that of its function, along three random directions each; prints a line per variable."""
    found = _finite_point(function, point, rng)
    if found is None:
        print("no point found where the value and the gradient are finite")
        return False
    given, gradient = found
    errors = {}
    for name, (shown, slopes) in zip(variables, gradient.items(), strict=True):
        at = next(arrays[name] for arrays in given if name in arrays)
        loss = _of_one(function, given, name)
        vectors = [rng.standard_normal(at.shape) for _ in range(3)]
        vectors = [vector / max(float(np.linalg.norm(vector)), 1e-300) for vector in vectors]
        with np.errstate(all="ignore"):
            tried = [_slope_error(loss, at, vector, float(np.sum(slopes * vector))) for vector in vectors]
        errors[shown] = float(np.max(tried))
        print(f"{shown}: relative error {errors[shown]:.1e}" + ("" if errors[shown] <= 1e-5 else "  WRONG"))
    return all(error <= 1e-5 for error in errors.values())


def _jvp_agrees(jvp: Any, pull: Any, point: Any, variables: dict[str, str], rng: Any, weighted: bool) -> bool:
    """Whether tangents are those of differences, and cotangents their transpose: ⟨u, J v⟩ = ⟨uᵀ J, v⟩; prints a line.

    ``pull`` takes the cotangent u after the parameters when it is ``weighted``; else u is 1.
    """
    for draw in (rng.standard_normal, rng.random, lambda shape: 1.0 + rng.random(shape)):
        given = [{name: _beside(value, draw) for name, value in arrays.items()} for arrays in point(draw)]
        with np.errstate(all="ignore"):
            error = _jvp_error(jvp, pull, given, variables, rng, weighted)
        if np.isfinite(error):
            print(f"jvp: relative error {error:.1e}" + ("" if error <= 1e-5 else "  WRONG"))
            return error <= 1e-5
    print("no point found where jvp and what it is compared with are finite")
    return False


def _jvp_error(jvp: Any, pull: Any, given: Any, variables: dict[str, str], rng: Any, weighted: bool) -> float:
    """The larger one of two relative errors: against differences, and, by a thousand, against the transpose."""
    v = {name: rng.standard_normal((given[0] | given[1])[of].shape) for name, of in variables.items()}
    steps = {of: v[name] for name, of in variables.items()}
    value, tangent = _jvp_beside(jvp, given, v, steps, 0.0)
    u = [rng.standard_normal(np.shape(value))] if weighted else []
    pulled = pull(*(given[:1] if given[0] else []), *u, **given[1])[1]
    weights = u[0] if weighted else 1.0
    there, back = np.sum(weights * tangent), [np.sum(pulled[name] * v[name]) for name in v]
    size = max(np.sum(np.abs(weights * tangent)), np.sum(np.abs(back)), 1e-300)
    slope = _slope_error(
        lambda step: float(np.sum(weights * _jvp_beside(jvp, given, v, steps, step)[0])), 0.0, 1.0, float(there)
    )
    return float(np.max([slope, 1e3 * abs(there - np.sum(back)) / size]))


def _jvp_beside(jvp: Any, given: Any, v: Any, steps: Any, step: float) -> Any:
    """What jvp gives at a step along its direction."""
    params, inputs = ({n: a + step * steps[n] if n in steps else a for n, a in held.items()} for held in given)
    return jvp(params, v, **inputs) if params else jvp(v, **inputs)


def _finite_point(function: Any, point: Any, rng: Any) -> Any:
    """Arguments at which a function and its gradient are finite, and the gradient; None when there are none."""
    for draw in (rng.standard_normal, rng.random, lambda shape: 1.0 + rng.random(shape)):
        given = [{name: _beside(value, draw) for name, value in arrays.items()} for arrays in point(draw)]
        with np.errstate(all="ignore"):
            value, gradient = _called(function, given)
        if np.isfinite(value) and all(np.isfinite(slopes).all() for slopes in gradient.values()):
            return given, gradient
    return None


def _of_one(function: Any, given: Any, name: str) -> Callable[[Any], float]:
    """The value as a function of one variable."""
    return lambda at: float(_called(function, [{**a, name: at} if name in a else a for a in given])[0])


def _called(function: Any, given: Any) -> Any:
    params, inputs = given
    return function(params, **inputs) if params else function(**inputs)


def _beside(value: Any, draw: Any) -> Any:
    """Floats in float64 and a little beside what initialisers like zeros give, where kinks are."""
    array = np.asarray(value)
    return array + 0.1 * draw(array.shape) if array.dtype.kind == "f" else array


def _slope_error(function: Callable[[Any], float], value: Any, vector: Any, slope: float) -> float:
    """The relative error of a slope along a vector, against central differences.

    The best step counts: a wrong slope agrees at none, a kink spoils only large ones. NaN where rounding hides all.
    """
    rounding = 4 * float(np.finfo(np.float64).eps) * abs(function(value))
    scale = max(1.0, float(np.max(np.abs(value), initial=0.0)))
    errors = []
    for step in (scale * relative for relative in (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)):
        difference = (function(value + step * vector) - function(value - step * vector)) / (2 * step)
        size, noise = max(abs(slope), abs(difference)), rounding / step
        if size <= noise:
            errors.append(0.0 if noise < 1e-6 else float("nan"))
        elif noise < 1e-3 * size:
            # Rounding may cover this share of a slope before a step says nothing.
            errors.append(max(abs(slope - difference) - noise, 0.0) / size)
    return min((error for error in errors if error == error), default=float("nan"))
