"""The optimisers, their options, schedules and averages beside those of PyTorch, on the gradients of one model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
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

Parameters = list[Any]
BATCH = torch.tensor(X), torch.tensor(Y)


@dataclass(frozen=True)
class Peer:
    """What PyTorch has for an optimiser; by default a plain one.

    Attributes
    ----------
    optimizer : callable
        From parameters.
    penalty : callable
        What is added to the loss.
    clip : callable
        Changes the gradients of parameters.
    schedule : callable
        From the optimiser to what changes its rate after each step.
    after : callable
        Changes parameters after each step.
    """

    optimizer: Callable[[Parameters], Any] = lambda p: torch.optim.SGD(p, lr=0.05)
    penalty: Callable[[Parameters], Any] = lambda p: 0.0
    clip: Callable[[Parameters], Any] = lambda p: None
    schedule: Callable[[Any], Any] | None = None
    after: Callable[[Parameters], Any] = lambda p: None


def bound(p: Parameters) -> None:
    """Only the weights."""
    p[0].data = torch.renorm(p[0].data, 2, 1, 0.4)


S = torch.optim.lr_scheduler
SGD = "gradient_descent(lr=0.05"
PEERS = {
    f"{SGD})": Peer(),
    "gradient_ascent(lr=0.001)": Peer(lambda p: torch.optim.SGD(p, lr=0.001, maximize=True)),
    "momentum(lr=0.02)": Peer(lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9)),
    "nesterov(lr=0.02)": Peer(lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True)),
    "adagrad": Peer(lambda p: torch.optim.Adagrad(p, lr=0.01)),
    "rmsprop": Peer(lambda p: torch.optim.RMSprop(p, lr=0.01)),
    "adam": Peer(torch.optim.Adam),
    "adamw": Peer(torch.optim.AdamW),
    "adam(weight_decay=0.3)": Peer(lambda p: torch.optim.AdamW(p, weight_decay=0.3)),
    "adamw(weight_decay=0.3, regularized='W')": Peer(
        lambda p: torch.optim.AdamW([{"params": p[:1]}, {"params": p[1:], "weight_decay": 0.0}], weight_decay=0.3)
    ),
    f"{SGD}, l2=0.05)": Peer(lambda p: torch.optim.SGD(p, lr=0.05, weight_decay=0.1)),
    f"{SGD}, l1=0.1)": Peer(penalty=lambda p: 0.1 * sum(w.abs().sum() for w in p)),
    "adam(l1=0.1, l2=0.2, regularized='W')": Peer(
        torch.optim.Adam, penalty=lambda p: 0.1 * p[0].abs().sum() + 0.2 * p[0].square().sum()
    ),
    f"{SGD}, clip=0.2)": Peer(clip=lambda p: torch.nn.utils.clip_grad_value_(p, 0.2)),
    f"{SGD}, clip_norm=0.2)": Peer(clip=lambda p: torch.nn.utils.clip_grad_norm_(p, 0.2)),
    f"{SGD}, max_norm=0.4, regularized='W')": Peer(after=bound),
    f"{SGD} * warmup(step, 10))": Peer(schedule=lambda o: S.LinearLR(o, 0.1, total_iters=9)),
    f"{SGD} * step_decay(step, 20, 0.5))": Peer(schedule=lambda o: S.StepLR(o, 20, 0.5)),
    f"{SGD} * exponential_decay(step, 1, 0.9))": Peer(schedule=lambda o: S.ExponentialLR(o, 0.9)),
    f"{SGD} * cosine_decay(step, 50, end=0.1))": Peer(schedule=lambda o: S.CosineAnnealingLR(o, 50, 0.005)),
}
# PyTorch adds 1e-6, or 1e-7, to norms that it divides by.
ROUGH = {text: 1e-5 for text in PEERS if "norm" in text}


def steps(peer: Peer, params: dict[str, Any], count: int = 50) -> Iterator[Parameters]:
    """Parameters after each step of PyTorch."""
    W, b = (torch.tensor(params[name], dtype=torch.float64, requires_grad=True) for name in "Wb")
    optimizer = peer.optimizer([W, b])
    schedule = peer.schedule(optimizer) if peer.schedule else None
    for _ in range(count):
        optimizer.zero_grad()
        loss = ((torch.tanh(BATCH[0] @ W).sum(1) + b - BATCH[1]) ** 2).mean() + peer.penalty([W, b])
        loss.backward()
        peer.clip([W, b])
        optimizer.step()
        peer.after([W, b])
        if schedule is not None:
            schedule.step()
        yield [W, b]


@pytest.mark.parametrize("text", PEERS)
def test_fifty_steps_are_those_of_torch(text: str) -> None:
    model = graphc.compile(MODEL, optimizer=text)
    params = model.init_params(0)
    state = model.init_state(params)
    *_, want = steps(PEERS[text], params)
    for _ in range(50):
        params, state, _ = model.train_step(params, state, X, Y)
    for name, array in zip("Wb", want, strict=True):
        np.testing.assert_allclose(params[name], array.detach().numpy(), rtol=ROUGH.get(text, 1e-12))


@pytest.mark.parametrize(
    ("average", "start", "torchs"),
    [
        ("0.9", 0, torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)),
        ("tail_average(step, 20)", 20, torch.optim.swa_utils.get_swa_multi_avg_fn()),
    ],
)
def test_averages_are_those_of_torch(average: str, start: int, torchs: Any) -> None:
    model = graphc.compile(MODEL, optimizer=f"momentum(lr=0.02, average={average})")
    params = model.init_params(0)
    state = model.init_state(params)
    # The first update copies what it gets: that is where the training starts, or the first of the tail.
    averaged = _averaging([torch.tensor(params[name]) for name in "Wb"], torchs)
    for number, want in enumerate(steps(PEERS["momentum(lr=0.02)"], params), start=1):
        params, state, _ = model.train_step(params, state, X, Y)
        if start and number == start + 1:
            averaged = _averaging(want, torchs)
        elif number > start:
            averaged.update_parameters(_held(want))
    found = model.averaged_params(params, state)
    for name, array in zip("Wb", averaged.module, strict=True):
        # PyTorch counts in float32.
        np.testing.assert_allclose(found[name], array.detach().numpy(), rtol=1e-7 if start else 1e-12)


def _held(arrays: Parameters) -> Any:
    return torch.nn.ParameterList([torch.nn.Parameter(array.detach().clone().double()) for array in arrays])


def _averaging(arrays: Parameters, how: Any) -> Any:
    averaged = torch.optim.swa_utils.AveragedModel(_held(arrays), multi_avg_fn=how)
    averaged.update_parameters(_held(arrays))
    return averaged


def test_smoothed_labels_are_those_of_torch() -> None:
    text = "z: Input[N, 4]\ny: Input[N, int64]\nloss: Output = mean(cross_entropy(z, label_smoothing(y, 4, 0.3)))"
    z, y = RNG.normal(size=(9, 4)), RNG.integers(0, 4, 9)
    value, gradients = graphc.compile(text).value_and_grad(z=z, y=y)
    logits = torch.tensor(z, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(y), label_smoothing=0.3)
    loss.backward()
    np.testing.assert_allclose(value, loss.item(), rtol=1e-13)
    np.testing.assert_allclose(gradients["z"], logits.grad.numpy(), rtol=1e-12, atol=1e-15)
