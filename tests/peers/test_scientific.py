"""The scientific examples beside the same formulas in JAX, at the points where loops hold them too."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc
from tests.scientific import cases

jax = pytest.importorskip("jax", reason="needs JAX: pip install jax")
jnp = jax.numpy

FOLDER = Path(__file__).parents[2] / "examples"


def gaussian_mixture(alphas: Any, means: Any, icf: Any, x: Any, gamma: Any, m: Any) -> Any:
    count, size = means.shape
    columns, rows = np.triu_indices(size, 1)
    log_diagonal = icf[:, :size]
    q = jax.vmap(jnp.diag)(jnp.exp(log_diagonal)).at[:, rows, columns].set(icf[:, size:])
    whitened = jnp.einsum("kij,nkj->nki", q, x[:, None] - means)
    log_det = jnp.sum(log_diagonal, axis=1)
    terms = alphas + log_det - 0.5 * jnp.sum(whitened**2, axis=2)
    constant = 0.5 * x.size * np.log(2 * np.pi)
    total = jax.scipy.special.logsumexp
    likelihood = jnp.sum(total(terms, axis=1)) - len(x) * total(alphas) - constant
    n = size + m + 1
    normaliser = n * size * jnp.log(gamma / np.sqrt(2)) - jax.scipy.special.multigammaln(n / 2, size)
    return 0.5 * gamma**2 * jnp.sum(q**2) - m * jnp.sum(log_det) - count * normaliser - likelihood


def rotated(v: Any, x: Any) -> Any:
    """One vector about another; the branch for no angle gets a harmless number, as JAX needs."""
    squared = v @ v
    safe = jnp.where(squared > 0, squared, 1)
    angle = jnp.sqrt(safe)
    axis = v / angle
    turned = x * jnp.cos(angle) + jnp.cross(axis, x) * jnp.sin(angle) + axis * (axis @ x) * (1 - jnp.cos(angle))
    return jnp.where(squared > 0, turned, x + jnp.cross(v, x))


def bundle_adjustment(cameras: Any, points: Any, weights: Any, camera: Any, point: Any, feats: Any) -> Any:
    def error(c: Any, x: Any, weight: Any, feat: Any) -> Any:
        local = rotated(c[:3], x - c[3:6])
        u = local[:2] / local[2]
        squared = u @ u
        return weight * (c[6] * u * (1 + c[9] * squared + c[10] * squared**2) + c[7:9] - feat)

    errors = jax.vmap(error)(cameras[camera], points[point], weights, feats)
    return 0.5 * (jnp.sum(errors**2) + jnp.sum((1 - weights**2) ** 2))


def k_means(centres: Any, points: Any) -> Any:
    return jnp.sum(jnp.min(jnp.sum((points[:, None] - centres) ** 2, axis=2), axis=1))


def physics_informed(a: Any, b: Any, c: Any, v: Any, x: Any, t: Any, t_ends: Any, x_start: Any, u_start: Any) -> Any:
    def network(x: Any, t: Any) -> Any:
        return v @ jnp.tanh(a * x + b * t + c)

    u_t = jax.vmap(jax.grad(network, 1))(x, t)
    u_xx = jax.vmap(jax.grad(jax.grad(network)))(x, t)
    everywhere = jax.vmap(network)
    ends = sum(jnp.mean(everywhere(jnp.full_like(t_ends, end), t_ends) ** 2) for end in (0, 1))
    start = jnp.mean((everywhere(x_start, jnp.zeros_like(x_start)) - u_start) ** 2)
    return jnp.mean((u_t - 0.1 * u_xx) ** 2) + ends + start


FORMULAS: tuple[Callable[..., Any], ...] = (gaussian_mixture, bundle_adjustment, k_means, physics_informed)


@pytest.mark.filterwarnings("ignore:.* encountered in:RuntimeWarning")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.__name__)
def test_value_and_gradient_are_those_of_jax(formula: Callable[..., Any], seed: int) -> None:
    case = cases(seed)[formula.__name__]
    value, gradients = graphc.compile(FOLDER / f"{case.name}.gc").value_and_grad(case.params, **case.inputs)
    with jax.enable_x64(True):
        function = jax.value_and_grad(lambda params: partial(formula, **case.inputs)(**params))
        expected, theirs = function({name: jnp.asarray(array) for name, array in case.params.items()})
    assert value == pytest.approx(float(expected), rel=1e-10)
    for name, gradient in theirs.items():
        gradient = np.asarray(gradient)
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-10, atol=1e-12 * np.max(np.abs(gradient)))
