"""Scans against the same models unrolled, against differences, to second order, batched, checkpointed, and in text."""

from __future__ import annotations

import time
import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.graph import subgraphs, verify

EXAMPLES = Path(__file__).parents[1] / "examples"
RNN, RK4 = ((EXAMPLES / f"{name}.gc").read_text(encoding="utf-8") for name in ("rnn", "rk4"))
STEPS = 7
UNROLLED = {
    "rnn": RNN.replace("T steps", "steps")
    .replace("T, N, 3", f"{STEPS}, N, 3")
    .replace(
        "h, hs = scan(step, broadcast_to(0.0, (N, H)), X)",
        f"h = broadcast_to(0.0, (N, H))\nkept = []\nfor t in range({STEPS}):\n"
        "    h, _ = step(h, X[t])\n    kept = kept + [h]\nhs = stack(kept)",
    ),
    "rk4": RK4.replace("T, 2", f"{STEPS}, 2").replace(
        "_, path = scan(step, start, length=T)",
        f"z = start\nkept = []\nfor t in range({STEPS}):\n"
        "    z, _ = step(z)\n    kept = kept + [z]\npath = stack(kept)",
    ),
}
SCALAR = """
w: Input
x: Input[T]
def step(h, x):
    return sin(h * w) + x, h * w
h, ys = scan(step, 0.5, x{options})
loss: Output = h * h + sum(ys ** 2)
"""
LAYER = """
X: Input[{T}, 3]
w: Param[3]
def step(carry, x):
    h, c = carry
    h = tanh(h * w + x) + c
    return (h, 0.9 * c + 0.1 * h), h * c
(h, c), ys = scan(step, (X[0], X[0] * 0.0), X{options})
loss: Output = sum(h) + sum(ys ** 2) + sum(c ** 3)
"""


