"""``@elementwise``: one op, with value, mathematics and derivative."""

from __future__ import annotations

import numpy as np
import pytest
import sympy

from graphc.autodiff import differentiate
from graphc.symbolic import mathematics
from tests.evaluate import evaluate
from tests.frontends.reading import ops, read

TEXT = """
@elementwise
def swish(x):
    "x times its sigmoid"
    return x * sigmoid(x)

@elementwise
def soft(x, y, z):
    return x * exp(-y ** 2) if x > 0 else softplus(x) * z

@elementwise
def cube(n):
    return n * n * n
"""

CASES = [
    ("swish(x)", lambda x: x / (1 + np.exp(-x))),
    ("soft(x, x, 2)", lambda x: np.where(x > 0, x * np.exp(-(x**2)), np.log1p(np.exp(x)) * 2)),
    ("cube(x) + 1", lambda x: x**3 + 1),
]


@pytest.mark.parametrize(("text", "function"), CASES, ids=[text for text, _ in CASES])
def test_value_and_derivative(text: str, function: object) -> None:
    graph = read(f"{TEXT}x: Input[4]\nloss: Output = sum({text})")
    x, step = np.array([-2.0, -0.3, 0.4, 1.7]), 1e-6
    assert callable(function)
    np.testing.assert_allclose(evaluate(graph, {"x": x})["loss"], function(x).sum())
    joint = differentiate(graph, ("loss",), {"x": graph.inputs[0]})
    found = evaluate(joint.graph, {"x": x, "d_loss": 1.0})["d_x"]
    np.testing.assert_allclose(np.asarray(found), (function(x + step) - function(x - step)) / (2 * step), rtol=1e-6)


def test_it_is_one_op_whose_mathematics_sympy_knows() -> None:
    graph = read(f"{TEXT}x: Input[4]\nf: Output = swish(x)")
    assert ops(graph) == ["swish"]
    op = graph.outputs["f"].op
    expression, (x,) = mathematics(op)
    assert sympy.simplify(expression - x / (1 + sympy.exp(-x))) == 0
    assert op.doc == "x times its sigmoid"


def test_the_derivative_does_not_overflow() -> None:
    graph = read(f"{TEXT}x: Input[2]\nloss: Output = sum(swish(x))")
    joint = differentiate(graph, ("loss",), {"x": graph.inputs[0]})
    with np.errstate(all="ignore"):
        found = evaluate(joint.graph, {"x": np.array([-1e4, 1e4]), "d_loss": 1.0})["d_x"]
    assert np.asarray(found).tolist() == [0.0, 1.0]


def test_integers_stay_integers() -> None:
    graph = read(f"{TEXT}n: Input[3, int64]\nf: Output = cube(n)\ng: Output = swish(n)")
    assert [graph.outputs[name].tensor.dtype for name in "fg"] == ["int64", "float64"]
