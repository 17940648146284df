"""The table of stability rules in docs/stability.md: what is replaced by what, and where the plain form fails."""

from __future__ import annotations

import ast

from docs.markdown_text import code, table
from graphc.numpy_text import call, literal, subscript
from graphc.rewrite.pattern import Apply, Attr, Var
from graphc.rewrite.stability import STABILITY

_OPERATORS: dict[str, ast.operator] = {
    "add": ast.Add(),
    "sub": ast.Sub(),
    "mul": ast.Mult(),
    "div": ast.Div(),
    "power": ast.Pow(),
}


def stability_section() -> str:
    """The table of the rules that repair something."""
    rows = [
        [code(rule.name), code(_text(rule.pattern)), code(_text(rule.replacement)), rule.fails.where]
        for rule in STABILITY
        if rule.fails
    ]
    return table(["rule", "written", "computed", "where the written form fails"], rows)


def _text(pattern: object) -> str:
    return ast.unparse(ast.fix_missing_locations(_expression(pattern)))


def _expression(pattern: object) -> ast.expr:
    """A pattern in the model language; attributes that may be anything are left out."""
    if isinstance(pattern, Var):
        return ast.Name(pattern.name, ast.Load())
    if not isinstance(pattern, Apply):
        return literal(pattern)
    operands = [_expression(operand) for operand in pattern.operands]
    if pattern.op.name == "neg":
        return ast.UnaryOp(ast.USub(), operands[0])
    if pattern.op.name in _OPERATORS:
        return ast.BinOp(operands[0], _OPERATORS[pattern.op.name], operands[1])
    if pattern.op.name in ("index", "gather"):
        return subscript(operands[0], *(operands[1:] or [ast.Constant(...)]))
    given = {name: value for name, value in pattern.attrs.items() if not isinstance(value, Attr)}
    return call(pattern.op.name, *operands, **{name: value for name, value in given.items() if value is not False})
