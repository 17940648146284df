"""Fits: a mixture of Gaussians in ADBench's form, k-means, the logarithm of a sum of exponentials, least squares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.benchmarks.case import Aim, Arrays, Call, Case

MIXTURE = """
X: Input[N, 20]
alphas: Param[25]
means: Param[25, 20]
logs: Param[25, 20]
lower: Param[25, 20, 20]
L = tril(lower, -1)
diff = X[:, None, :] - means
Q = exp(logs) * diff + (L @ diff[..., None])[..., 0]
parts = alphas + sum(logs, axis=1) - 0.5 * sum(square(Q), axis=2)
wishart = 0.5 * (sum(square(exp(logs))) + sum(square(L))) - sum(logs)
loss: Output = sum(logsumexp(parts, axis=1)) - N * logsumexp(alphas) + wishart
"""


def _mixture_arrays(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    params = {
        "alphas": rng.standard_normal(25),
        "means": rng.standard_normal((25, 20)),
        "logs": 0.1 * rng.standard_normal((25, 20)),
        "lower": 0.1 * rng.standard_normal((25, 20, 20)),
    }
    return params, {"X": rng.standard_normal((1000, 20))}


def _mixture(lib: Any, p: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    X, logs = data["X"], p["logs"]
    L = lib.tril(p["lower"], -1)
    diff = X[:, None, :] - p["means"]
    Q = lib.exp(logs) * diff + (L @ diff[..., None])[..., 0]
    parts = p["alphas"] + lib.sum(logs, axis=1) - 0.5 * lib.sum(lib.square(Q), axis=2)
    wishart = 0.5 * (lib.sum(lib.square(lib.exp(logs))) + lib.sum(lib.square(L))) - lib.sum(logs)
    return lib.sum(lib.logsumexp(parts, axis=1)) - X.shape[0] * lib.logsumexp(p["alphas"], axis=0) + wishart


def _mixture_by_hand(p: Arrays, data: Arrays) -> Call:
    """The products factored out of the difference: Q (x - μ) = Q x - Q μ, a matrix product for each component."""
    X = data["X"]

    def evaluate() -> Any:
        alphas, means, logs = p["alphas"], p["means"], p["logs"]
        diagonal = np.exp(logs)
        L = np.tril(p["lower"], -1)
        full = L.copy()
        index = np.arange(20)
        full[:, index, index] = diagonal
        y = X @ full.transpose(0, 2, 1)
        y -= (full @ means[..., None])[:, None, :, 0]
        parts = np.einsum("kni,kni->kn", y, y)
        parts *= -0.5
        parts += (alphas + logs.sum(axis=1))[:, None]
        largest = parts.max(axis=0)
        parts -= largest
        np.exp(parts, out=parts)
        total = parts.sum(axis=0)
        top = alphas.max()
        weights = np.exp(alphas - top)
        mass = weights.sum()
        loss = np.sum(np.log(total)) + largest.sum() - len(X) * (np.log(mass) + top)
        loss += 0.5 * (np.sum(diagonal * diagonal) + np.sum(L * L)) - logs.sum()
        parts /= total
        sums = parts.sum(axis=1)
        y *= -parts[..., None]
        d_y = y.sum(axis=1)
        d_full = y.transpose(0, 2, 1) @ X - d_y[..., None] * means[:, None, :]
        grads = {
            "alphas": sums - len(X) * weights / mass,
            "means": -(full.transpose(0, 2, 1) @ d_y[..., None])[..., 0],
            "logs": sums[:, None] + (d_full[:, index, index] + diagonal) * diagonal - 1,
            "lower": np.tril(d_full, -1) + L,
        }
        return loss, grads

    return evaluate


KMEANS = """
X: Input[N, 16]
centers: Param[100, 16]
loss: Output = sum(min(sum(square(X[:, None, :] - centers), axis=2), axis=1))
"""


def _kmeans(lib: Any, p: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    distances = lib.sum(lib.square(data["X"][:, None, :] - p["centers"]), axis=2)
    return lib.sum(lib.min(distances, axis=1))


def _kmeans_by_hand(p: Arrays, data: Arrays) -> Call:
    """The nearest centre by a matrix product, |x|² - 2 x·c + |c|², and what is exact from that one's difference."""
    X, centers = data["X"], p["centers"]

    def evaluate() -> Any:
        scores = X @ centers.T
        scores *= -2
        scores += np.einsum("ij,ij->i", centers, centers)
        nearest = scores.argmin(axis=1)
        diff = X - centers[nearest]
        loss = np.vdot(diff, diff)
        counts = np.zeros((len(X), len(centers)))
        counts[np.arange(len(X)), nearest] = -2.0
        return loss, {"centers": counts.T @ diff}

    return evaluate


LOGSUMEXP = """
x: Input[N]
loss: Output = log(sum(exp(x)))
"""


def _logsumexp(lib: Any, given: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    return lib.logsumexp(given["x"], axis=0)


def _logsumexp_by_hand(given: Arrays, data: Arrays) -> Call:
    x = given["x"]

    def evaluate() -> Any:
        largest = x.max()
        e = np.exp(x - largest)
        total = e.sum()
        e /= total
        return np.log(total) + largest, {"x": e}

    return evaluate


LEAST_SQUARES = """
X: Input[N, 128]
y: Input[N]
w: Param[128]
loss: Output = mean(square(X @ w - y))
"""


def _least_squares(lib: Any, p: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    return lib.mean(lib.square(data["X"] @ p["w"] - data["y"]))


def _least_squares_by_hand(p: Arrays, data: Arrays) -> Call:
    X, y, w = data["X"], data["y"], p["w"]

    def evaluate() -> Any:
        r = X @ w
        r -= y
        loss = np.dot(r, r) / len(y)
        r *= 2 / len(y)
        return loss, {"w": r @ X}

    return evaluate


CASES = (
    Case(
        "mixture-of-gaussians",
        MIXTURE,
        _mixture_arrays,
        _mixture_by_hand,
        _mixture,
        aims=(Aim(1.0, "jax"), Aim(0.7, "jax", ("graphc reassociated",))),
    ),
    Case(
        "k-means",
        KMEANS,
        lambda rng: ({"centers": rng.standard_normal((100, 16))}, {"X": rng.standard_normal((10_000, 16))}),
        _kmeans_by_hand,
        _kmeans,
        aims=(Aim(1.0, "jax", ("graphc", "graphc for speed", "graphc reassociated")),),
    ),
    Case(
        "logsumexp-2500",
        LOGSUMEXP,
        lambda rng: ({"x": rng.standard_normal(2_500)}, {}),
        _logsumexp_by_hand,
        _logsumexp,
        aims=(Aim(1.0, "jax"),),
    ),
    Case(
        "least-squares-4096x128",
        LEAST_SQUARES,
        lambda rng: (
            {"w": rng.standard_normal(128)},
            {"X": rng.standard_normal((4096, 128)), "y": rng.standard_normal(4096)},
        ),
        _least_squares_by_hand,
        _least_squares,
        aims=(Aim(1.0, "jax"),),
    ),
)
