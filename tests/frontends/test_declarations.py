"""Inputs, parameters, outputs, sizes, and the names of nodes."""

from __future__ import annotations

import pytest

from graphc.frontends.text import parse_model
from graphc.ops.leaves import Initializer
from graphc.source import Source
from tests.frontends.reading import ops, params, read


def test_types() -> None:
    graph = read(
        "H = 4\nx: Input\nX: Input[N, H * 2, N + 1]\ny: Input[N, int64]\nm: Input[bool]\nW: Param[H, 3]\n"
        "f: Output = mean(X) + x + mean(W) + mean(y) + m"
    )
    assert [str(node.type) for node in graph.inputs] == ["float64[]", "float64[N, 8, N + 1]", "int64[N]", "bool[]"]
    assert params(graph) == ["W: float64[4, 3]"]
    assert graph.params[0].attrs["init"] is None


@pytest.mark.parametrize(
    ("text", "kind", "low", "high"),
    [
        ("zeros()", "constant", 0.0, 0.0),
        ("ones()", "constant", 1.0, 1.0),
        ("constant(2.5)", "constant", 2.5, 2.5),
        ("normal(0, 0.1)", "normal", 0.0, 0.1),
        ("normal(std=2)", "normal", 0.0, 2.0),
        ("uniform(-1, 1)", "uniform", -1.0, 1.0),
        ("he_normal()", "normal", 0.0, (2 / 8) ** 0.5),
        ("he_uniform()", "uniform", -((6 / 8) ** 0.5), (6 / 8) ** 0.5),
        ("glorot_normal()", "normal", 0.0, (2 / 10) ** 0.5),
        ("glorot_uniform()", "uniform", -((6 / 10) ** 0.5), (6 / 10) ** 0.5),
        ("0.5", "constant", 0.5, 0.5),
    ],
)
def test_initialisers(text: str, kind: str, low: float, high: float) -> None:
    graph = read(f"W: Param[8, 2] = {text}\nf: Output = sum(W)")
    assert graph.params[0].attrs["init"] == Initializer(kind, low, high, text=text)  # type: ignore[arg-type]


def test_outputs_may_be_inputs_constants_and_each_other() -> None:
    graph = read("x: Input[N]\na: Output = x\nb: Output = a\nc: Output = 3\nd: Output = N\ne: Output[N] = x * 2")
    assert graph.outputs["a"] is graph.outputs["b"] is graph.inputs[0]
    assert graph.names[graph.inputs[0]] == ("x", "a", "b")
    assert [graph.outputs[name].op.name for name in "cd"] == ["const", "size"]


def test_names_may_be_bound_again_and_have_aliases() -> None:
    graph = read("x: Input\nh = x + 1\nh = h * 2\ng = k = h\nh += 1\na, (b, c) = h, (g, 2)\nf: Output = a + b * c")
    named = {node.op.name: names for node, names in graph.names.items()}
    assert ops(graph) == ["add", "mul", "add", "mul", "add"]
    assert named["mul"] == ("h", "g", "k", "b")


def test_the_docstring_is_the_graph_s() -> None:
    assert read('"""Two lines,\n   the second."""\nx: Input\nf: Output = x').doc == "Two lines,\nthe second."


def test_unused_inputs_and_parameters_are_warned_of() -> None:
    text = "x: Input\ny: Input\nW: Param[2]\nf: Output = x"
    found = [(str(w.span), w.code, w.severity) for w in parse_model(Source("m.gc", text)).warnings]
    assert found == [("m.gc:2:1", "GC601", "warning"), ("m.gc:3:1", "GC601", "warning")]


def test_line_ends_and_byte_order_marks() -> None:
    graph = parse_model(Source("m.gc", "\ufeffx: Input\r\nf: Output = x + 1\r\n")).graph
    assert str(graph.spans[graph.outputs["f"]][0]) == "m.gc:2:13"
