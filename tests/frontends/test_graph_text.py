"""Graphs as text and back: the same graph, the same module; text that is not one is refused at its line."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

import graphc
from graphc.backends.graph_text import graph_text
from graphc.backends.listing import listing_data
from graphc.builder import Builder
from graphc.compiler import compile_graph
from graphc.frontends.graph_text import parse_graph
from graphc.graph import Graph, verify
from graphc.ops import OPS
from graphc.ops.leaves import Array
from graphc.size import named_size
from graphc.source import Source
from graphc.tensor_type import TensorType
from tests.random_models import random_model

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.gc"))


def compiled(source: object) -> graphc.Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", graphc.GraphcWarning)
        return graphc.compile(source)  # type: ignore[arg-type]


def again(graph: Graph) -> Graph:
    text = graph_text(graph)
    return parse_graph(text, Source("m.py", text))


def same_module(model: graphc.Model) -> None:
    graph = again(model.graph)
    verify(graph)
    assert graph_text(graph) == graph_text(model.graph)
    assert graph.doc == model.graph.doc
    reopened = compile_graph(graph, model.source, model.provenance.options, model.provenance.digest)
    assert reopened.source_text == model.source_text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(path: Path) -> None:
    same_module(compiled(path))


@pytest.mark.parametrize("seed", range(20))
def test_random_models(seed: int) -> None:
    same_module(compiled(random_model(seed).text))


TEXTS = {
    "names and aliases": "x: Input\na = x * x\nb = a\nc: Output = b + b\nloss: Output = c",
    "quotients of sizes": "x: Input[N]\nloss: Output = sum(x[::2]) + sum(x[: N // 3 + 1]) * (N // 2 * N)",
    "infinite constants": "x: Input\nloss: Output = where(x > -inf, x, inf * -1.0) - -0.0",
    "elementwise in elementwise": (
        "@elementwise\ndef inner(x): return x * sigmoid(x)\n"
        "@elementwise\ndef outer(x): return inner(x) + inner(2 * x)\n"
        "x: Input\nloss: Output = outer(x) * inner(x)"
    ),
    "text with quotes": '"""Says "this" \\\\ and """\nx: Input\nloss: Output = x * x  # "quoted" \\ # twice',
    "scopes": "x: Input[N, 3]\nloss: Output = sum(dense(relu(dense(x, 4)), 2, name='last'))",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_models(text: str) -> None:
    same_module(compiled(text))


def test_all_that_a_graph_holds() -> None:
    model = compiled(EXAMPLES[4])
    before, after = listing_data(model.graph), listing_data(again(model.graph))
    assert before == after
    spans = [span for graph in (model.graph, again(model.graph)) for node in graph.nodes for span in graph.spans[node]]
    half = len(spans) // 2
    assert [(str(s), s.text) for s in spans[:half]] == [(str(s), s.text) for s in spans[half:]]


def test_saved_arrays() -> None:
    b = Builder()
    saved = Array("float32", (2,), b"\x00\x01\x02\x03\xfc\xfd\xfe\xff")
    node = b.make(OPS["array"], (), {"array": saved})
    graph = again(b.finish({"f": node}))
    assert graph.outputs["f"].attrs["array"] == saved


def test_quotients_as_denominators() -> None:
    n, m = named_size("N"), named_size("M")
    b = Builder()
    x = b.input("x", TensorType("float64", (n // (m // 2), (n // m) // 2, n * n + 1)))
    assert again(b.finish({"f": x.node})).inputs[0].type == x.type


GOOD = "graph\n%0 x = input() : float64[N]\n%1 = sum(%0, axis=(0,), keepdims=False) : float64[]\nf = %1"
WRONG = {
    "type": (GOOD.replace("float64[]", "float32[]"), 3, "%1 is float64[], found float32[]"),
    "op": (GOOD.replace("sum", "sun"), 3, "'sun'"),
    "operand": (GOOD.replace("sum(%0", "sum(%7"), 3, "'7'"),
    "attribute": (GOOD.replace("(0,)", "open('f')"), 3, "'open'"),
    "code": (GOOD.replace("(0,)", "[0 for _ in ()]"), 3, "found '[0 for _ in ()]'"),
    "dunder": (GOOD.replace("(0,)", "().__class__"), 3, "found '().__class__'"),
    "size": (GOOD.replace("[N]", "[9**9**9**9]"), 2, "found arithmetic that sizes do not have"),
    "axis": (GOOD.replace("(0,)", "(5,)"), 3, ""),
    "line": (GOOD.replace("%0 x", "%0x"), 2, "found no node"),
    "start": ("import os", 1, "found 'import'"),
    "place": (GOOD.replace("float64[]", "float64[]  # here"), 3, "found the place 'here'"),
    "end": (GOOD.rpartition("\n")[0], 3, "it ends before the outputs of the graph"),
}


@pytest.mark.parametrize(("text", "line", "reason"), WRONG.values(), ids=WRONG)
def test_what_is_no_graph_is_refused(text: str, line: int, reason: str) -> None:
    with pytest.raises(graphc.GraphcError) as caught:
        parse_graph(text, Source("m.py", text))
    (found,) = caught.value.diagnostics
    assert found.span is not None
    assert (found.code, found.span.line, found.span.column) == ("GC412", line, 1)
    assert found.message.startswith("expected a line of a graph as graphc writes it: ") and reason in found.message


def test_attributes_without_a_form() -> None:
    b = Builder()
    x = b.param("w", TensorType("float64"), init=object())
    with pytest.raises(graphc.GraphcError, match="expected attributes that can be written, param has object"):
        graph_text(b.finish({"f": x.node}))
