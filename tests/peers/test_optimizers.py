"""The optimisers beside those of PyTorch, on the gradients of one model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc

torch: Any = pytest.importorskip("torch", reason="needs PyTorch: pip install torch")

MODEL = """
X: Input[N, 3]
y: Input[N]
W: Param[3, 2] = normal()
b: Param = 0.5
loss: Output = mean((sum(tanh(X @ W), axis=1) + b - y) ** 2)
"""
RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(8, 3)), RNG.normal(size=8)

PAIRS = {
    "gradient_descent(lr=0.05)": lambda p: torch.optim.SGD(p, lr=0.05),
    "gradient_ascent(lr=0.001)": lambda p: torch.optim.SGD(p, lr=0.001, maximize=True),
    "momentum(lr=0.02)": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9),
    "nesterov(lr=0.02)": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True),
    "gradient_descent(lr=0.05, l2=0.05)": lambda p: torch.optim.SGD(p, lr=0.05, weight_decay=0.1),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.01),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
    "adam": lambda p: torch.optim.Adam(p),
    "adamw": lambda p: torch.optim.AdamW(p),
}


@pytest.mark.parametrize("text", PAIRS)
def test_fifty_steps_are_those_of_torch(text: str) -> None:
    model = graphc.compile(MODEL, optimizer=text)
    params = model.init_params(0)
    state = model.init_state(params)
    W, b = (torch.tensor(params[name], dtype=torch.float64, requires_grad=True) for name in "Wb")
    optimizer = PAIRS[text]([W, b])
    for _ in range(50):
        params, state, _ = model.train_step(params, state, X, Y)
        optimizer.zero_grad()
        loss = ((torch.tanh(torch.tensor(X) @ W).sum(1) + b - torch.tensor(Y)) ** 2).mean()
        loss.backward()
        optimizer.step()
    np.testing.assert_allclose(params["W"], W.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(params["b"], b.detach().numpy(), rtol=1e-12)
