"""NumPy expressions as ``ast``: the words in which ops say what they are in NumPy.

Named sizes and the run-time float dtype are placeholders (`SIZE` and `FLOAT`) that the emitter gives their names.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import cache, reduce
from typing import TypeVar, cast

from graphc.size import Quotient, SizeExpr

SIZE = "size:"
"""Prefix of the placeholder of a named size."""
FLOAT = "float:"
"""The placeholder of the dtype that the generated function computes in."""


def fill(text: str, values: Mapping[str, ast.expr]) -> ast.expr:
    """A NumPy expression with names replaced by expressions; precedence is kept.

    Examples
    --------
    >>> ast.unparse(fill("x * y", {"x": ast.parse("a + b", mode="eval").body, "y": literal(2)}))
    '(a + b) * 2'
    """
    return with_names(_template(text), values)


@cache
def _template(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def with_names(value: ast.expr, names: Mapping[str, ast.expr]) -> ast.expr:
    """A copy of an expression with variables replaced by expressions."""
    return copied(value, lambda part: names.get(part.id, part) if isinstance(part, ast.Name) else None)


def with_part(value: ast.expr, part: ast.expr, replacement: ast.expr) -> ast.expr:
    """A copy of an expression in which another stands wherever a part of it, that very object, stood."""
    return copied(value, lambda inner: replacement if inner is part else None)


Part = TypeVar("Part", bound=ast.AST)


def copied(part: Part, replacement: Callable[[ast.AST], ast.expr | None]) -> Part:
    """A copy of an expression in which parts have a replacement, where there is one for them."""
    found = replacement(part)
    if found is not None:
        return cast(Part, found)
    return type(part)(*[_copied_field(getattr(part, name), replacement) for name in part._fields])


def _copied_field(field: object, replacement: Callable[[ast.AST], ast.expr | None]) -> object:
    if isinstance(field, ast.AST):
        return copied(field, replacement) if field._fields else field
    return [_copied_field(item, replacement) for item in field] if isinstance(field, list) else field


def call(function: str, *operands: object, **keywords: object) -> ast.Call:
    """A call such as ``np.sum(x, axis=0)``; keywords that are None are left out.

    Examples
    --------
    >>> ast.unparse(call("np.sum", ast.Name("x", ast.Load()), axis=(0,), keepdims=None))
    'np.sum(x, axis=(0,))'
    """
    arguments = [literal(operand) for operand in operands]
    named = [ast.keyword(name, literal(value)) for name, value in keywords.items() if value is not None]
    return ast.Call(_dotted(function), arguments, named)


def method(receiver: ast.expr, name: str, *operands: object, **keywords: object) -> ast.expr:
    """A method call such as ``x.sum(axis=0)``; keywords that are None are left out."""
    called = call("f", *operands, **keywords)
    return ast.Call(ast.Attribute(receiver, name, ast.Load()), called.args, called.keywords)


def subscript(receiver: ast.expr, *items: ast.expr) -> ast.expr:
    """An indexing expression."""
    index = items[0] if len(items) == 1 else ast.Tuple(list(items), ast.Load())
    return ast.Subscript(receiver, index, ast.Load())


def float_dtype() -> ast.expr:
    """The dtype that the generated function computes in."""
    return ast.Name(FLOAT, ast.Load())


def float_scalar(value: object) -> ast.expr:
    """A number as a NumPy scalar of the dtype that the generated function computes in."""
    return ast.Call(ast.Attribute(float_dtype(), "type", ast.Load()), [literal(value)], [])


def literal(value: object) -> ast.expr:
    """A Python value, a size, a tuple of them, or an expression, as an expression."""
    if isinstance(value, ast.expr):
        return value
    if isinstance(value, tuple):
        return ast.Tuple([literal(item) for item in value], ast.Load())
    if isinstance(value, SizeExpr):
        return _size_text(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return _negated(_dotted("np.inf")) if value < 0 else _dotted("np.nan" if value != value else "np.inf")
    if isinstance(value, (int, float)) and not isinstance(value, bool) and str(value).startswith("-"):
        return _negated(ast.Constant(-value))
    assert value is None or isinstance(value, (str, bytes, bool, int, float))
    return ast.Constant(value)


def _dotted(name: str) -> ast.expr:
    first, *rest = name.split(".")
    found: ast.expr = ast.Name(first, ast.Load())
    for attribute in rest:
        found = ast.Attribute(found, attribute, ast.Load())
    return found


def _negated(value: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.USub(), value)


def _size_text(size: SizeExpr) -> ast.expr:
    positive_first = sorted(size.terms, key=lambda term: term[1] < 0)
    text: ast.expr | None = None
    for monomial, coefficient in positive_first:
        factors = [_atom_text(atom) for atom, power in monomial for _ in range(power)]
        if abs(coefficient) != 1 or not factors:
            factors.insert(0, ast.Constant(abs(coefficient)))
        term = reduce(lambda left, right: ast.BinOp(left, ast.Mult(), right), factors)
        if text is None:
            text = term if coefficient > 0 else _negated(term)
        else:
            text = ast.BinOp(text, ast.Add() if coefficient > 0 else ast.Sub(), term)
    assert text is not None
    return text


def _atom_text(atom: str | Quotient) -> ast.expr:
    if isinstance(atom, str):
        return ast.Name(SIZE + atom, ast.Load())
    return ast.BinOp(literal(atom.numerator), ast.FloorDiv(), literal(atom.denominator))
