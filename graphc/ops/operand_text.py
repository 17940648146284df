"""What the NumPy text of an op must know of its operands: Python scalars are weak, masks and integers are not floats.

In NumPy 2 a Python float takes the dtype of the array beside it; alone, or beside a mask, it would become float64.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from graphc.numpy_text import SIZE, fill, float_dtype, float_scalar, method
from graphc.op import OpCall


def is_literal(text: ast.expr) -> bool:
    """Whether a text is a Python scalar: a literal, a named size, or arithmetic of them.

    Examples
    --------
    >>> is_literal(ast.parse("-1.0 / 2", mode="eval").body), is_literal(ast.parse("x", mode="eval").body)
    (True, False)
    """
    if type(text) is ast.Name:
        return text.id.startswith(SIZE)
    if type(text) is ast.BinOp:
        return is_literal(text.left) and is_literal(text.right)
    if type(text) is ast.UnaryOp:
        return is_literal(text.operand)
    if type(text) is ast.Attribute:
        return text.attr in ("inf", "nan")
    return type(text) is ast.Constant


def as_array(call_: OpCall, text: ast.expr, position: int = 0) -> ast.expr:
    """An operand as an array, where it may be a Python scalar."""
    return float_scalar(text) if call_.operand(position).is_float and is_literal(text) else text


def as_float(call_: OpCall, text: ast.expr, position: int = 0) -> ast.expr:
    """An operand in the float type that the function computes in."""
    if call_.operand(position).is_float:
        return as_array(call_, text, position)
    if call_.operand(position).ndim == 0:
        return float_scalar(text)
    return method(text, "astype", float_dtype())


def common_dtype(call_: OpCall, *texts: ast.expr) -> ast.expr | None:
    """The dtype to say when operands are joined: the float type where NumPy alone would choose float64."""
    mixed = any(not call_.operand(p).is_float or is_literal(text) for p, text in enumerate(texts))
    return float_dtype() if call_.tensor.is_float and mixed else None


def _is_strong(call_: OpCall, text: ast.expr, position: int) -> bool:
    """Whether an operand is an array of floats, or a NumPy scalar."""
    return call_.operand(position).is_float and not is_literal(text)


def with_masks(template: str) -> Callable[..., ast.expr]:
    """The text of arithmetic in which a mask beside nothing but Python floats becomes an array of floats."""

    def text(call_: OpCall, *operands: ast.expr) -> ast.expr:
        if call_.tensor.is_float and not any(_is_strong(call_, x, p) for p, x in enumerate(operands)):
            masks = [call_.operand(position).dtype == "bool" for position in range(len(operands))]
            operands = tuple(as_float(call_, x, p) if masks[p] else x for p, x in enumerate(operands))
        return fill(template, dict(zip(("x", "y", "z"), operands, strict=False)))

    return text
