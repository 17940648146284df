"""What plain formulas become: the stable forms are found by general rules, in the model and in its gradient."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from graphc.autodiff import differentiate
from graphc.backends.listing import listing
from graphc.builder import Builder, rebuild
from graphc.graph import Graph, Node, verify
from graphc.ops import OPS
from graphc.rewrite.engine import Rewritten, rewrite
from graphc.rewrite.sets import SIMPLIFY, STABILISE
from graphc.size import named_size
from graphc.tensor_type import TensorType
from graphc.value import Value
from tests.evaluate import evaluate

N = named_size("N")
exp, log, sqrt, square = OPS["exp"], OPS["log"], OPS["sqrt"], OPS["square"]
softmax, sigmoid, total, largest, mean = OPS["softmax"], OPS["sigmoid"], OPS["sum"], OPS["max"], OPS["mean"]
expand_dims, broadcast_to = OPS["expand_dims"], OPS["broadcast_to"]


def text(graph: Graph, node: Node) -> str:
    """A small graph as one expression."""
    if node.op.name in ("const", "input"):
        return str(node.attrs.get("name", node.attrs.get("value")))
    attrs = [f"{k}={v}" for k, v in node.attrs.items() if v is not False]
    return f"{node.op.name}({', '.join([*(text(graph, o) for o in graph.operands(node)), *attrs])})"


def simplified(formula: Callable[[Value], Value]) -> str:
    builder = Builder()
    z = builder.input("z", TensorType("float64", (N, 4)))
    found = rewrite(builder.finish({"f": formula(z).node}), SIMPLIFY)
    verify(found.graph)
    return text(found.graph, found.graph.outputs["f"])


def shifted(z: Value) -> Value:
    return z - largest(z, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (lambda z: log(softmax(z)), "log_softmax(z, axis=(1,))"),
        (lambda z: exp(z) / total(exp(z), axis=1, keepdims=True), "softmax(z, axis=(1,))"),
        (lambda z: exp(z) / expand_dims(total(exp(z), axis=1), axis=1), "softmax(z, axis=(1,))"),
        (lambda z: exp(z) / total(exp(z)), "softmax(z, axis=(0, 1))"),
        (lambda z: exp(z) * (1 / total(exp(z), axis=1, keepdims=True)), "softmax(z, axis=(1,))"),
        (lambda z: exp(shifted(z)) / total(exp(shifted(z)), axis=1, keepdims=True), "softmax(z, axis=(1,))"),
        (lambda z: z - log(total(exp(z), axis=1, keepdims=True)), "log_softmax(z, axis=(1,))"),
        (lambda z: log(total(exp(z), axis=1)), "logsumexp(z, axis=(1,))"),
        (
            lambda z: log(total(exp(shifted(z)), axis=1, keepdims=True)) + largest(z, axis=1, keepdims=True),
            "logsumexp(z, axis=(1,), keepdims=True)",
        ),
        (lambda z: log(1 - sigmoid(z)), "neg(softplus(z))"),
        (lambda z: log(sigmoid(z)), "neg(softplus(neg(z)))"),
        (
            lambda z: log(sigmoid(z) ** z * (1 - sigmoid(z)) ** (1 - z)),
            "neg(add(mul(z, softplus(neg(z))), mul(sub(1.0, z), softplus(z))))",
        ),
        (lambda z: 1 / (1 + exp(-z)), "sigmoid(z)"),
        (lambda z: z / (1 + exp(-z)), "mul(z, sigmoid(z))"),
        (lambda z: 1 / (exp(z) + 1), "sigmoid(neg(z))"),
        (lambda z: exp(z) / (1 + exp(z)), "sigmoid(z)"),
        (lambda z: log(1 - 1 / (1 + exp(-z))), "neg(softplus(z))"),
        (lambda z: (exp(z) - exp(-z)) / (exp(z) + exp(-z)), "tanh(z)"),
        (lambda z: log(1 + exp(z)), "softplus(z)"),
        (lambda z: log(1 + z), "log1p(z)"),
        (lambda z: log(1 - z), "log1p(neg(z))"),
        (lambda z: exp(z) - 1, "expm1(z)"),
        (lambda z: log(exp(z)), "z"),
        (lambda z: sqrt(z**2), "abs(z)"),
        (lambda z: sqrt(z * z), "abs(z)"),
        (lambda z: log(OPS["prod"](sigmoid(z), axis=1)), "neg(sum(softplus(neg(z)), axis=(1,)))"),
        (
            lambda z: log(OPS["prod"](z, axis=1)),
            "add(sum(log(abs(z)), axis=(1,)), log(prod(sign(z), axis=(1,))))",
        ),
        (lambda z: 2 * (z / 4), "mul(z, 0.5)"),
        (lambda z: -(2 * z) + 3 * (z * 1), "sub(mul(3.0, z), mul(z, 2.0))"),
        (lambda z: OPS["transpose"](OPS["transpose"](z)), "z"),
        (lambda z: z + broadcast_to(z.builder.constant(2.0), shape=(N, 4)), "add(z, 2.0)"),
        (lambda z: z * 0 + (z - z), "add(mul(z, 0.0), sub(z, z))"),
    ],
)
def test_plain_formulas_become_stable_ones(formula: Callable[[Value], Value], expected: str) -> None:
    assert simplified(formula) == expected


LOGITS = np.array([[1e4, -1e4, 0.0, 1e4]])


@pytest.mark.parametrize(
    ("formula", "value", "gradient"),
    [
        (lambda z: log(1 - sigmoid(z)), [-1e4, 0, -np.log(2), -1e4], [-1, 0, -0.5, -1]),
        (lambda z: log(sigmoid(z)), [0, -1e4, -np.log(2), 0], [0, 1, 0.5, 0]),
        (lambda z: log(1 + exp(z)), [1e4, 0, np.log(2), 1e4], [1, 0, 0.5, 1]),
        (lambda z: 1 / (1 + exp(-z)), [1, 0, 0.5, 1], [0, 0, 0.25, 0]),
        (lambda z: z / (1 + exp(-z)), [1e4, 0, 0, 1e4], [1, 0, 0.5, 1]),
        (lambda z: exp(z) / (1 + exp(z)), [1, 0, 0.5, 1], [0, 0, 0.25, 0]),
        (lambda z: (exp(z) - exp(-z)) / (exp(z) + exp(-z)), [1, -1, 0, 1], [0, 0, 1, 0]),
        (lambda z: log(exp(z)), LOGITS[0], [1, 1, 1, 1]),
        (lambda z: sqrt(square(1e3 * z)), [1e7, 1e7, 0, 1e7], [1e3, -1e3, 0, 1e3]),
        (lambda z: log(total(exp(z), axis=1, keepdims=True)), [1e4 + np.log(2)], [0.5, 0, 0, 0.5]),
        (lambda z: exp(z) / total(exp(z), axis=1, keepdims=True), [0.5, 0, 0, 0.5], [0, 0, 0, 0]),
        (lambda z: log(OPS["prod"](exp(z), axis=1)), [1e4], [1, 1, 1, 1]),
        (lambda z: log(OPS["prod"](z - 1e5, axis=1)), [2 * np.log(9e4) + np.log(1.1e5) + np.log(1e5)], None),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_plain_formulas_are_finite_where_mathematics_is(
    formula: Callable[[Value], Value], value: list[float], gradient: list[float] | None, dtype: str
) -> None:
    builder = Builder()
    z = builder.input("z", TensorType("float64", (N, 4)))
    graph = builder.finish({"f": formula(z).node})
    stable = rewrite(graph, STABILISE, protect={z.node})
    joint = rewrite(differentiate(stable.graph, ["f"], {"z": stable.mapping[z.node]}).graph, SIMPLIFY).graph
    shape = (1, len(value)) if graph.outputs["f"].tensor.ndim == 2 else (1,)
    with np.errstate(all="raise", under="ignore"):
        found = evaluate(joint, {"z": LOGITS, "d_f": np.ones(shape)}, dtype=dtype)
    np.testing.assert_allclose(np.ravel(found["f"]), value, rtol=1e-6, atol=1e-30)
    expected = 1 / (LOGITS[0] - 1e5) if gradient is None else gradient
    np.testing.assert_allclose(np.ravel(found["d_z"]), expected, rtol=1e-6, atol=1e-30)


def picked_by_indexing(z: Value, y: Value) -> Value:
    rows = z.builder.value(z.builder.make(OPS["arange"], (), {"stop": N}))
    return mean(OPS["gather"](-log(softmax(z)), rows, y))


def picked_from_softmax(z: Value, y: Value) -> Value:
    rows = z.builder.value(z.builder.make(OPS["arange"], (), {"stop": N}))
    return -mean(log(OPS["gather"](softmax(z), rows, y)))


def picked_by_name(z: Value, y: Value) -> Value:
    return -mean(log(OPS["pick"](softmax(z), y)))


def by_log_softmax(z: Value, y: Value) -> Value:
    return mean(-OPS["pick"](OPS["log_softmax"](z), y))


def classifier(formula: Callable[[Value, Value], Value]) -> tuple[Graph, dict[str, Node]]:
    builder = Builder()
    z = builder.input("z", TensorType("float64", (N, 10)))
    y = builder.input("y", TensorType("int64", (N,)))
    return builder.finish({"loss": formula(z, y).node}), {"z": z.node}


def compiled(formula: Callable[[Value, Value], Value], *, seed: bool) -> Rewritten:
    """Stabilise, differentiate, simplify; with the seed set to 1 unless it is asked for."""
    graph, variables = classifier(formula)
    stable = rewrite(graph, STABILISE, protect=frozenset(variables.values()))
    joint = differentiate(stable.graph, ["loss"], {name: stable.mapping[node] for name, node in variables.items()})
    return rewrite(joint.graph if seed else seeded(joint.graph, joint.seeds["loss"]), SIMPLIFY)


def seeded(graph: Graph, seed: Node) -> Graph:
    builder = Builder(intern=True)
    one = builder.constant(1.0).node
    mapping = rebuild(graph, builder, step=lambda node, operands: one if node is seed else None)
    return builder.finish({name: mapping[node] for name, node in graph.outputs.items()})


def numbered(graph: Graph) -> str:
    """The listing with nodes numbered without gaps."""
    builder = Builder()
    mapping = rebuild(graph, builder)
    return listing(builder.finish({name: mapping[node] for name, node in graph.outputs.items()}))


WITH_SEED = """\
%0   z      = input                                 : float64[N, 10]
%1   y      = input                                 : int64[N]
%2          = log_softmax(%0, axis=(1,))            : float64[N, 10]
%3          = pick(%2, %1)                          : float64[N]
%4          = mean(%3, axis=(0,))                   : float64[]
%5          = neg(%4)                               : float64[]
%6   d_loss = input                                 : float64[]
%7          = N                                     : float64[]
%8          = div(%6, %7)                           : float64[]
%9          = one_hot(%1, depth=10, dtype=float64)  : float64[N, 10]
%10         = exp(%2)                               : float64[N, 10]
%11         = sub(%10, %9)                          : float64[N, 10]
%12  d_z    = mul(%11, %8)                          : float64[N, 10]
loss = %5
d_z = %12
"""
WITHOUT_SEED = """\
%0   z   = input                                 : float64[N, 10]
%1   y   = input                                 : int64[N]
%2       = log_softmax(%0, axis=(1,))            : float64[N, 10]
%3       = pick(%2, %1)                          : float64[N]
%4       = mean(%3, axis=(0,))                   : float64[]
%5       = neg(%4)                               : float64[]
%6       = N                                     : float64[]
%7       = one_hot(%1, depth=10, dtype=float64)  : float64[N, 10]
%8       = exp(%2)                               : float64[N, 10]
%9       = sub(%8, %7)                           : float64[N, 10]
%10  d_z = div(%9, %6)                           : float64[N, 10]
loss = %5
d_z = %10
"""

FORMULAS = [picked_by_indexing, picked_from_softmax, picked_by_name, by_log_softmax]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize(("seed", "expected"), [(True, WITH_SEED), (False, WITHOUT_SEED)], ids=["seed", "one"])
def test_cross_entropy_gradient(formula: Callable[[Value, Value], Value], seed: bool, expected: str) -> None:
    assert numbered(compiled(formula, seed=seed).graph) + "\n" == expected


@pytest.mark.parametrize("formula", FORMULAS)
def test_large_logits_do_not_overflow_in_float32(formula: Callable[[Value, Value], Value]) -> None:
    z = np.random.default_rng(1).choice([-1e4, 0.0, 1e4], (5, 10)).astype(np.float32)
    y = np.arange(5)
    with np.errstate(all="raise", under="ignore"):
        found = evaluate(compiled(formula, seed=False).graph, {"z": z, "y": y}, dtype="float32")
    exact = np.exp(z.astype(float) - np.logaddexp.reduce(z.astype(float), axis=1, keepdims=True)) - np.eye(10)[y]
    np.testing.assert_allclose(found["d_z"], exact / 5, atol=1e-7)
    assert np.isfinite(found["loss"]) and found["d_z"].dtype == np.float32


def test_a_protected_softmax_stays_connected() -> None:
    builder = Builder()
    z = builder.input("z", TensorType("float64", (N, 10)))
    p = softmax(z)
    graph = builder.finish({"loss": total(log(p)).node})
    assert "log_softmax" in listing(rewrite(graph, STABILISE).graph)
    stable = rewrite(graph, STABILISE, protect={p.node})
    joint = differentiate(stable.graph, ["loss"], {"p": stable.mapping[p.node]})
    assert stable.mapping[p.node].op is softmax
    seed = "broadcast_to(expand_dims(d_loss, axis=(0, 1)), shape=(N, 10))"
    assert text(joint.graph, joint.graph.outputs["d_p"]) == f"mul({seed}, div(1.0, softmax(z, axis=(1,))))"


def column(z: Value, place: int) -> Value:
    return OPS["index"](z, items=(slice(None), place))


def block(z: Value, start: int, stop: int) -> Value:
    return OPS["index"](z, items=(slice(None), slice(start, stop)))


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (OPS["tanh"], ["sub", "mul", "tanh"]),
        (
            lambda z: exp(column(z, 0)) - 2 * exp(column(z, 3)) + exp(column(z, 1)) + exp(column(z, 2)),
            ["stack", *["exp", "index"] * 3, "mul", "exp", "index"],
        ),
        (lambda z: exp(block(z, 1, 4)) * exp(block(z, 0, 1)), ["concatenate"]),
        (lambda z: exp(block(z, 1, 3)), ["scatter_slice", "exp", "index"]),
        (lambda z: exp(column(z, 0)) + exp(column(z, 2)), ["add", *["scatter_slice", "exp", "index"] * 2]),
    ],
    ids=["tanh", "columns", "blocks", "one block", "no neighbours"],
)
def test_gradients_are_those_by_hand(formula: Callable[[Value], Value], expected: list[str]) -> None:
    builder = Builder()
    z = builder.input("z", TensorType("float64", (N, 4)))
    joint = differentiate(builder.finish({"f": total(formula(z)).node}), ["f"], {"z": z.node})
    graph = rewrite(seeded(joint.graph, joint.seeds["f"]), SIMPLIFY).graph
    found = re.findall(r"(\w+)\(", text(graph, graph.outputs["d_z"]).replace("Slice(", ""))
    assert found[: len(expected)] == expected


def test_rewriting_again_changes_nothing() -> None:
    for formula in FORMULAS:
        assert rewrite(compiled(formula, seed=True).graph, SIMPLIFY).firings == ()
