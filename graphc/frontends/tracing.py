"""A Python function to graph: it runs once, on graph values, and what it does to them is the model."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any

import graphc.ops  # noqa: F401 fills the table
from graphc.builder import Builder
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.frontends.annotations import SCALAR, Declaration, declare
from graphc.frontends.call_sites import CallSites, read_source
from graphc.frontends.declarations import claim
from graphc.frontends.definitions import arguments_of, definition_of, returned
from graphc.frontends.scan import refuse_escaped
from graphc.frontends.session import Session, failure
from graphc.frontends.syntax import span_of
from graphc.frontends.text import Parsed, read_used, unused
from graphc.frontends.traced import TracedSize, TracedValue
from graphc.frontends.traced_calls import TRACE
from graphc.frontends.values import Call, Frame, describe
from graphc.source import Source
from graphc.tensor_type import DType
from graphc.value import Value


def trace_function(
    function: Callable[..., Any], *, float_dtype: DType = "float64", static: Mapping[str, object] | None = None
) -> tuple[Source, Parsed]:
    """Run a function once on graph values.

    Parameters
    ----------
    function : callable
        Its arguments are declared by annotations; one without is a float scalar, or static when it has a default.
    float_dtype : {"float64", "float32"}
        The type of what is declared without a dtype; float32 also where the inputs are all declared so.
    static : mapping, optional
        Static names of the library, such as ``{"training": False}``; an argument ``training`` with a default is it too.

    Returns
    -------
    source : Source
        The file of the function.
    parsed : Parsed
        One output has the function's name; those of a tuple are numbered, those of a dict or a NamedTuple have theirs.

    Raises
    ------
    GraphcError
        At the user's line.

    Examples
    --------
    >>> def f(x, y):
    ...     return x * y + x
    >>> trace_function(f)[1].graph
    Graph(4 nodes, outputs f)
    """
    inner = _inner(function)
    if inner is None:
        message = f"expected a model, an expression or a Python function to compile, found a {type(function).__name__}"
        raise GraphcError(Diagnostic("GC106", message))
    code = inner.__code__
    source = read_source(code.co_filename, inner.__globals__)
    definition = definition_of(code, source)
    annotations = _annotations(inner, source, definition)
    builder = Builder(float_dtype=_float_dtype(annotations, float_dtype))
    folder = Path(code.co_filename).parent if Path(code.co_filename).is_file() else None
    statics: dict[str, object] = {"training": True, **(static or {})}
    session = Session(source, folder, builder, statics, read_model=read_used)
    top = Frame({}, Call(source))
    values, options = _declared(session, top, inspect.signature(function), annotations, definition, statics)
    trace = CallSites(session, top.call, _run.__code__, code, {code.co_filename: source})
    token = TRACE.set(trace)
    try:
        result = _run(function, values, options)
    except (TypeError, ValueError) as fault:
        # NumPy says so when a graph value refuses to become a number.
        if isinstance(fault.__cause__, GraphcError):
            raise fault.__cause__ from None
        raise
    finally:
        TRACE.reset(token)
    name = next(n for n in (code.co_name, "f", "value", "f_value") if n.isidentifier() and n not in session.declared)
    _give(session, top, returned(definition), name, result)
    graph = builder.finish(session.outputs, doc=inspect.getdoc(inner) or "")
    return source, Parsed(graph, unused(session, graph))


def _inner(function: Any) -> FunctionType | None:
    """The function itself, inside of methods, partial applications, objects that can be called, and wrappers."""
    while isinstance(function, partial):
        function = function.func
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = type(function).__call__ if callable(function) else None
    function = inspect.unwrap(getattr(function, "__func__", function))
    return function if isinstance(function, FunctionType) else None


def _run(function: Callable[..., Any], values: list[Any], options: dict[str, Any]) -> object:
    """Where the user's frames begin."""
    return function(*values, **options)


def _float_dtype(annotations: Mapping[str, object], asked: DType) -> DType:
    found = [a.dtype for a in annotations.values() if isinstance(a, Declaration)]
    return "float32" if "float32" in found and "float64" not in found else asked


