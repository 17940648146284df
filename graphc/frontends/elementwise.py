"""``@elementwise def``: one op whose mathematics, NumPy text and partial derivatives are made from the body's graph."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import networkx as nx

from graphc.builder import Builder
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.frontends.session import Session, failure
from graphc.frontends.values import Call, Frame, Function, Returned, Steps, Task, describe
from graphc.graph import Graph, Node
from graphc.numpy_text import fill, literal
from graphc.op import CONVENTIONS, OPS, Alternative, Coercion, Conventions, Need, Op, OpCall, Partials, elementwise
from graphc.symbolic import partials
from graphc.tensor_type import DType, TensorType, Type
from graphc.value import Value

if TYPE_CHECKING:
    import sympy

MAX_OPERATIONS = 500
MAX_OPERANDS = 3


def elementwise_op(session: Session, function: Function) -> Steps:
    """The op of a function's body, read with integers first and, when these become floats, with floats."""
    definition = function.definition
    arguments = definition.args
    names = [argument.arg for argument in arguments.args]
    plain = not (arguments.kwonlyargs or arguments.posonlyargs or function.defaults)
    check_arity(names, plain, definition, function.frame or Frame({}, Call(function.source)))
    body = yield from _read(session, function, names, "int64")
    assert isinstance(body, Graph)
    coercion = coercion_of(body)
    if coercion == "float":
        body = yield from _read(session, function, names, session.float_dtype)
        assert isinstance(body, Graph)
    return op_of(definition.name, body, coercion, doc_line(ast.get_docstring(definition), definition.name))


def check_arity(names: Sequence[str], plain: bool, node: ast.AST, frame: Frame) -> None:
    """An elementwise function has as many operands as an op may have."""
    if not (plain and 1 <= len(names) <= MAX_OPERANDS):
        message = f"expected one to three parameters without defaults, found {len(names)}"
        raise failure("GC103", message, node, frame)


def coercion_of(body: Graph) -> Coercion:
    """What operands become, by what the body makes of integers."""
    found = body.outputs["f"].tensor
    return "compare" if found.dtype == "bool" else "float" if found.is_float else "number"


def doc_line(doc: str | None, name: str) -> str:
    """The first line of what the function says of itself."""
    return (doc or name).partition("\n")[0]


def _read(session: Session, function: Function, names: list[str], dtype: DType) -> Steps:
    """The body as a graph of scalars."""
    definition = function.definition
    with scalars(session, definition.name, names, dtype) as values:
        frame = Frame(dict(values), Call(function.source, definition.name), function.frame)
        result = yield Task(definition.body, frame)
        found = result.value if isinstance(result, Returned) else None
        return scalar_body(session, definition.name, found, definition, frame)


@contextmanager
def scalars(session: Session, name: str, names: Sequence[str], dtype: DType) -> Iterator[dict[str, Value]]:
    """Within the block, what is read is an elementwise function of these scalars."""
    outer, session.builder, session.pure = session.builder, Builder(float_dtype=session.float_dtype), name
    try:
        yield {parameter: session.builder.input(parameter, TensorType(dtype)) for parameter in names}
    finally:
        session.builder, session.pure = outer, ""


def scalar_body(session: Session, name: str, found: object, node: ast.AST, frame: Frame) -> Graph:
    """The graph of what an elementwise function returned."""
    value = session.size_value(node, frame, found)
    if value is None:
        shown = "nothing" if found is None else describe(found)
        raise failure("GC106", f"expected {name} to return a tensor, found {shown}", node, frame)
    body = session.builder.finish({"f": value.node})
    _check(body, name, node, frame)
    return body


def _check(body: Graph, name: str, definition: ast.AST, frame: Frame) -> None:
    outside = Frame({}, Call(frame.call.source))
    sizes: dict[Node, int] = {}
    for node in body.nodes:
        if node.op.elementwise is None and node.op.name not in ("input", "const", "cast"):
            message = f"expected elementwise operations in {name}, found {node.op.name}"
            raise GraphcError(Diagnostic("GC106", message, body.spans[node][0], "not elementwise"))
        sizes[node] = 1 + sum(sizes[operand] for operand in body.operands(node))
        if sizes[node] > MAX_OPERATIONS:
            message = f"an elementwise function has at most {MAX_OPERATIONS} operations, {name} has more"
            raise failure("GC401", message, definition, outside)


def op_of(name: str, body: Graph, coercion: Coercion, doc: str) -> Op:
    """The op whose mathematics is a graph of scalars, with the output ``f``."""
    arity = len(body.inputs)

    def mathematics(sp: Any, *operands: sympy.Expr) -> sympy.Expr:
        return _mathematics(body, sp, operands)

    # The number of parameters of `math` is the op's arity.
    by_arity: dict[int, Callable[..., sympy.Expr]] = {
        1: lambda sp, x: mathematics(sp, x),
        2: lambda sp, x, y: mathematics(sp, x, y),
        3: lambda sp, x, y, z: mathematics(sp, x, y, z),
    }
    op = elementwise(
        name,
        by_arity[arity],
        "",
        coercion=coercion,
        partials=None if coercion == "compare" else _partials(body, "graphc"),
        alternatives={c: Alternative("", _partials(body, c)) for c in CONVENTIONS if _has_alternative(body, c)},
        needs=_needs(body),
        flops=sum(node.op.flops for node in body.nodes if isinstance(node.op.flops, int)),
        doc=doc,
    )
    return replace(op, numpy=lambda call, *operands: _numpy(body, call, operands), body=body)


