"""Contenders side by side: each in its own process, one round after the other, so that a busy moment hits all alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.benchmarks.contenders import CONTENDERS

_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Settings:
    """How much is measured: rounds, seconds of each, and the processors that every contender has."""

    rounds: int = 9
    seconds: float = 0.2
    threads: int = 1


@dataclass
class Times:
    """What one contender took in each round, in seconds a call: the median, and the smallest.

    ``problem`` says why there is nothing, or nothing to be trusted; ``memory`` are the bytes that a call takes beside
    its arguments, where that can be told.
    """

    medians: list[float] = field(default_factory=list)
    smallest: list[float] = field(default_factory=list)
    problem: str = ""
    memory: int | None = None

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.medians) if self.medians else float("nan")

    @property
    def least(self) -> float:
        """The smallest time of all."""
        return min(self.smallest, default=float("nan"))

    def ratio(self, other: Times) -> float:
        """The median of the ratios of each round: what slowed a whole round down does not count."""
        pairs = zip(self.medians, other.medians, strict=False)
        return statistics.median([own / theirs for own, theirs in pairs] or [float("nan")])


def measure(case: str, contenders: Sequence[str], settings: Settings) -> dict[str, Times]:
    """Run a case."""
    times = {name: Times() for name in contenders}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workers = {name: stack.enter_context(_started(case, name, folder, settings)) for name in contenders}
        for name, worker in workers.items():
            if _answer(worker) != "ready":
                times[name].problem = "failed: " + _last_line(folder / f"{name}.log")
        alive = [name for name in contenders if not times[name].problem]
        for name in _different(folder, alive):
            times[name].problem = "has another result"
        for turn in range(settings.rounds):
            for name in _turned(alive, turn):
                median, least = map(float, _asked(workers[name], settings.seconds).split())
                times[name].medians.append(median)
                times[name].smallest.append(least)
        # At the end: what it does changes how memory is given out afterwards, and with that the times.
        for name in alive:
            taken = _asked(workers[name], "memory")
            times[name].memory = int(taken) if taken else None
        for worker in workers.values():
            worker.terminate()
    return times


def environment(threads: int) -> dict[str, str]:
    """That of a worker: as many threads in each pool as it has processors."""
    return {**os.environ, **dict.fromkeys(_POOLS, str(threads)), "PYTHONUNBUFFERED": "1"}


def _started(case: str, contender: str, folder: Path, settings: Settings) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.benchmarks.worker", case, contender, str(folder / f"{contender}.npz")]
    return subprocess.Popen(
        [*_on_processors(settings.threads), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(folder / f"{contender}.log").open("w"),
        text=True,
        env=environment(settings.threads),
    )


def _on_processors(threads: int) -> list[str]:
    """The start of a command that runs on the first processors only, where the system can say so.

    XLA has no other bound for its threads.
    """
    available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return ["taskset", "-c", ",".join(map(str, available[-threads:]))] if available else []


def _answer(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def _asked(worker: subprocess.Popen[str], what: object) -> str:
    assert worker.stdin is not None
    worker.stdin.write(f"{what}\n")
    worker.stdin.flush()
    return _answer(worker)


def _last_line(log: Path) -> str:
    lines = log.read_text().strip().splitlines()
    return next((line for line in reversed(lines) if "Error" in line), "no message")


def _turned(names: Sequence[str], turn: int) -> Iterator[str]:
    """In another order each time: nobody always runs after the same one."""
    start = turn % max(len(names), 1)
    order = [*names[start:], *names[:start]]
    return iter(order if turn % 2 == 0 else order[::-1])


def _different(folder: Path, names: Sequence[str]) -> Iterator[str]:
    """Those whose first result is not that of the version by hand."""
    exact = [name for name in names if CONTENDERS[name].exact]
    expected = _loaded(folder / "numpy.npz") if "numpy" in exact else {}
    for name in exact:
        found = _loaded(folder / f"{name}.npz")
        if not all(agree(found[key], x) for key, x in expected.items()):
            yield name


def _loaded(path: Path) -> Mapping[str, np.ndarray]:
    with np.load(path) as held:
        return {name: held[name] for name in held.files}


def agree(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether two arrays agree to the digits that sums in another order leave."""
    size = max(float(np.max(np.abs(expected))), 1e-30)
    digits = 2e-3 if expected.dtype == np.float32 else 1e-8
    return found.shape == expected.shape and float(np.max(np.abs(found - expected))) <= digits * size
