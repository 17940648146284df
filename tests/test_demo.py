"""The demo, whole: files, accuracy, the same numbers every time; and its split."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from graphc.backends.drawing import layout_engine
from graphc.demo import Outcome, run_demo, split_digits


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path, list[str]]:
    folder, said = tmp_path_factory.mktemp("demo"), []
    return run_demo(str(folder), say=said.append), folder, said


def test_accuracy_on_unseen_digits(outcome: tuple[Outcome, Path, list[str]]) -> None:
    assert outcome[0].accuracy >= 0.96


def test_what_was_written_is_said_and_nothing_else_is_there(outcome: tuple[Outcome, Path, list[str]]) -> None:
    result, folder, said = outcome
    pictures = {"digits-forward.svg", "digits-joint.svg"} if layout_engine() else set()
    written = {path.name for path in result.written}
    assert written == {"digits.gc", "digits.py", "digits.npz"} | pictures
    assert {path.name for path in folder.iterdir()} == written
    assert all(str(path) in "\n".join(said) for path in result.written)


def test_the_trained_module_needs_numpy_alone(outcome: tuple[Outcome, Path, list[str]]) -> None:
    code = (
        "import sys, numpy as np, digits; p = dict(np.load('digits.npz'));"
        "print(digits.probs(p, np.zeros((1, 64))).shape, 'graphc' in sys.modules, 'sympy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=outcome[1], capture_output=True, text=True, check=True)
    assert done.stdout == "(1, 10) False False\n"


def test_without_graphviz_the_demo_says_so_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphc.backends.drawing.layout_engine", lambda: None)
    monkeypatch.setattr("graphc.demo.EPOCHS", 1)
    said: list[str] = []
    result = run_demo(str(tmp_path), say=said.append)
    assert [path.name for path in result.written] == ["digits.gc", "digits.py", "digits.npz"]
    assert len([line for line in said if line.startswith("no pictures")]) == 1


def test_a_new_folder_is_made_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("graphc.demo.EPOCHS", 1)
    run_demo(say=lambda line: None)
    (tmp_path / "graphc-demo" / "mine").write_text("kept")
    said: list[str] = []
    run_demo(say=said.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graphc-demo", "graphc-demo-2"]
    assert "graphc-demo-2" in "\n".join(said)


def test_the_split_is_stratified_seeded_and_a_fifth() -> None:
    split = split_digits(0)
    assert len(split.test_labels) + len(split.train_labels) == 1797
    share = np.bincount(split.test_labels) / np.bincount(np.concatenate([split.test_labels, split.train_labels]))
    assert np.all(np.abs(share - 0.2) < 0.003)
    assert np.array_equal(split.test_images, split_digits(0).test_images)
    assert not np.array_equal(split.test_images, split_digits(1).test_images)
    assert split.train_images.max() == 1.0
