"""SHAPES: moves of elements that cancel, join or were not needed; results are bit-identical."""

from __future__ import annotations

from graphc.ops import OPS
from graphc.ops.indexing import Items, Slice
from graphc.rewrite.choices import CHOICES
from graphc.rewrite.pattern import ANY, MASK, NUMBER, Kind, Rule, attr, once, var
from graphc.tensor_type import TensorType
from graphc.value import Value

__all__ = ["SHAPES"]

Axes = tuple[int, ...]

SCALAR = Kind(lambda node: ANY.accepts(node) and not node.tensor.shape, TensorType("float64"))
x, y = var("x"), var("y")
c, d, number = var("c", SCALAR), var("d", SCALAR), var("number", NUMBER)
mask = var("mask", MASK)
axis, axes, order, shape, dtype, first = (attr(n) for n in ("axis", "axes", "order", "shape", "dtype", "first"))
items, widths = attr("items"), attr("widths")

transpose, reshape, broadcast_to = OPS["transpose"], OPS["reshape"], OPS["broadcast_to"]
expand_dims, squeeze, flip, index = OPS["expand_dims"], OPS["squeeze"], OPS["flip"], OPS["index"]
cast, where, pad = OPS["cast"], OPS["where"], OPS["pad"]

_BINARY = tuple(OPS[name] for name in ("add", "sub", "mul", "div", "power", "maximum", "minimum"))
_REDUCTIONS = tuple(OPS[name] for name in ("sum", "mean", "prod", "max", "min", "logsumexp"))


def _is_leading(axis: Axes) -> bool:
    """Whether axes of size 1 come first, where broadcasting puts them in by itself."""
    return axis == tuple(range(len(axis)))


def _kept_axes(x: Value, items: Items) -> Axes | None:
    """The axes that ``x[:, None]`` puts in; None when it does more, or nothing."""
    sizes = iter(x.shape)
    whole = all(item is None or item == Slice(0, next(sizes), 1) for item in items)
    new = tuple(place for place, item in enumerate(items) if item is None)
    return new if whole and new else None


def _single_axes(x: Value, items: Items) -> Axes | None:
    """The axes of size 1 that ``x[:, 0]`` takes out; None when it does more, or nothing."""
    if len(items) != x.ndim:
        return None
    taken = tuple(place for place, item in enumerate(items) if not isinstance(item, Slice))
    single = all(
        size == 1 if place in taken else items[place] == Slice(0, size, 1) for place, size in enumerate(x.shape)
    )
    return taken if single and taken else None


def _moved_axes(axis: Axes, axes: Axes) -> Axes | None:
    """Where axes of size 1 are after a transpose that leaves the others in order; None for one that does not."""
    others = [a for a in axes if a not in axis]
    return tuple(place for place, a in enumerate(axes) if a in axis) if others == sorted(others) else None


_TYPE = {"dtype": "float64"}
_LEADING = {"x": TensorType("float64", (3,)), "axis": (0,)}
_MASKS = {"mask": TensorType("bool", (3,)), "shape": (2, 3)}
_ROW = {"x": TensorType("float64", (3,)), "shape": (2, 3)}

_IDENTITIES = (
    # A rule that would change the type does not fire: what is left are the moves that do nothing.
    Rule("same_dtype", cast(x, dtype=dtype), x, example=_TYPE),
    Rule("same_shape", reshape(x), x, example={"shape": (2, 3)}),
    Rule("same_broadcast", broadcast_to(x), x, example={"shape": (2, 3)}),
    Rule("no_axes_expanded", expand_dims(x, axis=()), x),
    Rule("no_axes_squeezed", squeeze(x, axis=()), x),
    Rule("no_axes_flipped", flip(x, axis=()), x),
    Rule("axes_in_order", transpose(x, axes=axes), x, when=lambda axes: _is_leading(axes), example={"axes": (0, 1)}),
    Rule(
        "whole_slices",
        index(x, items=items),
        x,
        when=lambda x, items: items == tuple(Slice(0, size, 1) for size in x.shape),
        example={"items": (Slice(0, 2, 1), Slice(0, 3, 1))},
    ),
    Rule(
        "nothing_padded",
        pad(x, pad_width=widths),
        x,
        when=lambda widths: all(width == (0, 0) for width in widths),
        example={"widths": ((0, 0), (0, 0))},
    ),
)

