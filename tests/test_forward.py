"""Forward mode against reverse mode and against central differences, for every op by being listed."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.autodiff import backpropagate
from graphc.builder import Builder, rebuild
from graphc.forward import push_forward
from graphc.graph import Graph, verify
from graphc.op import OPS, Op
from graphc.tensor_type import TensorType
from tests.evaluate import evaluate
from tests.ops.checks import Case, cases
from tests.ops.test_generic import TRIED, _name

SCALAR = TensorType("float64")


def both_modes(case: Case) -> Graph:
    """The results, their tangents, and the gradient of the results paired with the weights."""
    builder = Builder(intern=True)
    mapping = rebuild(case.graph, builder)
    inputs = {str(node.attrs["name"]): mapping[node] for node in case.graph.inputs}
    moved = {name: builder.input(f"t_{name}", inputs[name].tensor).node for name in case.variables}
    results = {name: mapping[node] for name, node in case.graph.outputs.items() if name.startswith("y")}
    found = push_forward(builder, {inputs[name]: tangent for name, tangent in moved.items()}, list(results.values()))
    tangents = {f"dot_{name}": found[node] for name, node in results.items() if node in found}
    seeds = [(node, inputs[f"w{name[1:]}"]) for name, node in results.items()]
    pulled = backpropagate(builder, seeds, {name: inputs[name] for name in case.variables}).nodes
    gradients = {f"d_{name}": pulled[inputs[name]] for name in case.variables}
    return builder.finish({**results, **tangents, **gradients})


def directions(case: Case) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(11)
    return {f"t_{name}": generator.uniform(0.5, 1.5, case.values[name].shape) for name in case.variables}


@pytest.mark.parametrize("op", TRIED, ids=_name)
def test_a_tangent_pairs_with_a_cotangent_as_the_transpose_says(op: Op) -> None:
    for case in cases(op):
        graph, moved = both_modes(case) if case.variables else None, directions(case)
        if graph is None:
            continue
        verify(graph)
        found = evaluate(graph, {**case.values, **moved})
        names = [name for name in found if name.startswith("y")]
        forward = sum(np.sum(found.get(f"dot_{y}", 0.0) * case.values[f"w{y[1:]}"]) for y in names)
        backward = sum(np.sum(found[f"d_{x}"] * moved[f"t_{x}"]) for x in case.variables)
        np.testing.assert_allclose(forward, backward, rtol=1e-11, atol=1e-12, err_msg=str(op))


@pytest.mark.parametrize("op", TRIED, ids=_name)
def test_a_tangent_is_what_differences_say(op: Op) -> None:
    for case in cases(op):
        if not case.variables:
            continue
        graph, moved = both_modes(case), directions(case)
        found = evaluate(graph, {**case.values, **moved})
        ahead, behind = (
            evaluate(case.graph, {**case.values, **{x: case.values[x] + s * moved[f"t_{x}"] for x in case.variables}})
            for s in (1e-6, -1e-6)
        )
        for y in (name for name in case.graph.outputs if name.startswith("y")):
            expected = (np.asarray(ahead[y]) - np.asarray(behind[y])) / 2e-6
            tangent = np.asarray(found.get(f"dot_{y}", np.zeros_like(expected)))
            assert tangent.shape == expected.shape, op
            np.testing.assert_allclose(tangent, expected, rtol=1e-6, atol=1e-7, err_msg=str(op))


def test_the_tangent_of_a_branch_not_taken_is_not_seen() -> None:
    builder = Builder(intern=True)
    x, t = builder.input("x", SCALAR), builder.input("t", SCALAR)
    y = OPS["where"](x > 0, OPS["sqrt"](OPS["where"](x > 0, x, 0)), 0.0)
    graph = builder.finish({"y": push_forward(builder, {x.node: t.node}, [y.node])[y.node]})
    with np.errstate(all="ignore"):
        assert evaluate(graph, {"x": -1.0, "t": 1.0})["y"] == 0.0
        assert evaluate(graph, {"x": 4.0, "t": 1.0})["y"] == 0.25


def test_what_stands_still_has_no_tangent() -> None:
    builder = Builder(intern=True)
    x, y = builder.input("x", SCALAR), builder.input("y", SCALAR)
    outputs = [(y * y).node, OPS["sign"](x).node, OPS["stop_gradient"](x).node]
    found = push_forward(builder, {x.node: builder.constant(1.0).node}, outputs)
    assert not any(node in found for node in outputs)


def test_tangents_carry_names_and_the_depth_is_not_limited() -> None:
    builder = Builder(intern=True)
    x = builder.input("x", SCALAR)
    value = x
    for _ in range(5_000):
        value = OPS["sin"](value)
    builder.name(value.node, "h")
    tangent = push_forward(builder, {x.node: builder.input("t", SCALAR).node}, [value.node])[value.node]
    assert list(builder.names[tangent]) == ["h_dot"]
