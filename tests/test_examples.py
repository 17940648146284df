"""Every example compiles without a warning, its gradient agrees with differences, and the README lists it."""

from __future__ import annotations

import glob
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from graphc.cli import main
from graphc.compiler import compile
from graphc.data.digits import load_digits
from graphc.size import substitute
from graphc.tensor_type import TensorType

FOLDER = Path(__file__).parents[1] / "examples"
MODELS = sorted(FOLDER.glob("*.gc"))
SIZES = {"N": 7, "d": 3, "n": 5, "m": 6, "p": 8, "D": 3, "K": 4, "B": 2, "M": 5, "T": 6, "H": 4}


def drawn(type: TensorType, rng: np.random.Generator) -> np.ndarray:
    """Classes 0 and 1 for integers, numbers between 0 and 1 for floats: they serve every example."""
    shape = tuple(substitute(size, SIZES) for size in type.shape)
    return rng.integers(0, 2, shape) if type.is_int else rng.uniform(0.0, 1.0, shape)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_the_gradient_agrees_with_differences(path: Path) -> None:
    model = compile(path)
    assert model.warnings == ()
    rng = np.random.default_rng(0)
    inputs = {str(node.attrs["name"]): drawn(node.tensor, rng) for node in model.graph.inputs}
    params = {str(node.attrs["name"]): drawn(node.tensor, rng) for node in model.graph.params}
    report = model.check_grad(*([params] if params else []), **inputs)
    assert report.ok, str(report)


@pytest.mark.parametrize(("name", "gradient"), [("figure1", (4, 4, 5)), ("figure2", (16, 12, 11))])
def test_the_figures_have_the_gradients_of_the_lecture(name: str, gradient: tuple[int, ...]) -> None:
    _, found = compile(FOLDER / f"{name}.gc").value_and_grad(x=2.0, y=3.0, z=4.0)
    assert tuple(float(found[key]) for key in "xyz") == gradient


def test_the_convolutional_network_learns() -> None:
    model = compile(FOLDER / "convnet.gc")
    images, labels = load_digits()
    X, y = images[:200] / 16.0, labels[:200]
    params = model.init_params(0)
    losses = []
    for _ in range(30):
        loss, gradients = model.value_and_grad(params, X=X, y=y)
        params = {name: value - 0.3 * gradients[name] for name, value in params.items()}
        losses.append(float(loss))
    assert losses[-1] < 0.3 * losses[0]
    probs = model.module.probs(params, X)
    assert np.mean(np.argmax(probs, axis=1) == y) > 0.8


def test_the_readme_lists_every_model() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in MODELS if f"]({path.name})" not in text] == []


COMMANDS = re.findall(r"^\$ graphc (.*)$", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_readme_run(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER.parent)
    words = [found for word in shlex.split(command) for found in (sorted(glob.glob(word)) or [word])]
    done = CliRunner().invoke(main, words, catch_exceptions=False)
    assert (done.exit_code, done.stdout != "" or words[0] == "check") == (0, True), done.stderr
