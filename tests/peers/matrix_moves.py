"""Statements of random models: products, and functions of matrices that are far from singular and degenerate."""

from __future__ import annotations

from functools import partial

import numpy as np
from hypothesis import strategies as st

from tests.peers.writer import Shape, Writer, broadcast


def _product(w: Writer) -> None:
    x = w.value(bool)
    inner = w.shapes[x][-1]
    y = w.value(lambda shape: bool(shape) and shape[-2:][0] == inner, make=(inner, 2))
    shape = _matmul_shape(w.shapes[x], w.shapes[y])
    if shape is not None:
        w.add(f"tanh({x}) @ {y}", shape)


def _matmul_shape(x: Shape, y: Shape) -> Shape | None:
    try:
        return np.shape(np.empty(x) @ np.empty(y))
    except ValueError:
        return None


EINSUMS = (
    *("ij,jk->ik", "ij,kj->ikj", "i,j->ij", "ij->ji", "ij->j", "ij,ij->", "i,i,i->i", "ijk,kl->ijl", "ijk,ijl->kl"),
    *("ii->i", "ii", "...i,i->...", "...ij,...kj->...ik", "ij,j", "ijk->kij"),
)


def _einsum(w: Writer) -> None:
    spec = w.one_of(EINSUMS)
    letters: dict[str, int] = {}
    names = []
    for term in spec.split("->")[0].split(","):
        fits = partial(_labelled, term, letters)
        name = w.value(lambda shape, fits=fits: fits(shape) is not None, make=(2,) * len(term))
        found = fits(w.shapes[name])
        if found is None:
            return
        letters |= found
        names.append(name)
    try:
        shape = np.einsum(spec, *(np.empty(w.shapes[name]) for name in names)).shape
    except ValueError:
        return
    w.add(f'einsum("{spec}", {", ".join(f"tanh({name})" for name in names)})', shape)


def _labelled(term: str, letters: dict[str, int], shape: Shape) -> dict[str, int] | None:
    """The sizes of letters; None where the shape has not that many axes, or another size."""
    own = term.removeprefix("...")
    if len(shape) < len(own) or (len(shape) > len(own) and own == term):
        return None
    found: dict[str, int] = {}
    for letter, size in zip(own, shape[len(shape) - len(own) :], strict=True):
        if letters.get(letter, size) != size or found.setdefault(letter, size) != size:
            return None
    return found


def _crossed(w: Writer) -> None:
    x, y = (w.value(lambda shape: shape[-1:] == (3,), make=(3,)) for _ in range(2))
    shape = broadcast(w.shapes[x], w.shapes[y])
    if shape is not None:
        w.add(f"cross(tanh({x}), {y})", shape)


def _contracted(w: Writer) -> None:
    x = w.value(bool)
    y = w.value(lambda shape: bool(shape) and shape[0] == w.shapes[x][-1], make=(w.shapes[x][-1], 2))
    w.add(f"tensordot(tanh({x}), {y}, axes=1)", (*w.shapes[x][:-1], *w.shapes[y][1:]))


def _kronecker(w: Writer) -> None:
    x, y = (w.value(lambda shape: len(shape) == 2) for _ in range(2))
    (a, b), (c, d) = w.shapes[x], w.shapes[y]
    w.add(f"kron(tanh({x}), {y})", (a * c, b * d))


def _triangle(w: Writer) -> None:
    name = w.value(lambda shape: len(shape) >= 2)
    w.add(f"{w.one_of(('tril', 'triu'))}({name}, k={w.draw(st.integers(-1, 1))})", w.shapes[name])


def _diagonal(w: Writer) -> None:
    name = w.value(lambda shape: len(shape) in (1, 2))
    shape = w.shapes[name]
    k = w.draw(st.integers(1 - shape[0], shape[1] - 1)) if len(shape) == 2 else w.draw(st.integers(-1, 1))
    w.add(f"diag({name}, k={k})", np.diag(np.empty(shape), k).shape)


MATRIX = ("inv({0})", "expm({1})", "cholesky({2})", "cofactors({0})")
SCALAR = ("det({0})", "slogdet({0})[1]", "trace({1})")


def _matrix_function(w: Writer) -> None:
    """Of a matrix with a dominant diagonal, of any, or of a positive definite one."""
    x = w.matrix()
    n = w.shapes[x][-1]
    eye = f"one_hot(arange({n}), {n})"
    forms = f"{x} + {n + 1} * {eye}", x, f'{x} @ einsum("...ij->...ji", {x}) + {eye}'
    template = w.one_of((*MATRIX, *SCALAR))
    w.add(template.format(*forms), w.shapes[x] if template in MATRIX else w.shapes[x][:-2])


def _solved(w: Writer) -> None:
    x = w.matrix()
    n = w.shapes[x][-1]
    y = w.value(lambda shape: bool(shape) and shape[-2:][0] == n, make=(n,))
    batch = broadcast(w.shapes[x][:-2], w.shapes[y][:-2])
    if batch is not None:
        shape = w.shapes[x][:-1] if len(w.shapes[y]) == 1 else (*batch, *w.shapes[y][-2:])
        solver = w.one_of(("solve", "triangular_solve", "lstsq"))
        w.add(f"{solver}({x} + {n + 1} * one_hot(arange({n}), {n}), {y})", shape)


def _graded(w: Writer, name: str) -> str:
    """Elements between -1 and 1 beside a diagonal that grows: singular values far from each other and from 0."""
    rows, columns = w.shapes[name][-2:]
    k = min(rows, columns)
    grades = f"one_hot(arange({k}), {k}) * (4 * arange({k}) + 4)"
    wide = grades if rows == columns else f"pad({grades}, pad_width=((0, {rows - k}), (0, {columns - k})))"
    return f"tanh({name}) / 2 + {wide}"


def _eigen(w: Writer) -> None:
    """The sign of a vector is the library's, so vectors are squared."""
    x = w.matrix()
    n = w.shapes[x][-1]
    symmetric = f'({x} + einsum("...ij->...ji", {x})) / 4 + one_hot(arange({n}), {n}) * (4 * arange({n}) + 4)'
    both = w.assign(f"eigh({symmetric})", ())
    del w.shapes[both]
    w.add(f"{both}[0]", w.shapes[x][:-1])
    w.add(f"square({both}[1])", w.shapes[x])


def _singular(w: Writer) -> None:
    x = w.value(lambda shape: len(shape) >= 2)
    *front, rows, columns = w.shapes[x]
    k = min(rows, columns)
    parts = w.assign(f"svd({_graded(w, x)})", ())
    del w.shapes[parts]
    w.add(f"square({parts}[0])", (*front, rows, k))
    w.add(f"{parts}[1]", (*front, k))
    w.add(f"square({parts}[2])", (*front, k, columns))


def _orthogonal(w: Writer) -> None:
    x = w.value(lambda shape: len(shape) >= 2 and shape[-2] >= shape[-1], make=(3, 2))
    *front, rows, columns = w.shapes[x]
    parts = w.assign(f"qr({_graded(w, x)})", ())
    del w.shapes[parts]
    w.add(f"{parts}[0]", (*front, rows, columns))
    w.add(f"{parts}[1]", (*front, columns, columns))


MOVES = (
    *(_product,) * 2, *(_einsum,) * 4, _crossed, _contracted, _kronecker, *(_triangle, _diagonal) * 2,
    *(_matrix_function,) * 8, *(_solved,) * 2, _eigen, _singular, _orthogonal,
)  # fmt: skip
