"""How much memory a call takes beside its arguments, where all its arrays are NumPy's, which reports to tracemalloc."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np

from tests.benchmarks.case import Call


def traced(call: Call) -> int:
    """The most bytes that are held at once in a call, results included, and arrays that are kept for the next one.

    It is the second call that counts, beside what NumPy's arrays hold after the first: what Python itself makes once
    and keeps is not the work's. Buffers of BLAS are not reported to anybody.
    """
    gc.collect()
    tracemalloc.start()
    try:
        call()
        arrays = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
        kept = sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([arrays]).traces)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        call()
        return kept + tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
