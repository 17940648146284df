"""Products factored out of a difference that broadcasts: of each side, where the difference of all pairs is large.

Part of `REASSOCIATE`. Before anything is multiplied, a point in the middle of the smaller side is taken off both: what
is lost to cancellation depends on how far the points are spread, not on how far they are from zero. In the bounds,
``spread`` is, along each axis that both sides have, the largest difference of two elements of the smaller side.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from string import ascii_lowercase

from graphc.builder import Builder
from graphc.cost import Cost, graph_cost
from graphc.ops import OPS
from graphc.rewrite.contractions import Axes, contracted, labelled
from graphc.rewrite.pattern import FLOAT, Rule, attr, once, var
from graphc.size import at_least, nominal
from graphc.tensor_type import TensorType, broadcast_shapes, product
from graphc.value import Value

__all__ = ["DIFFERENCES"]

total, mean, square, matmul = OPS["sum"], OPS["mean"], OPS["square"], OPS["matmul"]
minimum, maximum = OPS["minimum"], OPS["maximum"]
expand_dims, squeeze, transpose, reshape = OPS["expand_dims"], OPS["squeeze"], OPS["transpose"], OPS["reshape"]
arange, one_hot, constant = OPS["arange"], OPS["one_hot"], OPS["stop_gradient"]

a, b, e, w = var("a", FLOAT), var("b", FLOAT), var("e", FLOAT), var("w", FLOAT)
x, y = var("x", FLOAT), var("y", FLOAT)
axis, keepdims, column = attr("axis"), attr("keepdims"), attr("column")


def _centred(x: Value, y: Value) -> tuple[Value, Value]:
    """Both sides less the mean of the smaller one, which is constant: the difference does not change with it."""
    letters = ascii_lowercase[: max(x.ndim, y.ndim)]
    sides = [labelled(side, letters) for side in (x, y)]
    shared = [letter for letter in letters if all(letter in term for _, term in sides)]
    points, term = min(sides, key=lambda side: nominal(side[0].type.size))
    middle = _middle(points, tuple(place for place, letter in enumerate(term) if letter not in shared))

    def centred(side: Value, term: str) -> Value:
        own = tuple(place for place, letter in enumerate(term) if letter not in shared)
        leading = own == tuple(range(len(own)))
        moved = side - (middle if leading else expand_dims(middle, axis=own))
        inner = letters[letters.index(term[0]) :] if term else ""
        missing = tuple(place for place, letter in enumerate(inner) if letter not in term)
        return expand_dims(moved, axis=missing) if missing else moved

    first, second = (centred(*side) for side in sides)
    return first, second


def _middle(points: Value, axis: Axes) -> Value:
    """The mean; zero of no points, for then nothing is taken off that the result depends on."""
    count = product([points.shape[place] for place in axis])
    if at_least(count, 1):
        return mean(constant(points), axis=axis)
    return total(constant(points), axis=axis) / maximum(points.builder.size(count, points.type.dtype), 1.0)


def _is_of_pairs(x: Value, y: Value) -> bool:
    """Whether each side of a difference is the same along an axis along which the other changes."""
    shape = broadcast_shapes([x.shape, y.shape])
    # Sides are written without leading axes of one element: one of them has the first axis.
    return 0 < len(shape) <= len(ascii_lowercase) and shape[0] != 1 and x.shape != shape != y.shape


def _saves(
    used: Callable[..., Value],
    factored: Callable[..., Value],
    x: Value,
    y: Value,
    *others: Value,
    shared: bool = False,
) -> bool:
    """Whether a form without the difference of x and y takes less: operations and bytes, one for one.

    ``used`` makes what is wanted of the difference. Unless others share that, it has to be made, and the gradient reads
    it once more, as it reads the sides in its place.
    """
    types = [value.type for value in others]
    whole = TensorType(x.type.dtype, broadcast_shapes([x.shape, y.shape]))
    before, after = _cost(used, [whole, *types]), _cost(factored, [x.type, y.type, *types])
    if not shared:
        before += _cost(lambda x, y: x - y, [x.type, y.type]) + Cost(read=whole.nbytes)
        after += Cost(read=x.type.nbytes + y.type.nbytes)
    return nominal(after.flops) + nominal(after.moved) < nominal(before.flops) + nominal(before.moved)


def _cost(function: Callable[..., Value], types: list[TensorType]) -> Cost:
    builder = Builder(intern=True)
    operands = [builder.input(f"x{place}", type) for place, type in enumerate(types)]
    return graph_cost(builder.finish({"f": function(*operands).node}))


def _distances(x: Value, y: Value, axis: Axes, keepdims: bool) -> Value:
    """|x|² - 2 x·y + |y|², and 0 where that is below; the gradient is the sum's everywhere."""
    x, y = _centred(x, y)
    if nominal(x.type.size) < nominal(y.type.size):
        x, y = y, x
    crossed = contracted(x, -2.0 * y, axis, keepdims)
    added = crossed + _norms(x, crossed, axis, keepdims) + _norms(y, crossed, axis, keepdims)
    return added - constant(minimum(added, 0.0))


