"""Decompositions of matrices, batched over leading axes as in NumPy: eigh, svd and qr, each with several results.

Derivative rules: eigh Giles, 2008, 3.1; svd Townsend, Differentiating the Singular Value Decomposition, 2016; qr Walter
and Lehmann, Algorithmic Differentiation of Linear Algebra Functions with Application in Optimum Experimental Design,
2010. Eigenvectors of equal eigenvalues, and singular vectors of equal singular values, are not differentiable: where a
loss uses them the gradient is NaN, also where it would not depend on which were taken; the values alone have one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from graphc.errors import TypeRuleError
from graphc.numpy_text import call
from graphc.op import OPS, Condition, Op, Sample, define
from graphc.ops import batch_rules
from graphc.ops.axes import described, every_cotangent
from graphc.ops.degenerate import distinct_from_zero, either, gaps, used_slices
from graphc.ops.indexing import needed
from graphc.ops.matrix_functions import (
    cubic,
    dominant,
    finite,
    like,
    placed,
    read_triangle,
    refuse_non_square,
    transposed,
)
from graphc.ops.operand_text import as_float
from graphc.size import Size, at_least, divide, smaller
from graphc.tensor_type import TensorType, TupleType, shape_text

if TYPE_CHECKING:
    from graphc.value import Value


def _row(x: Value) -> Value:
    return OPS["expand_dims"](x, axis=-2)


def _column(x: Value) -> Value:
    return OPS["expand_dims"](x, axis=-1)


def _tensor(*shape: int) -> TensorType:
    return TensorType("float64", shape)


def _part(y: Value, index: int) -> Value:
    return OPS["item"](y, index=index)


# eigh


def _eigh_type(x: TensorType) -> TupleType:
    refuse_non_square("eigh", x)
    return TupleType((like(x, x.shape[-1]), like(x, *x.shape[-2:])))


def _eigh_vjp(ct: Sequence[Value | None], y: Value, x: Value) -> tuple[Value]:
    """V (diag(ct_w) + F ∘ (Vᵀ ct_V)) Vᵀ with F = 1 / (w_j - w_i), its symmetric part."""
    w, v = _part(y, 0), _part(y, 1)
    of_values, of_vectors = ct
    found = None if of_values is None else v * _row(of_values)
    if of_vectors is not None:
        turn = transposed(v) @ of_vectors
        mixed = v @ ((turn - transposed(turn)) / 2 / gaps(w, used_slices(of_vectors, -1), 1))
        found = mixed if found is None else found + mixed
    assert found is not None
    return (read_triangle(found @ transposed(v)),)


def _spread_out(x: NDArray[Any]) -> Sequence[NDArray[Any]]:
    """Symmetric, with eigenvalues far from each other."""
    return ((x + np.swapaxes(x, -1, -2)) / 4 + np.diag(3.0 * np.arange(1, x.shape[-1] + 1)),)


EIGH = define(
    Op(
        "eigh",
        1,
        infer=_eigh_type,
        numpy=lambda c, x: call("np.linalg.eigh", finite("eigh", c, x)),
        vjp=_eigh_vjp,
        flops=cubic(9),
        convention="eigh reads the lower triangle of its operand, and its gradient is of that triangle; "
        "NaN by vectors of eigenvalues that are equal up to rounding",
        samples=tuple(
            Sample((_tensor(*shape),), domain=(-1.0, 1.0), made=_spread_out) for shape in ((3, 3), (2, 3, 3), (1, 1))
        ),
        batching=batch_rules.unchanged("eigh"),
        doc="eigenvalues in ascending order and eigenvectors of symmetric matrices: two results",
    )
)


# svd


def _svd_type(x: TensorType) -> TupleType:
    _refuse_non_matrix("svd", x)
    rows, columns = x.shape[-2:]
    rank = smaller(rows, columns)
    if rank is None:
        message = f"svd needs to know which is smaller, {rows} or {columns}"
        raise TypeRuleError("GC203", message, "{0} " + described(x), {0: described(x)})
    return TupleType((like(x, rows, rank), like(x, rank), like(x, rank, columns)))


def _refuse_non_matrix(name: str, x: TensorType) -> None:
    if x.ndim < 2:
        message = f"{name} needs matrices, got {shape_text(x.shape)}"
        raise TypeRuleError("GC203", message, "{0} " + described(x), {0: described(x)})


def _svd_vjp(ct: Sequence[Value | None], y: Value, x: Value) -> tuple[Value]:
    """U [(F ∘ skew(Uᵀ ct_U)) S + diag(ct_s) + S (F ∘ skew(Vᵀ ct_V))] Vᵀ with F = 1 / (s_j² - s_i²).

    A matrix that is not square has a side beyond its singular vectors: (1 - U Uᵀ) ct_U S⁻¹ Vᵀ, or the same of V.
    """
    u, s, vh = (_part(y, k) for k in range(3))
    if ct[0] is None and ct[2] is None:
        assert ct[1] is not None
        return ((u * _row(ct[1])) @ vh,)
    of_u, of_s, of_vh = every_cotangent(ct, y)
    asked = [used_slices(part, axis) for part, axis in ((ct[0], -1), (ct[2], -2)) if part is not None]
    used = either(asked)
    apart = gaps(s, used, _row(s) + _column(s))
    left, right = transposed(u) @ of_u, vh @ transposed(of_vh)
    inner = (left - transposed(left)) / apart * _row(s) + _column(s) * ((right - transposed(right)) / apart)
    found = (u * _row(of_s) + u @ inner) @ vh
    size = distinct_from_zero(s, used)
    if u.shape[-2] != s.shape[-1] and ct[0] is not None:
        found = found + ((of_u - u @ left) / _row(size)) @ vh
    if vh.shape[-1] != s.shape[-1] and ct[2] is not None:
        found = found + u @ ((of_vh - transposed(right) @ vh) / _column(size))
    return (found,)


def _svd_flops(y: TupleType, x: TensorType) -> Size:
    """14 m n² + 8 n³ for U, s and V of m×n with m ≥ n: Golub and Van Loan, Matrix Computations, 2013, 8.6."""
    rank = y.items[1].shape[-1]
    return x.size * rank * 14 + y.items[1].size * rank * rank * 8


def _graded(x: NDArray[Any]) -> Sequence[NDArray[Any]]:
    """Singular values far from each other and from 0."""
    rows, columns = x.shape[-2:]
    return (x / 2 + np.eye(rows, columns) * 3.0 * np.arange(1, columns + 1),)


SVD = define(
    Op(
        "svd",
        1,
        infer=_svd_type,
        numpy=lambda c, x: call("np.linalg.svd", finite("svd", c, x), full_matrices=False),
        vjp=_svd_vjp,
        flops=_svd_flops,
        convention="svd' by vectors of singular values that are equal, or 0, up to rounding is NaN; "
        "by a singular value of 0 it is uᵀ ct v of the vectors that NumPy takes",
        samples=tuple(
            Sample((_tensor(*shape),), domain=(-1.0, 1.0), made=_graded)
            for shape in ((3, 3), (4, 2), (2, 4), (2, 3, 2), (1, 1))
        ),
        batching=batch_rules.unchanged("svd"),
        doc="U, s and Vh of the reduced singular value decomposition x = (U * s) @ Vh: three results",
    )
)


# qr


def _qr_type(x: TensorType) -> TupleType:
    _refuse_non_matrix("qr", x)
    rows, columns = x.shape[-2:]
    if at_least(rows - columns, 0) is False:
        message = f"qr needs at least as many rows as columns, got {shape_text(x.shape)}"
        raise TypeRuleError("GC203", message, "{0} " + described(x), {0: described(x)})
    return TupleType((like(x, rows, columns), like(x, columns, columns)))


def _square_type(r: TensorType) -> TensorType:
    refuse_non_square("full_rank", r)
    return like(r, *r.shape[-2:])


def _qr_conditions(x: TensorType) -> list[Condition]:
    excess: Size = x.shape[-2] - x.shape[-1]
    return [needed(excess, 0)] if at_least(excess, 0) is None else []


def _qr_flops(y: TupleType, x: TensorType) -> Size:
    """4 m n² - 4/3 n³ for both factors, by Householder's reflections: Golub and Van Loan, 2013, 5.2."""
    return x.size * x.shape[-1] * 4 - divide(y.items[1].size * x.shape[-1] * 4, 3)


