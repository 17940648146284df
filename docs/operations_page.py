"""The page of operations: the op table in, Markdown out, with derivatives printed from the rules of the compiler."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping, Sequence

import numpy as np
import sympy
from sympy.calculus.util import continuous_domain

from docs.markdown_text import NOTE, code, table
from graphc.builder import Builder
from graphc.frontends.calls import op_attributes
from graphc.frontends.names import operation
from graphc.graph import Node
from graphc.numpy_text import FLOAT, SIZE, fill
from graphc.op import OPS, Op, OpCall, Sample
from graphc.size import named_size
from graphc.symbolic import mathematics, partials
from graphc.tensor_type import TensorType, TupleType
from graphc.value import Value

OPERATIONS = """\
# Operations

{note}
Every operation that a graph can hold, from the table that the compiler itself works by. In the derivatives, `f` is the
result, and `ct` the cotangent of the result: the gradient of the loss with respect to it.

## Elementwise

Operands broadcast as in NumPy. The derivative has one entry per operand; 0 stands for a derivative that is zero
wherever it exists, so no gradient passes. The domain is where the result is a real number; elsewhere NumPy gives NaN or
an infinity. Functions that start with an underscore are copied into the generated module.

{elementwise}
## Structural

The NumPy text and the cotangents of the operands are those of one example, whose operands have the shapes given.

