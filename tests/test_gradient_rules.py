"""Functions with gradient rules in all that is done with graphs: differentiation, batches, text, pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphc as gx
from graphc.backends.graph_text import graph_text
from graphc.frontends.graph_text import parse_graph
from graphc.gradient_rules import without_rules
from graphc.source import Source
from tests.frontends.reading import read

# The rule is no derivative of the function, so that whoever looks through it is seen.
SLOW = """
def slow(x):
    return sin(x)
@gradient_of(slow)
def slow_gradient(d, x):
    cubed = x ** 3
    return d * cubed
"""
POINT = np.array([0.5, -1.0, 2.0])
LOSS = f"x: Input[3]{SLOW}loss: Output = sum(slow(2 * x) ** 2)"


def slope(x: np.ndarray) -> np.ndarray:
    """The gradient of LOSS."""
    return 2 * np.sin(2 * x) * (2 * x) ** 3 * 2


def curvature(x: np.ndarray) -> np.ndarray:
    """The derivative of `slope`, in which the derivative of sin(2 x) is 2 (2 x)³ too."""
    return 4 * (2 * (2 * x) ** 6 + np.sin(2 * x) * 3 * (2 * x) ** 2 * 2)


def test_reverse_mode_to_second_order() -> None:
    first = gx.grad(LOSS)
    np.testing.assert_allclose(first(x=POINT), slope(POINT), rtol=1e-14)
    total = gx.grad(f"x: Input[3]{SLOW}g = grad(sum(slow(2 * x) ** 2), x)\nloss: Output = sum(g)")
    np.testing.assert_allclose(total(x=POINT), curvature(POINT), rtol=1e-14)


def test_the_derivative_of_the_result_is_the_rule_again() -> None:
    rule = "@gradient_of(f)\ndef r(d, x, y):\n    return 2 * d * y\n"
    text = f"x: Input\ndef f(x):\n    return sin(x)\n{rule}loss: Output = f(x)"
    assert gx.grad(text)(x=0.7) == 2 * np.sin(0.7)
    assert gx.grad(gx.grad(text))(x=0.7) == 2 * (2 * np.sin(0.7))


def test_forward_over_reverse() -> None:
    np.testing.assert_allclose(gx.hvp(LOSS)(x=POINT, x_dot=np.ones(3)), curvature(POINT), rtol=1e-14)
    np.testing.assert_allclose(gx.hessian(LOSS)(x=POINT), np.diag(curvature(POINT)), rtol=1e-14)


def test_a_linear_rule_is_transposed() -> None:
    text = f"x: Input[3]{SLOW}y: Output = slow(x)"
    value, product = gx.jvp(text)(x=POINT, x_dot=np.array([1.0, 10.0, 100.0]))
    np.testing.assert_array_equal(value, np.sin(POINT))
    np.testing.assert_allclose(product, POINT**3 * [1, 10, 100])


@pytest.mark.parametrize(
    "rule",
    ["clip(d, -1, 1)", "d + 1", "d * d", "abs(d)", "sign(d)", "stop_gradient(d)", "sort(d)", "d / sum(d)", "x * 2"],
)
def test_a_rule_that_is_not_linear_has_no_forward_mode(rule: str) -> None:
    text = (
        f"x: Input[3]\ndef f(x):\n    return x * 2\n@gradient_of(f)\ndef r(d, x):\n    return {rule}\ny: Output = f(x)"
    )
    gx.vjp(text)
    with pytest.raises(gx.GraphcError) as caught:
        gx.jvp(text)
    (found,) = caught.value.diagnostics
    assert f"{found.span} {found.code}" == "<model>:7:13 GC307"
    assert found.message.startswith("the gradient rule of f has no forward mode: ")
    assert [(span.line, label) for span, label in found.related] == [(6, "in the rule")]


def test_batches_of_calls() -> None:
    many = np.stack([POINT, POINT + 1])
    np.testing.assert_allclose(gx.per_example_grad(LOSS)(x=many), slope(many), rtol=1e-14)


def test_the_cotangent_of_what_a_batch_shares_is_a_sum() -> None:
    text = (
        "x: Input[3]\nw: Input[3]\ndef f(a, b):\n    return a * b\n"
        "@gradient_of(f)\ndef r(d, a, b):\n    return d * b * 5, d * a * 7\ny: Output = sum(f(x, w))"
    )
    mapped = gx.vjp(gx.vmap(text, in_axes={"w": None}), wrt=["x", "w"])
    x, d = np.stack([POINT, POINT + 1]), np.array([1.0, 10.0])
    found = mapped(x=x, w=np.array([1.0, 2.0, 3.0]), d_y=d)[1]
    np.testing.assert_allclose(found["x"], d[:, None] * [5.0, 10.0, 15.0])
    np.testing.assert_allclose(found["w"], 7 * d @ x)


def test_a_batch_of_the_result_alone() -> None:
    text = f"x: Input[3]\nw: Input[3]{SLOW}y: Output = straight_through(x * 1, slow(w))"
    mapped = gx.vjp(gx.vmap(text, in_axes={"w": None}), wrt="w")
    found = mapped(x=np.ones((2, 3)), w=POINT, d_y=np.stack([np.ones(3), 10 * np.ones(3)]))[1]
    np.testing.assert_allclose(found, 11 * POINT**3)


def test_a_batch_of_an_argument_alone() -> None:
    mapped = gx.vmap("x: Input[3]\nw: Input[3]\ny: Output = straight_through(w * 1, x)", in_axes={"w": None})
    value, found = gx.vjp(mapped, wrt="x")(x=np.ones((2, 3)), w=POINT, d_y=np.stack([POINT, 2 * POINT]))
    np.testing.assert_array_equal(value, np.stack([POINT, POINT]))
    np.testing.assert_array_equal(found, np.stack([POINT, 2 * POINT]))


def test_no_rule_looks_through_the_call_before_differentiation() -> None:
    text = (
        "z: Input[3]\ndef f(z):\n    return softmax(z)\n@gradient_of(f)\ndef r(d, z):\n    return d * 3\n"
        "loss: Output = sum(log(f(z)))"
    )
    probabilities = np.exp(POINT) / np.exp(POINT).sum()
    np.testing.assert_allclose(gx.compile(text).value_and_grad(z=POINT)[1]["z"], 3 / probabilities, rtol=1e-14)


def test_rules_are_stabilised_too() -> None:
    text = (
        "z: Input[2]\ndef f(z):\n    return z\n@gradient_of(f)\ndef r(d, z):\n    return d * log(softmax(z))\n"
        "loss: Output = sum(f(z))"
    )
    found = gx.compile(text).value_and_grad(z=np.array([0.0, 2000.0]))[1]["z"]
    np.testing.assert_array_equal(found, [-2000.0, 0.0])


def test_calls_are_gone_from_what_is_emitted() -> None:
    model = gx.compile(LOSS)
    assert model.compiled.split is not None
    graphs = (model.compiled.split.forward, model.compiled.split.backward, model.compiled.value_and_grad)
    assert all(node.op.rule is None for graph in graphs if graph is not None for node in graph.nodes)
    backward = model.source_text.partition("def backward")[2]
    assert "slow_gradient_cubed = " in backward
    assert without_rules(model.compiled.split.forward) is model.compiled.split.forward


def test_the_halves_agree_with_the_whole() -> None:
    model = gx.compile(LOSS)
    outputs, residuals = model.forward(x=POINT)
    assert outputs.loss == model.value_and_grad(x=POINT)[0]
    np.testing.assert_array_equal(model.backward(residuals)["x"], model.value_and_grad(x=POINT)[1]["x"])


def test_a_value_inside_can_be_the_variable() -> None:
    model = gx.compile(f"x: Input[3]{SLOW}h = slow(x)\nloss: Output = sum(slow(h * 1))", wrt=["h"])
    np.testing.assert_allclose(model.value_and_grad(x=POINT)[1]["h"], np.sin(POINT) ** 3)


def test_float32_stays() -> None:
    _, grads = gx.compile(LOSS, dtype="float32").value_and_grad(x=POINT.astype("float32"))
    assert grads["x"].dtype == np.float32
    np.testing.assert_allclose(grads["x"], slope(POINT), rtol=1e-5)


def test_as_text_and_back(tmp_path: Path) -> None:
    text = f"{LOSS} + sum(clip_gradient(x, 0.5))"
    model = gx.compile(text, with_=["graph"])
    written = graph_text(model.graph)
    assert graph_text(parse_graph(written, Source("m.py", written))) == written
    model.write(tmp_path / "slow.py")
    loaded = gx.load(tmp_path / "slow.py")
    assert loaded.source_text == model.source_text
    np.testing.assert_array_equal(gx.grad(loaded)(x=POINT), gx.grad(model)(x=POINT))


def test_it_is_drawn_by_its_name(tmp_path: Path) -> None:
    for view in ("forward", "joint"):
        drawn = gx.compile(LOSS).draw(tmp_path / f"{view}.dot", view=view).read_text(encoding="utf-8")
        assert "<B>slow</B>" in drawn


def test_sympy_sees_the_value() -> None:
    model = gx.compile(f"x: Input{SLOW}loss: Output = slow(x)")
    assert (str(model.to_sympy()), str(model.to_sympy("d_x"))) == ("sin(x)", "x**3")


def test_signatures_ask_for_what_the_value_needs() -> None:
    text = "x: Input[3]\ny: Input[3]\nf: Output = sum(straight_through(x, y))\ng: Output = sum(x * y)"
    module = gx.compile(text, loss="f", wrt=["y"]).module
    assert module.f(np.ones(3)) == 3.0


def test_without_differentiation_it_is_the_function() -> None:
    assert gx.compile(f"x: Input{SLOW}y: Output = slow(x)", gradient=False)(x=2.0) == np.sin(2.0)
    assert read(f"x: Input{SLOW}y: Output = slow(x) + slow(1.0)").outputs["y"].op.name == "add"