def _qr_vjp(ct: Sequence[Value | None], y: Value, x: Value) -> tuple[Value]:
    """(ct_Q + Q copyltu(R ct_Rᵀ - ct_Qᵀ Q)) R⁻ᵀ; copyltu mirrors the lower triangle."""
    q, r = _part(y, 0), _part(y, 1)
    of_q, of_r = every_cotangent(ct, y)
    turn = r @ transposed(of_r) - transposed(of_q) @ q
    mirrored = OPS["tril"](turn) + transposed(OPS["tril"](turn, k=-1))
    return (transposed(OPS["solve"](OPS["full_rank"](r), transposed(of_q + q @ mirrored))),)


FULL_RANK = define(
    Op(
        "full_rank",
        1,
        infer=_square_type,
        numpy=lambda c, r: call("_full_rank", as_float(c, r), *placed(c)),
        # It refuses what it is applied to, so forward mode must not apply it to tangents, as to those of a linear op.
        vjp=lambda ct, y, r: (ct,),
        flops=0,
        view="straight",
        samples=(
            Sample((_tensor(3, 3),), domain=(-1.0, 1.0), made=dominant),
            Sample((_tensor(2, 2, 2),), domain=(-1.0, 1.0), made=dominant),
        ),
        batching=batch_rules.unchanged("full_rank"),
        doc="the triangle R of qr, of a matrix whose columns do not depend on each other",
    )
)

QR = define(
    Op(
        "qr",
        1,
        infer=_qr_type,
        numpy=lambda c, x: call("np.linalg.qr", finite("qr", c, x)),
        vjp=_qr_vjp,
        flops=_qr_flops,
        scratch=lambda y, x, **_: x.nbytes,
        conditions=_qr_conditions,
        convention="qr' and lstsq of columns that depend on each other up to rounding raise numpy.linalg.LinAlgError",
        samples=tuple(
            Sample((_tensor(*shape),), domain=(-1.0, 1.0), made=_graded)
            for shape in ((3, 3), (4, 2), (2, 3, 2), (1, 1))
        ),
        batching=batch_rules.unchanged("qr"),
        doc="Q and R of the reduced decomposition x = Q @ R of matrices with at least as many rows as columns",
    )
)
