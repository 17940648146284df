"""Arithmetic on large arrays in place: ``h += b`` where the sum would be one more array, and ``h`` is nobody else's.

Small arrays stay in one expression, which is read more easily and takes no longer.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from math import prod

import numpy as np

from graphc.backends.expression_text import expression_text
from graphc.graph import Node
from graphc.numpy_text import call
from graphc.op import OPS
from graphc.size import nominal
from graphc.tensor_type import TensorType

LARGE = 2**15
"""Elements from which on a new array costs more than a statement; 256 KiB, from which NumPy itself saves arrays."""

_OPERATORS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+=", "np.add"),
    ast.Mult: ("*=", "np.multiply"),
    ast.Sub: ("-=", "np.subtract"),
    ast.Div: ("/=", "np.divide"),
}


@dataclass(frozen=True)
class Update:
    """A statement that changes an array: ``operator`` and a value, or a call alone where there is no operator.

    ``saves`` tells whether NumPy would have made one more array for the expression.
    """

    operator: str
    value: ast.expr
    saves: bool


def is_large(node: Node) -> bool:
    """Whether a node is an array of floats for which a statement of its own pays; never a scalar."""
    type = node.type
    if not isinstance(type, TensorType) or not type.is_float or not type.shape:
        return False
    return prod(map(nominal, type.shape)) >= LARGE


def is_new(node: Node) -> bool:
    """Whether a node's NumPy text makes a new array, in the type of the node."""
    return node.op is OPS["matmul"] or (node.op.elementwise is not None and node.op is OPS.get(node.op.name))


def update(value: ast.expr, part: ast.expr, target: str, *, same_shape: bool) -> Update | None:
    """The statement that makes an array into an expression in which it stands; None for expressions of other forms.

    Parameters
    ----------
    value : ast.expr
    part : ast.expr
        The operand of the expression that the array is.
    target : str
        The name of the array.
    same_shape : bool
        Whether the other operands are numbers or as large: operators of NumPy then reuse a temporary on their left.

    Examples
    --------
    >>> sum = ast.parse("a @ b + c", mode="eval").body
    >>> found = update(sum, sum.left, "h", same_shape=False)
    >>> found.operator, ast.unparse(found.value)
    ('+=', 'c')
    """
    array = ast.Name(target, ast.Load())
    if isinstance(value, ast.BinOp) and type(value.op) in _OPERATORS:
        operator, function = _OPERATORS[type(value.op)]
        if value.left is part:
            return Update(operator, value.right, saves=not same_shape or isinstance(part, ast.Name))
        if value.right is part and isinstance(value.op, (ast.Add, ast.Mult)):
            return Update(operator, value.left, saves=not same_shape or isinstance(part, ast.Name))
        if value.right is part:
            return Update("", call(function, value.left, array, out=array), saves=True)
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub) and value.operand is part:
        return Update("", call("np.negative", array, out=array), saves=True)
    if isinstance(value, ast.Call) and any(argument is part for argument in value.args) and _takes_out(value):
        arguments = [array if argument is part else argument for argument in value.args]
        return Update("", ast.Call(value.func, arguments, [ast.keyword("out", array)]), saves=True)
    return None


def _takes_out(value: ast.Call) -> bool:
    """Whether a call is one of NumPy's elementwise functions, and nothing else is said in it."""
    name = expression_text(value.func)
    return not value.keywords and name.startswith("np.") and isinstance(getattr(np, name[3:], None), np.ufunc)
