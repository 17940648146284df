"""Expressions: each kind of syntax has a handler that yields its parts as tasks and returns a value.

What is known while the model is read stays a Python value; anything that touches a tensor makes a node.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

from graphc.errors import TypeRuleError
from graphc.frontends import arithmetic
from graphc.frontends.calls import call
from graphc.frontends.index_lists import with_arrays
from graphc.frontends.names import look_up
from graphc.frontends.session import MAX_ITEMS, Session, failure, is_size, settled
from graphc.frontends.values import Frame, Steps, Task, describe
from graphc.op import OPS
from graphc.value import Value


def constant(session: Session, node: ast.Constant, frame: Frame) -> object:
    """A literal."""
    value = node.value
    if isinstance(value, int) and abs(value) > arithmetic.MAX_INT:
        raise failure(
            "GC401", "a whole number has at most 63 bits, found more; write a float such as 1e30", node, frame
        )
    return value


def sequence(session: Session, node: ast.List | ast.Tuple, frame: Frame) -> Steps:
    """A list or a tuple."""
    items = []
    for item in node.elts:
        items.append((yield Task(item, frame)))
    return items if isinstance(node, ast.List) else tuple(items)


def binary(session: Session, node: ast.BinOp, frame: Frame) -> Steps:
    """``left + right`` and its kind."""
    left = yield Task(node.left, frame)
    right = yield Task(node.right, frame)
    return operate(session, node, frame, node.op, left, right)


def operate(
    session: Session, node: ast.AST, frame: Frame, operator: ast.operator, left: object, right: object
) -> object:
    """An operator on two values: a number, a size, a text or a list when both are static, else a node."""
    symbol, op = arithmetic.OPERATORS[type(operator)]
    if not isinstance(left, Value) and not isinstance(right, Value):
        result = settled(node, frame, lambda: arithmetic.binary(symbol, left, right))
        if result is not None:
            return result
    operands = [_operand(node, frame, symbol, value) for value in (left, right)]
    return session.apply(node, frame, OPS[op], operands)


def unary(session: Session, node: ast.UnaryOp, frame: Frame) -> Steps:
    """A sign, ``~`` or ``not``."""
    value = yield Task(node.operand, frame)
    if isinstance(node.op, ast.Not):
        return not truth(value, node.operand, frame)
    symbol, op = arithmetic.OPERATORS[type(node.op)]
    if not isinstance(value, Value):
        return settled(node, frame, lambda: arithmetic.unary(symbol, value))
    return session.apply(node, frame, OPS[op], [value]) if op else value


def boolean(session: Session, node: ast.BoolOp, frame: Frame) -> Steps:
    """``and``, ``or`` on static values; what follows the deciding one is not read."""
    decisive = isinstance(node.op, ast.Or)
    for part in node.values:
        value = yield Task(part, frame)
        if isinstance(value, Value):
            word, symbol = ("or", "|") if decisive else ("and", "&")
            raise failure(
                "GC106",
                f"`{word}` is for static values, found {describe(value)}: write `(a) {symbol} (b)`",
                part,
                frame,
            )
        if truth(value, part, frame) == decisive:
            return decisive
    return not decisive


def comparison(session: Session, node: ast.Compare, frame: Frame) -> Steps:
    """One comparison."""
    left = yield Task(node.left, frame)
    right = yield Task(node.comparators[0], frame)
    operator = node.ops[0]
    if isinstance(operator, (ast.Is, ast.IsNot)):
        return (left is right) == isinstance(operator, ast.Is)
    if isinstance(operator, (ast.In, ast.NotIn)):
        return settled(node, frame, lambda: _contains(left, right)) == isinstance(operator, ast.In)
    symbol, op = arithmetic.OPERATORS[type(operator)]
    if not isinstance(left, Value) and not isinstance(right, Value):
        return settled(node, frame, lambda: arithmetic.compare(symbol, left, right))
    if left is None or right is None:
        return symbol == "!="
    return session.apply(node, frame, OPS[op], [_operand(node, frame, symbol, value) for value in (left, right)])


def conditional(session: Session, node: ast.IfExp, frame: Frame) -> Steps:
    """``a if c else b``: one of them when ``c`` is static, elementwise when it is a tensor."""
    condition = yield Task(node.test, frame)
    if not isinstance(condition, Value):
        return (yield Task(node.body if truth(condition, node.test, frame) else node.orelse, frame))
    taken = yield Task(node.body, frame)
    other = yield Task(node.orelse, frame)
    operands = [condition, *(_operand(node, frame, "if", value) for value in (taken, other))]
    return session.apply(node, frame, OPS["where"], operands)


def attribute(session: Session, node: ast.Attribute, frame: Frame) -> Steps:
    """``.T``, ``.shape``, ``.ndim``, ``.dtype`` of a tensor."""
    value = yield Task(node.value, frame)
    if not isinstance(value, Value):
        raise failure("GC106", f"expected a tensor before .{node.attr}, found {describe(value)}", node, frame)
    if node.attr == "T":
        return session.apply(node, frame, OPS["transpose"], [value])
    return {"shape": value.shape, "ndim": value.ndim, "dtype": value.type.dtype}[node.attr]


def subscript(session: Session, node: ast.Subscript, frame: Frame) -> Steps:
    """``x[...]`` of a tensor, a list or a tuple."""
    value = yield Task(node.value, frame)
    parts = []
    for part in node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]:
        parts.append((yield Task(part, frame)))
    if isinstance(value, Value):
        return _index(session, node, frame, value, parts)
    if not isinstance(value, (list, tuple, range)):
        raise failure("GC106", f"expected a tensor or a list before the brackets, found {describe(value)}", node, frame)
    if len(parts) != 1 or isinstance(node.slice, ast.Tuple):
        raise failure("GC106", f"expected one index, {describe(value)} is no tensor; found {len(parts)}", node, frame)
    return _item(node, frame, value, parts[0])


def slice_bounds(session: Session, node: ast.Slice, frame: Frame) -> Steps:
    """``start:stop:step``."""
    bounds: list[object] = []
    for part in (node.lower, node.upper, node.step):
        bound = None if part is None else (yield Task(part, frame))
        if not (bound is None or is_size(bound)):
            raise failure("GC106", f"expected a size in a slice, found {describe(bound)}", part or node, frame)
        bounds.append(bound)
    return slice(*bounds)


def comprehension(session: Session, node: ast.ListComp, frame: Frame) -> Steps:
    """``[f(i) for i in items if c]``, in a frame of its own."""
    inner = Frame({}, frame.call, frame)
    result: list[object] = []
    first = yield Task(node.generators[0].iter, frame)
    pending = [(0, iter(items_of(first, node.generators[0].iter, frame)))]
    while pending:
        depth, items = pending[-1]
        generator = node.generators[depth]
        try:
            item = next(items)
        except StopIteration:
            pending.pop()
            continue
        session.step(node, frame)
        inner.names.update((name.id, part) for name, part in unpack(generator.target, item, inner))
        if not (yield from _all_true(generator.ifs, inner)):
            continue
        if depth + 1 < len(node.generators):
            following = node.generators[depth + 1].iter
            found = yield Task(following, inner)
            pending.append((depth + 1, iter(items_of(found, following, inner))))
            continue
        result.append((yield Task(node.elt, inner)))
        if len(result) > MAX_ITEMS:
            raise failure("GC401", f"a list has at most {MAX_ITEMS} items, this one has more", node, frame)
    return result


def _all_true(conditions: list[ast.expr], frame: Frame) -> Steps:
    for condition in conditions:
        value = yield Task(condition, frame)
        if not truth(value, condition, frame):
            return False
    return True


def truth(value: object, node: ast.AST, frame: Frame) -> bool:
    """Whether a static condition holds; a tensor has no truth while the model is read."""
    if isinstance(value, (bool, int, float, str, list, tuple, type(None))):
        return bool(value)
    if isinstance(value, Value):
        message = f"expected a static condition, found {describe(value)}: write `where(c, a, b)` or `a if c else b`"
        raise failure("GC106", message, node, frame)
    raise failure("GC106", f"expected a static condition, found {describe(value)}", node, frame)


def items_of(value: object, node: ast.AST, frame: Frame) -> list[object] | tuple[object, ...] | range:
    """What a loop runs over."""
    if isinstance(value, (list, tuple, range)):
        return value
    raise failure("GC106", f"expected range(n), a list or a tuple to loop over, found {describe(value)}", node, frame)


def unpack(target: ast.expr, value: object, frame: Frame) -> list[tuple[ast.Name, object]]:
    """The names of a target, each with its part of the value."""
    bound: list[tuple[ast.Name, object]] = []
    stack = [(target, value)]
    while stack:
        part, item = stack.pop()
        if isinstance(part, ast.Name):
            bound.append((part, item))
        elif isinstance(part, (ast.Tuple, ast.List)):
            if not isinstance(item, (list, tuple)) or len(item) != len(part.elts):
                raise failure(
                    "GC106", f"expected {len(part.elts)} values to unpack, found {describe(item)}", part, frame
                )
            stack.extend(reversed(list(zip(part.elts, item, strict=True))))
    return bound


def _operand(node: ast.AST, frame: Frame, symbol: str, value: object) -> Value:
    if isinstance(value, (Value, float, bool)) or is_size(value):
        return value  # type: ignore[return-value]
    raise failure("GC106", f"expected a tensor or a number for {symbol}, found {describe(value)}", node, frame)


def _contains(item: object, items: object) -> bool:
    if not isinstance(items, (list, tuple, range)):
        raise TypeRuleError("GC106", f"expected a list after `in`, found {describe(items)}")
    return any(arithmetic.equal(item, other) for other in items)


def _index(session: Session, node: ast.Subscript, frame: Frame, value: Value, parts: list[object]) -> object:
    parts = with_arrays(session, node, frame, value, parts)
    tensors = [part for part in parts if isinstance(part, Value)]
    items = tuple("tensor" if isinstance(part, Value) else part for part in parts)
    for part, item in zip(parts, items, strict=True):
        if not (item is None or item is ... or item == "tensor" or isinstance(item, slice) or is_size(item)):
            wanted = "an integer, a slice, None, ..., a list of integers or a tensor of them"
            message = f"an index is {wanted}, found {describe(part)}"
            raise failure("GC203", message, node.slice, frame)
    if not tensors:
        return session.apply(node, frame, OPS["index"], [value], items=items)
    return session.apply(node, frame, OPS["gather"], [value, *tensors], items=items)


def _item(node: ast.Subscript, frame: Frame, items: list[object] | tuple[object, ...] | range, index: object) -> object:
    if isinstance(index, slice):
        if (
            all(part is None or isinstance(part, int) for part in (index.start, index.stop, index.step))
            and index.step != 0
        ):
            return items[index]
    elif isinstance(index, int) and not isinstance(index, bool):
        if -len(items) <= index < len(items):
            return items[index]
        if isinstance(node.value, ast.Attribute):
            raise failure("GC203", f"there is no axis {index} in a tensor with {len(items)} axes", node, frame)
        raise failure("GC107", f"index {index} is out of range for {describe(items)}", node, frame)
    raise failure(
        "GC106", f"expected a whole number as the index of {describe(items)}, found {describe(index)}", node, frame
    )


LEAVES: Mapping[type[ast.AST], Callable[..., object]] = {ast.Name: look_up, ast.Constant: constant}
"""Handlers that are done at once."""

EXPRESSIONS: Mapping[type[ast.AST], Callable[..., Steps]] = {
    ast.List: sequence,
    ast.Tuple: sequence,
    ast.BinOp: binary,
    ast.UnaryOp: unary,
    ast.BoolOp: boolean,
    ast.Compare: comparison,
    ast.IfExp: conditional,
    ast.Attribute: attribute,
    ast.Subscript: subscript,
    ast.Slice: slice_bounds,
    ast.ListComp: comprehension,
    ast.Call: call,
}
"""Handlers that yield tasks."""
