"""Calls of the language's functions from traced Python: arguments and results handed over, at the user's line."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.frontends.annotations import InitializerCall
from graphc.frontends.call_sites import CallSites
from graphc.frontends.function_docs import function_doc
from graphc.frontends.session import failure
from graphc.frontends.statements import run
from graphc.frontends.values import Frame, Function, Instance, Primitive, Task, UsedModel
from graphc.op import OPS, Op
from graphc.ops.leaves import Array
from graphc.size import SizeExpr
from graphc.tensor_type import DType
from graphc.value import Value

INITIALIZERS = "initializers.gc"

TRACE: ContextVar[CallSites | None] = ContextVar("trace", default=None)
"""The trace that runs now."""


class _OwnDoc:
    """``__doc__`` of a class, and another one of each of its instances."""

    def __init__(self, doc: str | None) -> None:
        self._doc = doc

    def __get__(self, function: GraphFunction | None, owner: type) -> str | None:
        return self._doc if function is None else function_doc(function.name, function.target)


@dataclass(frozen=True)
class GraphFunction:
    """A function of the language, for graph values: an operation, a function of the library, or a layer.

    Attributes
    ----------
    name : str
    target : object
        What it is in the language.
    """

    name: str
    target: object
    __doc__ = _OwnDoc(__doc__)

    def __call__(self, *values: object, **keywords: object) -> Any:
        """Apply it at the caller's line; an initialiser outside of a trace waits for the shape of its parameter.

        Raises
        ------
        GraphcError
            When the arguments do not fit.
        """
        is_initializer = isinstance(self.target, Function) and self.target.source.name == INITIALIZERS
        if is_initializer and TRACE.get() is None:
            return InitializerCall(self.name, values, tuple(keywords.items()))
        return called(self.target, values, keywords, self.name)

    def __repr__(self) -> str:
        return f"<graphc function {self.name}>"


def called(
    target: object, values: Sequence[object], keywords: Mapping[str, object] | None = None, name: str = ""
) -> Any:
    """What a function of the language gives for these arguments, at the user's line."""
    trace, named = current_trace(name or getattr(target, "name", "")), dict(keywords or {})
    node, frame = trace.here([*values, *named.values()])
    given = {str(p): handed(trace, value, node, frame) for p, value in enumerate(values)}
    given |= {f"{key}=": handed(trace, value, node, frame) for key, value in named.items()}
    arguments: list[ast.expr] = [name_at(str(position), node) for position in range(len(values))]
    options = [located(ast.keyword(key, name_at(f"{key}=", node)), node) for key in named]
    syntax = located(ast.Call(name_at("f", node), arguments, options), node)
    return traced(run(trace.session, Task(syntax, Frame({"f": target, **given}, frame.call))))


def refuse(code: str, message: str, operands: Sequence[object] = (), hint: str = "") -> NoReturn:
    """Raise an error at the user's line."""
    trace = TRACE.get()
    if trace is None:
        raise GraphcError(Diagnostic(code, message, hint=hint))
    raise failure(code, message, *trace.here(operands), hint=hint)


def current_trace(name: str) -> CallSites:
    trace = TRACE.get()
    if trace is None:
        message = f"{name} is for graph values: expected it in a function that is traced, `@graphc.model def f(x): ...`"
        raise GraphcError(Diagnostic("GC106", message))
    return trace


def handed(trace: CallSites, value: object, node: ast.Call, frame: Frame) -> Any:
    """A Python value as the language knows it: arrays become constants, NumPy's numbers Python's."""
    from graphc.frontends.traced import TracedSize
    from graphc.frontends.traced_definitions import ElementwiseFunction

    if isinstance(value, (GraphFunction, ElementwiseFunction)):
        return value.target
    if isinstance(value, TracedSize):
        return value.held
    if isinstance(value, slice):
        return slice(*(handed(trace, part, node, frame) for part in (value.start, value.stop, value.step)))
    if isinstance(value, Value):
        if value.builder is not trace.session.builder:
            raise failure(
                "GC106", f"expected a tensor of this model, found a tensor {value.type} of another", node, frame
            )
        # Library code sees no more of it than of the values of a text.
        return Value(value.builder, value.node)
    if isinstance(value, (list, tuple)):
        return (
            type(value)(handed(trace, item, node, frame) for item in value) if type(value) in (list, tuple) else value
        )
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, (bool, int, float, np.generic))):
        return np.dtype(value).name
    return _constant(trace, value, node, frame) if isinstance(value, np.ndarray) else value


def as_array(operand: Any) -> Any:
    """Lists of numbers beside a tensor, as NumPy takes them."""
    return np.asarray(operand) if isinstance(operand, (list, tuple)) else operand


def _constant(
    trace: CallSites, array: np.ndarray[Any, Any], node: ast.Call, frame: Frame
) -> Value | bool | int | float:
    kind = array.dtype.kind
    if kind not in "biuf":
        raise failure("GC106", f"expected an array of numbers, found one of dtype {array.dtype}", node, frame)
    if not array.ndim:
        number: bool | int | float = array.item()
        return number
    dtype: DType = {"b": "bool", "f": trace.session.float_dtype}.get(kind, "int64")
    stored = np.ascontiguousarray(array, dtype=np.dtype(dtype).newbyteorder("<"))
    held = Array(dtype, tuple(map(int, array.shape)), stored.tobytes())
    return trace.session.apply(node, frame, OPS["array"], [], array=held)


def traced(value: object) -> Any:
    """A result of the language as Python code is to see it."""
    # Values call functions, and functions give values.
    from graphc.frontends.traced import TracedSize, TracedValue

    if isinstance(value, Value):
        return TracedValue(value.builder, value.node)
    if isinstance(value, SizeExpr):
        return TracedSize(value)
    if isinstance(value, (Function, Instance, UsedModel, Primitive, Op)):
        return GraphFunction(str(getattr(value, "name", "") or getattr(value, "base", "")), value)
    if isinstance(value, (list, tuple)):
        return type(value)(map(traced, value))
    return value


def name_at(name: str, node: ast.AST) -> ast.expr:
    return ast.copy_location(ast.Name(name, ast.Load()), node)


def located(syntax: Any, node: ast.AST) -> Any:
    return ast.copy_location(syntax, node)
