"""The test that a module makes of its own gradient: passes when right, fails when a line of the gradient is wrong."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import graphc
from graphc.backends.numpy_check import example_sizes
from graphc.backends.numpy_module import load_module
from tests.random_models import random_model

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.gc"))
TEXTS = {
    "domain": "x: Input[N]\nloss: Output = sum(log(x) * sqrt(x))",
    "above one": "x: Input[N]\nloss: Output = sum(acosh(x))",
    "zeros": "X: Input[N, 3]\nw: Param[3] = zeros()\nloss: Output = sum(abs(X @ w))",
    "labels": "X: Input[N, k]\ny: Input[N, int64]\nloss: Output = sum(pick(log_softmax(X), y))",
    "conditions": "X: Input[N, M]\nloss: Output = sum(max(reshape(X, (N * M // 4, 4))[:, 2:], axis=0) ** 2)",
    "without": "c: Param = ones()\nX: Input[N, n]\nW: Param[n, n]\nb: Param[n]\nloss: Output = sum(c * X @ W + b)",
    "dropout": "X: Input[N, 3]\nseed: Input[int64]\nloss: Output = sum(dropout(X, 0.5, seed=seed) ** 2)",
    "mask": "X: Input[N]\nm: Input[N, bool]\nloss: Output = sum(where(m, X, 1.0) ** 3)",
    "kept word": "lambda_: Input\nif_: Input[3]\nloss: Output = sum(lambda_ * if_)",
}


def checking(source: object, **options: object) -> graphc.Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", graphc.GraphcWarning)
        return graphc.compile(source, with_=["check"], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_pass(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = checking(path)
    assert model.module.check()
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == [*model.variables]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_points_are_found_where_models_are_finite(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert checking(text).module.check(1), capsys.readouterr().out


@pytest.mark.parametrize("seed", range(8))
def test_random_models_pass(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert checking(random_model(seed).text).module.check(seed), capsys.readouterr().out


def test_float32_models_are_checked_in_float64() -> None:
    assert checking(TEXTS["zeros"], dtype="float32").module.check()


def test_a_wrong_line_of_the_gradient_is_found(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = checking("x: Input[3]\ny: Input\nloss: Output = sum(sin(x)) * y").source_text
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(text, encoding="utf-8")
    assert text.count("np.cos(x)") >= 1
    wrong.write_text(text.replace("np.cos(x)", "(np.cos(x) + 1e-4)"), encoding="utf-8")
    assert [subprocess.run([sys.executable, path], check=False).returncode for path in (right, wrong)] == [0, 1]
    last = capfd.readouterr().out.splitlines()[-2:]
    assert last[0].startswith("x: relative error") and last[0].endswith("WRONG")
    assert last[1].startswith("y: relative error") and not last[1].endswith("WRONG")


def test_a_gradient_that_is_never_finite_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert not checking("x: Input\nloss: Output = log(-1 - square(x))").module.check()
    assert capsys.readouterr().out == "no point found where the value and the gradient are finite\n"


def test_a_lost_gradient_is_found() -> None:
    text = checking("x: Input[3]\nloss: Output = sum(square(x))").source_text
    broken = text.replace("2.0 * x", "0.0 * x")
    assert broken != text
    assert not load_module(broken, "broken").check()


def test_sizes_fit_the_conditions() -> None:
    sizes = example_sizes(graphc.compile(TEXTS["conditions"]).graph)
    assert sizes["N"] * sizes["M"] % 4 == 0 and sizes["N"] != sizes["M"]


def test_an_output_called_check_is_refused() -> None:
    with pytest.raises(graphc.GraphcError, match="GC411"):
        checking("x: Input\ncheck: Output = x * x").source_text  # noqa: B018
