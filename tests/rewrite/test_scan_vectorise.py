"""Scans with parts moved out of their steps, beside the same scans untouched: random ones, and what moves in each."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

import graphc as gx
from graphc import passes
from graphc.graph import Graph, subgraphs, verify
from graphc.rewrite import scan_placement, scan_residuals

HEAD = """
X: Input[T, N, 3]
v: Input[T]
words: Input[T, int64]
U: Param[3, 2]
W: Param[2, 2]
w: Param[2]
s: Param
table: Param[5, 2]
"""
PARAMS = ("U", "W", "w", "s", "table")
FIRST = {"h": "(N, 2)", "g": "(2,)", "a": "(N, 2)", "q": "(2, 2)", "p": "()"}
"""Carries: two that are read, and three that only add up."""
MOVES = {
    "(N, 2)": (
        *("x @ U", "{m} @ W", "tanh({m})", "{m} * {m2}", "{m} + {m2}", "{m} - w", "{m} * s", "{m} + table[word]"),
        *("{m} * y", "sigmoid({m}) * {r}", "x[:, :2] + {r}", "maximum({m}, {m2})", "stack([{m}[:, 1], {m}[:, 0]], 1)"),
        *("where({m} > 0.1, {m2}, y)", "concatenate([x[:, :1], {m}[:, 1:]], axis=1)", "softmax({m})"),
    ),
    "(2,)": (
        *("mean({m}, axis=0)", "table[word]", "{r} @ W", "W @ {r}", "tanh({r})", "{r} * y", "{r} + w", "sin(w)"),
        *("{r} - {r2}", "cumsum({r})", "max({m}, axis=0)"),
    ),
    "(2, 2)": ("{m}.T @ {m2}", "x[:, :2].T @ {m}", "{r}[:, None] * {r2}", "W * y", "transpose({r}[:, None] * w)"),
    "()": ("sum({r})", "{r} @ {r2}", "y * s", "sum({m} * {m2})", "{r}[0]", "max({r})"),
}


def random_scan(rng: random.Random) -> str:
    """The text of a model with one scan, whose step holds random operations on random values."""
    shapes = {"h": "(N, 2)", "g": "(2,)"}

    def pick(shape: str, template: str = "") -> str:
        holes = {key: of[rng.randrange(len(of))] for key, of in values(shapes).items()}
        return (template or rng.choice(MOVES[shape])).format(**holes)

    lines = []
    for k in range(rng.randint(2, 7)):
        shape = rng.choice(("(N, 2)", "(N, 2)", "(2,)", "(2, 2)", "()"))
        lines.append(f"    n{k} = {pick(shape)}")
        shapes[f"n{k}"] = shape
    following = {"h": f"tanh({pick('(N, 2)', '{m}')} + {rng.choice(('h', 'g', '0.1 * x @ U'))})", "g": pick("(2,)")}
    for name in ("a", "q", "p"):
        following[name] = rng.choice(
            (f"{name} + {pick(FIRST[name])}", f"{pick(FIRST[name])} + ({name} - {pick(FIRST[name])})", f"{name} - s")
        )
    rows = [rng.choice([*shapes, *(f"0.5 * {name}" for name in shapes)]) for _ in range(2)]
    step = ["def step(c, xs):", "    h, g, a, q, p = c", "    x, y, word = xs", *lines]
    step.append(f"    return ({', '.join(following.values())}), ({', '.join(rows)})")
    first = "(broadcast_to(0.1, (N, 2)), w, broadcast_to(0.0, (N, 2)), broadcast_to(0.0, (2, 2)), 0.0)"
    options = rng.choice(("", ", reverse=True"))
    used = rng.sample(("h", "g", "a", "q", "p", "r0", "r1"), 4)
    loss = " + ".join([*(f"sum({name} * {name})" for name in used), *(f"sum(sin({x}))" for x in PARAMS)])
    end = [f"(h, g, a, q, p), (r0, r1) = scan(step, {first}, (X, v, words){options})", f"loss: Output = {loss}"]
    return "\n".join([HEAD, *step, *end])


def values(shapes: dict[str, str]) -> dict[str, list[str]]:
    """Names that templates may use for a matrix and for a vector."""
    matrices = [*(name for name, shape in shapes.items() if shape == "(N, 2)"), "(x @ U)"]
    vectors = [*(name for name, shape in shapes.items() if shape == "(2,)"), "w", "table[word]"]
    return {"m": matrices, "m2": matrices, "r": vectors, "r2": vectors}


def arguments(steps: int, rows: int = 3) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(steps)
    shapes = {"U": (3, 2), "W": (2, 2), "w": (2,), "s": (), "table": (5, 2)}
    inputs = {"X": rng.normal(size=(steps, rows, 3)), "v": rng.normal(size=steps), "words": rng.integers(0, 5, steps)}
    return {name: rng.normal(size=shape) * 0.5 for name, shape in shapes.items()}, inputs


@contextmanager
def untouched() -> Iterator[None]:
    """Within it, nothing is moved."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "vectorise_scans", lambda graph: (graph, ()))
        patch.setattr(passes, "keep_residuals", lambda graph: graph)
        yield


