"""Statements, and the loop that runs handlers: no handler calls another, so nesting never meets a recursion limit."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.frontends.declarations import annotated
from graphc.frontends.elementwise import elementwise_op
from graphc.frontends.evaluate import EXPRESSIONS, LEAVES, items_of, operate, truth, unpack
from graphc.frontends.gradients import give_gradient
from graphc.frontends.names import look_up
from graphc.frontends.scopes import settle_scope
from graphc.frontends.session import MAX_ERRORS, MAX_STEPS, Session, failure, place_of
from graphc.frontends.syntax import illegal, span_of
from graphc.frontends.values import (
    POISON,
    Frame,
    Function,
    Instance,
    Poisoned,
    Returned,
    Steps,
    Task,
    UsedModel,
    describe,
)
from graphc.value import Value


def run(session: Session, task: Task) -> object:
    """Run a task to its end.

    Handlers are generators that yield the tasks they need done and are sent their results; the stack is a list.

    Raises
    ------
    GraphcError
        The error of the task.
    Poisoned
        When it uses a name whose statement had an error.
    """
    running: list[Steps] = []
    result: object = None
    following: Task | None = task
    while following is not None or running:
        try:
            if following is not None:
                result, following = _start(session, following, running), None
            if running:
                following = running[-1].send(result)
        except StopIteration as stop:
            running.pop()
            result, following = stop.value, None
        except (GraphcError, Poisoned) as error:
            following, result = _unwind(running, error)
    return result


def _start(session: Session, task: Task, running: list[Steps]) -> object:
    """What a leaf gives, or a new handler and None, with which it begins."""
    node, frame = task
    session.step(node, frame)
    kind: type = type(node)
    leaf = LEAVES.get(kind)
    if leaf is not None:
        return leaf(session, node, frame)
    running.append(HANDLERS[kind](session, node, frame))
    return None


def _unwind(running: list[Steps], error: Exception) -> tuple[Task | None, object]:
    """Hand an error to the handlers that wait, innermost first, until one goes on."""
    while running:
        try:
            return running[-1].throw(error), None
        except StopIteration as stop:
            running.pop()
            return None, stop.value
        except (GraphcError, Poisoned) as raised:
            running.pop()
            error = raised
    raise error


def run_model(session: Session, statements: list[ast.stmt], frame: Frame) -> None:
    """Run a model's statements; one with an error is reported, and the names that it binds are poisoned."""
    for statement in statements:
        if len(session.diagnostics) > MAX_ERRORS or session.budget.steps > MAX_STEPS:
            return
        refused = illegal(session.source, statement)
        session.diagnostics.extend(refused)
        try:
            if refused:
                raise Poisoned
            run(session, Task([statement], frame))
        except GraphcError as error:
            session.diagnostics.extend(error.diagnostics)
            _report_unknown_names(session, statement, frame)
            _poison(statement, frame)
        except Poisoned:
            _poison(statement, frame)


def _report_unknown_names(session: Session, statement: ast.stmt, frame: Frame) -> None:
    """The unknown names that a statement with an error has beside it; those that may not be needed are left out."""
    if not isinstance(statement, (ast.Assign, ast.AugAssign, ast.AnnAssign)) or statement.value is None:
        return
    stack: list[ast.AST] = [statement.value]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Name) and node.id not in _FANS:
            try:
                look_up(session, node, frame)
            except GraphcError as error:
                session.diagnostics.extend(d for d in error.diagnostics if d not in session.diagnostics)
            except Poisoned:
                continue
        elif not isinstance(node, (ast.IfExp, ast.BoolOp, ast.ListComp)):
            stack.extend(ast.iter_child_nodes(node))


_FANS = ("fan_in", "fan_out")
"""Names that are there while an initialiser is read."""


def _poison(statement: ast.stmt, frame: Frame) -> None:
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            frame.names[node.id] = POISON
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            frame.names[node.name] = POISON
        elif isinstance(node, ast.alias):
            frame.names[node.asname or node.name.partition(".")[0]] = POISON


def block(session: Session, statements: list[ast.stmt], frame: Frame) -> Steps:
    """Statements in order, up to a ``return``."""
    for statement in statements:
        result = yield Task(statement, frame)
        if isinstance(result, Returned):
            return result
    return None


def assign(session: Session, node: ast.Assign, frame: Frame) -> Steps:
    """``a = b``; a tensor gets the name, and so does a layer that shares its parameters."""
    value = yield Task(node.value, frame)
    for target in node.targets:
        if isinstance(value, (Instance, UsedModel)) and isinstance(target, ast.Name):
            settle_scope(value, frame.call, target.id)
        bind(session, target, value, frame)
    return None


