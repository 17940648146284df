"""The examples with `scan` beside the same loops in JAX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc

jax = pytest.importorskip("jax", reason="needs JAX: pip install jax")
jnp = jax.numpy

FOLDER = Path(__file__).parents[2] / "examples"
STEPS = 60


def rk4(params: dict[str, Any], data: Any, start: Any) -> Any:
    def slope(z: Any) -> Any:
        eaten = z[0] * z[1]
        prey = params["alpha"] * z[0] - params["beta"] * eaten
        return jnp.stack([prey, params["delta"] * eaten - params["gamma"] * z[1]])

    def step(z: Any, _: Any) -> Any:
        h = 0.05
        k1 = slope(z)
        k2 = slope(z + h / 2 * k1)
        k3 = slope(z + h / 2 * k2)
        k4 = slope(z + h * k3)
        z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return z, z

    return jnp.mean((jax.lax.scan(step, start, None, length=len(data))[1] - data) ** 2)


def rnn(params: dict[str, Any], X: Any, y: Any) -> Any:
    def step(h: Any, x: Any) -> Any:
        return jnp.tanh(x @ params["Wx"] + h @ params["Wh"] + params["b"]), None

    h, _ = jax.lax.scan(step, jnp.zeros((X.shape[1], len(params["b"]))), X)
    return jnp.mean((h @ params["w"] - y) ** 2)


def inputs_of(name: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    if name == "rk4":
        return {"data": rng.uniform(0.5, 2.0, (STEPS, 2)), "start": np.array([1.2, 0.7])}
    return {"X": rng.normal(size=(STEPS, 5, 3)), "y": rng.normal(size=5)}


@pytest.mark.parametrize("formula", [rk4, rnn], ids=lambda formula: formula.__name__)
def test_value_and_gradient_are_those_of_jax(formula: Callable[..., Any]) -> None:
    model = graphc.compile(FOLDER / f"{formula.__name__}.gc")
    params, inputs = model.init_params(3), inputs_of(formula.__name__, np.random.default_rng(3))
    value, gradients = model.value_and_grad(params, **inputs)
    with jax.enable_x64(True):
        expected, theirs = jax.value_and_grad(formula)(jax.tree.map(jnp.asarray, dict(params)), **inputs)
    assert value == pytest.approx(float(expected), rel=1e-10)
    for name, gradient in theirs.items():
        gradient = np.asarray(gradient)
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-10, atol=1e-12 * np.max(np.abs(gradient)))
