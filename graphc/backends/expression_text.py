"""Expressions as text, as `ast.unparse` writes them, but in a tenth of the time: emission does little else.

Only a number such as 0.09999999999999998 has another text, `1.0 - 0.9`, which Python computes when it reads it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence

# How tightly parts bind, loosest first; a part that stands where a tighter one is needed gets parentheses.
_ANY, _EITHER, _DIFFERENT, _BOTH, _SHIFTED, _TERM, _FACTOR, _SIGNED, _POWER, _RAISED, _ATOM = range(11)

_OPERATORS: Mapping[type[ast.operator], tuple[str, int]] = {
    ast.Add: (" + ", _TERM),
    ast.Sub: (" - ", _TERM),
    ast.Mult: (" * ", _FACTOR),
    ast.Div: (" / ", _FACTOR),
    ast.MatMult: (" @ ", _FACTOR),
    ast.Mod: (" % ", _FACTOR),
    ast.FloorDiv: (" // ", _FACTOR),
    ast.BitOr: (" | ", _EITHER),
    ast.BitXor: (" ^ ", _DIFFERENT),
    ast.BitAnd: (" & ", _BOTH),
    ast.LShift: (" << ", _SHIFTED),
    ast.RShift: (" >> ", _SHIFTED),
}
_SIGNS: Mapping[type[ast.unaryop], str] = {ast.USub: "-", ast.UAdd: "+", ast.Invert: "~"}
_LOOSE = (ast.BoolOp, ast.IfExp, ast.Lambda, ast.UnaryOp, ast.Compare)


def expression_text(value: ast.expr) -> str:
    """The text of an expression.

    Examples
    --------
    >>> expression_text(ast.parse("((a+b) * -c)[0:2, 1] @ f(x, axis = (1,))", mode="eval").body)
    '((a + b) * -c)[0:2, 1] @ f(x, axis=(1,))'
    >>> print(1 - 0.9, expression_text(ast.parse(f"{1 - 0.9} * x", mode="eval").body))
    0.09999999999999998 (1.0 - 0.9) * x
    """
    return _text(value, _ANY)


def _text(part: ast.expr, needed: int) -> str:
    return _WRITERS.get(type(part), _other)(part, needed)


def _name(part: ast.Name, needed: int) -> str:
    return part.id


def _constant(part: ast.Constant, needed: int) -> str:
    text = repr(part.value) if type(part.value) in _PLAIN else ""
    if len(text) > _LONG and type(part.value) is float:
        rest = _rest(part.value)
        if rest is not None:
            text = f"1.0 - {rest!r}"
            return f"({text})" if needed > _TERM else text
    return text if text and "inf" not in text else ast.unparse(part)


_LONG = 16
"""Characters that no float needs which somebody wrote."""


def _rest(value: float) -> float | None:
    """The number of few digits that, taken from 1, leaves this one, to the last bit."""
    rest = float(f"{1 - value:.5g}")
    return rest if 1e-4 <= rest < 1 and 1 - rest == value else None


_PLAIN = (int, float, bool, str, type(None))


def _binary(part: ast.BinOp, needed: int) -> str:
    if type(part.op) is ast.Pow:
        text, level = f"{_text(part.left, _RAISED)} ** {_text(part.right, _POWER)}", _POWER
    else:
        operator, level = _OPERATORS[type(part.op)]
        text = _text(part.left, level) + operator + _text(part.right, level + 1)
    return f"({text})" if needed > level else text


def _unary(part: ast.UnaryOp, needed: int) -> str:
    sign = _SIGNS.get(type(part.op))
    if sign is None:
        return _other(part, needed)
    text = sign + _text(part.operand, _SIGNED)
    return f"({text})" if needed > _SIGNED else text


def _attribute(part: ast.Attribute, needed: int) -> str:
    space = " " if isinstance(part.value, ast.Constant) and isinstance(part.value.value, int) else ""
    return f"{_text(part.value, _ATOM)}{space}.{part.attr}"


def _call(part: ast.Call, needed: int) -> str:
    items = [_text(argument, _ANY) for argument in part.args]
    items += [f"{word.arg}={_text(word.value, _ANY)}" if word.arg else ast.unparse(word) for word in part.keywords]
    return f"{_text(part.func, _ATOM)}({', '.join(items)})"


def _subscript(part: ast.Subscript, needed: int) -> str:
    index = part.slice
    text = _items(index.elts) if isinstance(index, ast.Tuple) and index.elts else _text(index, _ANY)
    return f"{_text(part.value, _ATOM)}[{text}]"


def _slice(part: ast.Slice, needed: int) -> str:
    first, last, step = ("" if end is None else _text(end, _ANY) for end in (part.lower, part.upper, part.step))
    return f"{first}:{last}:{step}" if step else f"{first}:{last}"


def _tuple(part: ast.Tuple, needed: int) -> str:
    return f"({_items(part.elts)})"


def _list(part: ast.List, needed: int) -> str:
    return f"[{', '.join([_text(item, _ANY) for item in part.elts])}]"


def _items(items: Sequence[ast.expr]) -> str:
    return ", ".join([_text(item, _ANY) for item in items]) + ("," if len(items) == 1 else "")


def _other(part: ast.expr, needed: int) -> str:
    """What is rare."""
    text = ast.unparse(part)
    return f"({text})" if needed > _ANY and isinstance(part, _LOOSE) else text


_WRITERS: Mapping[type, Callable[..., str]] = {
    ast.Name: _name,
    ast.Constant: _constant,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.Attribute: _attribute,
    ast.Call: _call,
    ast.Subscript: _subscript,
    ast.Slice: _slice,
    ast.Tuple: _tuple,
    ast.List: _list,
}
