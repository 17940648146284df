"""Arithmetic of what is known while a model is read: numbers, sizes, texts and lists, each with a bound."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Sequence

from graphc.errors import TypeRuleError
from graphc.frontends.session import MAX_ITEMS, MAX_STRING, is_size
from graphc.frontends.values import describe
from graphc.size import Quotient, Size, SizeExpr, at_least, divide, never_equal

MAX_INT = 2**63 - 1
MAX_TERMS = 200
MAX_QUOTIENTS = 8


def binary(symbol: str, left: object, right: object) -> object:
    """The result of an operator on static values; None when a tensor is needed for it.

    Raises
    ------
    TypeRuleError
        GC106 when the operands are of the wrong kind, GC107 when there is no result, GC401 past a bound.

    Examples
    --------
    >>> binary("*", 6, 7), binary("/", 1, 4), binary("+", "a", "b")
    (42, 0.25, 'ab')
    """
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return _bounded(_number(symbol, left, right))
    if is_size(left) and is_size(right):
        return _sized(symbol, left, right)  # type: ignore[arg-type]
    if isinstance(left, (SizeExpr, int, float)) and isinstance(right, (SizeExpr, int, float)):
        return None
    return _joined(symbol, left, right)


def unary(symbol: str, value: object) -> object:
    """The result of a sign or ``~`` on a static value.

    Raises
    ------
    TypeRuleError
        GC106 when the operand is of the wrong kind.
    """
    if symbol == "~" and isinstance(value, bool):
        return not value
    if symbol in "+-" and (is_size(value) or isinstance(value, float)):
        return -value if symbol == "-" else value  # type: ignore[operator]
    raise TypeRuleError("GC106", f"expected a number or a tensor for {symbol}, found {describe(value)}")


def compare(symbol: str, left: object, right: object) -> bool:
    """The answer to a comparison of static values.

    Raises
    ------
    TypeRuleError
        GC106 when it cannot be known while the model is read, or makes no sense.
    """
    if symbol in ("==", "!="):
        return equal(left, right) == (symbol == "==")
    if is_size(left) and is_size(right):
        return _ordered(symbol, left, right)  # type: ignore[arg-type]
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return bool(_ORDER[symbol](left, right))
    raise TypeRuleError(
        "GC106", f"expected numbers to compare by {symbol}, found {describe(left)} and {describe(right)}"
    )


def equal(left: object, right: object) -> bool:
    """Whether two static values are equal; a named size and a number are not known to be.

    Raises
    ------
    TypeRuleError
        GC106 when it cannot be known, or lists hold lists.
    """
    if isinstance(left, (tuple, list)) and isinstance(right, (tuple, list)):
        if any(isinstance(item, (tuple, list)) for item in (*left, *right)):
            raise TypeRuleError(
                "GC106", "expected numbers, sizes and texts in the lists to compare, found a list in a list"
            )
        return len(left) == len(right) and all(map(equal, left, right))
    if is_size(left) and is_size(right):
        if left == right or never_equal(left, right):  # type: ignore[arg-type]
            return left == right
        raise _undecided(f"{left} == {right}")
    plain = (bool, int, float, str, SizeExpr, type(None))
    if isinstance(left, plain) and isinstance(right, plain):
        return left == right
    return left is right


def checked_size(size: Size) -> Size:
    """The size, unless it is a number or a formula past its bound.

    Raises
    ------
    TypeRuleError
        GC401.
    """
    if isinstance(size, int):
        return int(_bounded(size))
    if len(size.terms) > MAX_TERMS or any(abs(c) > MAX_INT for _, c in size.terms) or _quotients(size) > MAX_QUOTIENTS:
        raise TypeRuleError("GC401", f"a size is a formula of at most {MAX_TERMS} terms, found one that is larger")
    return size


def mathematics(name: str, operands: Sequence[object]) -> object:
    """A function of plain numbers as a number; None when graphc has no plain form of it.

    Raises
    ------
    TypeRuleError
        GC107 outside the function's domain.

    Examples
    --------
    >>> mathematics("sqrt", [4])
    2.0
    """
    function = _FUNCTIONS.get(name)
    if function is None or not operands or not all(isinstance(x, (int, float)) for x in operands):
        return None
    try:
        return _bounded(function(*operands))
    except (ValueError, OverflowError, TypeError):
        found = ", ".join(map(str, operands))
        raise TypeRuleError("GC107", f"expected numbers that {name} is defined for, found {found}") from None


_FUNCTIONS: dict[str, Callable[..., int | float]] = {
    **{name: getattr(math, name) for name in ("sqrt", "exp", "log", "log2", "log10", "log1p", "expm1", "erf")},
    **{name: getattr(math, name) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "floor", "ceil")},
    "abs": abs,
    "round": round,
    "square": lambda x: x * x,
    "minimum": min,
    "maximum": max,
}

_ORDER: dict[str, Callable[..., bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_ARITHMETIC: dict[str, Callable[..., int | float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}

_LOGIC: dict[str, Callable[..., bool]] = {"&": operator.and_, "|": operator.or_, "^": operator.xor}


def _number(symbol: str, left: int | float, right: int | float) -> int | float:
    if symbol in _LOGIC and isinstance(left, bool) and isinstance(right, bool):
        return _LOGIC[symbol](left, right)
    try:
        if symbol == "**":
            return _power(left, right)
        if symbol in _ARITHMETIC:
            return _ARITHMETIC[symbol](left, right)
    except ZeroDivisionError:
        raise TypeRuleError("GC107", f"expected a divisor other than 0, found {left} {symbol} {right}") from None
    except OverflowError:
        raise TypeRuleError("GC401", f"{left} {symbol} {right} is past the largest float, about 1.8e308") from None
    raise TypeRuleError("GC106", f"expected tensors for {symbol}, found {describe(left)} and {describe(right)}")


def _power(base: int | float, exponent: int | float) -> int | float:
    integers = isinstance(base, int) and isinstance(exponent, int)
    if integers and exponent > 63 and abs(base) > 1:
        raise TypeRuleError("GC401", f"a whole number has at most 63 bits, {base}**{exponent} has more")
    if integers and exponent > 0:
        exponent = min(exponent, 64 + int(exponent) % 2)  # of 0, 1 and -1 only the parity matters
    result = base**exponent
    if isinstance(result, complex):
        raise TypeRuleError(
            "GC107", f"expected a base that is not negative for a fractional power, found ({base})**{exponent}"
        )
    assert isinstance(result, (int, float))
    return result


def _bounded(value: int | float) -> int | float:
    if isinstance(value, int) and abs(value) > MAX_INT:
        raise TypeRuleError("GC401", "a whole number has at most 63 bits, found more; write a float such as 1e30")
    return value


def _sized(symbol: str, left: Size, right: Size) -> object:
    if symbol == "**" and isinstance(right, int) and isinstance(left, SizeExpr) and 0 <= right <= 4:
        result: Size = 1
        for _ in range(right):
            result = checked_size(_times(result, left))
        return result
    if symbol == "*":
        return checked_size(_times(left, right))
    if symbol == "%" and right == 1:
        return 0
    if symbol in ("+", "-", "//", "%"):
        try:
            if symbol == "%":
                return checked_size(left - divide(left, right) * right)
            return checked_size(_ARITHMETIC[symbol](left, right))  # type: ignore[arg-type]
        except ZeroDivisionError:
            raise TypeRuleError("GC107", f"expected a divisor other than 0, found {left} {symbol} 0") from None
    return None


def _times(left: Size, right: Size) -> Size:
    terms = [len(size.terms) if isinstance(size, SizeExpr) else 1 for size in (left, right)]
    if terms[0] * terms[1] > MAX_TERMS**2 // 4:
        raise TypeRuleError("GC401", f"a size is a formula of at most {MAX_TERMS} terms, found one that is larger")
    return left * right


def _quotients(size: Size) -> int:
    """How deep quotients nest in a size; few levels, since every result is checked."""
    if isinstance(size, int):
        return 0
    atoms = [atom for monomial, _ in size.terms for atom, _ in monomial if isinstance(atom, Quotient)]
    return max((1 + max(_quotients(atom.numerator), _quotients(atom.denominator)) for atom in atoms), default=0)


def _joined(symbol: str, left: object, right: object) -> object:
    """Texts and lists joined by ``+``, a list repeated by ``*``."""
    if symbol == "*" and isinstance(right, (list, tuple)):
        left, right = right, left
    if symbol == "+" and isinstance(left, str) and isinstance(right, str):
        _check_length(len(left) + len(right), MAX_STRING, "a text has at most {} characters")
        return left + right
    if symbol == "+" and isinstance(left, list) and isinstance(right, list):
        _check_length(len(left) + len(right), MAX_ITEMS, "a list has at most {} items")
        return left + right
    if symbol == "+" and isinstance(left, tuple) and isinstance(right, tuple):
        _check_length(len(left) + len(right), MAX_ITEMS, "a tuple has at most {} items")
        return left + right
    if symbol == "*" and isinstance(left, (list, tuple)) and isinstance(right, int):
        _check_length(len(left) * right, MAX_ITEMS, "a list has at most {} items")
        return left * right
    found = f"{describe(left)} and {describe(right)}"
    raise TypeRuleError("GC106", f"expected numbers or tensors for {symbol}, found {found}")


def _check_length(length: int, bound: int, message: str) -> None:
    if length > bound:
        raise TypeRuleError("GC401", f"{message.format(bound)}, this one would have {length}")


def _ordered(symbol: str, left: Size, right: Size) -> bool:
    difference = right - left
    if symbol in (">", ">="):
        difference = left - right
    answer = at_least(difference, 1 if symbol in ("<", ">") else 0)
    if answer is None:
        raise _undecided(f"{left} {symbol} {right}")
    return answer


def _undecided(question: str) -> TypeRuleError:
    return TypeRuleError("GC106", f"expected what is known while the model is read, found {question}, which is not")


OPERATORS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Add: ("+", "add"),
    ast.Sub: ("-", "sub"),
    ast.Mult: ("*", "mul"),
    ast.Div: ("/", "div"),
    ast.FloorDiv: ("//", "floor_divide"),
    ast.Mod: ("%", "mod"),
    ast.Pow: ("**", "power"),
    ast.MatMult: ("@", "matmul"),
    ast.BitAnd: ("&", "logical_and"),
    ast.BitOr: ("|", "logical_or"),
    ast.BitXor: ("^", "logical_xor"),
    ast.USub: ("-", "neg"),
    ast.UAdd: ("+", ""),
    ast.Invert: ("~", "logical_not"),
    ast.Eq: ("==", "equal"),
    ast.NotEq: ("!=", "not_equal"),
    ast.Lt: ("<", "less"),
    ast.LtE: ("<=", "less_equal"),
    ast.Gt: (">", "greater"),
    ast.GtE: (">=", "greater_equal"),
}
"""Python's operators: as they are written, and the ops that they are on tensors."""
