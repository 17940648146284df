"""Data larger than memory: `graphc train` on a table ten times as large as the memory that it is allowed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc.training import scores
from graphc.training.fit import fit

ROOT = Path(__file__).parents[2]
MODEL = """
X: Input[N, 20]
y: Input[N, int64]
z = dense(X, 3)
loss: Output = mean(cross_entropy(z, y))
p: Output = softmax(z)
"""
ALLOWED = 4 * 2**20
# What is allowed comes on top of what a small table has needed. Neither the file fits into it, nor the numbers in it.
SCRIPT = f"""
import resource, sys
from pathlib import Path
from click.testing import CliRunner
from graphc.cli import main

def trained(data):
    options = ["--epochs", "1", "--batch", "500", "--holdout", "0.2", "--checkpoint", f"{{data}}.npz", "-o", "p.npz"]
    done = CliRunner().invoke(main, ["train", "-e", {MODEL!r}, "--data", data, *options])
    assert done.exit_code == 0, done.output
    return done.stderr

trained("small.csv")
lines = Path("/proc/self/status").read_text().splitlines()
held = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (held + {ALLOWED}, held + {ALLOWED}))
print(trained("big.csv"), end="")
for size in (Path("big.csv").stat().st_size, 80 * 2**10 * 20 * 8):
    try:
        bytearray(size)
    except MemoryError:
        print("does not fit")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits what a process may allocate as Linux does")
def test_a_table_ten_times_as_large_as_the_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(1024, 20))
    kinds = np.array(["fox", "cat", "dog"])[numbers[:, :3].argmax(axis=1)]
    rows = [",".join([*(f"{x:.17e}" for x in row), kind]) for row, kind in zip(numbers, kinds, strict=True)]
    block, header = "\n".join([*rows, ""]), ",".join([*(f"X{place}" for place in range(20)), "y"]) + "\n"
    (tmp_path / "small.csv").write_text(header + block)
    with (tmp_path / "big.csv").open("w") as file:
        file.write(header)
        for _ in range(90):
            file.write(block)
    assert (tmp_path / "big.csv").stat().st_size > 10 * ALLOWED
    # What generated modules have the C library keep for their arrays would come on top, as docs/modules.md says.
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_MMAP_THRESHOLD_": "131072",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("does not fit\n") == 2
    whole = fit(MODEL, {"X": np.tile(numbers, (90, 1)), "y": np.tile(np.unique(kinds, return_inverse=True)[1], 90)},
                epochs=1, batch=500, holdout=0.2)  # fmt: skip
    assert f"epoch 1: {whole.history[0]}\n" in done.stdout
    with np.load(tmp_path / "p.npz") as params:
        assert all(np.array_equal(params[name], whole.params[name]) for name in whole.params)


@pytest.mark.parametrize("part", [1, 7, 30, 1000])
def test_what_is_held_out_is_measured_in_parts(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    rng = np.random.default_rng(0)
    data = {"X": rng.normal(size=(100, 20)), "y": rng.integers(0, 3, 100)}
    whole = graphc.fit(MODEL, data, epochs=2, holdout=0.3)
    monkeypatch.setattr(scores, "PART", part)
    parts = graphc.fit(MODEL, data, epochs=2, holdout=0.3)
    for epoch, other in zip(whole.history, parts.history, strict=True):
        np.testing.assert_allclose(epoch, other, rtol=1e-13)
