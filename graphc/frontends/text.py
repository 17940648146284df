"""Model text to graph: the text is parsed by ``ast`` and interpreted, never executed."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from keyword import iskeyword
from pathlib import Path

from graphc.builder import Builder, Place
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.frontends.names import CONSTANTS
from graphc.frontends.repair import hint_for
from graphc.frontends.session import MAX_DEPTH, MAX_ERRORS, MAX_TEXT, Budget, Session
from graphc.frontends.statements import run, run_model
from graphc.frontends.syntax import illegal, span_of
from graphc.frontends.values import Call, Frame, Poisoned, Task
from graphc.graph import Graph, Node
from graphc.source import Source, Span
from graphc.tensor_type import DType, TensorType

# A hint costs readings of the whole model, and among many errors no single change makes it right.
MAX_HINTED = 3

# Python's parser takes no null characters and no halves of surrogate pairs.
_FORBIDDEN = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True)
class Parsed:
    """A model that was read.

    Attributes
    ----------
    graph : Graph
        As written: no rule applied, nothing merged.
    warnings : tuple of Diagnostic
    """

    graph: Graph
    warnings: tuple[Diagnostic, ...] = ()


def parse_model(
    source: Source,
    *,
    folder: Path | None = None,
    float_dtype: DType = "float64",
    static: Mapping[str, object] | None = None,
) -> Parsed:
    """Read a model, or a text that is one expression.

    Parameters
    ----------
    source : Source
    folder : Path, optional
        Where ``use`` looks for other models: the folder of the file.
    float_dtype : {"float64", "float32"}
        The type of what is declared without a dtype.
    static : mapping, optional
        Static names for the model, such as ``{"training": False}``; ``training`` is True unless it is given.

    Raises
    ------
    GraphcError
        With all errors that could be found, in the order of the text.

    Examples
    --------
    >>> parse_model(Source("f.gc", "x: Input[N]\\nloss: Output = sum(x ** 2)")).graph
    Graph(4 nodes, outputs loss)
    """
    if is_expression(source.text):
        return _parse_expression(source, float_dtype, static or {})
    session = _session(source, folder, float_dtype, static or {})
    if folder is not None:
        session.path = ((folder / source.name).resolve(),)
    try:
        graph = _read(session)
    except GraphcError as error:
        if len(error.diagnostics) > MAX_HINTED:
            raise
        raise GraphcError(*(_with_hint(d, session, float_dtype, static or {}) for d in error.diagnostics)) from None
    return Parsed(graph, unused(session, graph))


def parse_expression(text: str, *, float_dtype: DType = "float64") -> Parsed:
    """Read one expression: names that it does not define are scalar inputs, its value is the output ``f``.

    Raises
    ------
    GraphcError
        With all errors that could be found.

    Examples
    --------
    >>> [node.attrs["name"] for node in parse_expression("((x + y) + (x * y)) * z").graph.inputs]
    ['x', 'y', 'z']
    """
    return _parse_expression(Source("<expression>", text), float_dtype, {})


def run_statements(source: Source, names: Mapping[str, object], builder: Builder) -> Mapping[str, object]:
    """Run statements on values of a graph under construction.

    Parameters
    ----------
    source : Source
    names : mapping of str to object
        What the statements find, beside the library.
    builder : Builder
        Of these values.

    Returns
    -------
    mapping
        The names, and those that the statements bind.

    Raises
    ------
    GraphcError
    """
    session = Session(source, None, builder, {})
    tree = _tree(source, "exec")
    assert isinstance(tree, ast.Module)
    frame = Frame(dict(names), Call(source))
    session.diagnostics += [found for statement in tree.body for found in illegal(source, statement)]
    _raise(session)
    run(session, Task(tree.body, frame))
    builder.place = Place()
    return frame.names


def is_expression(text: str) -> bool:
    """Whether a text is one expression rather than a model.

    Examples
    --------
    >>> is_expression("x * y"), is_expression("y: Output = x")
    (True, False)
    """
    if len(text) > MAX_TEXT or not text.strip():
        return False
    try:
        parsed = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return not any(mark in text.strip() for mark in "\n=:") and not _is_model(text)
    except (ValueError, RecursionError, MemoryError):
        return "\n" not in text.strip()
    return not (isinstance(parsed, ast.Constant) and isinstance(parsed.value, str))


def _is_model(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _session(source: Source, folder: Path | None, float_dtype: DType, static: Mapping[str, object]) -> Session:
    builder = Builder(float_dtype=float_dtype)
    return Session(_plain(source), folder, builder, {"training": True, **static}, read_model=read_used)


def _plain(source: Source) -> Source:
    """The text with the line ends that spans count by, and without a byte order mark."""
    text = source.text.removeprefix("\ufeff")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return source if text == source.text else Source(source.name, text)


def read_used(source: Source, path: Path, user: Session) -> Graph:
    session = _session(source, path.parent, user.float_dtype, user.static)
    session.path = (*user.path, path)
    session.budget = user.budget
    return _read(session)


def _read(session: Session) -> Graph:
    source = session.source
    tree = _tree(source, "exec")
    assert isinstance(tree, ast.Module)
    run_model(session, tree.body, Frame({}, Call(source)))
    if not session.found_output and not session.diagnostics:
        end = len(source.text.rstrip().split("\n"))
        place = Span(source, end, 1, end, len(source.line(end)) + 1)
        session.diagnostics.append(Diagnostic("GC104", "the model has no output: expected `name: Output = ...`", place))
    _raise(session)
    return session.builder.finish(session.outputs, doc=ast.get_docstring(tree) or "")


def _raise(session: Session) -> None:
    if session.diagnostics:
        ordered = sorted(dict.fromkeys(session.diagnostics), key=lambda d: _order(d, session.source))
        rest = ordered[MAX_ERRORS:]
        message = f"found more than {MAX_ERRORS} errors, those from here on are not listed"
        raise GraphcError(*ordered[:MAX_ERRORS], *(Diagnostic("GC401", message, d.span) for d in rest[:1]))


def _order(diagnostic: Diagnostic, source: Source) -> tuple[bool, int, int]:
    span = diagnostic.span
    if span is None:
        return True, 0, 0
    if span.source is not source:
        # An error in a model that is used stands where it is used.
        span = next((place for place, _ in diagnostic.related if place.source is source), span)
    return False, span.line, span.column


def _tree(source: Source, mode: str) -> ast.AST:
    """The syntax tree, within the bounds on size and depth."""
    text = source.text
    start = Span(source, 1, 1, 1, 2)
    if len(text) > MAX_TEXT:
        message = f"a model is a text of at most {MAX_TEXT} characters, this one has more"
        raise GraphcError(Diagnostic("GC401", message, start))
    forbidden = _FORBIDDEN.search(text)
    if forbidden:
        message = f"expected text, found the character {forbidden.group()!a}"
        raise GraphcError(Diagnostic("GC001", message, _at(source, forbidden.start())))
    try:
        tree = ast.parse(text, mode=mode)
    except SyntaxError as error:
        raise GraphcError(_syntax_error(error, source)) from None
    except (RecursionError, MemoryError):
        raise GraphcError(_too_deep(start)) from None
    _check_depth(tree, source)
    return tree


def _at(source: Source, position: int) -> Span:
    line = source.text.count("\n", 0, position) + 1
    column = position - source.text.rfind("\n", 0, position)
    return Span(source, line, column, line, column + 1)


def _too_deep(place: Span) -> Diagnostic:
    message = f"expressions and blocks nest at most {MAX_DEPTH} deep (less where Python's parser takes less), also in"
    return Diagnostic("GC401", f"{message} `a + b + c ...`; give parts of it names", place)


def _check_depth(tree: ast.AST, source: Source) -> None:
    level, depth = [tree], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise GraphcError(_too_deep(span_of(source, level[0])))
        level = [child for node in level for child in ast.iter_child_nodes(node)]


def _syntax_error(error: SyntaxError, source: Source) -> Diagnostic:
    line = min(max(error.lineno or 1, 1), len(source.lines))
    # Of an expression that breaks off, the parser gives no column.
    column = error.offset if error.offset and error.offset > 0 else len(source.line(line)) + 1
    end = error.end_offset if error.end_lineno == error.lineno and error.end_offset else column + 1
    if isinstance(error, IndentationError):
        text = source.line(line)
        column, end = len(text) - len(text.lstrip()) + 1, len(text) + 1
    span = Span(source, line, column, line, max(end, column + 1))
    message = error.msg[:1].lower() + error.msg[1:200]
    bound = next((said for start, said in _PARSER_BOUNDS if message.startswith(start)), None)
    if bound:
        return Diagnostic("GC401", bound, span)
    words = re.findall(r"\w+", source.line(line))
    taken = next((word for word in words if iskeyword(word) and word not in _WORDS), None)
    hint = f"`{taken}` is a keyword of Python, which cannot be a name" if taken else ""
    return Diagnostic("GC001", message, span, hint=hint)


_WORDS = {
    "None",
    "True",
    "False",
    "def",
    "return",
    "assert",
    "if",
    "elif",
    "else",
    "for",
    "in",
    "is",
    "and",
    "or",
    "not",
}
"""The keywords that the language has."""

_PARSER_BOUNDS = (
    ("too many nested parentheses", "brackets nest at most 200 deep, these nest deeper"),
    ("too many levels of indentation", "blocks nest at most 100 deep, these nest deeper"),
    ("exceeds the limit", "a whole number has at most 63 bits, found more; write a float such as 1e30"),
)


def _parse_expression(source: Source, float_dtype: DType, static: Mapping[str, object]) -> Parsed:
    stripped = Source(source.name, source.text.strip())
    session = _session(stripped, None, float_dtype, static)
    tree = _tree(session.source, "eval")
    assert isinstance(tree, ast.Expression)
    frame = Frame({}, Call(session.source))
    session.diagnostics += illegal(session.source, tree.body)
    _raise(session)
    for name, span in _undeclared(session, tree.body).items():
        with session.builder.at((span,)):
            frame.names[name] = session.builder.input(name, TensorType(float_dtype))
    try:
        found = run(session, Task(tree.body, frame))
    except Poisoned:
        raise AssertionError("nothing is poisoned in an expression") from None
    value = session.size_value(tree.body, frame, found)
    if value is None:
        message = "expected an expression with a number or a tensor as its value"
        raise GraphcError(Diagnostic("GC106", message, span_of(session.source, tree.body)))
    name = next(name for name in ("f", "value", "f_value", "f_value_2") if name not in frame.names)
    session.builder.name(value.node, name)
    return Parsed(session.builder.finish({name: value.node}))


def _undeclared(session: Session, tree: ast.expr) -> dict[str, Span]:
    """The names that an expression leaves open, in the order of the text."""
    nodes = list(ast.walk(tree))
    called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    words = (*session.static, *CONSTANTS)
    names = [node for node in nodes if isinstance(node, ast.Name)]
    bound = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    found = [
        (span_of(session.source, node), node.id)
        for node in names
        if node.id not in called and node.id not in bound and node.id not in words
    ]
    found.sort(key=lambda item: (item[0].line, item[0].column))
    spans: dict[str, Span] = {}
    for span, name in found:
        spans.setdefault(name, span)
    return spans


def unused(session: Session, graph: Graph) -> tuple[Diagnostic, ...]:
    """A warning for each input and parameter that no output depends on."""
    reached: set[Node] = set(graph.outputs.values())
    for node in reversed(graph.nodes):
        if node in reached:
            reached.update(graph.operands(node))
    unused = [node for node in (*graph.inputs, *graph.params) if node not in reached]
    return tuple(
        Diagnostic("GC601", f"{node.attrs['name']} is not used by any output", graph.spans[node][0], severity="warning")
        for node in sorted(unused, key=lambda node: node.serial)
    )


def _with_hint(
    diagnostic: Diagnostic, session: Session, float_dtype: DType, static: Mapping[str, object]
) -> Diagnostic:
    """The diagnostic with a hint, if there is one that makes the model right."""

    def is_right(text: str) -> bool:
        trial = _session(Source(session.source.name, text), session.folder, float_dtype, static)
        trial.path, trial.budget = session.path, Budget()
        try:
            _read(trial)
        except GraphcError:
            return False
        return True

    operands = next((operands for found, operands in session.repairs if found is diagnostic), ())
    hint = hint_for(session, operands, is_right) if operands else ""
    return replace(diagnostic, hint=hint) if hint else diagnostic
