"""Sums of products without the products: contracted as they are added up, or with a factor taken out of the sum.

Part of `ROUNDING`: the terms and their bound are those of the sum as it was written, added up in another order.
"""

from __future__ import annotations

from string import ascii_lowercase

from graphc.ops import OPS
from graphc.rewrite.pattern import FLOAT, Kind, Rule, attr, once, var
from graphc.size import at_least
from graphc.tensor_type import TensorType, broadcast_shapes
from graphc.value import Value

__all__ = ["CONTRACTIONS"]

Axes = tuple[int, ...]

total, square, matmul, einsum = OPS["sum"], OPS["square"], OPS["matmul"], OPS["einsum"]
expand_dims, squeeze = OPS["expand_dims"], OPS["squeeze"]

x, y = var("x", FLOAT), var("y", FLOAT)
axis, keepdims, column = attr("axis"), attr("keepdims"), attr("column")


def _labelled(x: Value, letters: str) -> tuple[Value, str]:
    """An operand of a broadcast product without its axes of size 1, and a letter for each that is left."""
    own = letters[len(letters) - x.ndim :]
    ones = tuple(place for place, size in enumerate(x.shape) if size == 1)
    narrow = squeeze(x, axis=ones) if ones else x
    return narrow, "".join(letter for place, letter in enumerate(own) if place not in ones)


def _is_made_anyway(x: Value) -> bool:
    """Whether an operand is no elementwise result, which a sum over all of it can consume where it is computed."""
    return x.node.op.elementwise is None


def _pays(x: Value, y: Value, axis: Axes) -> bool:
    """Whether both factors change along all summed axes that one of them has, and the sum has something to sum."""
    ndim = max(x.ndim, y.ndim)
    letters = ascii_lowercase[:ndim]
    if not axis or ndim > len(ascii_lowercase):
        return False
    left, right = (_letters(value, letters) for value in (x, y))
    summed = {letters[place] for place in axis}
    if not summed & left & right:
        return False
    return len(axis) < ndim or (_is_made_anyway(x) and _is_made_anyway(y))


def _letters(x: Value, letters: str) -> set[str]:
    return {letter for letter, size in zip(reversed(letters), reversed(x.shape), strict=False) if size != 1}


def _contracted(x: Value, y: Value, axis: Axes, keepdims: bool) -> Value:
    """Matrix times vector where it is that; else einsum."""
    letters = ascii_lowercase[: max(x.ndim, y.ndim)]
    (left, term), (right, other) = _labelled(x, letters), _labelled(y, letters)
    if len(term) < len(other):
        left, term, right, other = right, other, left, term
    summed = "".join(letters[place] for place in axis)
    kept = "".join(a for place, a in enumerate(letters) if place not in axis and (a in term or a in other))
    if other == summed == term[-1:]:
        found = matmul(left, right)
    elif other == summed == term[:-1]:
        found = matmul(right, left)
    else:
        found = einsum(left, right, spec=f"{term},{other}->{kept}")
    missing = [a for place, a in enumerate(letters) if (keepdims or place not in axis) and a not in kept]
    if not missing:
        return found
    shown = letters if keepdims else "".join(a for place, a in enumerate(letters) if place not in axis)
    return expand_dims(found, axis=tuple(shown.index(a) for a in missing))


def _is_outside(x: Value, axis: Axes, y: Value) -> bool:
    """Whether a factor is the same along all summed axes, and the other is as large as the product."""
    front = y.ndim - x.ndim
    return (
        bool(axis)
        and broadcast_shapes([x.shape, y.shape]) == y.shape
        and all(place < front or x.shape[place - front] == 1 for place in axis)
    )


def _taken_out(x: Value, y: Value, axis: Axes, keepdims: bool) -> Value:
    front = y.ndim - x.ndim
    added = total(y, axis=axis, keepdims=keepdims)
    ones = tuple(place - front for place in axis if place >= front)
    return added * (x if keepdims or not ones else squeeze(x, axis=ones))


_ROWS = {"x": TensorType("float64", (2, 3)), "y": TensorType("float64", (2, 3)), "axis": (1,), "keepdims": False}

_SUMS = (
    Rule(
        "constant_factor_of_sum",
        total(once(x * y), axis=axis, keepdims=keepdims),
        _taken_out,
        when=_is_outside,
        example={**_ROWS, "x": TensorType("float64", (2, 1))},
    ),
    Rule("sum_of_products", total(once(x * y), axis=axis, keepdims=keepdims), _contracted, when=_pays, example=_ROWS),
    Rule(
        "sum_of_squares",
        total(once(square(x)), axis=axis, keepdims=keepdims),
        lambda x, axis, keepdims: _contracted(x, x, axis, keepdims),
        when=lambda x, axis: _pays(x, x, axis),
        example={**_ROWS, "keepdims": True},
    ),
)


