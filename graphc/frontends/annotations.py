"""What annotates the arguments of a function that is traced: ``X: gx.f64["N", 3]``, ``w: gx.param[3] = gx.zeros()``."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.frontends.session import Session
from graphc.frontends.statements import run
from graphc.frontends.syntax import span_of
from graphc.frontends.values import Arguments, Call, Frame, Primitive, Task
from graphc.size import SizeExpr
from graphc.source import Source
from graphc.tensor_type import DType


@dataclass(frozen=True)
class Declaration:
    """An input or a parameter, with its dtype and its sizes: numbers, names and texts such as ``"2*N"``.

    Examples
    --------
    >>> f64["N", 3]
    f64['N', 3]
    """

    name: str
    kind: Literal["Input", "Param"]
    dtype: DType | None
    sizes: tuple[object, ...] = ()

    def __getitem__(self, sizes: Any) -> Declaration:
        return replace(self, sizes=sizes if isinstance(sizes, tuple) else (sizes,))

    def __repr__(self) -> str:
        return f"{self.name}[{', '.join(map(repr, self.sizes))}]" if self.sizes else self.name


f64 = Declaration("f64", "Input", "float64")
f32 = Declaration("f32", "Input", "float32")
i64 = Declaration("i64", "Input", "int64")
i32 = Declaration("i32", "Input", "int32")
bool_ = Declaration("bool_", "Input", "bool")
param = Declaration("param", "Param", None)
SCALAR = Declaration("float", "Input", None)

DECLARATIONS: Mapping[str, Declaration] = {d.name: d for d in (f64, f32, i64, i32, bool_, param)}


@dataclass(frozen=True)
class InitializerCall:
    """An initialiser of the library with its arguments, until the shape of its parameter is known.

    Examples
    --------
    >>> InitializerCall("normal", (0, 0.1))
    normal(0, 0.1)
    """

    name: str
    values: tuple[object, ...] = ()
    keywords: tuple[tuple[str, object], ...] = ()

    def __post_init__(self) -> None:
        for value in (*self.values, *(value for _, value in self.keywords)):
            if type(value) not in (bool, int, float):
                raise TypeError(f"expected plain numbers for {self.name}, found {value!r}")

    def __repr__(self) -> str:
        arguments = [*map(repr, self.values), *(f"{name}={value!r}" for name, value in self.keywords)]
        return f"{self.name}({', '.join(arguments)})"


def declare(
    session: Session,
    frame: Frame,
    name: str,
    declaration: Declaration,
    place: ast.AST,
    init: ast.AST | None,
    value: Any,
) -> Any:
    """Declare an argument as the text ``name: Input[...]`` or ``name: Param[...] = init`` would.

    Parameters
    ----------
    session : Session
    frame : Frame
        The top of the model, with the names that sizes may use.
    name : str
    declaration : Declaration
    place, init : ast.AST
        The argument and its default in the user's text.
    value : object
        The default, ``inspect.Parameter.empty`` without one.

    Returns
    -------
    Value
    """
    kind = ast.Name(declaration.kind, ast.Load())
    parts = [_size(frame, size, place) for size in declaration.sizes]
    if declaration.dtype is not None:
        parts.append(ast.Name(declaration.dtype, ast.Load()))
    annotation = ast.Subscript(kind, ast.Tuple(parts, ast.Load()), ast.Load()) if parts else kind
    given = None if init is None else _initializer(frame, value)
    statement = ast.AnnAssign(ast.Name(name, ast.Store()), annotation, given, 1)
    for part in ast.walk(statement):
        ast.copy_location(part, place)
    for part in ast.walk(given) if given is not None else ():
        ast.copy_location(part, init)  # type: ignore[arg-type]
    run(session, Task([statement], frame))
    return frame.names[name]


def _size(frame: Frame, size: object, place: ast.AST) -> ast.expr:
    """A size as syntax."""
    if isinstance(size, str):
        try:
            tree = ast.parse(size, mode="eval").body
        except (SyntaxError, ValueError):
            tree = None
        if tree is not None and all(isinstance(part, _SIZE_SYNTAX) for part in ast.walk(tree)):
            return tree
    elif isinstance(size, int) and not isinstance(size, bool):
        return ast.Constant(size)
    elif isinstance(size, SizeExpr):
        return ast.parse(str(size), mode="eval").body
    message = f'expected a size: a whole number, a name or a formula such as 3, "N" or "2*N"; found {size!r}'
    raise GraphcError(Diagnostic("GC106", message, span_of(frame.call.source, place)))


_SIZE_SYNTAX = (ast.BinOp, ast.Constant, ast.Name, ast.expr_context, ast.operator, ast.UnaryOp, ast.unaryop)
_GIVEN = "initial value"
"""No name of a model."""


def _initializer(frame: Frame, value: object) -> ast.expr:
    """A default as syntax: the name that it is bound to, called when it is an initialiser."""
    if isinstance(value, (bool, int, float)):
        return ast.Constant(value)
    frame.names[_GIVEN] = value
    if not isinstance(value, InitializerCall):
        return ast.Name(_GIVEN, ast.Load())
    frame.names[_GIVEN] = Primitive(value.name, "", lambda session, arguments: _evaluated(session, arguments, value))
    return ast.Call(ast.Name(_GIVEN, ast.Load()), [], [])


def _evaluated(session: Session, arguments: Arguments, call: InitializerCall) -> object:
    """The initialiser, read as a text of its own: its arguments are plain numbers."""
    text = repr(call)
    place = span_of(arguments.frame.call.source, arguments.node)
    inner = Call(Source(session.source.name, text), call.name, (place,))
    return run(session, Task(ast.parse(text, mode="eval").body, Frame({}, inner)))
