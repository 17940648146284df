"""The bridge to SymPy: partial derivatives of elementwise ops, and SymPy expressions as graph values.

SymPy is imported at first need: it takes longer than all the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, reduce
from typing import TYPE_CHECKING, TypeAlias

from graphc.op import OPS, Conventions, Op, Partials

if TYPE_CHECKING:
    import sympy

    from graphc.value import Value

Number: TypeAlias = "Value | int | float"
Partial: TypeAlias = "Callable[..., Number] | None"


@cache
def partials(op: Op, conventions: Conventions = "graphc") -> Partials:
    """The partial derivatives of an elementwise op: ``partial(result, *operands)`` per operand, None where it is zero.

    Written in the result where that is possible: the derivative of ``exp`` is its result.
    """
    assert op.elementwise is not None
    if conventions in op.alternatives:
        return op.alternatives[conventions].partials
    if op.elementwise.partials is not None:
        return op.elementwise.partials
    expression, symbols = mathematics(op)
    return tuple(_partial(expression, symbol, symbols) for symbol in symbols)


@cache
def mathematics(op: Op) -> tuple[sympy.Expr, tuple[sympy.Symbol, ...]]:
    """The SymPy expression of an elementwise op and its operands' symbols, which are real."""
    import sympy

    assert op.elementwise is not None and op.arity is not None
    symbols = tuple(sympy.Symbol(name, real=True) for name in ("x", "y", "z")[: op.arity])
    return sympy.sympify(op.elementwise.math(sympy, *symbols)), symbols


def from_sympy(expression: sympy.Expr, values: Mapping[str, Value]) -> Number:
    """A SymPy expression as a graph value.

    Parameters
    ----------
    expression : sympy.Expr
    values : mapping of str to Value
        What its symbols stand for.

    Raises
    ------
    NotImplementedError
        When it holds a function that is no op.
    """
    import sympy

    if isinstance(expression, sympy.Symbol):
        return values[expression.name]
    if not expression.free_symbols:
        return int(expression) if expression.is_Integer else float(expression)
    rule = _RULES.get(type(expression).__name__)
    if rule is not None:
        return rule(expression, values)
    name = _FUNCTIONS.get(type(expression).__name__)
    rewritten = _REWRITTEN.get(type(expression).__name__)
    if name not in OPS and rewritten is not None:
        return from_sympy(rewritten(sympy, *expression.args), values)
    if name is None or name not in OPS:
        raise NotImplementedError(f"no op for {type(expression).__name__} in {expression}")
    arguments = (from_sympy(argument, values) for argument in expression.args)
    return reduce(OPS[name], arguments) if name in _OF_MANY else OPS[name](*arguments)


