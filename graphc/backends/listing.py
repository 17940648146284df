"""The typed listing: a graph in, one aligned line of text per node out, or the same as plain data for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import indent

from graphc.graph import Graph, Node, subgraphs
from graphc.size import Size
from graphc.tensor_type import TensorType, Type

_WIDEST = 48
"""A column is never padded beyond this: one long line must not push all others to the right."""


def listing(graph: Graph) -> str:
    """A graph as text, in the order of its schedule: number, names, operation, type, place in the model.

    Examples
    --------
    >>> from graphc.builder import Builder
    >>> from graphc.tensor_type import TensorType
    >>> b = Builder()
    >>> x, y = b.input("x", TensorType("float64")), b.input("y", TensorType("float64"))
    >>> print(listing(b.finish({"f": (x + y * 2.0).node})))
    %0  x = input        : float64[]
    %1  y = input        : float64[]
    %2    = 2.0          : float64[]
    %3    = mul(%1, %2)  : float64[]
    %4    = add(%0, %3)  : float64[]
    f = %4
    """
    rows = [_row(graph, node) for node in graph.nodes]
    widths = [_width(column) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    lines += [f"{name} = %{node.serial}" for name, node in graph.outputs.items()]
    steps = dict.fromkeys(step for node in graph.nodes for step in subgraphs(node))
    return "\n".join([*lines, *(f"\n{step.doc}:\n{indent(listing(step), '  ')}" for step in steps)])


def listing_data(graph: Graph) -> dict[str, object]:
    """A graph as plain data: dicts, lists, strings and numbers, ready for JSON."""
    return {
        "doc": graph.doc,
        "inputs": [node.serial for node in graph.inputs],
        "params": [node.serial for node in graph.params],
        "outputs": {name: node.serial for name, node in graph.outputs.items()},
        "nodes": [_node_data(graph, node) for node in graph.nodes],
    }


def call_text(node: Node, operands: Sequence[str]) -> str:
    """What a node does, with its operands written as given: ``sum(%3, axis=(0,))``.

    Leaves are their word, their number, or their initialiser; a graph that a node holds is its name.
    """
    held = [step.doc for step in subgraphs(node)]
    if held:
        shown = {name: node.attrs[name] for name in ("length", "reverse")}
        return f"{node.op.name}({', '.join([*held, *operands, *_attr_texts(shown)])})"
    if "value" in node.attrs and not operands:
        return repr(node.attrs["value"])
    if "size" in node.attrs and not operands:
        return str(node.attrs["size"])
    if node.op.name == "param":
        init = getattr(node.attrs["init"], "text", "")
        return f"param {init}".rstrip()
    if node.op.arity == 0:
        return node.op.name
    return f"{node.op.name}({', '.join([*operands, *_attr_texts(node.attrs)])})"


def _attr_texts(attrs: Mapping[str, object]) -> list[str]:
    return [f"{name}={_attr_text(value)}" for name, value in attrs.items() if value is not None and value is not False]


def _attr_text(value: object) -> str:
    if isinstance(value, tuple):
        inside = ", ".join(map(_attr_text, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    return str(value)


def _row(graph: Graph, node: Node) -> tuple[str, ...]:
    operands = [f"%{operand.serial}" for operand in graph.operands(node)]
    names = ", ".join(graph.names.get(node, ()))
    spans = graph.spans.get(node, ())
    place = f"# {spans[0].source.name}:{spans[0].line}" if spans else ""
    return f"%{node.serial}", names, f"= {call_text(node, operands)}", f": {node.type}", place


def _width(column: Sequence[str]) -> int:
    return min(max(map(len, column)), _WIDEST)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    number, names, call, type, place = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return f"{number}  {names} {call}  {type}  {place}".rstrip()


def _node_data(graph: Graph, node: Node) -> dict[str, object]:
    return {
        "id": node.serial,
        "op": node.op.name,
        "operands": [operand.serial for operand in graph.operands(node)],
        "attrs": {name: _plain(value) for name, value in node.attrs.items() if name != "type"},
        **_type_data(node.type),
        "names": list(graph.names.get(node, ())),
        "places": [[span.source.name, span.line, span.column] for span in graph.spans.get(node, ())],
        "scopes": [list(scope) for scope in graph.scopes.get(node, ())],
    }


def _type_data(type: Type) -> dict[str, object]:
    if isinstance(type, TensorType):
        return {"dtype": type.dtype, "shape": [_size_data(size) for size in type.shape]}
    return {"items": [_type_data(item) for item in type.items]}


def _size_data(size: Size) -> int | str:
    return size if isinstance(size, int) else str(size)


def _plain(value: object) -> object:
    """JSON has no tuples, no infinities and no records; floats outside its range are written as text."""
    if isinstance(value, (bool, int, str, type(None))):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else repr(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Graph):
        return listing_data(value)
    return getattr(value, "text", "") or str(value)
