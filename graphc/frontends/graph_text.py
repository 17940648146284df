"""The text that `graphc.backends.graph_text` writes, read back into a graph; nothing in it is ever executed."""

from __future__ import annotations

import ast
import base64
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from graphc.builder import Builder
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError, TypeRuleError
from graphc.frontends.elementwise import op_of
from graphc.gradient_rules import custom_op
from graphc.graph import Graph, Node, Scope
from graphc.op import OPS, Coercion, Op
from graphc.ops.indexing import Slice
from graphc.ops.leaves import Array, Initializer
from graphc.size import Size, SizeExpr, named_size
from graphc.source import Source, Span
from graphc.tensor_type import DTYPES, DType, TensorType

_NODE = re.compile(r"%(\d+)(?: ([^=]*))? = ([\w.]+)\(((?:%\d+(?:, )?)*)(.*)\) : ([^#]*?)(?:  # (.*?))?(?:  in (.*))?")
_PLACE = re.compile(r"(?:(\d+)/)?(\d+):(\d+)-(?:(\d+):)?(\d+)")
_TYPE = re.compile(r"(\w+)\[(.*)\]")
_MAX_POWER = 64


def parse_graph(text: str, source: Source, first_line: int = 1) -> Graph:
    """Read a graph from text.

    Parameters
    ----------
    text : str
    source : Source
        The module that holds the text, for errors.
    first_line : int
        Where the text begins in it.

    Raises
    ------
    GraphcError
        GC412 at the first line that cannot be read.

    Examples
    --------
    >>> text = "graph\\n%0 x = input() : float64[N]\\n%1 = sum(%0, axis=(0,), keepdims=False) : float64[]\\nf = %1"
    >>> parse_graph(text, Source("sum.py", text))
    Graph(2 nodes, outputs f)
    """
    reading = _Reading()
    number = first_line
    for number, line in enumerate(text.split("\n"), first_line):
        try:
            reading.line(line)
        except (ValueError, LookupError, TypeError, AttributeError, SyntaxError, TypeRuleError) as fault:
            raise _unreadable(source, number, str(getattr(fault, "message", fault))) from None
    if not isinstance(reading.section, _Section) or not reading.section.outputs:
        raise _unreadable(source, number, "it ends before the outputs of the graph")
    return reading.section.finish()


def _unreadable(source: Source, number: int, reason: str) -> GraphcError:
    span = Span(source, number, 1, number, len(source.line(number)) + 1)
    return GraphcError(Diagnostic("GC412", f"expected a line of a graph as graphc writes it: {reason}", span))


@dataclass
class _Lines:
    """The lines of a model that are places of something."""

    name: str
    lines: dict[int, str] = field(default_factory=dict)

    def source(self) -> Source:
        last = max(self.lines, default=0)
        return Source(self.name, "\n".join(self.lines.get(number, "") for number in range(1, last + 1)))


@dataclass
class _Section:
    """A graph under construction: the model's, an elementwise function's, a gradient rule's, the step of a scan."""

    doc: str = ""
    builder: Builder = field(default_factory=Builder)
    nodes: dict[str, Node] = field(default_factory=dict)
    outputs: dict[str, Node] = field(default_factory=dict)
    op: tuple[str, str] = ("", "")
    step: str = ""

    def finish(self) -> Graph:
        return self.builder.finish(self.outputs, doc=self.doc)


