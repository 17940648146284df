"""What may be infinite or NaN although inputs and parameters are finite: read off the ops that a node is made by.

Overflow does not count, nor do the infinities and NaNs that a model writes or is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite

from graphc.graph import Node
from graphc.op import OPS, Need
from graphc.tensor_type import TupleType

MAX_DEPTH = 6
"""How far the sign of a value is looked for."""

_GROWING = ("add", "mul", "div")
"""Of positive operands, positive."""
_ARITHMETIC = ("add", "sub", "mul", "neg", "cast", "where")
"""Of finite operands, finite."""


@dataclass
class Finiteness:
    """Answers for the nodes of one builder, each found once."""

    operands: Callable[[Node], Sequence[Node]]
    _failing: dict[Node, bool] = field(default_factory=dict)
    _finite: dict[Node, bool] = field(default_factory=dict)

    def may_fail(self, node: Node) -> bool:
        """Whether a node, or one that it is computed from, may be infinite or NaN."""

        def needed(last: Node) -> Sequence[Node]:
            return () if self._settled(last) else self.operands(last)

        return _answered(self._failing, node, needed, lambda last, below: any(below) or self._has_pole(last))

    def is_finite(self, node: Node) -> bool:
        """Whether a node is finite on every input, inputs that are not among them: made of numbers and masks."""

        def needed(last: Node) -> Sequence[Node]:
            return self.operands(last) if last.op.name in _ARITHMETIC and last.tensor.dtype != "bool" else ()

        return _answered(self._finite, node, needed, lambda last, below: all(below) if below else _is_given(last))

    def _settled(self, node: Node) -> bool:
        """Whether no operand matters: masks and integers are numbers."""
        return not isinstance(node.type, TupleType) and not node.type.is_float

    def _has_pole(self, node: Node) -> bool:
        if self._settled(node) or node.op.elementwise is None:
            return False
        operands = self.operands(node)
        if node.op is OPS["power"] and _is_whole(operands[1]):
            return False
        needs = node.op.elementwise.needs
        return not all(self._meets(need, operand) for need, operand in zip(needs, operands, strict=False))

    def _meets(self, need: Need, node: Node) -> bool:
        if need == "nonzero":
            return _number(node) not in (None, 0.0) or self._positive(node, MAX_DEPTH)
        if need == "positive":
            return self._positive(node, MAX_DEPTH)
        return need == "any" or (need == "nonnegative" and self._nonnegative(node, MAX_DEPTH))

    def _positive(self, node: Node, depth: int) -> bool:
        """Whether a value cannot be zero, nor come near it."""
        number, operands = _number(node), self.operands(node)
        if number is not None:
            return number > 0
        if node.op is OPS["size"]:
            return True
        if depth == 0 or not operands:
            return False
        if node.op is OPS["add"]:
            signs = [self._positive(o, depth - 1) for o in operands]
            return any(signs) and all(
                s or self._nonnegative(o, depth - 1) for s, o in zip(signs, operands, strict=True)
            )
        if node.op.name in _GROWING or node.op is OPS["sqrt"] or _moves(node):
            return all(self._positive(o, depth - 1) for o in operands)
        return False

    def _nonnegative(self, node: Node, depth: int) -> bool:
        number, operands = _number(node), self.operands(node)
        if number is not None:
            return number >= 0
        if node.op.nonnegative or node.op is OPS["size"]:
            return True
        if depth == 0 or not operands:
            return False
        if node.op is OPS["mul"] and operands[0] is operands[1]:
            return True
        if node.op.name in _GROWING or (node.op.linear and node.op.elementwise is None):
            return all(self._nonnegative(o, depth - 1) for o in operands)
        return False


def _answered(
    found: dict[Node, bool],
    node: Node,
    needed: Callable[[Node], Sequence[Node]],
    answer: Callable[[Node, list[bool]], bool],
) -> bool:
    """What is found of a node, from what is found of those that it needs; each node is asked about once."""
    stack = [node]
    while stack:
        last = stack[-1]
        below = needed(last)
        waiting = [] if last in found else [operand for operand in below if operand not in found]
        if waiting:
            stack.extend(waiting)
            continue
        stack.pop()
        if last not in found:
            found[last] = answer(last, [found[operand] for operand in below])
    return found[node]


def _is_given(node: Node) -> bool:
    """Whether a node is a mask, or a number that is finite."""
    number = _number(node)
    return node.tensor.dtype == "bool" or (number is not None and isfinite(number))


def _moves(node: Node) -> bool:
    """Whether the elements of the result are elements of the operands."""
    return node.op.linear and node.op.flops == 0


def _number(node: Node) -> float | None:
    value = node.attrs.get("value") if node.op is OPS["const"] else None
    return float(value) if isinstance(value, (int, float)) else None


def _is_whole(node: Node) -> bool:
    number = _number(node)
    return number is not None and number >= 0 and number.is_integer()
