"""The generated module against another library."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import graphc
from tests.peers.peer import Arrays, Peer, Problem, total_and_gradients

TOLERANCE = 1e-10
"""Relative to the value, and to the largest element of the gradient."""
UNSETTLED = 1e-12
"""Beyond that, results may differ by as much as they move when inputs move by this part: some thousand roundings."""


def check_against(peer: Peer, models: Sequence[graphc.Model], points: Sequence[Arrays]) -> None:
    """Values and gradients of models, each at a point."""
    problems = [Problem(m.graph, at, m.variables) for m, at in zip(models, points, strict=True)]
    total, found = total_and_gradients(peer, problems)
    rough = max((error for p in problems for op, error in peer.rough.items() if op in p.ops), default=0.0)
    tolerance = max(TOLERANCE, rough)
    expected = allowed = 0.0
    for model, at, gradients in zip(models, points, found, strict=True):
        value, wanted = model.value_and_grad(**at)
        near, others = model.value_and_grad(**_near(at))
        expected += value
        allowed += tolerance * max(1.0, abs(value)) + abs(near - value)
        scale = max(1.0, *(_largest(x) for x in wanted.values()))
        moved = max(_largest(others[name] - x) for name, x in wanted.items())
        for name, gradient in gradients.items():
            np.testing.assert_allclose(
                gradient,
                wanted[name],
                rtol=tolerance,
                atol=tolerance * scale / 10 + moved,
                err_msg=f"gradient by {name}: {peer.name} is ACTUAL, graphc DESIRED",
            )
    assert abs(total - expected) <= allowed, f"value: {peer.name} has {total}, graphc {expected}"


def _near(at: Arrays) -> Arrays:
    generator = np.random.default_rng(0)
    signs = {name: generator.choice([-1.0, 1.0], x.shape) for name, x in at.items()}
    return {name: x * (1 + UNSETTLED * signs[name]) if x.dtype.kind == "f" else x for name, x in at.items()}


def _largest(x: np.ndarray) -> float:
    return float(np.max(np.abs(x), initial=0.0))
