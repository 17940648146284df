"""What ops are in a library that has NumPy's functions under NumPy's names: JAX and autograd."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy

from tests.peers.peer import Table

DIRECT = (
    *("floor_divide", "maximum", "minimum", "abs", "square", "sign", "floor", "ceil", "round", "mod", "power"),
    *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "where"),
    *("logical_and", "logical_or", "logical_xor", "logical_not"),
    *("exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh"),
    *("logaddexp", "matmul", "tensordot", "sum", "mean", "prod", "max", "min", "var", "std", "argmax", "argmin"),
    *("cumsum", "reshape", "transpose", "tril", "triu"),
)
OTHER_NAMES = {
    "add": "add", "sub": "subtract", "mul": "multiply", "div": "divide", "neg": "negative", "asin": "arcsin",
    "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh",
}  # fmt: skip


def numpy_table(np: ModuleType) -> Table:
    """The ops that are one function of NumPy, or an expression in functions of NumPy."""
    return {
        **{name: getattr(np, name) for name in DIRECT},
        **{name: getattr(np, other) for name, other in OTHER_NAMES.items()},
        **{name: getattr(np.linalg, name) for name in ("inv", "det", "slogdet")},
        "clip": lambda x, low, high: np.minimum(np.maximum(x, low), high),
        "step": lambda x: np.where(x > 0, 1.0, 0.0),
        "relu": lambda x: np.where(x > 0, x, 0.0),
        "softplus": lambda x: np.logaddexp(x, 0.0),
        "hypot": lambda x, y: np.sqrt(x**2 + y**2),
        "log_base": lambda x, y: np.log(x) / np.log(y),
        "xlogy": lambda x, y: x * np.log(y),
        "xlog1py": lambda x, y: x * np.log1p(y),
        "log1mexp": lambda x: np.log(-np.expm1(x)),
        "cot": lambda x: 1 / np.tan(x),
        "sec": lambda x: 1 / np.cos(x),
        "csc": lambda x: 1 / np.sin(x),
        "acot": lambda x: np.arctan(1 / x),
        "asec": lambda x: np.arccos(1 / x),
        "acsc": lambda x: np.arcsin(1 / x),
        "sech": lambda x: 1 / np.cosh(x),
        "csch": lambda x: 1 / np.sinh(x),
        "coth": lambda x: 1 / np.tanh(x),
        "acoth": lambda x: np.arctanh(1 / x),
        "asech": lambda x: np.arccosh(1 / x),
        "acsch": lambda x: np.arcsinh(1 / x),
        "softmax": lambda x, *, axis: np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True),
        "log_softmax": lambda x, *, axis: x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True)),
        "einsum": lambda *xs, spec: np.einsum(spec, *xs),
        "concatenate": lambda *xs, axis: np.concatenate(xs, axis=axis),
        "stack": lambda *xs, axis: np.stack(xs, axis=axis),
        "split": lambda x, *, sections, axis: tuple(np.split(x, sections, axis=axis)),
        "cofactors": lambda x: np.linalg.det(x)[..., None, None] * np.swapaxes(np.linalg.inv(x), -1, -2),
        "full_rank": lambda r: r,
        "item": lambda parts, *, index: parts[index],
        "expand_dims": lambda x, *, axis: np.reshape(x, expanded(numpy.shape(x), axis)),
        "squeeze": lambda x, *, axis: np.reshape(x, [n for a, n in enumerate(numpy.shape(x)) if a not in axis]),
        "flip": lambda x, *, axis: x[tuple(slice(None, None, -1 if a in axis else 1) for a in range(x.ndim))],
        "pad": lambda x, *, pad_width, constant_values: np.pad(
            x, pad_width, mode="constant", constant_values=constant_values
        ),
        "index": lambda x, *, items: x[items],
        "gather": lambda x, *indices, items: x[filled(items, indices)],
        "pick": lambda x, index: np.sum(np.where(index[..., None] == numpy.arange(x.shape[-1]), x, 0.0), axis=-1),
        "one_hot": lambda labels, *, depth, dtype: np.eye(depth)[labels],
        "cast": lambda x, *, dtype: x.astype(dtype),
        "random_uniform": lambda seed, *, shape, site, dtype: _generator(seed, site).random(shape),
        "random_normal": lambda seed, *, shape, site, dtype: _generator(seed, site).standard_normal(shape),
        "windows": lambda x, **attrs: x[window_places(x.shape, **attrs)],
        "cross": lambda x, y: np.stack(
            [x[..., a] * y[..., b] - x[..., b] * y[..., a] for a, b in ((1, 2), (2, 0), (0, 1))], axis=-1
        ),
        "exclusive_prod": lambda x, *, axis: _exclusive_prod(np, x, axis),
        "linear_recurrence": lambda a, b, *, axis: _linear_recurrence(np, a, b, axis),
    }


def expanded(shape: tuple[int, ...], axis: tuple[int, ...]) -> list[int]:
    """A shape with axes of size 1 put in."""
    sizes = iter(shape)
    return [1 if a in axis else next(sizes) for a in range(len(shape) + len(axis))]


def filled(items: tuple[Any, ...], indices: tuple[Any, ...]) -> tuple[Any, ...]:
    """Brackets with the index tensors at their places."""
    tensors = iter(indices)
    return tuple(next(tensors) if isinstance(item, str) else item for item in items)


def diagonal(shape: tuple[int, ...], k: int) -> tuple[slice, slice]:
    """The square part of a matrix on whose diagonal its diagonal k is."""
    rows, columns = max(-k, 0), max(k, 0)
    length = min(shape[0] - rows, shape[1] - columns)
    return slice(rows, rows + length), slice(columns, columns + length)


def window_places(
    shape: tuple[int, ...], *, size: Any, axis: Any, stride: Any, dilation: Any
) -> tuple[numpy.ndarray, ...]:
    """An index for each axis of a tensor, which together have the axes of its windows."""
    count = len(shape) + len(size)
    places = [numpy.arange(n).reshape([n if a == d else 1 for a in range(count)]) for d, n in enumerate(shape)]
    for position, (d, width) in enumerate(zip(axis, size, strict=True)):
        first = numpy.arange(0, shape[d] - (width - 1) * dilation[position], stride[position])
        inside = numpy.arange(width) * dilation[position]
        sizes = {d: len(first), len(shape) + position: width}
        places[d] = (first[:, None] + inside).reshape([sizes.get(a, 1) for a in range(count)])
    return tuple(places)


def _generator(seed: Any, site: int) -> numpy.random.Generator:
    return numpy.random.default_rng((int(seed), site))


def _exclusive_prod(np: ModuleType, x: Any, axis: int) -> Any:
    last = np.moveaxis(x, axis, -1)
    n = last.shape[-1]
    others = [np.prod(last[..., [j for j in range(n) if j != k]], axis=-1) for k in range(n)]
    return np.moveaxis(np.stack(others, axis=-1), -1, axis) if others else x


def _linear_recurrence(np: ModuleType, a: Any, b: Any, axis: int) -> Any:
    a, b = (np.moveaxis(x, axis, -1) for x in (a, b))
    found: list[Any] = []
    for k in range(b.shape[-1]):
        found.append(b[..., k] + (a[..., k] * found[-1] if found else 0.0))
    return np.moveaxis(np.stack(found, axis=-1), -1, axis) if found else b
