"""``@gradient_of``: a function's own gradient rule, what it may read, and what is refused at which place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphc as gx
from graphc.backends.listing import listing
from graphc.graph import verify
from tests.frontends.reading import errors, ops, places, read

CUBED = """
def slow(x, scale):
    return sin(x) * scale

@gradient_of(slow)
def slow_gradient(d, x, scale):
    return d * x ** 3, None

"""
POINT = np.array([0.5, -1.0, 2.0])


def gradient(text: str, **point: object) -> dict[str, np.ndarray]:
    """The gradient of a model's loss with respect to its inputs."""
    found: dict[str, np.ndarray] = gx.compile(text).value_and_grad(**point)[1]
    return found


def test_the_rule_is_the_gradient_and_the_function_the_value() -> None:
    value, grads = gx.compile(CUBED + "x: Input[3]\nloss: Output = sum(slow(x, 2.0))").value_and_grad(x=POINT)
    assert value == np.sum(np.sin(POINT) * 2.0)
    np.testing.assert_array_equal(grads["x"], POINT**3)


def test_the_call_is_one_op_above_what_the_function_computes() -> None:
    graph = read(CUBED + "x: Input[3]\ny: Output = slow(x, 2.0)")
    assert ops(graph) == ["sin", "mul", "slow"]
    rule = graph.outputs["y"].op.rule
    assert rule is not None
    verify(rule)
    assert [node.attrs["name"] for node in rule.inputs] == ["d", "result", "x"]
    assert "y = slow(%3, %0)" in listing(graph)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("(d, x):\n    return d * x", POINT),
        ("(d, x, y):\n    return d * y", np.exp(POINT)),
        ("(d, x, y):\n    half = y / 2\n    return [d * half]", np.exp(POINT) / 2),
        ("(d, x):\n    return d * grad(sum(x ** 3), x)", 3 * POINT**2),
        ("(d, x):\n    return d * outside", np.full(3, 7.0)),
        ("(x, d):\n    return x * d", POINT),
    ],
    ids=["argument", "result", "list", "grad", "captured", "names are free"],
)
def test_what_a_rule_may_read(rule: str, expected: np.ndarray) -> None:
    text = (
        f"x: Input[3]\noutside = stop_gradient(x) * 0 + 7\ndef f(x):\n    return exp(x)\n@gradient_of(f)\ndef r{rule}\n"
    )
    np.testing.assert_allclose(gradient(text + "loss: Output = sum(f(x))", x=POINT)["x"], expected, rtol=1e-15)


TWO = """
def product(a, b):
    return a * b
@gradient_of(product)
def product_gradient(d, a, b):
    return {}
x: Input
y: Input
loss: Output = product({}) + x + y
"""


@pytest.mark.parametrize(
    ("given", "call", "expected"),
    [
        ("d * b, d * a", "x, y", {"x": 5.0, "y": 4.0}),
        ("d * b, None", "x, y", {"x": 5.0, "y": 1.0}),
        ("None, 10", "x, y", {"x": 1.0, "y": 11.0}),
        ("d * b", "x, 4.0", {"x": 5.0, "y": 1.0}),
        ("d * b, d * a", "x, 4.0", {"x": 5.0, "y": 1.0}),
        ("d * b, d * a", "x, x", {"x": 7.0, "y": 1.0}),
        ("d * b, d * a", "x * y, x", {"x": 1 + 3 * 4 + 12.0, "y": 1 + 3 * 3.0}),
    ],
)
def test_cotangents_of_several_arguments(given: str, call: str, expected: dict[str, float]) -> None:
    assert gradient(TWO.format(given, call), x=3.0, y=4.0) == expected


def test_labels_and_other_integers_are_read_without_a_cotangent() -> None:
    text = (
        "def picked(x, i):\n    return x[i]\n@gradient_of(picked)\n"
        "def r(d, x, i):\n    return sum(one_hot(i, 3) * d[:, None], axis=0) * 2\n"
        "x: Input[3]\ni: Input[N, int64]\nloss: Output = sum(picked(x, i) ** 2)"
    )
    np.testing.assert_array_equal(gradient(text, x=POINT, i=np.array([1, 1, 2]))["x"], [0.0, -8.0, 8.0])


def test_a_layer_around_keeps_its_parameters_and_its_names() -> None:
    text = (
        CUBED + "def layer(x):\n    W: Param[3]\n    return slow(x * W, 2.0)\nx: Input[3]\nloss: Output = sum(layer(x))"
    )
    model = gx.compile(text)
    np.testing.assert_allclose(model.value_and_grad({"layer_W": POINT}, x=POINT)[1]["layer_W"], POINT**7)


def test_a_rule_calls_functions_with_rules() -> None:
    text = CUBED + "def h(x):\n    return x\n@gradient_of(h)\ndef r(d, x):\n    return d * slow(x, 1.0)\n"
    first = gx.grad(text + "x: Input\nloss: Output = h(x)")
    assert (first(x=2.0), gx.grad(first)(x=2.0)) == (np.sin(2.0), 8.0)


