"""Functions, layers, instances, static control flow."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.errors import GraphcError
from tests.evaluate import evaluate
from tests.frontends.reading import errors, ops, params, places, read

BLOCK = """
def block(x, units, activation=relu, *, residual=False):
    \"\"\"Two layers.\"\"\"
    h = activation(dense(x, units))
    y = dense(h, x.shape[-1])
    if residual:
        return y + x
    return y
"""


def test_each_call_has_its_own_parameters() -> None:
    graph = read(
        "X: Input[N, 4]\nh = dense(X, 3)\nh = dense(h, 2, name='head')\nf: Output = dense(h, units=1, bias=False)"
    )
    assert params(graph) == [
        "dense_W: float64[4, 3]",
        "dense_b: float64[3]",
        "head_W: float64[3, 2]",
        "head_b: float64[2]",
        "dense_2_W: float64[2, 1]",
    ]


def test_nested_calls_prefix() -> None:
    graph = read(f"{BLOCK}X: Input[N, 4]\nf: Output = block(block(X, 3), 2, sigmoid, residual=True)")
    names = [text.partition(":")[0] for text in params(graph)]
    assert names[:4] == ["block_dense_W", "block_dense_b", "block_dense_2_W", "block_dense_2_b"]
    assert names[4:6] == ["block_2_dense_W", "block_2_dense_b"]
    assert ops(graph) == ["matmul", "add", "relu", "matmul", "add", "matmul", "add", "sigmoid", "matmul", "add", "add"]


def test_places_are_the_call_first_and_then_the_line_of_the_function() -> None:
    graph = read(f"{BLOCK}X: Input[N, 4]\nf: Output = block(X, 3)")
    product = next(node for node in graph.nodes if node.op.name == "matmul")
    assert [str(span) for span in graph.spans[product]][:2] == ["m.gc:10:13", "m.gc:4:20"]
    assert graph.spans[product][2].source.name == "layers.gc"
    assert graph.scopes[product] == (("block", "dense"),)
    assert graph.names[next(node for node in graph.nodes if node.op.name == "relu")] == ("block_h",)


def test_an_instance_shares_its_parameters() -> None:
    graph = read(f"{BLOCK}X: Input[N, 4]\nb = instance(block, 3, residual=True)\nf: Output = b(b(X))")
    names = [text.partition(":")[0] for text in params(graph)]
    assert names == ["b_dense_W", "b_dense_b", "b_dense_2_W", "b_dense_2_b"]
    assert ops(graph).count("matmul") == 4


def test_instances_in_a_list_are_named_by_their_layer() -> None:
    text = """
X: Input[N, 4]
layers = [instance(dense, 4) for i in range(2)]
h = X
for layer in layers + layers:
    h = layer(h)
f: Output = h
"""
    graph = read(text)
    assert [p.partition(":")[0] for p in params(graph)] == ["dense_W", "dense_b", "dense_2_W", "dense_2_b"]
    assert ops(graph).count("matmul") == 4


def test_static_control_flow() -> None:
    text = """
def power(x, n):
    result = 1
    for i in range(n):
        result = result * x if i else x
    return result

def pick_one(x, mode="sum"):
    if mode == "sum":
        return sum(x)
    elif mode in ("max", "min"):
        return max(x) if mode == "max" else min(x)
    else:
        return x[0]

x: Input[3]
total = 0
for i, (name, n) in enumerate(zip(["sum", "max", "first"], [1, 2, 3])):
    total = total + power(pick_one(x, name), n) * (i + 1)
f: Output = total
"""
    assert evaluate(read(text), {"x": np.array([1.0, 5.0, 2.0])})["f"] == 8 + 25 * 2 + 1 * 3


def test_functions_see_what_is_around_them_and_are_values() -> None:
    text = """
scale = 3
def outer(x, f):
    def inner(y, k=scale):
        return f(y) * k
    return inner(x)
