"""Python's garbage collector, out of the way while a compilation makes its nodes."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Within the block nothing is searched for cycles, of which a compilation has next to none.

    The search goes over every node again and again as more are made: close to half of the time for deep networks. Who
    had switched the collector off finds it off.

    Examples
    --------
    >>> with collector_paused():
    ...     print(gc.isenabled())
    False
    >>> gc.isenabled()
    True
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
