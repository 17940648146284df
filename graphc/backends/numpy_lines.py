"""Statements as lines of code, with comments above those that come from the same model lines."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from graphc.backends.numpy_layout import COMMENT_WIDTH, INDENT, WIDTH, expression_lines, joined_lines, quoted
from graphc.backends.numpy_scan import Comment, Function, Loop, Statement, Written
from graphc.backends.numpy_spelling import Spelling


def statement_lines(statements: Iterable[Written], spelling: Spelling, indent: str = INDENT) -> list[str]:
    """Assignments and loops, with a comment above each run from the same model lines."""
    lines: list[str] = []
    last: Comment = ()
    for statement in statements:
        if statement.comment != last:
            lines += [f"{indent}{text}" for text in statement.comment]
            last = statement.comment
        if isinstance(statement, Loop):
            loop = _first_lines(spelling.filled(statement.text), indent)
            loop += statement_lines(statement.body, spelling, indent + INDENT)
            if isinstance(statement, Function):
                loop = _apart(statement, loop, spelling, indent)[not lines :]
            lines += loop
        else:
            lines += _assignment_lines(statement, spelling, indent)
    return lines


def _first_lines(text: str, indent: str) -> list[str]:
    """The first line of a loop or function; a long list in it has a line for each item."""
    opening, items, end = text.partition("(")[0] + "(", text.partition("(")[2], "):"
    if len(indent + text) <= WIDTH or not items.endswith(end):
        return [indent + text]
    return joined_lines(opening, items.removesuffix(end).split(", "), end, indent)


def _apart(function: Function, lines: list[str], spelling: Spelling, indent: str) -> list[str]:
    """A function with its return statement, and empty lines around it."""
    values = [spelling(value) for value in function.returned]
    returned = joined_lines("return [", values, "]", indent + INDENT) if values else []
    return ["", *lines, *returned, ""]


def _assignment_lines(statement: Statement, spelling: Spelling, indent: str) -> list[str]:
    line = f"{indent}{statement.start}{spelling.filled(statement.text)}"
    if len(line) <= WIDTH:
        lines = [line]
    elif len(indent + statement.start) > WIDTH and ", " in statement.target:
        names = [f"{indent}{INDENT}{name}," for name in statement.target.split(", ")]
        lines = [f"{indent}(", *names, *expression_lines(") = ", statement.value, spelling, indent)]
    else:
        lines = expression_lines(statement.start, statement.value, spelling, indent)
    also = f"  # also {', '.join(statement.also)}" if statement.also else ""
    if len(lines[-1]) + len(also) <= COMMENT_WIDTH:
        return [*lines[:-1], lines[-1] + also]
    return [f"{indent}{also.strip()}", *lines]


def dict_lines(start: str, values: Mapping[str, ast.expr], spelling: Spelling) -> list[str]:
    """A dict of results, with the user's names as keys."""
    return joined_lines(start, [f"{quoted(name)}: {spelling(value)}" for name, value in values.items()], "}")
