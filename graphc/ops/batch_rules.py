"""Batching rules of structural ops: what they do to operands with one more leading axis, the batch.

A rule is ``rule(values, batched, **attrs)``: ``batched`` says which operands have the axis, at least one does, and the
result has it too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from string import ascii_letters
from typing import TypeAlias, cast

from graphc.op import OPS
from graphc.ops.indexing import Items, Slice, indexed_shape
from graphc.size import Size
from graphc.tensor_type import Shape
from graphc.value import Value

Rule: TypeAlias = Callable[..., Value]


def with_size(values: Sequence[Value], batched: Sequence[bool]) -> Size:
    """The size of the batch."""
    return next(value.shape[0] for value, has in zip(values, batched, strict=True) if has)


def spread_all(values: Sequence[Value], batched: Sequence[bool]) -> list[Value]:
    """All operands with the batch axis."""
    size = with_size(values, batched)
    return [x if has else spread_over(x, size) for x, has in zip(values, batched, strict=True)]


def spread_over(x: Value, size: Size) -> Value:
    """A value repeated along a new batch axis."""
    return OPS["broadcast_to"](x, shape=(size, *x.shape))


def aligned(x: Value, ndim: int) -> Value:
    """A value with the batch axis as one of ``ndim`` other axes, axes of size 1 put in behind the batch."""
    missing = ndim - (x.ndim - 1)
    return OPS["expand_dims"](x, axis=tuple(range(1, 1 + missing))) if missing else x


def unchanged(name: str) -> Rule:
    """For ops that work along the last axes, or on each element."""

    def rule(values: Sequence[Value], batched: Sequence[bool], **attrs: object) -> Value:
        return OPS[name](*spread_all(values, batched), **attrs)

    return rule


def later_axes(name: str) -> Rule:
    """For ops whose attribute ``axis`` is an axis or several."""

    def rule(values: Sequence[Value], batched: Sequence[bool], *, axis: object, **attrs: object) -> Value:
        moved = tuple(a + 1 for a in axis) if isinstance(axis, tuple) else cast(int, axis) + 1
        return OPS[name](*spread_all(values, batched), axis=moved, **attrs)

    return rule


def position(name: str) -> Rule:
    """For argmax, argmin and median, which without an axis count through all elements."""

    def rule(values: Sequence[Value], batched: Sequence[bool], *, axis: int | None, keepdims: bool) -> Value:
        (x,) = values
        if axis is not None:
            return OPS[name](x, axis=axis + 1, keepdims=keepdims)
        found = OPS[name](OPS["reshape"](x, shape=(x.shape[0], -1)), axis=1)
        return OPS["expand_dims"](found, axis=tuple(range(1, x.ndim))) if keepdims and x.ndim > 1 else found

    return rule


def transpose(values: Sequence[Value], batched: Sequence[bool], *, axes: tuple[int, ...]) -> Value:
    """The batch stays in front."""
    return OPS["transpose"](values[0], axes=(0, *(axis + 1 for axis in axes)))


def broadcast_to(values: Sequence[Value], batched: Sequence[bool], *, shape: Shape) -> Value:
    """New leading axes come behind the batch."""
    return OPS["broadcast_to"](aligned(values[0], len(shape)), shape=(values[0].shape[0], *shape))


def reshape(values: Sequence[Value], batched: Sequence[bool], *, shape: Shape) -> Value:
    """Each in the new shape."""
    return OPS["reshape"](values[0], shape=(values[0].shape[0], *shape))


def pad(values: Sequence[Value], batched: Sequence[bool], *, pad_width: tuple[object, ...], **attrs: object) -> Value:
    """Nothing is put around the batch."""
    return OPS["pad"](values[0], pad_width=((0, 0), *pad_width), **attrs)


def matmul(values: Sequence[Value], batched: Sequence[bool]) -> Value:
    """A batch beside a matrix or vector needs nothing; otherwise vectors become matrices of one row or column."""
    x, y = values
    left, right = (value.ndim - has for value, has in zip(values, batched, strict=True))
    if right <= 2 and not batched[1]:
        return OPS["matmul"](x, y)
    if right == 1 and left <= 2 and not batched[0]:
        return OPS["matmul"](y, x if left == 1 else OPS["transpose"](x))
    if left == right == 1:
        return OPS["sum"](x * y, axis=-1)
    x = OPS["expand_dims"](x, axis=-2) if left == 1 else x
    y = OPS["expand_dims"](y, axis=-1) if right == 1 else y
    ndim = max(left, right, 2)
    x, y = (aligned(value, ndim) if has else value for value, has in zip((x, y), batched, strict=True))
    found = OPS["matmul"](x, y)
    return OPS["squeeze"](found, axis=-2 if left == 1 else -1) if 1 in (left, right) else found


def einsum(values: Sequence[Value], batched: Sequence[bool], *, spec: str) -> Value:
    """One more label, in front of the operands that have the batch and of the result."""
    inputs, _, output = spec.partition("->")
    label = next(letter for letter in ascii_letters if letter not in spec)
    terms = [label + term if has else term for term, has in zip(inputs.split(","), batched, strict=True)]
    return OPS["einsum"](*values, spec=f"{','.join(terms)}->{label}{output}")


def solve(values: Sequence[Value], batched: Sequence[bool]) -> Value:
    """The batch comes before other leading axes; a vector becomes a column."""
    a, b = values
    vector = b.ndim - batched[1] == 1
    b = OPS["expand_dims"](b, axis=-1) if vector else b
    ndim = max(a.ndim - batched[0], b.ndim - batched[1])
    a, b = (aligned(value, ndim) if has else value for value, has in zip((a, b), batched, strict=True))
    found = OPS["solve"](a, b)
    return OPS["squeeze"](found, axis=-1) if vector else found


def gather(values: Sequence[Value], batched: Sequence[bool], *, items: Items) -> Value:
    """With indices of its own, each is one more index; otherwise the same places of each."""
    x, indices, common = values[0], list(values[1:]), _common_ndim(values[1:], batched[1:])
    first, neighbours = _placement(items)
    if not any(batched[1:]):
        found = OPS["gather"](x, *indices, items=(_whole(x), *items))
        return found if neighbours else _moved(found, common, 0)
    indices = [aligned(i, common) if has else i for i, has in zip(indices, batched[1:], strict=True)]
    if not batched[0]:
        found = OPS["gather"](x, *indices, items=items)
        return _moved(found, first, 0) if neighbours else found
    found = OPS["gather"](x, _rows(x, common), *indices, items=("tensor", *items))
    return _moved_block(found, 1, common, 1 + first) if neighbours else found


def scatter_add(values: Sequence[Value], batched: Sequence[bool], *, items: Items, shape: Shape, unique: bool) -> Value:
    """The adjoint of the batched gather."""
    size, common = with_size(values, batched), _common_ndim(values[1:], batched[1:])
    x = values[0] if batched[0] else spread_over(values[0], size)
    first, neighbours = _placement(items)
    if not any(batched[1:]):
        x = x if neighbours else _moved(x, 0, common)
        attrs = {"items": (_whole_of(size), *items), "shape": (size, *shape), "unique": unique}
        return OPS["scatter_add"](x, *values[1:], **attrs)
    indices = [aligned(i, common) if has else i for i, has in zip(values[1:], batched[1:], strict=True)]
    x = _moved_block(x, 1 + first, common, 1) if neighbours else x
    attrs = {"items": ("tensor", *items), "shape": (size, *shape), "unique": unique}
    return OPS["scatter_add"](x, _rows(x, common), *indices, **attrs)


def item(values: Sequence[Value], batched: Sequence[bool], *, index: int) -> Value:
    """Each result of a batched op is batched."""
    return OPS["item"](values[0], index=index)


def split(values: Sequence[Value], batched: Sequence[bool], *, sections: object, axis: int) -> Value:
    """Sections of each."""
    return OPS["split"](values[0], sections=sections, axis=axis + 1)


def _whole(x: Value) -> Slice:
    return _whole_of(x.shape[0])


def _whole_of(size: Size) -> Slice:
    return Slice(0, size, 1)


def _rows(x: Value, common: int) -> Value:
    """The number of each in the batch, to stand beside indices with ``common`` axes."""
    counted = x.builder.apply(OPS["arange"], (), {"stop": x.shape[0]})
    return OPS["expand_dims"](counted, axis=tuple(range(1, 1 + common))) if common else counted


def _common_ndim(indices: Sequence[Value], batched: Sequence[bool]) -> int:
    return max((index.ndim - has for index, has in zip(indices, batched, strict=True)), default=0)


def _placement(items: Items) -> tuple[int, bool]:
    """Where the axes of the indices stand in the result, and whether the indices are neighbours."""
    places = [p for p, item in enumerate(items) if item is not None and not isinstance(item, Slice)]
    neighbours = places[-1] - places[0] + 1 == len(places)
    return (len(indexed_shape(items[: places[0]])) if neighbours else 0), neighbours


def _moved(x: Value, origin: int, place: int) -> Value:
    """One axis at another place."""
    return _moved_block(x, origin, 1, place)


def _moved_block(x: Value, origin: int, count: int, place: int) -> Value:
    """Neighbouring axes at another place, in their order."""
    rest = [axis for axis in range(x.ndim) if not origin <= axis < origin + count]
    axes = (*rest[:place], *range(origin, origin + count), *rest[place:])
    return x if axes == tuple(range(x.ndim)) else OPS["transpose"](x, axes=axes)