_PAIRS = (
    Rule(
        "transpose_twice",
        transpose(transpose(x, axes=axes), axes=order),
        lambda x, axes, order: transpose(x, axes=tuple(axes[o] for o in order)),
        example={"axes": (1, 0), "order": (1, 0)},
    ),
    Rule("flip_twice", flip(flip(x, axis=axis), axis=axis), x, example={"axis": (1,)}),
    Rule(
        "reshape_twice",
        reshape(reshape(x, shape=first), shape=shape),
        reshape(x, shape=shape),
        example={"first": (3, 2), "shape": (6,)},
    ),
    Rule(
        "reshape_expanded",
        reshape(expand_dims(x, axis=axis), shape=shape),
        reshape(x, shape=shape),
        example={"axis": (0,), "shape": (6,)},
    ),
    Rule(
        "reshape_squeezed",
        reshape(squeeze(x, axis=axis), shape=shape),
        reshape(x, shape=shape),
        example={"x": TensorType("float64", (2, 1, 3)), "axis": (1,), "shape": (6,)},
    ),
    Rule(
        "broadcast_twice",
        broadcast_to(broadcast_to(x, shape=first), shape=shape),
        broadcast_to(x, shape=shape),
        example={"first": (4, 2, 3), "shape": (5, 4, 2, 3)},
    ),
    Rule(
        "broadcast_expanded",
        broadcast_to(expand_dims(x, axis=axis), shape=shape),
        broadcast_to(x, shape=shape),
        when=_is_leading,
        example={"axis": (0,), "shape": (4, 2, 3)},
    ),
    Rule("squeeze_expanded", squeeze(expand_dims(x, axis=axis), axis=axis), x, example={"axis": (1,)}),
    Rule(
        "expand_squeezed",
        expand_dims(squeeze(x, axis=axis), axis=axis),
        x,
        example={"x": TensorType("float64", (2, 1, 3)), "axis": (1,)},
    ),
    Rule(
        "new_axes",
        index(x, items=items),
        lambda x, items: expand_dims(x, axis=_kept_axes(x, items)),
        when=lambda x, items: _kept_axes(x, items) is not None,
        example={"items": (Slice(0, 2, 1), None, Slice(0, 3, 1))},
    ),
    Rule(
        "only_element",
        index(x, items=items),
        lambda x, items: squeeze(x, axis=_single_axes(x, items)),
        when=lambda x, items: _single_axes(x, items) is not None,
        example={"x": TensorType("float64", (2, 1, 3)), "items": (Slice(0, 2, 1), 0, Slice(0, 3, 1))},
    ),
    Rule(
        "transpose_expanded",
        transpose(expand_dims(x, axis=axis), axes=axes),
        lambda x, axis, axes: expand_dims(x, axis=_moved_axes(axis, axes)),
        when=lambda axis, axes: _moved_axes(axis, axes) is not None,
        example={"axis": (2,), "axes": (0, 2, 1)},
    ),
    Rule(
        "cast_mask_twice",
        cast(cast(mask, dtype=first), dtype=dtype),
        cast(mask, dtype=dtype),
        example={"first": "int64", "dtype": "float64"},
    ),
    Rule(
        "cast_constant",
        cast(number, dtype=dtype),
        lambda number, dtype: number.builder.constant(number.node.attrs["value"], dtype),
        when=lambda dtype: dtype.startswith("float"),
        example=_TYPE,
    ),
    Rule("multiply_by_cast_mask", x * cast(mask, dtype=dtype), x * mask, ordered=True, example=_TYPE),
    Rule("multiply_cast_mask", cast(mask, dtype=dtype) * x, mask * x, ordered=True, example=_TYPE),
)

_KEPT = tuple(
    rule
    for op in _REDUCTIONS
    for rule in (
        Rule(
            f"{op.name}_expanded",
            expand_dims(once(op(x, axis=axis, keepdims=False)), axis=axis),
            op(x, axis=axis, keepdims=True),
            example={"axis": (1,)},
        ),
        Rule(
            f"{op.name}_squeezed",
            squeeze(once(op(x, axis=axis, keepdims=True)), axis=axis),
            op(x, axis=axis, keepdims=False),
            example={"axis": (1,)},
        ),
    )
)

# One rule for each side: the operands of a sum stay in the order in which they were written.
_OPERANDS = tuple(
    rule
    for op in _BINARY
    for rule in (
        Rule(f"{op.name}_broadcasts_left", op(broadcast_to(x), y), op(x, y), ordered=True, example=_ROW),
        Rule(f"{op.name}_broadcasts_right", op(y, broadcast_to(x)), op(y, x), ordered=True, example=_ROW),
        Rule(
            f"{op.name}_expands_left",
            op(expand_dims(x, axis=axis), y),
            op(x, y),
            when=_is_leading,
            ordered=True,
            example=_LEADING,
        ),
        Rule(
            f"{op.name}_expands_right",
            op(y, expand_dims(x, axis=axis)),
            op(y, x),
            when=_is_leading,
            ordered=True,
            example=_LEADING,
        ),
    )
)

# Of two numbers only: NumPy's power of an array may differ from that of a number in the last bit.
_REPEATED = tuple(
    Rule(
        f"{op.name}_of_broadcasts",
        op(broadcast_to(c, shape=shape), d),
        lambda c, d, shape, op=op: broadcast_to(op(c, d), shape=shape),
        example={"shape": (2, 3)},
    )
    for op in (OPS["add"], OPS["sub"], OPS["maximum"], OPS["minimum"])
)

# Of one number repeated, only the shape matters.
_FILLED = tuple(
    Rule(
        f"{op.name}_of_filled",
        op(broadcast_to(c, shape=shape)),
        lambda c, result: broadcast_to(c, shape=result.shape),
        example={"shape": (1, 2, 3), **attributes},
    )
    for op, attributes in (
        (transpose, {"axes": (2, 0, 1)}),
        (reshape, {"shape": (1, 2, 3)}),
        (expand_dims, {"axis": (1,)}),
        (squeeze, {"axis": (0,)}),
        (flip, {"axis": (1,)}),
    )
)

_BRANCHES = (
    Rule(
        "not_equal_of_broadcast",
        OPS["not_equal"](broadcast_to(x, shape=shape), number),
        lambda x, number, shape: broadcast_to(OPS["not_equal"](x, number), shape=shape),
        example={"x": TensorType("float64", (3,)), "shape": (2, 3)},
    ),
    Rule("where_broadcasts_mask", where(broadcast_to(mask), x, y), where(mask, x, y), example=_MASKS),
    Rule("where_broadcasts_left", where(mask, broadcast_to(x), y), where(mask, x, y), example=_ROW),
    Rule("where_broadcasts_right", where(mask, y, broadcast_to(x)), where(mask, y, x), example=_ROW),
)

SHAPES: tuple[Rule, ...] = (*_IDENTITIES, *_PAIRS, *_KEPT, *_OPERANDS, *_REPEATED, *_FILLED, *_BRANCHES, *CHOICES)
