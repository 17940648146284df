"""NumPy's functions on graph values: each is an operation or a few, or an error that names the nearest one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from graphc.frontends.names import INTERNAL, operation, suggestion
from graphc.frontends.traced_calls import called, refuse
from graphc.op import OPS

# NumPy's names where they are not the language's.
_UFUNCS = {
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "true_divide": "div",
    "negative": "neg",
    "absolute": "abs",
    "fabs": "abs",
    "remainder": "mod",
    "float_power": "power",
    "rint": "round",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arctan2": "atan2",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "bitwise_and": "logical_and",
    "bitwise_or": "logical_or",
    "bitwise_xor": "logical_xor",
    "invert": "logical_not",
}
_REDUCTIONS = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logaddexp": "logsumexp"}
_FUNCTIONS = {"amax": "max", "amin": "min", "around": "round", "permute_dims": "transpose", "concat": "concatenate"}


def call_ufunc(ufunc: Any, method: str, operands: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """A NumPy ufunc on graph values.

    Raises
    ------
    GraphcError
        GC101 when it is no operation, GC103 for an option that graphs have no use for, at the user's line.
    """
    shown = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
    reduced = OPS.get(_REDUCTIONS.get(ufunc.__name__, "")) if method == "reduce" else None
    if reduced is not None:
        return called(reduced, operands, {"axis": 0, **options})
    op = operation(_UFUNCS.get(ufunc.__name__, ufunc.__name__)) if method == "__call__" else None
    if op is None:
        _refuse(shown, operands)
    if options:
        _refuse_options(shown, options, operands)
    return called(op, operands)


def call_function(function: Any, values: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """A NumPy function that is no ufunc, on graph values.

    Raises
    ------
    GraphcError
        GC101 when it is no operation, GC103 for an option that graphs have no use for, at the user's line.
    """
    shown = (
        f"np.{function.__name__}" if function.__module__ == "numpy" else f"{function.__module__}.{function.__name__}"
    )
    own = _COMPOSED.get(function)
    if own is not None:
        return own(*values, **options)
    op = operation(_FUNCTIONS.get(function.__name__, function.__name__))
    if op is None or function.__module__ not in ("numpy", "numpy.linalg"):
        _refuse(shown, values)
    given = {name: value for name, value in options.items() if value is not np._NoValue}
    # NumPy calls its first operand `a`, and takes `out=None` for none.
    operands = [*values, *(given.pop(name) for name in ("a", "x", "arrays") if name in given and not values)]
    unused: dict[str, Any] = {name: given.pop(name) for name in ("out", "dtype", "where") if name in given}
    if any(value is not None for value in unused.values()):
        _refuse_options(shown, unused, operands)
    return called(op, operands, given)


def _refuse(shown: str, values: Sequence[Any]) -> NoReturn:
    known = [name for name in OPS if name not in INTERNAL]
    close = suggestion(shown.rpartition(".")[2], known)
    refuse(
        "GC101",
        f"{shown} does not work on graph values: expected a function that is an operation of graphc",
        values,
        hint=f"did you mean `{close}`?" if close else "",
    )


def _refuse_options(shown: str, options: Mapping[str, Any], values: Sequence[Any]) -> NoReturn:
    refuse("GC103", f"{shown} on graph values takes no {', '.join(options)}", values)


def _dot(a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return called(OPS["mul"], [a, b])
    if np.ndim(b) > 2:
        refuse("GC203", "np.dot of more than two axes is not matmul: write np.matmul or np.tensordot", [a, b])
    return called(OPS["matmul"], [a, b])


def _swapped(x: Any, axis1: int, axis2: int) -> Any:
    axes = list(range(x.ndim))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return called(OPS["transpose"], [x], {"axes": axes})


def _moved(x: Any, source: int, destination: int) -> Any:
    axes = [axis for axis in range(x.ndim) if axis != source % x.ndim]
    axes.insert(destination % x.ndim, source % x.ndim)
    return called(OPS["transpose"], [x], {"axes": axes})


def _like(x: Any, value: Any) -> Any:
    number = float(value) if x.dtype.startswith("float") else int(value)
    return called(OPS["broadcast_to"], [number, x.shape])


def _side_by_side(tensors: Any) -> Any:
    return called(OPS["concatenate"], [list(tensors)], {"axis": 0 if np.ndim(tensors[0]) < 2 else 1})


def _on_top(tensors: Any) -> Any:
    op = OPS["stack"] if np.ndim(tensors[0]) < 2 else OPS["concatenate"]
    return called(op, [list(tensors)], {"axis": 0})


def _sized(x: Any, axis: int | None = None) -> Any:
    return x.size if axis is None else x.shape[axis]


_COMPOSED: Mapping[Any, Callable[..., Any]] = {
    np.dot: _dot,
    np.swapaxes: _swapped,
    np.moveaxis: _moved,
    np.hstack: _side_by_side,
    np.vstack: _on_top,
    np.zeros_like: lambda x: _like(x, 0),
    np.ones_like: lambda x: _like(x, 1),
    np.full_like: _like,
    np.shape: lambda x: x.shape,
    np.ndim: lambda x: x.ndim,
    np.size: _sized,
}
"""Those that are no single operation."""
