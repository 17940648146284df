"""The syntax of Python functions that run: their ``def`` or ``lambda``, its arguments, and what it returns."""

from __future__ import annotations

import ast
from typing import Any

from graphc.source import Source


def definition_of(code: Any, source: Source) -> Any:
    """The ``def`` or ``lambda`` of a function; where its text is not at hand, an empty place at its line."""
    line = code.co_firstlineno
    try:
        tree = ast.parse(source.text)
    except (SyntaxError, ValueError, RecursionError):
        tree = ast.Module([], [])
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            if line in (node.lineno, *(decorator.lineno for decorator in node.decorator_list)):
                return node
        elif (
            isinstance(node, ast.Lambda) and node.lineno == line and _names(node) == names and _is_body(code, node.body)
        ):
            return node
    return ast.Constant(
        None, lineno=line, end_lineno=line, col_offset=0, end_col_offset=len(source.line(line).encode())
    )


def _is_body(code: Any, body: ast.expr) -> bool:
    """Whether a lambda returns this: one line may have several. Python can be told to keep no columns."""
    starts = {(line, column) for line, _, column, _ in code.co_positions() if column}
    return not starts or (body.lineno, body.col_offset) in starts


def _names(definition: Any) -> tuple[str, ...]:
    return tuple(argument.arg for argument in arguments_of(definition))


def arguments_of(definition: Any) -> list[ast.arg]:
    arguments = definition.args
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]


def returned(definition: Any) -> Any:
    """The place of what is returned, where there is one such place; else the definition."""
    if isinstance(definition, ast.Lambda):
        return definition.body
    found = [node for node in ast.walk(definition) if isinstance(node, ast.Return) and node.value is not None]
    return found[0].value if len(found) == 1 else definition
