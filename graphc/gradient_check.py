"""Gradients held to numbers: central differences along random directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    Arrays = Mapping[str, np.ndarray]


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

    from graphc.backends.selfcheck import _slope_error

    rng = np.random.default_rng(seed)
    errors = {}
    for name, value in values.items():
        vectors = [_direction(rng, value) for _ in range(directions)]
        slopes = [float(np.sum(gradients[name] * vector)) for vector in vectors]
        pairs = zip(vectors, slopes, strict=True)
        moved = _of_one(function, values, name)
        at = np.asarray(value, dtype=np.float64)
        errors[name] = max((_slope_error(moved, at, vector, slope) for vector, slope in pairs), default=0.0)
    return GradientReport(errors, tolerance)


def _of_one(function: Callable[[Arrays], float], values: Arrays, name: str) -> Callable[[np.ndarray], float]:
    """The function of one of its variables."""
    return lambda value: function({**values, name: value})


def _direction(rng: np.random.Generator, value: np.ndarray) -> np.ndarray:
    import numpy as np

    vector = rng.standard_normal(value.shape)
    norm = float(np.linalg.norm(vector))
    return vector / norm if norm else vector
