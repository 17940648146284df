"""Calls: functions and layers of the language, instances, ops, used models, and the language's own functions."""

from __future__ import annotations

import ast
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from inspect import Parameter, signature

from graphc.errors import GraphcError
from graphc.frontends import arithmetic
from graphc.frontends.gradients import call_with_rule
from graphc.frontends.scopes import settle_scope, unused_name
from graphc.frontends.session import MAX_CALLS, MAX_ITEMS, Session, failure, is_size, place_of, settled
from graphc.frontends.syntax import span_of
from graphc.frontends.used import call_model
from graphc.frontends.values import (
    Arguments,
    Call,
    Frame,
    Function,
    Instance,
    Primitive,
    Returned,
    Steps,
    Task,
    UsedModel,
    describe,
)
from graphc.op import OPS, Op
from graphc.ops.leaves import Initializer
from graphc.size import SizeExpr
from graphc.tensor_type import TupleType
from graphc.value import Value


def call(session: Session, node: ast.Call, frame: Frame) -> Steps:
    """A call: the arguments in order, then what is called."""
    function = yield Task(node.func, frame)
    values, keywords = [], {}
    for argument in node.args:
        values.append((yield Task(argument, frame)))
    for keyword in node.keywords:
        if keyword.arg in keywords:
            raise failure("GC103", f"the argument {keyword.arg} is given twice", keyword, frame)
        keywords[keyword.arg or ""] = yield Task(keyword.value, frame)
    return (yield from invoke(session, function, Arguments(node, frame, tuple(values), keywords)))


def invoke(session: Session, function: object, arguments: Arguments) -> Steps:
    """What a function, layer, model or operation gives."""
    if isinstance(function, (Function, Instance)):
        return (yield from call_function(session, function, arguments))
    if isinstance(function, UsedModel):
        return call_model(session, function, arguments)
    if isinstance(function, Op):
        return call_op(session, function, arguments)
    if isinstance(function, Primitive):
        found = function.run(session, arguments)
        # One that runs functions of the model is a handler.
        return (yield from found) if isinstance(found, Generator) else found
    message = f"expected a function to call, found {describe(function)}"
    raise failure("GC103", message, arguments.node.func, arguments.frame)


def call_function(session: Session, function: Function | Instance, arguments: Arguments) -> Steps:
    """Run a function's body in a frame of its own; parameters that it declares belong to this call."""
    outer = arguments.frame.call
    shared, scope = outer.shared, outer.scope
    if isinstance(function, Instance):
        settle_scope(function, outer, function.base)
        shared, scope = function.params, function.scope
        while isinstance(function, Instance):
            values, keywords = (*arguments.values, *function.arguments), {**function.keywords, **arguments.keywords}
            arguments = Arguments(arguments.node, arguments.frame, values, keywords)
            function = function.function
    else:
        arguments, label = _named(function, arguments)
        scope = (*scope, unused_name(outer, label))
    if len(outer.spans) >= MAX_CALLS:
        message = f"calls nest at most {MAX_CALLS} deep, {function.name} calls on without end"
        raise failure("GC401", message, arguments.node, arguments.frame)
    spans = place_of(arguments.node, arguments.frame).spans
    inner = Call(function.source, function.name, spans, scope, shared=shared, named=function.frame is not None)
    bound = bound_arguments(function, arguments)
    result = yield Task(function.definition.body, Frame(dict(bound), inner, function.frame))
    value = result.value if isinstance(result, Returned) else None
    if function.gradient is not None:
        return (yield from call_with_rule(session, function, bound, value, arguments))
    if function.frame is not None:
        session.called.setdefault(function, spans[-1])
    return replace(value, text=_call_text(function, arguments)) if isinstance(value, Initializer) else value


def _call_text(function: Function, arguments: Arguments) -> str:
    """An initialiser as it was called: ``normal(0, 0.1)``."""
    source = arguments.frame.call.source
    text, called = span_of(source, arguments.node).text, span_of(source, arguments.node.func).text
    return function.name + text.removeprefix(called)


def _named(function: Function, arguments: Arguments) -> tuple[Arguments, str]:
    """The ``name=`` of a call, unless the function has such a parameter of its own."""
    if "name" not in arguments.keywords or "name" in function.parameters:
        return arguments, function.name
    keywords = dict(arguments.keywords)
    name = keywords.pop("name")
    if not (isinstance(name, str) and name.isidentifier() and not name.startswith("__")):
        raise failure(
            "GC103",
            f'expected a name such as "block" for name=, found {describe(name)}',
            arguments.node,
            arguments.frame,
        )
    return Arguments(arguments.node, arguments.frame, arguments.values, keywords), name