def _norms(x: Value, crossed: Value, axis: Axes, keepdims: bool) -> Value:
    ndim = crossed.ndim + (0 if keepdims else len(axis))
    return total(square(x), axis=tuple(place - ndim + x.ndim for place in axis), keepdims=keepdims)


def _is_distance(x: Value, y: Value, axis: Axes, keepdims: bool, *, shared: bool = False) -> bool:
    ndim = max(x.ndim, y.ndim)
    along = [[side.shape[place - ndim] if place - ndim >= -side.ndim else 1 for place in axis] for side in (x, y)]
    if not axis or not _is_of_pairs(x, y) or 1 in (*along[0], *along[1]):
        return False
    return _saves(
        lambda difference: contracted(difference, difference, axis, keepdims),
        lambda x, y: _distances(x, y, axis, keepdims),
        *(x, y),
        shared=shared,
    )


_PAIRS = {
    "x": TensorType("float64", (40, 1, 8)),
    "y": TensorType("float64", (30, 8)),
    "axis": (2,),
    "keepdims": False,
}

# Error: a few roundings of the sum of (|x - y| + spread)². Of the gradient: of |ct| (|x - y| + spread), added up.
_DISTANCES = (
    Rule(
        "squared_distance",
        total(once(square(once(x - y))), axis=axis, keepdims=keepdims),
        _distances,
        when=_is_distance,
        example=_PAIRS,
    ),
    Rule(
        "squared_distance_of_shared",
        total(once(square(x - y)), axis=axis, keepdims=keepdims),
        _distances,
        when=partial(_is_distance, shared=True),
        example=_PAIRS,
    ),
)


def _weighted(w: Value, x: Value, y: Value, axis: Axes, keepdims: bool) -> Value:
    x, y = _centred(x, y)
    return _weighed(w, x, axis, keepdims) - _weighed(w, y, axis, keepdims)


def _weighed(w: Value, x: Value, axis: Axes, keepdims: bool) -> Value:
    """The sum of w x: of w alone along axes along which x does not change."""
    ndim = max(w.ndim, x.ndim)
    w, x = (expand_dims(v, axis=tuple(range(ndim - v.ndim))) if v.ndim < ndim else v for v in (w, x))
    alone = tuple(place for place in axis if x.shape[place] == 1)
    w = total(w, axis=alone, keepdims=True) if alone else w
    if len(alone) < len(axis):
        return contracted(w, x, axis, keepdims)
    return w * x if keepdims else squeeze(w * x, axis=axis)


def _is_weighted(w: Value, x: Value, y: Value, axis: Axes, keepdims: bool) -> bool:
    """Whether a weighted sum of differences is cheaper by each side; the weights have all axes that are summed."""
    whole = broadcast_shapes([x.shape, y.shape])
    if not axis or not _is_of_pairs(x, y) or w.ndim != len(whole) or 1 in [w.shape[place] for place in axis]:
        return False
    if broadcast_shapes([w.shape, whole]) != whole:
        return False
    return _saves(
        lambda difference, w: contracted(w, difference, axis, keepdims),
        lambda x, y, w: _weighted(w, x, y, axis, keepdims),
        *(x, y, w),
        shared=True,
    )


_WEIGHTED = (
    # Error: a few roundings of the sum of |w| (|x - y| + spread).
    Rule(
        "weighted_difference",
        total(once(w * (x - y)), axis=axis, keepdims=keepdims),
        _weighted,
        when=_is_weighted,
        example={**_PAIRS, "w": TensorType("float64", (40, 30, 1)), "axis": (0,)},
    ),
)


def _product(x: Value, y: Value, b: Value) -> Value:
    """(x - y) b, of each side by itself."""
    x, y = _centred(x, y)
    return _narrow_product(x, b) - _narrow_product(y, b)


def _narrow_product(x: Value, b: Value) -> Value:
    """A stack of rows by a matrix; axes of one element are not rows of a product each."""
    ones = tuple(place for place, size in enumerate(x.shape[:-1]) if size == 1)
    return expand_dims(matmul(squeeze(x, axis=ones), b), axis=ones) if ones else matmul(x, b)


