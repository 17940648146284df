"""SymPy expressions and matrices to graph: free symbols become scalar float inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import graphc.ops  # noqa: F401 fills the table
from graphc.builder import Builder
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.frontends.text import Parsed
from graphc.op import OPS
from graphc.source import Source, Span
from graphc.symbolic import from_sympy
from graphc.tensor_type import DType, TensorType
from graphc.value import Value

if TYPE_CHECKING:
    import sympy

NAME = "<sympy>"


def parse_sympy(expression: sympy.Basic | sympy.MatrixBase, *, float_dtype: DType = "float64") -> tuple[Source, Parsed]:
    """Read a SymPy expression or matrix; its value is the output ``f``.

    Parameters
    ----------
    expression : sympy.Expr, Boolean or Matrix
        Its free symbols are the inputs, sorted by name with numbers in order: ``x2`` before ``x10``.
    float_dtype : {"float64", "float32"}

    Returns
    -------
    source : Source
        The expression as SymPy prints it.
    parsed : Parsed

    Raises
    ------
    GraphcError
        GC101 for a function that is no operation, GC103 for a symbol whose name is no name or is not the only one of
        its name.

    Examples
    --------
    >>> import sympy
    >>> x, y = sympy.symbols("x y")
    >>> parse_sympy(sympy.exp(-x) * y)[1].graph
    Graph(5 nodes, outputs f)
    """
    text = str(expression)
    source = Source(NAME, text)
    lines = text.split("\n")
    place = Span(source, 1, 1, len(lines), len(lines[-1]) + 1)
    builder = Builder(float_dtype=float_dtype)
    with builder.at((place,)):
        values = _inputs(builder, expression, place)
        result = _value(builder, expression, values, place)
    name = next(name for name in ("f", "value", "f_value", "f_value_2") if name not in values)
    builder.name(result.node, name)
    return source, Parsed(builder.finish({name: result.node}))


def _inputs(builder: Builder, expression: Any, place: Span) -> dict[str, Value]:
    from sympy import default_sort_key

    values: dict[str, Value] = {}
    for symbol in sorted(expression.free_symbols, key=lambda s: (_natural(str(s)), default_sort_key(s))):
        name = str(symbol)
        if not symbol.is_Symbol:
            raise _refusal(
                "GC106", f"expected symbols that stand for numbers, found the {type(symbol).__name__} {name}", place
            )
        if not name.isidentifier():
            raise _refusal("GC103", f"expected symbols with names such as x_1, found {name!r}", place)
        if name in values:
            raise _refusal("GC102", f"two symbols with other assumptions are both called {name}", place)
        values[name] = builder.input(name, TensorType(builder.float_dtype))
    return values


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """A name as a key that sorts its numbers as numbers."""
    import re

    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def _value(builder: Builder, expression: Any, values: Mapping[str, Value], place: Span) -> Value:
    if not hasattr(expression, "tolist"):
        return _scalar(builder, expression, values, place)
    rows = [[_element(builder, item, values, place) for item in row] for row in expression.tolist()]
    stacked = [OPS["stack"](*row, axis=0) for row in rows if row]
    if not stacked:
        raise _refusal("GC106", f"expected a matrix with elements, found shape {expression.shape}", place)
    return OPS["stack"](*stacked, axis=0)


def _element(builder: Builder, expression: Any, values: Mapping[str, Value], place: Span) -> Value:
    value = _scalar(builder, expression, values, place)
    return value if value.type.is_float else OPS["cast"](value, dtype=builder.float_dtype)


def _scalar(builder: Builder, expression: Any, values: Mapping[str, Value], place: Span) -> Value:
    try:
        found = from_sympy(expression, values)
    except NotImplementedError as refusal:
        raise _refusal(
            "GC101", f"expected SymPy functions that are operations of graphc, found {refusal}", place
        ) from None
    except TypeError:
        raise _refusal("GC106", f"expected an expression with a real value, found {expression}", place) from None
    # A number alone is as float as the symbols would be.
    return found if isinstance(found, Value) else builder.constant(float(found))


def _refusal(code: str, message: str, place: Span) -> GraphcError:
    return GraphcError(Diagnostic(code, message, place))
