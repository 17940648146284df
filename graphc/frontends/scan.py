"""``scan(step, init, xs)``: the step runs once, on places for its carry and its slices; what it made becomes a graph.

Whatever it used from around itself is captured: tensors, and parameters of layers that it calls, which are made once.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from math import isqrt
from types import FunctionType, MethodType
from typing import Any, TypeAlias, cast

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.frontends.call_sites import CallSites
from graphc.frontends.calls import bound_arguments, invoke
from graphc.frontends.scan_draws import add_moving, drawn_again
from graphc.frontends.scan_segments import Scanned, segmented
from graphc.frontends.session import Session, failure, is_size, place_of
from graphc.frontends.values import Arguments, Call, Frame, Function, Primitive, Returned, Steps, Task, describe
from graphc.graph import Graph, Node
from graphc.op import OPS
from graphc.ops.scan_steps import arranged, reached
from graphc.size import Size
from graphc.source import Span
from graphc.tensor_type import TensorType
from graphc.value import Value

SCAN_TAKES = "step, init, xs=None, length=None, reverse=False, checkpoint=False"
_DEFAULTS = {"xs": None, "length": None, "reverse": False, "checkpoint": False}
MAX_NESTED = 8
"""Loops in loops: Python takes 20."""
Several: TypeAlias = "list[Value] | None"


def run_scan(session: Session, arguments: Arguments) -> Steps:
    """``(carry, ys)``: the last carry, and what the steps gave beside it, stacked."""
    call = _bound(session, arguments)
    builder = session.builder
    session.scans += 1
    if session.scans > MAX_NESTED:
        raise call.failure("GC401", f"scans nest at most {MAX_NESTED} deep, this one is deeper")
    places = [builder.placeholder(value.type) for value in call.init]
    places += [builder.placeholder(_slice(value.type)) for value in call.xs or ()]
    first = places[0].node.serial
    given = [_shaped(places[: len(call.init)], call.single_init)]
    given += [] if call.xs is None else [_shaped(places[len(call.init) :], call.single_xs)]
    try:
        result = yield from _stepped(session, call, given)
    finally:
        session.scans -= 1
    carry, ys, single_y = _results(session, call, result)
    _check_carry(session, call, carry, first)
    step, captured = _step_graph(session, call, [place.node for place in places], [*carry, *(ys or ())], first)
    builder.place = place_of(arguments.node, arguments.frame)
    operands = [*call.init, *(call.xs or ()), *map(builder.value, captured)]
    scanned = Scanned(step, len(carry), len(call.xs or ()), call.length, call.reverse)
    segment = _segment(call)
    found = scanned.apply(operands) if segment is None else segmented(scanned, operands, segment)
    stacked = found[len(carry) :]
    return _shaped(found[: len(carry)], call.single_init), None if ys is None else _shaped(stacked, single_y)


SCAN = Primitive("scan", SCAN_TAKES, cast(Any, run_scan))


@dataclass(frozen=True)
class _Call:
    """A call of scan: its arguments, settled."""

    arguments: Arguments
    step: object
    init: list[Value]
    single_init: bool
    xs: list[Value] | None
    single_xs: bool
    length: Size
    reverse: bool
    checkpoint: bool | int

    @property
    def name(self) -> str:
        """The name of the step."""
        name = getattr(self.step, "name", "") or getattr(self.step, "__name__", "") or getattr(self.step, "base", "")
        return str(name).strip("<>") or "step"

    def failure(self, code: str, message: str, label: str = "", hint: str = "") -> GraphcError:
        """An error at the call."""
        return failure(code, message, self.arguments.node, self.arguments.frame, label, hint=hint)


def _bound(session: Session, arguments: Arguments) -> _Call:
    names = ["step", "init", *_DEFAULTS]
    given = dict(zip(names, arguments.values, strict=False))
    twice = next((name for name in arguments.keywords if name in given or name not in names), None)
    given = {**_DEFAULTS, **given, **arguments.keywords}
    node, frame = arguments.node, arguments.frame
    if len(arguments.values) > len(names) or twice or "step" not in given or "init" not in given:
        found = f"{twice} twice or unknown" if twice else f"{len(arguments.values)} arguments without a name"
        raise failure("GC103", f"scan takes ({SCAN_TAKES}), found {found}", node, frame, f"scan({SCAN_TAKES})")
    init, single_init = _tensors(session, arguments, given["init"], "init, the first carry,")
    assert init is not None
    xs, single_xs = _tensors(session, arguments, given["xs"], "xs")
    length = _length(arguments, xs, given["length"])
    reverse, checkpoint = given["reverse"], given["checkpoint"]
    if not isinstance(reverse, bool) or not isinstance(checkpoint, int) or checkpoint < 0:
        wrong = ("reverse", reverse) if not isinstance(reverse, bool) else ("checkpoint", checkpoint)
        wanted = "True or False" if wrong[0] == "reverse" else "True, False or the steps of a segment"
        raise failure("GC103", f"expected {wanted} for {wrong[0]}=, found {describe(wrong[1])}", node, frame)
    return _Call(arguments, given["step"], init, single_init, xs, single_xs, length, reverse, checkpoint)


def _tensors(session: Session, arguments: Arguments, given: object, what: str) -> tuple[Several, bool]:
    """A tensor or a tuple of tensors as a list, and whether it was one; None for none."""
    if given is None and what == "xs":
        return None, True
    items = given if isinstance(given, (tuple, list)) else [given]
    values = [session.size_value(arguments.node, arguments.frame, item) for item in items]
    if not values or None in values:
        wrong = next((item for item, value in zip(items, values, strict=True) if value is None), given)
        message = f"scan needs a tensor or a tuple of tensors for {what} found {describe(wrong)}"
        raise failure("GC103", message.replace("xs found", "xs, found"), arguments.node, arguments.frame)
    return cast("list[Value]", values), not isinstance(given, (tuple, list))


def _length(arguments: Arguments, xs: list[Value] | None, length: object) -> Size:
    node, frame = arguments.node, arguments.frame
    if length is not None and not (is_size(length) and not (isinstance(length, int) and length < 0)):
        raise failure("GC103", f"expected a size for length=, found {describe(length)}", node, frame)
    if xs is None:
        if length is None:
            raise failure(
                "GC103", "scan needs xs or length=, found neither: the number of steps is unknown", node, frame
            )
        return cast(Size, length)
    for x in xs:
        if not x.shape:
            raise failure("GC203", f"scan needs xs with a leading axis, found a scalar {x.type}", node, frame)
    sizes = [*(x.shape[0] for x in xs), *([] if length is None else [cast(Size, length)])]
    if any(size != sizes[0] for size in sizes):
        found = " and ".join(map(str, dict.fromkeys(sizes)))
        raise failure("GC203", f"scan needs one number of steps in xs and length, found {found}", node, frame)
    return sizes[0]


def _slice(type: TensorType) -> TensorType:
    return TensorType(type.dtype, type.shape[1:])


def _shaped(values: Sequence[Value], single: bool) -> object:
    return values[0] if single else tuple(values)


def _stepped(session: Session, call: _Call, given: list[object]) -> Steps:
    """What the step gives for these arguments; what it makes has its own lines as places."""
    arguments, function = call.arguments, call.step
    outer = arguments.frame.call
    inner = Arguments(arguments.node, arguments.frame, tuple(given), {})
    if isinstance(function, (FunctionType, MethodType)):
        return _traced(function, given)
    if not isinstance(function, Function) or function.source is not outer.source:
        return (yield from invoke(session, function, inner))
    names = bound_arguments(function, inner)
    for name, value in names.items():
        if isinstance(value, Value) and any(value is x for x in given):
            session.builder.name(value.node, name)
    here = Call(function.source, function.name, outer.spans, outer.scope, outer.taken, outer.shared)
    result = yield Task(function.definition.body, Frame(dict(names), here, function.frame))
    return result.value if isinstance(result, Returned) else None


def _traced(function: FunctionType | MethodType, given: list[object]) -> object:
    """A Python function, run on graph values like the function around it."""
    from graphc.frontends.traced_calls import TRACE, handed, traced

    trace = TRACE.get()
    assert isinstance(trace, CallSites)
    trace.steps.add(function.__code__)
    for name, value in zip(signature(function).parameters, given, strict=False):
        if isinstance(value, Value):
            value.builder.name(value.node, name)
    result = function(*map(traced, given))
    return handed(trace, result, *trace.here(()))


def refuse_escaped(session: Session, name: str, node: Node, place: ast.AST, frame: Frame) -> None:
    """An output that depends on a value of one step, which Python code kept for itself.

    Raises
    ------
    GraphcError
        GC106.
    """
    inputs = set(session.builder.inputs)
    for found in reached(session.builder, [node]):
        if found.op is OPS["input"] and found not in inputs:
            message = (
                f"{name} depends on a value that exists only inside the step of a scan: return it beside the carry"
            )
            raise failure("GC106", message, place, frame)


def _results(session: Session, call: _Call, result: object) -> tuple[list[Value], Several, bool]:
    """The next carry and what is stacked."""
    node, frame = call.arguments.node, call.arguments.frame
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        message = f"expected {call.name} to return (carry, y), found {describe(result)}"
        raise failure("GC106", message, *_step_place(call), hint="")
    after, y = result
    carry = [session.size_value(node, frame, x) for x in (after if isinstance(after, (tuple, list)) else [after])]
    if isinstance(after, (tuple, list)) == call.single_init or None in carry or len(carry) != len(call.init):
        wanted = "a tensor" if call.single_init else f"a tuple of {len(call.init)} tensors"
        message = f"expected {call.name} to return {wanted} as the carry, as init is, found {describe(after)}"
        raise failure("GC106", message, *_step_place(call))
    if y is None:
        return cast("list[Value]", carry), None, True
    ys = [session.size_value(node, frame, x) for x in (y if isinstance(y, (tuple, list)) else [y])]
    if not ys or None in ys:
        message = f"expected {call.name} to return a tensor, a tuple of tensors or None beside the carry"
        raise failure("GC106", f"{message}, found {describe(y)}", *_step_place(call))
    return cast("list[Value]", carry), cast("list[Value]", ys), not isinstance(y, (tuple, list))


def _step_place(call: _Call) -> tuple[ast.AST, Frame]:
    """The last line of a step that is in the model, else the call."""
    function, frame = call.step, call.arguments.frame
    if not isinstance(function, Function) or function.source is not frame.call.source:
        return call.arguments.node, frame
    returns = [node for node in ast.walk(function.definition) if isinstance(node, ast.Return)]
    return (returns[-1] if returns else function.definition), Frame({}, Call(function.source))


def _check_carry(session: Session, call: _Call, carry: list[Value], first: int) -> None:
    for before, after in zip(call.init, carry, strict=True):
        if before.type != after.type:
            made = _place_in_step(session, call, after.node) if after.node.serial >= first else None
            span = made or place_of(*_step_place(call)).spans[-1]
            message = f"the carry of scan keeps its type, {call.name} takes {before.type} and gives {after.type}"
            related = ((place_of(call.arguments.node, call.arguments.frame).spans[-1], f"init is {before.type}"),)
            raise GraphcError(Diagnostic("GC206", message, span, f"this is {after.type}", related))


def _place_in_step(session: Session, call: _Call, node: Node) -> Span | None:
    """The line of the step that a node comes from, whatever that calls."""
    spans = tuple(session.builder.spans.get(node, ()))
    outer = len(call.arguments.frame.call.spans)
    return spans[min(outer, len(spans) - 1)] if spans else None


def _step_graph(
    session: Session, call: _Call, places: list[Node], results: list[Value], first: int
) -> tuple[Graph, list[Node]]:
    """The graph between the places and the results, and what it captures: all that does not change between steps."""
    builder = session.builder
    outputs = [value.node for value in results]
    moving = set(places)
    needed = sorted(reached(builder, outputs), key=lambda node: node.serial)
    add_moving(builder, needed, moving)
    _check_draws(session, call, drawn_again(builder, (node for node in needed if node.serial >= first), moving))
    captured: dict[Node, None] = {}
    for node in needed:
        if node in moving:
            captured.update((o, None) for o in builder.operands(node) if o not in moving and not _is_number(o))
    captured.update((node, None) for node in outputs if node not in moving and not _is_number(node))
    return arranged(builder, [*places, *captured], outputs, call.name), list(captured)


def _check_draws(session: Session, call: _Call, found: tuple[Node, Node] | None) -> None:
    if found is not None:
        draws, node = found
        message = f"expected a seed for {draws.op.name} that changes from step to step, found one that does not"
        hint = "`seed + n`, n scanned over or carried; or draw for all steps before, and scan over them: xs=(xs, masks)"
        span = _place_in_step(session, call, node)
        raise GraphcError(Diagnostic("GC207", message, span, "draws the same numbers in each step", hint=hint))


def _is_number(node: Node) -> bool:
    return node.op in (OPS["const"], OPS["size"])


def _segment(call: _Call) -> int | None:
    """The number of steps between two carries that are kept; None for all kept."""
    if call.checkpoint is False or call.checkpoint == 0:
        return None
    if call.checkpoint is not True:
        return call.checkpoint
    if isinstance(call.length, int):
        return max(isqrt(call.length), 1)
    message = f"checkpoint=True needs a number of steps that is known, found the size {call.length}"
    raise call.failure("GC106", f"{message}; give the steps of a segment: checkpoint=64")
