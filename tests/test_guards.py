"""Nothing of a branch that `where` did not take gets into a gradient, however the branch is written."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc.builder import Builder
from graphc.guards import Guard, united
from tests.evaluate import evaluate

INF = np.inf


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("expression", "x", "gradient"),
    [
        ("where(x > 0, log(x), 0)", [-1, 0, 2], [0, 0, 0.5]),
        ("x if x > 0 else sqrt(-x)", [-1, -4, 2], [-0.5, -0.25, 1]),
        ("where(x > 0, sqrt(x), 0)", [-1, 0, 4], [0, 0, 0.25]),
        ("where(x == 0, 1, sin(x) / x)", [0, 0, np.pi], [0, 0, -1 / np.pi]),
        ("where(x > 0, x**0.5, 0)", [-1, 0, 4], [0, 0, 0.25]),
        ("where(x > 5, log(x - 5), 0)", [-1, 5, 7], [0, 0, 0.5]),
        ("where(x < 100, exp(x), x)", [800, 1e4, 0], [1, 1, 1]),
        ("where(x == x, 3 * x * x, 0)", [np.nan, 1, 2], [0, 6, 12]),
        ("sqrt(where(x > 0, x, 0))", [-1, 0, 4], [0, 0, 0.25]),
        ("where(x > 0, where(x > 1, log(x - 1), sqrt(x)), -x)", [-1, 4, 0.25], [-1, 1 / 3, 1]),
        ("where(x >= 0, where(x > 0, log(x), 7), -x)", [-1, 0, 2], [-1, 0, 0.5]),
        ("where(x > 0, log(x) + log(x) * 2, 0)", [-1, 0, 2], [0, 0, 1.5]),
        ("where(x > 0, where(x > 1, log(x), 2 * log(x)), 0)", [0, 2, 0.5], [0, 0.5, 4]),
        ("where(sum(x) > 5, sum(log(x))**2, sum(x))", [-1, 0, 2], [1, 1, 1]),
        ("where(sum(x) > 5, prod(1 / x), sum(x))", [-1, 0, 2], [1, 1, 1]),
        ("where(x > 0, sum(log(x[:, None]), axis=1), 0)", [-1, 0, 2], [0, 0, 0.5]),
        ("where(x > 0, stack([log(x), x], axis=1)[:, 0], 0)", [-1, 0, 2], [0, 0, 0.5]),
        ("where(x[:, None] > 0, log(x), 0)", [1, 1, 2], [3, 3, 1.5]),
        ("where(x[:, None] < -5, log(x), 0)", [0, 0, 0], [0, 0, 0]),
        ("where(x > 0, x / sqrt(x * x), 0)", [-1, 0, 2], [0, 0, 0]),
        ("elu(x)", [-1, 0, 1e4], [np.exp(-1), 1, 1]),
    ],
)
def test_branches_not_taken(expression: str, x: list[float], gradient: list[float], dtype: str) -> None:
    model = graphc.compile(f"x: Input[3]\nf: Output = sum({expression})")
    given = np.asarray(x, dtype)
    with np.errstate(all="ignore"):
        _, grads = model.value_and_grad(x=given)
        _, residuals = model.forward(x=given)
        again = model.backward(residuals)
        raw = evaluate(model.joint.graph, {"x": given, "d_f": 1.0}, dtype=dtype)
    for found in (grads["x"], again["x"], raw["d_x"]):
        assert np.asarray(found).dtype == dtype
        np.testing.assert_allclose(found, gradient, rtol=1e-6, atol=1e-12)


def test_what_is_also_used_outside_keeps_its_gradient() -> None:
    model = graphc.compile("x: Input[3]\nl = log(x)\nf: Output = sum(where(x > 1, l, 0)) + sum(l)")
    with np.errstate(all="ignore"):
        _, grads = model.value_and_grad(x=np.array([0.0, 0.5, 2.0]))
    np.testing.assert_array_equal(grads["x"], [INF, 2, 1])


def test_second_derivatives() -> None:
    model = graphc.compile("x: Input[3]\ng = grad(sum(where(x > 0, log(x), x)), x)\nf: Output = sum(g * g)")
    with np.errstate(all="ignore"):
        _, grads = model.value_and_grad(x=np.array([0.0, -1.0, 2.0]))
    np.testing.assert_allclose(grads["x"], [0, 0, -0.25])


@pytest.mark.parametrize("x", [1.0, -4.0])
def test_elementwise_functions(x: float) -> None:
    model = graphc.compile(
        "@elementwise\ndef root(x): return where(x > 0, sqrt(x), -sqrt(-x))\nx: Input\nf: Output = root(x)"
    )
    with np.errstate(all="ignore"):
        _, grads = model.value_and_grad(x=x)
    assert grads["x"] == 0.5 / np.sqrt(abs(x))


def test_the_gradient_is_selected_once() -> None:
    text = graphc.compile("x: Input[3]\nf: Output = sum(where(x > 5, 2 * log(x - 5), 0))").source_text
    assert text[text.index("def value_and_grad") :].partition("\n\n\n")[0].count("np.where(") == 2


def test_no_guard_where_nothing_is_infinite() -> None:
    text = graphc.compile("x: Input[N]\nf: Output = sum(relu(where(x > 0, 3 * x + 1, -x)) * tanh(x))").source_text
    assert "!= 0" not in text


def test_guards_of_sums() -> None:
    builder = Builder()
    a, b = (builder.constant(value).node for value in (True, False))
    yes, no = (a, True), (a, False)
    cases: list[tuple[list[Guard], Guard]] = [
        ([(yes,)], (yes,)),
        ([(yes,), (yes,)], (yes,)),
        ([(yes,), None], None),
        ([(yes,), (no,)], None),
        ([(yes,), ((b, True),)], ()),
        ([(yes, (b, True)), (yes, (b, False))], (yes,)),
        ([(yes, (b, True)), (no,), (yes, (b, False))], None),
        ([(), (yes,)], ()),
    ]
    for guards, expected in cases:
        assert united(guards) == expected
