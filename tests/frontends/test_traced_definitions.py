"""Functions that Python users define for traced models, and models that are called in traced functions."""

# Sizes in annotations are texts, and initialisers stand where defaults do.
# ruff: noqa: B008, F821

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx

POINT = np.array([0.5, -1.0, 2.0])


def refusal(function: Callable[..., Any]) -> tuple[str, str, str]:
    """Code, message, and the text underlined, of what tracing a function says."""
    with pytest.raises(gx.GraphcError) as caught:
        gx.compile(function)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.span is not None and diagnostic.span.source.name == "test_traced_definitions.py"
    return diagnostic.code, diagnostic.message, diagnostic.span.text


@gx.elementwise
def swish(x, beta):
    """x times a sigmoid.

    With a slope.
    """
    return x * gx.sigmoid(beta * x)


@gx.elementwise
def cube(n):
    return n * n * n


def test_an_elementwise_function_is_one_op_with_its_derivative() -> None:
    def f(x: gx.f64["N"], beta: gx.param = 1.0):
        return gx.sum(swish(x, beta))

    model = gx.compile(f)
    assert [node.op.name for node in model.graph.nodes] == ["input", "param", "swish", "sum"]
    assert model.graph.nodes[2].op.doc == "x times a sigmoid."
    assert model.check_grad({"beta": 0.7}, x=POINT).ok
    slopes = gx.compile(f, wrt=["x"]).value_and_grad({"beta": 1.0}, x=np.array([-1e4, 1e4]))[1]["x"]
    assert slopes.tolist() == [0.0, 1.0]


def test_an_elementwise_function_knows_integers_and_both_float_types() -> None:
    def f(n: gx.i64[2], x: gx.f32[2]):
        return {"a": cube(n), "b": cube(x), "c": cube(x + n)}

    model = gx.compile(f, gradient=False)
    assert [node.tensor.dtype for node in model.graph.outputs.values()] == ["int64", "float32", "float32"]


def test_an_elementwise_function_goes_where_functions_go() -> None:
    def f(x: gx.f64[3]):
        return gx.sum(cube(x) + x)

    assert repr(cube) == "<elementwise function cube>"
    assert gx.compile(f).value_and_grad(x=POINT)[1]["x"].tolist() == (3 * POINT**2 + 1).tolist()
    with pytest.raises(gx.GraphcError, match="cube is for graph values"):
        cube(2.0)


def test_elementwise_refusals() -> None:
    @gx.elementwise
    def total(x):
        return gx.sum(x) + gx.softmax(gx.reshape(x, (1,)))[0]

    @gx.elementwise
    def four(a, b, c, d):
        return a

    @gx.elementwise
    def nothing(x):
        x * 2

    def outside(x: gx.f64[3]):
        @gx.elementwise
        def leaks(y):
            return y * x[0]

        return gx.sum(leaks(x))

    def calls(function: Callable[..., Any], count: int = 1) -> Callable[..., Any]:
        return lambda x: function(*[x * 1.0] * count)

    assert refusal(calls(total))[:2] == ("GC106", "expected elementwise operations in total, found sum")
    assert refusal(calls(four, 4))[:2] == ("GC103", "expected one to three parameters without defaults, found 4")
    assert refusal(calls(nothing))[:2] == ("GC106", "expected nothing to return a tensor, found nothing")
    assert refusal(outside)[0] == "GC106"
    with pytest.raises(TypeError, match="expects a Python function"):
        gx.elementwise(3)  # type: ignore[arg-type]


def cubed_gradient(d, x, scale, result):
    kept = d * x**3
    return kept + 0 * result, None


@gx.custom_gradient(cubed_gradient)
def slow(x, scale=2.0):
    """Sines."""
    return gx.sin(x) * scale


def test_a_gradient_rule_in_python_is_that_of_the_language() -> None:
    def f(x: gx.f64["N"]):
        h = slow(x)
        return gx.sum(h)

    text = (
        "def slow(x, scale=2.0):\n    return sin(x) * scale\n@gradient_of(slow)\n"
        "def cubed_gradient(d, x, scale, result):\n    kept = d * x**3\n    return kept + 0 * result, None\n"
        "x: Input[N]\nh = slow(x)\nf: Output = sum(h)"
    )
    traced, written = gx.compile(f), gx.compile(text)
    assert slow.__doc__ == "Sines."
    assert [node.op.name for node in traced.graph.nodes] == [node.op.name for node in written.graph.nodes]
    value, grads = traced.value_and_grad(x=POINT)
    assert value == np.sum(2 * np.sin(POINT))
    np.testing.assert_allclose(grads["x"], POINT**3)
    backward = traced.source_text.partition("def backward")[2].partition("def ")[0]
    assert "# grad of h = slow(x)" in backward and "x ** 3" in backward


def test_keywords_arrays_and_numbers_as_arguments() -> None:
    def weighted_gradient(d, x, weights):
        return d * weights * 10

    @gx.custom_gradient(weighted_gradient)
    def weighted(x, weights):
        return x * weights

    def f(x: gx.f64[3]):
        return gx.sum(weighted(weights=np.array([1.0, 2.0, 3.0]), x=x))

    assert gx.compile(f).value_and_grad(x=POINT)[1]["x"].tolist() == [10.0, 20.0, 30.0]
    assert weighted(2.0, 3.0) == 6.0


