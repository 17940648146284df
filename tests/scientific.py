"""The scientific examples at points, with loops over plain numbers to hold them to; complex numbers pass through."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm

Arrays = Mapping[str, np.ndarray]
Loss = Callable[..., complex]


@dataclass(frozen=True)
class Case:
    """A model of the examples, a point, and its loss by loops: ``loops(**params, **inputs)``."""

    name: str
    params: Arrays
    inputs: Arrays
    loops: Loss

    def loss(self, params: Arrays) -> complex:
        """The loss at other parameters."""
        return self.loops(**params, **self.inputs)

    def gradient(self) -> Arrays:
        """By complex steps: without cancellation, to rounding."""
        found = {}
        for name, value in self.params.items():
            found[name] = np.zeros(value.shape)
            for place in np.ndindex(value.shape):
                moved = value.astype(complex)
                moved[place] += 1e-100j
                found[name][place] = self.loss({**self.params, name: moved}).imag / 1e-100
        return found


def factor(packed: np.ndarray, size: int) -> np.ndarray:
    """The lower triangular matrix that a row of icf holds."""
    found = np.diag(np.exp(packed[:size]))
    place = size
    for column in range(size):
        for row in range(column + 1, size):
            found[row, column] = packed[place]
            place += 1
    return found


def log_sum_exp(terms: list[complex]) -> complex:
    largest = max(term.real for term in terms)
    return largest + np.log(sum(np.exp(term - largest) for term in terms))


def gaussian_mixture(
    alphas: np.ndarray, means: np.ndarray, icf: np.ndarray, x: np.ndarray, gamma: float, m: float
) -> complex:
    count, size = means.shape
    factors = [factor(row, size) for row in icf]
    likelihood: complex = 0
    for point in x:
        terms = []
        for k in range(count):
            whitened = factors[k] @ (point - means[k])
            terms.append(alphas[k] + sum(icf[k, :size]) - 0.5 * sum(whitened**2))
        likelihood += log_sum_exp(terms) - log_sum_exp(list(alphas)) - 0.5 * size * math.log(2 * math.pi)
    n = size + m + 1
    log_gamma = size * (size - 1) / 4 * math.log(math.pi) + sum(math.lgamma((n - j) / 2) for j in range(size))
    penalty: complex = 0
    for k in range(count):
        penalty += 0.5 * gamma**2 * np.sum(factors[k] ** 2) - m * sum(icf[k, :size])
        penalty -= n * size * math.log(gamma / math.sqrt(2)) - log_gamma
    return penalty - likelihood


def reprojection_error(camera: np.ndarray, point: np.ndarray, weight: complex, feat: np.ndarray) -> np.ndarray:
    """The rotation by the exponential of its cross product matrix, which knows no special case."""
    a, b, c = camera[:3]
    turned = expm(np.array([[0, -c, b], [c, 0, -a], [-b, a, 0]])) @ (point - camera[3:6])
    x, y = turned[0] / turned[2], turned[1] / turned[2]
    squared = x * x + y * y
    scale = camera[6] * (1 + camera[9] * squared + camera[10] * squared**2)
    return weight * (np.array([x * scale + camera[7], y * scale + camera[8]]) - feat)


def bundle_adjustment(
    cameras: np.ndarray,
    points: np.ndarray,
    weights: np.ndarray,
    camera: np.ndarray,
    point: np.ndarray,
    feats: np.ndarray,
) -> complex:
    found: complex = 0
    for i, j, weight, feat in zip(camera, point, weights, feats, strict=True):
        found += 0.5 * np.sum(reprojection_error(cameras[i], points[j], weight, feat) ** 2)
        found += 0.5 * (1 - weight**2) ** 2
    return found


def k_means(centres: np.ndarray, points: np.ndarray) -> complex:
    squared = [[np.sum((point - centre) ** 2) for centre in centres] for point in points]
    return sum(min(row, key=lambda number: number.real) for row in squared)


def physics_informed(
    a: np.ndarray,
    b: np.ndarray,
    c: np.ndarray,
    v: np.ndarray,
    x: np.ndarray,
    t: np.ndarray,
    t_ends: np.ndarray,
    x_start: np.ndarray,
    u_start: np.ndarray,
) -> complex:
    """tanh' = 1 - tanh² and tanh'' = -2 tanh (1 - tanh²), by hand."""

    def network(x: float, t: float) -> complex:
        return v @ np.tanh(a * x + b * t + c)

    equation: complex = 0
    for xi, ti in zip(x, t, strict=True):
        h = np.tanh(a * xi + b * ti + c)
        u_t = v @ (b * (1 - h**2))
        u_xx = v @ (a**2 * -2 * h * (1 - h**2))
        equation += (u_t - 0.1 * u_xx) ** 2
    ends = sum(network(0, ti) ** 2 + network(1, ti) ** 2 for ti in t_ends)
    start = sum((network(xi, 0) - ui) ** 2 for xi, ui in zip(x_start, u_start, strict=True))
    return equation / len(x) + ends / len(t_ends) + start / len(x_start)


def cases(seed: int = 0) -> dict[str, Case]:
    """Each example at a point; the first camera is not turned."""
    rng = np.random.default_rng(seed)
    draw = rng.normal
    turned = np.concatenate([np.zeros((1, 3)), draw(size=(2, 3))])
    lens = [draw(size=(3, 3)), 2 + rng.random((3, 1)), draw(size=(3, 2)), 0.1 * draw(size=(3, 2))]
    found = (
        Case(
            "gaussian_mixture",
            {"alphas": draw(size=3), "means": draw(size=(3, 4)), "icf": 0.3 * draw(size=(3, 10))},
            {"x": draw(size=(6, 4)), "gamma": np.float64(1.5), "m": np.float64(2)},
            gaussian_mixture,
        ),
        Case(
            "bundle_adjustment",
            {
                "cameras": np.concatenate([turned, *lens], axis=1),
                "points": draw(size=(4, 3)) + np.array([0, 0, 9]),
                "weights": rng.random(7),
            },
            {
                "camera": np.array([0, 1, 2, 0, 1, 2, 0]),
                "point": np.array([0, 1, 2, 3, 0, 1, 0]),
                "feats": draw(size=(7, 2)),
            },
            bundle_adjustment,
        ),
        Case("k_means", {"centres": draw(size=(4, 3))}, {"points": draw(size=(9, 3))}, k_means),
        Case(
            "physics_informed",
            {name: draw(size=32) for name in "abcv"},
            {name: rng.random(5) for name in ("x", "t", "t_ends", "x_start", "u_start")},
            physics_informed,
        ),
    )
    return {case.name: case for case in found}
