"""``graphc train`` and ``graphc compile --optimizer``: files, what is told, exit statuses."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import graphc
from graphc import train_progress
from graphc.cli import main
from graphc.training.history import Epoch

MODEL = "X: Input[N, 2]; y: Input[N, int64]; z = dense(X, 3); loss: Output = mean(cross_entropy(z, y)); p: Output = z"
RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    centers = {"fox": (2, 0), "cat": (-2, 0), "dog": (0, 3)}
    rows = [(*RNG.normal(center), kind) for kind, center in centers.items() for _ in range(20)]
    lines = ["width,height,kind", *(",".join(map(str, row)) for row in rows)]
    (tmp_path / "d.csv").write_text("\n".join(lines))
    (tmp_path / "m.gc").write_text(MODEL)
    return tmp_path


def graphc_train(*arguments: Any) -> Result:
    return CliRunner().invoke(main, ["train", *map(str, arguments)])


USUAL = ("m.gc", "--data", "d.csv", "--columns", "y=kind", "--lr", "0.1", "--epochs", "8")


def test_parameters_labels_and_history_are_written(folder: Path) -> None:
    done = graphc_train(*USUAL, "-o", "p.npz", "--holdout", "0.25", "--history", "h.csv")
    assert done.exit_code == 0
    assert done.stdout == ""
    assert done.stderr.startswith("epoch 1: loss ")
    assert "X is width, height\ny is kind\ny is 0 for cat, 1 for dog, 2 for fox\nafter 8 epochs: loss " in done.stderr
    assert done.stderr.endswith("wrote p.npz and p.labels.json\n")
    assert json.loads((folder / "p.labels.json").read_text()) == {"y": ["cat", "dog", "fox"]}
    assert len((folder / "h.csv").read_text().splitlines()) == 9
    params = dict(np.load(folder / "p.npz"))
    assert graphc.compile(MODEL)(params, X=[[-2, 0], [0, 3], [2, 0]], y=[0, 1, 2])["p"].argmax(axis=1).tolist() == [
        0,
        1,
        2,
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["d.csv", "h.csv", "m.gc", "p.labels.json", "p.npz"]


def test_nothing_is_written_that_was_not_asked_for(folder: Path) -> None:
    assert graphc_train(*USUAL).exit_code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["d.csv", "m.gc"]


def test_resuming_gives_the_same_file(folder: Path) -> None:
    graphc_train(*USUAL, "-o", "whole.npz")
    graphc_train(*USUAL[:-1], "3", "--checkpoint", "c.npz")
    done = graphc_train(*USUAL, "--checkpoint", "c.npz", "--resume", "-o", "p.npz")
    assert done.stderr.startswith("epoch 4: ")
    for name, array in np.load(folder / "whole.npz").items():
        np.testing.assert_array_equal(np.load(folder / "p.npz")[name], array)


@pytest.mark.parametrize(
    "options",
    [
        ("--optimizer", "lbfgs"),
        ("--batch", "0"),
        ("--optimizer", "momentum", "--dtype", "float32"),
        ("--optimizer", "adam(clip_norm=1)", "--patience", "3", "--holdout", "0.5"),
    ],
)
def test_options_are_taken(folder: Path, options: tuple[str, ...]) -> None:
    pytest.importorskip("scipy")
    assert graphc_train(*USUAL[:5], *options).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("m.gc",), 2, "Missing option '--data'"),
        (("m.gc", "--data", "none.csv"), 2, "error[GC513]: expected a file of data at none.csv"),
        (
            ("m.gc", "--data", "d.csv"),
            1,
            "error[GC511]: expected a column y for the input y, found width, height, kind",
        ),
        (("none.gc", "--data", "d.csv"), 2, "error[GC402]"),
        (("-e", "x: Inptu", "--data", "d.csv"), 1, "error[GC"),
        ((*USUAL, "--columns", "nonsense"), 2, "expected columns such as X=width,height for --columns, found nonsense"),
        (
            (*USUAL, "--patience", "2"),
            2,
            "expected a share to hold out, whose loss is what patience watches",
        ),
        ((*USUAL, "--resume"), 2, "expected a checkpoint to resume from"),
        ((*USUAL, "--optimizer", "sgd"), 2, "error[GC417]: expected an optimiser among"),
        ((*USUAL, "--optimizer", "lbfgs"), 2, "lbfgs finds the length of its steps itself, expected no --lr"),
        ((*USUAL, "--lr", "1 / foo"), 1, "error[GC101]: unknown name foo"),
        ((*USUAL, "-o", "none/p.npz"), 2, "cannot write none/p.npz"),
        ((*USUAL, "--epochs", "0"), 2, "Invalid value for '--epochs'"),
        ((*USUAL, "--loss", "a"), 2, "expected one of the model's outputs for loss, found no a; there are loss, p"),
        ((*USUAL, "--wrt", "zz"), 2, "expected one of the model's values for wrt, found no zz; there are X, y"),
        ((*USUAL, "--lr", "-1"), 2, "expected a number that is not negative for lr, found -1"),
        ((*USUAL, "--lr", "'0.1'"), 1, "optimizer:1:6"),
        (("-e", "w: Param; loss: Output = w ** 2", "--data", "d.csv"), 2, "expected an input whose first size is free"),
        (
            ("-e", "x: Input[2]; loss: Output = sum(x)", "--data", "d.csv"),
            2,
            "such as Input[N], for the rows of a table, found x: float64[2]",
        ),
    ],
)
def test_wrong_use_is_told(folder: Path, arguments: tuple[str, ...], status: int, message: str) -> None:
    done = graphc_train(*arguments)
    assert (done.exit_code, message in done.stderr) == (status, True), done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-o", "d.csv"), "expected a file of its own for -o, found that of --data: d.csv"),
        (("-o", "m.gc"), "expected a file of its own for -o, found that of the model: m.gc"),
        (("--checkpoint", "./d.csv"), "for --checkpoint, found that of --data: ./d.csv"),
        (("-o", "c.npz", "--checkpoint", "c.npz"), "for --checkpoint, found that of -o: c.npz"),
        (("-o", "p.npz", "--history", "p.labels.json"), "for --history, found that of the labels of -o"),
        (("--plot", "none/p.svg"), "cannot write none/p.svg: No such file or directory"),
        (("--history", "."), "cannot write .: Is a directory"),
    ],
)
def test_files_are_refused_before_the_first_epoch(folder: Path, options: tuple[str, ...], message: str) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = graphc_train(*USUAL, *options)
    assert (done.exit_code, message in done.stderr, "epoch" in done.stderr) == (2, True, False), done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_device_takes_several_files(folder: Path) -> None:
    done = graphc_train(*USUAL[:-1], "1", "-o", os.devnull, "--history", os.devnull)
    assert done.exit_code == 0, done.stderr
    assert "after 1 epoch: loss" in done.stderr


def test_a_step_of_training_is_compiled(folder: Path) -> None:
    options = ["--optimizer", "momentum", "--lr", "0.1 * warmup(step, 10)", "-o", "m.py"]
    assert CliRunner().invoke(main, ["compile", "m.gc", *options]).exit_code == 0
    text = (folder / "m.py").read_text()
    assert "Options: --with train_step --optimizer momentum(lr=0.1 * warmup(step, 10))\n" in text
    assert "def train_step(params, state, X, y):" in text
    done = CliRunner().invoke(main, ["check", "m.py"])
    assert (done.exit_code, done.stdout) == (0, "m.py is up to date\n")


def test_curves_are_drawn(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    begins = {"c.svg": b"<?xml", "again.svg": b"<?xml", "c.png": b"\x89PNG", "c.pdf": b"%PDF"}
    for name, begin in begins.items():
        assert graphc_train(*USUAL[:-1], "2", "--plot", name, "--holdout", "0.2").exit_code == 0
        assert (folder / name).read_bytes().startswith(begin)
    assert (folder / "c.svg").read_bytes() == (folder / "again.svg").read_bytes()


def test_what_draws_no_curves_is_told_before_the_training(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = graphc_train(*USUAL, "--plot", "c.bmp")
    assert (done.exit_code, done.stderr) == (
        2,
        "error[GC403]: expected a plot that ends in .svg, .png or .pdf, found 'c.bmp'\n",
    )
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = graphc_train(*USUAL, "--plot", "c.svg")
    assert done.stderr.startswith("error[GC404]: expected Matplotlib 3.8 or later for plots, found none\n")
    assert "epoch" not in done.stderr


class Terminal:
    """Standard error on a terminal of 80 columns, and the lines that it has shown."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reading, writing = pty.openpty()
        self.stream = os.fdopen(writing, "w")
        self.text = b""
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        monkeypatch.setattr(sys, "stderr", self.stream)
        monkeypatch.setenv("COLUMNS", "80")

    def lines(self) -> list[str]:
        self.stream.close()
        self.reader.join()
        return re.split("[\r\n]+", re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", self.text.decode()))

    def _read(self) -> None:
        # Of a terminal that is closed, Linux says that it cannot be read.
        with contextlib.suppress(OSError), os.fdopen(self.reading, "rb", buffering=0) as stream:
            while part := stream.read(2**16):
                self.text += part


def test_a_terminal_has_a_bar(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch)
    arguments = ["train", *USUAL, "--batch", "4", "--holdout", "0.2", "--history", "h.csv"]
    with contextlib.suppress(SystemExit):
        main([str(argument) for argument in arguments], standalone_mode=False)
    lines = terminal.lines()
    bars = [line for line in lines if line.startswith("[")]
    last = (folder / "h.csv").read_text().splitlines()[-1].split(",")
    loss, held_out, accuracy = (f"{float(cell):.4g}" for cell in last[2:])
    assert bars[0].split() == ["[--------]", "0%"]
    assert re.fullmatch(rf"\[#{{8}}\] 100% \d+/s loss {loss}, held out {held_out}, accuracy {accuracy}\s*", bars[-1])
    assert max(map(len, bars)) <= 80
    percents = [int(re.search(r"(\d+)%", bar)[1]) for bar in bars]  # type: ignore[index]
    assert percents == sorted(percents)
    assert not [line for line in lines if line.startswith("epoch ")]


def test_a_bar_has_the_time_left_and_the_rate_of_the_steps_since_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, now = Terminal(monkeypatch), 1000.0
    for module in (time, train_progress.time):
        monkeypatch.setattr(module, "monotonic", lambda: now)
        monkeypatch.setattr(module, "time", lambda: now)
    with train_progress.watched() as (watch, watch_steps):
        assert watch_steps is not None
        # 60 of 100 steps were done before; 40 are left, at two seconds each.
        watch_steps(60, 100)
        for step in range(61, 71):
            now += 2
            watch_steps(step, 100)
        watch(Epoch(7, 70, 0.5, 0.25, 0.75))
    shown = terminal.lines()[-2]
    assert shown.rstrip() == "[##------]  25% 00:01:00 0.50/s loss 0.5, held out 0.25, accuracy 0.75"


def test_a_narrow_terminal_has_whole_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "58")
    with train_progress.watched() as (watch, watch_steps):
        assert watch_steps is not None
        watch_steps(0, 2)
        watch(Epoch(1, 1, 0.123456, 0.123456, 0.123456))
    assert terminal.lines()[-2].rstrip().endswith("/s loss 0.1235")


def test_a_bar_ends_where_a_training_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "x.csv").write_text("x\n1\n1\n1\n")
    terminal = Terminal(monkeypatch)
    arguments = ["-e", "x: Input[N]; w: Param = 1; loss: Output = log(w) * mean(x)", "--data", "x.csv", "--batch", "1"]
    with contextlib.suppress(SystemExit):
        main(["train", *arguments, "--optimizer", "gradient_descent(lr=0.6)"], standalone_mode=False)
    lines = terminal.lines()
    error = next(place for place, line in enumerate(lines) if line.startswith("error"))
    assert lines[error - 1].startswith("[")
    assert lines[error] == "error[GC514]: expected finite numbers, found nan in log at step 3, in epoch 1"