# SymPy's class names and the ops that they are.
_FUNCTIONS = {
    **{name: name for name in ("exp", "log", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "erf", "sign")},
    **{name: name for name in ("sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "floor")},
    **{name: name for name in ("sec", "csc", "cot", "sech", "csch", "coth")},
    **{name: name for name in ("asec", "acsc", "acot", "asech", "acsch", "acoth")},
    **{name: name for name in ("erfc", "erfinv", "erfcinv", "gamma", "digamma", "polygamma", "beta", "sinc")},
    "loggamma": "lgamma",
    "Abs": "abs",
    "ceiling": "ceil",
    "Mod": "mod",
    "Max": "maximum",
    "Min": "minimum",
    "Equality": "equal",
    "Unequality": "not_equal",
    "StrictLessThan": "less",
    "LessThan": "less_equal",
    "StrictGreaterThan": "greater",
    "GreaterThan": "greater_equal",
    "And": "logical_and",
    "Or": "logical_or",
    "Xor": "logical_xor",
    "Not": "logical_not",
}
# SymPy's functions in others, for those that are no op.
_REWRITTEN: dict[str, Callable[..., sympy.Expr]] = {
    "sinc": lambda sp, x: sp.Piecewise((sp.sin(x) / x, sp.Ne(x, 0)), (1, True)),
    "ITE": lambda sp, condition, x, y: sp.Or(sp.And(condition, x), sp.And(sp.Not(condition), y)),
}
_OF_MANY = ("maximum", "minimum", "logical_and", "logical_or", "logical_xor")


def _partial(expression: sympy.Expr, symbol: sympy.Symbol, symbols: Sequence[sympy.Symbol]) -> Partial:
    import sympy

    result = sympy.Symbol("r", real=True)
    # powsimp: as SymPy leaves it, y * x**y / x, the derivative of a power is NaN at 0.
    derivative = between_jumps(sympy.powsimp(sympy.diff(expression, symbol)))
    # In x**(y - 1) SymPy would find x**y / x.
    if not (expression.is_Pow and expression.exp.free_symbols):
        derivative = derivative.subs(expression, result)
    if derivative == 0:
        return None

    def partial(r: Value, *operands: Value) -> Number:
        named = {s.name: operand for s, operand in zip(symbols, operands, strict=True)}
        return from_sympy(derivative, {"r": r, **named})

    return partial


def between_jumps(derivative: sympy.Expr) -> sympy.Expr:
    """A derivative of SymPy's between jumps: it gives a Dirac delta for a sign, and does not differentiate a floor."""
    import sympy

    return derivative.replace(lambda part: isinstance(part, _jump_classes()), lambda *_: sympy.Integer(0))


@cache
def _jump_classes() -> tuple[type, ...]:
    import sympy

    return sympy.DiracDelta, sympy.Derivative, sympy.Subs


def _sum(expression: sympy.Expr, values: Mapping[str, Value]) -> Number:
    positive_first = sorted(expression.args, key=lambda term: term.could_extract_minus_sign())
    return reduce(_added, (from_sympy(term, values) for term in positive_first))


def _added(left: Number, right: Number) -> Number:
    return left + right


def _product(expression: sympy.Expr, values: Mapping[str, Value]) -> Number:
    """A quotient where there are negative powers; an exponential stays above the line, where it cannot make 0 * inf."""
    import sympy

    if expression.could_extract_minus_sign():
        return -from_sympy(-expression, values)
    below = [factor for factor in expression.args if factor.is_Pow and factor.exp.could_extract_minus_sign()]
    above = [factor for factor in expression.args if factor not in below]
    factors = [from_sympy(factor, values) for factor in above]
    top = reduce(lambda left, right: left * right, factors) if factors else 1
    return top / from_sympy(sympy.Mul(*(1 / factor for factor in below)), values) if below else top


def _power(expression: sympy.Pow, values: Mapping[str, Value]) -> Number:
    import sympy

    base, exponent = expression.as_base_exp()
    if exponent.could_extract_minus_sign():
        return 1 / from_sympy(base**-exponent, values)
    value = from_sympy(base, values)
    if exponent == sympy.Rational(1, 2):
        return OPS["sqrt"](value)
    return OPS["square"](value) if exponent == 2 else OPS["power"](value, from_sympy(exponent, values))


def _piecewise(expression: sympy.Expr, values: Mapping[str, Value]) -> Number:
    branches = [(from_sympy(value, values), condition) for value, condition in expression.args]
    (result, _) = branches.pop()
    for value, condition in reversed(branches):
        result = OPS["where"](from_sympy(condition, values), value, result)
    return result


def _heaviside(expression: sympy.Expr, values: Mapping[str, Value]) -> Number:
    """1 above zero, 0 below, and at zero what the expression says: a half where operands tie."""
    x, at_zero = (from_sympy(argument, values) for argument in expression.args)
    assert not isinstance(x, (int, float)), "a constant argument is folded"
    return OPS["step"](x) + at_zero * OPS["cast"](OPS["equal"](x, 0), dtype=x.type.dtype)


_RULES: dict[str, Callable[[sympy.Expr, Mapping[str, Value]], Number]] = {
    "Add": _sum,
    "Mul": _product,
    "Pow": _power,
    "Piecewise": _piecewise,
    "Heaviside": _heaviside,
}
