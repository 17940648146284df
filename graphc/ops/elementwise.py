"""Elementwise arithmetic, comparisons and choice: one entry declares an op, its mathematics is a SymPy expression.

A partial is written by hand where SymPy's would be wrong at a point (the comment names it), would not reuse the result,
or would only cost the import of SymPy; tests hold it to SymPy's. ``None`` is a partial that is zero wherever it exists.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from math import log
from typing import TYPE_CHECKING

from graphc.numpy_text import fill, float_dtype, method
from graphc.op import OPS, Alternative, Op, OpCall, define, elementwise
from graphc.ops.operand_text import with_masks

if TYPE_CHECKING:
    from graphc.value import Value

Factor = Callable[..., "Value | int"]


def _number(value: Value) -> float | None:
    """The number that a constant is; None for what is no constant."""
    found = value.node.attrs.get("value") if value.node.op is OPS["const"] else None
    return float(found) if isinstance(found, (int, float)) else None


def _power_base(r: Value, x: Value, y: Value) -> Value | int:
    """``y * x**(y - 1)``; at x = y = 0 that is 0 * inf, where the derivative of ``x**0`` is 0."""
    exponent = _number(y)
    if exponent in (0.0, 1.0):
        return int(exponent)
    if exponent is not None:
        return exponent * (x if exponent == 2.0 else x ** (exponent - 1.0))
    origin = OPS["logical_and"](OPS["equal"](x, 0), OPS["equal"](y, 0))
    return y * x ** OPS["where"](origin, 0, y - 1)


def _power_exponent(r: Value, x: Value, y: Value) -> Value:
    """``x**y * log(x)``; at x = 0 < y that is 0 * -inf, where the derivative is 0."""
    base = _number(x)
    if base is not None and base > 0:
        return r * log(base)
    return r * OPS["log"](OPS["where"](OPS["equal"](x, 0), 1, x))


def _power_text(c: OpCall, x: ast.expr, y: ast.expr) -> ast.expr:
    if isinstance(y, ast.Constant) and isinstance(y.value, float) and y.value.is_integer() and not _is_number(x):
        y = ast.Constant(int(y.value))
    return with_masks("x ** y")(c, x, y)


def _negative_text(c: OpCall, x: ast.expr) -> ast.expr:
    """``-x``; of a mean ``-x.sum() / N``, the same number with fewer parentheses."""
    if isinstance(x, ast.BinOp) and isinstance(x.op, ast.Div) and _is_sum(x.left) and c.tensor.ndim == 0:
        return ast.BinOp(ast.UnaryOp(ast.USub(), x.left), x.op, x.right)
    return ast.UnaryOp(ast.USub(), x)


def _is_sum(text: ast.expr) -> bool:
    return isinstance(text, ast.Call) and isinstance(text.func, ast.Attribute) and text.func.attr == "sum"


def _is_number(text: ast.expr) -> bool:
    return isinstance(text, ast.Constant)


def _where_text(c: OpCall, condition: ast.expr, x: ast.expr, y: ast.expr) -> ast.expr:
    """Two scalar branches may both be Python floats, from which NumPy would make float64."""
    text = fill("np.where(c, x, y)", {"c": condition, "x": x, "y": y})
    scalars = c.operand(1).ndim == c.operand(2).ndim == 0 and c.tensor.is_float
    return method(text, "astype", float_dtype()) if scalars else text


def _winning(compare: str) -> tuple[Factor, Factor]:
    """The partials of maximum and minimum: ties share the cotangent evenly."""

    def share(r: Value, left: Value, right: Value) -> Value:
        half = r.builder.constant(0.5, r.type.dtype)
        return OPS[compare](left, right) + half * OPS["equal"](left, right)

    return (lambda r, x, y: share(r, x, y)), (lambda r, x, y: share(r, y, x))


def _signs(r: Value) -> tuple[Value, Value]:
    """1 and -1 in the type of a result: two plain numbers would be of the builder's."""
    return r.builder.constant(1.0, r.type.dtype), r.builder.constant(-1.0, r.type.dtype)


_LARGER, _SMALLER = _winning("greater"), _winning("less")
# JAX's clip is minimum(maximum(x, low), high), and each of them shares ties.
_SHARED_CLIP: tuple[Factor, ...] = (
    lambda r, x, low, high: _LARGER[0](r, x, low) * _SMALLER[0](r, OPS["maximum"](x, low), high),
    lambda r, x, low, high: _LARGER[1](r, x, low) * _SMALLER[0](r, OPS["maximum"](x, low), high),
    lambda r, x, low, high: _SMALLER[1](r, OPS["maximum"](x, low), high),
)

