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
    graphs = _with_steps(graph)
    sources = _sources(graphs)
    called = _own_ops(graphs)
    steps = {step: f"{step.doc}.{number}" for number, step in enumerate(graphs[:-1], 1)}
    lines = [*_source_lines(graphs, sources)]
    for op, name in called.items():
        assert op.body is not None and op.elementwise is not None
        lines += [f"op {name} {op.elementwise.coercion} {_quoted(op.doc)}", *_node_lines(op.body, {}, called, {})]
    for step, name in steps.items():
        lines += [f"step {name}", *_node_lines(step, sources, called, steps)]
    lines += [f"graph {_quoted(graph.doc)}" if graph.doc else "graph", *_node_lines(graph, sources, called, steps)]
    return "\n".join(lines)


def _with_steps(graph: Graph) -> list[Graph]:
    """The graph and the steps of its scans and of theirs, those that others hold first."""
    found: dict[Graph, None] = {}
    stack = [graph]
    while stack:
        held = stack.pop()
        # Moved to the end: whoever holds it stands before it, until the order is turned.
        found.pop(held, None)
        found[held] = None
        stack += [step for node in held.nodes for step in subgraphs(node)]
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


def _own_ops(graphs: Iterable[Graph]) -> dict[Op, str]:
    """The elementwise functions of the model and of these functions, those that others call first."""
    found: dict[Op, None] = {}
    stack = [node.op for graph in graphs for node in reversed(graph.nodes)]
    while stack:
        op = stack.pop()
        if op.body is not None:
            # Moved to the end: whoever calls it stands before it, until the order is turned.
            found.pop(op, None)
            found[op] = None
            stack += [node.op for node in op.body.nodes]
        elif OPS.get(op.name) is not op:
            raise GraphcError(Diagnostic("GC412", f"expected operations that can be written, found {op.name}"))
    return {op: f"{op.name}.{number}" for number, op in enumerate(reversed(found), 1)}


def _sources(graphs: Iterable[Graph]) -> dict[Source, int]:
    found: dict[Source, int] = {}
    for span in _spans(graphs):
        found.setdefault(span.source, len(found))
    return found


def _spans(graphs: Iterable[Graph]) -> Iterator[Span]:
    return (span for graph in graphs for node in graph.nodes for span in graph.spans.get(node, ()))


def _source_lines(graphs: Iterable[Graph], sources: Iterable[Source]) -> Iterator[str]:
    """For each source its name, and the lines that are the place of something."""
    needed: dict[Source, set[int]] = {source: set() for source in sources}
    for span in _spans(graphs):
        needed[span.source].update(range(span.line, span.end_line + 1))
    for source, numbers in needed.items():
        yield f"source {source.name}"
        yield from (f"{number}| {source.line(number)}" for number in sorted(numbers))


def _place(span: Span, sources: Mapping[Source, int]) -> str:
    number = sources[span.source]
    end = f"{span.end_line}:{span.end_column}" if span.end_line != span.line else str(span.end_column)
    return f"{f'{number}/' if number else ''}{span.line}:{span.column}-{end}"
