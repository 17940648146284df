"""Expressions: what each construct makes, and its value."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.frontends.text import is_expression, parse_expression, parse_model
from graphc.source import Source
from tests.evaluate import evaluate
from tests.frontends.reading import ops, read

X = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.5]])
I = np.array([2, 0])  # noqa: E741

VALUES = [
    ("X + 1 - X * 2", X + 1 - X * 2),
    ("X / 4 + -X", X / 4 - X),
    ("X // 2", X // 2),
    ("X % 2", X % 2),
    ("X ** 2", X**2),
    ("2 ** X", 2**X),
    ("-X ** 2", -(X**2)),
    ("X @ X.T", X @ X.T),
    ("X > 1", X > 1),
    ("X <= 1", X <= 1),
    ("X == 1", X == 1),
    ("X != 1", X != 1),
    ("(X > 0) & (X < 2)", (X > 0) & (X < 2)),
    ("(X > 0) | ~(X < 2)", (X > 0) | ~(X < 2)),
    ("(X > 0) ^ (X < 2)", (X > 0) ^ (X < 2)),
    ("X if X > 0 else 0", np.where(X > 0, X, 0)),
    ("X if 1 < 2 else Y", X),
    ("X[0]", X[0]),
    ("X[-1, 1:]", X[-1, 1:]),
    ("X[..., ::-1]", X[..., ::-1]),
    ("X[:, None, 1]", X[:, None, 1]),
    ("X[:, I]", X[:, I]),
    ("X[arange(2), I]", X[np.arange(2), I]),
    ("X.shape[0] * X.shape[1]", 6),
    ("X * X.ndim", X * 2),
    ("X if X.dtype == float64 else 0", X),
    ("sum(X, 1)", X.sum(1)),
    ("sum(X, axis=0, keepdims=True)", X.sum(0, keepdims=True)),
    ("mean(X, axis=(0, 1))", X.mean()),
    ("concatenate([X, X], axis=1)", np.concatenate([X, X], axis=1)),
    ("stack([x for x in [X[0], X[1]] if True], 1)", X.T),
    ("[X, 2 * X][1]", 2 * X),
    ("(X, X + 1)[-1]", X + 1),
    ("[X[i] for i in range(2)][1]", X[1]),
    ("sum([X[i, j] for i in range(2) for j in range(3) if i != j])", X.sum() - X[0, 0] - X[1, 1]),
    ("max(2, 3) * min([4, 5]) + len([1, 2])", 14),
    ("sqrt(4) + exp(0)", 3.0),
    ("X * True", X),
    ("sum(X) / N", X.sum() / 2),
    ("X + N * 2", X + 4),
    ("X + 7 % (N + 1) + (N + 3) % N + (N * 5) // 2", X + 1 + 1 + 5),
    ("reshape(X, (N * 3,))", X.reshape(6)),
    ("where(X > 0, X, 0)", np.where(X > 0, X, 0)),
    ("clip(X, 0, 1)", np.clip(X, 0, 1)),
    ("split(X, 3, axis=1)[2]", X[:, 2:]),
    ("cast(X > 0, int64)", (X > 0).astype(int)),
    ("stop_gradient(X)", X),
    ("X * (1 if not False and (0 or True) else 2)", X),
    ("X if 2 in [1, 2] and None is None and 'a' + 'b' == 'ab' else 0", X),
    ("len(X) + 0 * X", 2 + 0 * X),
    ("X * pi", X * np.pi),
]


@pytest.mark.parametrize(("text", "value"), VALUES, ids=[text for text, _ in VALUES])
def test_values(text: str, value: object) -> None:
    graph = read(f"X: Input[N, 3]\nI: Input[2, int64]\nY: Input\nf: Output = {text}")
    found = evaluate(graph, {"X": X, "I": I, "Y": 0.0})["f"]
    np.testing.assert_allclose(np.asarray(found), value)
    assert np.shape(found) == np.shape(value)


def test_the_tree_of_the_source_is_the_graph() -> None:
    graph = parse_expression("(x + y) + (y * x) + (x + y)").graph
    assert ops(graph) == ["add", "mul", "add", "add", "add"]
    product = graph.nodes[3]
    assert [operand.attrs["name"] for operand in graph.operands(product)] == ["y", "x"]


def test_an_expression_takes_its_names_in_the_order_of_the_text() -> None:
    graph = parse_expression("((c + a) + sum * a) if b > 0 else exp(c)").graph
    assert [node.attrs["name"] for node in graph.inputs] == ["c", "a", "sum", "b"]
    assert [str(graph.spans[node][0]) for node in graph.inputs[:2]] == ["<expression>:1:3", "<expression>:1:7"]
    assert list(graph.outputs) == ["f"]


def test_an_input_called_f_gives_the_output_another_name() -> None:
    assert list(parse_expression("f * 2").graph.outputs) == ["value"]


def test_a_model_of_one_expression_is_read_as_one() -> None:
    assert list(parse_model(Source("e", "x * y\n")).graph.outputs) == ["f"]
    assert evaluate(parse_expression("((x + y) + (x * y)) * z").graph, {"x": 2, "y": 3, "z": 4}) == {"f": 44}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("x", True),
        ("x +", True),
        ("a = b", False),
        ("x: Input", False),
        ("import os", False),
        ("", False),
        ('"doc"', False),
    ],
)
def test_what_is_an_expression(text: str, answer: bool) -> None:
    assert is_expression(text) is answer


def test_each_node_has_the_place_of_its_expression() -> None:
    graph = read("δ: Input[3]\nf: Output = sum(δ * δ) + 1")
    found = {node.op.name: graph.spans[node][0] for node in graph.nodes}
    assert {name: (str(span), span.text) for name, span in found.items() if name in ("mul", "sum", "add")} == {
        "mul": ("m.gc:2:17", "δ * δ"),
        "sum": ("m.gc:2:13", "sum(δ * δ)"),
        "add": ("m.gc:2:13", "sum(δ * δ) + 1"),
    }


def test_float32_models_have_float32_constants() -> None:
    graph = parse_model(Source("m.gc", "x: Input[N]\nf: Output = x * 2.5"), float_dtype="float32").graph
    assert {node.tensor.dtype for node in graph.nodes} == {"float32"}