def step_of(graph: Graph | None, number: int = 0) -> Graph:
    """The step of one of the scans of a graph."""
    assert graph is not None
    return [inside for node in graph.nodes for inside in subgraphs(node)][number]


def ops(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes if graph.operands(node) and not node.op.view]


@pytest.mark.parametrize("seed", range(18))
def test_any_placement_computes_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text, rng = random_scan(random.Random(seed)), random.Random(seed)
    with untouched():
        expected = gx.compile(text)
    if seed % 3:
        # What is right may not depend on what it costs.
        monkeypatch.setattr(scan_placement, "LARGEST", 10**6)
        monkeypatch.setattr(scan_placement, "_saved", lambda *_: rng.choice((-10_000, 10_000)))
        monkeypatch.setattr(scan_residuals, "_keeping", lambda *_: rng.choice((0, 10_000)))
    model = gx.compile(text)
    for graph in (*model.compiled.outputs.values(), model.compiled.value_and_grad):
        assert graph is not None
        verify(graph)
    for steps in (5, 1, 0):
        params, inputs = arguments(steps)
        (loss, found), (same, gradients) = (m.value_and_grad(params, **inputs) for m in (model, expected))
        np.testing.assert_allclose(loss, same, rtol=1e-10, err_msg=text)
        split = model.backward(model.forward(params, **inputs)[1])
        for name, gradient in gradients.items():
            np.testing.assert_allclose(found[name], gradient, rtol=1e-8, atol=1e-9, err_msg=text)
            np.testing.assert_allclose(split[name], gradient, rtol=1e-8, atol=1e-9, err_msg=text)


RNN = """
X: Input[T, N, 3]
U: Param[3, 4]
W: Param[4, 4]
b: Param[4]
V: Param[4, 2]
def step(h, x):
    h = tanh(x @ U + h @ W + b)
    return h, (h, h @ V)
h, (hs, ys) = scan(step, broadcast_to(0.0, (N, 4)), X)
states: Output = hs
loss: Output = sum(ys ** 2) + sum(hs)
"""


def test_of_a_network_only_what_depends_on_the_state_is_left_in_the_loops() -> None:
    model = gx.compile(RNN)
    assert ops(step_of(model.compiled.outputs["loss"])) == ["matmul", "add", "tanh"]
    both = model.compiled.value_and_grad
    assert ops(step_of(both)) == ["matmul", "add", "tanh"]
    assert sorted(ops(step_of(both, 1))) == ["add", "matmul", "mul"]
    fired = {firing.rule for firing in model.rewrites if firing.span}
    assert {"computed_before_scan", "computed_after_scan"} <= fired
    rng = np.random.default_rng(0)
    params = {node.attrs["name"]: rng.normal(size=node.tensor.shape) * 0.5 for node in model.graph.params}
    assert model.check_grad(params, X=rng.normal(size=(6, 2, 3))).ok


def test_gradients_of_weights_are_one_product_over_all_steps() -> None:
    text = gx.compile(RNN).source_text
    assert "d_W = np.dot(np.reshape(h_before, (N * T, 4)).T, " in text
    assert "d_U = np.dot(np.reshape(X, (N * T, 3)).T, " in text
    assert "summed_after_scan" in {firing.rule for firing in gx.compile(RNN).rewrites}


def test_no_step_repeats_what_the_forward_scan_computed() -> None:
    both = gx.compile(RNN.replace("N, 3", "N, 64").replace("3, 4", "64, 4")).compiled.value_and_grad
    assert "tanh" not in ops(step_of(both, 1))
    assert both is not None
    assert sum(node.op.name == "tanh" for graph in (both, step_of(both), step_of(both, 1)) for node in graph.nodes) == 1


