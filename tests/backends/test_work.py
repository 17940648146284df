"""Work arrays, and results written into the caller's arrays: the same numbers, and memory that nobody shares."""

from __future__ import annotations

import tempfile
import threading
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.backends import numpy_work, regions
from graphc.backends.numpy_module import emit_module, load_module
from tests.backends.modules import FORCED, force

MLP = """
X: Input[N, 20]
y: Input[N, int64]
h = tanh(dense(X, 30))
loss: Output = mean(cross_entropy(dense(h, 4), y))
"""
VIEWS = """
X: Input[5, 4]
W: Param[4, 5] = normal()
V: Param[5, 4] = normal()
A = X @ W
B = tanh(transpose(A)) * V[:, :1]
C = reshape(B, (25,))[:20] * reshape(V, (20,))
loss: Output = sum(C) + sum(transpose(B) * A) + sum(transpose(A))
"""
TIED = """
X: Input[N, 6]
a: Param[6] = normal()
b: Param[6] = normal()
c: Param = normal()
loss: Output = mean(square(X @ (a + b) + c))
"""
RECURRENT = """
X: Input[T, 3]
W: Param[3, 3] = normal(0, 0.3)
h0: Param[3] = zeros()

def step(h, x):
    new = tanh(h @ W + x)
    return new, new

last, all = scan(step, h0, X)
loss: Output = sum(square(all)) + sum(last)
"""
ARRAYS = """
X: Input[N, 6]
W: Param[6, 6] = normal()
A = tanh(X @ W)
B: Output = transpose(A)
C = exp(X)
D: Output = A * C
E = transpose(C)
F = sqrt(X * X + 1)
G: Output = E * transpose(F) + transpose(sin(F))
loss: Output = sum(G) + sum(D)
"""
CARRIED = """
X: Input[T, 3]
h0: Input[3]
W: Param[3, 3] = normal(0, 0.3)

def step(h, x):
    new = tanh(h @ W) + x
    return new, sum(new)

begin = exp(h0)
other = sin(h0)
end, sums = scan(step, begin, X)
last: Output = end
loss: Output = sum(square(last)) + sum(sums) + sum(cos(other) * other)
"""
MODELS = {"mlp": MLP, "views": VIEWS, "tied": TIED, "recurrent": RECURRENT, "arrays": ARRAYS, "carried": CARRIED}
OPTIMIZERS = [
    "gradient_descent(lr=0.1)",
    "gradient_ascent(lr=0.01)",
    "momentum(lr=0.1)",
    "nesterov(lr=0.1)",
    "adagrad(lr=0.1)",
    "rmsprop(lr=0.1)",
    "adam(lr=0.1)",
    "adamw(lr=0.1, weight_decay=0.01)",
    "adam(lr=0.1, average=0.9, max_norm=1.0, clip_norm=1.0)",
]