_ARITHMETIC = (
    elementwise(
        "add",
        lambda sp, x, y: x + y,
        "x + y",
        partials=(lambda r, x, y: 1, lambda r, x, y: 1),
        commutative=True,
        linear=True,
        label="+",
        doc="sum",
    ),
    elementwise(
        "sub",
        lambda sp, x, y: x - y,
        "x - y",
        partials=(lambda r, x, y: 1, lambda r, x, y: -1),
        linear=True,
        label="−",
        doc="difference",
    ),
    elementwise(
        "mul",
        lambda sp, x, y: x * y,
        "x * y",
        partials=(lambda r, x, y: y, lambda r, x, y: x),
        commutative=True,
        label="×",
        doc="product",
    ),
    elementwise(
        "div",
        lambda sp, x, y: x / y,
        "x / y",
        coercion="float",
        partials=(lambda r, x, y: 1 / y, lambda r, x, y: -r / y),
        domain=((-3, 3), (0.5, 3)),
        needs=("any", "nonzero"),
        flops=4,
        label="÷",
        doc="quotient",
    ),
    elementwise(
        "floor_divide",
        lambda sp, x, y: sp.floor(x / y),
        "x // y",
        partials=(None, None),
        domain=((-3, 3), (0.5, 3)),
        needs=("any", "nonzero"),
        flops=4,
        label="//",
        convention="floor_divide' = 0",
        doc="floor of the quotient",
    ),
    elementwise(
        "mod",
        lambda sp, x, y: x - y * sp.floor(x / y),
        "x % y",
        partials=(lambda r, x, y: 1, lambda r, x, y: -(OPS["floor_divide"](x, y))),
        domain=((-3, 3), (0.5, 3)),
        needs=("any", "nonzero"),
        flops=4,
        label="%",
        doc="remainder, with the sign of the divisor",
    ),
    elementwise("neg", lambda sp, x: -x, "-x", partials=(lambda r, x: -1,), linear=True, label="−", doc="negative"),
    elementwise(
        "power",
        lambda sp, x, y: x**y,
        "x ** y",
        partials=(_power_base, _power_exponent),
        domain=((0.2, 3), (-2, 2)),
        needs=("positive", "any"),
        flops=20,
        label="xʸ",
        convention="(x**0)'(0) = 0",
        doc="power",
    ),
    elementwise(
        "abs",
        lambda sp, x: sp.Abs(x),
        "np.abs(x)",
        partials=(lambda r, x: OPS["sign"](x),),
        nonnegative=True,
        convention="abs'(0) = 0",
        alternatives={"jax": Alternative("abs'(0) = 1", (lambda r, x: OPS["where"](x >= 0, *_signs(r)),))},
        doc="absolute value",
    ),
    elementwise(
        "square",
        lambda sp, x: x**2,
        "np.square(x)",
        partials=(lambda r, x: 2 * x,),
        nonnegative=True,
        label="²",
        doc="square",
    ),
    elementwise(
        "maximum",
        lambda sp, x, y: sp.Max(x, y),
        "np.maximum(x, y)",
        partials=_LARGER,
        commutative=True,
        label="max",
        convention="ties of maximum share the cotangent evenly",
        doc="larger of two",
    ),
    elementwise(
        "minimum",
        lambda sp, x, y: sp.Min(x, y),
        "np.minimum(x, y)",
        partials=_SMALLER,
        commutative=True,
        label="min",
        convention="ties of minimum share the cotangent evenly",
        doc="smaller of two",
    ),
    # At a bound SymPy halves the derivative; here the operand keeps all of it.
    elementwise(
        "clip",
        lambda sp, x, y, z: sp.Min(sp.Max(x, y), z),
        "np.clip(x, y, z)",
        partials=(
            lambda r, x, low, high: OPS["logical_and"](x >= low, x <= high),
            lambda r, x, low, high: OPS["logical_and"](x < low, low <= high),
            lambda r, x, low, high: OPS["logical_or"](x > high, low > high),
        ),
        domain=((-3, 3), (-1.5, -0.5), (0.5, 1.5)),
        flops=2,
        convention="clip'(bound) = 1",
        alternatives={"jax": Alternative("clip'(bound) = 1/2", _SHARED_CLIP)},
        doc="x limited to the range from y to z",
    ),
)

