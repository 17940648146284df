"""What may be infinite: ops say what they need of their operands, and signs are read off what makes a value."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from graphc.builder import Builder
from graphc.finite import Finiteness
from graphc.frontends.text import parse_model
from graphc.graph import Node
from graphc.op import Need, Op
from graphc.ops import OPS
from graphc.source import Source
from graphc.tensor_type import TensorType
from tests.evaluate import evaluate
from tests.ops.checks import cases

ELEMENTWISE = [
    op for op in OPS.values() if op.elementwise is not None and op.elementwise.coercion in ("number", "float")
]
NUMBERS: dict[Need, tuple[float, ...]] = {
    "any": (0.0, -0.0, -1.0, 1.0, 2.0, -30.5, 30.0),
    "nonzero": (-1.0, 1.0, -30.5, 0.5),
    "nonnegative": (0.0, 1.0, 30.0, 0.5),
    "positive": (1e-3, 1.0, 30.0, 0.5),
    "no": (),
}


def value(op: Op, operands: tuple[float, ...]) -> float:
    builder = Builder()
    inputs = [builder.input(f"x{p}", TensorType("float64")) for p in range(len(operands))]
    graph = builder.finish({"y": builder.apply(op, inputs).node})
    with np.errstate(all="ignore"):
        return float(np.asarray(evaluate(graph, {f"x{p}": np.asarray(x) for p, x in enumerate(operands)})["y"]))


@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.name)
def test_an_op_is_finite_where_its_needs_are_met(op: Op) -> None:
    assert op.elementwise is not None
    needs = op.elementwise.needs or ("any",) * (op.arity or 0)
    assert len(needs) == op.arity
    if op.name == "polygamma":
        return  # its first operand is a constant
    for operands in product(*(NUMBERS[need] for need in needs)):
        assert np.isfinite(value(op, operands)), operands


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.nonnegative], ids=lambda op: op.name)
def test_nonnegative_ops_are(op: Op) -> None:
    for case in cases(op):
        assert np.all(np.asarray(evaluate(case.graph, case.values)["y0"]) >= 0)


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.apart is not None], ids=lambda op: op.name)
def test_ops_mix_no_more_than_they_say(op: Op) -> None:
    """A NaN at one place of an operand comes out only where the axes that are apart have its index."""
    for case in cases(op):
        node = case.graph.outputs["y0"]
        operands = case.graph.operands(node)
        assert op.apart is not None
        told = op.apart(*(operand.type for operand in operands), **node.attrs)
        for position, (operand, axes) in enumerate(zip(operands, told, strict=True)):
            assert len(axes) == operand.tensor.ndim
            original = case.values[f"x{position}"]
            for index in np.ndindex(original.shape):
                spoiled = original.copy()
                spoiled[index] = np.nan
                with np.errstate(all="ignore"):
                    found = np.asarray(evaluate(case.graph, {**case.values, f"x{position}": spoiled})["y0"])
                for axis, place in zip(axes, index, strict=True):
                    if axis is not None:
                        others = np.delete(found, place, axis)
                        assert not np.isnan(others).any(), (op, position, index)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("x * y + exp(x)", False),
        ("log(x)", True),
        ("log(exp(x) + 1)", False),
        ("tanh(log(x) * y)", True),
        ("1 / x", True),
        ("x / 3", False),
        ("x / 0.0", True),
        ("x / (1 + exp(y))", False),
        ("x / (exp(y) - 1)", True),
        ("x / exp(y)", True),
        ("x / (y * y)", True),
        ("x / (y * y + 1e-5)", False),
        ("x / sqrt(mean(square(v)) + 1e-5)", False),
        ("x / (std(v) + 1e-5)", False),
        ("sqrt(x)", True),
        ("sqrt(abs(x))", False),
        ("x ** 3", False),
        ("x ** 0.5", True),
        ("x ** -1", True),
        ("x ** y", True),
        ("x / sum(v > 0)", True),
        ("where(log(x) > 0, x, y)", False),
        ("where(x > 0, log(x), y)", True),
        ("sum(v) / v.shape[0]", False),
    ],
)
def test_may_fail(expression: str, expected: bool) -> None:
    text = f"x: Input\ny: Input\nv: Input[N]\nf: Output = {expression}"
    graph = parse_model(Source("m.gc", text)).graph
    assert Finiteness(graph.operands).may_fail(graph.outputs["f"]) is expected


def test_long_chains_are_no_recursion() -> None:
    builder = Builder()
    x = builder.input("x", TensorType("float64"))
    for _ in range(5000):
        x = x + x / (x + x)
    assert Finiteness(builder.operands).may_fail(x.node)


def test_a_mask_that_doubles_again_and_again_is_looked_at_once() -> None:
    builder = Builder()
    mask = OPS["cast"](builder.input("x", TensorType("float64")) > 0, dtype="float64")
    for _ in range(5000):
        mask = mask + mask
    asked: list[Node] = []

    def operands(node: Node) -> tuple[Node, ...]:
        asked.append(node)
        return builder.operands(node)

    finite = Finiteness(operands)
    assert finite.is_finite(mask.node) and finite.is_finite((mask + 1.0).node)
    assert not finite.is_finite((mask + math.inf).node)
    assert len(asked) < 20_000
