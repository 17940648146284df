"""Functions of matrices that generated modules call where NumPy's would give numbers that are rounding errors alone.

What NumPy refuses, and what is singular up to rounding, is one error that names the place in the model; so is a
matrix that is not finite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def _refused(function: str, a: NDArray[Any], fault: str, place: str) -> np.linalg.LinAlgError:
    fault = fault if np.all(np.isfinite(a)) else "is not finite"
    return np.linalg.LinAlgError(f"{function}(): the matrix {fault}{f'  [{place}]' if place else ''}")


def _column_scale(a: NDArray[Any]) -> Any:
    """The largest element of each column."""
    largest = np.max(np.abs(a), axis=-2, initial=0.0)
    return np.where(largest > 0.0, largest, 1.0)


def _check_regular(function: str, a: NDArray[Any], growth: Any, place: str) -> None:
    """Whether rounding each element of a can change its inverse by less than half of it.

    ``growth`` is how many times larger than ``eps`` that change is: Skeel's condition number, the largest row sum of
    ``|a⁻¹| |a|`` with the columns scaled alike (Higham, Accuracy and Stability of Numerical Algorithms, 2002, 7.2).
    """
    if not np.all(growth * np.finfo(a.dtype).eps <= 0.5):
        raise _refused(function, a, "is singular", place)


def _inv(a: NDArray[Any], place: str = "") -> NDArray[Any]:
    """The inverse of square matrices, none of which is singular up to rounding."""
    scale = _column_scale(a)
    try:
        found = np.linalg.inv(a)
    except np.linalg.LinAlgError:
        raise _refused("inv", a, "is singular", place) from None
    sums = np.abs(found) @ (np.abs(a) @ (1.0 / scale)[..., None])
    _check_regular("inv", a, np.max(sums[..., 0] * scale, axis=-1, initial=0.0), place)
    return found


def _solve(a: NDArray[Any], b: NDArray[Any], place: str = "") -> NDArray[Any]:
    """x with a @ x = b, of a vector or of the columns of matrices, for a that is not singular up to rounding.

    Eight further right sides, as large as ``|a|`` and of signs without a pattern, tell how large ``|a⁻¹| |a|`` is
    (Kenney and Laub, Small-Sample Statistical Condition Estimates for General Matrix Functions, 1994).
    """
    n, columns = a.shape[-1], b[..., None] if b.ndim == 1 else b
    scale = _column_scale(a)
    signs = np.cos(np.arange(1.0, 8.0 * n + 1.0).reshape(n, 8) ** 2).astype(a.dtype)
    probes = (np.abs(a) @ (1.0 / scale)[..., None]) * signs
    batch = np.broadcast_shapes(a.shape[:-2], columns.shape[:-2])
    sides = [np.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (columns, probes)]
    try:
        found = np.linalg.solve(a, np.concatenate(sides, axis=-1))
    except np.linalg.LinAlgError:
        raise _refused("solve", a, "is singular", place) from None
    sums = np.sqrt(2.0 * n * np.mean((found[..., -8:] * scale[..., None]) ** 2, axis=-1))
    _check_regular("solve", a, np.max(sums, axis=-1, initial=0.0), place)
    return found[..., 0] if b.ndim == 1 else found[..., :-8]


def _cholesky(a: NDArray[Any], place: str = "") -> NDArray[Any]:
    """The lower triangular L with L @ L.T = a, for a that is positive definite beyond rounding."""
    try:
        found = np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        raise _refused("cholesky", a, "is not positive definite", place) from None
    left = np.diagonal(found, axis1=-2, axis2=-1) ** 2
    noise = 10.0 * a.shape[-1] * np.finfo(a.dtype).eps * np.diagonal(a, axis1=-2, axis2=-1)
    if not np.all(left > noise):
        raise _refused("cholesky", a, "is not positive definite", place)
    return found


def _finite(function: str, a: NDArray[Any], place: str = "") -> NDArray[Any]:
    """The matrices, for a decomposition: of infinities that of LAPACK may never end, or give numbers."""
    if not np.all(np.isfinite(a)):
        raise _refused(function, a, "", place)
    return a


def _full_rank(r: NDArray[Any], place: str = "") -> NDArray[Any]:
    """The triangle R of a QR decomposition, of columns that do not depend on each other up to rounding."""
    noise = 10.0 * r.shape[-1] * np.finfo(r.dtype).eps * np.max(np.abs(r), axis=-2, initial=0.0)
    if not np.all(np.abs(np.diagonal(r, axis1=-2, axis2=-1)) > noise):
        raise _refused("qr", r, "has columns that depend on each other", place)
    return r


def _resolution(x: NDArray[Any]) -> Any:
    """Up to which size differences of values along the last axis are rounding errors of decompositions; axis kept."""
    largest = np.max(np.abs(x), axis=-1, keepdims=True, initial=0.0)
    return 10.0 * x.shape[-1] * np.finfo(x.dtype).eps * largest
