"""Noise in models: its statistics, its gradients, that it is the same for a seed, and gone where a model predicts."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.errors import GraphcError
from graphc.gradient_check import check_gradient

DECLARED = "x: Input[N, 3]\ny: Input[N, int64]\ns: Input[int64]\nW: Param[3, 4] = normal()\n"
# What is noisy stands between braces.
LOSSES = {
    "input": ("x", "gaussian_noise({}, 0.5, seed=s)", "mean(({} @ W) ** 3)"),
    "weight": ("W", "gaussian_noise({}, 0.5, seed=s)", "mean((x @ {}) ** 3)"),
    "hidden": ("tanh(x @ W)", "gaussian_noise({}, 0.5, seed=s)", "mean(({} + 1) ** 3)"),
    "target": ("y", "gaussian_noise({}, 0.5, seed=s)", "mse(sum(x @ W, axis=1), {})"),
    "label": ("y", "label_noise({}, 4, 0.5, seed=s)", "mean(cross_entropy(x @ W, {}))"),
    "smooth": ("y", "label_smoothing({}, 4, 0.5)", "mean(cross_entropy(x @ W, {}))"),
    "dropped": ("x", "dropout({}, 0.5, seed=s)", "mean(({} @ W) ** 3)"),
    "connection": ("W", "dropout({}, 0.5, seed=s)", "mean((x @ {}) ** 3)"),
}
RNG = np.random.default_rng(1)
DATA: dict[str, Any] = {"x": RNG.normal(size=(5, 3)), "y": np.array([0, 1, 2, 3, 1]), "s": 7}


def noisy(name: str) -> str:
    what, noise, loss = LOSSES[name]
    return f"{DECLARED}loss: Output = {loss.format(noise.format(what))}"


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.filterwarnings("ignore::graphc.GraphcWarning")
def test_gradients_are_those_of_the_same_noise(name: str) -> None:
    model = graphc.compile(noisy(name))
    params = model.init_params(0)
    loss, gradients = model.value_and_grad(params, **DATA)
    assert check_gradient(lambda values: model(values, **DATA), params, gradients).ok
    assert model(params, **DATA) == loss
    assert name == "smooth" or any(model(params, **{**DATA, "s": seed}) != loss for seed in range(3))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.filterwarnings("ignore::graphc.GraphcWarning")
def test_a_model_that_predicts_has_no_noise(name: str) -> None:
    what, _, loss = LOSSES[name]
    plain = graphc.compile(f"{DECLARED}loss: Output = {loss.format(what)}")
    trained, predicts = graphc.compile(noisy(name)), graphc.compile(noisy(name), training=False)
    params = plain.init_params(0)
    assert predicts(params, **DATA) == plain(params, **DATA) != trained(params, **DATA)

    def code(model: graphc.Model) -> list[str]:
        lines = model.source_text[model.source_text.index("import numpy") :].split("\n")
        return [line for line in lines if not line.strip().startswith("#")]

    assert code(predicts) == code(plain)


def drawn(expression: str, count: int = 40_000, **options: Any) -> Any:
    text = (
        f"x: Input[N]\ny: Input[N, int64]\ns: Input[int64]\nf: Output = {expression}\nunused: Output = sum(x) + sum(y)"
    )
    model = graphc.compile(text, gradient=False, **options)
    return np.asarray(model(x=np.full(count, 2.0), y=np.full(count, 1), s=3)["f"])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.filterwarnings("ignore::graphc.GraphcWarning")
def test_gaussian_noise_has_its_mean_and_deviation(dtype: Any) -> None:
    found = drawn("gaussian_noise(x, 0.5, seed=s)", dtype=dtype)
    assert found.mean() == pytest.approx(2, abs=0.01)
    assert found.std() == pytest.approx(0.5, abs=0.01)
    assert np.mean(np.abs(found - 2) < 0.5) == pytest.approx(0.6827, abs=0.01)


@pytest.mark.filterwarnings("ignore::graphc.GraphcWarning")
def test_label_noise_draws_its_share_from_all_classes() -> None:
    found = drawn("label_noise(y, 4, 0.4, seed=s)")
    assert found.dtype == np.int64
    np.testing.assert_allclose(np.bincount(found) / len(found), [0.1, 0.7, 0.1, 0.1], atol=0.01)
    assert set(drawn("label_noise(y, 4, 0, seed=s)")) == {1}
    np.testing.assert_allclose(np.bincount(drawn("label_noise(y, 4, 1, seed=s)")) / 40_000, 0.25, atol=0.01)


@pytest.mark.filterwarnings("ignore::graphc.GraphcWarning")
def test_smoothed_labels_are_weights() -> None:
    np.testing.assert_allclose(drawn("label_smoothing(y, 4, 0.2)", 2), [[0.05, 0.85, 0.05, 0.05]] * 2, rtol=1e-15)
    np.testing.assert_array_equal(drawn("label_smoothing(y, 3, 0)", 1), [[0, 1, 0]])


@pytest.mark.filterwarnings("ignore::graphc.GraphcWarning")
def test_two_calls_with_a_seed_are_independent() -> None:
    found = drawn("gaussian_noise(x, 1, seed=s) * gaussian_noise(0 * x, 1, seed=s)")
    assert found.mean() == pytest.approx(0, abs=0.03)


def test_labels_that_noise_is_for_are_checked_before_training() -> None:
    with pytest.raises(GraphcError, match="expected labels from 0 to 3 for y, found 9 at"):
        graphc.fit(noisy("label"), {"x": DATA["x"], "y": np.array([0, 1, 9, 3, 1])}, epochs=1)


@pytest.mark.parametrize(
    ("call", "code", "message"),
    [
        ("label_noise(x, 4, 0.1, seed=s)", "GC108", "label_noise needs integer labels, got float64"),
        ("label_noise(y, 4, 1.1, seed=s)", "GC108", "label_noise needs a rate from 0 to 1, got 1.1"),
        ("label_noise(y, 4, -0.1, seed=s)", "GC108", "label_noise needs a rate from 0 to 1, got -0.1"),
        ("label_smoothing(x, 4, 0.1)", "GC108", "label_smoothing needs integer labels, got float64"),
        ("label_smoothing(y, 4, 2)", "GC108", "label_smoothing needs a rate from 0 to 1, got 2"),
        ("dropout(x, 1, seed=s)", "GC108", "dropout needs a rate from 0 up to but not 1, got 1"),
        ("dropout(x, -0.5, seed=s)", "GC108", "dropout needs a rate from 0 up to but not 1, got -0.5"),
        ("gaussian_noise(x, 0.1)", "GC103", r"gaussian_noise takes (x, std, seed), found no seed"),
        ("gaussian_noise(x, 0.1, seed=x)", "GC204", "a seed is an integer scalar, got float64[N, 3]"),
    ],
)
def test_what_makes_no_sense_has_its_place(call: str, code: str, message: str) -> None:
    for training in (True, False) if code == "GC108" else (True,):
        with pytest.raises(GraphcError, match=re.escape(message)) as caught:
            graphc.compile(f"{DECLARED}loss: Output = sum({call})", training=training)
        found = caught.value.diagnostics[0]
        assert (found.code, str(found.span)) == (code, "<model>:5:20")