def augmented(session: Session, node: ast.AugAssign, frame: Frame) -> Steps:
    """``a += b``, which binds ``a`` again."""
    assert isinstance(node.target, ast.Name)
    read = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
    left = yield Task(read, frame)
    right = yield Task(node.value, frame)
    bind(session, node.target, operate(session, node, frame, node.op, left, right), frame)
    return None


def bind(session: Session, target: ast.expr, value: object, frame: Frame) -> None:
    """Bind names to values, and name the tensors among them."""
    for name, bound in unpack(target, value, frame):
        session.check_free(name.id, name, frame)
        frame.names[name.id] = bound
        if isinstance(bound, Value) and frame.call.named:
            session.builder.name(bound.node, "_".join((*frame.call.scope, name.id)))


def loop(session: Session, node: ast.For, frame: Frame) -> Steps:
    """``for i in range(n)``, unrolled."""
    items = yield Task(node.iter, frame)
    for item in items_of(items, node.iter, frame):
        bind(session, node.target, item, frame)
        result = yield Task(node.body, frame)
        if isinstance(result, Returned):
            return result
    return None


def branch(session: Session, node: ast.If, frame: Frame) -> Steps:
    """``if`` on a static value."""
    condition = yield Task(node.test, frame)
    taken = node.body if truth(condition, node.test, frame) else node.orelse
    return (yield Task(taken, frame)) if taken else None


def assertion(session: Session, node: ast.Assert, frame: Frame) -> Steps:
    """``assert c, "what is needed"``: what a function asks of its arguments; an error at the user's call."""
    undecided = ""
    try:
        condition = yield Task(node.test, frame)
    except GraphcError as error:
        # What is not known to hold, for instance that two free sizes are equal, does not.
        condition, undecided = False, error.diagnostics[0].message
        if error.diagnostics[0].code != "GC106":
            raise
    if truth(condition, node.test, frame):
        return None
    message = (yield Task(node.msg, frame)) if node.msg else f"needs {span_of(frame.call.source, node.test).text}"
    if not isinstance(message, str):
        raise failure("GC106", f"expected a text after the comma, found {describe(message)}", node.msg or node, frame)
    if frame.call.named:
        raise failure("GC108", message, node, frame, undecided)
    # The library's words are about the call; its own lines would not help.
    raise GraphcError(Diagnostic("GC108", message, place_of(node, frame).spans[0], undecided))


def returned(session: Session, node: ast.Return, frame: Frame) -> Steps:
    """``return``, in a function."""
    if not frame.call.function:
        raise failure(
            "GC002", "return outside a function; what a model gives is declared, `name: Output = ...`", node, frame
        )
    value = None if node.value is None else (yield Task(node.value, frame))
    return Returned(value)


def definition(session: Session, node: ast.FunctionDef, frame: Frame) -> Steps:
    """``def``: a function or layer, with ``@elementwise`` an op, with ``@gradient_of`` a rule for another one."""
    session.check_free(node.name, node, frame)
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    names = [a.arg for a in (*positional, *arguments.kwonlyargs)]
    if len(set(names)) < len(names):
        raise failure("GC102", f"{node.name} has two parameters of one name", node, frame)
    given: list[tuple[ast.arg, ast.expr | None]] = list(
        zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True)
    )
    given += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    defaults = {}
    for argument, default in given:
        if default is not None:
            defaults[argument.arg] = yield Task(default, frame)
    function = Function(node, frame.call.source, frame, defaults)
    bound: object = function
    if any(isinstance(decorator, ast.Call) for decorator in node.decorator_list):
        yield from give_gradient(session, function, frame)
    elif node.decorator_list:
        bound = yield from elementwise_op(session, function)
    frame.names[node.name] = bound
    return None


def nothing(session: Session, node: ast.stmt, frame: Frame) -> Steps:
    """A docstring or ``pass``."""
    return None
    yield


HANDLERS: Mapping[type, Callable[..., Steps]] = {
    **EXPRESSIONS,
    list: block,
    ast.Assign: assign,
    ast.AugAssign: augmented,
    ast.AnnAssign: annotated,
    ast.For: loop,
    ast.If: branch,
    ast.Assert: assertion,
    ast.Return: returned,
    ast.FunctionDef: definition,
    ast.Expr: nothing,
    ast.Pass: nothing,
}
