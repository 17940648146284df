"""What is linear in a variable, by the structure of the graph alone."""

from __future__ import annotations

import pytest

from graphc.builder import Builder, rebuild
from graphc.linearity import first_nonlinear
from tests.frontends.reading import read

DECLARED = "u: Input[3, 3]\na: Input[3, 3]\ni: Input[2, int64]\n"
LINEAR = (
    *("u", "-u", "a * u", "u / a", "u - 2 * u", "a @ u @ a.T", "u[0] * 2", "u[i]", "mean(u, axis=1)", "u.T"),
    *("where(a > 0, u, 0)", "where(a > 0, u, -u)", "concatenate([u, u * a])", 'einsum("ij,jk->ik", a, u)'),
    *(
        "solve(a, u)",
        "cumsum(u, axis=0)",
        "broadcast_to(sum(u), (3, 3)) * exp(a)",
        "concatenate([u, 0 * u])",
        "a * sin(a) * u",
    ),
    *("pad(u, ((1, 1), (0, 0)))", "scaled(u, a)"),
)
NOT_LINEAR = (
    *("u + 1", "u + a", "a", "u * u", "a / u", "exp(u)", "abs(u)", "relu(u)", "u ** 2", "u @ u", "max(u)", "sort(u)"),
    *("where(u > 0, u, 0)", "where(a > 0, u, 1)", "concatenate([u, a])", "solve(u, a)", "sign(u)", "round(u)"),
    *("stop_gradient(u)", "softmax(u)", "prod(u)", "pad(u, ((1, 1), (0, 0)), constant_values=1.0)", "eigh(u)[0]"),
    *("minimum(u, a)", "clip(u, -1, 1)", "cast(cast(u, int64), float64)", "norm(u)", "shifted(u)"),
)
FUNCTIONS = """
@elementwise
def scaled(x, y):
    return x * exp(y)
@elementwise
def shifted(x):
    return 2 * x + 1
"""


@pytest.mark.parametrize(
    ("text", "linear"), [*((text, True) for text in LINEAR), *((text, False) for text in NOT_LINEAR)]
)
def test_structure_tells(text: str, linear: bool) -> None:
    graph = read(f"{DECLARED}{FUNCTIONS}y: Output = {text}")
    builder = Builder(intern=True)
    mapping = rebuild(graph, builder)
    found = first_nonlinear(builder, [mapping[graph.outputs["y"]]], [mapping[graph.inputs[0]]])
    assert (found is None) == linear, found
