"""Expressions as lines of text, no longer than people like to read."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable, Sequence

WIDTH = 88
COMMENT_WIDTH = 100
INDENT = "    "

Write = Callable[[ast.expr], str]
_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.MatMult: "@",
    ast.BitAnd: "&",
    ast.BitOr: "|",
}


def quoted(text: str) -> str:
    """A text as a literal in double quotes.

    Examples
    --------
    >>> print(quoted('a "b"'))
    "a \\"b\\""
    """
    return _ENCODER.encode(text)


_ENCODER = json.JSONEncoder(ensure_ascii=False)


def printable(text: str) -> str:
    """A text for a comment: whatever the model's says, it stays in its line."""
    return "".join(character if character.isprintable() else " " for character in text)


def expression_lines(start: str, value: ast.expr, write: Write, indent: str = INDENT) -> list[str]:
    """``start`` and an expression, broken at its outermost call, list or operator where it is too long for a line."""
    line = f"{indent}{start}{write(value)}"
    if len(line) <= WIDTH:
        return [line]
    if isinstance(value, ast.Call):
        arguments = [*value.args, *(keyword.value for keyword in value.keywords)]
        starts = [*("" for _ in value.args), *(f"{keyword.arg}=" for keyword in value.keywords)]
        return _bracketed(f"{start}{write(value.func)}(", zip(starts, arguments, strict=True), ")", write, indent)
    if isinstance(value, (ast.List, ast.Tuple)) and len(value.elts) > 1:
        opening, closing = "[]" if isinstance(value, ast.List) else "()"
        return _bracketed(start + opening, (("", item) for item in value.elts), closing, write, indent)
    if isinstance(value, ast.BinOp) and type(value.op) in _OPERATORS and start:
        left, right = _sides(value, write)
        return [f"{indent}{start}(", f"{indent}{INDENT}{left}", f"{indent}{INDENT}{right}", f"{indent})"]
    return [line]


def joined_lines(start: str, items: Sequence[str], end: str, indent: str = INDENT) -> list[str]:
    """``start``, items with commas and ``end``: in one line or one item a line."""
    line = f"{indent}{start}{', '.join(items)}{end}"
    if len(line) <= WIDTH or not items:
        return [line]
    return [f"{indent}{start}", *(f"{indent}{INDENT}{item}," for item in items), f"{indent}{end}"]


def target_text(names: Sequence[str]) -> str:
    """Variables that a list is unpacked into."""
    return f"({names[0]},)" if len(names) == 1 else ", ".join(names)


def filled_lines(items: Iterable[str], separator: str, limit: int = WIDTH) -> list[str]:
    """Items side by side, in as few lines as fit."""
    lines: list[str] = []
    for item in items:
        if lines and len(lines[-1]) + len(separator) + len(item) <= limit:
            lines[-1] += separator + item
        else:
            lines.append(item)
    return lines


def _bracketed(start: str, items: Iterable[tuple[str, ast.expr]], end: str, write: Write, indent: str) -> list[str]:
    inner = indent + INDENT
    broken = [expression_lines(name, item, write, inner) for name, item in items]
    lines = [line for item in broken for line in (*item[:-1], f"{item[-1]},")]
    return [f"{indent}{start}", *lines, f"{indent}{end}"]


def _sides(value: ast.BinOp, write: Write) -> tuple[str, str]:
    """Both operands as they stand in the whole, so that parentheses are kept."""
    operator = _OPERATORS[type(value.op)]
    placeholder = ast.Name("_", ast.Load())
    left = write(ast.BinOp(value.left, value.op, placeholder)).removesuffix(f" {operator} _")
    right = write(ast.BinOp(placeholder, value.op, value.right)).removeprefix("_ ")
    return left, right
