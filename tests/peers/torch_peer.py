"""PyTorch in double precision, on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.peers.numpy_table import diagonal, expanded, filled, window_places
from tests.peers.peer import Peer, Table

torch.set_num_threads(1)


def _value_and_grad(function: Callable[..., Any], point: Sequence[np.ndarray]) -> tuple[Any, Sequence[Any]]:
    moved = [torch.tensor(x, requires_grad=True) for x in point]
    value = function(*moved)
    found = torch.autograd.grad(value, moved, allow_unused=True)
    gradients = [torch.zeros_like(x) if g is None else g for x, g in zip(moved, found, strict=True)]
    return value.detach(), [gradient.numpy() for gradient in gradients]


def _indexed(x: Tensor, items: Sequence[Any]) -> Tensor:
    """Brackets; PyTorch has no negative steps, and for NumPy an int beside index tensors is one of them."""
    axis, settled = 0, []
    index = next((item for item in items if isinstance(item, Tensor)), None)
    for item in items:
        if isinstance(item, slice) and item.step < 0:
            order = range(x.shape[axis])[item]
            x = x.index_select(axis, torch.tensor(list(order), dtype=torch.int64))
            item = slice(None)
        settled.append(torch.full_like(index, item) if index is not None and isinstance(item, int) else item)
        axis += item is not None
    return x[tuple(settled)]


def _tensors(places: Sequence[np.ndarray]) -> tuple[Tensor, ...]:
    return tuple(map(torch.tensor, places))


def _scatter(x: Tensor, *indices: Tensor, items: Any, shape: tuple[int, ...], unique: bool = False) -> Tensor:
    size = int(np.prod(shape))
    named = _indexed(torch.arange(size).reshape(shape), filled(items, indices))
    return torch.zeros(size, dtype=x.dtype).index_add(0, named.reshape(-1), x.reshape(-1)).reshape(shape)


def _solve(a: Tensor, b: Tensor) -> Tensor:
    """Vectors as columns: PyTorch takes some stacks of columns for a stack of vectors."""
    columns = b[..., None] if b.ndim == 1 else b
    batch = torch.broadcast_shapes(a.shape[:-2], columns.shape[:-2])
    found = torch.linalg.solve(a.expand(*batch, *a.shape[-2:]), columns.expand(*batch, *columns.shape[-2:]))
    return found[..., 0] if b.ndim == 1 else found


def _lower_as_symmetric(x: Tensor) -> Tensor:
    """What graphc and NumPy read of a matrix."""
    return x.tril() + x.tril(-1).mT


def _polygamma(order: Tensor, x: Tensor) -> Tensor:
    shape = torch.broadcast_shapes(order.shape, x.shape)
    return torch.special.polygamma(int(order.max()) if order.numel() else 0, x.expand(shape))


def _prod(x: Tensor, *, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    for a in reversed(axis):
        x = torch.prod(x, dim=a, keepdim=keepdims)
    return x


def _over_axes(reduction: Callable[..., Any], **others: str) -> Callable[..., Any]:
    """No axes are all of them for PyTorch."""

    def reduce(x: Tensor, *, axis: tuple[int, ...], keepdims: bool, **attrs: Any) -> Tensor:
        renamed = {others[name]: value for name, value in attrs.items()}
        return reduction(x, dim=axis, keepdim=keepdims, **renamed) if axis else x

    return reduce


def _position(reduction: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(x: Tensor, *, axis: int | None, keepdims: bool) -> Tensor:
        found = reduction(x, dim=axis, keepdim=keepdims and axis is not None)
        return found.reshape((1,) * x.ndim) if keepdims and axis is None else found

    return reduce


def _median(x: Tensor, *, axis: int | None, keepdims: bool) -> Tensor:
    """The mean of the two in the middle; that of PyTorch is the lower one."""
    found = torch.quantile(x, 0.5, dim=axis, keepdim=keepdims and axis is not None)
    return found.reshape((1,) * x.ndim) if keepdims and axis is None else found


def _normalised(function: Callable[[Tensor, int], Tensor]) -> Callable[..., Tensor]:
    """Over several axes: as one axis."""

    def apply(x: Tensor, *, axis: tuple[int, ...]) -> Tensor:
        last = tuple(range(-len(axis), 0))
        moved = x.movedim(axis, last)
        return function(moved.flatten(-len(axis)), -1).reshape(moved.shape).movedim(last, axis)

    return apply


def _pad(x: Tensor, *, pad_width: Any, constant_values: float) -> Tensor:
    widths = [width for pair in reversed(pad_width) for width in pair]
    return torch.nn.functional.pad(x, widths, value=constant_values)


def _exclusive_prod(x: Tensor, *, axis: int) -> Tensor:
    n = x.shape[axis]
    others = [_without(x, axis, k).prod(dim=axis) for k in range(n)]
    return torch.stack(others, dim=axis) if n else x


def _without(x: Tensor, axis: int, position: int) -> Tensor:
    return x.index_select(axis, torch.tensor([j for j in range(x.shape[axis]) if j != position], dtype=torch.int64))


def _linear_recurrence(a: Tensor, b: Tensor, *, axis: int) -> Tensor:
    found: list[Tensor] = []
    for factor, term in zip(a.unbind(axis), b.unbind(axis), strict=True):
        found.append(term + (factor * found[-1] if found else 0.0))
    return torch.stack(found, dim=axis) if found else b


def _random(draw: Callable[[np.random.Generator, Any], Any]) -> Callable[..., Any]:
    """NumPy's numbers; they are no function of a float."""
    return lambda seed, *, shape, site, dtype: torch.tensor(draw(np.random.default_rng((int(seed), site)), shape))


