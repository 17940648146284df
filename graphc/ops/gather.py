"""Indexing by integer tensors, its scatter-add adjoint, and what is made of labels: pick and one_hot."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from graphc.errors import TypeRuleError
from graphc.numpy_text import call, float_dtype, literal, subscript
from graphc.op import OPS, Op, OpCall, Sample, define
from graphc.ops import batch_rules
from graphc.ops.axes import described, is_size, quoted
from graphc.ops.indexing import (
    Items,
    Slice,
    index_expression,
    indexed_shape,
    item_conditions,
    item_texts,
    named_elements,
    settle_items,
)
from graphc.ops.operand_text import as_array
from graphc.size import Size, nominal
from graphc.tensor_type import Shape, TensorType, broadcast_shapes, shape_text

if TYPE_CHECKING:
    from graphc.value import Value


def _gather_attrs(x: TensorType, *indices: TensorType, items: object = None) -> dict[str, object]:
    return {"items": settle_items(("tensor",) * len(indices) if items is None else items, x)}


def _gathered(x: TensorType, *indices: TensorType, items: Items) -> TensorType:
    return TensorType(x.dtype, _gathered_shape(items, indices))


def _gathered_shape(items: Items, indices: tuple[TensorType, ...]) -> Shape:
    """NumPy's placement: the axes of the index tensors stand where these do when they are neighbours, else in front.

    An int beside index tensors counts as one of them.
    """
    if sum(item == "tensor" for item in items) != len(indices):
        raise TypeRuleError(
            "GC203", f"an index with {len(indices)} integer tensors has another number of places for them"
        )
    _refuse_non_integers(indices, 1)
    # The indexed tensor is operand 0 of a refusal.
    common = list(broadcast_shapes([(), *(index.shape for index in indices)]))
    places = [p for p, item in enumerate(items) if _is_advanced(item)]
    if places[-1] - places[0] + 1 != len(places):
        return (*common, *indexed_shape(items))
    return (*indexed_shape(items[: places[0]]), *common, *indexed_shape(items[places[-1] + 1 :]))


def _is_advanced(item: object) -> bool:
    return item is not None and not isinstance(item, Slice)


def _refuse_non_integers(indices: tuple[TensorType, ...], first: int) -> None:
    for position, index in enumerate(indices, first):
        if not index.is_int:
            reason = (
                "the size of a selection by a mask is unknown; where keeps the shape" if index.dtype == "bool" else ""
            )
            message = f"an index is an integer tensor, got {index}" + (f": {reason}" if reason else "")
            raise TypeRuleError("GC204", message, f"{{{position}}} is {index.dtype}")


def _tensor_axes(items: Items, shape: Shape) -> list[Size]:
    """The sizes of the axes that index tensors stand at."""
    sizes = iter(shape)
    taken = [(item, next(sizes)) for item in items if item is not None]
    return [size for item, size in taken if item == "tensor"]


def _gather_text(c: OpCall, x: ast.expr, *indices: ast.expr, items: Items) -> ast.expr:
    return subscript(x, *item_texts(items, c.operand().shape, indices))


def _gather_vjp(ct: Value, y: Value, x: Value, *indices: Value, items: Items) -> tuple[Value | None, ...]:
    spread = OPS["scatter_add"](ct, *indices, items=items, shape=x.shape, unique=_names_each_once(indices))
    return (spread, *[None] * len(indices))


def _names_each_once(indices: tuple[Value, ...]) -> bool:
    """Whether no element can be named twice: one index counts along the only axis of all of them."""
    shape = broadcast_shapes([index.shape for index in indices])
    return len(shape) == 1 and any(index.node.op is OPS["arange"] and index.shape == shape for index in indices)


_MATRIX = TensorType("float64", (3, 4))
_CUBE = TensorType("float64", (2, 3, 4))

GATHER = define(
    Op(
        "gather",
        None,
        infer=_gathered,
        numpy=_gather_text,
        vjp=_gather_vjp,
        normalize=_gather_attrs,
        flops=0,
        reads=named_elements,
        conditions=lambda x, *indices, items: item_conditions(items, x.shape),
        limits=lambda x, *indices, items: dict(enumerate(_tensor_axes(items, x.shape), 1)),
        label="[ ]",
        batching=batch_rules.gather,
        samples=(
            Sample((_MATRIX, (0, 2, 2, 1, 0))),
            Sample((_MATRIX, ((0, 3), (3, 3))), {"items": (slice(None), "tensor")}),
            Sample((_MATRIX, (0, 1, 2), (3, 0, 3))),
            Sample((_CUBE, (1, 0, 1)), {"items": (0, slice(None), "tensor")}),
            Sample((_CUBE, (1, 0, 1), (2, 2, 0)), {"items": ("tensor", slice(0, 2), "tensor")}),
            Sample((_CUBE, (1, 0, 1), 2), {"items": (slice(None), "tensor", "tensor", None)}),
            Sample((_MATRIX, 1), {"items": ("tensor", slice(None, None, -1))}),
        ),
        doc="indexing by integer tensors, mixed with ints, slices and None; operands: the tensor, then the indices",
    )
)


def _scatter_attrs(
    x: TensorType, *indices: TensorType, items: object, shape: Shape, unique: bool = False
) -> dict[str, object]:
    return {"items": settle_items(items, TensorType(x.dtype, shape)), "shape": shape, "unique": unique}


def _scattered(x: TensorType, *indices: TensorType, items: Items, shape: Shape, unique: bool) -> TensorType:
    expected = _gathered_shape(items, indices)
    if x.shape != expected:
        raise TypeRuleError(
            "GC203", f"scatter_add needs values of shape {expected}, got {x.shape}", "{0} " + described(x)
        )
    return TensorType(x.dtype, shape)


def _scatter_text(c: OpCall, x: ast.expr, *indices: ast.expr, items: Items, shape: Shape, unique: bool) -> ast.expr:
    place = index_expression(item_texts(items, shape, indices))
    return call("_placed" if unique else "_scatter_add", as_array(c, x), shape, place)


def _scatter_scratch(y: TensorType, x: TensorType, *indices: TensorType, unique: bool, **_: object) -> Size:
    """Of `_scatter_add`, which for several rows finds the place of each element."""
    by_element = not unique and x.ndim >= 2 and nominal(x.size) >= nominal(y.size)
    return (x.size + y.size) * 8 if by_element else 0


def _scatter_vjp(
    ct: Value, y: Value, x: Value, *indices: Value, items: Items, shape: Shape, unique: bool
) -> tuple[Value | None, ...]:
    return (OPS["gather"](ct, *indices, items=items), *[None] * len(indices))


SCATTER_ADD = define(
    Op(
        "scatter_add",
        None,
        infer=_scattered,
        numpy=_scatter_text,
        vjp=_scatter_vjp,
        normalize=_scatter_attrs,
        flops=lambda y, x, *indices, unique, **_: 0 if unique else x.size,
        scratch=_scatter_scratch,
        limits=lambda x, *indices, items, shape, unique: dict(enumerate(_tensor_axes(items, shape), 1)),
        batching=batch_rules.scatter_add,
        samples=(
            Sample(
                (TensorType("float64", (5, 4)), (0, 2, 2, 1, 0)), {"items": ("tensor", slice(None)), "shape": (3, 4)}
            ),
            Sample(
                (TensorType("float64", (3,)), (0, 1, 2), (3, 0, 3)),
                {"items": ("tensor", "tensor"), "shape": (3, 4), "unique": True},
            ),
        ),
        doc="zeros with the first operand added at integer indices: the adjoint of gather",
    )
)


def _picked(x: TensorType, index: TensorType) -> TensorType:
    _refuse_non_integers((index,), 1)
    if index.shape != x.shape[:-1] or not x.shape:
        message = f"pick needs an index for each row, got shapes {shape_text(x.shape)} and {shape_text(index.shape)}"
        raise TypeRuleError(
            "GC203",
            message,
            "{0} " + described(x) + ", {1} " + described(index),
            {0: described(x), 1: described(index)},
        )
    return TensorType(x.dtype, index.shape)


def _pick_text(c: OpCall, x: ast.expr, index: ast.expr) -> ast.expr:
    shape = c.operand().shape
    if len(shape) <= 2:
        return subscript(x, *[call("np.arange", size) for size in shape[:-1]], index)
    new_axis = subscript(index, ast.Constant(...), literal(None))
    return subscript(call("np.take_along_axis", x, new_axis, axis=-1), ast.Constant(...), literal(0))


def _pick_vjp(ct: Value, y: Value, x: Value, index: Value) -> tuple[Value, None]:
    chosen = OPS["one_hot"](index, depth=x.shape[-1], dtype=x.type.dtype)
    return OPS["expand_dims"](ct, axis=-1) * chosen, None


PICK = define(
    Op(
        "pick",
        2,
        infer=_picked,
        numpy=_pick_text,
        vjp=_pick_vjp,
        flops=0,
        reads=named_elements,
        limits=lambda x, index: {1: x.shape[-1]},
        batching=batch_rules.unchanged("pick"),
        samples=(
            Sample((_MATRIX, (0, 3, 3))),
            Sample((TensorType("float64", (4,)), 2)),
            Sample((_CUBE, ((0, 1, 2), (3, 3, 3)))),
        ),
        doc="of each row along the last axis, the element that the integer index names",
    )
)


def _one_hot_attrs(labels: TensorType, *, depth: object, dtype: str = "float64") -> dict[str, object]:
    if not is_size(depth):
        raise TypeRuleError("GC203", f"one_hot needs a size for depth, got {quoted(depth)}")
    return {"depth": depth, "dtype": dtype}


def _one_hot_type(labels: TensorType, *, depth: Size, dtype: str) -> TensorType:
    _refuse_non_integers((labels,), 0)
    return TensorType("float32" if dtype == "float32" else "float64", (*labels.shape, depth))


def _one_hot_text(c: OpCall, labels: ast.expr, *, depth: Size, dtype: str) -> ast.expr:
    """Rows of the identity, all of them in order where the labels count; few of many are written without the others."""
    identity = call("np.eye", depth, dtype=float_dtype())
    if ast.unparse(labels) == ast.unparse(call("np.arange", depth)):
        return identity
    return subscript(identity, labels) if _is_few(depth) else call("_one_hot", labels, depth, float_dtype())


def _is_few(depth: Size) -> bool:
    """Whether an identity matrix of this size is cheap."""
    return isinstance(depth, int) and depth <= 100


ONE_HOT = define(
    Op(
        "one_hot",
        1,
        infer=_one_hot_type,
        numpy=_one_hot_text,
        vjp=lambda ct, y, labels, *, depth, dtype: (None,),
        normalize=_one_hot_attrs,
        flops=0,
        # The identity, whose rows are taken.
        scratch=lambda y, labels, **_: y.shape[-1] * y.shape[-1] * y.item_bytes if _is_few(y.shape[-1]) else 0,
        limits=lambda labels, *, depth, dtype: {0: depth},
        batching=batch_rules.unchanged("one_hot"),
        samples=(
            Sample(((0, 2, 1),), {"depth": 3}),
            Sample((((0, 4),),), {"depth": 5}),
            Sample((((0, 140), (3, 2)),), {"depth": 150}),
        ),
        doc="rows of zeros with a 1 where the label says, along a new last axis",
    )
)
