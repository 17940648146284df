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
