"""Statements of random models: every elementwise op of the table, in its domain and away from its kinks."""

from __future__ import annotations

from functools import partial

from hypothesis import strategies as st

from graphc.op import Op
from graphc.ops import OPS
from tests.peers.writer import Shape, Writer, broadcast

ELEMENTWISE = tuple(op for op in OPS.values() if op.elementwise is not None)
KINKED = (
    *("abs", "relu", "sign", "step", "floor", "ceil", "round", "maximum", "minimum", "clip", "floor_divide", "mod"),
    *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
)
"""Their first operand is kept from where they have a kink or a jump."""


def _elementwise(w: Writer, op: Op) -> None:
    assert op.elementwise is not None
    names: list[str] = []
    shape: Shape = ()
    for position, (low, high) in enumerate(op.elementwise.domain):
        if low == high:
            names.append(str(low))
            continue
        names.append(
            (w.apart if op.name in KINKED and position == 0 else w.value)(
                lambda other, shape=shape: broadcast(shape, other) is not None, make=shape
            )
        )
        shape = broadcast(shape, w.shapes[names[-1]]) or ()
    arguments = [_inside(w, op, position, name) for position, name in enumerate(names)]
    call = f"{op.name}({', '.join(arguments)})"
    truth = op.elementwise.coercion in ("compare", "logical")
    w.add(f"where({call}, {names[0]}, 0.5)" if truth else call, shape)


def _inside(w: Writer, op: Op, position: int, name: str) -> str:
    """A value in the domain of an operand."""
    assert op.elementwise is not None
    if op.elementwise.coercion == "logical" or (op.elementwise.coercion == "where" and position == 0):
        return f"{name} > 0.1"
    low, high = op.elementwise.domain[position]
    if low == high:
        return name
    if (low, high) == (-3, 3) and op.name in KINKED:
        # Of large values tanh is 1, which is one value, and a whole number.
        return name
    if (low, high) == (-3, 3):
        return name if w.draw(st.booleans()) and op.name not in _STEEP else f"3 * tanh({name})"
    return f"{(low + high) / 2!r} + {(high - low) / 2!r} * tanh({name})"


_STEEP = ("exp", "expm1", "sinh", "cosh", "mul", "square", "softplus", "logaddexp", "erf", "erfc")
"""Values grow by them, or their derivatives vanish, so that a few of them after each other would hide the rest."""


MOVES = tuple(partial(_elementwise, op=op) for op in ELEMENTWISE)