def point(model: gx.Model, seed: int = 0) -> tuple[list[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """Parameters, and inputs of seven steps of four sequences."""
    rng = np.random.default_rng(seed)
    sizes = {"T": STEPS, "N": 4}
    inputs = {
        str(node.attrs["name"]): rng.normal(
            size=[size if isinstance(size, int) else sizes[str(size)] for size in shape]
        )
        for node in model.graph.inputs
        for shape in [node.tensor.shape]
    }
    return ([model.init_params(seed)] if model.graph.params else []), inputs


@pytest.mark.parametrize("name", UNROLLED)
def test_the_examples_are_what_their_unrolled_models_are(name: str) -> None:
    scanned, unrolled = gx.compile(EXAMPLES / f"{name}.gc"), gx.compile(UNROLLED[name])
    params, inputs = point(scanned)
    for found, expected in zip(
        scanned.forward(*params, **inputs)[0], unrolled.forward(*params, **inputs)[0], strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    (loss, found), (same, expected) = (m.value_and_grad(*params, **inputs) for m in (scanned, unrolled))
    np.testing.assert_allclose(loss, same, rtol=1e-12)
    again = scanned.backward(scanned.forward(*params, **inputs)[1])
    for key, gradient in expected.items():
        np.testing.assert_allclose(found[key], gradient, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(again[key], gradient, rtol=1e-12, atol=1e-12)
    assert scanned.check_grad(*params, **inputs).ok


@pytest.mark.parametrize("options", ["", ", reverse=True", ", checkpoint=2", ", checkpoint=3, reverse=True"])
def test_gradients_to_third_order(options: str) -> None:
    text = SCALAR.format(options=options)
    x, step = np.array([0.3, -0.2, 0.9, 0.1, 0.4]), 1e-5
    model = gx.compile(text, wrt=["w", "x"])
    assert model.check_grad(w=0.7, x=x).ok
    derivatives = [gx.grad(text, wrt="w")]
    for _ in range(2):
        derivatives.append(gx.grad(derivatives[-1], wrt="w"))
    for lower, higher in pairwise(derivatives):
        difference = (lower(w=0.7 + step, x=x) - lower(w=0.7 - step, x=x)) / (2 * step)
        np.testing.assert_allclose(higher(w=0.7, x=x), difference, rtol=1e-6)


@pytest.mark.parametrize("options", ["", ", checkpoint=True", ", checkpoint=2, reverse=True"])
def test_forward_mode_hessians_and_batches(options: str) -> None:
    text = LAYER.format(T=6, options=options)
    rng = np.random.default_rng(2)
    w, x, v = {"w": rng.normal(size=3)}, rng.normal(size=(6, 3)), rng.normal(size=3)
    gradient = gx.grad(text, wrt="w")(w, X=x)
    hessian = gx.hessian(text, wrt="w")(w, X=x)
    step = 1e-5
    for k, unit in enumerate(np.eye(3) * step):
        ahead, behind = (gx.grad(text, wrt="w")({"w": w["w"] + move}, X=x) for move in (unit, -unit))
        np.testing.assert_allclose(hessian[k], (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-7)
    _, moved = gx.jvp(text, wrt="w")(w, X=x, w_dot=v)
    np.testing.assert_allclose(moved, gradient @ v, rtol=1e-12)
    product = gx.hvp(text, wrt="w")(w, X=x, w_dot=v)
    np.testing.assert_allclose(product, hessian @ v, rtol=1e-11, atol=1e-12)
    many = rng.normal(size=(4, 6, 3))
    each = gx.per_example_grad(text, wrt="w")(w, X=many)
    for found, one in zip(each, many, strict=True):
        np.testing.assert_allclose(found, gx.grad(text, wrt="w")(w, X=one), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    "options", [", checkpoint=True", ", checkpoint=3", ", checkpoint=4, reverse=True", ", checkpoint=9"]
)
@pytest.mark.parametrize("steps", [7, 8, "T"])
def test_checkpoints_change_nothing_but_memory(options: str, steps: object) -> None:
    if steps == "T" and "True" in options.split(",")[1]:
        pytest.skip("needs a known number of steps")
    plain = ", reverse=True" if "reverse" in options else ""
    kept, all_kept = (gx.compile(LAYER.format(T=steps, options=o), wrt=["w", "X"]) for o in (options, plain))
    x, w = np.random.default_rng(3).normal(size=(7 if steps == "T" else steps, 3)), {"w": np.full(3, 0.4)}
    (loss, found), (same, expected) = (m.value_and_grad(w, X=x) for m in (kept, all_kept))
    assert loss == same
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-13, atol=1e-14)


def peak(steps: int, checkpoint: bool) -> int:
    """The most bytes that a gradient takes; the scanned input is not among them."""
    text = "\n".join(
        (
            f"x: Input[{steps}]",
            "w: Param[200]",
            "def step(h, x):",
            "    return tanh(h * w) + x, None",
            f"h, _ = scan(step, broadcast_to(0.0, 200), x, checkpoint={checkpoint})",
            "loss: Output = sum(h)",
        )
    )
    model = gx.compile(text)
    arguments = {"w": np.ones(200)}, np.zeros(steps)
    model.value_and_grad(*arguments)
    tracemalloc.start()
    try:
        model.value_and_grad(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_linear_in_the_steps_and_as_their_root_with_checkpoints() -> None:
    linear = peak(2500, False) / peak(100, False)
    root = peak(2500, True) / peak(100, True)
    assert 20 < linear < 30
    assert root < 7


def test_ten_thousand_steps_compile_as_quickly_as_ten() -> None:
    seconds = {}
    for steps in (10, 10_000):
        start = time.perf_counter()
        model = gx.compile(LAYER.format(T=steps, options=""))
        seconds[steps] = time.perf_counter() - start
        _, gradient = model.value_and_grad({"w": np.full(3, 0.1)}, X=np.zeros((steps, 3)))
        assert np.isfinite(gradient["w"]).all()
        verify(model.graph)
    assert seconds[10_000] < 5 * seconds[10] + 0.5


def test_the_loop_reads_like_one_written_by_hand() -> None:
    text = gx.compile(EXAMPLES / "rnn.gc").source_text
    assert (
        """
    # h, hs = scan(step, broadcast_to(0.0, (N, H)), X)  [rnn.gc:17]
    h = np.zeros((N, 16), dtype=X.dtype)
    for t in range(T):
        x = X[t]
        # h = tanh(x @ Wx + h @ Wh + b)  [rnn.gc:14]
        h = np.tanh(x @ Wx + h @ Wh + b)
    # prediction: Output = h @ w  [rnn.gc:19]
"""
        in text
    )
    assert text == gx.compile(EXAMPLES / "rnn.gc").source_text


def test_what_a_step_adds_to_a_gradient_is_not_called_the_gradient() -> None:
    text = gx.compile(
        "x: Input[T]\nw: Param\ndef step(h, v):\n    h = tanh(w * h + v)\n    return h, h\n"
        "h, hs = scan(step, 0.0, x)\nloss: Output = sum(hs ** 2)\n"
    ).source_text
    assert "        d_w = d_w + d_v * h\n" in text


def test_values_of_all_steps_are_called_so_and_those_of_a_step_what_the_model_calls_them() -> None:
    text = """
X: Input[T, 3]
U: Param[3, 4] = normal()
W: Param[4, 4] = normal()
def step(h, x):
    z = x @ U
    gate = sigmoid(h @ W + z)
    new = gate * h + z
    return new, new
last, all = scan(step, broadcast_to(0.0, (4,)), X)
loss: Output = mean(square(all))
"""
    written = gx.compile(text).source_text
    for statement in ("z_steps = X @ U", "z = z_steps[t]", "gate = _sigmoid(h @ W + z)"):
        assert f" {statement}\n" in written


def test_carries_that_change_places() -> None:
    text = (
        "n: Input[T]\ndef step(c, x):\n    a, b = c\n    return (b, a + b), a\n(a, b), ys = scan(step, (0.0, 1.0), n)\n"
    )
    model = gx.compile(text + "last: Output = b\npath: Output = ys\nloss: Output = a * b", gradient=False)
    assert model(n=np.zeros(10))["last"] == 89
    assert list(model(n=np.zeros(6))["path"]) == [0, 1, 1, 2, 3, 5]


def test_what_is_returned_is_nobody_elses_memory() -> None:
    text = "h0: Input[3]\nx: Input[T]\ndef step(h, x):\n    return h, h\n"
    text += "h, hs = scan(step, h0, x)\na: Output = h\nb: Output = hs"
    model, given = gx.compile(text, gradient=False), np.ones(3)
    for steps in (0, 2):
        found = model(h0=given, x=np.zeros(steps))
        assert not np.shares_memory(found["a"], given)
        assert found["b"].shape == (steps, 3)
        found["a"][0] = 7.0
        assert given[0] == 1.0


def test_float32_stays() -> None:
    model = gx.compile(EXAMPLES / "rnn.gc")
    params, inputs = point(model)
    narrow = [{k: v.astype(np.float32) for k, v in params[0].items()}]
    loss, gradients = model.value_and_grad(*narrow, **{k: v.astype(np.float32) for k, v in inputs.items()})
    assert {loss.dtype, *(g.dtype for g in gradients.values())} == {np.dtype(np.float32)}


def test_what_only_invariants_of_a_step_are_computed_from_stays() -> None:
    text = """
X: Input[4, 3]
v: Param[3]
def step(h, x):
    t = conv1d(reshape(x, (1, 1, 3)), reshape(v, (1, 1, 3)), padding='same')[0, 0]
    return tanh(t), sin(t) + h
h, ys = scan(step, v, X)
loss: Output = sum(sin(sum(ys, axis=0))) + sum(h)
"""
    rng = np.random.default_rng(4)
    v, x, direction = rng.normal(size=3), rng.normal(size=(4, 3)), rng.normal(size=3)
    model = gx.compile(text, with_=["hvp"])
    found = model.module.hvp({"v": v}, {"v": direction}, x)["v"]
    ahead, behind = (model.value_and_grad({"v": v + 1e-5 * sign * direction}, X=x)[1]["v"] for sign in (1, -1))
    np.testing.assert_allclose(found, (ahead - behind) / 2e-5, rtol=1e-6, atol=1e-8)


def test_integer_carries_and_labels_in_steps() -> None:
    text = "words: Input[T, int64]\ntable: Param[5, 2]\ndef step(c, word):\n    n, h = c\n"
    text += "    return (n + 1, tanh(h + table[word])), n\n"
    text += "(n, h), ns = scan(step, (0, broadcast_to(0.0, 2)), words)\ncount: Output = n\nloss: Output = sum(h) / 2"
    model = gx.compile(text, loss="loss")
    table = {"table": np.random.default_rng(0).normal(size=(5, 2))}
    assert model.forward(table, words=[1, 4, 1])[0].count == 3
    assert model.check_grad(table, words=np.array([1, 4, 1])).ok
    with pytest.raises(ValueError, match=r"word is 5, expected 0 to 4|word"):
        model.value_and_grad(table, words=[1, 5, 1])


def test_a_derivative_inside_a_step() -> None:
    text = "x: Input[T]\nw: Param\ndef step(h, x):\n    e = (h * w - x) ** 2\n    return h - 0.1 * grad(e, h), e\n"
    model = gx.compile(text + "h, es = scan(step, 0.3, x)\nloss: Output = h ** 2 + sum(es)")
    assert model.check_grad({"w": 0.8}, x=np.array([0.1, 0.7, -0.4])).ok


def test_scans_in_scans_and_in_used_models(tmp_path: Path) -> None:
    text = "x: Input[A, B]\nw: Param\ndef inner(h, x):\n    return sin(h * w) + x, None\ndef outer(h, row):\n"
    text += (
        "    h, _ = scan(inner, h, row)\n    return h, h\nh, hs = scan(outer, 0.1, x)\nloss: Output = h + sum(hs ** 2)"
    )
    (tmp_path / "double.gc").write_text(text)
    (tmp_path / "user.gc").write_text('y: Input[M, 2*K]\nf = use("double.gc")\nloss: Output = 3 * f(y)')
    used, alone = gx.compile(tmp_path / "user.gc"), gx.compile(text)
    x = np.random.default_rng(1).normal(size=(3, 4))
    loss, gradient = alone.value_and_grad({"w": 0.6}, x=x)
    assert alone.check_grad({"w": 0.6}, x=x).ok
    three, scaled = used.value_and_grad({"f_w": 0.6}, y=x)
    np.testing.assert_allclose([three, scaled["f_w"]], [3 * loss, 3 * gradient["w"]], rtol=1e-12)
    verify(used.graph)


def test_a_module_carries_its_steps(tmp_path: Path) -> None:
    model = gx.compile(LAYER.format(T="T", options=", checkpoint=2"), with_=["graph", "flat", "check"])
    loaded = gx.load(model.write(tmp_path / "layer.py"))
    assert loaded.source_text == model.source_text


def test_rules_fire_inside_steps_and_say_where() -> None:
    model = gx.compile(
        "x: Input[T]\ndef step(h, x):\n    return log(1 + exp(h * x)), None\nh, _ = scan(step, 1.0, x)\nf: Output = h"
    )
    assert "softplus" in {firing.rule for firing in model.rewrites if firing.span and firing.span.line == 3}
    assert np.isfinite(model(x=np.full(3, 1e3)))


def test_unused_results_and_accumulators_are_not_made() -> None:
    model = gx.compile(LAYER.format(T="T", options=""), wrt=["w"])
    assert model.compiled.value_and_grad is not None
    scans = [node for node in model.compiled.value_and_grad.nodes if subgraphs(node)]
    assert [node.attrs["carries"] for node in scans] == [2, 2]
    assert "d_X" not in model.source_text


def test_pictures_and_listings_show_a_step_as_one_box(tmp_path: Path) -> None:
    from graphc.backends.listing import listing

    model = gx.compile(EXAMPLES / "rnn.gc")
    assert "scan(step, " in model.draw(tmp_path / "rnn.dot").read_text()
    text = listing(model.graph)
    assert "= scan(step, %" in text
    assert "\nstep:\n  %0" in text


def test_scans_that_no_direction_moves() -> None:
    """A gradient that is a sum of constants over the steps has a product with its Hessian: zero."""
    model = gx.compile(Path(__file__).parents[1] / "examples" / "averaged_perceptron.gc", with_=["hvp"])
    X, y = np.eye(3), np.array([1.0, -1.0, 1.0])
    product = model.module.hvp({"w": np.array([0.5, 1.0, -1.0])}, {"w": np.ones(3)}, X, y)
    np.testing.assert_array_equal(product["w"], np.zeros(3))


@pytest.mark.parametrize("optimize", ["readable", "speed"])
@pytest.mark.parametrize("output", ["", "all: Output = js"])
def test_labels_that_steps_compute_are_checked(output: str, optimize: Any) -> None:
    """Also where rows are taken for all steps at once, with what the loop has stacked."""
    text = f"""
k: Input[T, int64]
E: Param[4, 2] = normal()
def step(j, i):
    new = (j + i) % 5
    return new, (new, sin(E[new]))
last, (js, rows) = scan(step, 0, k)
{output}
loss: Output = sum(rows) + sum(E[js])
"""
    module = gx.compile(text, loss="loss", optimize=optimize).module
    params = module.init_params(0)
    for k in ([1, 2, 0, 3], [], [2]):
        places = np.cumsum(np.array(k, dtype=int)) % 5
        rows = params["E"][places]
        value, gradient = module.value_and_grad(params, np.array(k, dtype=int))
        np.testing.assert_allclose(value, np.sum(np.sin(rows) + rows), atol=1e-12)
        wanted = np.zeros((4, 2))
        np.add.at(wanted, places, np.cos(rows) + 1)
        np.testing.assert_allclose(gradient["E"], wanted)
    with pytest.raises(ValueError, match="holds 4, expected 0 to 3"):
        module.loss(params, np.array([1, 3]))