{structural}
`scan(step, init, xs)` is written as a loop and differentiated by another scan: see
[the language](language.md#loops-over-steps).

What holds where a function has no derivative is compared with PyTorch, JAX and autograd in
[Conventions](conventions.md).
"""


def operations_page() -> str:
    """The page of operations."""
    elementwise_ops = [op for op in OPS.values() if op.elementwise is not None]
    structural = [op for op in OPS.values() if op.elementwise is None and op.samples and not op.higher_order]
    return OPERATIONS.format(
        note=NOTE,
        elementwise=table(
            ["operation", "is", "NumPy", "derivative", "domain", "convention"],
            [*map(_elementwise_row, elementwise_ops)],
        ),
        structural=table(
            ["operation", "is", "example", "NumPy", "cotangents of the operands", "convention"],
            [*map(_structural_row, structural)],
        ),
    )


def _elementwise_row(op: Op) -> list[str]:
    builder = Builder(intern=True)
    names = "xyz"[: op.arity]
    bools = {"logical": len(names), "where": 1}.get(op.elementwise.coercion, 0)
    shape = (named_size("N"),)
    operands = [
        builder.input(name, TensorType("bool" if position < bools else "float64", shape))
        for position, name in enumerate(names)
    ]
    result = builder.apply(op, operands)
    text = _shown(_op_text(result.node, [operand.node for operand in operands], [ast.Name(name) for name in names]))
    derivatives = [_partial_text(op, position, builder, result, operands) for position in range(len(names))]
    shown = "0" if set(derivatives) == {"0"} else ", ".join(map(code, derivatives))
    return [code(f"{op.name}({', '.join(names)})"), op.doc, code(text), shown, _domain(op), op.convention]


LONGEST_PARTIAL = 70
"""Longer texts guard against overflow and 0/0; the mathematics behind them reads better."""


def _partial_text(op: Op, position: int, builder: Builder, result: Value, operands: Sequence[Value]) -> str:
    partial = partials(op)[position]
    if partial is None:
        return "0"
    slope = partial(result, *operands)
    if not isinstance(slope, Value):
        return str(slope)
    text = _expression(builder, slope, {result.node: "f", **{x.node: str(x.node.attrs["name"]) for x in operands}})
    if len(text) <= LONGEST_PARTIAL:
        return text
    expression, symbols = mathematics(op)
    return str(sympy.simplify(sympy.diff(expression, symbols[position])))


def _domain(op: Op) -> str:
    """Where the mathematics of an op is a real number, as far as SymPy knows."""
    if op.elementwise.coercion in ("compare", "logical", "where"):
        return ""
    expression, symbols = mathematics(op)
    below = {p.base for p in expression.atoms(sympy.Pow) if p.exp.is_negative and p.base in symbols}
    if below:
        return ", ".join(f"{base} ≠ 0" for base in sorted(below, key=str))
    if any(p.exp in symbols for p in expression.atoms(sympy.Pow) if p.base in symbols):
        return "x > 0, or y whole"
    return _interval(expression, symbols[0]) if len(symbols) == 1 else ""


def _interval(expression: sympy.Expr, x: sympy.Symbol) -> str:

    plain = sympy.Symbol("x")
    try:
        found = continuous_domain(expression.subs(x, plain), plain, sympy.S.Reals)
    except NotImplementedError:
        return ""
    if not isinstance(found, sympy.Interval) or found == sympy.S.Reals:
        return "" if isinstance(found, sympy.Interval) or _jumps(expression) else "between its poles"
    low = "" if found.start == -sympy.oo else f"{found.start} {'<' if found.left_open else '≤'} "
    high = "" if found.end == sympy.oo else f" {'<' if found.right_open else '≤'} {found.end}"
    return f"x {'>' if found.left_open else '≥'} {found.start}" if not high else f"{low}x{high}"


def _jumps(expression: sympy.Expr) -> bool:
    """Whether an expression jumps: it is a number everywhere, though not continuous."""
    return expression.has(sympy.floor, sympy.ceiling, sympy.sign, sympy.Heaviside)


def _structural_row(op: Op) -> list[str]:
    sample = max(op.samples, key=_readable)
    builder = Builder(intern=True)
    floats, integers = iter("xyzuvw"), iter("ijkl")
    operands = [
        builder.input(next(floats), operand)
        if isinstance(operand, TensorType)
        else builder.input(next(integers), TensorType("int64", np.shape(operand)))
        for operand in sample.operands
    ]
    result = builder.apply(op, operands, sample.attrs)
    names = {operand.node: str(operand.node.attrs["name"]) for operand in operands}
    text = _shown(_op_text(result.node, list(names), [ast.Name(name) for name in names.values()]))
    shapes = ", ".join(f"`{name}: {node.type}`" for node, name in names.items())
    return [
        code(_signature(op)),
        op.doc,
        shapes,
        code(text),
        _cotangents(op, builder, result, operands, names),
        op.convention,
    ]


def _readable(sample: Sample) -> tuple[bool, bool, int]:
    """Of the samples, show the first with attributes and without empty axes, on matrices if there are any."""
    shapes = [operand.shape for operand in sample.operands if isinstance(operand, TensorType)]
    return all(0 not in shape for shape in shapes), bool(sample.attrs), sum(len(shape) == 2 for shape in shapes)


def _signature(op: Op) -> str:
    if operation(op.name) is None:
        return op.name
    operands = ["[x, …]"] if op.arity is None else ["x", "y", "z"][: op.arity]
    attributes = [
        name if default is inspect.Parameter.empty else f"{name}={default!r}"
        for name, default in op_attributes(op).items()
    ]
    return f"{op.name}({', '.join([*operands, *attributes])})"


def _cotangents(op: Op, builder: Builder, result: Value, operands: Sequence[Value], names: Mapping[Node, str]) -> str:
    if op.vjp is None:
        return "none"
    ct: Value | tuple[Value, ...]
    if isinstance(result.node.type, TupleType):
        ct = tuple(builder.input(f"ct{k}", item) for k, item in enumerate(result.node.type.items))
    else:
        ct = builder.input("ct", result.type)
    found = op.vjp(ct, result, *operands, **result.node.attrs)
    leaves = ct if isinstance(ct, tuple) else (ct,)
    known = {**names, result.node: "f", **{leaf.node: str(leaf.node.attrs["name"]) for leaf in leaves}}
    texts = [code(_expression(builder, c, known)) for c in found if c is not None]
    return ", ".join(texts) or "none"


def _expression(builder: Builder, value: Value, names: Mapping[Node, str]) -> str:
    """A graph value as one NumPy expression, with some nodes under their names."""
    graph = builder.finish({"value": value.node, **{name: node for node, name in names.items()}})
    texts: dict[Node, ast.expr] = {}
    for node in graph.nodes:
        operands = graph.operands(node)
        texts[node] = ast.Name(names[node]) if node in names else _op_text(node, operands, [texts[o] for o in operands])
    return _shown(texts[value.node])


def _op_text(node: Node, operands: Sequence[Node], texts: Sequence[ast.expr]) -> ast.expr:
    if isinstance(node.op.numpy, str):
        return fill(node.op.numpy, dict(zip("xyz", texts, strict=False)))
    return node.op.numpy(OpCall(node.type, tuple(o.type for o in operands)), *texts, **node.attrs)


class _Plain(ast.NodeTransformer):
    """Placeholders as words, and whole floats as integers."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Name("dtype" if node.id == FLOAT else node.id.removeprefix(SIZE))

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        whole = isinstance(node.value, float) and node.value.is_integer()
        return ast.Constant(int(node.value) if whole else node.value)


def _shown(text: ast.expr) -> str:
    copied = ast.parse(ast.unparse(ast.Expression(_Plain().visit(ast.fix_missing_locations(text)))), mode="eval")
    return ast.unparse(copied)