# Floats only: of an integer NumPy's answer depends on the version.
_STEPS = (
    elementwise(
        "sign", lambda sp, x: sp.sign(x), "np.sign(x)", partials=(None,), convention="sign' = 0", doc="-1, 0 or 1"
    ),
    elementwise(
        "floor",
        lambda sp, x: sp.floor(x),
        "np.floor(x)",
        coercion="float",
        partials=(None,),
        convention="floor' = 0",
        doc="largest integer below",
    ),
    elementwise(
        "ceil",
        lambda sp, x: sp.ceiling(x),
        "np.ceil(x)",
        coercion="float",
        partials=(None,),
        convention="ceil' = 0",
        doc="smallest integer above",
    ),
    elementwise(
        "round",
        lambda sp, x: (
            sp.floor(x + sp.Rational(1, 2)) - sp.Piecewise((1, sp.Eq(sp.Mod(x, 2), sp.Rational(1, 2))), (0, True))
        ),
        "np.round(x)",
        coercion="float",
        partials=(None,),
        convention="round' = 0",
        doc="nearest integer, ties to even",
    ),
    elementwise(
        "step",
        lambda sp, x: sp.Heaviside(x, 0),
        "np.heaviside(x, 0.0)",
        coercion="float",
        partials=(None,),
        nonnegative=True,
        convention="step(0) = 0, step' = 0",
        doc="1 above zero, else 0",
    ),
    elementwise(
        "relu",
        lambda sp, x: sp.Max(x, 0),
        "np.maximum(x, 0.0)",
        coercion="float",
        partials=(lambda r, x: r > 0,),
        nonnegative=True,
        convention="relu'(0) = 0",
        doc="max(x, 0)",
    ),
)

_COMPARISONS = tuple(
    elementwise(
        name,
        math,
        f"x {sign} y",
        coercion="compare",
        partials=(None, None),
        commutative=commutative,
        label=label,
        doc=doc,
    )
    for name, sign, label, doc, commutative, math in (
        ("equal", "==", "=", "whether equal", True, lambda sp, x, y: sp.Eq(x, y)),
        ("not_equal", "!=", "≠", "whether different", True, lambda sp, x, y: sp.Ne(x, y)),
        ("less", "<", "<", "whether less", False, lambda sp, x, y: x < y),
        ("less_equal", "<=", "≤", "whether less or equal", False, lambda sp, x, y: x <= y),
        ("greater", ">", ">", "whether greater", False, lambda sp, x, y: x > y),
        ("greater_equal", ">=", "≥", "whether greater or equal", False, lambda sp, x, y: x >= y),
    )
)

_LOGICAL = (
    elementwise(
        "logical_and",
        lambda sp, x, y: sp.And(sp.Ne(x, 0), sp.Ne(y, 0)),
        "x & y",
        coercion="logical",
        partials=(None, None),
        commutative=True,
        label="∧",
        doc="both",
    ),
    elementwise(
        "logical_or",
        lambda sp, x, y: sp.Or(sp.Ne(x, 0), sp.Ne(y, 0)),
        "x | y",
        coercion="logical",
        partials=(None, None),
        commutative=True,
        label="∨",
        doc="either or both",
    ),
    elementwise(
        "logical_xor",
        lambda sp, x, y: sp.Xor(sp.Ne(x, 0), sp.Ne(y, 0)),
        "x ^ y",
        coercion="logical",
        partials=(None, None),
        commutative=True,
        label="⊻",
        doc="exactly one",
    ),
    # Not ~x: of a Python bool that is -1 or -2.
    elementwise(
        "logical_not",
        lambda sp, x: sp.Eq(x, 0),
        "np.logical_not(x)",
        coercion="logical",
        partials=(None,),
        label="¬",
        doc="the opposite",
    ),
)

_WHERE = elementwise(
    "where",
    lambda sp, c, x, y: sp.Piecewise((x, sp.Ne(c, 0)), (y, True)),
    "np.where(x, y, z)",
    coercion="where",
    partials=(None, lambda r, c, x, y: c, lambda r, c, x, y: OPS["logical_not"](c)),
    doc="y where x holds, else z",
)

_OWN_TEXTS: dict[str, Callable[..., ast.expr]] = {"neg": _negative_text, "power": _power_text, "where": _where_text}


def _with_text(op: Op) -> Op:
    """An op of numbers, with the text that knows what masks and Python floats become."""
    assert op.elementwise is not None and isinstance(op.numpy, str)
    if op.elementwise.coercion == "number" and op.arity != 1:
        return replace(op, numpy=_OWN_TEXTS.get(op.name, with_masks(op.numpy)))
    return replace(op, numpy=_OWN_TEXTS.get(op.name, op.numpy))


for _op in (*_ARITHMETIC, *_STEPS, *_COMPARISONS, *_LOGICAL, _WHERE):
    define(_with_text(_op))
