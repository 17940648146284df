"""Basic indexing with ints, slices, ``None`` and ``...`` on symbolic sizes, and its adjoint."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from graphc.errors import TypeRuleError
from graphc.numpy_text import call, fill, literal, subscript
from graphc.op import OPS, Condition, Op, OpCall, Sample, define
from graphc.ops.axes import described, quoted
from graphc.ops.operand_text import as_array
from graphc.size import Size, SizeExpr, at_least, divide
from graphc.tensor_type import Shape, TensorType

if TYPE_CHECKING:
    from graphc.value import Value


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice whose bounds are settled: ``start`` and ``stop`` count from the front.

    With a negative step ``stop`` is -1 when the first element is in it.
    """

    start: Size
    stop: Size
    step: int

    @property
    def length(self) -> Size:
        """The number of elements, when the bounds are in order."""
        forward = self.step > 0
        distance = self.stop - self.start if forward else self.start - self.stop
        return divide(distance + (abs(self.step) - 1), abs(self.step))


Item: TypeAlias = Size | Slice | Literal["tensor"] | None
"""What stands between the brackets, settled; ``"tensor"`` is the place of an index tensor."""
Items: TypeAlias = tuple[Item, ...]


def settle_items(items: object, x: TensorType) -> Items:
    """Brackets in canonical form: one item per axis, bounds from the front, no trailing full slices left out.

    ``items`` holds ints, sizes, slices, None, ``...`` and, for an index tensor, the string ``"tensor"``.

    Raises
    ------
    TypeRuleError
        GC203 when there are too many, one is out of range, or one is no index.
    """
    given = items if isinstance(items, tuple) else (items,)
    taking = [item for item in given if item is not None and item is not ...]
    if len(taking) > x.ndim:
        axes = f"{x.ndim} axis" if x.ndim == 1 else f"{x.ndim} axes"
        raise TypeRuleError("GC203", f"{len(taking)} indices for a tensor with {axes}", "{0} " + described(x))
    if sum(item is ... for item in given) > 1:
        raise TypeRuleError("GC203", "an index can hold one ..., got more")
    spare = [slice(None)] * (x.ndim - len(taking))
    place = next((p for p, item in enumerate(given) if item is ...), len(given))
    expanded = [*given[:place], *spare, *given[place + 1 :]]
    sizes = iter(x.shape)
    return tuple(None if item is None else _settled(item, next(sizes), x) for item in expanded)


def _settled(item: object, size: Size, x: TensorType) -> Item:
    if item == "tensor":
        return "tensor"
    if isinstance(item, Slice):
        return item
    if isinstance(item, slice):
        return _settled_slice(item, size)
    if isinstance(item, SizeExpr) or (isinstance(item, int) and not isinstance(item, bool)):
        position = size + item if isinstance(item, int) and item < 0 else item
        if at_least(position, 0) is False or at_least(size - position, 1) is False:
            message = f"index {item} is out of range for an axis of size {size}"
            raise TypeRuleError("GC203", message, "{0} " + described(x), {0: described(x)})
        return position
    raise TypeRuleError("GC203", f"an index is an integer, a slice, None, ... or an integer tensor, got {quoted(item)}")


def _settled_slice(item: slice, size: Size) -> Slice:
    step = 1 if item.step is None else item.step
    if not isinstance(step, int) or step == 0:
        raise TypeRuleError("GC203", f"the step of a slice is an integer other than 0, got {quoted(step)}")
    for bound in (item.start, item.stop):
        if not (bound is None or isinstance(bound, (int, SizeExpr))):
            raise TypeRuleError("GC203", f"the bounds of a slice are integers or sizes, got {quoted(bound)}")
    if all(isinstance(part, int) or part is None for part in (size, item.start, item.stop)):
        assert isinstance(size, int)
        begin, end, _ = item.indices(size)
        return _in_order(Slice(begin, end, step))
    first, last = (0, size) if step > 0 else (size - 1, -1)
    start = first if item.start is None else _from_front(item.start, size)
    stop = last if item.stop is None else _from_front(item.stop, size)
    return _in_order(Slice(start, stop, step))


def _from_front(bound: Size, size: Size) -> Size:
    return size + bound if isinstance(bound, int) and bound < 0 else bound


def _in_order(item: Slice) -> Slice:
    """The slice, or ``0:0`` for one that is known to be empty."""
    distance = item.stop - item.start if item.step > 0 else item.start - item.stop
    return Slice(0, 0, 1) if at_least(distance, 1) is False else item


def item_conditions(items: Items, shape: Shape) -> list[Condition]:
    """What must hold of sizes so that no index is out of range and no slice is cut short."""
    sizes = iter(shape)
    wanted: list[tuple[Size, int]] = []
    for item in items:
        if item is None:
            continue
        size = next(sizes)
        if isinstance(item, Slice):
            wanted += _slice_needs(item, size)
        elif item != "tensor":
            wanted += [(item, 0), (size - item, 1)]
    undecided = dict.fromkeys(need for need in wanted if at_least(*need) is None)
    return [needed(*need) for need in undecided]


def _slice_needs(item: Slice, size: Size) -> list[tuple[Size, int]]:
    if item.step > 0:
        return [(item.start, 0), (item.stop - item.start, 0), (size - item.stop, 0)]
    if item.stop == -1 and item.start == size - 1:
        return []
    return [(item.stop, -1), (item.start - item.stop, 0), (size - item.start, 1)]


def needed(size: Size, bound: int) -> Condition:
    """The condition that a size is at least a number; ``N - 3 >= 0`` as people say it: ``N >= 3``."""
    constant = sum(c for monomial, c in size.terms if not monomial) if isinstance(size, SizeExpr) else 0
    return Condition(size - constant, "at_least", bound - constant)


