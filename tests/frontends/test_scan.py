"""What a model may write as a scan, and what is refused, with its place."""

# ruff: noqa: F821, UP037

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.errors import GraphcError
from tests.frontends.reading import errors, ops, params, places, read

STEP = "def step(c, x):\n    return {}\n"
END = "loss: Output = sum(c)"


def model(body: str, call: str, xs: str = "a: Input[3]\n") -> str:
    return f"{xs}{STEP.format(body)}c, _ = {call}\n{END}"


# The declarations are line 1, the step lines 2 and 3, the call line 4.
REFUSED = {
    model("c + x", "scan(step, 0.0, a)"): "3:5 GC106",
    model("c + x, None, None", "scan(step, 0.0, a)"): "3:5 GC106",
    model("(c, c), None", "scan(step, 0.0, a)"): "3:5 GC106",
    model("c[0], None", "scan(step, (0.0, 1.0), a)"): "3:5 GC106",
    model("c + x, 'y'", "scan(step, 0.0, a)"): "3:5 GC106",
    model("c + x, None", "scan(step, 0, a)"): "3:12 GC206",
    model("c + x, None", "scan(step, 0.0, a)", "a: Input[3, 2]\n"): "3:12 GC206",
    model("x, None", "scan(step, broadcast_to(0.0, 2), a)"): "3:5 GC206",
    model("c + x @ a, None", "scan(step, 0.0, a)"): "3:16 GC201",
    model("c + x, None", "scan(step, 0.0, a)", "a: Input\n"): "4:8 GC203",
    model("c + x[0], None", "scan(step, 0.0, (a, a[1:]))"): "4:8 GC203",
    model("c + x, None", "scan(step, 0.0, a, length=4)"): "4:8 GC203",
    model("c + x, None", "scan(step, 0.0)"): "4:8 GC103",
    model("c + x, None", "scan(step, 0.0, length=-1)"): "4:8 GC103",
    model("c + x, None", "scan(step, 0.0, length=3)"): "4:8 GC103",
    model("c + x, None", "scan(step, 0.0, 'a')"): "4:8 GC103",
    model("c + x, None", "scan(step, (), a)"): "4:8 GC103",
    model("c + x, None", "scan(3, 0.0, a)"): "4:8 GC103",
    model("c + x, None", "scan(step)"): "4:8 GC103",
    model("c + x, None", "scan(step, 0.0, a, init=1.0)"): "4:8 GC103",
    model("c + x, None", "scan(step, 0.0, a, None, False, 0, 1)"): "4:8 GC103",
    model("c + x, None", "scan(step, 0.0, a, reverse=1)"): "4:8 GC103",
    model("c + x, None", "scan(step, 0.0, a, checkpoint=-1)"): "4:8 GC103",
    model("c + x, None", "scan(step, 0.0, a, checkpoint=True)", "a: Input[T]\n"): "4:8 GC106",
    model("dropout(c, 0.5, seed=1), None", "scan(step, 0.0, a)"): "3:12 GC207",
    model("dropout(c, 0.5, seed=s), None", "scan(step, 0.0, a)", "a: Input[3]; s: Input[int64]\n"): "3:12 GC207",
    model("dropout(c, 0.5, seed=s * s + 1) + x, None", "scan(step, 0.0, a)", "a: Input[3]; s: Input[int64]\n"): (
        "3:12 GC207"
    ),
    model("scan(step, c, a)[0], None", "scan(step, 0.0, a)"): "3:12 GC401",
}


@pytest.mark.parametrize(("text", "place"), REFUSED.items(), ids=REFUSED)
def test_refusals_and_their_places(text: str, place: str) -> None:
    assert places(text) == [place]


def test_a_carry_that_changes_is_named_with_both_types() -> None:
    (found,) = errors(model("c + x, None", "scan(step, 0.0, a)", "a: Input[3, 2]\n"))
    assert found == "m.gc:3:12 GC206 the carry of scan keeps its type, step takes float64[] and gives float64[2]"


def test_the_step_is_one_node_however_many_there_are() -> None:
    few, many = (read(f"x: Input[{n}]\n" + model("c * x, c", "scan(step, 1.0, x)")) for n in (10, 10_000))
    assert ops(few) == ops(many) == ["scan", "item", "sum"]


def test_what_does_not_change_is_captured() -> None:
    text = "x: Input[T, 3]\nW: Param[3, 3]\ndef step(h, x):\n    return h @ W.T + x, None\n"
    graph = read(text + "h, _ = scan(step, x[0], x)\nloss: Output = sum(h)")
    (node,) = (node for node in graph.nodes if node.op.name == "scan")
    assert [graph.name(operand) or operand.op.name for operand in graph.operands(node)] == ["index", "x", "transpose"]
    (step,) = (value for value in node.attrs.values() if isinstance(value, gx.Graph))
    assert [step.name(x) for x in step.inputs] == ["h", "x", "transpose"]
    assert ops(step) == ["matmul", "add"]