def point(module: Any, seed: int = 0, rows: int = 7) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and inputs."""
    rng = np.random.default_rng(seed)
    inputs = {
        name: rng.integers(0, 4, rows) if row[0] == "int64" else rng.normal(size=[_number(n, rows) for n in row[1]])
        for name, row in module._INPUTS.items()
    }
    return module.init_params(seed), inputs


def _number(size: int | str, rows: int) -> int:
    return size if isinstance(size, int) else rows


def copied(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name: np.copy(array) for name, array in arrays.items()}


def equal(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.parametrize("style", FORCED)
@pytest.mark.parametrize("name", MODELS)
def test_gradients_in_arrays_of_the_caller(name: str, style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = graphc.compile(MODELS[name], optimize=force(style, monkeypatch)).module
    module._BLOCK = 5
    params, inputs = point(module)
    before = copied(params), copied(inputs)
    value, wanted = module.value_and_grad(params, **inputs)
    out = {key: np.full(np.shape(array), np.nan) for key, array in wanted.items()}
    again, found = module.value_and_grad(params, **inputs, out=out)
    assert again == value
    equal(found, wanted)
    assert all(found[key] is out[key] for key in out if np.ndim(out[key]))
    equal(params, before[0])
    equal(inputs, before[1])
    # What is in use is not what the module keeps.
    other_params, other_inputs = point(module, seed=1)
    module.value_and_grad(other_params, **other_inputs)
    equal(found, wanted)


@pytest.mark.parametrize("style", FORCED)
@pytest.mark.parametrize("rows", [0, 7])
@pytest.mark.parametrize("name", ["arrays", "carried"])
def test_results_are_not_what_the_module_keeps(
    name: str, rows: int, style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    readable: Any = graphc.compile(MODELS[name]).module
    module: Any = graphc.compile(MODELS[name], optimize=force(style, monkeypatch)).module
    module._BLOCK = 5
    points = [point(module, seed, rows) for seed in range(2)]
    for k in (0, 1):
        params, inputs = points[k]
        wanted, held = readable.forward(params, **inputs)
        found, residuals = module.forward(params, **inputs)
        gradients = module.backward(residuals, *[0.5] * (k == 0))
        alone = {field: getattr(module, field)(params, **inputs) for field in wanted._fields}
        others = points[1 - k]
        for function in (module.value_and_grad, module.loss, *(getattr(module, field) for field in wanted._fields)):
            function(others[0], **others[1])
        module.backward(module.forward(others[0], **others[1])[1])
        for field in wanted._fields:
            np.testing.assert_allclose(getattr(found, field), getattr(wanted, field), rtol=1e-12)
            np.testing.assert_allclose(alone[field], getattr(wanted, field), rtol=1e-12)
        for key, array in readable.backward(held, *[0.5] * (k == 0)).items():
            np.testing.assert_allclose(gradients[key], array, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("style", FORCED)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", MODELS)
def test_steps_in_place_are_the_steps(name: str, optimizer: str, style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written over the old parameters and state, in arrays of a former step, or in new ones: bit for bit the same."""
    module: Any = graphc.compile(MODELS[name], optimizer=optimizer, optimize=force(style, monkeypatch)).module
    module._BLOCK = 5
    params, inputs = point(module)
    state = module.init_state(params)
    pure = params, state
    placed = copied(params), copied(state)
    swapped, spare = (params, state), (copied(params), copied(state))
    for _ in range(3):
        *pure, loss = module.train_step(*pure, **inputs)
        *found, loss_placed = module.train_step(*placed, **inputs, out=placed)
        assert all(found[k][key] is placed[k][key] for k in (0, 1) for key in placed[k] if np.ndim(placed[k][key]))
        placed = found[0], found[1]
        *new, loss_swapped = module.train_step(*swapped, **inputs, out=spare)
        swapped, spare = (new[0], new[1]), (copied(new[0]), copied(new[1]))
        assert loss == loss_placed == loss_swapped
        for k in (0, 1):
            equal(placed[k], pure[k])
            equal(swapped[k], pure[k])


