"""Which runtime functions a generated module needs, and their source as it stands there."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable
from functools import cache
from types import CodeType
from typing import Any

from graphc.backends import blockwise, entry, linear_algebra, runtime, selfcheck, special

Function = Callable[..., Any]


@cache
def _functions() -> dict[str, Function]:
    """Entry checks and blocks, then numerics and the rest, each in the order of its file."""
    return {
        name: function
        for module in (entry, blockwise, runtime, special, linear_algebra, selfcheck)
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__
    }


def runtime_names() -> tuple[str, ...]:
    """The names of all runtime functions."""
    return tuple(_functions())


def copied_functions(lines: Iterable[str]) -> list[list[str]]:
    """The source of the functions that some lines call, and of those that these call; without annotations."""
    functions = _functions()
    called = set(re.findall(r"\b_\w+(?=\()", "\n".join(lines)))
    needed = {name for name in functions if name in called}
    stack = sorted(needed)
    while stack:
        called = {name for name in _names(functions[stack.pop()].__code__) if name in functions} - needed
        needed |= called
        stack += sorted(called)
    return [_source(name) for name in functions if name in needed]


def _names(code: CodeType) -> set[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return {*code.co_names, *(name for block in inner for name in _names(block))}


@cache
def _source(name: str) -> list[str]:
    source = textwrap.dedent(inspect.getsource(_functions()[name]))
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    lines = source.rstrip().split("\n")
    body = lines[function.body[0].lineno - 1 :]
    return [f"def {name}({ast.unparse(_unannotated(function.args))}):", *body_without_annotations(body, function)]


def _unannotated(arguments: ast.arguments) -> ast.arguments:
    for node in ast.walk(arguments):
        if isinstance(node, ast.arg):
            node.annotation = None
    return arguments


def body_without_annotations(body: list[str], function: ast.FunctionDef) -> list[str]:
    """The lines of a function with its annotated assignments as plain ones; these stand in one line each."""
    first = function.body[0].lineno
    plain = list(body)
    for node in ast.walk(function):
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            line = plain[node.lineno - first]
            value = line[node.value.col_offset :]
            plain[node.lineno - first] = f"{line[: node.target.end_col_offset]} = {value}"
    return plain
