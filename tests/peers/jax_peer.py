"""JAX in double precision; each graph is compiled as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import jax.scipy.special as special
import numpy as np

from tests.peers.numpy_table import filled, numpy_table, window_places
from tests.peers.peer import Peer


def _value_and_grad(function: Callable[..., Any], point: Sequence[np.ndarray]) -> tuple[Any, Sequence[Any]]:
    differentiated = jax.value_and_grad(function, argnums=tuple(range(len(point))))
    with jax.enable_x64(True):
        return jax.jit(differentiated, compiler_options=_QUICKLY)(*point)


_QUICKLY = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
    "xla_llvm_disable_expensive_passes": True,
}
"""A graph runs once: compiling it well takes three times as long."""


def _lower_as_symmetric(x: Any) -> Any:
    """What graphc and NumPy read of a matrix."""
    lower = jnp.tril(x, -1)
    return jnp.tril(x) + jnp.swapaxes(lower, -1, -2)


def _solve(a: Any, b: Any) -> Any:
    return jnp.linalg.solve(a, b[..., None])[..., 0] if b.ndim == 1 else jnp.linalg.solve(a, b)


def _scatter(x: Any, *indices: Any, items: Any, shape: tuple[int, ...], unique: bool = False) -> Any:
    return jnp.zeros(shape).at[filled(items, indices)].add(x)


def _scatter_along_axis(x: Any, index: Any, *, axis: int, size: int) -> Any:
    places = list(jnp.indices(index.shape))
    places[axis] = index
    return jnp.zeros((*x.shape[:axis], size, *x.shape[axis + 1 :])).at[tuple(places)].add(x)


PEER = Peer(
    "jax",
    {
        **numpy_table(jnp),
        "clip": jnp.clip,
        "relu": jax.nn.relu,
        "sigmoid": jax.nn.sigmoid,
        "softplus": jax.nn.softplus,
        "hypot": jnp.hypot,
        "softmax": jax.nn.softmax,
        "log_softmax": jax.nn.log_softmax,
        "logsumexp": special.logsumexp,
        "erf": special.erf,
        "erfc": special.erfc,
        "erfinv": special.erfinv,
        "lgamma": special.gammaln,
        "digamma": special.digamma,
        "polygamma": lambda n, x: special.polygamma(n.astype(int), x),
        "xlogy": special.xlogy,
        "xlog1py": special.xlog1py,
        "cumprod": jnp.cumprod,
        "flip": jnp.flip,
        "sort": jnp.sort,
        "argsort": jnp.argsort,
        "median": jnp.median,
        "take_along_axis": jnp.take_along_axis,
        "scatter_slice": _scatter,
        "scatter_add": _scatter,
        "scatter_along_axis": _scatter_along_axis,
        "broadcast_to": jnp.broadcast_to,
        "overlap_add": lambda x, *, shape, axis, **steps: _scatter(
            x, items=window_places(shape, size=x.shape[len(shape) :], axis=axis, **steps), shape=shape
        ),
        "cross": jnp.cross,
        "diag": jnp.diag,
        "solve": _solve,
        "cholesky": lambda x: jnp.linalg.cholesky(_lower_as_symmetric(x)),
        "eigh": lambda x: jnp.linalg.eigh(_lower_as_symmetric(x)),
        "svd": lambda x: jnp.linalg.svd(x, full_matrices=False),
        "qr": jnp.linalg.qr,
        "expm": jax.scipy.linalg.expm,
        "stop_gradient": jax.lax.stop_gradient,
    },
    array=jnp.asarray,
    cast=lambda x, dtype: jnp.asarray(x, dtype=dtype),
    value_and_grad=_value_and_grad,
)