def bound_arguments(function: Function, arguments: Arguments) -> dict[str, object]:
    """The arguments of a call by the names of the function's parameters."""
    names = function.parameters
    positional = names[: len(names) - len(function.definition.args.kwonlyargs)]
    bound = dict(zip(positional, arguments.values, strict=False))
    problem = ""
    if len(arguments.values) > len(positional):
        problem = _unnamed(arguments)
    for name, value in arguments.keywords.items():
        if name in bound:
            problem = problem or f"{name} twice"
        elif name not in names:
            problem = problem or f"no such argument: {name}"
        bound[name] = value
    missing = [name for name in names if name not in bound and name not in function.defaults]
    problem = problem or (f"no {', '.join(missing)}" if missing else "")
    if problem:
        raise _refusal(function.name, _signature(function), problem, arguments)
    return {name: bound[name] if name in bound else function.defaults[name] for name in names}


def _unnamed(arguments: Arguments) -> str:
    count = len(arguments.values)
    return f"{count} argument{'s' * (count > 1)} without a name"


def _signature(function: Function) -> str:
    keyword_only = {a.arg for a in function.definition.args.kwonlyargs}
    shown = []
    for name in function.parameters:
        if name in keyword_only and "*" not in shown:
            shown.append("*")
        default = function.defaults.get(name)
        shown.append(f"{name}={default!r}" if isinstance(default, (int, float, str)) else f"{name}=None")
        if name not in function.defaults:
            shown[-1] = name
    return ", ".join(shown)


def _refusal(name: str, takes: str, problem: str, arguments: Arguments) -> GraphcError:
    message = f"{name} takes ({takes}), found {problem}"
    filled = _FILLED.get(name) if arguments.values else None
    hint = f"{name} is for parameters; a tensor of {name} is `broadcast_to({filled}, shape)`" if filled else ""
    return failure("GC103", message, arguments.node, arguments.frame, f"{name}({takes})", hint=hint)


# Where NumPy makes tensors, the library has initialisers.
_FILLED = {"zeros": "0.0", "ones": "1.0"}


def call_op(session: Session, op: Op, arguments: Arguments) -> object:
    """Apply an op: operands first, then attributes, in the order of the op's signature or by name."""
    plain = _plain_result(session, op, arguments)
    if plain is not None:
        return plain
    op, arguments = _based(op, arguments)
    operands, rest = _operands(op, arguments)
    attrs = {**_implied(session, op), **_attributes(op, rest, arguments)}
    try:
        value = session.apply(arguments.node, arguments.frame, op, operands, **attrs)
    except (TypeError, ValueError, AttributeError):
        found = ", ".join(f"{name}={describe(attr)}" for name, attr in attrs.items())
        raise _refusal(op.name, op_signature(op), found, arguments) from None
    if not isinstance(value.node.type, TupleType):
        return value
    count = len(value.node.type.items)
    return tuple(session.apply(arguments.node, arguments.frame, OPS["item"], [value], index=i) for i in range(count))


def _based(op: Op, arguments: Arguments) -> tuple[Op, Arguments]:
    """``log(x, base)`` is an op of its own; to base 2 and 10 NumPy has more exact ones."""
    keywords = dict(arguments.keywords)
    bases = (*arguments.values[1:], *(keywords.pop("base") for name in ("base",) if name in keywords))
    if op is not OPS["log"] or len(bases) != 1 or keywords:
        return op, arguments
    x, base = arguments.values[:1], bases[0]
    known = "log2" if base == 2 else "log10" if base == 10 else None
    values = x if known else (*x, base)
    return OPS[known or "log_base"], replace(arguments, values=values, keywords={})


def _implied(session: Session, op: Op) -> dict[str, object]:
    """The attributes that the reading sets: the number of the call site, and the model's float type."""
    implied: dict[str, object] = {}
    parameters = _parameters(op)
    if "site" in parameters:
        implied["site"] = session.budget.next_site()
    if "dtype" in parameters and parameters["dtype"].default is not Parameter.empty:
        implied["dtype"] = session.float_dtype
    return implied