x: Input
f: Output = outer(x, square) + outer(x, exp)
"""
    assert evaluate(read(text), {"x": 0.0})["f"] == 3


def test_training_is_a_static_flag() -> None:
    text = "x: Input[N]\nm: Input[N]\nf: Output = dropout(x, 0.5, mask=m)"
    assert evaluate(read(text), {"x": [1.0, 2.0], "m": [0.0, 1.0]})["f"].tolist() == [0.0, 4.0]  # type: ignore[attr-defined]
    assert ops(read(text, static={"training": False})) == []


def test_two_random_calls_are_two() -> None:
    graph = read("x: Input[N]\ns: Input[int64]\nf: Output = dropout(x, 0.5, seed=s) + dropout(x, 0.5, seed=s)")
    assert [node.attrs["site"] for node in graph.nodes if node.op.name == "random_uniform"] == [0, 1]


def test_a_thousand_layers() -> None:
    graph = read("X: Input[N, 4]\nh = X\nfor i in range(1000):\n    h = relu(dense(h, 4))\nf: Output = mean(h)")
    assert len(graph.nodes) == 5002
    assert graph.params[-1].attrs["name"] == "dense_1000_b"


CALL = "x: Input[N, 4]\ndef g(a, b=1, *, c=2):\n    return a\n"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("g()", "GC103"),
        ("g(x, 1, 2)", "GC103"),
        ("g(x, d=1)", "GC103"),
        ("g(x, a=1)", "GC103"),
        ("g(x, b=1, b=2)", "GC103"),
        ("sum(x, dim=1)", "GC103"),
        ("sum(x, 1, True, 3)", "GC103"),
        ("sum(x, 1, axis=1)", "GC103"),
        ("sum()", "GC103"),
        ("minimum(x)", "GC103"),
        ("concatenate(x)", "GC103"),
        ("reshape(x)", "GC103"),
        ("sum(x, axis=x)", "GC103"),
        ("exp('a')", "GC103"),
        ("range()", "GC103"),
        ("len(3)", "GC103"),
        ("instance(3)", "GC103"),
        ("dense(x, 2, name='a b')", "GC103"),
        ("dense(x, 2, name=3)", "GC103"),
        ("sum(x, axis=2)", "GC203"),
        ("x + 'a'", "GC106"),
        ("range(N)", "GC106"),
        ("int(x)", "GC106"),
        ("x if N > 3 else 0", "GC106"),
    ],
)
def test_wrong_calls(call: str, code: str) -> None:
    found = places(f"{CALL}f: Output = {call}")
    assert [place.split()[1] for place in found] == [code]
    assert found[0].startswith("4:")


def test_an_error_in_a_library_function_is_at_the_call() -> None:
    assert places("x: Input[N, 4]\ny = 1\nf: Output = mean(nll(x, x[:3]) + 1)") == ["3:18 GC202"]


HALVES = """
def halves(x):
    assert x.shape[-1] % 2 == 0, "halves needs rows of an even length, got " + str(x.shape)
    return split(x, 2, axis=-1)
"""


def test_an_assertion_that_holds_leaves_no_trace() -> None:
    assert ops(read(f"{HALVES}X: Input[N, 4]\nassert 1 < 2\na, b = halves(X)\nf: Output = sum(a - b)"))[0] == "split"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a, b = halves(X)", "m.gc:7:8 GC108 halves needs rows of an even length, got (N, 3)"),
        ("a, b = halves(X.T)", "m.gc:7:8 GC108 halves needs rows of an even length, got (3, N)"),
        ("assert len(X.shape) == 3", "m.gc:7:1 GC108 needs len(X.shape) == 3"),
        ("assert N > 3, 'many'", "m.gc:7:1 GC108 many"),
        (
            "assert X > 0",
            "m.gc:7:8 GC106 expected a static condition, found a tensor bool[N, 3]: write `where(c, a, b)`",
        ),
        ("assert X.ndim == 3, X.ndim", "m.gc:7:21 GC106 expected a text after the comma, found the number 2"),
        ("assert Y.ndim == 3", "m.gc:7:8 GC101 unknown name Y"),
        ("assert 1 / 0 > 1", "m.gc:7:8 GC107 expected a divisor other than 0, found 1 / 0"),
    ],
)
def test_an_assertion_is_refused_at_the_call(text: str, error: str) -> None:
    (found,) = errors(f"{HALVES}\nX: Input[N, 3]\n{text}\nf: Output = sum(X)")
    assert found.startswith(error)


def test_an_assertion_shows_its_line_and_what_was_not_known() -> None:
    with pytest.raises(GraphcError) as caught:
        read(f"{HALVES}X: Input[N, M]\na, b = halves(X)\nf: Output = sum(a - b)")
    (found,) = caught.value.diagnostics
    assert [(str(span), said) for span, said in found.related] == [("m.gc:3:5", "in halves")]
    assert "found -2*(M//2) + M == 0, which is not" in found.label


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("isinstance(3, int)", True),
        ("isinstance(True, int)", False),
        ("isinstance(N, int)", False),
        ("isinstance(2.0, (int, float))", True),
        ("isinstance('a', (list, tuple))", False),
        ("isinstance([1], list)", True),
        ("isinstance((1,), tuple)", True),
        ("str(X.shape) == '(N, 3)'", True),
        ("str([1, None, 'a']) == \"[1, None, 'a']\"", True),
    ],
)
def test_kinds_and_texts_of_static_values(text: str, value: bool) -> None:
    graph = read(f"X: Input[N, 3]\nf: Output = sum(X) if {text} else max(X)")
    assert ops(graph) == ["sum" if value else "max"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("isinstance(3, N)", "m.gc:2:13 GC103 isinstance takes (value, kind)"),
        ("isinstance(3, (int, sum))", "m.gc:2:13 GC103 isinstance takes (value, kind)"),
        ("isinstance(3)", "m.gc:2:13 GC103 isinstance takes (value, kind)"),
        ("str([[1]])", "m.gc:2:13 GC106 expected numbers or sizes, found a list of 1"),
        ("str(X)", "m.gc:2:13 GC106 expected numbers or sizes, found a tensor float64[N, 3]"),
        ("str([1] * 65)", "m.gc:2:13 GC106 expected numbers or sizes, found a list of 65"),
    ],
)
def test_kinds_and_texts_refuse(text: str, error: str) -> None:
    assert errors(f"X: Input[N, 3]\nf: Output = {text}")[0].startswith(error)
