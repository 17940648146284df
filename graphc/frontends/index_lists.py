"""Lists of integers as indices, ``x[:, [2, 0, -1]]``: saved arrays, with what counts from the end counted."""

from __future__ import annotations

import ast
from collections.abc import Sequence

import numpy as np

from graphc.frontends.session import Session, failure
from graphc.frontends.values import Frame, describe
from graphc.op import OPS
from graphc.ops.leaves import Array
from graphc.size import Size
from graphc.value import Value


def with_arrays(
    session: Session, node: ast.Subscript, frame: Frame, value: Value, parts: Sequence[object]
) -> list[object]:
    """The parts of an index of a value, lists of integers among them as tensors.

    Raises
    ------
    GraphcError
        GC203 for a list of anything else, for an index outside of its axis, and for a negative one of a free size.
    """
    found = list(parts)
    for place, part in enumerate(parts):
        if isinstance(part, (list, tuple)):
            places = _integers(part)
            if places is None:
                message = f"expected integers in a list that is an index, found {describe(part)}"
                raise failure("GC203", message, node.slice, frame)
            size = _indexed_size(value, parts, place)
            if wrong := _outside(places, size):
                raise failure("GC203", wrong, node.slice, frame)
            counted = np.where(places < 0, places + size, places) if isinstance(size, int) else places
            held = Array("int64", tuple(map(int, counted.shape)), counted.astype("<i8").tobytes())
            found[place] = session.apply(node, frame, OPS["array"], [], array=held)
    return found


def _integers(part: Sequence[object]) -> np.ndarray | None:
    """Nested lists of integers as an array; None for anything else, also for lists of different lengths."""
    try:
        places = np.asarray(part)
    except ValueError:
        return None
    return places if places.dtype.kind in "iu" else None


def _indexed_size(value: Value, parts: Sequence[object], place: int) -> Size | None:
    """The size of the axis that a part stands for; None where there are too many parts, which is found later."""
    before, after = parts[:place], parts[place + 1 :]
    if ... in before:
        axis = value.ndim - 1 - sum(part is not None for part in after)
    else:
        axis = sum(part is not None for part in before)
    return value.shape[axis] if 0 <= axis < value.ndim else None


def _outside(places: np.ndarray, size: Size | None) -> str:
    """What is wrong with an index, if anything is; the largest of a free size is checked when the size is known."""
    if isinstance(size, int):
        wrong = places[(places < -size) | (places >= size)]
        return f"expected indices of an axis of size {size}, found {wrong[0]}" if wrong.size else ""
    negative = places[places < 0]
    return f"expected indices of at least 0, as the size {size} is free, found {negative[0]}" if negative.size else ""