def _is_product(x: Value, y: Value, b: Value) -> bool:
    if not x.ndim or not y.ndim or b.ndim != 2 or x.shape[-1] != y.shape[-1] or not _is_of_pairs(x, y):
        return False
    return _saves(matmul, _product, x, y, b)


def _applied(a: Value, x: Value, y: Value) -> Value:
    """a (x - y) of every x for each matrix of a stack, which has a y each: one product with all rows of the stack."""
    if a.ndim == 2:
        return _product(x, y, transpose(a, axes=(1, 0)))
    x, y = squeeze(x, axis=_stack_axes(a, x)), reshape(y, shape=(*a.shape[:-2], a.shape[-1]))
    middle = _middle(y, tuple(range(y.ndim - 1)))
    x, y = x - middle, y - middle
    rows = product(a.shape[:-1])
    of_x = matmul(x, transpose(reshape(a, shape=(rows, a.shape[-1])), axes=(1, 0)))
    return reshape(of_x - reshape(_on_columns(a, y), shape=(rows,)), shape=(*x.shape[:-1], *a.shape[:-1]))


def _on_columns(a: Value, v: Value) -> Value:
    return squeeze(matmul(a, expand_dims(v, axis=v.ndim)), axis=v.ndim)


def _stack_axes(a: Value, x: Value) -> Axes:
    return tuple(range(x.ndim - a.ndim + 1, x.ndim - 1))


def _is_applied(a: Value, x: Value, y: Value, axis: Axes, column: Axes) -> bool:
    """Whether a product with columns is one of each matrix of a stack with the differences from its own y."""
    ndim = max(x.ndim, y.ndim)
    if axis != (ndim,) or column != (ndim,) or a.ndim < 2 or not _is_of_pairs(x, y):
        return False
    own = (*a.shape[:-2], a.shape[-1])
    if x.shape[-1] != y.shape[-1]:
        return False
    ones = [x.shape[place] for place in _stack_axes(a, x)] if x.ndim >= a.ndim else [0]
    return a.ndim == 2 or (y.shape[y.ndim - len(own) :] == own and y.type.size == product(own) and {*ones} == {1})


def _is_matrix_on(a: Value, x: Value, y: Value, axis: Axes, column: Axes) -> bool:
    return _is_applied(a, x, y, axis, column) and _saves(
        lambda difference, a: _on_columns(a, difference), lambda x, y, a: _applied(a, x, y), x, y, a
    )


def _with_diagonal(a: Value, e: Value) -> Value:
    size = a.shape[-1]
    identity = one_hot(a.builder.apply(arange, (), {"stop": size}), depth=size, dtype=a.type.dtype)
    return a + expand_dims(e, axis=e.ndim) * identity


def _is_matrix_with_diagonal(a: Value, e: Value, x: Value, y: Value, axis: Axes, column: Axes) -> bool:
    if e.shape != a.shape[:-1] or a.shape[-1:] != a.shape[-2:-1] or not _is_applied(a, x, y, axis, column):
        return False
    return _saves(
        lambda difference, a, e: e * difference + _on_columns(a, difference),
        lambda x, y, a, e: _applied(_with_diagonal(a, e), x, y),
        *(x, y, a, e),
    )


_OF_STACK = {
    "a": TensorType("float64", (9, 8, 8)),
    "e": TensorType("float64", (9, 8)),
    "x": TensorType("float64", (40, 1, 8)),
    "y": TensorType("float64", (9, 8)),
    "column": (3,),
    "axis": (3,),
}
on_columns = squeeze(once(matmul(a, once(expand_dims(once(x - y), axis=column)))), axis=axis)
on_shared_columns = squeeze(once(matmul(a, expand_dims(x - y, axis=column))), axis=axis)

# Error: a few roundings of |a| (|x - y| + spread).
_PRODUCTS = (
    Rule(
        "product_of_difference",
        matmul(once(x - y), b),
        _product,
        when=_is_product,
        example={
            "x": TensorType("float64", (7, 1, 6)),
            "y": TensorType("float64", (8, 6)),
            "b": TensorType("float64", (6, 5)),
        },
    ),
    Rule("matrix_on_difference", on_columns, _applied, when=_is_matrix_on, example=_OF_STACK),
    # Error: with the diagonal in a.
    Rule(
        "matrix_and_diagonal_on_difference",
        once(e * (x - y)) + once(on_shared_columns),
        lambda a, e, x, y: _applied(_with_diagonal(a, e), x, y),
        when=_is_matrix_with_diagonal,
        example=_OF_STACK,
    ),
)

DIFFERENCES: tuple[Rule, ...] = (*_DISTANCES, *_WEIGHTED, *_PRODUCTS)