def _annotations(function: FunctionType, source: Source, definition: ast.AST) -> dict[str, object]:
    """The annotations; texts of them, as ``from __future__ import annotations`` makes them, are what they name."""
    names = inspect.getclosurevars(function).nonlocals
    try:
        return inspect.get_annotations(function, locals=dict(names), eval_str=True)
    except Exception as fault:
        message = f"expected annotations that can be evaluated, found {str(fault) or type(fault).__name__}"
        raise GraphcError(Diagnostic("GC106", message, span_of(source, definition))) from fault


def _declared(
    session: Session,
    top: Frame,
    signature: inspect.Signature,
    annotations: Mapping[str, object],
    definition: ast.AST,
    static: dict[str, object],
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments: static ones first, since sizes may name them."""
    places, defaults = _places(definition)
    values: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        if parameter.default is not parameter.empty and not isinstance(annotations.get(name), Declaration):
            values[name] = top.names[name] = parameter.default
    if "training" in values:
        # Either may switch it off, for the function and for the layers in it.
        values["training"] = static["training"] = bool(values["training"] and static["training"])
        top.names["training"] = values["training"]
    for name, parameter in signature.parameters.items():
        if name not in values:
            place = places.get(name, definition)
            declaration = _declaration(annotations.get(name), parameter, place, top)
            init = None if parameter.default is parameter.empty else defaults.get(name, place)
            declared = declare(session, top, name, declaration, place, init, parameter.default)
            values[name] = TracedValue(declared.builder, declared.node)
    keyword_only = [name for name, p in signature.parameters.items() if p.kind is p.KEYWORD_ONLY]
    positional = [values[name] for name in signature.parameters if name not in keyword_only]
    return positional, {name: values[name] for name in keyword_only}


def _declaration(annotation: object, parameter: inspect.Parameter, place: ast.AST, top: Frame) -> Declaration:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise failure("GC106", f"expected arguments with names, found {parameter}", place, top)
    if isinstance(annotation, Declaration):
        return annotation
    if annotation is None or annotation is float:
        return SCALAR
    found = getattr(annotation, "__name__", repr(annotation))
    message = f'expected an annotation such as gx.f64["N", 3], gx.i64["N"] or gx.param[3], found {found}'
    raise failure("GC106", message, place, top)


def _give(session: Session, top: Frame, place: ast.AST, name: str, result: object) -> None:
    """Make the outputs of what the function returned."""
    outputs = _outputs(name, result)
    if not outputs:
        message = f"expected {name} to return a tensor, several or a dict of them, found {describe(result)}"
        raise failure("GC104", message, place, top)
    for output, held in outputs.items():
        if not (isinstance(output, str) and output.isidentifier()):
            raise failure("GC106", f"expected names for outputs, found {output!r}", place, top)
        plain = held.held if isinstance(held, TracedSize) else held
        value = None if isinstance(held, Value) else session.size_value(place, top, plain)
        settled = held if isinstance(held, Value) else value
        if settled is None or settled.builder is not session.builder:
            message = f"expected a tensor of this model for the output {output}, found {describe(held)}"
            raise failure("GC106", message, place, top)
        refuse_escaped(session, output, settled.node, place, top)
        claim(session, output, span_of(session.source, place), place, top)
        session.builder.name(settled.node, output)
        session.outputs[output] = settled.node


def _outputs(name: str, result: object) -> dict[Any, object]:
    if isinstance(result, dict):
        return result
    if isinstance(result, tuple):
        fields = getattr(result, "_fields", tuple(f"{name}_{position}" for position in range(1, len(result) + 1)))
        return dict(zip(fields, result, strict=True))
    return {} if result is None else {name: result}


def _places(definition: Any) -> tuple[dict[str, ast.AST], dict[str, ast.AST]]:
    """Where each argument stands, and its default."""
    if isinstance(definition, ast.Constant):
        return {}, {}
    arguments = definition.args
    places: dict[str, ast.AST] = {argument.arg: argument for argument in arguments_of(definition)}
    places |= {extra.arg: extra for extra in (arguments.vararg, arguments.kwarg) if extra is not None}
    positional = [*arguments.posonlyargs, *arguments.args]
    given = [*zip(reversed(positional), reversed(arguments.defaults), strict=False)]
    given += [pair for pair in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if pair[1] is not None]
    return places, {argument.arg: default for argument, default in given}
