"""A graph as text, read back by `graphc.frontends.graph_text`: model lines, elementwise functions, a line per node."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.graph import Graph, Node, subgraphs
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
    parts = _parts(graph)
    called = {op: f"{op.name}.{n}" for n, op in enumerate((part for part in parts if isinstance(part, Op)), 1)}
    steps = {step: f"{step.doc}.{n}" for n, step in enumerate((part for part in parts if isinstance(part, Graph)), 1)}
    places = _places([graph, *steps, *(op.rule for op in called if op.rule is not None)])
    sources = {source: number for number, source in enumerate(places)}
    lines = [*_source_lines(places)]
    for part in parts:
        if isinstance(part, Graph):
            lines += [f"step {steps[part]}", *_node_lines(part, sources, called, steps)]
        elif part.rule is not None:
            lines += [f"rule {called[part]}", *_node_lines(part.rule, sources, called, steps)]
        elif part.body is not None and part.elementwise is not None:
            head = f"op {called[part]} {part.elementwise.coercion} {_quoted(part.doc)}"
            lines += [head, *_node_lines(part.body, {}, called, steps)]
    lines += [f"graph {_quoted(graph.doc)}" if graph.doc else "graph", *_node_lines(graph, sources, called, steps)]
    return "\n".join(lines)


def _parts(graph: Graph) -> list[Graph | Op]:
    """The ops that are functions of the model and the steps of its scans; those that others hold come first.

    Raises
    ------
    GraphcError
        GC412 for an op of neither kind that is not in the table.
    """
    found: dict[Graph | Op, None] = {}
    stack: list[Graph | Op] = [graph]
    while stack:
        part = stack.pop()
        # Moved to the end: whoever holds it stands before it, until the order is turned.
        found.pop(part, None)
        found[part] = None
        inside = part if isinstance(part, Graph) else part.rule or part.body
        if inside is None:
            raise GraphcError(Diagnostic("GC412", f"expected operations that can be written, found {part}"))
        for node in inside.nodes:
            stack += subgraphs(node)
            if OPS.get(node.op.name) is not node.op:
                stack.append(node.op)
    del found[graph]
    return [*reversed(found)]


def _node_lines(
    graph: Graph, sources: Mapping[Source, int], called: Mapping[Op, str], steps: Mapping[Graph, str]
) -> Iterator[str]:
    numbers = {node: position for position, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        names = "".join(f" {name}" for name in (", ".join(graph.names.get(node, ())),) if name)
        operands = [f"%{numbers[operand]}" for operand in graph.operands(node)]
        hidden = ("name", "type") if node.op in (OPS["input"], OPS["param"]) else ()
        held = {name: steps[value] if isinstance(value, Graph) else value for name, value in node.attrs.items()}
        attrs = [f"{name}={_value_text(value, node)}" for name, value in held.items() if name not in hidden]
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
