"""Functions that Python users define for traced models: elementwise ops, and functions with gradient rules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from types import FunctionType
from typing import Any

from graphc.frontends.call_sites import CallSites
from graphc.frontends.definitions import definition_of, returned
from graphc.frontends.elementwise import check_arity, coercion_of, doc_line, op_of, scalar_body, scalars
from graphc.frontends.gradients import check_parameters, close_rule, open_rule
from graphc.frontends.session import failure
from graphc.frontends.traced_calls import TRACE, called, current_trace, handed, traced
from graphc.frontends.values import Call, Frame
from graphc.graph import Graph
from graphc.op import Op
from graphc.tensor_type import DType


@dataclass(frozen=True, eq=False)
class ElementwiseFunction:
    """A Python function of scalars as one op; made for each float type at its first use."""

    function: FunctionType
    ops: dict[DType, Op] = field(default_factory=dict)

    @property
    def target(self) -> Op:
        """The op, for the model that is traced."""
        trace = current_trace(self.function.__name__)
        dtype = trace.session.float_dtype
        if dtype not in self.ops:
            self.ops[dtype] = _elementwise_op(trace, self.function)
        return self.ops[dtype]

    def __call__(self, *values: object, **keywords: object) -> Any:
        """Apply it at the caller's line."""
        return called(self.target, values, keywords)

    def __repr__(self) -> str:
        return f"<elementwise function {self.function.__name__}>"


def elementwise(function: Callable[..., Any], /) -> ElementwiseFunction:
    """Make one operation of a function of one to three numbers, as a decorator; its derivatives come from the body.

    Parameters
    ----------
    function : callable
        Of elementwise operations, numbers and its arguments only.

    Examples
    --------
    >>> import graphc as gx
    >>> @gx.elementwise
    ... def swish(x):
    ...     return x * gx.sigmoid(x)
    >>> @gx.model
    ... def f(x):
    ...     return swish(x)
    >>> print([node.op.name for node in f.graph.nodes], f.value_and_grad(x=0.0)[1]["x"])
    ['input', 'swish'] 0.5
    """
    if not isinstance(function, FunctionType):
        raise TypeError(f"elementwise() expects a Python function, got {function!r}")
    return ElementwiseFunction(function)


def custom_gradient(rule: Callable[..., Any], /) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a function a gradient rule of its own, as a decorator.

    Parameters
    ----------
    rule : callable
        ``rule(d, *arguments)`` or ``rule(d, *arguments, result)``, where d is the cotangent of the result: gives a
        cotangent for each argument that is a float tensor, or for each argument; None stands for no gradient.

    Raises
    ------
    GraphcError
        GC306 when the rule does not fit the function, where that is traced.

    Examples
    --------
    >>> import graphc as gx
    >>> def reversed_gradient(d, x):
    ...     return -d
    >>> @gx.custom_gradient(reversed_gradient)
    ... def reverse(x):
    ...     return x
    >>> @gx.model
    ... def f(x):
    ...     return reverse(x) * 3
    >>> print(*f.value_and_grad(x=2.0))
    6.0 {'x': np.float64(-3.0)}
    """

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def ruled(*values: object, **keywords: object) -> Any:
            trace = TRACE.get()
            if trace is None:
                return function(*values, **keywords)
            return _with_rule(trace, function, rule, inspect.signature(function).bind(*values, **keywords))

        return ruled

    return decorated


def _with_rule(
    trace: CallSites, function: Callable[..., Any], rule: Callable[..., Any], bound: inspect.BoundArguments
) -> Any:
    """The function's result with the rule's graph as its gradient; see `graphc.frontends.gradients`."""
    bound.apply_defaults()
    given: Mapping[str, Any] = bound.arguments
    node, frame = trace.here(list(given.values()))
    session, name, rule_name = trace.session, function.__name__, rule.__name__
    if function in session.ruled:
        message = f"the gradient of {name} calls {name}: expected the result as the last parameter of {rule_name}"
        raise failure("GC306", message, node, frame)
    code = rule.__code__
    source = trace.source(code.co_filename, rule.__globals__)
    definition, place = definition_of(code, source), Frame({}, Call(source))
    parameters = list(inspect.signature(rule).parameters)
    check_parameters(name, list(given), rule_name, parameters, definition, place)
    value = function(*bound.args, **bound.kwargs)
    known = {key: handed(trace, argument, node, frame) for key, argument in given.items()}
    opened = open_rule(session, name, rule_name, known, handed(trace, value, node, frame), node, frame)
    if opened is None:
        return value
    session.ruled.add(function)
    try:
        cotangents = rule(*map(traced, opened.rule_arguments[: len(parameters)]))
    finally:
        session.ruled.discard(function)
    found = handed(trace, cotangents, node, frame)
    return traced(close_rule(session, opened, found, returned(definition), place))


def _elementwise_op(trace: CallSites, function: FunctionType) -> Op:
    source = trace.source(function.__code__.co_filename, function.__globals__)
    definition, place = definition_of(function.__code__, source), Frame({}, Call(source))
    parameters = inspect.signature(function).parameters.values()
    names = [parameter.name for parameter in parameters]
    plain = all(p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty for p in parameters)
    check_arity(names, plain, definition, place)

    def read(dtype: DType) -> Graph:
        with scalars(trace.session, function.__name__, names, dtype) as values:
            found = function(*map(traced, values.values()))
            node, frame = trace.here(())
            return scalar_body(trace.session, function.__name__, handed(trace, found, node, frame), node, frame)

    body = read("int64")
    coercion = coercion_of(body)
    if coercion == "float":
        body = read(trace.session.float_dtype)
    return op_of(function.__name__, body, coercion, doc_line(inspect.getdoc(function), function.__name__))
