"""Sums of products without the products: contracted as they are added up, or with a factor taken out of the sum.

Part of `ROUNDING`: the terms and their bound are those of the sum as it was written, added up in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from string import ascii_lowercase

from graphc.builder import Builder
from graphc.ops import OPS
from graphc.rewrite.pattern import FLOAT, Kind, Rule, attr, once, var
from graphc.size import at_least
from graphc.tensor_type import TensorType, broadcast_shapes
from graphc.value import Value

__all__ = ["CONTRACTIONS", "sum_of_matrix_products", "sum_of_products"]

Axes = tuple[int, ...]

total, square, matmul, einsum = OPS["sum"], OPS["square"], OPS["matmul"], OPS["einsum"]
expand_dims, squeeze, transpose = OPS["expand_dims"], OPS["squeeze"], OPS["transpose"]
reshape = OPS["reshape"]

x, y = var("x", FLOAT), var("y", FLOAT)
axis, axes, keepdims, column = attr("axis"), attr("axes"), attr("keepdims"), attr("column")


def labelled(x: Value, letters: str) -> tuple[Value, str]:
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


def contracted(x: Value, y: Value, axis: Axes, keepdims: bool) -> Value:
    """The contraction of a sum of products, with the axes of size 1 that the sum has."""
    letters = ascii_lowercase[: max(x.ndim, y.ndim)]
    (left, term), (right, other) = labelled(x, letters), labelled(y, letters)
    kept = "".join(a for place, a in enumerate(letters) if place not in axis and (a in term or a in other))
    found = _product(left, term, right, other, kept)
    missing = [a for place, a in enumerate(letters) if (keepdims or place not in axis) and a not in kept]
    if not missing:
        return found
    shown = letters if keepdims else "".join(a for place, a in enumerate(letters) if place not in axis)
    return expand_dims(found, axis=tuple(shown.index(a) for a in missing))


def _product(left: Value, term: str, right: Value, other: str, kept: str) -> Value:
    """The contraction of two operands to the letters that are kept: by a matrix product where it is one."""
    if len(term) < len(other):
        left, term, right, other = right, other, left, term
    stack = [a for a in kept if a in term and a in other]
    rows, columns = ([a for a in own if a in kept and a not in stack] for own in (term, other))
    inner = [a for a in term if a in other and a not in kept]
    if len(inner) == 1 and [*other] == inner and len(term) == len(rows) + 1:
        if term[-1] == other:
            return matmul(left, right)
        if len(rows) == 1:
            return matmul(right, left)
    if len(rows) == len(columns) == len(inner) == 1 and len({*term, *other}) == len(stack) + 3:
        stacked = matmul(
            _ordered(left, term, [*stack, *rows, *inner]), _ordered(right, other, [*stack, *inner, *columns])
        )
        return _ordered(stacked, "".join([*stack, *rows, *columns]), kept)
    return einsum(left, right, spec=f"{term},{other}->{kept}")


def _ordered(x: Value, term: str, wanted: Iterable[str]) -> Value:
    return transpose(x, axes=tuple(term.index(letter) for letter in wanted))


def sum_of_products(x: Value, y: Value, axis: Axes) -> Value:
    """The sum of a broadcast product along some axes, contracted where that pays."""
    return contracted(x, y, axis, False) if _pays(x, y, axis) else total(x * y, axis=axis)


def sum_of_matrix_products(a: Value, b: Value) -> Value:
    """The sum of the products of two stacks of matrices or vectors: one product of what stands below one another."""
    count = a.shape[0] * a.shape[-1]
    left = reshape(a, shape=(count,)) if a.ndim == 2 else transpose(_below(transpose(a, axes=(0, 2, 1))), axes=(1, 0))
    return matmul(left, reshape(b, shape=(count,)) if b.ndim == 2 else _below(b))


def _below(x: Value) -> Value:
    """A stack of matrices as one, each below the one before."""
    return reshape(x, shape=(x.shape[0] * x.shape[1], x.shape[2]))


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
    Rule("sum_of_products", total(once(x * y), axis=axis, keepdims=keepdims), contracted, when=_pays, example=_ROWS),
    Rule(
        "sum_of_squares",
        total(once(square(x)), axis=axis, keepdims=keepdims),
        lambda x, axis, keepdims: contracted(x, x, axis, keepdims),
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
    found = matmul(expand_dims(total(a, axis=a.ndim - 2), axis=a.ndim - 2), b)
    return found if keepdims else squeeze(found, axis=axis)


def _columns_added(a: Value, b: Value, axis: Axes, keepdims: bool) -> Value:
    if b.ndim == 2 and not keepdims:
        return matmul(a, total(b, axis=1))
    found = matmul(a, expand_dims(total(b, axis=b.ndim - 1), axis=b.ndim - 1))
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


def _is_shared(a: Value, v: Value, axis: Axes, column: Axes) -> bool:
    """Whether each matrix of a stack is for many vectors: those along axes in front of the stack's own."""
    front = v.ndim - (a.ndim - 1)
    if column != (v.ndim,) or axis != column or a.ndim < 2:
        return False
    return front == 1 or (front > 0 and a.ndim == 2)


