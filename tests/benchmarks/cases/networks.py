"""Fully connected classifiers, from ones whose matrix products are all the work to ones that are all overhead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tests.benchmarks.case import Aim, Arrays, Call, Case, Result
from tests.benchmarks.frameworks import steps_of_training


def _model(sizes: Sequence[int], activation: str) -> str:
    layers = "".join(f"h = {activation}(dense(h, {size}))\n" for size in sizes[1:-1])
    return f"""
X: Input[N, {sizes[0]}]
y: Input[N, int64]
h = X
{layers}loss: Output = mean(cross_entropy(dense(h, {sizes[-1]}), y))
"""


def _arrays(sizes: Sequence[int], batch: int, dtype: str, rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    params: Arrays = {}
    for stem, (n, m) in zip(_stems(len(sizes) - 1), pairwise(sizes), strict=True):
        params[f"{stem}_W"] = (rng.standard_normal((n, m)) * np.sqrt(2 / n)).astype(dtype)
        params[f"{stem}_b"] = (0.1 * rng.standard_normal(m)).astype(dtype)
    X = rng.standard_normal((batch, sizes[0])).astype(dtype)
    return params, {"X": X, "y": rng.integers(0, sizes[-1], batch)}


def _layers(params: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    return [(params[f"{stem}_W"], params[f"{stem}_b"]) for stem in _stems(len(params) // 2)]


def _stems(layers: int) -> list[str]:
    return ["dense", *(f"dense_{layer}" for layer in range(2, layers + 1))]


def _tanh_loss(lib: Any, params: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    return _loss(lib, params, data, lib.tanh)


def _relu_loss(lib: Any, params: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    return _loss(lib, params, data, lib.relu)


def _loss(lib: Any, params: Mapping[str, Any], data: Mapping[str, Any], activation: Any) -> Any:
    *hidden, (W, b) = _layers(params)
    h = data["X"]
    for V, c in hidden:
        h = activation(h @ V + c)
    return -lib.mean(lib.log_probability(h @ W + b, data["y"]))


def _value_and_grad(params: Arrays, data: Arrays, activation: str) -> Result:
    """As one who knows NumPy writes it: in place where a temporary is nobody else's."""
    X, y = data["X"], data["y"]
    layers = _layers(params)
    rows = np.arange(len(X))
    kept = [X]
    for W, b in layers[:-1]:
        h = kept[-1] @ W
        h += b
        kept.append(np.maximum(h, 0, out=h) if activation == "relu" else np.tanh(h, out=h))
    W, b = layers[-1]
    z = kept[-1] @ W
    z += b
    z -= z.max(axis=1, keepdims=True)
    p = np.exp(z)
    total = p.sum(axis=1, keepdims=True)
    loss = np.mean(np.log(total[:, 0]) - z[rows, y])
    p /= total
    p[rows, y] -= 1
    p /= len(X)
    grads: list[Any] = []
    for layer in reversed(range(len(layers))):
        h = kept[layer]
        grads += [p.sum(axis=0), h.T @ p]
        if layer:
            p = p @ layers[layer][0].T
            p *= (h > 0) if activation == "relu" else 1 - h * h
    return loss, dict(zip(params, reversed(grads), strict=True))


def _adam_by_hand(params: Arrays, data: Arrays) -> Call:
    """The usual loop: what is remembered, and the parameters, are changed where they are."""
    state: Any = None

    def advance(start: None, t: int) -> tuple[Result, None]:
        nonlocal state
        if t == 1:
            own = {name: x.copy() for name, x in params.items()}
            state = own, *({name: np.zeros_like(x) for name, x in params.items()} for _ in "mv")
        own, m, v = state
        loss, grads = _value_and_grad(own, data, "relu")
        root = np.sqrt(1 - 0.999**t)
        rate, eps = float(1e-3 * root / (1 - 0.9**t)), float(1e-8 * root)
        for name, g in grads.items():
            m[name] *= 0.9
            m[name] += 0.1 * g
            g *= g
            g *= 0.001
            v[name] *= 0.999
            v[name] += g
            np.sqrt(v[name], out=g)
            g += eps
            np.divide(m[name], g, out=g)
            g *= rate
            own[name] -= g
        return (loss, own), None

    return steps_of_training(None, advance)


def _adam_plainly(params: Arrays, data: Arrays) -> Call:
    """The same loop with its formulas as they are written: what is new is in new arrays, what was before stays."""
    zeros = {name: np.zeros_like(x) for name, x in params.items()}

    def advance(state: tuple[Arrays, Arrays, Arrays], t: int) -> tuple[Result, tuple[Arrays, Arrays, Arrays]]:
        own, m, v = state
        loss, grads = _value_and_grad(own, data, "relu")
        root = np.sqrt(1 - 0.999**t)
        rate, eps = float(1e-3 * root / (1 - 0.9**t)), float(1e-8 * root)
        m = {name: 0.9 * m[name] + 0.1 * g for name, g in grads.items()}
        v = {name: 0.999 * v[name] + 0.001 * np.square(g) for name, g in grads.items()}
        own = {name: x - rate * m[name] / (np.sqrt(v[name]) + eps) for name, x in own.items()}
        return (loss, own), (own, m, v)

    return steps_of_training((params, zeros, zeros), advance)


def _products(params: Arrays, data: Arrays) -> Call:
    layers = _layers(params)
    batch = len(data["X"])
    hs = [data["X"], *(np.ones((batch, W.shape[1]), W.dtype) for W, _ in layers)]
    gs = [np.ones_like(h) for h in hs]
    ws = [np.ones_like(W) for W, _ in layers]

    def multiply() -> Result:
        for layer, (W, _) in enumerate(layers):
            np.matmul(hs[layer], W, out=hs[layer + 1])
        for layer in reversed(range(len(layers))):
            np.matmul(hs[layer].T, gs[layer + 1], out=ws[layer])
            if layer:
                np.matmul(gs[layer + 1], layers[layer][0].T, out=gs[layer])
        return 0.0, {}

    return multiply


def _case(
    name: str,
    sizes: Sequence[int],
    batch: int,
    *aims: Aim,
    activation: str = "relu",
    optimizer: str = "",
) -> Case:
    return Case(
        name=name,
        model=_model(sizes, activation),
        arrays=lambda rng: _arrays(sizes, batch, "float32", rng),
        by_hand=_adam_by_hand if optimizer else lambda p, d: lambda: _value_and_grad(p, d, activation),
        formula=_relu_loss if activation == "relu" else _tanh_loss,
        products=_products,
        dtype="float32",
        aims=aims,
        plain=_adam_plainly if optimizer else None,
        optimizer=optimizer,
    )


CASES = (
    _case("mlp-784-512-512-10-batch-2048", (784, 512, 512, 10), 2048, Aim(1.05, "products")),
    _case("mlp-784-512-512-10-batch-256", (784, 512, 512, 10), 256, Aim(1.05, "products")),
    _case("mlp-784-128-10-batch-256", (784, 128, 10), 256, Aim(1.12, "products")),
    _case("mlp-784-128-10-batch-32", (784, 128, 10), 32, Aim(1.30, "products")),
    _case("mlp-784-128-10-batch-1", (784, 128, 10), 1, Aim(0.3, "numpy")),
    _case("mlp-2-16-16-2-batch-64", (2, 16, 16, 2), 64, Aim(0.85, "numpy"), activation="tanh"),
    _case(
        "adam-784-128-10-batch-32",
        (784, 128, 10),
        32,
        Aim(1.0, "plain numpy"),
        Aim(1.0, "numpy", by=("graphc for speed",)),
        optimizer="adam",
    ),
)
