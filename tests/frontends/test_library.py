"""The library's functions against NumPy, and that each says what it is."""

from __future__ import annotations

import ast
import math

import numpy as np
import pytest

from graphc.compiler import compile
from graphc.frontends.library import library
from tests.evaluate import evaluate
from tests.frontends.reading import read

X = np.array([[-800.0, -3.5, -0.5], [0.0, 2.0, 900.0]])
T = np.array([[1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]])
P = np.array([[0.2, 0.5, 0.3], [0.9, 0.05, 0.05]])
ONE_HOT = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
LOG_SOFTMAX = X - np.logaddexp.reduce(X, axis=1, keepdims=True)
E = np.abs(X - T)
erf = np.vectorize(math.erf)

VALUES = [
    ("leaky_relu(X)", np.where(X > 0, X, 0.01 * X)),
    ("leaky_relu(X, 0.2)", np.where(X > 0, X, 0.2 * X)),
    ("elu(X)", np.where(X > 0, X, np.expm1(np.minimum(X, 0)))),
    ("elu(X, alpha=2)", np.where(X > 0, X, 2 * np.expm1(np.minimum(X, 0)))),
    ("gelu(X)", X * 0.5 * (1 + erf(X / 2**0.5))),
    ("silu(X)", np.where(X < -700, 0, X / (1 + np.exp(-np.maximum(X, -700))))),
    ("hardswish(X)", X * np.clip(X + 3, 0, 6) / 6),
    ("mse(X, T)", np.mean((X - T) ** 2)),
    ("mae(X, T)", np.mean(np.abs(X - T))),
    ("huber(X, T)", np.where(E <= 1, E**2 / 2, E - 0.5)),
    ("huber(X, T, delta=2)", np.where(E <= 2, E**2 / 2, 2 * (E - 1))),
    ("binary_cross_entropy(P, O)", -(ONE_HOT * np.log(P) + (1 - ONE_HOT) * np.log(1 - P))),
    ("binary_cross_entropy(O, O)", np.zeros((2, 3))),
    ("binary_cross_entropy_with_logits(X, O)", np.logaddexp(X, 0) - ONE_HOT * X),
    ("cross_entropy(X, y)", -LOG_SOFTMAX[[0, 1], [1, 0]]),
    ("cross_entropy(X, O)", -LOG_SOFTMAX[[0, 1], [1, 0]]),
    ("nll(log(P), y)", -np.log(P)[[0, 1], [1, 0]]),
    ("hinge(X, T)", np.maximum(0, 1 - T * X)),
    ("perceptron_loss(X, T)", np.maximum(0, -T * X)),
    ("l1(X)", np.abs(X).sum()),
    ("l2(X)", (X**2).sum()),
    ("lbeta(P, 2)", -np.log(P * (P + 1))),
    ("beta(P, 2)", 1 / (P * (P + 1))),
    ("norm(X, axis=1)", np.sqrt((X**2).sum(1))),
    ("norm(X - X)", np.float64(0)),
    ("sinc(X)", np.sinc(X)),
    ("sinc(X - X)", np.ones_like(X)),
    ("trapezoid(X)", np.trapezoid(X)),
    ("trapezoid(X, dx=0.5)", np.trapezoid(X, dx=0.5)),
    ("trapezoid(X, T)", np.trapezoid(X, T)),
    ("log(P, 2) + log(P, base=10) - log(P, 3)", np.log2(P) + np.log10(P) - np.log(P) / np.log(3)),
    ("dropout(X, 0.2, mask=O)", X * ONE_HOT / 0.8),
    ("dropout(X, 0)", X),
    ("zeros_like(X) + ones_like(X)", np.ones((2, 3))),
    ("zeros_like(y) - ones_like(y)", np.array([-1, -1])),
    ("eye(3) @ X.T", X.T),
    ("eye(N)", np.eye(2)),
    ("swapaxes(X, 0, -1)", X.T),
    ("swapaxes(stack([X, T]), 0, 2)", np.swapaxes(np.stack([X, T]), 0, 2)),
    ("cross(X, T)", np.cross(X, T)),
]


@pytest.mark.parametrize(("text", "value"), VALUES, ids=[text for text, _ in VALUES])
def test_values(text: str, value: np.ndarray) -> None:
    declared = "X: Input[N, 3]\nT: Input[N, 3]\nP: Input[N, 3]\nO: Input[N, 3]\ny: Input[N, int64]\n"
    graph = read(f"{declared}f: Output = {text}")
    with np.errstate(all="ignore"):
        found = evaluate(graph, {"X": X, "T": T, "P": P, "O": ONE_HOT, "y": np.array([1, 0])})["f"]
    np.testing.assert_allclose(np.asarray(found), value, rtol=1e-12, atol=1e-300)


def test_the_perceptron_loss_has_the_slope_of_the_rule_at_zero_weights() -> None:
    text = "w: Input\ny: Input[3]\nx: Input[3]\nloss: Output = sum(perceptron_loss(w * x, y))"
    value, gradients = compile(text, wrt=["w"]).value_and_grad(w=0.0, x=[2.0, 3.0, 5.0], y=[1.0, -1.0, -1.0])
    assert (value, gradients["w"]) == (0.0, 8.0)
    value, _ = compile(text).value_and_grad(w=np.nan, x=[2.0, 3.0, 5.0], y=[1.0, -1.0, -1.0])
    assert np.isnan(value)


def test_dropout_by_seed_keeps_the_mean() -> None:
    graph = read("x: Input[N]\ns: Input[int64]\nf: Output = dropout(x, 0.25, seed=s)")
    found = np.asarray(evaluate(graph, {"x": np.ones(10_000), "s": 3})["f"])
    assert set(found.tolist()) == {0.0, 1 / 0.75}
    assert abs(found.mean() - 1) < 0.02


@pytest.mark.parametrize("name", library())
def test_every_function_has_a_docstring(name: str) -> None:
    assert ast.get_docstring(library()[name].definition)
