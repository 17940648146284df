"""Nothing of a branch that `where` did not take gets into a gradient, however the branch is written."""

from __future__ import annotations

import re

import numpy as np
import pytest

import graphc
from graphc.builder import Builder
from graphc.guards import MAX_CHOICES, UNKNOWN, Choice, Guard, chosen, masked, united
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


MASKED = {
    "m": np.array([True, False, True]),
    "M": np.array([[True, True], [False, False], [True, False]]),
    "X": np.array([[1.0, 2], [0, -1], [3, 4]]),
    "W": np.array([[1.0, 2], [3, 5]]),
    "v": np.array([1.0, 2]),
}
"""The second row is masked, and has no logarithm."""
DECLARED = "m: Input[N, bool]\nM: Input[N, 2, bool]\nX: Input[N, 2]\nW: Input[2, 2]\nv: Input[2]\n"
# The gradient of each is that of the same model without the masked row.
MIXED = [
    "where(m[:, None], log(X) @ W, 0)",
    "where(m, log(X) @ v, 0)",
    "where(m, W @ log(X).T, 0)",
    "where(m, v @ log(X).T, 0)",
    "where(logical_not(m)[:, None], 0, log(X) @ W)",
    "where(m, sum(log(X) @ W, axis=-1), 0)",
    "where(m, sum(tanh(log(X) @ W) @ W, axis=-1), 0)",
    "where(m[:, None], einsum('ij,jk->ik', log(X), W), 0)",
    "where(m, einsum('ij,kj->ki', log(X), W), 0)",
    "where(m, einsum('ij,j->i', log(X), v), 0)",
    "where(m, einsum('ij,ij->i', log(X), sqrt(X)), 0)",
    "where(m[:, None], tensordot(log(X), W, 1), 0)",
    "where(m[:, None], softmax(log(X)) * v, 0)",
    "where(m[:, None], log_softmax(sqrt(X)) * v, 0)",
    "where(m, logsumexp(log(X), axis=1), 0)",
    "where(m[:, None], max(sqrt(X), axis=1, keepdims=True), 0)",
    "where(m, prod(log(X), axis=1), 0)",
    "where(m, std(log(X), axis=1), 0)",
    "where(m[:, None], cumprod(log(X), axis=1), 0)",
    "where(m[:, None], sort(log(X), axis=1) * v, 0)",
    "where(m[:, None], softmax(log(X) @ W) @ W, 0)",
    "where(m[:, None], reshape(stack([log(X), sqrt(X)], axis=1)[:, 0], (-1, 2)) @ W, 0)",
    "where(M, log(X) @ W, 0)",
    "where(M, softmax(log(X) @ W), 0)",
    "where(M, einsum('ij,jk->ik', log(X), W), 0)",
    "where(M, (log(X) @ W).T.T, 0)",
    "relu(where(M, log(X) @ W, 0))",
    "where(M, relu(log(X) @ W), 0)",
]


def _gradients(model: graphc.Model, at: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    used = {str(node.attrs["name"]) for node in model.graph.inputs}
    with np.errstate(all="ignore"):
        found = model.value_and_grad(**{name: value for name, value in at.items() if name in used})[1]
    return {name: np.asarray(value) for name, value in found.items()}


def _model(expression: str) -> graphc.Model:
    lines = [line for line in DECLARED.splitlines() if re.search(rf"\b{line[0]}\b", expression)]
    return graphc.compile("\n".join([*lines, f"f: Output = sum({expression})"]))


@pytest.mark.parametrize("expression", MIXED)
def test_what_mixes_elements_keeps_masked_rows_out(expression: str) -> None:
    model = _model(expression)
    left_out = {name: value[[0, 2]] if len(value) == 3 else value for name, value in MASKED.items()}
    found, expected = _gradients(model, MASKED), _gradients(model, left_out)
    np.testing.assert_array_equal(found["X"][1], 0)
    np.testing.assert_allclose(found["X"][[0, 2]], expected["X"], rtol=1e-12)
    for name in {"W", "v"} & set(expected):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12)


@pytest.mark.parametrize("expression", [e for e in MIXED if "[:, None]" in e])
def test_rows_of_missing_data_are_kept_out(expression: str) -> None:
    missing = {**MASKED, "X": np.array([[1.0, 2], [np.nan, np.inf], [3, 4]])}
    assert all(np.isfinite(gradient).all() for gradient in _gradients(_model(expression), missing).values())


