"""Functions that generated modules call: the emitter copies the source of those that a module uses.

Each keeps float32, never changes its arguments, names only NumPy (as ``np``) and other functions of this file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def _array(data: bytes, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Saved values: little-endian bytes in C order."""
    return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(shape)


def _one_hot(labels: NDArray[Any], depth: int, dtype: Any) -> NDArray[Any]:
    """Rows of zeros with a 1 where the label says, along a new last axis."""
    rows = np.zeros((*labels.shape, depth), dtype)
    np.put_along_axis(rows, np.expand_dims(labels, -1), 1.0, axis=-1)
    return rows


def _sigmoid(x: NDArray[Any]) -> Any:
    """1 / (1 + exp(-x)); only exponentials of negative numbers are formed, so nothing overflows."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def _erf(x: NDArray[Any]) -> Any:
    """The error function, to 4 units in the last place.

    Up to 1 the Maclaurin series (Abramowitz & Stegun 7.1.5); beyond, ``1 - exp(-x²) p(u)`` with the Chebyshev
    interpolant p of ``exp(x²) erfc(x)`` in ``u = 9.6 / (x + 2) - 2.2``, which is in [-1, 1] for x in [1, 6];
    its coefficients were computed for this file at 60 digits, and a test computes them again.
    """
    # fmt: off
    series = (
        4.763348040515068e-18, -9.063970842808673e-17, 1.6342614095367152e-15, -2.7835162072109215e-14,
        4.4632242632864775e-13, -6.7113668551641105e-12, 9.422759064650411e-11, -1.2290555301717928e-09,
        1.4807192815879218e-08, -1.6365844691234924e-07, 1.6462114365889248e-06, -1.492565035840625e-05,
        0.00012055332981789664, -0.0008548327023450853, 0.005223977625442188, -0.026866170645131252,
        0.11283791670955126, -0.37612638903183754, 1.1283791670955126,
    )
    interpolant = (
        -9.369456032869593e-13, 4.775776110782188e-13, 2.2135736614933752e-11, -7.468711818050684e-11,
        -2.68698518348558e-10, 2.625007492297143e-09, -5.886053299221601e-10, -7.005371793736792e-08,
        1.6349937383405805e-07, 1.9795619759276e-06, -7.340517938287998e-06, -8.07922042879663e-05,
        0.00019713917772795885, 0.005588816281841403, 0.038560570425182426, 0.16189356804102495,
        0.2214295402299318,
    )
    # fmt: on
    size = np.minimum(np.abs(x), 6.0)
    square = size * size
    u = 9.6 / (size + 2.0) - 2.2
    near = far = 0.0 * size
    for coefficient in series:
        near = near * square + coefficient
    for coefficient in interpolant:
        far = far * u + coefficient
    return np.copysign(np.where(size <= 1.0, size * near, 1.0 - np.exp(-square) * far), x)


def _sum(x: NDArray[Any], axis: int | tuple[int, ...], keepdims: bool = False, out: Any = None) -> Any:
    """x.sum(axis) of floats; over rows and along short ones as a product with ones, in a fraction of NumPy's time."""
    if axis == 0 and x.ndim == 2:
        ones = np.empty((1, len(x)) if keepdims else len(x), x.dtype)
        ones.fill(1.0)
        return np.dot(ones, x, out=out)
    if axis != x.ndim - 1 or out is not None or x.shape[-1] > 512 or x.size <= 32 * x.shape[-1]:
        return np.add.reduce(x, axis=axis, keepdims=keepdims, out=out)
    ones = np.empty(x.shape[-1], x.dtype)
    ones.fill(1.0)
    total = np.dot(x, ones) if x.ndim == 2 else np.dot(x.reshape(-1, len(ones)), ones).reshape(x.shape[:-1])
    return total[..., None] if keepdims else total


def _extremum(
    ufunc: np.ufunc, x: NDArray[Any], axis: int | tuple[int, ...], keepdims: bool = False, initial: Any = None
) -> Any:
    """The maximum or minimum along an axis; along many short rows in a fraction of NumPy's time."""
    if axis != x.ndim - 1 or x.size <= 32 * x.shape[-1]:
        return ufunc.reduce(x, axis=axis, keepdims=keepdims, initial=initial)
    n = x.shape[-1]
    rows = x if x.ndim == 2 else x.reshape(-1, n)
    found = ufunc.reduce(rows.T.copy()) if n <= 12 else ufunc.reduceat(rows.ravel(), np.arange(0, x.size, n))
    found = found if x.ndim == 2 else found.reshape(x.shape[:-1])
    return found[..., None] if keepdims else found


