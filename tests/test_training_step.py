"""Steps of training in generated modules: each optimiser beside the formulas of its paper, options, names, errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.errors import GraphcError
from graphc.generated import difference
from graphc.optimizer import Optimizer, optimizers

MODEL = """
X: Input[N, 3]
y: Input[N]
W: Param[3, 2] = normal()
b: Param = 0.5
loss: Output = mean((sum(tanh(X @ W), axis=1) + b - y) ** 2)
"""
RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(8, 3)), RNG.normal(size=8)
STEPS = 50

Update = Callable[[Any, Any, list[Any], int], Any]


def gradient(params: dict[str, Any]) -> dict[str, Any]:
    """By hand."""
    h = np.tanh(X @ params["W"])
    d = 2 * (h.sum(1) + params["b"] - Y) / len(Y)
    return {"W": X.T @ (d[:, None] * (1 - h**2)), "b": d.sum()}


def momentum(p: Any, g: Any, s: list[Any], t: int) -> Any:
    s[0] = 0.8 * s[0] + g
    return p - 0.02 * s[0]


def nesterov(p: Any, g: Any, s: list[Any], t: int) -> Any:
    s[0] = 0.9 * s[0] + g
    return p - 0.01 * (g + 0.9 * s[0])


def adagrad(p: Any, g: Any, s: list[Any], t: int) -> Any:
    s[0] = s[0] + g * g
    return p - 0.01 / (np.sqrt(s[0]) + 1e-10) * g


def rmsprop(p: Any, g: Any, s: list[Any], t: int) -> Any:
    s[0] = 0.99 * s[0] + 0.01 * g * g
    return p - 0.01 / (np.sqrt(s[0]) + 1e-8) * g


def adam(p: Any, g: Any, s: list[Any], t: int, lr: float = 0.001) -> Any:
    s[0] = 0.9 * s[0] + 0.1 * g
    s[1] = 0.999 * s[1] + 0.001 * g * g
    return p - lr * (s[0] / (1 - 0.9**t)) / (np.sqrt(s[1] / (1 - 0.999**t)) + 1e-8)


def bounded(p: Any, limit: float) -> Any:
    """Columns, and what is no matrix as a whole, scaled down to a norm of at most this."""
    norm = np.sqrt(np.sum(p**2, axis=0 if np.ndim(p) == 2 else None))
    return p * np.minimum(1, limit / norm)


UPDATES: dict[str, Update] = {
    "gradient_descent": lambda p, g, s, t: p - 0.01 * g,
    "gradient_ascent(lr=0.002)": lambda p, g, s, t: p + 0.002 * g,
    "momentum(lr=0.02, decay=0.8)": momentum,
    "nesterov": nesterov,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw(lr=0.01)": lambda p, g, s, t: adam(p - 0.01 * 0.01 * p, g, s, t, 0.01),
    "gradient_descent(lr=0.1 / step)": lambda p, g, s, t: p - 0.1 / t * g,
    "gradient_descent(l2=0.1)": lambda p, g, s, t: p - 0.01 * (g + 0.2 * p),
    "gradient_descent(l1=0.1)": lambda p, g, s, t: p - 0.01 * (g + 0.1 * np.sign(p)),
    "gradient_descent(l1=0.1, l2=0.05)": lambda p, g, s, t: p - 0.01 * (g + 0.1 * np.sign(p) + 0.1 * p),
    "gradient_descent(l1='0.1 / step', l2='0.1 * step')": lambda p, g, s, t: (
        p - 0.01 * (g + 0.1 / t * np.sign(p) + 0.2 * t * p)
    ),
    "gradient_descent(lr=0.1, max_norm='0.3 + 1 / step')": lambda p, g, s, t: bounded(p - 0.1 * g, 0.3 + 1 / t),
    "gradient_ascent(lr=0.002, l2=0.1)": lambda p, g, s, t: p + 0.002 * (g - 0.2 * p),
    "gradient_descent(clip=0.3)": lambda p, g, s, t: p - 0.01 * np.clip(g, -0.3, 0.3),
    "momentum(lr=0.02, decay=0.8, weight_decay=0.1)": lambda p, g, s, t: momentum(p * (1 - 0.002), g, s, t),
    "adam(weight_decay='1 / step')": lambda p, g, s, t: adam(p * (1 - 0.001 / t), g, s, t),
}


def by_hand(update: Update, params: dict[str, Any], steps: int = STEPS) -> dict[str, Any]:
    memory = {name: [np.zeros_like(value)] * 2 for name, value in params.items()}
    for t in range(1, steps + 1):
        gradients = gradient(params)
        params = {name: update(params[name], gradients[name], memory[name], t) for name in params}
    return params


def trained(model: graphc.Model, steps: int = STEPS, **data: Any) -> Iterator[tuple[Any, Any, Any]]:
    params = model.init_params(0)
    state = model.init_state(params)
    for _ in range(steps):
        params, state, loss = model.train_step(params, state, **(data or {"X": X, "y": Y}))
        yield params, state, loss


@pytest.mark.parametrize("text", UPDATES)
def test_fifty_steps_are_those_of_the_formulas(text: str) -> None:
    model = graphc.compile(MODEL, optimizer=text.replace("'", ""))
    *_, (params, state, _) = trained(model)
    want = by_hand(UPDATES[text], model.init_params(0))
    assert state["steps_done"] == STEPS
    for name in want:
        np.testing.assert_allclose(params[name], want[name], rtol=1e-12, atol=1e-14)


def test_every_optimizer_is_held_to_a_formula() -> None:
    assert {Optimizer.parse(text.replace("'", "")).name for text in UPDATES} == set(optimizers())


def test_the_norm_of_all_gradients_is_clipped_together() -> None:
    model = graphc.compile(MODEL, optimizer="gradient_descent(lr=0.1, clip_norm=0.5)")
    params = model.init_params(0)
    for new, _, _ in trained(model):
        gradients = gradient(params)
        norm = np.sqrt(sum(np.sum(g**2) for g in gradients.values()))
        for name in params:
            want = params[name] - 0.1 * gradients[name] * min(1, 0.5 / norm)
            np.testing.assert_allclose(new[name], want, rtol=1e-12, atol=1e-14)
        params = new


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 2, 2), (5,), ()])
def test_the_weights_into_each_unit_are_bounded(shape: tuple[int, ...]) -> None:
    declared = f"[{', '.join(map(str, shape))}]" if shape else ""
    text = f"w: Param{declared} = normal(0, 10)\nloss: Output = sum(0 * w)"
    model = graphc.compile(text, optimizer="gradient_descent(max_norm=2)")
    params = model.init_params(0)
    new, _, _ = model.train_step(params, model.init_state(params))
    units = [(params["w"], new["w"])] if len(shape) < 2 else list(zip(params["w"], new["w"], strict=True))
    for before, after in units:
        norm = np.sqrt(np.sum(before**2))
        np.testing.assert_allclose(after, before * min(1, 2 / norm), rtol=1e-14)


@pytest.mark.parametrize("options", ["l1=0.1", "l2=0.1", "weight_decay=1 / step", "max_norm=0.3", "l1=1, max_norm=1"])
@pytest.mark.parametrize(("name", "plain"), [("momentum", "momentum"), ("adamw", "adam")])
def test_some_parameters_alone_are_regularized(name: str, plain: str, options: str) -> None:
    text = "x: Input\nW: Param[3, 2] = normal()\nW_2: Param = 1.0\nb: Param[3] = 0.5\n"
    text += "loss: Output = x * (l2(W) + l2(W_2) + l2(b))"

    def found(optimizer: str) -> dict[str, Any]:
        *_, (params, _, _) = trained(graphc.compile(text, optimizer=optimizer), 9, x=1.0)
        return dict(params)

    some, all_, none = found(f"{name}({options}, regularized='W, W_*')"), found(f"{name}({options})"), found(plain)
    for parameter in ("W", "W_2"):
        np.testing.assert_array_equal(some[parameter], all_[parameter])
        assert not np.array_equal(some[parameter], none[parameter])
    np.testing.assert_array_equal(some["b"], none["b"])
    assert not np.array_equal(some["b"], all_["b"])


@pytest.mark.parametrize(
    ("average", "weights"),
    [
        ("0.75", lambda t, last: 0.75 ** (last - t) * (0.25 if t else 1)),
        ("tail_average(step)", lambda t, last: 1 / last if t else 0),
        ("tail_average(step, 4)", lambda t, last: 1 / (last - 4) if t > 4 else 0),
        ("tail_average(step, 100)", lambda t, last: float(t == last)),
    ],
)
def test_averages_are_weighted_means(average: str, weights: Callable[[int, int], float]) -> None:
    model = graphc.compile(MODEL, optimizer=Optimizer("momentum", average=average))
    plain = graphc.compile(MODEL, optimizer="momentum")
    path = [plain.init_params(0), *(params for params, _, _ in trained(plain, 9))]
    *_, (params, state, _) = trained(model, 9)
    found = model.averaged_params(params, state)
    for name in params:
        want = sum(weights(t, 9) * path[t][name] for t in range(10))
        np.testing.assert_allclose(found[name], want, rtol=1e-13)
        np.testing.assert_array_equal(params[name], path[-1][name])


def test_averages_are_the_parameters_at_first_and_arrays_of_their_own() -> None:
    text = MODEL.replace("+ b", "+ b + sum(V)").replace("loss", "V: Param[2] = ones()\nloss")
    model = graphc.compile(text, wrt=["W"], optimizer="adam(average=0.9)")
    params = model.init_params(0)
    state = model.init_state(params)
    assert list(state) == ["steps_done", "m_W", "v_W", "average_W"]
    found = model.averaged_params(params, state)
    for name in params:
        np.testing.assert_array_equal(found[name], params[name])
    new, remembered, _ = model.train_step(params, state, X=X, y=Y)
    found = {**found, "new W": model.averaged_params(new, remembered)["W"]}
    for given in (*params.values(), *state.values(), *new.values(), *remembered.values()):
        assert not any(np.shares_memory(given, array) for array in found.values())
    with pytest.raises(ValueError, match=r"averaged_params\(\): state has nothing"):
        model.averaged_params(params, {})
    with pytest.raises(AttributeError, match=r"an optimiser that keeps averages, such as adam\(average=0.99\)"):
        graphc.compile(MODEL, optimizer="adam").averaged_params(params, state)


def test_a_norm_of_zero_stays_zero() -> None:
    model = graphc.compile(MODEL, optimizer="gradient_descent(clip_norm=1)")
    zeros = {"W": np.zeros((3, 2)), "b": np.float64(0)}
    with np.errstate(all="raise"):
        params, _, loss = model.train_step(zeros, model.init_state(zeros), X=X, y=np.zeros(8))
    assert loss == 0
    assert not params["W"].any()


def test_the_loss_is_that_before_the_step() -> None:
    model = graphc.compile(MODEL, optimizer="adam(l2=1)")
    params = model.init_params(0)
    _, _, loss = model.train_step(params, model.init_state(params), X=X, y=Y)
    np.testing.assert_allclose(loss, model.value_and_grad(params, X=X, y=Y)[0], rtol=1e-14)


@pytest.mark.parametrize(
    ("schedule", "want"),
    [
        ("warmup(step, 4)", [0.25, 0.5, 0.75, 1, 1, 1]),
        ("step_decay(step, 2, 0.5)", [1, 1, 0.5, 0.5, 0.25, 0.25]),
        ("exponential_decay(step, 2)", [1, 10**-0.5, 0.1, 10**-1.5, 0.01, 10**-2.5]),
        ("cosine_decay(step, 4)", [1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5, 0, 0]),
        ("cosine_decay(step, 2, end=0.5)", [1, 0.75, 0.5, 0.5, 0.5, 0.5]),
        ("where(step < 3, 1.0, 0.5)", [1, 1, 0.5, 0.5, 0.5, 0.5]),
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_schedules(schedule: str, want: list[float], dtype: Any) -> None:
    text = "w: Param = 0.0\nx: Input\nloss: Output = -w * x"
    model = graphc.compile(text, optimizer=Optimizer("gradient_descent", lr=schedule), dtype=dtype)
    found = [params["w"] for params, _, _ in trained(model, len(want), x=np.dtype(dtype).type(1))]
    np.testing.assert_allclose(np.diff([0, *found]), want, atol=1e-6 if dtype == "float32" else 1e-14)


@pytest.mark.parametrize("name", optimizers())
def test_float32_stays_float32(name: str) -> None:
    lr = "0.1 * warmup(step, 3) * cosine_decay(step, 9)"
    options: dict[str, Any] = {"lr": lr, "clip_norm": 1, "l2": 0.1, "max_norm": 3, "average": "tail_average(step, 2)"}
    model = graphc.compile(MODEL, optimizer=Optimizer(name, **options), dtype="float32")
    data = {"X": X.astype(np.float32), "y": Y.astype(np.float32)}
    *_, (params, state, loss) = trained(model, 3, **data)
    assert {np.asarray(value).dtype for value in (*params.values(), loss)} == {np.dtype("float32")}
    assert {np.asarray(value).dtype for name, value in state.items() if name != "steps_done"} <= {np.dtype("float32")}
    assert isinstance(state["steps_done"], (int, np.int64))


def test_nothing_given_is_changed_and_nothing_given_is_returned() -> None:
    text = MODEL.replace("+ b", "+ b + sum(V)").replace("loss", "V: Param[2] = zeros()\nloss")
    model = graphc.compile(text, wrt=["W"], optimizer="momentum")
    params = model.init_params(0)
    state = model.init_state(params)
    before = {name: np.array(value) for name, value in (*params.items(), *state.items())}
    new, remembered, _ = model.train_step(params, state, X=X, y=Y)
    for name, value in (*params.items(), *state.items()):
        np.testing.assert_array_equal(value, before[name])
    for given in (*params.values(), *state.values(), X, Y):
        assert not any(np.shares_memory(given, found) for found in (*new.values(), *remembered.values()))
    # What is not trained stays as it is.
    np.testing.assert_array_equal(new["V"], params["V"])
    assert list(state) == ["steps_done", "velocity_W"]


def test_any_name_may_be_that_of_a_parameter_or_an_input() -> None:
    names = [
        "step",
        "lr",
        "d_step",
        "average",
        "average_lr",
        "max_norm_factor",
        "moving_average",
        "new_step",
        "m_lr",
        "adam",
        "grad",
        "steps_done",
        "params_",
        "state_W",
        "lambda_",
    ]
    lines = [f"{name}: Param[2] = normal()" for name in names]
    total = " + ".join(f"sum({name} ** 2)" for name in names)
    text = "\n".join(["state: Input", "m_step: Input", *lines, f"loss: Output = state * m_step * ({total})"])
    model = graphc.compile(
        text, optimizer="adam(lr=0.1 * warmup(step, 10), clip_norm=1, max_norm=9 / step, average=0.5)"
    )
    *_, (params, state, loss) = trained(model, 3, state=1.0, m_step=2.0)
    assert list(params) == names
    assert set(state) == {"steps_done", *(f"{slot}_{name}" for slot in ("m", "v", "average") for name in names)}
    assert loss < model.value_and_grad(model.init_params(0), state=1.0, m_step=2.0)[0]


def test_a_module_says_its_optimizer_and_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "m.gc").write_text(MODEL)
    optimizer = Optimizer("adam", lr="0.1 - -step * 0", clip_norm=1.0)
    path = graphc.compile(tmp_path / "m.gc", optimizer=optimizer, with_=["check"]).write(tmp_path / "m.py")
    assert "--with train_step, check --optimizer adam(lr=0.1 - -step * 0, clip_norm=1.0)" in path.read_text()
    assert difference(path) == ""
    chosen = Optimizer("adam", l2=0.1, max_norm=3.0, average="tail_average(step, 9)", regularized=" W , W*.weight,*_W")
    assert Optimizer.parse(str(chosen)) == chosen
    path = graphc.compile(tmp_path / "m.gc", optimizer=chosen.with_option("regularized", "W")).write(tmp_path / "m.py")
    assert difference(path) == ""
    assert "adam" in graphc.compile(MODEL, with_=["train_step"]).source_text


def test_pairs_of_hyphens_are_taken_apart(tmp_path: Path) -> None:
    (tmp_path / "m.gc").write_text(MODEL)
    path = graphc.compile(tmp_path / "m.gc", optimizer="adam(lr=0.1 - --0.01)").write(tmp_path / "m.py")
    assert difference(path) == ""


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (3, "state has a int, expected what init_state(params) gives: steps_done, velocity_W, velocity_b"),
        ({}, "state has nothing, expected what init_state(params) gives"),
        ({"steps_done": 0, "velocity_W": np.zeros((3, 3)), "velocity_b": 0.0}, "state['velocity_W'] has shape (3, 3)"),
        ({"steps_done": 0.5, "velocity_W": np.zeros((3, 2)), "velocity_b": 0.0}, "state['steps_done'] is float64"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(state: Any, message: str) -> None:
    model = graphc.compile(MODEL, optimizer="momentum")
    params, right, _ = model.train_step(params := model.init_params(0), model.init_state(params), X=X, y=Y)
    model.train_step(params, right, X=X, y=Y)
    with pytest.raises((ValueError, TypeError)) as caught:
        model.train_step(params, state, X=X, y=Y)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (None, "params is a NoneType, expected a dict of arrays"),
        ({"W": np.zeros((3, 2))}, "params lacks b; expected W, b"),
        ({"W": np.zeros((2, 2)), "b": 0.0}, "W has shape (2, 2), expected (3, 2)"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(params: Any, message: str) -> None:
    model = graphc.compile(MODEL, optimizer="momentum")
    state = model.init_state(model.init_params(0))
    with pytest.raises((ValueError, TypeError)) as caught:
        model.train_step(params, state, X=X, y=Y)
    assert f"train_step(): {message}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adan", "expected an optimiser among gradient_descent, gradient_ascent, momentum"),
        ("warmup", "expected an optimiser among"),
        (
            "adam(rate=1)",
            "adam takes lr, beta1, beta2, eps, l1, l2, clip, clip_norm, weight_decay, max_norm, average, regularized,"
            " found no option rate",
        ),
        ("adam(0.1)", "expected an optimiser such as adam or adam(lr=0.01), found 'adam(0.1)'"),
        ("adam(lr=1, lr=2)", "expected an"),
        ("adam(**{})", "expected an optimiser such as"),
        ("", "expected an expression for an optimiser, found ''"),
        ("(" * 5000, "expected an expression for an optimiser"),
        (
            "adam(regularized='W')",
            "regularized is for l1, l2, weight_decay, max_norm, expected one of these, found none",
        ),
        ("adam(l2=1, regularized='V')", "expected names among W, b for regularized, found V"),
        ("adam(l2=1, regularized='W, w')", "expected names among W, b for regularized, found w"),
        ("adam(l2=1, regularized='')", "expected names of parameters, such as 'W, *_W', for regularized, found ''"),
        ("adam(l2=1, regularized='[W--')", "expected names of parameters"),
        ("adam\nimport os", "expected an expression for an optimiser"),
        ("adam(lr=-1)", "expected a number that is not negative for lr, found -1"),
        ("momentum(decay=1.5)", "expected a number from 0 to below 1 for decay, found 1.5"),
        ("adam(beta2=1)", "expected a number from 0 to below 1 for beta2, found 1"),
        ("adam(l2=-0.1)", "expected a number that is not negative for l2, found -0.1"),
    ],
)
def test_what_is_no_optimizer_is_refused(text: str, message: str) -> None:
    with pytest.raises(GraphcError) as caught:
        _ = graphc.compile(MODEL, optimizer=text).source_text
    assert caught.value.diagnostics[0].code == "GC417"
    assert message in caught.value.diagnostics[0].message


def test_what_is_neither_text_nor_optimizer_is_refused() -> None:
    wrong: Any = 3
    with pytest.raises(GraphcError, match=r"GC417.*expected an optimiser such as adam or .*, found 3"):
        graphc.compile(MODEL, optimizer=wrong)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, [1], "0.1\nW: Param[3]", "x :="])
def test_an_option_is_a_number_or_an_expression(value: Any) -> None:
    with pytest.raises(GraphcError) as caught:
        Optimizer("adam", lr=value)
    assert caught.value.diagnostics[0].code == "GC417"


@pytest.mark.parametrize(
    ("lr", "code", "column"),
    [("0.1 * foo", "GC101", 12), ("X", "GC101", 6), ("lambda: 1", "GC002", 6), ("__import__('os')", "GC002", 6)],
)
def test_an_error_in_an_option_has_its_place(lr: str, code: str, column: int) -> None:
    with pytest.raises(GraphcError) as caught:
        _ = graphc.compile(MODEL, optimizer=Optimizer("momentum", lr=lr)).source_text
    found = caught.value.diagnostics[0]
    assert (found.code, str(found.span)) == (code, f"optimizer:1:{column}")


@pytest.mark.parametrize(
    ("option", "text", "column", "found"),
    [
        ("lr", "'0.1 * step'", 6, "the text '0.1 * step'"),
        ("beta1", "[0.9]", 9, "a list of 1"),
        ("lr", "stack([1.0 * step, 1.0])", 6, "a tensor float64[2]"),
        ("lr", "nan", 6, "the number nan"),
        ("lr", "None", 6, "None"),
        ("clip", "relu", 8, "the function relu"),
    ],
)
def test_what_gives_no_number_is_refused_at_the_option(option: str, text: str, column: int, found: str) -> None:
    with pytest.raises(GraphcError) as caught:
        _ = graphc.compile(MODEL, optimizer=Optimizer("adam", **{option: text})).source_text
    refused = caught.value.diagnostics[0]
    assert (refused.code, str(refused.span)) == ("GC417", f"optimizer:1:{column}")
    assert refused.message == f"expected a number or an expression of step for {option}, found {found}"


@pytest.mark.parametrize(("text", "options"), [("x * y", {}), (MODEL, {"wrt": ["X"]}), (MODEL, {"gradient": False})])
def test_what_cannot_be_trained_is_refused(text: str, options: Any) -> None:
    with pytest.raises(GraphcError) as caught:
        _ = graphc.compile(text, with_=["train_step"], **options).source_text
    assert caught.value.diagnostics[0].code == "GC411"


def test_a_model_without_an_optimizer_says_so() -> None:
    model = graphc.compile(MODEL)
    with pytest.raises(AttributeError, match="compiled without an optimiser"):
        model.init_state(model.init_params(0))
