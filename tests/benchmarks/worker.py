"""One contender at one case, in a process of its own: ``python -m tests.benchmarks.worker CASE CONTENDER FILE``.

It writes its first result to the file, says that it is ready, and then answers each number of seconds that it reads
with the median and the smallest time of a call in a run of about so long, and ``memory`` with the bytes of a call.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Iterator

import numpy as np

from tests.benchmarks.case import Call, Result
from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.families import CASES

WARM_UP = 5


def timings(call: Call, seconds: float) -> Iterator[float]:
    """The times of calls, one after the other, until so many seconds are over; at least one."""
    end = time.perf_counter() + seconds
    before = after = 0.0
    while after < end:
        before = time.perf_counter()
        call()
        after = time.perf_counter()
        yield after - before


def save(path: str, result: Result) -> None:
    """The loss, under a name that no variable has, and the arrays that belong to it."""
    loss, arrays = result
    np.savez(path, **{"": np.asarray(loss)}, **{name: np.asarray(x) for name, x in arrays.items()})


def main(name: str, contender: str, path: str) -> None:
    """Serve a parent process on standard input and output."""
    case, found = CASES[name], CONTENDERS[contender]
    call = found.call(case, *case.drawn())
    save(path, call())
    for _ in range(WARM_UP):
        call()
    print("ready", flush=True)
    for line in map(str.strip, sys.stdin):
        if line == "memory":
            print(found.memory(case, *case.drawn()) if found.memory and not case.optimizer else "", flush=True)
            continue
        call()
        gc.disable()
        times = list(timings(call, float(line)))
        gc.enable()
        print(statistics.median(times), min(times), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