def test_elements_of_taken_and_of_other_outputs_belong_to_the_taken() -> None:
    found = _gradients(_model("where(M, log(X) @ W, 0)"), {**MASKED, "X": np.array([[1.0, 2], [3, 4], [0, 1]])})
    assert found["X"][2, 0] == np.inf  # the third row is taken in one of its columns


@pytest.mark.parametrize(
    ("expression", "x", "gradient"),
    [
        ("sqrt(relu(x))", [-1, 0, 4], [0, 0, 0.25]),
        ("log(relu(x))", [-1, 0, 4], [0, 0, 0.25]),
        ("1 / relu(x)", [-1, 0, 4], [0, 0, -1 / 16]),
        ("relu(x) ** 0.5", [-1, 0, 4], [0, 0, 0.25]),
        ("sqrt(maximum(x, 0))", [-1, 1, 4], [0, 0.5, 0.25]),
        ("sqrt(-minimum(-x, 0))", [-1, 1, 4], [0, 0.5, 0.25]),
        ("sqrt(clip(x, 0, 9))", [-1, 16, 4], [0, 0, 0.25]),
        ("relu(log(x))", [0, 0.5, 2], [0, 0, 0.5]),
        ("relu(sqrt(x) - 1)", [0, 0.25, 4], [0, 0, 0.25]),
        ("sqrt(relu(sqrt(x) - 1))", [0, 0.25, 4], [0, 0, 0.125]),
        ("sqrt(relu(3 * (x[:, None] + 0)))[:, 0]", [-1, 0, 3], [0, 0, 0.5]),
    ],
)
def test_zeros_of_masks_stay_zero_beside_infinities(expression: str, x: list[float], gradient: list[float]) -> None:
    model = graphc.compile(f"x: Input[3]\nf: Output = sum({expression})")
    at = np.array(x, float)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(model.value_and_grad(x=at)[1]["x"], gradient, atol=1e-15)
        product = graphc.jvp(model)
        columns = [product(x=at, x_dot=unit)[1] for unit in np.eye(3)]
    np.testing.assert_allclose(columns, gradient, atol=1e-15)


@pytest.mark.parametrize(
    ("expression", "x", "slope"),
    [("sqrt(where(x > 0, x, 0))", -1, 0), ("sqrt(where(x > 0, x, 0) * 4)", 4, 0.5), ("log(relu(x)) * x", -1, -np.inf)],
)
def test_forward_mode_guards_too(expression: str, x: float, slope: float) -> None:
    with np.errstate(all="ignore"):
        assert graphc.jvp(expression)(x=x, x_dot=1.0)[1] == slope


@pytest.mark.parametrize(
    "expression",
    [
        "mean(square(relu(relu(X @ W) @ W)))",
        "mean(log(softmax(relu(X @ W))))",
        "sum(relu((X - mean(X, axis=1, keepdims=True)) / sqrt(var(X, axis=1, keepdims=True) + 1e-5) @ W))",
        "sum(softmax(where(M, X @ W @ W, -1e9)) @ W)",
        "sum(tanh(where(M, X @ W, 0) @ W))",
    ],
)
def test_no_selection_where_nothing_is_infinite(expression: str) -> None:
    model = _model(expression)
    assert [firing.rule for firing in model.rewrites if "matmul" in firing.rule or "infinity" in firing.rule] == []


def test_a_mask_that_the_model_multiplies_by_is_multiplied_by() -> None:
    with np.errstate(all="ignore"):
        assert np.isnan(graphc.compile("(x > 0) * log(x)").value_and_grad(x=0.0)[1]["x"])


def test_guards_of_deep_models_stay_short() -> None:
    builder, guard = Builder(), None
    for depth in range(40):
        condition = builder.constant(depth % 2 == 0).node
        guard = masked(chosen(guard, condition, True), condition)
    assert guard is not None and len(guard) == MAX_CHOICES


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
    yes, no, other = Choice(a, True), Choice(a, False), Choice(b, True)
    cases: list[tuple[list[Guard], Guard]] = [
        ([(yes,)], (yes,)),
        ([(yes,), (yes,)], (yes,)),
        ([(yes,), None], None),
        ([(yes,), (no,)], None),
        ([(yes,), (other,)], UNKNOWN),
        ([(yes, other), (yes, Choice(b, False))], (yes,)),
        ([(yes, other), (no,), (yes, Choice(b, False))], None),
        ([UNKNOWN, (yes,)], UNKNOWN),
    ]
    for guards, expected in cases:
        assert united(guards) == expected
