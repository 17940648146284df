"""Parts of one tensor that are differentiated each on its own come back as one: zeros with a part put in, added up.

Neighbours are joined first, so that what is split into parts has a `stack` or a `concatenate` for a gradient.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc.ops import OPS
from graphc.ops.indexing import Item, Items, Slice
from graphc.rewrite.pattern import FLOAT, Rule, attr, once, var
from graphc.tensor_type import Shape, TensorType
from graphc.value import Value

__all__ = ["PLACED"]

a, b, x = var("a", FLOAT), var("b", FLOAT), var("x", FLOAT)
items, first, second, shape = attr("items"), attr("first"), attr("second"), attr("shape")
placed, concatenate, stack = OPS["scatter_slice"], OPS["concatenate"], OPS["stack"]
expand_dims, squeeze = OPS["expand_dims"], OPS["squeeze"]

MOST_PARTS = 64
"""How many are put side by side, which keeps the cost of joining them one by one linear in their number."""


def _as_slice(item: Item) -> Slice | None:
    """A position as a slice of one; None for what is no run of neighbours."""
    if isinstance(item, Slice):
        return item if item.step == 1 else None
    return None if item is None or item == "tensor" else Slice(item, item + 1, 1)


def _seam(first: Items, second: Items) -> int | None:
    """The axis along which one part ends where the other begins; None when there is no such axis."""
    if len(first) != len(second) or None in (*first, *second):
        return None
    places = [place for place, pair in enumerate(zip(first, second, strict=True)) if pair[0] != pair[1]]
    if len(places) != 1:
        return None
    one, other = _as_slice(first[places[0]]), _as_slice(second[places[0]])
    return places[0] if one and other and one.stop == other.start else None


def _neighbours(first: Items, second: Items) -> bool:
    return _seam(first, second) is not None or _seam(second, first) is not None


def _joined(a: Value, b: Value, first: Items, second: Items, shape: Shape) -> Value | None:
    """Two neighbours as one part; None for more parts than are joined."""
    if _seam(first, second) is None:
        a, b, first, second = b, a, second, first
    place = _seam(first, second)
    assert place is not None
    one, other = _as_slice(first[place]), _as_slice(second[place])
    assert one and other
    # Axes that an integer takes out are not there to count.
    axis = sum(isinstance(item, Slice) for item in first[:place])
    parts = [*_parts(a, first[place], axis), *_parts(b, second[place], axis)]
    if len(parts) > MOST_PARTS:
        return None
    return placed(
        _together(parts, axis),
        items=(*first[:place], Slice(one.start, other.stop, 1), *first[place + 1 :]),
        shape=shape,
    )


def _joined_after(x: Value, a: Value, b: Value, first: Items, second: Items, shape: Shape) -> Value | None:
    whole = _joined(a, b, first, second, shape)
    return None if whole is None else x + whole


def _parts(value: Value, item: Item, axis: int) -> Iterator[Value]:
    """What a part was joined from, each with the axis."""
    operands = [value.builder.value(node) for node in value.builder.operands(value.node)]
    if not isinstance(item, Slice):
        yield expand_dims(value, axis=axis)
    elif value.node.op is concatenate and value.node.attrs["axis"] == axis:
        yield from operands
    elif value.node.op is stack and value.node.attrs["axis"] == axis:
        yield from (expand_dims(operand, axis=axis) for operand in operands)
    else:
        yield value


def _together(parts: list[Value], axis: int) -> Value:
    """Side by side; stacked where all of them come without the axis."""
    if all(part.shape[axis] == 1 for part in parts):
        single = [squeeze(part, axis=axis) for part in parts]
        if all(part.node.op is not squeeze for part in single):
            return stack(*single, axis=axis)
    return concatenate(*parts, axis=axis)


def _everywhere(items: Items, shape: Shape) -> bool:
    return items == tuple(Slice(0, size, 1) for size in shape)


_PAIR = {
    "a": TensorType("float64", (2,)),
    "b": TensorType("float64", (2, 2)),
    "x": TensorType("float64", (2, 4)),
    "first": (slice(None), 0),
    "second": (slice(None), slice(1, 3)),
    "shape": (2, 4),
}

one, other = once(placed(a, items=first, shape=shape)), once(placed(b, items=second, shape=shape))

# The values are the same but for the sign of a zero; of the gradients too.
PLACED = (
    Rule(
        "placed_everywhere",
        placed(a, items=items, shape=shape),
        a,
        when=_everywhere,
        example={"items": (slice(None), slice(None)), "shape": (2, 3)},
    ),
    Rule("neighbours_placed", one + other, _joined, when=_neighbours, example=_PAIR),
    Rule(
        "neighbours_placed_after_others",
        (x + one) + other,
        _joined_after,
        when=_neighbours,
        example=_PAIR,
    ),
)
