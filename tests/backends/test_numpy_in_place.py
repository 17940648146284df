"""Large arrays are computed in place where nobody else needs them: never the caller's, nor what is read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc.backends import numpy_in_place
from tests.random_models import random_model
from tests.test_random_models import check, compiled

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.gc"))

WIDE = """
X: Input[N, 3]
y: Input[N, int64]
h = relu(dense(X, 512))
loss: Output = mean(cross_entropy(dense(tanh(dense(h, 300)), 10), y))
"""


SCANNED = """
X: Input[T, N, 3]
W: Param[3, 3]
h0: Param[N, 3]
def step(h, x):
    h = tanh(h @ W + x)
    return h, 1 - h * h
last, all = scan(step, h0, X)
loss: Output = sum(last) + sum(exp(all))
"""


def body(model: graphc.Model, function: str = "value_and_grad") -> str:
    text = model.source_text
    start = text.index(f"def {function}(")
    return text[start : text.index("\n\n\n", start)]


def test_layers_that_are_wide_are_computed_in_place() -> None:
    text = body(graphc.compile(WIDE))
    assert "    add_1 = X @ dense_W\n    add_1 += dense_b\n    h = np.maximum(add_1, 0.0, out=add_1)\n" in text
    assert "    tanh_1 = np.tanh(add_2, out=add_2)\n" in text
    assert "    d_h *= h > 0.0\n" in text


def test_a_name_of_the_model_holds_nothing_else_before() -> None:
    text = body(
        graphc.compile("X: Input[N, 512]\nb: Input[512]\nh: Output = exp(2 - (b + X * X))", gradient=False), "h"
    )
    assert "add_1 = X * X\n    add_1 += b\n    sub_1 = np.subtract(2.0, add_1, out=add_1)\n" in text
    assert "    h = np.exp(sub_1, out=sub_1)\n    return h" in text


def test_all_names_of_an_array_are_forgotten_together() -> None:
    """The array is free only when the name that it was made under is gone too."""
    text = body(graphc.compile(WIDE))
    assert "    del add_2, tanh_1\n" in text


def test_the_other_name_of_a_value_stands_where_it_is_complete() -> None:
    text = body(
        graphc.compile("X: Input[N, 512]\nh = tanh(X @ X.T @ X)\nk = h\nz: Output = h + k", gradient=False), "z"
    )
    assert "h = np.tanh(matmul_1, out=matmul_1)  # also k\n" in text


def test_layers_that_are_not_stay_one_expression() -> None:
    text = body(graphc.compile(WIDE.replace("512", "16").replace("300", "8")))
    assert "    h = np.maximum(X @ dense_W + dense_b, 0.0)\n" in text
    assert "out=" not in text and "+=" not in text and "*=" not in text


def test_values_that_the_model_names_keep_theirs() -> None:
    text = body(graphc.compile("X: Input[N, 512]\nz = 2 * X\nh: Output = tanh(z)", gradient=False), "h")
    assert "z = 2.0 * X\n" in text and "out=z" not in text


def test_what_numpy_does_in_place_by_itself_stays_as_it_is() -> None:
    text = body(graphc.compile("X: Input[N, 512]\nY: Input[N, 512]\nh: Output = X * Y + X", gradient=False), "h")
    assert "X * Y + X" in text


def test_operands_that_stand_on_the_right() -> None:
    model = graphc.compile("X: Input[N, 512]\nb: Input[512]\nh: Output = 1 / (2 - (b + X * X))", gradient=False)
    X, b = np.linspace(-1, 1, 1024).reshape(2, 512), np.linspace(3, 4, 512)
    assert "np.subtract(2.0, " in body(model, "h") and "np.divide(1.0, " in body(model, "h")
    np.testing.assert_array_equal(model.module.h(X=X, b=b), 1 / (2 - (b + X * X)))


@pytest.mark.parametrize("seed", range(6))
def test_random_models_in_place(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small arrays are: values and gradients hold, and nothing that is given or returned is changed."""
    monkeypatch.setattr(numpy_in_place, "LARGE", 1)
    check(seed)


def test_random_models_have_the_same_bits_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(4):
        params, inputs = random_model(seed).point(np.random.default_rng(seed), 4, 2)
        texts = []
        found = []
        for least in (1, 2**62):
            monkeypatch.setattr(numpy_in_place, "LARGE", least)
            model = compiled(random_model(seed))
            texts.append(model.source_text)
            with np.errstate(all="ignore"):
                value, gradients = model.value_and_grad(params, **inputs)
            found.append({"": value, **gradients})
        assert texts[0] != texts[1]
        for name, array in found[0].items():
            np.testing.assert_array_equal(array, found[1][name])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_in_place(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_in_place, "LARGE", 1)
    compile(graphc.compile(path).source_text, path.name, "exec")


def test_steps_of_scans_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_in_place, "LARGE", 1)
    model = graphc.compile(SCANNED)
    rng = np.random.default_rng(0)
    params, X = {"W": rng.standard_normal((3, 3)), "h0": rng.standard_normal((4, 3))}, rng.standard_normal((5, 4, 3))
    kept = params["h0"].copy()
    value, gradients = model.value_and_grad(params, X=X)
    monkeypatch.setattr(numpy_in_place, "LARGE", 2**62)
    expected, wanted = graphc.compile(SCANNED).value_and_grad(params, X=X)
    assert value == expected
    np.testing.assert_array_equal(params["h0"], kept)
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(gradient, wanted[name])
    assert "out=" in model.source_text
