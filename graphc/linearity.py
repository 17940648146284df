"""Which nodes are linear in given ones: what the transposition of a gradient rule rests on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cache

from graphc.builder import Builder
from graphc.graph import Node
from graphc.op import OPS, Op
from graphc.symbolic import mathematics
from graphc.tensor_type import TupleType


def first_nonlinear(builder: Builder, outputs: Sequence[Node], variables: Collection[Node]) -> Node | None:
    """The first node on the way to some outputs, or of them, that is not known to be linear in the variables.

    Examples
    --------
    >>> from graphc.tensor_type import TensorType
    >>> builder = Builder(intern=True)
    >>> u, a = builder.input("u", TensorType("float64")), builder.input("a", TensorType("float64"))
    >>> first_nonlinear(builder, [(a * u - 2 * u).node], [u.node]) is None
    True
    >>> first_nonlinear(builder, [(a * u + 1.0).node], [u.node]).op.name
    'add'
    """
    moving, zero = set(variables), set[Node]()
    for node in _reached(builder, outputs, moving):
        operands = builder.operands(node)
        if _is_zero(node, operands, zero):
            zero.add(node)
        elif any(operand in moving for operand in operands):
            if not _is_linear(builder, node, moving, zero):
                return node
            moving.add(node)
    return next((node for node in outputs if node not in moving and node not in zero), None)


def _reached(builder: Builder, outputs: Iterable[Node], edge: Collection[Node]) -> list[Node]:
    seen = set(outputs)
    stack = list(seen)
    while stack:
        node = stack.pop()
        below = [operand for operand in builder.operands(node) if node not in edge and operand not in seen]
        seen.update(below)
        stack += below
    return sorted(seen.difference(edge), key=lambda node: node.serial)


def _is_zero(node: Node, operands: Sequence[Node], zero: Collection[Node]) -> bool:
    if node.op is OPS["const"]:
        return node.attrs["value"] == 0
    return node.op.linear and bool(operands) and all(operand in zero for operand in operands)


def _is_linear(builder: Builder, node: Node, moving: Collection[Node], zero: Collection[Node]) -> bool:
    operands = builder.operands(node)
    where = tuple(operand in moving for operand in operands)
    if node.op.linear or node.op is OPS["item"]:
        return all(
            moves or operand in zero or not operand.tensor.is_float
            for moves, operand in zip(where, operands, strict=True)
        )
    if node.op.elementwise is not None:
        return node.tensor.is_float and _linear_formula(node.op, where, tuple(operand in zero for operand in operands))
    return where.count(True) == 1 and _constant_slope(builder, node, where.index(True))


@cache
def _linear_formula(op: Op, where: tuple[bool, ...], zero: tuple[bool, ...]) -> bool:
    """Whether the slopes are free of what moves, and nothing is left where that is zero."""
    expression, symbols = mathematics(op)
    expression = expression.subs([(symbol, 0) for symbol, is_zero in zip(symbols, zero, strict=True) if is_zero])
    moving = [symbol for symbol, moves in zip(symbols, where, strict=True) if moves]
    slopes = [expression.diff(symbol) for symbol in moving]
    if any(slope.free_symbols.intersection(moving) for slope in slopes):
        return False
    return bool(expression.subs([(symbol, 0) for symbol in moving]) == 0)


def _constant_slope(builder: Builder, node: Node, position: int) -> bool:
    """Whether the VJP of a structural op reads neither the operand nor the result, and 0 is mapped to 0."""
    if node.op.vjp is None or isinstance(node.type, TupleType) or node.attrs.get("constant_values", 0) != 0:
        return False
    operands = [builder.value(operand) for operand in builder.operands(node)]
    sent = node.op.vjp(builder.placeholder(node.type), builder.value(node), *operands, **node.attrs)[position]
    avoided = {node, operands[position].node}
    return sent is not None and avoided.isdisjoint(_reached(builder, [sent.node], ()))