def _on_all(a: Value, v: Value) -> Value:
    """The vectors as the rows of matrices."""
    if a.ndim == 2:
        return matmul(v, transpose(a, axes=(1, 0)))
    front, stack, row, inner = "a", ascii_lowercase[3 : v.ndim + 1], "b", "c"
    return _product(v, front + stack + inner, a, stack + row + inner, front + stack + row)


def _is_matrix_product(x: Value) -> bool:
    """Whether a value is a matrix product, its axes in whatever order."""
    while x.node.op is transpose:
        x = x.builder.value(x.builder.operands(x.node)[0])
    return x.node.op is matmul


def _are_products(x: Value, y: Value, axis: Axes) -> bool:
    """Whether two terms are products, so that their roundings are in the sum anyway, and one is of matrices."""
    matrices = [_is_matrix_product(term) for term in (x, y)]
    rounded = all(is_one or term.node.op is OPS["mul"] for term, is_one in zip((x, y), matrices, strict=True))
    return any(matrices) and rounded and x.shape == y.shape and bool(axis)


def _made(name: str) -> Callable[[Builder], Value]:
    def sample(builder: Builder) -> Value:
        matrix = TensorType("float64", (3, 3))
        return matmul(builder.input(name, matrix), builder.input(f"{name}_2", matrix))

    return sample


_TERMS = {"x": _made("x"), "y": _made("y"), "axis": (1,), "keepdims": False}

_SUMS_OF_TERMS = (
    Rule(
        "sum_of_added_products",
        total(once(x + y), axis=axis, keepdims=keepdims),
        total(x, axis=axis, keepdims=keepdims) + total(y, axis=axis, keepdims=keepdims),
        when=_are_products,
        example=_TERMS,
    ),
    Rule(
        "sum_of_subtracted_products",
        total(once(x - y), axis=axis, keepdims=keepdims),
        total(x, axis=axis, keepdims=keepdims) - total(y, axis=axis, keepdims=keepdims),
        when=_are_products,
        example=_TERMS,
    ),
    Rule(
        "sum_of_transpose",
        total(once(transpose(x, axes=axes)), axis=axis, keepdims=False),
        lambda x, axes, axis: _sum_before_transpose(x, axes, axis),
        example={"axes": (1, 0), "axis": (0,)},
    ),
)


def _sum_before_transpose(x: Value, axes: Axes, axis: Axes) -> Value:
    gone = {axes[place] for place in axis}
    left = [place for place in range(x.ndim) if place not in gone]
    order = tuple(left.index(place) for place in axes if place not in gone)
    return transpose(total(x, axis=tuple(sorted(gone))), axes=order)


_COLUMNS = {
    "a": TensorType("float64", (2, 3, 4)),
    "v": TensorType("float64", (5, 2, 4)),
    "column": (3,),
    "axis": (3,),
}
each = var("v", FLOAT)

_STACKS = (
    Rule(
        "sum_of_outer_products",
        total(once(matmul(a, b)), axis=axis, keepdims=keepdims),
        lambda a, b, axis, keepdims: contracted(a, b, axis, keepdims),
        when=lambda a, b, axis: _is_stack(a, b) and a.shape[-1] == 1 and _pays(a, b, axis),
        example={"a": TensorType("float64", (4, 2, 1)), "b": TensorType("float64", (4, 1, 5)), "axis": (0,)},
    ),
    Rule(
        "matrix_on_columns",
        squeeze(once(matmul(a, expand_dims(each, axis=column))), axis=axis),
        lambda a, v: _on_all(a, v),
        when=lambda a, v, axis, column: _is_shared(a, v, axis, column),
        example=_COLUMNS,
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

CONTRACTIONS: tuple[Rule, ...] = (*_SUMS, *_SUMS_OF_TERMS, *_STACKS, *_SUMS_OF_MATRICES, *_CHAINS)
