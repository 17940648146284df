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
    results = [model.value_and_grad(**at) for model, at in zip(models, points, strict=True)]
    rough = max((error for p in problems for op, error in peer.rough.items() if op in p.ops), default=0.0)
    tolerance = max(TOLERANCE, rough)
    values = [abs(value) for value, _ in results]
    assert abs(total - sum(value for value, _ in results)) <= tolerance * max(1.0, sum(values)), (peer.name, "loss")
    for model, at, (_, wanted), gradients in zip(models, points, results, found, strict=True):
        scale = max([1.0, *(float(np.max(np.abs(x), initial=0.0)) for x in wanted.values())])
        moved = _moved(model, at, wanted)
        for name, gradient in gradients.items():
            np.testing.assert_allclose(
                gradient,
                wanted[name],
                rtol=tolerance,
                atol=tolerance * scale / 10 + moved,
                err_msg=f"gradient by {name}: {peer.name} is ACTUAL, graphc DESIRED",
            )


def _moved(model: graphc.Model, at: Arrays, gradients: Arrays) -> float:
    generator = np.random.default_rng(0)
    near = {
        name: x * (1 + UNSETTLED * generator.choice([-1.0, 1.0], x.shape)) if x.dtype.kind == "f" else x
        for name, x in at.items()
    }
    _, others = model.value_and_grad(**near)
    return max((float(np.max(np.abs(others[n] - x), initial=0.0)) for n, x in gradients.items()), default=0.0)
