"""Gradients held to numbers: central differences along random directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    Arrays = Mapping[str, np.ndarray]

_VISIBLE = 1e-3
"""The share of a slope that rounding may cover before a step says nothing."""

STEPS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
"""Relative steps; the best one counts, since a wrong gradient agrees at none and a kink spoils only the large ones."""


@dataclass(frozen=True)
class GradientReport:
    """How far gradients are from differences.

    Attributes
    ----------
    errors : mapping of str to float
        Per variable, the largest relative error over the directions tried.
    tolerance : float
    """

    errors: Mapping[str, float]
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether every variable is within the tolerance."""
        return all(error <= self.tolerance for error in self.errors.values())

    def __str__(self) -> str:
        lines = [
            f"{name}: relative error {error:.1e}{'' if error <= self.tolerance else '  WRONG'}"
            for name, error in self.errors.items()
        ]
        return "\n".join(lines)


def check_gradient(
    function: Callable[[Arrays], float],
    values: Arrays,
    gradients: Arrays,
    *,
    seed: int = 0,
    directions: int = 3,
    tolerance: float = 1e-5,
) -> GradientReport:
    """Compare a gradient with central differences of its function.

    Parameters
    ----------
    function : callable
        From the variables to a scalar, in float64.
    values, gradients : mapping of str to array
        The point, and the gradient there.
    seed : int
        Of the random directions.
    directions : int
        How many to try per variable.
    tolerance : float
        Relative error that is still right.

    Examples
    --------
    >>> import numpy as np
    >>> check_gradient(lambda v: float(v["x"] ** 2), {"x": np.array(3.0)}, {"x": np.array(6.0)}).ok
    True
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    errors = {}
    for name, value in values.items():
        vectors = [_direction(rng, value) for _ in range(directions)]
        slopes = [float(np.sum(gradients[name] * vector)) for vector in vectors]
        pairs = zip(vectors, slopes, strict=True)
        errors[name] = max((_error(function, values, name, vector, slope) for vector, slope in pairs), default=0.0)
    return GradientReport(errors, tolerance)


def _direction(rng: np.random.Generator, value: np.ndarray) -> np.ndarray:
    import numpy as np

    vector = rng.standard_normal(value.shape)
    norm = float(np.linalg.norm(vector))
    return vector / norm if norm else vector


def _error(function: Callable[[Arrays], float], values: Arrays, name: str, vector: np.ndarray, slope: float) -> float:
    """The relative error at the best step; NaN where rounding hides the slope at every step."""
    import numpy as np

    value = np.asarray(values[name], dtype=np.float64)
    rounding = 4 * float(np.finfo(np.float64).eps) * abs(function(values))
    scale = max(1.0, float(np.max(np.abs(value), initial=0.0)))
    found = []
    for step in (relative * scale for relative in STEPS):
        up, down = function({**values, name: value + step * vector}), function({**values, name: value - step * vector})
        difference = (up - down) / (2 * step)
        size, noise = max(abs(slope), abs(difference)), rounding / step
        if size <= noise:
            found.append(0.0 if noise < 1e-6 else float("nan"))
        elif noise < _VISIBLE * size:
            found.append(max(abs(slope - difference) - noise, 0.0) / size)
    return min((error for error in found if error == error), default=float("nan"))
