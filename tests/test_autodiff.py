"""The engine of reverse mode: fan-out, unbroadcasting, symbolic zeros, several results, refusals with their places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graphc.autodiff import Joint, check_dependence, differentiate
from graphc.builder import Builder
from graphc.errors import GraphcError
from graphc.graph import Graph, Node, verify
from graphc.op import Op
from graphc.ops import OPS
from graphc.ops.axes import every_cotangent
from graphc.source import Source, Span
from graphc.tensor_type import TensorType, TupleType
from graphc.value import Value
from tests.evaluate import evaluate

SCALAR = TensorType("float64")
VECTOR = TensorType("float64", (3,))
SOURCE = Source("clf.gc", "\n".join(f"line {number}" for number in range(1, 20)))


def place(line: int) -> list[Span]:
    return [Span(SOURCE, line, 5, line, 9)]


def named(graph: Graph) -> dict[str, Node]:
    return {graph.name(node): node for node in graph.nodes if graph.name(node)}


def gradients(joint: Joint, values: dict[str, object]) -> dict[str, object]:
    verify(joint.graph)
    seeds = {str(node.attrs["name"]): 1.0 for node in joint.seeds.values()}
    found = evaluate(joint.graph, {**values, **seeds})
    return {name: found[output] for name, output in joint.gradients.items()}


def figure_2() -> Graph:
    builder = Builder()
    x, y, z = (builder.input(name, SCALAR) for name in "xyz")
    f = ((x + y) + (x * y)) * z
    builder.name(f.node, "f")
    return builder.finish({"f": f.node})


def test_fan_out_is_summed() -> None:
    graph = figure_2()
    joint = differentiate(graph, ["f"], {name: named(graph)[name] for name in "xyz"})
    assert gradients(joint, {"x": 2.0, "y": 3.0, "z": 4.0}) == {"x": 16, "y": 12, "z": 11}


def test_contributions_per_edge_are_those_of_the_figure() -> None:
    """4 + 12 = 16: what flows back along each branch, and its sum at the junction."""
    graph = figure_2()
    joint = differentiate(graph, ["f"], {name: named(graph)[name] for name in "xyz"})
    x = joint.nodes[named(graph)["x"]]
    branches = [joint.contributions[edge] for edge in joint.graph.users(x) if edge in joint.contributions]
    sums = {"total": joint.cotangents[x], **{f"path{k}": branch for k, branch in enumerate(branches)}}
    seen = evaluate(replace(joint.graph, outputs=sums), {"x": 2.0, "y": 3.0, "z": 4.0, "d_f": 1.0})
    assert (seen["path0"], seen["path1"], seen["total"]) == (4, 12, 16)


def test_cotangents_carry_names_and_places() -> None:
    builder = Builder()
    with builder.at(place(3), [("dense",)]):
        x = builder.input("x", VECTOR)
    with builder.at(place(7), [("dense",)]):
        h = OPS["tanh"](x)
        builder.name(h.node, "h")
    loss = OPS["sum"](h * h)
    joint = differentiate(builder.finish({"loss": loss.node}), ["loss"], {"x": x.node})
    by_name = named(joint.graph)
    assert {"d_h", "d_x", "d_loss"} <= by_name.keys()
    assert joint.graph.spans[by_name["d_x"]][0].line == 7
    assert joint.graph.scopes[by_name["d_x"]] == (("dense",),)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (4, 1), (1, 3), (4, 3), (1, 1)])
def test_broadcasting_is_undone(shape: tuple[int, ...]) -> None:
    builder = Builder()
    x, w = builder.input("x", TensorType("float64", (4, 3))), builder.param("w", TensorType("float64", shape))
    graph = builder.finish({"loss": OPS["sum"](x * w).node})
    data = np.arange(12.0).reshape(4, 3)
    found = gradients(differentiate(graph, ["loss"], {"w": w.node}), {"x": data, "w": np.ones(shape)})["w"]
    lead = tuple(range(2 - len(shape)))
    axes = lead + tuple(a + len(lead) for a, n in enumerate(shape) if n == 1)
    np.testing.assert_array_equal(found, data.sum(axes, keepdims=True).reshape(shape))


def test_what_reaches_no_variable_is_not_computed() -> None:
    builder = Builder()
    x, w = builder.input("x", SCALAR), builder.param("w", SCALAR)
    graph = builder.finish({"loss": (OPS["exp"](OPS["sin"](x)) * w).node})
    joint = differentiate(graph, ["loss"], {"w": w.node})
    assert "cos" not in [node.op.name for node in joint.graph.nodes]


def test_a_variable_in_the_middle() -> None:
    builder = Builder()
    x = builder.input("x", SCALAR)
    h = x * x
    graph = builder.finish({"loss": (h * h).node})
    joint = differentiate(graph, ["loss"], {"h": h.node})
    assert gradients(joint, {"x": 3.0}) == {"h": 18.0}


def test_a_variable_is_kept_apart_from_an_equal_node() -> None:
    builder = Builder()
    x = builder.input("x", SCALAR)
    h, k = OPS["exp"](x), OPS["exp"](x)
    graph = builder.finish({"loss": (3 * h + 5 * k).node})
    assert gradients(differentiate(graph, ["loss"], {"h": h.node}), {"x": 0.0}) == {"h": 3.0}


def test_two_outputs_have_a_seed_each() -> None:
    builder = Builder()
    x = builder.input("x", VECTOR)
    graph = builder.finish({"a": OPS["sum"](x).node, "b": (x * x).node})
    joint = differentiate(graph, ["a", "b"], {"x": x.node})
    seeds = {"d_a": 2.0, "d_b": np.array([1.0, 0.0, 10.0])}
    found = evaluate(joint.graph, {"x": np.array([1.0, 2.0, 3.0]), **seeds})["d_x"]
    np.testing.assert_array_equal(found, [4.0, 2.0, 62.0])


def test_a_seed_never_takes_the_name_of_a_parameter() -> None:
    builder = Builder()
    w = builder.param("d_loss", SCALAR)
    joint = differentiate(builder.finish({"loss": (w * w).node}), ["loss"], {"d_loss": w.node})
    assert len({node.attrs["name"] for node in (*joint.graph.inputs, *joint.graph.params)}) == 2


def two_results() -> Op:
    """An op with several results: the sum and the difference."""

    def vjp(ct: tuple[Value | None, ...], y: Value, a: Value, b: Value) -> tuple[Value, Value]:
        first, second = every_cotangent(ct, y)
        return first + second, first - second

    return Op("both", 2, lambda a, b: TupleType((a, a)), "(x + y, x - y)", vjp, flops=2)


@pytest.mark.parametrize(("used", "expected"), [((0, 1), (7.0, -1.0)), ((0,), (3.0, 3.0)), ((1,), (4.0, -4.0))])
def test_an_op_with_several_results(used: tuple[int, ...], expected: tuple[float, float]) -> None:
    builder = Builder()
    a, b = builder.input("a", SCALAR), builder.input("b", SCALAR)
    both = builder.apply(two_results(), [a, b])
    parts = [(3.0, 4.0)[k] * OPS["item"](both, index=k) for k in used]
    graph = builder.finish({"loss": (parts[0] + parts[1] if len(parts) == 2 else parts[0]).node})
    verify(graph)
    joint = differentiate(graph, ["loss"], {"a": a.node, "b": b.node})
    assert gradients(joint, {"a": 1.0, "b": 2.0}) == {"a": expected[0], "b": expected[1]}


def test_second_derivatives_are_the_same_function_applied_again() -> None:
    builder = Builder()
    x = builder.input("x", SCALAR)
    graph = builder.finish({"f": OPS["sin"](x * x).node})
    first = differentiate(graph, ["f"], {"x": x.node})
    x_again = first.nodes[x.node]
    slope = replace(first.graph, outputs={"d": first.graph.outputs["d_x"]})
    second = differentiate(slope, ["d"], {"x": x_again})
    found = evaluate(second.graph, {"x": 0.7, "d_f": 1.0, "d_d": 1.0})["d_x"]
    assert found == pytest.approx(2 * np.cos(0.49) - 4 * 0.49 * np.sin(0.49), rel=1e-12)


def test_no_dependence_is_refused_with_its_place() -> None:
    builder = Builder()
    with builder.at(place(4)):
        w = builder.param("W1", SCALAR)
    x = builder.input("x", SCALAR)
    loss = x * x
    builder.name(loss.node, "loss")
    with pytest.raises(GraphcError) as caught:
        differentiate(builder.finish({"loss": loss.node}), ["loss"], {"W1": w.node})
    (found,) = caught.value.diagnostics
    assert (found.code, str(found.span)) == ("GC302", "clf.gc:4:5")
    assert found.message == "loss does not depend on W1"


def test_a_cut_path_is_refused_with_the_path() -> None:
    builder = Builder()
    with builder.at(place(4)):
        w = builder.param("W1", VECTOR)
    with builder.at(place(9)):
        k = OPS["argmax"](w + 1.0, axis=0)
    loss = k * 2.0
    builder.name(loss.node, "loss")
    with pytest.raises(GraphcError) as caught:
        differentiate(builder.finish({"loss": loss.node}), ["loss"], {"W1": w.node})
    (found,) = caught.value.diagnostics
    assert (found.code, str(found.span)) == ("GC301", "clf.gc:9:5")
    assert found.message == "no gradient of loss reaches W1: argmax is not differentiable"
    assert found.label == "the only path stops here: loss ← mul ← argmax ← add ← W1"
    assert [str(span) for span, _ in found.related] == ["clf.gc:4:5"]


def test_every_fault_is_reported() -> None:
    builder = Builder()
    a, b, x = (builder.param(name, SCALAR) for name in "abx")
    graph = builder.finish({"loss": (x * x).node})
    with pytest.raises(GraphcError) as caught:
        check_dependence(graph, [graph.outputs["loss"]], {"a": a.node, "b": b.node, "x": x.node})
    assert len(caught.value.diagnostics) == 2


def test_a_piecewise_constant_path_is_zero_and_said_so() -> None:
    builder = Builder()
    x, w = builder.input("x", VECTOR), builder.param("w", VECTOR)
    joint = differentiate(builder.finish({"loss": OPS["sum"](OPS["sign"](x * w)).node}), ["loss"], {"w": w.node})
    assert joint.zero == ("w",)
    np.testing.assert_array_equal(gradients(joint, {"x": np.ones(3), "w": np.ones(3)})["w"], np.zeros(3))


def test_stop_gradient_cuts_one_path_only() -> None:
    builder = Builder()
    x = builder.input("x", SCALAR)
    graph = builder.finish({"loss": (OPS["stop_gradient"](x) * x).node})
    assert gradients(differentiate(graph, ["loss"], {"x": x.node}), {"x": 3.0}) == {"x": 3.0}


def test_no_recursion_limit_is_touched() -> None:
    builder = Builder()
    x = builder.input("x", SCALAR)
    value = x
    for _ in range(20_000):
        value = value + x
    joint = differentiate(builder.finish({"loss": value.node}), ["loss"], {"x": x.node})
    assert len(joint.graph.nodes) > 40_000