def _shifted(x: NDArray[Any], axis: int | tuple[int, ...]) -> tuple[Any, Any]:
    """``(x - m, m)`` with m the maximum along the axis where that is finite, else 0: exp(x - m) never overflows."""
    largest = _extremum(np.maximum, x, axis, keepdims=True, initial=-np.inf)
    # Finite squares add up to what is finite, if it does not overflow; this is the cheapest way to be sure.
    if not np.vdot(largest, largest) < np.inf:
        largest = np.where(np.isfinite(largest), largest, 0.0)
    return x - largest, largest


def _logsumexp(x: NDArray[Any], axis: int | tuple[int, ...], keepdims: bool = False) -> Any:
    """log(sum(exp(x))) along an axis; the maximum is taken out, so nothing overflows. Of nothing it is -inf."""
    shifted, largest = _shifted(x, axis)
    shifted = np.asarray(shifted)
    with np.errstate(divide="ignore"):
        result = np.log(_sum(np.exp(shifted, out=shifted), axis, keepdims=True)) + largest
    return result if keepdims else np.squeeze(result, axis=axis)[()]


def _softmax(x: NDArray[Any], axis: int | tuple[int, ...]) -> Any:
    """exp(x) / sum(exp(x)) along an axis; the maximum is taken out, so nothing overflows."""
    result = _shifted(x, axis)[0]
    np.exp(result, out=result)
    result /= _sum(result, axis, keepdims=True)
    return result


def _log_softmax(x: NDArray[Any], axis: int | tuple[int, ...]) -> Any:
    """log(softmax(x)) along an axis, exact where softmax underflows."""
    result = _shifted(x, axis)[0]
    result -= np.log(_sum(np.exp(result), axis, keepdims=True))
    return result


def _exclusive_prod(x: NDArray[Any], axis: int) -> NDArray[Any]:
    """For each element the product of the others along an axis: of those before it and those after it."""
    moved = np.moveaxis(x, axis, -1)
    one = np.ones_like(moved[..., :1])
    before = np.cumprod(np.concatenate([one, moved[..., :-1]], axis=-1), axis=-1)
    after = np.cumprod(np.concatenate([one, moved[..., :0:-1]], axis=-1), axis=-1)[..., ::-1]
    return np.moveaxis(before * after, -1, axis)


def _placed(values: Any, shape: tuple[int, ...], index: Any) -> NDArray[Any]:
    """Zeros with values written at an index that names no element twice."""
    result = np.zeros(shape, dtype=values.dtype)
    result[index] = values
    return result


def _scatter_add(values: Any, shape: tuple[int, ...], index: Any) -> NDArray[Any]:
    """Zeros with values added at an index; elements named several times get the sum."""
    result = np.zeros(shape, dtype=values.dtype)
    if values.ndim < 2 or values.size < result.size:
        np.add.at(result, index, values)
    elif isinstance(index, np.ndarray) and index.ndim == len(shape) - 1 == 1 and shape[1] <= 16 and len(values) > 1000:
        # NumPy counts the columns of short rows faster than it adds elements.
        for place, column in enumerate(values.T):
            result[:, place] = np.bincount(index, column, shape[0])
    else:
        # NumPy adds single elements faster than rows.
        places = np.arange(result.size).reshape(shape)[index]
        np.add.at(result.reshape(-1), places.ravel(), values.ravel())
    return result


def _windows(
    x: NDArray[Any],
    size: tuple[int, ...],
    axis: tuple[int, ...],
    stride: tuple[int, ...] | None = None,
    dilation: tuple[int, ...] | None = None,
) -> NDArray[Any]:
    """The windows of x along some axes, as a view; the last axes of the result are the elements of a window."""
    strides, gaps = stride or (1,) * len(axis), dilation or (1,) * len(axis)
    reach = tuple(gap * (count - 1) + 1 for count, gap in zip(size, gaps, strict=True))
    steps = [1] * x.ndim + list(gaps)
    for a, step in zip(axis, strides, strict=True):
        steps[a] = step
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=axis)
    return view[tuple(slice(None, None, step) for step in steps)]