def test_gradient_rule_refusals() -> None:
    def with_rule(rule: Callable[..., Any], function: Callable[..., Any] = lambda x: x * 2) -> Callable[..., Any]:
        ruled = gx.custom_gradient(rule)(function)
        return lambda x: ruled(x * 1.0)

    def mean_of(d, x):
        return gx.mean(gx.reshape(d, (1,))) + gx.arange(3)

    def silent(d, x):
        d * 2

    def no_result(d):
        return d

    def recursive_gradient(d, x):
        return d * recursive(x)

    @gx.custom_gradient(recursive_gradient)
    def recursive(x):
        return gx.exp(x)

    def captures(x, w):
        return gx.custom_gradient(lambda d, a: d)(lambda a: a * w)(x)

    message = "expected a cotangent float64[] for x, like x itself, found one float64[3]"
    assert refusal(with_rule(mean_of)) == (
        "GC306",
        message,
        "gx.mean(gx.reshape(d, (1,))) + gx.arange(3)",
    )
    assert refusal(with_rule(silent))[:2] == ("GC306", "expected a cotangent for x from silent, found none")
    assert refusal(with_rule(no_result))[:2] == (
        "GC306",
        "expected no_result(d, x), or with the result of <lambda> as one more, found 1 parameters",
    )
    assert refusal(lambda x: recursive(x * 1.0))[1] == (
        "the gradient of recursive calls recursive: expected the result as the last parameter of recursive_gradient"
    )
    assert "expected w, which <lambda> also computes from" in refusal(captures)[1]


@gx.model(gradient=False)
def encoder(X: gx.f64["N", 3], w: gx.param[3] = gx.normal(0, 1)):
    return gx.tanh(X @ w)


def names(model: gx.Model) -> list[str]:
    return [str(node.attrs["name"]) for node in model.graph.params]


def test_a_model_called_on_graph_values_is_a_layer() -> None:
    @gx.model
    def loss(X: gx.f64["M", 3], Z: gx.f64["K", 3]):
        left = encoder(X=X)
        return gx.mean(left**2) + gx.mean(encoder(Z) ** 2)

    assert names(loss) == ["encoder_w"]
    X, Z = np.arange(6.0).reshape(2, 3) / 9, np.ones((4, 3))
    params = loss.init_params(0)
    expected = np.mean(np.tanh(X @ params["encoder_w"]) ** 2) + np.mean(np.tanh(Z @ params["encoder_w"]) ** 2)
    np.testing.assert_allclose(loss(params, X=X, Z=Z), expected)
    assert loss.check_grad(params, X=X, Z=Z).ok


def test_parameters_can_be_given() -> None:
    @gx.model
    def tied(X: gx.f64["M", 3], w: gx.param[3]):
        return gx.mean(encoder({"w": w}, X) * (X @ w))

    assert names(tied) == ["w"]
    assert tied.check_grad({"w": POINT}, X=np.ones((2, 3))).ok


def test_several_outputs_and_derived_models_keep_their_layout() -> None:
    powers = gx.compile("x: Input\na: Output = x ** 2\nb: Output = a * x", gradient=False)
    cubed = gx.value_and_grad("x**3")

    @gx.model
    def f(x):
        found = powers(x=x)
        value, slope = cubed(x)
        return found["a"] + found["b"] + value + slope**2

    assert f.value_and_grad(x=2.0) == (4 + 8 + 8 + 144, {"x": 4 + 12 + 12 + 2 * 12 * 12})


def test_an_output_is_chosen_and_what_it_does_not_need_is_not_asked_for() -> None:
    powers = gx.compile("x: Input\ny: Input\na: Output = x ** 2\nb: Output = a * x\nc: Output = y", gradient=False)

    @gx.model
    def f(x):
        both = powers(x=x, output=["b", "a"])
        return powers(x, output="a") + both["a"] * both["b"]

    assert f.value_and_grad(x=2.0) == (4 + 4 * 8, {"x": 4 + 5 * 16})
    assert refusal(lambda x: powers(x, output="d"))[:2] == (
        "GC101",
        "expected outputs of powers for output=, a, b, c; found the text 'd'",
    )


def test_gradients_of_a_model_in_a_model() -> None:
    slope = gx.grad("x: Input[N]\nw: Param[N]\nloss: Output = sum(sin(x) * w ** 2)")

    @gx.model
    def f(x: gx.f64["M"], v: gx.param["M"]):
        return gx.sum(slope({"w": v}, x=x) * v)

    np.testing.assert_allclose(f({"v": POINT}, x=POINT), np.sum(np.sin(POINT) * 2 * POINT * POINT))
    assert f.check_grad({"v": POINT}, x=POINT).ok


def test_a_model_with_rules_brings_them() -> None:
    part = gx.compile("x: Input[N]\ny: Output = clip_gradient(x, 0.5)", gradient=False)

    @gx.model
    def f(x: gx.f64["M", 2]):
        return gx.sum(part(x[:, 0]) * 3) + gx.sum(part(x[:1, 1]))

    found = f.value_and_grad(x=np.ones((3, 2)))[1]["x"]
    assert found.tolist() == [[0.5, 0.5], [0.5, 0.0], [0.5, 0.0]]


def test_model_refusals() -> None:
    def wrong(call: Callable[[Any], Any]) -> tuple[str, str]:
        def f(X: gx.f64["N", 3]):
            return gx.sum(call(X))

        return refusal(f)[:2]

    assert wrong(lambda X: encoder(X, 3.0)) == (
        "GC103",
        "encoder takes (X) for its output encoder, found 2 arguments",
    )
    assert wrong(lambda X: encoder(X[0]))[0] == "GC205"
    assert wrong(lambda X: encoder(Y=X))[0] == "GC103"
    assert wrong(lambda X: encoder({"v": X}, X)) == ("GC103", "expected the parameters w of encoder, found v")
    assert wrong(lambda X: encoder({"w": X}, X))[0] == "GC205"


def test_a_call_with_arrays_computes() -> None:
    np.testing.assert_allclose(encoder({"w": POINT}, np.ones((1, 3))), np.tanh(POINT.sum()))
