"""The NumPy text of reductions: NumPy's own, or the runtime's where NumPy takes many times as long, on short rows."""

from __future__ import annotations

import ast
from collections.abc import Callable

from graphc.numpy_text import call, float_dtype, literal, method
from graphc.op import OpCall
from graphc.ops.axes import shown_axes
from graphc.ops.operand_text import as_array, is_literal
from graphc.tensor_type import TensorType

Axes = tuple[int, ...]
_LONG = 512
"""Rows of more elements NumPy adds up as fast as BLAS multiplies them, with less rounding."""


def reduction_text(function: str, operand: Callable[..., ast.expr] = as_array) -> Callable[..., ast.expr]:
    """``x.sum(axis=0, keepdims=True)``, as people write it: an int for one axis, nothing for all of them."""

    def text(c: OpCall, x: ast.expr, *, axis: Axes, keepdims: bool, ddof: int = 0) -> ast.expr:
        # A runtime function has no default for its axes.
        everything = len(axis) == c.operand().ndim and not function.startswith("_")
        shown = None if everything else shown_axes(axis)
        return _reduced(function, operand(c, x), axis=shown, ddof=ddof or None, keepdims=keepdims or None)

    return text


def sum_text(c: OpCall, x: ast.expr, *, axis: Axes, keepdims: bool) -> ast.expr:
    """NumPy's; of floats over all axes but the last of several, and along that, the runtime's."""
    operand = c.operand()
    if is_product(operand, axis):
        if len(axis) == 1:
            return call("_sum", x, axis=axis[0], keepdims=keepdims or None)
        last = literal(operand.shape[-1])
        if isinstance(last, (ast.Constant, ast.Name)) and not keepdims:
            return call("_sum", method(x, "reshape", -1, last), axis=0)
    return reduction_text("np.sum")(c, x, axis=axis, keepdims=keepdims)


def mean_text(c: OpCall, x: ast.expr, *, axis: Axes, keepdims: bool) -> ast.expr:
    """NumPy's; of a vector that is a variable ``x.sum() / N``, the same number in a third of the time."""
    operand = c.operand()
    count = literal(operand.shape[axis[0]]) if operand.is_float and len(axis) == 1 else None
    vector = operand.ndim == 1 and not keepdims and _is_variable(x)
    if isinstance(count, (ast.Constant, ast.Name)) and (vector or is_product(operand, axis)):
        return ast.BinOp(sum_text(c, x, axis=axis, keepdims=keepdims), ast.Div(), count)
    shown = None if len(axis) == operand.ndim else shown_axes(axis)
    dtype = None if operand.is_float else float_dtype()
    return _reduced("np.mean", as_array(c, x), axis=shown, dtype=dtype, keepdims=keepdims or None)


def extremum_text(name: str) -> Callable[..., ast.expr]:
    """NumPy's; along the last of several axes, the runtime's."""

    def text(c: OpCall, x: ast.expr, *, axis: Axes, keepdims: bool) -> ast.expr:
        operand = c.operand()
        if len(axis) == 1 and axis[0] == operand.ndim - 1 > 0:
            ufunc = ast.parse(f"np.{name}imum", mode="eval").body
            return call("_extremum", ufunc, x, axis=axis[0], keepdims=keepdims or None)
        return reduction_text(f"np.{name}")(c, x, axis=axis, keepdims=keepdims)

    return text


def is_product(x: TensorType, axis: Axes) -> bool:
    """Whether a sum is one that a product with ones is quicker at: over all axes but the last, or along that."""
    length = x.shape[-1] if x.is_float and x.ndim > 1 else 1
    if axis == (x.ndim - 1,):
        return not isinstance(length, int) or 1 < length <= _LONG
    return length != 1 and axis == tuple(range(x.ndim - 1))


def _reduced(function: str, x: ast.expr, **keywords: object) -> ast.expr:
    """A method of a variable or a part of one, which takes half as long; a function of any other expression."""
    if function.startswith("np.") and _is_variable(x):
        return method(x, function.removeprefix("np."), **keywords)
    return call(function, x, **keywords)


def _is_variable(x: ast.expr) -> bool:
    whole = x.value if isinstance(x, ast.Subscript) else x
    return isinstance(whole, ast.Name) and not is_literal(whole)
