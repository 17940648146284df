"""Guards keep what a branch not taken would put into a gradient out of it, where zero times infinity would be NaN.

A cotangent that came through a branch of `where` is zero where the other branch was taken, and stays zero whatever
the partials below are: the engine selects instead of multiplying.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import NamedTuple

from graphc.builder import Builder
from graphc.finite import Finiteness
from graphc.graph import Node
from graphc.op import OPS
from graphc.tensor_type import Shape, TupleType, broadcast_shapes
from graphc.value import Operand, Value


class Choice(NamedTuple):
    """A condition, and whether its branch is the one where it holds.

    Without a condition, the cotangent itself tells where it is zero. A loose choice is that of all elements with which
    an operand was mixed: it costs more than it mostly gives, and is used only where something may be infinite.
    """

    condition: Node | None
    holds: bool = True
    loose: bool = False


Guard = tuple[Choice, ...] | None
"""Where a cotangent may differ from zero: where all choices are as said. None is everywhere."""
UNKNOWN: Guard = (Choice(None),)
ZEROS: Guard = (Choice(None, loose=True),)
MAX_CHOICES = 8
"""How many choices a guard remembers, the last ones: fewer guard more than needed, which is never wrong."""


def chosen(guard: Guard, condition: Node, holds: bool) -> Guard:
    """The guard of a branch, from that of its `where`."""
    return guard if guard == UNKNOWN else _with(guard or (), Choice(condition, holds))


def masked(guard: Guard, mask: Node) -> Guard:
    """The guard below a partial that is zero where a mask is; the newest such mask is enough."""
    strict = tuple(choice for choice in guard or () if not choice.loose)
    return guard if guard == UNKNOWN else _with(strict, Choice(mask, loose=True))


def _with(choices: tuple[Choice, ...], last: Choice) -> Guard:
    return (*choices[1 - MAX_CHOICES :], last)


def united(guards: Iterable[Guard]) -> Guard:
    """The guard of a sum of cotangents: everywhere when its terms cover both branches.

    Examples
    --------
    >>> from graphc.builder import Builder
    >>> c = Builder().constant(True).node
    >>> united([(Choice(c, True),), (Choice(c, False),)]) is None
    True
    """
    pending = list(dict.fromkeys(guards))
    found: dict[tuple[Choice, ...], None] = {}
    while pending:
        guard = pending.pop()
        if not guard:
            return None
        other = (*guard[:-1], guard[-1]._replace(holds=not guard[-1].holds))
        if other in found and other[-1].condition is not None:
            del found[other]
            pending.append(guard[:-1])
        else:
            found[guard] = None
    return next(iter(found)) if len(found) == 1 else _unknown(choice for guard in found for choice in guard)


def _unknown(choices: Iterable[Choice]) -> Guard:
    """What is left of choices that are no longer in place: the zeros."""
    return ZEROS if any(choice.loose for choice in choices) else UNKNOWN


def fitting(guard: Guard, shape: Shape) -> Guard:
    """The guard of an operand of this shape, to which the conditions must broadcast."""
    conditions = [choice.condition for choice in guard or () if choice.condition is not None]
    fits = all(broadcast_shapes([condition.tensor.shape, shape]) == shape for condition in conditions)
    return guard if fits else _unknown(guard or ())


def is_uniform(guard: Guard) -> bool:
    """Whether all conditions are scalars: a branch is taken as a whole."""
    return all(choice.condition is not None and not choice.condition.tensor.shape for choice in guard or ())


def through(builder: Builder, guard: Guard, node: Node, ct: Value | tuple[Value | None, ...], position: int) -> Guard:
    """The guard of an operand of an op that is not elementwise, from that of its result.

    Conditions follow the axes along which the op does not mix elements; zeros in a linear one stay zeros.
    """
    operand = builder.operands(node)[position]
    if guard is None or is_uniform(guard):
        return guard
    if isinstance(ct, tuple) or isinstance(operand.type, TupleType):
        return None
    if node.op.apart is None and node.op.linear:
        return _unknown(guard)
    axes: tuple[int | None, ...] = (None,) * operand.tensor.ndim
    if node.op.apart is not None:
        axes = node.op.apart(*(o.type for o in builder.operands(node)), **node.attrs)[position]
    return tuple(_moved(ct, choice, node.tensor.ndim, axes) for choice in guard)


def _moved(ct: Value, choice: Choice, ndim: int, axes: Sequence[int | None]) -> Choice:
    """A choice about a result as one about an operand, whose axes stand for those of the result, or for none."""
    mask = _condition(choice, ct)
    first = ndim - mask.ndim
    lost = tuple(a for a, size in enumerate(mask.shape) if size != 1 and first + a not in axes)
    if lost:
        taken = mask if choice.holds else OPS["logical_not"](mask)
        mask, choice = OPS["sum"](taken, axis=lost, keepdims=True) > 0, Choice(None, True, loose=True)
    return choice._replace(
        condition=_laid_out(mask, [None if a is None or a < first else a - first for a in axes]).node
    )


def _laid_out(mask: Value, axes: Sequence[int | None]) -> Value:
    """A mask with its axes in these places; the others are of size 1, where None is."""
    shift = len(axes) - mask.ndim
    rest = [a for a in range(mask.ndim) if a not in axes]
    if all(a is None or a + shift == place for place, a in enumerate(axes)) and all(a + shift >= 0 for a in rest):
        return mask
    order = [a for a in axes if a is not None]
    if order != sorted(order):
        mask = OPS["transpose"](mask, axes=(*rest, *order))
        rest = [*range(len(rest))]
    if rest:
        mask = OPS["squeeze"](mask, axis=tuple(rest))
    start = next((place for place, a in enumerate(axes) if a is not None), len(axes))
    added = tuple(place - start for place, a in enumerate(axes) if a is None and place > start)
    return OPS["expand_dims"](mask, axis=added) if added else mask


def guarded(guard: Guard, ct: Value, contribution: Value, *, loose: bool) -> Value:
    """What a cotangent sends to an operand, zero where the cotangent is because of a guard.

    ``loose`` says whether the contribution is one for which loose choices are used.
    """
    choices = [choice for choice in guard or () if loose or not choice.loose]
    if not choices:
        return contribution
    if len(choices) == 1 and not choices[0].holds:
        return OPS["where"](_condition(choices[0], ct), 0, contribution)
    return OPS["where"](_mask(choices, ct), contribution, 0)


def multiplied(
    finite: Finiteness, ct: Value, factor: Operand, guard: Guard, operands: Sequence[Value]
) -> tuple[Value, Guard]:
    """A cotangent or tangent times a partial, and where that may differ from zero; 0 stays 0 beside an infinity.

    A mask among the operands is one that the model multiplies by, and there 0 times infinity is what it says.
    """
    given = isinstance(factor, Value) and any(factor.node is operand.node for operand in operands)
    sent, mask = scaled(ct, factor), None if given else mask_of(finite, factor)
    below = guard if mask is None else masked(guard, mask.node)
    if mask is not None and finite.may_fail(ct.node):
        sent = OPS["where"](mask, ct if mask is factor else sent, 0)
    if isinstance(factor, Value) and not finite.is_finite(factor.node):
        sent = guarded(guard, ct, sent, loose=finite.may_fail(factor.node))
    return sent, below


def scaled(ct: Value, factor: Operand) -> Value:
    """A cotangent or tangent times a partial, which may be the number 1 or -1."""
    if isinstance(factor, (int, float)) and factor in (1, -1):
        return ct if factor == 1 else -ct
    return ct * factor


def mask_of(finite: Finiteness, factor: Operand) -> Value | None:
    """Where a partial that is a mask, or made of masks, differs from zero; None when it is none.

    The sign of abs is none: it is zero at one point only, where the derivative of log(abs(x)) is infinite.
    """
    if not isinstance(factor, Value) or factor.node.op in (OPS["const"], OPS["where"]):
        return None
    if factor.type.dtype == "bool":
        return factor
    return OPS["not_equal"](factor, 0) if finite.is_finite(factor.node) else None


def _condition(choice: Choice, ct: Value) -> Value:
    return OPS["not_equal"](ct, 0) if choice.condition is None else ct.builder.value(choice.condition)


def _mask(choices: Sequence[Choice], ct: Value) -> Value:
    masks = [_condition(c, ct) if c.holds else OPS["logical_not"](_condition(c, ct)) for c in choices]
    return reduce(OPS["logical_and"], masks)