def _overlap_add(
    values: NDArray[Any],
    shape: tuple[int, ...],
    axis: tuple[int, ...],
    stride: tuple[int, ...] | None = None,
    dilation: tuple[int, ...] | None = None,
) -> NDArray[Any]:
    """Zeros of a shape with windows added where _windows takes them from, one element of all windows at a time."""
    strides, gaps = stride or (1,) * len(axis), dilation or (1,) * len(axis)
    result = np.zeros(shape, dtype=values.dtype)
    for element in np.ndindex(values.shape[len(shape) :]):
        place = [slice(None)] * len(shape)
        for a, position, step, gap in zip(axis, element, strides, gaps, strict=True):
            place[a] = slice(gap * position, gap * position + step * values.shape[a], step)
        result[tuple(place)] += values[(..., *element)]
    return result


def _parts(theta: Any, shapes: dict[str, tuple[int, ...]]) -> dict[str, NDArray[Any]]:
    """A vector cut into arrays of these shapes, one after the other; copies."""
    theta = np.asarray(theta)
    sizes = [int(np.prod(shape, dtype=int)) for shape in shapes.values()]
    if theta.shape != (sum(sizes),) or min((n for shape in shapes.values() for n in shape), default=0) < 0:
        shown = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"unpack(): theta has shape {theta.shape}, expected ({sum(sizes)},) for {shown}")
    if theta.dtype.kind not in "fiub":
        raise TypeError(f"unpack(): theta is {theta.dtype}, expected floats")
    parts = np.split(theta, np.cumsum(sizes)[:-1])
    return {name: part.reshape(shape).copy() for part, (name, shape) in zip(parts, shapes.items(), strict=True)}


def _matrix(blocks: list[NDArray[Any]], ndim: int) -> NDArray[Any]:
    """Blocks side by side as one matrix: the first ndim axes of each are its rows, the others its columns."""
    rows = int(np.prod(blocks[0].shape[:ndim], dtype=int))
    widths = [int(np.prod(block.shape[ndim:], dtype=int)) for block in blocks]
    return np.concatenate([np.reshape(block, (rows, n)) for block, n in zip(blocks, widths, strict=True)], axis=1)


def _scatter_along_axis(values: Any, index: NDArray[Any], axis: int, size: int) -> NDArray[Any]:
    """Zeros with values added along an axis at the places that an index names: the adjoint of np.take_along_axis."""
    result = np.zeros((*values.shape[:axis], size, *values.shape[axis + 1 :]), dtype=values.dtype)
    places: list[NDArray[Any]] = list(np.indices(index.shape, sparse=True))
    places[axis] = index
    np.add.at(result, tuple(places), values)
    return result


def _expm(x: NDArray[Any]) -> NDArray[Any]:
    """The exponential of square matrices: the [13/13] Padé approximant of x / 2**s, squared s times.

    Higham, The Scaling and Squaring Method for the Matrix Exponential Revisited, 2005: algorithm 2.3, its coefficients
    and its bound of 5.37 on the 1-norm; each matrix of a stack is scaled by itself.
    """
    norm = np.max(np.sum(np.abs(x), axis=-2), axis=-1, initial=0.0)[..., None, None]
    squarings = np.maximum(np.frexp(norm / 5.371920351148152)[1], 0)
    a = np.ldexp(x, -squarings)
    one = np.eye(x.shape[-1], dtype=x.dtype)
    a2 = a @ a
    a4 = a2 @ a2
    a6 = a4 @ a2
    odd = a6 @ (a6 + 16380.0 * a4 + 40840800.0 * a2)
    odd = a @ (odd + 33522128640.0 * a6 + 10559470521600.0 * a4 + 1187353796428800.0 * a2 + 32382376266240000.0 * one)
    even = a6 @ (182.0 * a6 + 960960.0 * a4 + 1323241920.0 * a2)
    even = even + 670442572800.0 * a6 + 129060195264000.0 * a4 + 7771770303897600.0 * a2 + 64764752532480000.0 * one
    result = np.linalg.solve(even - odd, even + odd)
    for step in range(int(np.max(squarings, initial=0))):
        result = np.where(step < squarings, result @ result, result)
    return result


def _cofactors(x: NDArray[Any]) -> NDArray[Any]:
    """The cofactors of square matrices, det(x) inv(x).T where there is an inverse; singular matrices have them too.

    With x = u diag(s) v they are det(u) det(v) u diag(c) v, c the products of all other singular values.
    """
    u, s, v = np.linalg.svd(x)
    others = np.prod(np.where(np.eye(s.shape[-1], dtype=bool), 1.0, s[..., None, :]), axis=-1)
    sign = np.linalg.det(u) * np.linalg.det(v)
    found: NDArray[Any] = (u * (sign[..., None] * others)[..., None, :]) @ v
    return found
