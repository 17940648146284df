"""autograd; what it has no function for is made of those that it has, where that is one line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from string import ascii_letters
from typing import Any

import autograd
import autograd.numpy as np
import autograd.scipy.special as special
import numpy

from tests.peers.numpy_table import diagonal, filled, numpy_table, window_places
from tests.peers.peer import Peer


def _value_and_grad(function: Callable[..., Any], point: Sequence[numpy.ndarray]) -> tuple[Any, Sequence[Any]]:
    return autograd.value_and_grad(function, argnum=tuple(range(len(point))))(*point)


def _own(x: Any) -> Any:
    """What a traced value holds."""
    return numpy.asarray(autograd.tracer.getval(x))


def _lower_as_symmetric(x: Any) -> Any:
    """What graphc and NumPy read of a matrix."""
    return np.tril(x) + np.swapaxes(np.tril(x, -1), -1, -2)


def _solve(a: Any, b: Any) -> Any:
    columns = b[..., None] if b.ndim == 1 else b
    found = np.linalg.inv(a) @ columns
    return found[..., 0] if b.ndim == 1 else found


def _scatter(x: Any, *indices: Any, items: Any, shape: tuple[int, ...], unique: bool = False) -> Any:
    """A product with the rows of the identity that the index names."""
    size = int(numpy.prod(shape))
    named = numpy.arange(size).reshape(shape)[filled(items, indices)]
    return np.reshape(np.reshape(x, (-1,)) @ numpy.eye(size)[numpy.ravel(named)], shape)


def _places(index: Any, axis: int) -> tuple[Any, ...]:
    places = list(numpy.indices(index.shape))
    places[axis] = _own(index)
    return tuple(places)


def _scatter_along_axis(x: Any, index: Any, *, axis: int, size: int) -> Any:
    shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
    return _scatter(x, *_places(index, axis), items=("tensor",) * x.ndim, shape=shape)


def _order(x: Any, *, axis: int) -> Any:
    return numpy.argsort(_own(x), axis=axis, kind="stable")


def _sort(x: Any, *, axis: int) -> Any:
    return x[_places(_order(x, axis=axis), axis)]


def _median(x: Any, *, axis: int | None, keepdims: bool) -> Any:
    flat, along = (np.reshape(x, (-1,)), 0) if axis is None else (x, axis)
    size = flat.shape[along]
    middle = np.moveaxis(_sort(flat, axis=along), along, 0)
    found = (middle[(size - 1) // 2] + middle[size // 2]) / 2
    if not keepdims:
        return found
    return np.reshape(found, [1 if axis in (None, a) else n for a, n in enumerate(x.shape)])


def _cumprod(x: Any, *, axis: int) -> Any:
    last = np.moveaxis(x, axis, -1)
    parts = [np.prod(last[..., : k + 1], axis=-1) for k in range(last.shape[-1])]
    return np.moveaxis(np.stack(parts, axis=-1), -1, axis) if parts else x


def _over_axes(reduction: Callable[..., Any]) -> Callable[..., Any]:
    """No axes are all of them for autograd."""
    return lambda x, *, axis, keepdims: reduction(x, axis=axis, keepdims=keepdims) if axis else x


def _spread(x: Any, shape: tuple[int, ...]) -> Any:
    return x + numpy.zeros(shape)


def _where(condition: Any, x: Any, y: Any) -> Any:
    """autograd's does not sum the cotangent of an operand that is broadcast."""
    shape = numpy.broadcast_shapes(condition.shape, x.shape, y.shape)
    return np.where(condition, _spread(x, shape), _spread(y, shape))


def _polygamma(order: Any, x: Any) -> Any:
    return special.polygamma(order, _spread(x, numpy.broadcast_shapes(order.shape, x.shape)))


def _diag(x: Any, *, k: int) -> Any:
    if x.ndim == 1:
        return np.diag(x, k)
    rows, columns = diagonal(x.shape, k)
    return x[numpy.arange(rows.start, rows.stop), numpy.arange(columns.start, columns.stop)]


def _einsum(*xs: Any, spec: str) -> Any:
    """A letter that an operand has twice is two for autograd, with the identity between them."""
    sources, result = spec.split("->")
    terms: list[str] = []
    pairs: list[str] = []
    operands = list(xs)
    for term, x in zip(sources.split(","), xs, strict=True):
        for letter in {letter for letter in term if letter.isalpha() and term.count(letter) > 1}:
            while term.count(letter) > 1:
                other = next(c for c in ascii_letters if c not in sources + term + "".join(pairs))
                term = term.replace(letter, other, 1)
                # Counted from the end, where letters stand after "...".
                operands.append(numpy.eye(x.shape[term.index(other) - len(term)]))
                pairs.append(letter + other)
        terms.append(term)
    return np.einsum(",".join([*terms, *pairs]) + "->" + result, *operands)


PEER = Peer(
    "autograd",
    {
        **numpy_table(np),
        "where": _where,
        "broadcast_to": lambda x, *, shape: _spread(x, shape),
        "einsum": _einsum,
        "overlap_add": lambda x, *, shape, axis, **steps: _scatter(
            x, items=window_places(shape, size=x.shape[len(shape) :], axis=axis, **steps), shape=shape
        ),
        "diag": _diag,
        "sum": _over_axes(np.sum),
        "prod": _over_axes(np.prod),
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "logsumexp": special.logsumexp,
        "erf": special.erf,
        "erfc": special.erfc,
        "erfinv": special.erfinv,
        "lgamma": special.gammaln,
        "digamma": special.digamma,
        "polygamma": _polygamma,
        "cumprod": _cumprod,
        "sort": _sort,
        "argsort": _order,
        "median": _median,
        "take_along_axis": lambda x, index, *, axis: x[_places(index, axis)],
        "scatter_slice": _scatter,
        "scatter_add": _scatter,
        "scatter_along_axis": _scatter_along_axis,
        "solve": _solve,
        "cholesky": lambda x: np.linalg.cholesky(_lower_as_symmetric(x)),
        "eigh": lambda x: np.linalg.eigh(_lower_as_symmetric(x)),
        "svd": lambda x: np.linalg.svd(x, full_matrices=False),
        "stop_gradient": autograd.tracer.getval,
    },
    array=lambda x: x,
    cast=lambda x, dtype: x.astype(dtype),
    value_and_grad=_value_and_grad,
    none={"qr": "autograd has no gradient of it", "expm": "autograd has no such function"},
)