def test_rules_of_functions_in_functions() -> None:
    text = (
        "x: Input\ndef scaled(a, n):\n    def inner(b):\n        return b\n"
        "    @gradient_of(inner)\n    def r(d, b):\n        return d * n\n"
        "    return inner(a)\nloss: Output = scaled(x, 2) + scaled(x, 5)"
    )
    assert gradient(text, x=1.0) == {"x": 7.0}


def test_used_models_bring_their_rules_in_their_sizes(tmp_path: Path) -> None:
    rule = "def r(d, x):\n    return broadcast_to(sum(d) * x.shape[0], x.shape)\n"
    part = f"def f(x):\n    return x\n@gradient_of(f)\n{rule}"
    (tmp_path / "part.gc").write_text(f"{part}X: Input[M, 2]\ny: Output = f(X)\n", encoding="utf-8")
    whole = 'part = use("part.gc")\na: Input[4, 2]\nb: Input[K, 2]\nloss: Output = sum(part(a)) + sum(part(b))'
    (tmp_path / "whole.gc").write_text(whole, encoding="utf-8")
    model = gx.compile(tmp_path / "whole.gc")
    verify(model.joint.graph)
    _, grads = model.value_and_grad(a=np.ones((4, 2)), b=np.ones((3, 2)))
    np.testing.assert_array_equal(grads["a"], np.full((4, 2), 8.0 * 4))
    np.testing.assert_array_equal(grads["b"], np.full((3, 2), 6.0 * 3))


