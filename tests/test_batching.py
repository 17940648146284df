"""Batching: of every op by being listed, a batched result is the stack of the single ones."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from graphc.batching import batch
from graphc.builder import Builder
from graphc.errors import GraphcError
from graphc.graph import Graph, verify
from graphc.op import OPS, Op, define
from graphc.size import named_size
from graphc.source import Source, Span
from graphc.tensor_type import TensorType
from tests.evaluate import evaluate
from tests.ops.checks import Case, cases
from tests.ops.test_generic import TRIED, _name

COUNT = 3
# The random ones draw from one seed; the others are refused by name until they have a rule.
WITHOUT = ("random_uniform", "random_normal")


def results_only(case: Case) -> Graph:
    builder = Builder()
    mapping = {}
    for node in case.graph.nodes:
        if node.op.name == "input":
            mapping[node] = builder.input(str(node.attrs["name"]), node.tensor).node
        else:
            operands = tuple(mapping[operand] for operand in case.graph.operands(node))
            mapping[node] = builder.make(node.op, operands, node.attrs, node.type)
    return builder.finish({name: mapping[n] for name, n in case.graph.outputs.items() if name.startswith("y")})


def stacked(case: Case, names: tuple[str, ...], generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Other values for some operands: floats moved a little, others in another order."""
    found = {}
    for name in names:
        x = case.values[name]
        found[name] = np.stack([x, *(another(x, k, generator) for k in range(1, COUNT))])
    return found


def another(x: np.ndarray, k: int, generator: np.random.Generator) -> np.ndarray:
    if x.dtype.kind == "f":
        return x + 0.05 * k
    if x.ndim:
        return generator.permuted(x)
    return np.abs(x - k) if x.dtype.kind == "i" else x ^ bool(k % 2)


@pytest.mark.parametrize("op", [op for op in TRIED if op.name not in WITHOUT], ids=_name)
def test_a_batched_result_is_the_stack_of_single_ones(op: Op) -> None:
    generator = np.random.default_rng(4)
    for case in cases(op):
        graph = results_only(case)
        operands = [str(node.attrs["name"]) for node in graph.inputs if str(node.attrs["name"]).startswith("x")]
        for chosen in product((True, False), repeat=len(operands)):
            names = tuple(name for name, take in zip(operands, chosen, strict=True) if take)
            if names:
                compare(op, graph, case, names, stacked(case, names, generator))


def compare(op: Op, graph: Graph, case: Case, names: tuple[str, ...], many: dict[str, np.ndarray]) -> None:
    builder = Builder(intern=True)
    leaves = {
        node: builder.input(name, TensorType(node.tensor.dtype, (COUNT, *node.tensor.shape)))
        for node in graph.inputs
        if (name := str(node.attrs["name"])) in names
    }
    found = batch(graph, builder, leaves)
    outputs = {name: found.whole(builder, node, COUNT).node for name, node in graph.outputs.items()}
    joined = builder.finish(outputs)
    verify(joined)
    together = evaluate(joined, {**case.values, **many})
    for k in range(COUNT):
        single = evaluate(graph, {**case.values, **{name: x[k] for name, x in many.items()}})
        for name, expected in single.items():
            np.testing.assert_allclose(
                np.asarray(together[name])[k], expected, rtol=1e-13, atol=1e-14, err_msg=f"{op} {names}"
            )


def test_every_structural_op_has_a_rule() -> None:
    leaves = ("input", "param", "const", "size", "array", "arange", "grad", *WITHOUT)
    lacking = [n for n, op in OPS.items() if op.elementwise is None and op.batching is None and n not in leaves]
    assert lacking == []


def test_a_batch_of_unknown_size() -> None:
    one, many = Builder(), Builder(intern=True)
    x = one.input("x", TensorType("float64", (named_size("N"), 3)))
    graph = one.finish({"y": OPS["softmax"](OPS["reshape"](x, shape=(-1,))).node})
    leaf = many.input("x", TensorType("float64", (named_size("B"), named_size("N"), 3)))
    found = batch(graph, many, {x.node: leaf}).nodes[graph.outputs["y"]]
    assert str(found.type) == "float64[B, 3*N]"


def test_what_depends_on_no_batched_leaf_is_not_batched() -> None:
    one, many = Builder(), Builder(intern=True)
    x, y = one.input("x", TensorType("float64")), one.input("y", TensorType("float64"))
    graph = one.finish({"y": (OPS["exp"](y) * x).node})
    found = batch(graph, many, {x.node: many.input("x", TensorType("float64", (5,)))})
    assert [str(found.nodes[node].type) for node in graph.nodes if node.op.name == "exp"] == ["float64[]"]


def test_an_op_without_a_rule_is_refused_with_its_place() -> None:
    op = define(Op("strange", 1, lambda x: x, "x", flops=0))
    try:
        one, many = Builder(), Builder(intern=True)
        x = one.input("x", TensorType("float64"))
        with one.at([Span(Source("m.gc", "line\n" * 9), 4, 1, 4, 3)]):
            y = op(x)
        graph = one.finish({"y": y.node})
        with pytest.raises(GraphcError) as caught:
            batch(graph, many, {x.node: many.input("x", TensorType("float64", (5,)))})
    finally:
        del OPS["strange"]
    (found,) = caught.value.diagnostics
    assert (found.code, str(found.span)) == ("GC305", "m.gc:4:1")
    assert "found strange" in found.message
