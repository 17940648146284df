"""A graph as text, read back by `graphc.frontends.graph_text`: model lines, elementwise functions, a line per node."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.graph import Graph, Node
from graphc.op import OPS, Op
from graphc.ops.indexing import Slice
from graphc.ops.leaves import Array, Initializer
from graphc.size import SizeExpr
from graphc.source import Source, Span

RECORDS = {record.__name__: record for record in (Array, Initializer, Slice)}
"""What attributes hold beside numbers, text, sizes and tuples."""


def graph_text(graph: Graph) -> str:
    """A graph with all that compiling needs: also names, places, the model lines at these places, layer calls.

    Raises
    ------
    GraphcError
        GC412 when an attribute has no form as text.

    Examples
    --------
    >>> from graphc.builder import Builder
    >>> from graphc.tensor_type import TensorType
    >>> b = Builder()
    >>> x = b.input("x", TensorType("float64"))
    >>> print(graph_text(b.finish({"f": (x * 2.0).node})))
    graph
    %0 x = input() : float64[]
    %1 = const(value=2.0, dtype="float64") : float64[]
    %2 = mul(%0, %1) : float64[]
    f = %2
    """
    called = _own_ops(graph)
    places = _places([graph, *(op.rule for op in called if op.rule is not None)])
    sources = {source: number for number, source in enumerate(places)}
    lines = [*_source_lines(places)]
    for op, name in called.items():
        if op.rule is not None:
            lines += [f"rule {name}", *_node_lines(op.rule, sources, called)]
        elif op.body is not None and op.elementwise is not None:
            lines += [f"op {name} {op.elementwise.coercion} {_quoted(op.doc)}", *_node_lines(op.body, {}, called)]
    lines += [f"graph {_quoted(graph.doc)}" if graph.doc else "graph", *_node_lines(graph, sources, called)]
    return "\n".join(lines)


def _node_lines(graph: Graph, sources: Mapping[Source, int], called: Mapping[Op, str]) -> Iterator[str]:
    numbers = {node: position for position, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        names = "".join(f" {name}" for name in (", ".join(graph.names.get(node, ())),) if name)
        operands = [f"%{numbers[operand]}" for operand in graph.operands(node)]
        hidden = ("name", "type") if node.op in (OPS["input"], OPS["param"]) else ()
        attrs = [f"{name}={_value_text(value, node)}" for name, value in node.attrs.items() if name not in hidden]
        call = f"{called.get(node.op, node.op.name)}({', '.join([*operands, *attrs])})"
        places = [_place(span, sources) for span in graph.spans.get(node, ()) if sources]
        scopes = ", ".join("/".join(scope) for scope in graph.scopes.get(node, ()))
        ends = f"{'  # ' if places else ''}{' '.join(places)}{'  in ' if scopes else ''}{scopes}"
        yield f"%{numbers[node]}{names} = {call} : {node.type}{ends}"
    yield from (f"{name} = %{numbers[node]}" for name, node in graph.outputs.items())


def _value_text(value: object, node: Node) -> str:
    if isinstance(value, float) and value - value != 0:
        return f'float("{value!r}")'
    if isinstance(value, (bool, int, float, type(None), SizeExpr)):
        return repr(value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bytes):
        return f"bytes({_quoted(base64.b64encode(value).decode())})"
    if isinstance(value, tuple):
        return f"({', '.join(_value_text(item, node) for item in value)}{',' * (len(value) == 1)})"
    if type(value).__name__ in RECORDS and dataclasses.is_dataclass(value):
        fields = (getattr(value, field.name) for field in dataclasses.fields(value))
        return f"{type(value).__name__}({', '.join(_value_text(item, node) for item in fields)})"
    message = f"expected attributes that can be written, {node.op.name} has {type(value).__name__}"
    raise GraphcError(Diagnostic("GC412", message))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _own_ops(graph: Graph) -> dict[Op, str]:
    """The ops that the model's functions are, and those in them; those that others call first."""
    found: dict[Op, None] = {}
    stack = [node.op for node in reversed(graph.nodes)]
    while stack:
        op = stack.pop()
        inside = op.rule or op.body
        if inside is not None:
            # Moved to the end: whoever calls it stands before it, until the order is turned.
            found.pop(op, None)
            found[op] = None
            stack += [node.op for node in inside.nodes]
        elif OPS.get(op.name) is not op:
            raise GraphcError(Diagnostic("GC412", f"expected operations that can be written, found {op.name}"))
    return {op: f"{op.name}.{number}" for number, op in enumerate(reversed(found), 1)}


def _places(graphs: Iterable[Graph]) -> dict[Source, set[int]]:
    """The sources of some graphs in order, each with the lines that are the place of something."""
    found: dict[Source, set[int]] = {}
    for graph in graphs:
        for span in (span for node in graph.nodes for span in graph.spans.get(node, ())):
            found.setdefault(span.source, set()).update(range(span.line, span.end_line + 1))
    return found


def _source_lines(places: Mapping[Source, set[int]]) -> Iterator[str]:
    """For each source its name and its lines."""
    for source, numbers in places.items():
        yield f"source {source.name}"
        yield from (f"{number}| {source.line(number)}" for number in sorted(numbers))


def _place(span: Span, sources: Mapping[Source, int]) -> str:
    number = sources[span.source]
    end = f"{span.end_line}:{span.end_column}" if span.end_line != span.line else str(span.end_column)
    return f"{f'{number}/' if number else ''}{span.line}:{span.column}-{end}"
