"""Statements of random models: other shapes of the same elements, and brackets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from tests.peers.writer import SIZES, Shape, Writer, any_axis, broadcast


def _reshaped(w: Writer) -> None:
    name = w.value()
    shape = w.shapes[name]
    size = int(np.prod(shape, dtype=int))
    ways = ((size,), (1, size), (size, 1), *((n, size // n) for n in (2, 3) if size % n == 0), shape[::-1])
    new = w.one_of(ways)
    w.add(f"reshape({name}, {new})", new)


def _transposed(w: Writer) -> None:
    name = w.value(bool)
    axes = w.draw(st.permutations(range(len(w.shapes[name]))))
    w.add(f"transpose({name}, axes={tuple(axes)})", tuple(w.shapes[name][a] for a in axes))


def _spread_out(w: Writer) -> None:
    name = w.value()
    shape = tuple(w.one_of(SIZES) if n == 1 else n for n in w.shapes[name])
    shape = (*w.shape(w.draw(st.integers(0, 1))), *shape)
    w.add(f"broadcast_to({name}, {shape})", shape)


def _axis_of_one(w: Writer) -> None:
    name = w.value()
    shape = w.shapes[name]
    ones = [a for a, n in enumerate(shape) if n == 1]
    if ones and w.draw(st.booleans()):
        axis = w.one_of(ones)
        w.add(f"squeeze({name}, axis={axis})", (*shape[:axis], *shape[axis + 1 :]))
    else:
        axis = w.draw(st.integers(0, len(shape)))
        w.add(f"expand_dims({name}, axis={axis})", (*shape[:axis], 1, *shape[axis:]))


def _padded(w: Writer) -> None:
    name = w.value(bool)
    widths = tuple((w.draw(st.integers(0, 1)), w.draw(st.integers(0, 1))) for _ in w.shapes[name])
    shape = tuple(n + sum(width) for n, width in zip(w.shapes[name], widths, strict=True))
    w.add(f"pad({name}, pad_width={widths}, constant_values=0.5)", shape)


def _joined(w: Writer) -> None:
    x = w.value(bool)
    shape = w.shapes[x]
    names = [x, *(w.value(lambda other: other == shape) for _ in range(w.draw(st.integers(0, 2))))]
    if w.draw(st.booleans()):
        axis = any_axis(w, x)
        new = (*shape[:axis], len(names) * shape[axis], *shape[axis + 1 :])
        w.add(f"concatenate([{', '.join(names)}], axis={axis})", new)
    else:
        axis = w.draw(st.integers(0, len(shape)))
        w.add(f"stack([{', '.join(names)}], axis={axis})", (*shape[:axis], len(names), *shape[axis:]))


def _split(w: Writer) -> None:
    name = w.value(lambda shape: bool(shape) and shape[-1] > 1, make=(4,))
    *front, n = w.shapes[name]
    at = w.draw(st.integers(1, n - 1))
    w.add(f"split({name}, ({at},), axis=-1)[0]", (*front, at))
    w.add(f"split({name}, ({at},), axis=-1)[1]", (*front, n - at))


# brackets

SLICES = (":", "1:", ":-1", "::-1", "::2", "None", "0", "-1", "1:2")


def _bracketed_value(w: Writer) -> None:
    name = w.value(bool)
    items = [w.one_of(SLICES) for _ in w.shapes[name]]
    w.add(*_indexed(name, w.shapes[name], items))


def _indexed(name: str, shape: Shape, items: Sequence[str]) -> tuple[str, Shape]:
    """The text and the shape; an item that the axis is too short for is left out."""
    kept = [":" if item in ("1:2", "1:", ":-1") and n < 2 else item for item, n in zip(items, shape, strict=True)]
    # None takes no axis.
    text = ", ".join("None, :" if item == "None" else item for item in kept)
    like = eval(f"np.empty(shape)[{text}]", {"np": np, "shape": shape})
    return f"{name}[{text}]", like.shape


def _gathered(w: Writer) -> None:
    name = w.value(bool)
    shape = w.shapes[name]
    axis = any_axis(w, name)
    index = w.label(w.shape(w.draw(st.integers(0, 2))), shape[axis])
    text = ", ".join([":"] * axis + [index])
    w.add(f"{name}[{text}]", (*shape[:axis], *w.labels[index][0], *shape[axis + 1 :]))


def _gathered_twice(w: Writer) -> None:
    """With index tensors that broadcast against each other, next to each other or around a slice."""
    name = w.value(lambda shape: len(shape) >= 2)
    shape = w.shapes[name]
    places = (0, 1) if len(shape) == 2 else w.one_of(((0, 1), (0, 2), (1, 2)))
    columns = w.label((w.one_of(SIZES),), shape[places[1]])
    rows = w.label(w.one_of((w.labels[columns][0], (2, 1), ())), shape[places[0]])
    items = [":"] * len(shape)
    items[places[0]], items[places[1]] = rows, columns
    at = {label: np.zeros(w.labels[label][0], int) for label in (rows, columns)}
    like = eval(f"np.empty(shape)[{', '.join(items)}]", {"np": np, "shape": shape, **at})
    w.add(f"{name}[{', '.join(items)}]", like.shape)


def _picked(w: Writer) -> None:
    name = w.value(bool)
    *front, n = w.shapes[name]
    index = w.label(tuple(front), n)
    w.add(f"pick({name}, {index})", tuple(front))


def _taken_along(w: Writer) -> None:
    name = w.value(bool)
    axis, shape = any_axis(w, name), w.shapes[name]
    new = (*shape[:axis], w.one_of(SIZES), *shape[axis + 1 :])
    w.add(f"take_along_axis({name}, {w.label(new, shape[axis])}, axis={axis})", new)


def _coded(w: Writer) -> None:
    name = w.value(bool)
    n = w.shapes[name][-1]
    index = w.label((w.one_of(SIZES),), n)
    shape = broadcast((*w.labels[index][0], n), w.shapes[name])
    if shape is not None:
        w.add(f"one_hot({index}, {n}) * {name}", shape)


MOVES = (
    *(_reshaped, _transposed, _spread_out, _axis_of_one, _padded, _joined, _split) * 2, *(_bracketed_value,) * 5,
    _gathered, _gathered_twice, _picked, _taken_along, _coded,
)  # fmt: skip
