"""What passes without rules say of themselves: each does what it says, at the line that it says."""

from __future__ import annotations

import re

import pytest

import graphc
from graphc.backends.regions import Optimize

NETWORK = """\
X: Input[N, 784]
y: Input[N, int64]
W: Param[784, 512]
b: Param[512]
V: Param[512, 10]
h = relu(X @ W + b)
loss: Output = mean(cross_entropy(h @ V, y))
"""
CHAIN = """\
x: Input[N]
y: Input[N]
u = tanh(x * y)
v = exp(-square(u)) * x
loss: Output = sum(v * u)
"""
LOOP = """\
X: Input[T, 3]
W: Param[3, 3]
def step(h, x):
    M = exp(W)
    h = tanh(M @ h + x)
    return h, h
h, hs = scan(step, broadcast_to(0.0, (3,)), X)
loss: Output = sum(hs)
"""


def entries(text: str, rule: str, optimize: Optimize = "readable") -> list[tuple[int, str]]:
    """The line of each entry of a pass, and what it says."""
    model = graphc.compile(text, optimize=optimize)
    found = [entry for entry in (*model.rewrites, *model.passes) if entry.rule == rule]
    return [(entry.span.line if entry.span else 0, entry.did) for entry in found]


def test_equal_parts_are_one() -> None:
    text = "x: Input[N]\na = sin(exp(x))\nb = sin(exp(x)) * 2\nloss: Output = sum(a * b)"
    assert entries(text, "common_subexpression") == [(3, "sin is computed once, at <model>:2:5")]
    assert graphc.compile(text).source_text.count("np.exp(") < 4
    assert entries(text.replace("b = sin(exp(x))", "b = sin(exp(2 * x))"), "common_subexpression") == []


def test_equal_variables_are_two() -> None:
    text = "x: Input[N]\na = exp(x)\nb = exp(x)\nloss: Output = sum(a * b)"
    assert len(entries(text, "common_subexpression")) == 1
    model = graphc.compile(text, wrt=["a", "b"])
    assert [entry for entry in model.passes if entry.rule == "common_subexpression"] == []


def test_what_is_kept_and_what_is_computed_again() -> None:
    found = entries(CHAIN, "minimum_cut")
    kept = {did.split()[2] for _, did in found if "keeps" in did}
    arguments = {"x", "y"}
    split = graphc.compile(CHAIN).compiled.split
    assert split is not None and kept == {*split.residuals} - arguments
    again = [(line, did.split()[2]) for line, did in found if did.endswith("again")]
    forward, backward = ([node.op.name for node in half.nodes] for half in (split.forward, split.backward))
    assert again and all(op in forward and op in backward for _, op in again)


def test_what_only_the_gradient_needs_is_not_computed_again() -> None:
    assert all("again" not in did for _, did in entries("x: Input[N]; loss: Output = sum(tanh(x))", "minimum_cut"))


def test_a_model_without_gradient_is_not_cut() -> None:
    model = graphc.compile("x: Input[N]; f: Output = sum(exp(x))", gradient=False)
    assert model.passes == ()


def test_large_arrays_are_changed_in_place() -> None:
    found = entries(NETWORK, "in_place")
    assert (6, "add into the array of matmul, in forward, value_and_grad") in found
    assert (6, "relu into the array of add, in forward, value_and_grad") in found
    assert "h = np.maximum(add_1, 0.0, out=add_1)" in graphc.compile(NETWORK).source_text
    assert entries(NETWORK.replace("784", "7").replace("512", "5"), "in_place") == []


def test_what_is_written_into_memory_that_is_there_is_told() -> None:
    assert entries(NETWORK, "work_arrays") == []
    found = [did for line, did in entries(NETWORK, "work_arrays", "speed") if line == 6]
    assert "matmul into memory that is there, in forward, value_and_grad" in found
    assert "np.dot(X, W, out=work[" in graphc.compile(NETWORK, optimize="speed").source_text


def test_each_block_is_listed_with_its_nodes() -> None:
    assert entries(CHAIN, "blocks") == []
    found = entries(CHAIN, "blocks", "speed")
    assert {line for line, did in found if "forward" in did} == {3, 4, 5}
    assert (3, "the block of forward, rows of N: mul, tanh") in found
    blocks = {re.sub(", rows.*", "", did) for _, did in found}
    text = graphc.compile(CHAIN, optimize="speed").source_text
    for function in ("forward", "backward", "value_and_grad"):
        body = text.partition(f"\ndef {function}(")[2].partition("\n\n\n")[0]
        assert body.count("def block") == sum(which.endswith(f" of {function}") for which in blocks)


def test_what_is_the_same_in_each_step_is_computed_before() -> None:
    # In the gradient of `M @ h`.
    assert entries(LOOP, "invariant_of_scan") == [(5, "transpose before the first step")]
    assert entries(LOOP.replace("exp(W)", "exp(W * h[0])"), "invariant_of_scan") == []


def test_rules_that_need_the_cotangent_to_be_one_are_told() -> None:
    text = "x: Input[N, 3]; loss: Output = mean(square(x))"
    model = graphc.compile(text)
    fired = [entry.rule for entry in model.passes if entry.did == "in value_and_grad"]
    assert "multiply_by_reciprocal" in fired
    assert len(model.rewrites) + len(model.passes) > len(model.rewrites) == len(model.compiled.firings)


@pytest.mark.parametrize("text", [NETWORK, CHAIN, LOOP])
def test_entries_are_the_same_every_time(text: str) -> None:
    assert [*map(str, graphc.compile(text).passes)] == [*map(str, graphc.compile(text).passes)]
