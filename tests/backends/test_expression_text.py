"""Expressions as text: the tree that was written is read again, with no parentheses that it does not need."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from graphc.backends.expression_text import expression_text

SOURCES = [*Path("tests/golden").glob("*.py"), *Path("graphc/ops").glob("s*.py")]


def parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def test_what_is_written_is_read_as_it_was() -> None:
    for path in SOURCES:
        for part in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(part, (ast.BinOp, ast.UnaryOp, ast.Call, ast.Subscript, ast.Compare, ast.IfExp)):
                text = expression_text(part)
                assert ast.dump(parsed(text)) == ast.dump(parsed(ast.unparse(part))), text


@pytest.mark.parametrize(
    "text",
    [
        "-2.0 ** x",
        "(-2.0) ** x",
        "2.0 ** (-x)",
        "x ** y ** z",
        "(x ** y) ** z",
        "(-x).T",
        "a - (b - c) - d",
        "a / (b * c) @ d",
        "a | b & ~c ^ d << 1",
        "(a < b) * c",
        "(a if b else c) + (lambda: d)",
        "not a",
        "(not a) * b",
        "1 .real",
        "x[(), 1]",
        "x[1,]",
        "x[()]",
        "x[::-1, ..., None, a:b]",
        "f(*args, x=(1,), **rest)",
        "[a, *b]",
        "1e+309 * x",
        "'inf\\n' + f'{x!r}'",
        "b'\\x00'",
    ],
)
def test_it_is_what_unparse_writes(text: str) -> None:
    assert expression_text(parsed(text)) == text.replace("1e+309", "1e309")


@pytest.mark.parametrize("rest", [0.9, 0.99, 0.999, 0.7, 0.1, 0.9999, 0.00012])
def test_what_a_share_leaves_of_one_is_written_so_where_its_digits_are_many(rest: float) -> None:
    value = 1 - rest
    text = expression_text(ast.Constant(value))
    assert text == (f"1.0 - {rest}" if len(repr(value)) > 16 else repr(value))
    assert eval(text) == value
    negative = ast.UnaryOp(ast.USub(), ast.BinOp(ast.Constant(value), ast.Pow(), ast.Constant(value)))
    assert eval(expression_text(negative)) == -(value**value)


@pytest.mark.parametrize("value", [0.3333333333333333, 1.4285714285714286, 0.9999999999999999, 5e-324, 1 - 1e-7 / 3])
def test_other_numbers_are_written_as_they_are(value: float) -> None:
    assert expression_text(ast.Constant(value)) == repr(value)
