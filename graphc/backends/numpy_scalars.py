"""Functions of scalars alone, for speed: their statements become a function of the library that they compute with.

First that is ``math``, with Python's floats, which take a quarter of the time of NumPy's scalars and give the same
numbers, to rounding. Where NumPy has inf or NaN, Python raises an error, goes on with complex numbers (``**``), or has
the same without a warning. Then NumPy computes all of it once more.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from graphc.backends.expression_text import expression_text
from graphc.backends.numpy_layout import target_text
from graphc.backends.numpy_names import Names
from graphc.backends.numpy_scan import Function, Loop, Statement, Written, assignment
from graphc.numpy_text import call, copied, fill
from graphc.tensor_type import TensorType, Type

_ALIKE = (
    *("sqrt", "exp", "expm1", "log", "log1p", "log2", "log10", "hypot", "inf", "nan"),
    *("sin", "cos", "tan", "sinh", "cosh", "tanh"),
)
_COMMON: Mapping[str, str] = {
    **{name: name for name in _ALIKE},
    **{f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan", "tan2", "sinh", "cosh", "tanh")},
    "abs": "fabs",
}
"""What both libraries have, by the names that texts take from NumPy."""
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
_COMPUTING = (ast.Call, ast.BinOp, ast.UnaryOp)
_USED = frozenset({"ArithmeticError", "TypeError", "ValueError", "float", "isinstance", "map", "math", "sum", "type"})
"""What the statements below call by these names."""

# In nanoseconds, as measured: what an operator and a call save, and what a function, an operand and a result cost.
_OPERATOR, _CALL, _FUNCTION, _OPERAND, _RESULT = 24, 110, 350, 20, 70

_COMMENT = (
    "# Python's floats are quicker than NumPy's scalars, which compute what is float32, and what has",
    "# no finite, real result in floats: log(0), 1 / 0, (-8) ** 0.5.",
)


def in_floats(
    statements: Sequence[Written], results: Mapping[str, ast.expr], leaves: Mapping[str, Type], names: Names
) -> list[Written] | None:
    """Statements that compute the same with Python's floats where that gives numbers.

    Parameters
    ----------
    statements : sequence of Statement or Loop
    results : mapping of str to ast.expr
        What is needed after them, by the variables that it is to have.
    leaves : mapping of str to Type
        The variables that are there before.
    names : Names
        The scope of the function.

    Returns
    -------
    list of Statement or Loop, or None
        None where anything is no scalar float or is not in both libraries, and where it would not be quicker.
    """
    plain = [found for found in statements if isinstance(found, Statement) and found.operator == "="]
    parts: list[ast.AST] = []
    for value in (*(found.value for found in plain), *results.values()):
        inside = [*ast.walk(value)]
        if not all(map(_is_common, inside)):
            return None
        parts += inside
    read = {part.id for part in parts if isinstance(part, ast.Name)} - {"np"} - {found.target for found in plain}
    operands = [name for name, type in leaves.items() if name in read and _is_scalar(type)]
    if len(plain) < len(statements) or not operands or len(operands) < len(read) or _USED.intersection(operands):
        return None
    if not _is_quicker(parts, len(operands), len(results)):
        return None
    function, library = names.take("compute"), names.take("lib")
    body = [_with_library(found, library) for found in plain]
    returned = tuple(_translated(value, library) for value in results.values())
    first_line = f"def {function}({', '.join([library, *operands])}):"
    return [Function(first_line, tuple(body), (), returned), *_calls(function, operands, [*results], names)]


def _calls(function: str, operands: Sequence[str], results: Sequence[str], names: Names) -> list[Written]:
    """The call with ``math``, the call with NumPy unless that gave finite numbers, and the results as its scalars."""
    found, numbers = names.take("found"), names.take("numbers")
    variables = [ast.Name(name, ast.Load()) for name in operands]
    held = {"x": variables[0], "found": ast.Name(found, ast.Load()), "numbers": ast.Name(numbers, ast.Load())}
    attempt = (
        assignment(numbers, call(function, ast.Name("math"), *(call("float", x) for x in variables)), ()),
        Loop(
            f"if math.isfinite(sum({numbers})):", (assignment(found, fill("map(np.float64, numbers)", held), ()),), ()
        ),
    )
    caught = Loop("except (ArithmeticError, TypeError, ValueError):", (_line("pass"),), ())
    again = assignment(found, call(function, ast.Name("np"), *variables), ())
    return [
        assignment(found, ast.Constant(None), _COMMENT),
        Loop(f"if isinstance({operands[0]}, float):", (Loop("try:", attempt, ()), caught), _COMMENT),
        Loop(f"if {found} is None:", (again,), _COMMENT),
        assignment(target_text(results), held["found"], _COMMENT),
    ]


def checked_late(statements: Sequence[Written], arguments: Sequence[str], check: Statement) -> list[Written]:
    """Statements of `in_floats` with the check of the arguments where it is needed: floats fit as they are."""
    function, before, attempt, again, results = statements
    assert isinstance(attempt, Loop) and isinstance(again, Loop)
    plain = replace(attempt, text=f"if {{*map(type, [{', '.join(arguments)}])}} <= {{float, np.float64}}:")
    return [function, before, plain, replace(again, body=(check, *again.body)), results]


def _line(text: str) -> Statement:
    return Statement("", ast.Name(text), text, (), operator="")


def _is_common(part: ast.AST) -> bool:
    """Whether a part of an expression is in both libraries, with the same meaning for numbers that are finite."""
    match part:
        case ast.Attribute(ast.Name("np"), name):
            return name in _COMMON or name == "square"
        case ast.BinOp():
            return isinstance(part.op, _OPERATORS)
        case ast.Constant(value):
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case ast.Call():
            return isinstance(part.func, ast.Attribute) and not part.keywords
    return isinstance(part, (ast.Name, ast.UnaryOp, ast.USub, ast.operator, ast.expr_context))


def _is_scalar(type: Type) -> bool:
    return isinstance(type, TensorType) and type.is_float and not type.shape


def _is_quicker(parts: Collection[ast.AST], operands: int, results: int) -> bool:
    saved = sum(_CALL if isinstance(part, ast.Call) else _OPERATOR for part in parts if isinstance(part, _COMPUTING))
    return saved > _FUNCTION + _OPERAND * operands + _RESULT * results


def _translated(value: ast.expr, library: str) -> ast.expr:
    """An expression with the functions of a library in place of NumPy's."""

    def replacement(part: ast.AST) -> ast.expr | None:
        match part:
            case ast.Call(ast.Attribute(ast.Name("np"), "square"), [x]):
                operand = copied(x, replacement)
                product = isinstance(operand, ast.Name)
                return fill("x * x" if product else "x ** 2", {"x": operand})
            case ast.Attribute(ast.Name("np"), name):
                return ast.Attribute(ast.Name(library, ast.Load()), _COMMON[name], ast.Load())
        return None

    return copied(value, replacement)


def _with_library(statement: Statement, library: str) -> Statement:
    value = _translated(statement.value, library)
    return replace(statement, value=value, text=expression_text(value))