HEAD = "x: Input[N]\nw: Param[N]\ndef f(a, b):\n    return a * 2\n"
REFUSED = {
    "too few": (
        HEAD + "@gradient_of(f)\ndef r(d, a, b):\n    return d\nloss: Output = sum(f(x, w))",
        "m.gc:7:12 GC306 expected a cotangent each for a, b from r, found 1",
    ),
    "too many": (
        HEAD + "@gradient_of(f)\ndef r(d, a, b):\n    return d, d, d\nloss: Output = sum(f(x, w))",
        "m.gc:7:12 GC306 expected a cotangent each for a, b from r, found 3",
    ),
    "shape": (
        HEAD + "@gradient_of(f)\ndef r(d, a, b):\n    return d, sum(d)\nloss: Output = sum(f(x, w))",
        "m.gc:7:15 GC306 expected a cotangent float64[N] for b, like b itself, found one float64[]",
    ),
    "dtype": (
        HEAD + "@gradient_of(f)\ndef r(d, a, b):\n    return d > 0, None\nloss: Output = sum(f(x, w))",
        "m.gc:7:12 GC306 expected a cotangent float64[N] for a, like a itself, found one bool[N]",
    ),
    "a number for a tensor": (
        HEAD + "@gradient_of(f)\ndef r(d, a, b):\n    return 0, None\nloss: Output = sum(f(x, w))",
        "m.gc:7:12 GC306 expected a cotangent float64[N] for a, like a itself, found one int64[]",
    ),
    "a text": (
        HEAD + '@gradient_of(f)\ndef r(d, a, b):\n    return "d", None\nloss: Output = sum(f(x, w))',
        "m.gc:7:12 GC306 expected a cotangent float64[N] for a, like a itself, found the text 'd'",
    ),
    "none at all": (
        HEAD + "@gradient_of(f)\ndef r(d, a, b):\n    return None, None\nloss: Output = sum(f(x, w))",
        "m.gc:7:12 GC306 expected a cotangent for a or b from r, found none",
    ),
    "forgotten return": (
        "x: Input\ndef f(a):\n    return a\n@gradient_of(f)\ndef r(d, a):\n    g = d * 2\nloss: Output = f(x)",
        "m.gc:5:1 GC306 expected a cotangent for a from r, found none",
    ),
    "parameters": (
        HEAD + "@gradient_of(f)\ndef r(d, a):\n    return d\nloss: Output = sum(f(x, w))",
        "m.gc:6:1 GC306 expected r(d, a, b), or with the result of f as one more, found 2 parameters",
    ),
    "no function": (
        "n = 3\nx: Input\n@gradient_of(n)\ndef r(d, a):\n    return d\nloss: Output = x",
        "m.gc:3:14 GC306 expected a function that this model defines in @gradient_of, found the number 3",
    ),
    "an operation": (
        "x: Input\n@gradient_of(relu)\ndef r(d, a):\n    return d\nloss: Output = relu(x)",
        "m.gc:2:14 GC306 expected a function that this model defines in @gradient_of, found the function relu",
    ),
    "the library": (
        "x: Input\n@gradient_of(elu)\ndef r(d, a):\n    return d\nloss: Output = elu(x)",
        "m.gc:2:14 GC306 expected a function that this model defines in @gradient_of, found the library's elu",
    ),
    "before its definition": (
        "x: Input\n@gradient_of(f)\ndef r(d, a):\n    return d\ndef f(a):\n    return a\nloss: Output = f(x)",
        "m.gc:2:14 GC101 unknown name f",
    ),
    "called before": (
        HEAD + "h = f(x, w)\n@gradient_of(f)\ndef r(d, a, b):\n    return d, d\nloss: Output = sum(h)",
        "m.gc:6:2 GC306 f is called before its gradient rule: expected the rule right below the function",
    ),
    "two rules": (
        HEAD + "@gradient_of(f)\ndef r(d, a, b):\n    return d, d\n@gradient_of(f)\ndef s(d, a, b):\n    return d, d\n"
        "loss: Output = sum(f(x, w))",
        "m.gc:8:2 GC306 f has a gradient rule already",
    ),
    "itself": (
        "x: Input\ndef f(a):\n    return exp(a)\n@gradient_of(f)\ndef r(d, a):\n"
        "    return d * f(a)\nloss: Output = f(x)",
        "m.gc:7:16 GC306 the gradient of f calls f: expected the result as its last parameter",
    ),
    "captured by the function": (
        "x: Input\nw: Param\ndef f(a):\n    return a * w\n@gradient_of(f)\ndef r(d, a):\n    return d * w\n"
        "loss: Output = f(x)",
        "m.gc:8:16 GC306 the gradient rule of f is for its arguments: expected w, which f also computes from,"
        " among them, or in stop_gradient",
    ),
    "a layer": (
        "x: Input\ndef f(a):\n    w: Param\n    return a * w\n@gradient_of(f)\ndef r(d, a):\n    return d\n"
        "loss: Output = f(x)",
        "m.gc:8:16 GC306 the gradient rule of f is for its arguments: expected f_w, which f also computes from,"
        " among them, or in stop_gradient",
    ),
    "parameters in the rule": (
        "x: Input\ndef f(a):\n    return a\n@gradient_of(f)\ndef r(d, a):\n    w: Param\n    return d * w\n"
        "loss: Output = f(x)",
        "m.gc:7:12 GC306 expected no parameters in the gradient rule r, found a declaration",
    ),
    "two results": (
        "x: Input\ndef f(a):\n    return a, a\n@gradient_of(f)\ndef r(d, a):\n    return d\n"
        "u, v = f(x)\nloss: Output = u",
        "m.gc:7:8 GC306 expected f, which has a gradient rule, to return one float tensor, found a tuple of 2",
    ),
    "an integer result": (
        "x: Input\ndef f(a):\n    return a > 0\n@gradient_of(f)\ndef r(d, a):\n    return d\n"
        "u = f(x)\nloss: Output = x",
        "m.gc:7:5 GC306 expected f, which has a gradient rule, to return one float tensor, found a tensor bool[]",
    ),
    "an op of the rule": (
        "x: Input[N, 2]\ndef f(a):\n    return a\n@gradient_of(f)\ndef r(d, a):\n    return d @ a\n"
        "loss: Output = sum(f(x))",
        "m.gc:7:20 GC201 matmul needs equal inner sizes, got 2 and N",
    ),
    "other decorators": (
        "x: Input\n@gradient_of(sin, cos)\ndef r(d, a):\n    return d\nloss: Output = x",
        "m.gc:3:1 GC002 expected no decorator, @elementwise or @gradient_of(function)",
    ),
    "in an elementwise function": (
        "def f(a):\n    return a\n@gradient_of(f)\ndef r(d, a):\n    return d\n@elementwise\n"
        "def g(x):\n    return f(x * 1.0)\n"
        "x: Input\nloss: Output = g(x)",
        "m.gc:8:12 GC106 expected elementwise operations in g, found f",
    ),
}


@pytest.mark.parametrize(("text", "error"), REFUSED.values(), ids=REFUSED)
def test_refused_at_its_place(text: str, error: str) -> None:
    assert errors(text)[0] == error


def test_none_for_every_path_is_an_error_where_the_path_ends() -> None:
    text = (
        "x: Input\nw: Param\ndef f(a, b):\n    return a * b\n@gradient_of(f)\ndef r(d, a, b):\n    return d * b, None\n"
    )
    with pytest.raises(gx.GraphcError) as caught:
        gx.compile(text + "loss: Output = f(x, w)")
    (found,) = caught.value.diagnostics
    assert f"{found.span} {found.code}" == "<model>:8:16 GC301"
    assert found.message == "no gradient of loss reaches w: f is not differentiable"


def test_the_error_says_which_call_it_is_for() -> None:
    with pytest.raises(gx.GraphcError, match=r"for this call of f"):
        gx.compile(REFUSED["shape"][0])


def test_rules_that_call_each_other_are_refused() -> None:
    text = (
        "x: Input\ndef f(a):\n    return a\ndef g(a):\n    return a\n@gradient_of(f)\ndef r(d, a):\n    return g(d)\n"
        "@gradient_of(g)\ndef s(d, a):\n    return f(d)\nloss: Output = f(x)"
    )
    assert places(text) == ["12:16 GC306"]
