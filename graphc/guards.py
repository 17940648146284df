"""Guards keep what a branch not taken would put into a gradient out of it, where zero times infinity would be NaN.

A cotangent that came through a branch of `where` is zero where the other branch was taken, and stays zero whatever
the partials below are: the engine selects instead of multiplying.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import reduce

from graphc.graph import Node
from graphc.op import OPS
from graphc.tensor_type import Shape, broadcast_shapes
from graphc.value import Operand, Value

Choice = tuple[Node, bool]
"""A condition, and whether its branch is the one where it holds."""
Guard = tuple[Choice, ...] | None
"""Where a cotangent may differ from zero: where all choices are as said. Without any, that is known from the cotangent
alone; None is everywhere."""

_ARITHMETIC = ("add", "sub", "mul", "neg", "cast")


def chosen(guard: Guard, condition: Node, holds: bool) -> Guard:
    """The guard of a branch, from that of its `where`."""
    return guard if guard == () else (*(guard or ()), (condition, holds))


def united(guards: Iterable[Guard]) -> Guard:
    """The guard of a sum of cotangents: everywhere when its terms cover both branches.

    Examples
    --------
    >>> from graphc.builder import Builder
    >>> c = Builder().constant(True).node
    >>> united([((c, True),), ((c, False),)]) is None
    True
    """
    pending = list(dict.fromkeys(guards))
    found: dict[tuple[Choice, ...], None] = {}
    while pending:
        guard = pending.pop()
        if guard is None:
            return None
        other = (*guard[:-1], (guard[-1][0], not guard[-1][1])) if guard else ()
        if other and other in found:
            del found[other]
            pending.append(guard[:-1] or None)
        else:
            found[guard] = None
    return next(iter(found)) if len(found) == 1 else ()


def fitting(guard: Guard, shape: Shape) -> Guard:
    """The guard of an operand of this shape, to which the conditions must broadcast."""
    fits = all(broadcast_shapes([condition.tensor.shape, shape]) == shape for condition, _ in guard or ())
    return guard if fits else ()


def through(guard: Guard, linear: bool) -> Guard:
    """The guard below an op that is not elementwise: elements move, but zeros in a linear one stay zeros."""
    if guard and all(not condition.tensor.shape for condition, _ in guard):
        return guard
    return () if guard is not None and linear else None


def guarded(guard: Guard, ct: Value, contribution: Value) -> Value:
    """What a cotangent sends to an operand, zero where the cotangent is because of a guard."""
    if guard is None:
        return contribution
    if len(guard) == 1 and not guard[0][1]:
        return OPS["where"](ct.builder.value(guard[0][0]), 0, contribution)
    return OPS["where"](_mask(guard, ct), contribution, 0)


def is_finite(factor: Operand) -> bool:
    """Whether a partial is finite on every input: made of numbers and masks."""
    if not isinstance(factor, Value):
        return not isinstance(factor, float) or math.isfinite(factor)
    stack = [factor.node]
    while stack:
        node = stack.pop()
        if node.tensor.dtype == "bool" or _is_finite_number(node):
            continue
        if node.op.name not in _ARITHMETIC:
            return False
        stack.extend(factor.builder.operands(node))
    return True


def _is_finite_number(node: Node) -> bool:
    value = node.attrs.get("value")
    return node.op.name == "const" and isinstance(value, (int, float)) and math.isfinite(value)


def _mask(guard: Sequence[Choice], ct: Value) -> Value:
    masks = [ct.builder.value(c) if holds else OPS["logical_not"](ct.builder.value(c)) for c, holds in guard]
    return reduce(OPS["logical_and"], masks) if masks else OPS["not_equal"](ct, 0)