def test_a_layer_in_a_step_has_its_parameters_once() -> None:
    text = "x: Input[T, 3]\ndef step(h, x):\n    h = tanh(dense(h, 3) + x)\n    return h, None\n"
    graph = read(text + "h, _ = scan(step, x[0][None, :], x[:, None, :])\nz = dense(h, 2)\nloss: Output = sum(z)")
    assert params(graph) == [
        "dense_W: float64[3, 3]",
        "dense_b: float64[3]",
        "dense_2_W: float64[3, 2]",
        "dense_2_b: float64[2]",
    ]


def test_an_op_and_an_instance_may_be_the_function_of_a_step() -> None:
    text = "x: Input[T, 3]\nlayer = instance(dense, 3)\ndef step(h, x):\n    h = layer(h) * x\n    return h, h\n"
    graph = read(text + "h, _ = scan(step, x[:1], x)\nk, _ = scan(step, layer(h), x)\nloss: Output = sum(h + k)")
    assert params(graph) == ["layer_W: float64[3, 3]", "layer_b: float64[3]"]


def test_traced_python() -> None:
    @gx.model
    def f(x: gx.f64["T", 2], w: gx.param[2]) -> Any:
        def step(carry: Any, row: Any) -> Any:
            h, c = carry
            h = h * w + row
            return (h, c + h), (h * c,)

        (h, c), (ys,) = gx.scan(step, (x[0], x[0] * 0.0), x, reverse=True)
        return gx.sum(h) + gx.sum(c) + gx.sum(ys)

    report = f.check_grad({"w": [0.3, -0.4]}, x=[[1.0, 2.0], [0.5, -1.0], [2.0, 0.1]])
    assert report.ok
    assert "h = h * w + row" in f.source_text


def test_methods_and_lambdas_may_be_steps() -> None:
    class Scaled:
        def step(self, h: Any, x: Any) -> Any:
            return h * x, None

    @gx.model
    def f(x: gx.f64["T"], w: gx.param[()]) -> Any:
        h, _ = gx.scan(Scaled().step, w, x)
        k, _ = gx.scan(lambda h, x: (h + x * w, None), w, x)
        return h + k

    assert f.check_grad({"w": 0.7}, x=[1.0, 2.0, 3.0]).ok


def test_what_escapes_from_a_step_is_refused() -> None:
    kept = []

    def step(h: Any, x: Any) -> Any:
        kept.append(h * x)
        return h * x, None

    def f(x: gx.f64["T"]) -> Any:
        h, _ = gx.scan(step, 1.0, x)
        return h + kept[0]

    with pytest.raises(GraphcError) as caught:
        gx.compile(f)
    (found,) = caught.value.diagnostics
    assert (found.code, found.span is not None) == ("GC106", True)
    assert "inside the step of a scan" in found.message


DRAWS = """\
x: Input[T, 3]
w: Param[3] = ones()
seed: Input[int64]
def step(c, inputs):
    h, n = c
    row, k = inputs
    h = tanh(dropout(h * w, 0.3, seed + {}) + row)
    return (h, n + 1), h
_, hs = scan(step, (broadcast_to(0.0, 3), seed * 0), (x, arange(T)), checkpoint={})
loss: Output = sum(hs ** 2)
"""


@pytest.mark.parametrize("checkpoint", ["False", "2"])
@pytest.mark.parametrize("counter", ["n", "k"])
@pytest.mark.parametrize("optimize", ["readable", "speed"])
def test_a_step_draws_by_a_seed_that_changes(counter: str, checkpoint: str, optimize: Any) -> None:
    found = gx.compile(DRAWS.format(counter, checkpoint), optimize=optimize)
    params, x = {"w": np.array([0.3, -0.4, 0.5])}, np.random.default_rng(0).normal(size=(7, 3))
    h, loss = np.zeros(3), 0.0
    for n, row in enumerate(x):
        kept = np.random.default_rng((5 + n, 0)).random(3) >= 0.3
        h = np.tanh(np.where(kept, h * params["w"] / 0.7, 0) + row)
        loss += np.sum(h**2)
    np.testing.assert_allclose(found.value_and_grad(params, x=x, seed=5)[0], loss, rtol=1e-12)
    assert found.check_grad(params, x=x, seed=5).ok


NESTED = """\
seed: Input[int64]
def inner(n, _):
    return n + 1, random_uniform(seed + n, 3)
def outer(k, _):
    {}, drawn = scan(inner, {}, arange(4))
    return {}, drawn
_, drawn = scan(outer, seed * 0, arange(5))
f: Output = sum(drawn, axis=(1, 2))
"""


def test_the_draws_of_a_scan_in_a_step_change_with_that_step() -> None:
    (found,) = errors(NESTED.format("_", "seed * 0", "k"))
    assert found == (
        "m.gc:5:16 GC207 expected a seed for random_uniform that changes from step to step, found one that does not"
    )
    assert len(set(gx.compile(NESTED.format("n", "k", "n"), gradient=False)(seed=1))) == 5