def test_gradients_of_a_table_are_placed_at_once() -> None:
    text = "words: Input[T, int64]\ntable: Param[500, 4]\nw: Param[4]\ndef step(h, word):\n"
    text += "    h = tanh(h * w + table[word])\n    return h, None\n"
    model = gx.compile(text + "h, _ = scan(step, broadcast_to(0.0, 4), words)\nloss: Output = sum(h)")
    both = model.compiled.value_and_grad
    assert not [name for number in (0, 1) for name in ops(step_of(both, number)) if name in ("scatter_add", "gather")]
    words = np.array([3, 499, 3, 0])
    assert model.check_grad({"table": np.full((500, 4), 0.3), "w": np.full(4, 0.5)}, words=words).ok
    with pytest.raises(ValueError, match="words holds 500"):
        model.value_and_grad({"table": np.zeros((500, 4)), "w": np.zeros(4)}, words=np.array([3, 500]))


LSTM = """
X: Input[T, N, 3]
W: Param[3, 16]
U: Param[4, 16]
def step(state, x):
    h, c = state
    i, f, o, g = split(x @ W + h @ U, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(c)
    return (h, c), h
zero = broadcast_to(0.0, (N, 4))
(h, c), hs = scan(step, (zero, zero), X)
loss: Output = sum(h) + sum(hs ** 2)
"""
TWICE = """
X: Input[T, N, 3]
U: Param[3, 2]
W: Param[2, 2]
def step(h, x):
    return tanh(x @ U + h @ W), None
h, _ = scan(step, broadcast_to(0.1, (N, 2)), X)
g, _ = scan(step, broadcast_to(0.7, (N, 2)), X)
loss: Output = sum(h * h) + sum(g)
"""


@pytest.mark.parametrize("text", [LSTM, TWICE], ids=["several values in one", "two scans of one step"])
def test_gradients(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_residuals, "_keeping", lambda *_: 0)
    model, rng = gx.compile(text), np.random.default_rng(3)
    params = {str(node.attrs["name"]): rng.normal(size=node.tensor.shape) * 0.5 for node in model.graph.params}
    inputs = {"X": rng.normal(size=(4, 2, 3))}
    assert model.check_grad(params, **inputs).ok
    with untouched():
        expected = gx.compile(text).value_and_grad(params, **inputs)
    loss, found = model.value_and_grad(params, **inputs)
    np.testing.assert_allclose(loss, expected[0], rtol=1e-12)
    for name, gradient in expected[1].items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("step", "first"),
    [
        ("    return h + sum(exp(-(x[:, None] - x) ** 2)) * h, None", "0.1"),
        ("    return h + sin(h * x[0]), None", "0.1"),
    ],
    ids=["larger than all that is read", "nothing to do before"],
)
def test_what_would_cost_memory_stays(step: str, first: str) -> None:
    text = f"X: Input[T, 100]\ndef step(h, x):\n{step}\nh, _ = scan(step, {first}, X)\nf: Output = h"
    graph = gx.compile(text, gradient=False).compiled.outputs["f"]
    assert max(node.tensor.ndim for node in graph.nodes if node.op.name not in ("scan",)) <= 2


def test_terms_of_a_long_run_without_stacked_values_are_added_as_they_come() -> None:
    text = "w: Input\ndef step(c):\n    h, a = c\n    h = sin(h * w)\n    return (h, a + h * h), None\n"
    model = gx.compile(text + "(h, a), _ = scan(step, (0.3, 0.0), length=1000)\nf: Output = a", gradient=False)
    assert "np.empty" not in model.source_text


def test_time_to_compile_grows_with_the_length_of_a_step() -> None:
    seconds = {}
    for lines in (20, 100):
        body = "".join(f"    h = tanh(h * w + x * {k}.5)\n" for k in range(lines))
        text = f"x: Input[T]\nw: Param\ndef step(h, x):\n{body}    return h, None\n"
        start = time.process_time()
        gx.compile(f"{text}h, _ = scan(step, 0.1, x)\nf: Output = h")
        seconds[lines] = time.process_time() - start
    assert seconds[100] < 10 * seconds[20] + 0.5