def named_elements(result: TensorType, x: TensorType, *indices: TensorType, **attrs: object) -> list[Size]:
    """What selecting by integers reads: of the operand no more elements than the result has."""
    return [result.size, *(index.size for index in indices)]


def indexed_shape(items: Items) -> list[Size]:
    """The sizes that slices and new axes leave, in order."""
    return [item.length if isinstance(item, Slice) else 1 for item in items if item is None or isinstance(item, Slice)]


def item_texts(items: Items, shape: Shape, indices: Iterable[ast.expr] = ()) -> list[ast.expr]:
    """Brackets as people write them: ``[:, -1, None, idx]``, without trailing full slices."""
    sizes, tensors = iter(shape), iter(indices)
    texts = []
    full = 0
    for item in items:
        size: Size = 1 if item is None else next(sizes)
        full = full + 1 if item == Slice(0, size, 1) and item is not None else 0
        texts.append(_item_text(item, size, tensors))
    return texts[: len(texts) - full] or texts[:1]


def _item_text(item: Item, size: Size, tensors: Iterable[ast.expr]) -> ast.expr:
    if item is None:
        return literal(None)
    if item == "tensor":
        return next(iter(tensors))
    if not isinstance(item, Slice):
        return literal(_from_end(item, size))
    if item.step > 0:
        start = None if item.start == 0 else _from_end(item.start, size)
        stop = None if item.stop == size else _from_end(item.stop, size)
    else:
        start = None if item.start == size - 1 else _from_end(item.start, size)
        stop = None if item.stop == -1 else _from_end(item.stop, size)
    parts = [None if part is None else literal(part) for part in (start, stop, None if item.step == 1 else item.step)]
    return ast.Slice(*parts)


def _from_end(position: Size, size: Size) -> Size:
    """A position counted from the end where it is a named size away from the front."""
    distance = position - size
    return distance if isinstance(distance, int) and distance < 0 and not isinstance(position, int) else position


def index_expression(texts: Sequence[ast.expr]) -> ast.expr:
    """Brackets as a value to hand on: ``np.s_[1:, None]``."""
    if not any(isinstance(text, ast.Slice) for text in texts):
        return texts[0] if len(texts) == 1 else ast.Tuple(list(texts), ast.Load())
    return subscript(fill("np.s_", {}), *texts)


def _index_attrs(x: TensorType, *, items: object) -> dict[str, object]:
    return {"items": settle_items(items, x)}


def _index_batching(values: Sequence[Value], batched: Sequence[bool], *, items: Items) -> Value:
    """The same part of each."""
    return OPS["index"](values[0], items=(Slice(0, values[0].shape[0], 1), *items))


def _index_text(c: OpCall, x: ast.expr, *, items: Items) -> ast.expr:
    return subscript(as_array(c, x), *item_texts(items, c.operand().shape)) if items else x


_VECTOR, _MATRIX, _CUBE = (TensorType("float64", shape) for shape in ((5,), (3, 4), (2, 3, 4)))

INDEX = define(
    Op(
        "index",
        1,
        infer=lambda x, *, items: TensorType(x.dtype, tuple(indexed_shape(items))),
        numpy=_index_text,
        vjp=lambda ct, y, x, *, items: (OPS["scatter_slice"](ct, items=items, shape=x.shape),),
        normalize=_index_attrs,
        linear=True,
        flops=0,
        view="strided",
        conditions=lambda x, *, items: item_conditions(items, x.shape),
        label="[ ]",
        batching=_index_batching,
        samples=(
            Sample((_VECTOR,), {"items": slice(1, -1)}),
            Sample((_VECTOR,), {"items": slice(None, None, -2)}),
            Sample((_VECTOR,), {"items": slice(3, 0, -1)}),
            Sample((_VECTOR,), {"items": slice(4, 1)}),
            Sample((_MATRIX,), {"items": -1}),
            Sample((_MATRIX,), {"items": (..., 0)}),
            Sample((_CUBE,), {"items": (0, ..., slice(None, None, 2))}),
            Sample((_CUBE,), {"items": (None, slice(None), 1, ..., None)}),
        ),
        doc="basic indexing: ints, slices, None, ...",
    )
)


def _scatter_attrs(x: TensorType, *, items: object, shape: Shape) -> dict[str, object]:
    return {"items": settle_items(items, TensorType(x.dtype, shape)), "shape": shape}


def _scatter_batching(values: Sequence[Value], batched: Sequence[bool], *, items: Items, shape: Shape) -> Value:
    """To the same part of each."""
    size = values[0].shape[0]
    return OPS["scatter_slice"](values[0], items=(Slice(0, size, 1), *items), shape=(size, *shape))


def _scatter_text(c: OpCall, x: ast.expr, *, items: Items, shape: Shape) -> ast.expr:
    place = index_expression(item_texts(items, shape)) if items else ast.Constant(...)
    return call("_placed", as_array(c, x), shape, place)


SCATTER_SLICE = define(
    Op(
        "scatter_slice",
        1,
        infer=lambda x, *, items, shape: TensorType(x.dtype, shape),
        numpy=_scatter_text,
        vjp=lambda ct, y, x, *, items, shape: (OPS["index"](ct, items=items),),
        normalize=_scatter_attrs,
        flops=0,
        linear=True,
        batching=_scatter_batching,
        samples=(
            Sample((TensorType("float64", (3,)),), {"items": slice(1, -1), "shape": (5,)}),
            Sample((TensorType("float64", (3,)),), {"items": (slice(None), 1), "shape": (3, 4)}),
        ),
        doc="zeros with the operand put at a basic index: the adjoint of index",
    )
)