def _is_stack(a: Value, b: Value) -> bool:
    return a.ndim > 1 and b.ndim > 1


def _adds_rows(a: Value, b: Value, axis: Axes, result: TensorType, keepdims: bool) -> bool:
    return _is_stack(a, b) and axis == (result.ndim - (2 if keepdims else 1),)


def _adds_columns(a: Value, b: Value, axis: Axes, result: TensorType, keepdims: bool) -> bool:
    return _is_stack(a, b) and axis == (result.ndim - (1 if keepdims else 0),)


def _rows_added(a: Value, b: Value, axis: Axes, keepdims: bool) -> Value:
    if a.ndim == 2 and not keepdims:
        return matmul(total(a, axis=0), b)
    found = matmul(total(a, axis=a.ndim - 2, keepdims=True), b)
    return found if keepdims else squeeze(found, axis=axis)


def _columns_added(a: Value, b: Value, axis: Axes, keepdims: bool) -> Value:
    if b.ndim == 2 and not keepdims:
        return matmul(a, total(b, axis=1))
    found = matmul(a, total(b, axis=b.ndim - 1, keepdims=True))
    return found if keepdims else squeeze(found, axis=axis)


a, b = var("a", FLOAT), var("b", FLOAT)
_STACK = {"a": TensorType("float64", (4, 2, 3)), "b": TensorType("float64", (4, 3, 5)), "keepdims": False}

_SUMS_OF_MATRICES = (
    Rule(
        "sum_of_rows_of_product",
        total(once(matmul(a, b)), axis=axis, keepdims=keepdims),
        _rows_added,
        when=_adds_rows,
        example={**_STACK, "axis": (1,)},
    ),
    Rule(
        "sum_of_columns_of_product",
        total(once(matmul(a, b)), axis=axis, keepdims=keepdims),
        _columns_added,
        when=_adds_columns,
        example={**_STACK, "axis": (2,)},
    ),
)

_MATRIX = Kind(lambda node: FLOAT.accepts(node) and node.tensor.ndim == 2, TensorType("float64", (3, 3)))
_VECTOR = Kind(lambda node: FLOAT.accepts(node) and node.tensor.ndim == 1, TensorType("float64", (3,)))
p, q, r = var("p", _MATRIX), var("q", _MATRIX), var("r", _MATRIX)
u, v = var("u", _VECTOR), var("v", _VECTOR)


def _saved(p: Value, q: Value, r: Value) -> bool:
    """Whether (p q) r takes more multiplications than p (q r), whatever the named sizes are."""
    (rows, inner), (_, middle), columns = p.shape, q.shape, r.shape[1]
    return at_least(rows * middle * (inner + columns) - inner * columns * (middle + rows), 1) is True


def _wasted(p: Value, q: Value, r: Value) -> bool:
    (rows, inner), (_, middle), columns = p.shape, q.shape, r.shape[1]
    return at_least(inner * columns * (middle + rows) - rows * middle * (inner + columns), 1) is True


_THIN = TensorType("float64", (3, 1))
_FLAT = TensorType("float64", (1, 3))

# Error both ways: rounding of |p||q||r|.
_CHAINS = (
    Rule("matrices_on_vector", matmul(once(matmul(p, q)), v), matmul(p, matmul(q, v))),
    Rule("vector_on_matrices", matmul(v, once(matmul(p, q))), matmul(matmul(v, p), q)),
    Rule(
        "chain_from_the_right",
        matmul(once(matmul(p, q)), r),
        matmul(p, matmul(q, r)),
        when=_saved,
        example={"r": _THIN},
    ),
    Rule(
        "chain_from_the_left",
        matmul(p, once(matmul(q, r))),
        matmul(matmul(p, q), r),
        when=_wasted,
        example={"p": _FLAT},
    ),
    Rule(
        "matrix_on_outer_product",
        matmul(p, once(expand_dims(u, axis=(1,)) * v)),
        expand_dims(matmul(p, u), axis=(1,)) * v,
    ),
    Rule(
        "outer_product_on_matrix",
        matmul(once(expand_dims(u, axis=(1,)) * v), p),
        expand_dims(u, axis=(1,)) * matmul(v, p),
    ),
)

CONTRACTIONS: tuple[Rule, ...] = (*_SUMS, *_SUMS_OF_MATRICES, *_CHAINS)