_SAME_NAME = (
    *("maximum", "minimum", "abs", "square", "sign", "floor", "ceil", "round", "where"),
    *("logical_and", "logical_or", "logical_xor", "logical_not", "relu", "sigmoid"),
    *("exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh"),
    *("asin", "acos", "atan", "atan2", "asinh", "acosh", "atanh", "hypot", "logaddexp", "matmul"),
    *("erf", "erfc", "erfinv", "lgamma", "digamma"),
)
_OTHER_NAMES = {
    "add": "add", "sub": "sub", "mul": "mul", "div": "div", "neg": "neg", "power": "pow", "mod": "remainder",
    "equal": "eq", "not_equal": "ne", "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge",
}  # fmt: skip

_TABLE: Table = {
    **{name: getattr(torch, name) for name in _SAME_NAME},
    **{name: getattr(torch, other) for name, other in _OTHER_NAMES.items()},
    **{name: getattr(torch.linalg, name) for name in ("inv", "det", "slogdet", "qr")},
    "step": lambda x: torch.where(x > 0, 1.0, 0.0),
    "softplus": lambda x: torch.nn.functional.softplus(x, threshold=700.0),
    "log_base": lambda x, y: torch.log(x) / torch.log(y),
    "xlogy": torch.special.xlogy,
    "xlog1py": torch.special.xlog1py,
    "polygamma": _polygamma,
    "floor_divide": lambda x, y: torch.div(x, y, rounding_mode="floor"),
    "clip": lambda *operands: torch.clip(*torch.broadcast_tensors(*operands)),
    "tril": lambda x, *, k: torch.tril(x, k),
    "triu": lambda x, *, k: torch.triu(x, k),
    "log1mexp": lambda x: torch.log(-torch.expm1(x)),
    "cot": lambda x: 1 / torch.tan(x),
    "sec": lambda x: 1 / torch.cos(x),
    "csc": lambda x: 1 / torch.sin(x),
    "acot": lambda x: torch.atan(1 / x),
    "asec": lambda x: torch.acos(1 / x),
    "acsc": lambda x: torch.asin(1 / x),
    "sech": lambda x: 1 / torch.cosh(x),
    "csch": lambda x: 1 / torch.sinh(x),
    "coth": lambda x: 1 / torch.tanh(x),
    "acoth": lambda x: torch.atanh(1 / x),
    "asech": lambda x: torch.acosh(1 / x),
    "acsch": lambda x: torch.asinh(1 / x),
    "sum": _over_axes(torch.sum),
    "mean": _over_axes(torch.mean),
    "prod": _prod,
    "max": _over_axes(torch.amax),
    "min": _over_axes(torch.amin),
    "var": _over_axes(torch.var, ddof="correction"),
    "std": _over_axes(torch.std, ddof="correction"),
    "argmax": _position(torch.argmax),
    "argmin": _position(torch.argmin),
    "cumsum": lambda x, *, axis: torch.cumsum(x, axis),
    "cumprod": lambda x, *, axis: torch.cumprod(x, axis),
    "logsumexp": _over_axes(torch.logsumexp),
    "softmax": _normalised(torch.softmax),
    "log_softmax": _normalised(torch.log_softmax),
    "sort": lambda x, *, axis: torch.sort(x, dim=axis, stable=True).values,
    "argsort": lambda x, *, axis: torch.argsort(x, dim=axis, stable=True),
    "median": _median,
    "take_along_axis": lambda x, index, *, axis: torch.take_along_dim(x, index, axis),
    "scatter_along_axis": lambda x, index, *, axis, size: torch.zeros(
        *x.shape[:axis], size, *x.shape[axis + 1 :], dtype=x.dtype
    ).scatter_add(axis, index, x),
    "scatter_slice": _scatter,
    "scatter_add": _scatter,
    "index": lambda x, *, items: _indexed(x, items),
    "gather": lambda x, *indices, items: _indexed(x, filled(items, indices)),
    "pick": lambda x, index: torch.take_along_dim(x, index[..., None], -1)[..., 0],
    "windows": lambda x, **attrs: x[_tensors(window_places(x.shape, **attrs))],
    "overlap_add": lambda x, *, shape, axis, **steps: _scatter(
        x, items=_tensors(window_places(shape, size=x.shape[len(shape) :], axis=axis, **steps)), shape=shape
    ),
    "cross": lambda x, y: torch.linalg.cross(*torch.broadcast_tensors(x, y)),
    "one_hot": lambda labels, *, depth, dtype: torch.nn.functional.one_hot(labels, depth).to(torch.float64),
    "reshape": lambda x, *, shape: x.reshape(shape),
    "transpose": lambda x, *, axes: x.permute(axes),
    "broadcast_to": lambda x, *, shape: x.expand(shape),
    "expand_dims": lambda x, *, axis: x.reshape(expanded(tuple(x.shape), axis)),
    "squeeze": lambda x, *, axis: x.squeeze(axis),
    "flip": lambda x, *, axis: x.flip(axis),
    "pad": _pad,
    "concatenate": lambda *xs, axis: torch.cat(xs, axis),
    "stack": lambda *xs, axis: torch.stack(xs, axis),
    "split": lambda x, *, sections, axis: torch.tensor_split(x, sections, dim=axis),
    "cofactors": lambda x: torch.linalg.det(x)[..., None, None] * torch.linalg.inv(x).mT,
    "full_rank": lambda r: r,
    "item": lambda parts, *, index: parts[index],
    "einsum": lambda *xs, spec: torch.einsum(spec, *xs),
    "tensordot": lambda x, y, *, axes: torch.tensordot(x, y, dims=axes),
    "diag": lambda x, *, k: x[diagonal(tuple(x.shape), k)].diagonal() if x.ndim == 2 else torch.diag(x, k),
    "solve": _solve,
    "cholesky": lambda x: torch.linalg.cholesky(_lower_as_symmetric(x)),
    "eigh": lambda x: torch.linalg.eigh(_lower_as_symmetric(x)),
    "svd": lambda x: torch.linalg.svd(x, full_matrices=False),
    "expm": torch.matrix_exp,
    "cast": lambda x, *, dtype: x.to(getattr(torch, dtype)),
    "stop_gradient": lambda x: x.detach(),
    "random_uniform": _random(lambda generator, shape: generator.random(shape)),
    "random_normal": _random(lambda generator, shape: generator.standard_normal(shape)),
    "exclusive_prod": _exclusive_prod,
    "linear_recurrence": _linear_recurrence,
}

PEER = Peer(
    "torch",
    _TABLE,
    array=torch.tensor,
    cast=lambda x, dtype: x.to(getattr(torch, dtype)),
    value_and_grad=_value_and_grad,
    rough={"digamma": 1e-8, "polygamma": 1e-8},
)
