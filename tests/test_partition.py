"""The cut of the joint graph: what is kept, what is computed again, and that both halves together are the whole."""

from __future__ import annotations

import pytest

from graphc.autodiff import differentiate
from graphc.builder import Builder
from graphc.graph import Graph, verify
from graphc.ops import OPS
from graphc.partition import Split, extract, partition
from graphc.tensor_type import TensorType
from graphc.value import Value

MATRIX = TensorType("float64", (4, 4))


def split(graph: Graph, *variables: str) -> Split:
    nodes = {str(node.attrs["name"]): node for node in (*graph.params, *graph.inputs)}
    joint = differentiate(graph, ["loss"], {name: nodes[name] for name in variables})
    found = partition(joint.graph, ["loss"], ["d_loss"])
    verify(found.forward)
    verify(found.backward)
    return found


def graph_of(builder: Builder, loss: Value) -> Graph:
    builder.name(loss.node, "loss")
    return builder.finish({"loss": loss.node})


def ops_of(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def test_references_to_inputs_are_what_is_kept_when_they_do() -> None:
    builder = Builder()
    x, w = builder.input("x", MATRIX), builder.param("w", MATRIX)
    found = split(graph_of(builder, OPS["sum"](x @ w)), "w")
    assert found.residuals == ("x",)
    assert "matmul" not in ops_of(extract(found.backward, {"x": found.backward.inputs[0]}))


def test_a_cheap_mask_is_computed_again() -> None:
    builder = Builder()
    x, w1, w2 = builder.input("x", MATRIX), builder.param("w1", MATRIX), builder.param("w2", MATRIX)
    h = OPS["relu"](x @ w1)
    builder.name(h.node, "h")
    found = split(graph_of(builder, OPS["sum"](h @ w2)), "w1", "w2")
    assert set(found.residuals) == {"x", "w2", "h"}
    assert ops_of(found.backward).count("greater") == 1
    assert "relu" not in ops_of(found.backward)


def test_an_expensive_value_is_kept() -> None:
    builder = Builder()
    x, w = builder.input("x", MATRIX), builder.param("w", MATRIX)
    e = OPS["exp"](x @ w)
    builder.name(e.node, "e")
    found = split(graph_of(builder, OPS["sum"](e * e)), "w")
    assert "e" in found.residuals
    assert "exp" not in ops_of(found.backward)


def test_nothing_is_kept_for_a_linear_loss() -> None:
    builder = Builder()
    w = builder.param("w", MATRIX)
    found = split(graph_of(builder, OPS["sum"](w)), "w")
    assert found.residuals == ()


@pytest.mark.parametrize("name", ["h", "loss", "d_loss"])
def test_residual_names_are_free(name: str) -> None:
    builder = Builder()
    x = builder.input("x", MATRIX)
    first, second = OPS["exp"](x), OPS["exp"](x + 1)
    builder.name(first.node, name)
    builder.name(second.node, name)
    found = split(graph_of(builder, OPS["sum"](first * second)), "x")
    assert len(set(found.residuals)) == len(found.residuals) == 2
    assert {node.attrs["name"] for node in found.backward.inputs} == {*found.residuals, "d_loss"}


def test_the_halves_have_their_signatures() -> None:
    builder = Builder()
    x, q, w = builder.input("x", MATRIX), builder.input("q", MATRIX), builder.param("w", MATRIX)
    assert q.type == MATRIX
    found = split(graph_of(builder, OPS["sum"](OPS["exp"](x @ w))), "w")
    assert [node.attrs["name"] for node in found.forward.inputs] == ["x", "q"]
    assert next(iter(found.forward.outputs)) == "loss"
    assert list(found.forward.outputs)[1:] == list(found.residuals)
    assert list(found.backward.outputs) == ["d_w"]