class _Reading:
    """What has been read so far."""

    def __init__(self) -> None:
        self.section: _Lines | _Section | None = None
        self.sources: list[Source] = []
        self.ops: dict[str, Op] = {}
        self.steps: dict[str, Graph] = {}

    def line(self, line: str) -> None:
        """Read one line, which is a node's, an output's, one of a model, or the first of a section."""
        section = self.section
        word, _, rest = line.partition(" ")
        if isinstance(section, _Lines) and word.endswith("|"):
            section.lines[int(word[:-1])] = rest
        elif isinstance(section, _Section) and word.startswith("%"):
            self._node(section, line)
        elif isinstance(section, _Section) and " = %" in line:
            name, _, number = line.partition(" = %")
            section.outputs[name] = section.nodes[number]
        else:
            self._start(word, rest)

    def _start(self, word: str, rest: str) -> None:
        if isinstance(self.section, _Lines):
            self.sources.append(self.section.source())
        elif isinstance(self.section, _Section) and self.section.step:
            self.steps[self.section.step] = self.section.finish()
        elif isinstance(self.section, _Section):
            name, coercion = self.section.op
            self.ops[name] = _own_op(name.rpartition(".")[0], coercion, self.section.finish())
        if word == "source":
            self.section = _Lines(rest)
        elif word == "op":
            name, coercion, doc = rest.split(" ", 2)
            self.section = _Section(json.loads(doc), op=(name, coercion))
        elif word == "step":
            self.section = _Section(rest.rpartition(".")[0], step=rest)
        elif word == "rule":
            self.section = _Section(op=(rest, ""))
        elif word == "graph":
            self.section = _Section(json.loads(rest) if rest else "")
        else:
            raise ValueError(f"found {word!r}")

    def _node(self, section: _Section, line: str) -> None:
        match = _NODE.fullmatch(line)
        if match is None:
            raise ValueError("found no node")
        number, names, op, operands, attrs, type, places, scopes = match.groups()
        given = _attrs(attrs)
        builder = section.builder
        own = [name for name in (names or "").split(", ") if name]
        with builder.at([self._span(place) for place in (places or "").split()], list(_scopes(scopes))):
            if op in ("input", "param"):
                node = getattr(builder, op)(own[0], _tensor_type(type), **given).node
            else:
                found = self.ops[op] if op in self.ops else OPS[op]
                if found.higher_order:
                    given["step"] = self.steps[str(given["step"])]
                used = tuple(section.nodes[operand[1:]] for operand in operands.rstrip(", ").split(", ") if operand)
                node = builder.make(found, used, given)
        if str(node.type) != type:
            raise ValueError(f"%{number} is {node.type}, found {type}")
        builder.name(node, *own)
        section.nodes[number] = node

    def _span(self, place: str) -> Span:
        match = _PLACE.fullmatch(place)
        if match is None:
            raise ValueError(f"found the place {place!r}")
        number, line, column, end_line, end_column = match.groups()
        return Span(self.sources[int(number or 0)], int(line), int(column), int(end_line or line), int(end_column))


def _own_op(name: str, coercion: str, graph: Graph) -> Op:
    """The op of an elementwise function, or with nothing to coerce to that of a function with a gradient rule."""
    return op_of(name, graph, cast(Coercion, coercion), graph.doc) if coercion else custom_op(name, graph)


def _scopes(text: str | None) -> Iterable[Scope]:
    return (tuple(scope.split("/")) for scope in text.split(", ")) if text else ()


def _tensor_type(text: str) -> TensorType:
    match = _TYPE.fullmatch(text)
    if match is None or match[1] not in DTYPES:
        raise ValueError(f"found the type {text!r}")
    shape = _value(ast.parse(f"({match[2]},)" if match[2] else "()", mode="eval").body)
    return TensorType(cast(DType, match[1]), cast("tuple[Size, ...]", shape))


def _attrs(text: str) -> dict[str, object]:
    parsed = ast.parse(f"_({text})", mode="eval").body
    if not isinstance(parsed, ast.Call) or parsed.args:
        raise ValueError(f"found the attributes {text!r}")
    return {str(keyword.arg): _value(keyword.value) for keyword in parsed.keywords}


_CALLS: dict[str, Callable[..., Any]] = {
    "Array": Array,
    "Initializer": Initializer,
    "Slice": Slice,
    "bytes": base64.b64decode,
    "float": float,
}


def _value(tree: ast.expr) -> Any:
    """A literal, a size, or a record of these."""
    if isinstance(tree, ast.Constant) and isinstance(tree.value, (bool, int, float, str, type(None))):
        return tree.value
    if isinstance(tree, ast.Name):
        return named_size(tree.id)
    if isinstance(tree, ast.Tuple):
        return tuple(map(_value, tree.elts))
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return -_value(tree.operand)
    if isinstance(tree, ast.BinOp):
        return _size(tree.op, [_value(tree.left), _value(tree.right)])
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and not tree.keywords:
        return _CALLS[tree.func.id](*map(_value, tree.args))
    raise ValueError(f"found {ast.unparse(tree)!r}")


def _size(operator: ast.operator, operands: Sequence[Any]) -> Size:
    left, right = operands
    if not all(type(operand) is int or isinstance(operand, SizeExpr) for operand in operands):
        raise ValueError("found arithmetic of what is no size")
    if isinstance(operator, ast.Add):
        return cast(Size, left + right)
    if isinstance(operator, ast.Sub):
        return cast(Size, left - right)
    if isinstance(operator, ast.Mult):
        return cast(Size, left * right)
    if isinstance(operator, ast.FloorDiv) and right != 0:
        return cast(Size, left // right)
    if isinstance(operator, ast.Pow) and type(right) is int and 0 < right <= _MAX_POWER:
        power: Size = 1
        for _ in range(right):
            power = power * left
        return power
    raise ValueError("found arithmetic that sizes do not have")
