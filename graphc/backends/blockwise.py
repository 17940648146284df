"""Functions with which generated modules of the style ``speed`` use memory again, copied like those of `runtime`.

``_BLOCK`` and ``_WORK`` are the module's own: how many elements the widest array of a block has, and the work arrays of
the last call of each function, and of each function of a block, and what the last step changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_BLOCK = 64_000
_WORK: dict[Any, Any] = {}


def _borrowed(function: str, *kinds: tuple[tuple[int, ...], Any]) -> list[Any]:
    """Work arrays of these shapes and dtypes, then these: those of the function's last call, where they fit."""
    # Taken out while they are used: dict.pop is atomic, and a call at the same time gets work arrays of its own.
    work: list[Any] = _WORK.pop(function, [()])
    if work[-1] != kinds:
        work = [*(np.empty(shape, dtype) for shape, dtype in kinds), kinds]
    return work


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


def _stored(array: Any, value: Any) -> Any:
    """An array of the caller, holding a value from now on."""
    array[...] = value
    return array


def _given(function: str, out: Any, like: dict[str, Any], arguments: Sequence[Any], name: str = "out") -> Any:
    """Arrays for results like others: new ones, or those of the caller, who has no other use for them."""
    if out is None:
        return {key: np.empty(array.shape, array.dtype) for key, array in like.items() if array.shape}
    if not isinstance(out, dict) or not like.keys() <= out.keys():
        found = ", ".join(map(str, out)) if isinstance(out, dict) else f"a {type(out).__name__}"
        raise ValueError(f"{function}(): {name} has {found or 'nothing'}, expected {', '.join(like)}")
    written = []
    for key, array in like.items():
        given, shape, dtype = out[key], array.shape, array.dtype
        if not shape:
            continue
        if not isinstance(given, np.ndarray) or given.shape != shape or given.dtype != dtype:
            found = f"{given.dtype} of shape {given.shape}" if hasattr(given, "dtype") else type(given).__name__
            raise ValueError(f"{function}(): {name} has {found} for {key}, expected {dtype} of shape {shape}")
        if not given.flags.carray:
            raise ValueError(f"{function}(): {name} has an array for {key} that is not contiguous or not writable")
        written.append((key, given))
    arrays = [given for _, given in written]
    if _overlap(arrays, arguments):
        key = next(key for k, (key, given) in enumerate(written) if _overlap([given], [*arguments, *arrays[:k]]))
        raise ValueError(f"{function}(): {name} has an array for {key} whose memory is there twice, or an argument")
    return out


def _overlap(written: list[Any], read: Sequence[Any]) -> bool:
    """Whether arrays to write to have memory in common with each other or with what is read: as views of one array."""
    arrays = [*written, *read]
    owners = [_owner(array) for array in arrays if array.shape]
    own = {id(owner) for owner in owners[: len(written)]}
    apart = len(own) == len(written) and own.isdisjoint(map(id, owners[len(written) :]))
    # What is no array's own memory, as that of a file or of another library, may be in that of any other.
    if apart and {*map(type, owners)} <= {np.ndarray} and {owner.flags.owndata for owner in owners} <= {True}:
        return False
    held = [(array, k < len(written)) for k, array in enumerate(arrays) if array.size]
    end = end_of_written = 0
    for first, last, writes in sorted((*np.lib.array_utils.byte_bounds(array), writes) for array, writes in held):
        if first < (end if writes else end_of_written):
            return True
        end, end_of_written = max(end, last), max(end_of_written, last if writes else 0)
    return False


def _given_pair(function: str, out: Any, params: Any, state: Any, *inputs: Any) -> list[Any]:
    """Arrays for new parameters and a new state: new ones, those of a former step, or the old ones themselves."""
    if out is None:
        return [_given(function, None, like, []) for like in (params, state)]
    if not isinstance(out, (tuple, list)) or len(out) != 2:
        raise ValueError(f"{function}(): out is a {type(out).__name__}, expected a pair like (params, state)")
    old = [array for entries in (params, state) for array in entries.values() if array.shape]
    same = (out[0] is params and out[1] is state) or _are_same(out, (params, state))
    if same and _are_apart(function, old, inputs):
        return [*out]
    first = _given(function, out[0], params, [*old, *inputs], "params of out")
    taken = [first[key] for key, array in params.items() if array.shape]
    return [first, _given(function, out[1], state, [*old, *inputs, *taken], "state of out")]


def _are_same(out: Any, old: Sequence[dict[str, Any]]) -> bool:
    """Whether arrays to write to are the old ones, each in its own place, so that nothing else is to be checked."""
    for given, entries in zip(out, old, strict=True):
        if not isinstance(given, dict) or not entries.keys() <= given.keys():
            return False
        for name, array in entries.items():
            if array.shape and given[name] is not array:
                return False
    return True


def _are_apart(function: str, arrays: list[Any], inputs: Sequence[Any]) -> bool:
    """Whether arrays can be changed where they are while inputs are read: those of the last call, or others."""
    ids = [*map(id, arrays)]
    known, owners, _ = _WORK.get((function, "in place"), (None, (), ()))
    if ids == known and all(_is_own(x) and id(_owner(x)) not in owners for x in inputs if x.shape):
        return True
    if not all(array.flags.carray for array in arrays) or _overlap(arrays, inputs):
        return False
    if all(map(_is_own, arrays)):
        # As long as they are kept, no other array has the identity of one of them.
        _WORK[function, "in place"] = ids, {id(_owner(array)) for array in arrays}, arrays
    return True


def _owner(array: Any) -> Any:
    """The array whose memory an array is a view of, or itself."""
    return array if array.base is None else array.base


def _is_own(array: Any) -> bool:
    """Whether an array is in memory of NumPy, of which no other array can be a part without showing it."""
    owner = _owner(array)
    return type(owner) is np.ndarray and bool(owner.flags.owndata)
