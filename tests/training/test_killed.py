"""Trainings that are killed in the middle of writing a checkpoint go on as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc.training.fit import Fit

ROOT = Path(__file__).parents[2]
# A quarter of a million parameters: writing four times as many numbers takes a while.
MODEL = "X: Input[N, 8]\ny: Input[N]\nloss: Output = mse(sum(tanh(dense(X, 30_000)), axis=1), y)\n"
SCRIPT = "from tests.training.test_killed import trained; trained('c.npz', 10_000)"


def trained(checkpoint: str | Path, epochs: int) -> Fit:
    rng = np.random.default_rng(0)
    data = {"X": rng.normal(size=(20, 8)), "y": rng.normal(size=20)}
    return graphc.fit(MODEL, data, epochs=epochs, batch=10, holdout=0.2, checkpoint=checkpoint, resume=True)


def killed_while_writing(folder: Path, delay: float) -> bool:
    """Kill a training while it writes a checkpoint over another one; whether half of it is left."""
    whole = folder / "c.npz"
    before = {*folder.iterdir(), whole}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", SCRIPT], cwd=folder, env=environment) as process:
        while not (whole.exists() and set(folder.iterdir()) - before):
            assert process.poll() is None
            time.sleep(0.0005)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    return bool(set(folder.iterdir()) - before)


@pytest.mark.slow
def test_kills_in_the_middle_of_a_checkpoint_lose_nothing(tmp_path: Path) -> None:
    (tmp_path / "killed").mkdir()
    halves = [killed_while_writing(tmp_path / "killed", delay) for delay in (0.0, 0.001, 0.005)]
    assert any(halves)
    with np.load(tmp_path / "killed" / "c.npz") as arrays:
        epochs = len(arrays["history"]) + 2
    resumed, whole = trained(tmp_path / "killed" / "c.npz", epochs), trained(tmp_path / "whole.npz", epochs)
    assert repr(resumed.history) == repr(whole.history)
    assert all(np.array_equal(resumed.params[name], whole.params[name]) for name in whole.params)
