"""Python's grammar cut down to the language: places of syntax, and for what is not in the language what to write."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import lru_cache

from graphc.diagnostics import Diagnostic
from graphc.source import Source, Span


@lru_cache(maxsize=4096)
def span_of(source: Source, node: ast.AST) -> Span:
    """Where a piece of syntax stands; ``ast`` counts columns in bytes, a span in characters.

    Loops and calls come to the same syntax again and again.
    """
    if not isinstance(node, (ast.stmt, ast.expr, ast.arg, ast.keyword)):
        return Span(source, 1, 1, 1, 1)
    end_line = node.end_lineno or node.lineno
    end = node.end_col_offset or 0
    start = _column(source.line(node.lineno), node.col_offset)
    return Span(source, node.lineno, start, end_line, _column(source.line(end_line), end))


def first_line(span: Span) -> Span:
    """The part of a span on its first line."""
    if span.line == span.end_line:
        return span
    return Span(span.source, span.line, span.column, span.line, len(span.source.line(span.line)) + 1)


def _column(line: str, offset: int) -> int:
    return offset + 1 if line.isascii() else _columns(line)[offset]


@lru_cache(maxsize=64)
def _columns(line: str) -> tuple[int, ...]:
    """The 1-based column of each byte of a line, and of its end."""
    columns = [column for column, character in enumerate(line, 1) for _ in character.encode()]
    return (*columns, len(line) + 1)


def illegal(source: Source, tree: ast.AST) -> list[Diagnostic]:
    """An error for each construct of a statement that is not in the language, outermost only, in source order."""
    found = [Diagnostic("GC002", message, first_line(span_of(source, node))) for node, message in _refused(tree)]
    return sorted(found, key=lambda d: (d.span.line, d.span.column) if d.span else (0, 0))


def _refused(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    stack = [tree]
    while stack:
        node = stack.pop()
        message = _message(node)
        if message:
            yield node, message
        else:
            stack.extend(_children(node))


def _children(node: ast.AST) -> list[ast.AST]:
    """The parts that are values or statements; an operator or a context is judged with what it belongs to."""
    kinds = (ast.stmt, ast.expr, ast.keyword, ast.comprehension, ast.arguments, ast.arg)
    return [child for child in ast.iter_child_nodes(node) if isinstance(child, kinds)]


def _message(node: ast.AST) -> str:
    name = _name_in(node)
    if name.startswith("__"):
        return f"names that start with two underscores are not in the language, found {name[:40]}: choose another name"
    if isinstance(node, _LEGAL):
        check = _CHECKS.get(type(node))
        return check(node) if check else ""
    return _INSTEAD.get(type(node), f"{type(node).__name__.lower()} is not in the model language")


def _name_in(node: ast.AST) -> str:
    found = getattr(node, "id", None) or getattr(node, "arg", None) or getattr(node, "attr", None)
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return node.name
    return found if isinstance(found, str) else ""


_LEGAL = (
    *(
        ast.Module,
        ast.FunctionDef,
        ast.Return,
        ast.Assign,
        ast.AugAssign,
        ast.AnnAssign,
        ast.For,
        ast.If,
        ast.Assert,
        ast.Expr,
        ast.Pass,
    ),
    *(ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.IfExp, ast.ListComp, ast.Compare, ast.Call, ast.Constant),
    *(ast.Attribute, ast.Subscript, ast.Name, ast.List, ast.Tuple, ast.Slice),
    *(ast.keyword, ast.comprehension, ast.arguments, ast.arg),
)

_NO_IMPORT = 'import is not in the language: ops and layers are there by name, `use("other.gc")` brings in a model'

_INSTEAD: dict[type[ast.AST], str] = {
    ast.Import: _NO_IMPORT,
    ast.ImportFrom: _NO_IMPORT,
    ast.ClassDef: "class is not in the language: write a layer as `def layer(x): ...`",
    ast.AsyncFunctionDef: "async is not in the language: write `def`",
    ast.AsyncFor: "async is not in the language: write `for i in range(n):`",
    ast.AsyncWith: "async is not in the language",
    ast.Await: "await is not in the language",
    ast.While: "while is not in the language: write `for i in range(n):`",
    ast.Break: "break is not in the language: give the loop its length, `for i in range(n):`",
    ast.Continue: "continue is not in the language: put the rest of the loop under an `if`",
    ast.With: "with is not in the language: write the statements without it",
    ast.Try: "try is not in the language: errors of a model are reported by graphc",
    ast.Raise: "raise is not in the language: errors of a model are reported by graphc",
    ast.Delete: "del is not in the language: a name may be bound again",
    ast.Global: "global is not in the language: return the value",
    ast.Nonlocal: "nonlocal is not in the language: return the value",
    ast.Match: "match is not in the language: write `if` and `elif` on static values",
    ast.Lambda: "lambda is not in the language: write `def f(x): return ...`",
    ast.NamedExpr: "`:=` is not in the language: bind the name in a statement of its own",
    ast.JoinedStr: "f-strings are not in the language: join texts with `+`",
    ast.FormattedValue: "f-strings are not in the language: join texts with `+`",
    ast.Dict: "a dict is not in the language: use a list, or keyword arguments",
    ast.DictComp: "a dict is not in the language: use a list, or keyword arguments",
    ast.Set: "a set is not in the language: use a list",
    ast.SetComp: "a set is not in the language: use a list",
    ast.GeneratorExp: "a generator is not in the language: write a list, `[... for i in range(n)]`",
    ast.Starred: "`*` unpacking is not in the language: write the items out",
    ast.Yield: "yield is not in the language: write `return`",
    ast.YieldFrom: "yield is not in the language: write `return`",
}

TENSOR_ATTRIBUTES = ("T", "shape", "ndim", "dtype")


def _attribute(node: ast.Attribute) -> str:
    if node.attr in TENSOR_ATTRIBUTES:
        return ""
    return f"attribute access is not in the language but for .{', .'.join(TENSOR_ATTRIBUTES)}; found .{node.attr[:40]}"


def _call(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute) and node.func.attr not in TENSOR_ATTRIBUTES:
        method = node.func.attr[:40]
        return f"methods are not in the language: write `{method}(...)` with the tensor as the first argument"
    if any(keyword.arg is None for keyword in node.keywords):
        return "`**` unpacking is not in the language: write the keyword arguments out"
    return ""


def _function(node: ast.FunctionDef) -> str:
    if len(node.decorator_list) > 1 or not all(map(_is_decorator, node.decorator_list)):
        return "expected no decorator, @elementwise or @gradient_of(function)"
    if node.args.vararg or node.args.kwarg:
        return "`*` and `**` parameters are not in the language: name each parameter"
    return ""


def _is_decorator(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "gradient_of" and len(node.args) == 1
    return isinstance(node, ast.Name) and node.id == "elementwise"


def _assign(node: ast.Assign) -> str:
    return next((m for m in map(_target, node.targets) if m), "")


def _target(target: ast.expr) -> str:
    stack = [target]
    while stack:
        part = stack.pop()
        if isinstance(part, (ast.Tuple, ast.List)):
            stack.extend(part.elts)
        elif isinstance(part, (ast.Subscript, ast.Attribute)):
            return "values are never changed in place: bind a name to a new value"
        elif isinstance(part, ast.Starred):
            return _INSTEAD[ast.Starred]
    return ""


def _loop(node: ast.For) -> str:
    if node.orelse:
        return "else after a loop is not in the language: write the statements after it"
    return _target(node.target)


def _compare(node: ast.Compare) -> str:
    if len(node.ops) > 1:
        return "comparisons do not chain: write `(a < b) & (b < c)`"
    return ""


def _binary(node: ast.BinOp) -> str:
    if isinstance(node.op, (ast.LShift, ast.RShift)):
        return "shifts are not in the language: multiply or divide by a power of two"
    return ""


def _constant(node: ast.Constant) -> str:
    if isinstance(node.value, bytes):
        return "bytes are not in the language"
    return "complex numbers are not in the language" if isinstance(node.value, complex) else ""


def _expression(node: ast.Expr) -> str:
    if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return ""
    if next(_refused(node.value), None):
        return ""
    return "an expression on its own does nothing: give its value a name, `h = ...`"


def _annotated(node: ast.AnnAssign) -> str:
    kind = node.annotation.value if isinstance(node.annotation, ast.Subscript) else node.annotation
    if not isinstance(node.target, ast.Name):
        return "a declaration declares one name: `x: Input[N]`"
    if not (isinstance(kind, ast.Name) and kind.id in ("Input", "Param", "Output")):
        return "expected Input, Param or Output after the colon"
    return ""


_CHECKS: dict[type[ast.AST], Callable[..., str]] = {
    ast.Attribute: _attribute,
    ast.Call: _call,
    ast.FunctionDef: _function,
    ast.Assign: _assign,
    ast.For: _loop,
    ast.Compare: _compare,
    ast.BinOp: _binary,
    ast.Constant: _constant,
    ast.Expr: _expression,
    ast.AnnAssign: _annotated,
    ast.comprehension: lambda node: "async is not in the language" if node.is_async else "",
}
