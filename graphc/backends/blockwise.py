"""The function with which generated modules of the style ``speed`` run over blocks, copied like those of `runtime`.

``_BLOCK`` and ``_WORK`` are the module's own: how many elements the widest array of a block has, and from functions of
a block to the work arrays of their last call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

_BLOCK = 16_000
_WORK: dict[Any, Any] = {}


def _blockwise(
    block: Callable[..., list[Any] | None], size: int, *kinds: tuple[tuple[int, ...], Any, int]
) -> list[Any]:
    """Call ``block(rows, work)`` for blocks of rows; the sums over the blocks of what it returns.

    Blocks and the order of the sums depend on the shapes alone. Each of the kinds of work arrays is the shape of a row,
    a dtype and how many; they are kept until the next call with other shapes, and no two calls at a time use the same.
    """
    widest = max([1, *(int(np.prod(tail)) for tail, _, _ in kinds if tail)])
    blocks = max(1, min(size, -(-size * widest // _BLOCK)))
    step = max(1, -(-size // blocks))
    wanted = (step, kinds)
    # Taken out while it is used: dict.pop is atomic, and a call inside of this one gets work arrays of its own.
    found, work = _WORK.pop(block.__code__, (None, None))
    if found != wanted:
        work = [np.empty((step, *tail), dtype) for tail, dtype, count in kinds for _ in range(count)]
    sums = []
    for start in range(0, max(size, 1), step):
        rows = slice(start, min(start + step, size))
        parts = work if rows.stop - start == step else [array[: rows.stop - start] for array in work]
        sums.append(block(rows, parts) or [])
    if step * widest <= 2 * _BLOCK:
        _WORK[block.__code__] = wanted, work
    # By pairs: less rounding than one after the other.
    while len(sums) > 1:
        pairs = [sums[k : k + 2] for k in range(0, len(sums), 2)]
        sums = [[a + b for a, b in zip(*pair, strict=True)] if len(pair) > 1 else pair[0] for pair in pairs]
    return sums[0]
