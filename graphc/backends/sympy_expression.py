"""SymPy expressions of scalar graphs: each node's mathematics applied to that of its operands."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.graph import Graph, Node
from graphc.tensor_type import TensorType

if TYPE_CHECKING:
    import sympy

# Of scalars these are the identity.
_IDENTITIES = ("cast", "stop_gradient", "broadcast_to", "reshape")


def to_sympy(graph: Graph, output: str, values: Mapping[str, sympy.Expr] | None = None) -> sympy.Expr:
    """An output of a scalar graph as a SymPy expression.

    Parameters
    ----------
    graph : Graph
    output : str
    values : mapping of str to sympy.Expr, optional
        What stands for inputs and parameters; the others are real symbols of their names.

    Raises
    ------
    GraphcError
        GC203 at the first tensor, or the first op that is not elementwise.

    Examples
    --------
    >>> from graphc.frontends.text import parse_model
    >>> from graphc.source import Source
    >>> graph = parse_model(Source("m.gc", "x: Input\\nf: Output = x * sin(x) / 2")).graph
    >>> to_sympy(graph, "f")
    x*sin(x)/2
    """
    found: dict[Node, sympy.Expr] = {}
    needed = _needed(graph, graph.outputs[output])
    for node in graph.nodes:
        if node in needed:
            found[node] = _expression(graph, node, [found[operand] for operand in graph.operands(node)], values or {})
    return found[graph.outputs[output]]


def _needed(graph: Graph, output: Node) -> set[Node]:
    needed, stack = {output}, [output]
    while stack:
        fresh = [operand for operand in graph.operands(stack.pop()) if operand not in needed]
        needed.update(fresh)
        stack += fresh
    return needed


def _expression(graph: Graph, node: Node, operands: list[sympy.Expr], values: Mapping[str, sympy.Expr]) -> sympy.Expr:
    import sympy

    if not isinstance(node.type, TensorType) or node.type.shape:
        raise _refusal(graph, node, f"found {node.type}")
    if node.op.name in ("input", "param"):
        name = str(node.attrs["name"])
        return values[name] if name in values else sympy.Symbol(name, real=True)
    if node.op.name == "const":
        return _number(node.attrs["value"])
    if node.op.name in _IDENTITIES or node.op.rule is not None:
        return operands[0]
    if node.op.elementwise is None:
        raise _refusal(graph, node, f"found {node.op.name}, which is not elementwise")
    result = sympy.sympify(node.op.elementwise.math(sympy, *operands))
    # Masks are multiplied and compared with 0.
    return sympy.Piecewise((1, result), (0, True)) if node.tensor.dtype == "bool" else result


def _number(value: object) -> sympy.Expr:
    """A number, exact where it is a fraction of small numbers or a constant of mathematics."""
    import sympy

    assert isinstance(value, (bool, int, float))
    if value in (float("inf"), float("-inf")) or value != value:
        return sympy.sympify(value)
    pi, ln2 = sympy.pi, sympy.log(2)
    for constant in (pi, sympy.E, 2 / sympy.sqrt(pi), sympy.sqrt(pi) / 2, sympy.sqrt(2), ln2, sympy.log(10)):
        if abs(value) == float(constant):
            return constant if value > 0 else -constant
    exact = Fraction(value)
    return sympy.Rational(exact.numerator, exact.denominator) if exact.denominator <= 1024 else sympy.Float(value)


def _refusal(graph: Graph, node: Node, found: str) -> GraphcError:
    message = f"expected scalars and elementwise operations for SymPy, {found}"
    return GraphcError(Diagnostic("GC203", message, next(iter(graph.spans.get(node, ())), None)))