@pytest.mark.parametrize("style", FORCED)
def test_nothing_is_read_after_it_was_written_over(style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where new values go into the memory of other entries than those that they are made from."""
    optimize = force(style, monkeypatch)
    text = "X: Input[3, 3]\nW: Param[3, 3] = normal()\nV: Param[3, 3] = normal()\nloss: Output = sum(exp(X @ W @ V))"
    model = graphc.compile(text, optimizer="adam", optimize=optimize, wrt="W")
    program = model._program()
    step = program.training
    assert step is not None
    entries = [("W", step.params), ("V", step.params), ("m_W", step.state), ("v_W", step.state)]
    for places in permutations(range(4)):
        outputs = {name: entries[place][1][entries[place][0]] for (name, _), place in zip(entries, places, strict=True)}
        tables = [{name: outputs.get(name, output) for name, output in t.items()} for t in (step.params, step.state)]
        changed = replace(step, params=tables[0], state=tables[1])
        module: Any = load_module(emit_module(replace(program, training=changed)), "exchanged")
        module._BLOCK = 5
        params, _ = point(module)
        state = {**module.init_state(params), "v_W": np.full((3, 3), 0.5)}
        X = np.eye(3)[::-1] / 2
        wanted = module.train_step(params, state, X)
        placed = copied(params), copied(state)
        found = module.train_step(*placed, X, out=placed)
        equal(found[0], wanted[0])
        equal(found[1], wanted[1])


def _broken(out: dict[str, Any], params: dict[str, Any], inputs: dict[str, Any]) -> list[tuple[Any, str]]:
    W = out["W"]
    frozen = np.copy(W)
    frozen.flags.writeable = False
    return [
        ([], "out has a list, expected W, V"),
        ({"W": W}, "out has W, expected W, V"),
        ({**out, "W": W[:2]}, "out has float64 of shape (2, 5) for W, expected float64 of shape (4, 5)"),
        ({**out, "W": W.astype("float32")}, "out has float32 of shape (4, 5) for W, expected float64 of shape (4, 5)"),
        ({**out, "W": W.tolist()}, "out has list for W, expected float64 of shape (4, 5)"),
        ({**out, "W": np.asfortranarray(W)}, "out has an array for W that is not contiguous or not writable"),
        ({**out, "W": frozen}, "out has an array for W that is not contiguous or not writable"),
        ({**out, "W": params["W"]}, "out has an array for W whose memory is there twice, or an argument"),
        ({**out, "W": params["W"][:]}, "out has an array for W whose memory is there twice, or an argument"),
        ({**out, "V": out["W"].reshape(5, 4)}, "out has an array for V whose memory is there twice, or an argument"),
        ({**out, "V": inputs["X"]}, "out has an array for V whose memory is there twice, or an argument"),
    ]


def test_arrays_that_results_do_not_fit_are_refused() -> None:
    module: Any = graphc.compile(VIEWS, optimize="speed").module
    params, inputs = point(module)
    inputs["X"] = np.zeros((5, 4))
    _, out = module.value_and_grad(params, **inputs)
    for given, message in _broken(out, params, inputs):
        with pytest.raises(ValueError, match="value_and_grad") as error:
            module.value_and_grad(params, **inputs, out=given)
        assert message in str(error.value)


def test_steps_refuse_arrays_of_other_entries() -> None:
    text = "a: Param[2] = normal()\nb: Param[2] = normal()\nloss: Output = sum(square(a - b))"
    module: Any = graphc.compile(text, optimizer="momentum", optimize="speed").module
    params = module.init_params(0)
    state = module.init_state(params)
    swapped = {"a": params["b"], "b": params["a"]}
    in_order = {"b": params["a"], "a": params["b"]}
    for out in (
        (swapped, state),
        (in_order, state),
        (dict.fromkeys("ab", np.zeros(2)), copied(state)),
        (copied(params), params),
    ):
        with pytest.raises(ValueError, match=r"train_step.*out"):
            module.train_step(params, state, out=out)
    for out in ((params,), 3):
        with pytest.raises(ValueError, match="expected a pair like"):
            module.train_step(params, state, out=out)


def test_tied_parameters_are_not_changed_in_place() -> None:
    """One array for two parameters would get one update over the other."""
    module: Any = graphc.compile(TIED, optimizer="gradient_descent(lr=0.1)", optimize="speed").module
    params, inputs = point(module)
    params["b"] = params["a"]
    state = module.init_state(params)
    module.train_step(params, state, **inputs)
    with pytest.raises(ValueError, match="there twice"):
        module.train_step(params, state, **inputs, out=(params, state))


def test_memory_that_is_still_needed_is_not_written_over() -> None:
    """Parameters that are views of one array, and inputs that are parameters: one update would be read by the next."""
    text = "X: Input[5]\nW: Param[5]\nV: Param[5]\nloss: Output = sum(3 * W) + sum(V * X)"
    module: Any = graphc.compile(text, optimizer="momentum", optimize="speed").module
    buffer = np.ones(10)
    W, V, X = buffer[:5], buffer[5:], np.ones(5)
    for params, given in (({"W": W, "V": W[:]}, X), ({"W": W, "V": buffer[4:9]}, X), ({"W": W, "V": V}, W[:])):
        state = module.init_state(params)
        with pytest.raises(ValueError, match="there twice, or an argument"):
            module.train_step(params, state, given, out=(params, state))
    params = {"W": W, "V": V}
    state = module.init_state(params)
    wanted, _, _ = module.train_step(params, state, X)
    found, _, _ = module.train_step(params, state, X, out=(params, state))
    equal(found, wanted)


def _of_buffer() -> list[Any]:
    buffer = bytearray(np.ones(3).tobytes())
    return [np.frombuffer(buffer, count=2), np.frombuffer(buffer, offset=8)]


def _of_strides() -> list[Any]:
    array = np.ones(3)
    return [np.lib.stride_tricks.as_strided(part, (2,)) for part in (array, array[1:])]


def _of_file() -> list[Any]:
    with tempfile.TemporaryFile() as file:
        array = np.memmap(file, dtype=np.float64, shape=(3,))
        return [np.asarray(array[:2]), np.asarray(array[1:])]


@pytest.mark.parametrize("views", [_of_buffer, _of_strides, _of_file])
def test_memory_that_is_no_array_s_own_is_not_written_over(views: Callable[[], list[Any]]) -> None:
    """Two arrays of one buffer may have no array in common that they are views of."""
    text = "a: Param[2]\nb: Param[2]\nloss: Output = sum(square(a - b) * a)"
    module: Any = graphc.compile(text, optimizer="momentum", optimize="speed").module
    a, b = views()
    params = {"a": a, "b": b}
    state = module.init_state(params)
    with pytest.raises(ValueError, match="there twice"):
        module.train_step(params, state, out=(params, state))
    with pytest.raises(ValueError, match="there twice"):
        module.value_and_grad({"a": a, "b": np.ones(2)}, out={"a": np.ones(2), "b": b})
    apart = {"a": a, "b": np.ones(2)}
    wanted = module.train_step(copied(apart), state)[0]
    equal(module.train_step(apart, state, out=(apart, state))[0], wanted)


@pytest.mark.parametrize("style", FORCED)
def test_later_calls_need_no_memory(style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "FEWEST", 10**6 if style == "work" else 3)
    module: Any = graphc.compile(MLP, optimizer="adam", optimize="speed").module
    params, inputs = point(module, rows=4000)
    state = module.init_state(params)
    module.train_step(params, state, **inputs, out=(params, state))
    held = sum(array.nbytes for array in (*params.values(), *state.values(), *inputs.values()) if np.ndim(array))
    tracemalloc.start()
    try:
        module.train_step(params, state, **inputs, out=(params, state))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Log-softmax makes arrays of its own; there are four classes.
    assert peak < 4 * 4000 * 4 * 8 < held


def test_a_work_array_is_used_again_as_soon_as_nobody_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "FEWEST", 10**6)
    text = "X: Input[600, 600]\nf: Output = sum(exp(sort(tanh(sort(X) + 1) * 2)))"
    module: Any = graphc.compile(text, gradient=False, optimize="speed").module
    X = np.random.default_rng(0).normal(size=(600, 600))
    wanted = np.sum(np.exp(np.tanh(np.sort(X) + 1) * 2))
    np.testing.assert_allclose(module.f(X), wanted)
    (array, kinds) = module._WORK["f"]
    assert kinds == ((array.shape, array.dtype),)


def test_other_shapes_and_types_get_other_work_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_work, "WIDE", 0)
    module: Any = graphc.compile(MLP, optimize="speed").module
    for rows in (7, 3, 1, 9):
        for dtype in ("float64", "float32"):
            params, inputs = point(module, rows=rows)
            inputs["X"] = inputs["X"].astype(dtype)
            given = {name: array.astype(dtype) for name, array in params.items()}
            _, found = module.value_and_grad(given, **inputs)
            assert {array.dtype for array in found.values()} == {np.dtype(dtype)}
            shapes = {array.shape[0] for array in module._WORK["value_and_grad"][:-1] if array.shape[1:] == (30,)}
            assert shapes == {rows}


def test_threads_have_work_arrays_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_work, "WIDE", 0)
    module: Any = graphc.compile(MLP, optimize="speed").module
    points = [point(module, seed, rows=400) for seed in range(4)]
    wanted = [module.value_and_grad(params, **inputs) for params, inputs in points]
    wrong: list[int] = []

    def run(k: int) -> None:
        params, inputs = points[k]
        for _ in range(30):
            value, gradients = module.value_and_grad(params, **inputs)
            same = all(np.array_equal(gradients[name], array) for name, array in wanted[k][1].items())
            wrong.extend([] if value == wanted[k][0] and same else [k])

    threads = [threading.Thread(target=run, args=(k,)) for k in range(len(points))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_call_that_fails_leaves_nothing_behind() -> None:
    text = "X: Input[N, 300]\nk: Input[N, int64]\nt: Input[300]\nf: Output = sum(exp(X)[arange(N), k] * t[k + 1])"
    module: Any = graphc.compile(text, gradient=False, optimize="speed").module
    X, k, t = np.zeros((4, 300)), np.array([0, 1, 2, 299]), np.ones(300)
    with pytest.raises(ValueError, match="expected 0 to 299"):
        module.f(X, k, t)
    assert module.f(X, k - 1 + (k == 0), t) == 4.0


def test_outputs_may_be_called_as_what_modules_import_and_keep() -> None:
    text = "X: Input[N, 1000]\nw: Param[1000] = normal()\nsys: Output = mean(X @ w)\n_STATE: Output = 2.0 * w\n"
    text += "contextlib: Output = w + 1.0\nMemoryError: Output = w + 2.0"
    module: Any = graphc.compile(text, loss="sys", optimizer="adam", optimize="speed").module
    params, X = module.init_params(0), np.ones((3, 1000))
    assert module.sys_(params, X) == module.train_step(params, module.init_state(params), X)[2]
    np.testing.assert_array_equal(module._STATE_(params), 2 * params["w"])


def test_an_input_may_be_called_out_or_work() -> None:
    text = "out: Input[N]\nwork: Param[3] = ones()\nloss: Output = sum(square(out)) * sum(work)"
    module: Any = graphc.compile(text, optimize="speed", optimizer="adam").module
    params = module.init_params()
    _, wanted = module.value_and_grad(params, np.ones(5))
    _, found = module.value_and_grad(params, np.ones(5), wanted)
    assert found["work"] is wanted["work"]
    state = module.init_state(params)
    new, _, _ = module.train_step(params, state, out=np.ones(5), out_2=(params, state))
    assert new["work"] is params["work"]


def test_scalars_are_returned_as_they_are() -> None:
    text = "w: Param = normal()\nloss: Output = square(w - 3)"
    module: Any = graphc.compile(text, optimize="speed", optimizer="momentum").module
    params = module.init_params(0)
    assert module.value_and_grad(params, out={}) == module.value_and_grad(params)
    state = module.init_state(params)
    assert module.train_step(params, state, out=(params, state)) == module.train_step(params, state)
    assert "_given" not in graphc.compile(text, optimize="speed", optimizer="momentum").source_text


def test_steps_in_place_are_checked_also_after_a_good_one() -> None:
    """What is known of the parameters, that they are apart, says nothing of other inputs and other parameters."""
    text = "X: Input[4, 4]\nw: Param[4, 4] = zeros()\nv: Param[4] = zeros()\nloss: Output = mean(square(X * w - v))"
    module: Any = graphc.compile(text, optimizer="adam", optimize="speed").module
    rng = np.random.default_rng(0)
    params = {"w": rng.normal(size=(4, 4)), "v": rng.normal(size=4)}
    good = rng.normal(size=(4, 4))
    params, state, _ = module.train_step(params, module.init_state(params), good)
    for _ in range(3):
        params, state, _ = module.train_step(params, state, good, out=(params, state))
    w = params["w"]
    for bad in (w, w.T, w[::-1], np.frombuffer(w).reshape(4, 4), np.lib.stride_tricks.as_strided(w, strides=(0, 8))):
        with pytest.raises(ValueError, match="whose memory is there twice, or an argument"):
            module.train_step(params, state, bad, out=(params, state))
        module.train_step(params, state, good, out=(params, state))
    for wrong in ({**params, "w": np.asfortranarray(w)}, {**params, "v": w[0]}):
        with pytest.raises(ValueError, match=r"not contiguous|there twice"):
            module.train_step(wrong, state, good, out=(wrong, state))
    w.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        module.train_step(params, state, good, out=(params, state))
