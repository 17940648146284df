"""NumPy expressions as calls that can write into an array that is there: ``np.add(x, y, out=a)``."""

from __future__ import annotations

import ast
from collections.abc import Sequence

import numpy as np

from graphc.numpy_text import call
from graphc.tensor_type import TensorType, Type

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "np.add",
    ast.Sub: "np.subtract",
    ast.Mult: "np.multiply",
    ast.Div: "np.divide",
    ast.FloorDiv: "np.floor_divide",
    ast.Mod: "np.remainder",
    ast.MatMult: "np.matmul",
    ast.BitAnd: "np.logical_and",
    ast.BitOr: "np.logical_or",
    ast.BitXor: "np.logical_xor",
    ast.USub: "np.negative",
    ast.Eq: "np.equal",
    ast.NotEq: "np.not_equal",
    ast.Lt: "np.less",
    ast.LtE: "np.less_equal",
    ast.Gt: "np.greater",
    ast.GtE: "np.greater_equal",
}
_POWERS: dict[object, str] = {2: "np.square"}
"""The operator is quicker than ``np.power`` for some exponents; it uses these functions itself."""
_METHODS = frozenset({"sum", "mean", "max", "min", "prod", "cumsum"})
"""Methods of arrays that take ``out``."""
_OTHERS = _METHODS | {"einsum", "dot", "clip", "stack", "concatenate", "take"}
"""Functions of NumPy that take ``out`` and are no ufuncs."""


def as_ufunc(value: ast.expr) -> ast.Call | None:
    """The call of a ufunc that an expression is; None for other expressions.

    Examples
    --------
    >>> ast.unparse(as_ufunc(ast.parse("x * y", mode="eval").body))
    'np.multiply(x, y)'
    """
    match value:
        case ast.BinOp(left, ast.Pow(), ast.Constant(exponent)):
            return call(_POWERS[exponent], left) if exponent in _POWERS else None
        case ast.BinOp(left, ast.Pow(), right):
            return call("np.power", left, right)
        case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
            return call(_OPERATORS[type(operator)], left, right)
        case ast.UnaryOp(operator, operand) if type(operator) in _OPERATORS:
            return call(_OPERATORS[type(operator)], operand)
        case ast.Compare(left, [operator], [right]) if type(operator) in _OPERATORS:
            return call(_OPERATORS[type(operator)], left, right)
        case ast.Call(ast.Attribute(ast.Name("np"), name), _, []) if isinstance(getattr(np, name, None), np.ufunc):
            return value
    return None


def is_elementwise(value: ast.expr) -> bool:
    """Whether an expression is the call of a ufunc that makes each element from those in the same place.

    Examples
    --------
    >>> is_elementwise(ast.parse("x * y", mode="eval").body), is_elementwise(ast.parse("x @ y", mode="eval").body)
    (True, False)
    """
    function = getattr(np, _name(as_ufunc(value) or value), None)
    return isinstance(function, np.ufunc) and function.signature is None


def quickest(value: ast.expr, operands: Sequence[Type]) -> ast.expr:
    """An expression of some operands by the function of NumPy that is quickest at it.

    Examples
    --------
    >>> matrix, labels = TensorType("float64", (5, 3)), TensorType("int64", (9,))
    >>> ast.unparse(quickest(ast.parse("x[y]", mode="eval").body, [matrix, labels]))
    "np.take(x, y, axis=0, mode='clip')"
    """
    types = [type for type in operands if isinstance(type, TensorType)]
    match value, types:
        case ast.BinOp(left, ast.MatMult(), right), [_, _] if all(type.ndim <= 2 for type in types):
            return call("np.dot", left, right)
        case ast.Subscript(x, ast.Name() as index), [table, rows] if table.ndim > 1 and rows.is_int and rows.ndim:
            # Indices are checked before; without a mode, NumPy checks them again and fills an array of its own first.
            return call("np.take", x, index, axis=0, mode="clip")
    return value


def takes_out(value: ast.expr) -> bool:
    """Whether an expression can be written as a call with ``out``."""
    match value:
        case ast.Call(ast.Attribute(ast.Name(array), name)) if array != "np":
            return name in _METHODS
        case ast.Call(ast.Name("_sum"), _, [ast.keyword("axis", ast.Constant(0)), *_]):
            return True
    return as_ufunc(value) is not None or _name(value) in _OTHERS


def with_out(value: ast.expr, out: ast.expr) -> ast.Call:
    """The call that an expression is, writing into an array.

    Examples
    --------
    >>> ast.unparse(with_out(ast.parse("np.sum(x, axis=0)", mode="eval").body, ast.Name("a")))
    'np.sum(x, axis=0, out=a)'
    """
    called = as_ufunc(value) or value
    assert isinstance(called, ast.Call)
    return ast.Call(called.func, called.args, [*called.keywords, ast.keyword("out", out)])


def _name(value: ast.expr) -> str:
    """The name of the function of NumPy that an expression calls, or nothing."""
    match value:
        case ast.Call(ast.Attribute(ast.Name("np"), name)):
            return name
    return ""
