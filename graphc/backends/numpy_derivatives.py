"""Functions of a module for derivatives on request: ``jvp``, ``hvp``, ``jacobian``, ``hessian`` and their like."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphc.backends.numpy_function import Direction, EntryFunction, Scope
from graphc.backends.numpy_header import literal_text
from graphc.backends.numpy_layout import INDENT, WIDTH, expression_lines, filled_lines, quoted
from graphc.backends.numpy_names import Names
from graphc.backends.numpy_spelling import Spelling
from graphc.graph import Node
from graphc.partition import reached
from graphc.products import Derivative, Layout
from graphc.tensor_type import TensorType


@dataclass(frozen=True)
class FlatForm:
    """How the result of a function becomes vectors and matrices.

    Attributes
    ----------
    parts : tuple of (str, str)
        What the function calls each part of the result, and its form: ``scalar``, ``raveled`` (an array), ``vector``,
        ``matrix`` or ``square`` (of the variables' blocks). Nothing for a result that stays as it is.
    doc : str
        What comes out; ``{output}`` is filled in.
    """

    parts: tuple[tuple[str, str], ...]
    doc: str


@dataclass(frozen=True, eq=False)
class DerivativeFunction:
    """What a function for a derivative is made of.

    Attributes
    ----------
    name : str
    doc : str
        What it gives, in a sentence.
    output : str
        The output of the model whose derivative it is.
    derivative : Derivative
    plain : collection of Node
        The nodes of its graph that are the model's own.
    variables : mapping of str to TensorType
    form : FlatForm
    """

    name: str
    doc: str
    output: str
    derivative: Derivative
    plain: Collection[Node]
    variables: Mapping[str, TensorType]
    form: FlatForm


def derivative_function(scope: Scope, function: DerivativeFunction) -> list[str]:
    """The lines of the function; its arguments are those of ``value_and_grad``, a direction after the parameters."""
    graph = function.derivative.graph
    inputs = [str(node.attrs["name"]) for node in scope.raw.inputs]
    source = reached(scope.raw, [scope.raw.outputs[function.output]])
    direction = _direction(scope, function)
    entry = EntryFunction(scope, function.name, graph, inputs, source, plain=function.plain, direction=direction)
    results = entry.body.results(graph.outputs)

    def returning(spelling: Spelling) -> list[str]:
        return returned_lines(function.derivative.layout, results, spelling)

    return entry.lines(_docstring(function, direction), returning)


def direction_name(scope: Scope, function: DerivativeFunction) -> str:
    """What a function calls its direction; empty when it has none."""
    wanted = function.derivative.cotangent or ("v" if function.derivative.directions else "")
    return Names([*scope.arguments.values(), *scope.sizes.values(), *scope.reserved]).take(wanted) if wanted else ""


def _direction(scope: Scope, function: DerivativeFunction) -> Direction | None:
    name = direction_name(scope, function)
    if function.derivative.cotangent:
        shape = scope.raw.outputs[function.output].tensor.shape
        return Direction(name, {function.derivative.cotangent: ""}, {"": shape})
    shapes = {variable: type.shape for variable, type in function.variables.items()}
    arrays = {array: variable for variable, array in function.derivative.directions.items()}
    return Direction(name, arrays, shapes) if name else None


def _docstring(function: DerivativeFunction, direction: Direction | None) -> str:
    """What the function gives, and the shapes of the direction and of the results."""
    types = {name: str(node.type) for name, node in function.derivative.graph.outputs.items()}
    tables = {"returns": [f"{name}: {types[output]}" for name, output in _named(function.derivative.layout)]}
    if direction is not None and "" not in direction.shapes:
        tables = {direction.argument: [f"{name}: {type}" for name, type in function.variables.items()], **tables}
    if direction is not None and "" in direction.shapes:
        tables = {direction.argument: [types[function.output]], **tables}
    lines = [function.doc, ""]
    for title, items in tables.items():
        rows = filled_lines(items, "   ", WIDTH - 9 - len(INDENT))
        lines += [f"{INDENT}{title if place == 0 else '':9}{row}" for place, row in enumerate(rows)]
    return literal_text("\n".join([*lines, INDENT]))


def _named(layout: Layout, name: str = "") -> Iterator[tuple[str, str]]:
    """The outputs of a layout, each with what the docstring calls it."""
    if isinstance(layout, str):
        yield name or layout, layout
    elif isinstance(layout, tuple):
        for part in layout:
            yield from _named(part)
    else:
        for key, part in layout.items():
            yield from _named(part, f"{name}, {key}" if name else key)


def returned_lines(layout: Layout, results: Mapping[str, ast.expr], spelling: Spelling) -> list[str]:
    """The return statement of a layout."""
    if not isinstance(layout, tuple):
        return _laid_out("return ", layout, results, spelling, INDENT)
    line = f"{INDENT}return {', '.join(_inline(part, results, spelling) for part in layout)}"
    if len(line) <= WIDTH:
        return [line]
    if len(layout) == 2 and isinstance(layout[0], str):
        start = f"return {spelling(results[layout[0]])}, "
        return _laid_out(start, layout[1], results, spelling, INDENT)
    return [f"{INDENT}return (", *_items([("", part) for part in layout], results, spelling, INDENT), f"{INDENT})"]


def _laid_out(
    start: str, layout: Layout, results: Mapping[str, ast.expr], spelling: Spelling, indent: str
) -> list[str]:
    line = f"{indent}{start}{_inline(layout, results, spelling)}"
    if len(line) <= WIDTH:
        return [line]
    if isinstance(layout, str):
        return expression_lines(start, results[layout], spelling, indent)
    assert isinstance(layout, Mapping)
    items = [(f"{quoted(name)}: ", part) for name, part in layout.items()]
    return [f"{indent}{start}{{", *_items(items, results, spelling, indent), f"{indent}}}"]


def _items(
    items: Sequence[tuple[str, Layout]], results: Mapping[str, ast.expr], spelling: Spelling, indent: str
) -> Iterator[str]:
    for start, part in items:
        *most, last = _laid_out(start, part, results, spelling, indent + INDENT)
        yield from (*most, f"{last},")


def _inline(layout: Layout, results: Mapping[str, ast.expr], spelling: Spelling) -> str:
    if isinstance(layout, str):
        return spelling(results[layout])
    assert isinstance(layout, Mapping)
    return f"{{{', '.join(f'{quoted(name)}: {_inline(part, results, spelling)}' for name, part in layout.items())}}}"