def _mathematics(body: Graph, sp: Any, operands: tuple[sympy.Expr, ...]) -> sympy.Expr:
    found: dict[Node, sympy.Expr] = dict(zip(body.inputs, operands, strict=True))
    for node in body.nodes:
        if node.op.name == "const":
            value = node.attrs["value"]
            found[node] = sp.Integer(value) if isinstance(value, int) else sp.nsimplify(value, rational=True)
        elif node.op.elementwise is not None:
            given = [found[operand] for operand in body.operands(node)]
            found[node] = node.op.elementwise.math(sp, *(_number(sp, x) for x in given))
        elif node not in found:
            found[node] = found[body.operands(node)[0]]
    return found[body.outputs["f"]]


def _number(sp: Any, expression: Any) -> Any:
    """A condition as the number that ops take it for."""
    return sp.Piecewise((1, expression), (0, True)) if expression.is_Boolean or expression.is_Relational else expression


def _numpy(body: Graph, call: OpCall, operands: tuple[ast.expr, ...]) -> ast.expr:
    """The texts of the body's ops, each put into the next."""
    texts = dict(zip(body.inputs, operands, strict=True))
    types: dict[Node, Type] = dict(zip(body.inputs, call.operand_types, strict=True))
    for node in body.nodes:
        given = [texts[operand] for operand in body.operands(node)]
        if node.op.name == "const":
            texts[node] = literal(node.attrs["value"])
        elif node.op.elementwise is not None:
            inner = OpCall(node.type, tuple(types.get(operand, operand.type) for operand in body.operands(node)))
            texts[node] = _text(node.op, inner, given)
        elif given:
            texts[node] = given[0]
    return texts[body.outputs["f"]]


def _text(op: Op, call: OpCall, operands: Sequence[ast.expr]) -> ast.expr:
    if isinstance(op.numpy, str):
        return fill(op.numpy, dict(zip("xyz", operands, strict=False)))
    return op.numpy(call, *operands)


def _needs(body: Graph) -> tuple[Need, ...]:
    fragile = any(node.op.elementwise is not None and node.op.elementwise.needs for node in body.nodes)
    none: Need = "no"
    return (none,) * len(body.inputs) if fragile else ()


def _has_alternative(body: Graph, conventions: Conventions) -> bool:
    return any(conventions in node.op.alternatives for node in body.nodes)


def _partials(body: Graph, conventions: Conventions) -> Partials:
    return tuple(_partial(body, position, conventions) for position in range(len(body.inputs)))


def _partial(body: Graph, position: int, conventions: Conventions) -> Callable[..., Value | int] | None:
    """A partial by the chain rule through the body: each op's own partials are safe where one formula overflows."""

    if body.inputs[position] not in nx.ancestors(body.dag, body.outputs["f"]) | {body.outputs["f"]}:
        return None

    def partial(result: Value, *operands: Value) -> Value | int:
        values = _primals(body, operands)
        tangents: dict[Node, Any] = {body.inputs[position]: 1}
        for node in body.nodes:
            tangent = _tangent(node, body, values, tangents, conventions)
            if tangent is not None:
                tangents[node] = tangent
        found: Value | int = tangents.get(body.outputs["f"], 0)
        return found

    return partial


def _primals(body: Graph, operands: tuple[Value, ...]) -> Mapping[Node, Value]:
    builder = operands[0].builder
    values = dict(zip(body.inputs, operands, strict=True))
    for node in body.nodes:
        given = [values[operand] for operand in body.operands(node)]
        if node.op.name == "const":
            values[node] = builder.value(builder.make(node.op, (), node.attrs))
        elif node.op.elementwise is not None:
            values[node] = builder.apply(node.op, given)
        elif given:
            values[node] = given[0]
    return values


def _selected(condition: Value, *branches: Value | int) -> Value:
    """The tangent of the branch that is taken: the other one's may be NaN."""
    return OPS["where"](condition, *(branch if isinstance(branch, Value) else float(branch) for branch in branches))


def _tangent(
    node: Node,
    body: Graph,
    values: Mapping[Node, Value],
    tangents: Mapping[Node, Any],
    conventions: Conventions,
) -> Any:
    """The sum over the operands of partial times tangent; None where there is none."""
    operands = body.operands(node)
    if node.tensor.dtype == "bool" or not any(operand in tangents for operand in operands):
        return None
    if node.op.elementwise is None:
        return tangents[operands[0]]
    if node.op is OPS["where"]:
        return _selected(values[operands[0]], *(tangents.get(operand, 0) for operand in operands[1:]))
    terms = []
    for operand, partial in zip(operands, partials(node.op, conventions), strict=True):
        if partial is not None and operand in tangents:
            slope = partial(values[node], *(values[o] for o in operands))
            terms.append(slope if operand in body.inputs else slope * tangents[operand])
    return reduce(add, terms) if terms else None