def _plain_result(session: Session, op: Op, arguments: Arguments) -> object:
    """What Python's functions of plain numbers give: ``sqrt(2)``, ``max(1, n // 2)``, ``sum(losses)`` of a list."""
    values = arguments.values
    if arguments.keywords or not values:
        return None
    node, frame = arguments.node, arguments.frame
    result = settled(node, frame, lambda: arithmetic.mathematics(op.name, values))
    if result is None and op.name in ("max", "min", "sum"):
        items = values[0] if len(values) == 1 and isinstance(values[0], (list, tuple)) else values
        if items and all(isinstance(item, (int, float)) for item in items):
            functions: dict[str, Callable[..., object]] = {"max": max, "min": min, "sum": sum}
            return functions[op.name](items)
        if op.name == "sum" and items is values[0] and all(_is_scalar(item) for item in items):
            return _added(session, arguments, items)
    return result


def _is_scalar(value: object) -> bool:
    return is_size(value) or isinstance(value, float) or (isinstance(value, Value) and not value.shape)


def _added(session: Session, arguments: Arguments, items: Sequence[object]) -> object:
    if not items:
        return 0
    total = items[0]
    for item in items[1:]:
        total = session.apply(arguments.node, arguments.frame, OPS["add"], [total, item])  # type: ignore[list-item]
    return total


def _operands(op: Op, arguments: Arguments) -> tuple[list[Value], tuple[object, ...]]:
    values = arguments.values
    if op.arity is None:
        if not values or not isinstance(values[0], (list, tuple)) or not values[0]:
            raise _refusal(op.name, op_signature(op), f"{describe(values[0])}" if values else "nothing", arguments)
        operands, rest = values[0], values[1:]
    else:
        operands, rest = values[: op.arity], values[op.arity :]
        if len(operands) < op.arity:
            raise _refusal(op.name, op_signature(op), f"{len(operands)} of its {op.arity} operands", arguments)
    assert isinstance(operands, (list, tuple))
    for operand in operands:
        if not (isinstance(operand, (Value, bool, float)) or is_size(operand)):
            message = f"expected a tensor or a number as an operand of {op.name}, found {describe(operand)}"
            raise failure("GC103", message, arguments.node, arguments.frame, f"{op.name}({op_signature(op)})")
    return list(operands), rest


def _attributes(op: Op, rest: Sequence[object], arguments: Arguments) -> dict[str, object]:
    known = op_attributes(op)
    if len(rest) > len(known):
        raise _refusal(op.name, op_signature(op), f"{len(arguments.values)} arguments", arguments)
    attrs = dict(zip(known, rest, strict=False))
    for name, value in arguments.keywords.items():
        if name in attrs or name not in known:
            raise _refusal(
                op.name, op_signature(op), f"{name} twice" if name in attrs else f"no such argument: {name}", arguments
            )
        attrs[name] = value
    missing = [name for name, default in known.items() if default is Parameter.empty and name not in attrs]
    if missing:
        raise _refusal(op.name, op_signature(op), f"no {', '.join(missing)}", arguments)
    for name, value in attrs.items():
        if not _is_attribute(value):
            message = f"expected a static value for {name} of {op.name}, found {describe(value)}"
            raise failure("GC103", message, arguments.node, arguments.frame)
    return attrs


@cache
def op_attributes(op: Op) -> Mapping[str, object]:
    """An op's attributes in the order of its signature, with their defaults."""
    known = [p for p in _parameters(op).values() if p.kind is Parameter.KEYWORD_ONLY]
    return {p.name: p.default for p in known if p.name != "site"}


@cache
def _parameters(op: Op) -> Mapping[str, Parameter]:
    return signature(op.normalize or op.infer).parameters


def op_signature(op: Op) -> str:
    operands = ["[x, ...]"] if op.arity is None else ["x", "y", "z"][: op.arity]
    known = op_attributes(op).items()
    return ", ".join([*operands, *(n if d is Parameter.empty else f"{n}={d!r}" for n, d in known)])


def _is_attribute(value: object) -> bool:
    """Whether a value may be an attribute: plain, or lists of plain values, few and not deep."""
    level: list[object] = [value]
    for _ in range(4):
        plain = (bool, int, float, str, SizeExpr, type(None), slice, range)
        nested = [item for item in level if isinstance(item, (list, tuple))]
        if not all(isinstance(item, (list, tuple, *plain)) for item in level):
            return False
        level = [inner for item in nested[:MAX_ITEMS] for inner in item]
        if len(level) > MAX_ITEMS:
            return False
        if not level:
            return True
    return False
