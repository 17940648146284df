"""NumPy expressions as calls of ufuncs, which can write into an array that is there: ``np.add(x, y, out=a)``."""

from __future__ import annotations

import ast

import numpy as np

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "np.add",
    ast.Sub: "np.subtract",
    ast.Mult: "np.multiply",
    ast.Div: "np.divide",
    ast.FloorDiv: "np.floor_divide",
    ast.Mod: "np.remainder",
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


def as_ufunc(value: ast.expr) -> ast.Call | None:
    """The call of a ufunc that an expression is; None for other expressions.

    Examples
    --------
    >>> ast.unparse(as_ufunc(ast.parse("x * y", mode="eval").body))
    'np.multiply(x, y)'
    """
    match value:
        case ast.BinOp(left, ast.Pow(), ast.Constant(exponent)):
            return _call(_POWERS[exponent], left) if exponent in _POWERS else None
        case ast.BinOp(left, ast.Pow(), right):
            return _call("np.power", left, right)
        case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
            return _call(_OPERATORS[type(operator)], left, right)
        case ast.UnaryOp(operator, operand) if type(operator) in _OPERATORS:
            return _call(_OPERATORS[type(operator)], operand)
        case ast.Compare(left, [operator], [right]) if type(operator) in _OPERATORS:
            return _call(_OPERATORS[type(operator)], left, right)
        case ast.Call(ast.Attribute(ast.Name("np"), name), _, []) if isinstance(getattr(np, name, None), np.ufunc):
            return value
    return None


def with_out(value: ast.expr, out: ast.expr) -> ast.Call:
    """The call of a ufunc that an expression is, writing into an array."""
    called = as_ufunc(value)
    assert called is not None
    return ast.Call(called.func, called.args, [ast.keyword("out", out)])


def _call(function: str, *operands: ast.expr) -> ast.Call:
    return ast.Call(ast.parse(function, mode="eval").body, [*operands], [])
