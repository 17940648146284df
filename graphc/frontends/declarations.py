"""``x: Input[N]``, ``W: Param[64, H] = he_normal()``, ``loss: Output = ...``."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from graphc.frontends.arithmetic import checked_size
from graphc.frontends.session import Session, failure, is_size, place_of, settled
from graphc.frontends.syntax import span_of
from graphc.frontends.values import Frame, Steps, Task, describe
from graphc.ops.leaves import Initializer
from graphc.size import Size, SizeExpr, at_least, named_size, size_names
from graphc.source import Span
from graphc.tensor_type import DTYPES, DType, Shape, TensorType, product
from graphc.value import Value


def annotated(session: Session, node: ast.AnnAssign, frame: Frame) -> Steps:
    """A declaration."""
    kind = node.annotation.value if isinstance(node.annotation, ast.Subscript) else node.annotation
    assert isinstance(kind, ast.Name) and isinstance(node.target, ast.Name)
    if session.pure:
        raise failure(
            "GC106",
            f"expected arithmetic only in the elementwise function {session.pure}, found {kind.id}",
            node,
            frame,
        )
    if kind.id != "Param" and frame.call.function:
        message = f"expected {kind.id} at the top of a model, found one in {frame.call.function}: hand the value over"
        raise failure("GC002", message, node, frame)
    if kind.id == "Output":
        return (yield from _output(session, node, frame))
    type = yield from _declared_type(session, node, frame)
    if kind.id == "Input":
        return _input(session, node, frame, type)
    return (yield from _param(session, node, frame, type))


def declaration_span(session: Session, node: ast.AnnAssign, frame: Frame) -> Span:
    """The name and its annotation, without what it is set to."""
    source = frame.call.source
    start, end = span_of(source, node), span_of(source, node.annotation)
    return Span(source, start.line, start.column, end.end_line, end.end_column)


def claim(session: Session, name: str, span: Span, node: ast.AST, frame: Frame) -> None:
    """Enter a name into the signature, once."""
    first = session.declared.get(name)
    if first is not None:
        raise failure(
            "GC102", f"{name} is declared twice", node, frame, related=((first, f"{name} is declared here first"),)
        )
    session.declared[name] = span


def _declared_type(session: Session, node: ast.AnnAssign, frame: Frame) -> Steps:
    if not isinstance(node.annotation, ast.Subscript):
        return TensorType(session.float_dtype, ())
    inner = node.annotation.slice
    parts: Sequence[ast.expr] = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    sizes: list[Size] = []
    dtype: DType = session.float_dtype
    for position, part in enumerate(parts):
        _bind_free_sizes(session, part, frame)
        value = yield Task(part, frame)
        if isinstance(value, str) and value in DTYPES and position == len(parts) - 1:
            dtype = value
        else:
            sizes.append(_size(value, part, frame))
    return settled(node.annotation, frame, lambda: TensorType(dtype, tuple(sizes)))


def _size(value: object, node: ast.expr, frame: Frame) -> Size:
    if not is_size(value):
        what = f"{node.id} is " if isinstance(node, ast.Name) else ""
        code = "GC205" if isinstance(value, Value) else "GC106"
        raise failure(code, f"expected a size: a whole number or a name, found {what}{describe(value)}", node, frame)
    assert isinstance(value, (int, SizeExpr))
    if at_least(value, 0) is False:
        raise failure("GC205", f"expected a size that is not negative, found {value}", node, frame)
    return checked_size(value)


def _input(session: Session, node: ast.AnnAssign, frame: Frame, type: object) -> object:
    assert isinstance(type, TensorType) and isinstance(node.target, ast.Name)
    name = node.target.id
    if node.value is not None:
        raise failure("GC002", f"an input has no value of its own: the caller gives {name}", node.value, frame)
    span = declaration_span(session, node, frame)
    session.check_free(name, node, frame)
    claim(session, name, span, node, frame)
    with session.builder.at((span,)):
        frame.names[name] = session.builder.input(name, type)
    return None


def _param(session: Session, node: ast.AnnAssign, frame: Frame, type: object) -> Steps:
    assert isinstance(type, TensorType) and isinstance(node.target, ast.Name)
    init: object = None
    if node.value is not None:
        init = yield from _initializer(session, node, frame, type)
    name = "_".join((*frame.call.scope, node.target.id))
    if not type.is_float:
        raise failure("GC204", f"a parameter is trained, so it is a float; found {name}: {type}", node, frame)
    session.check_free(node.target.id, node, frame)
    frame.names[node.target.id] = _shared_param(session, node, frame, name, type, init)
    return None


def _shared_param(
    session: Session, node: ast.AnnAssign, frame: Frame, name: str, type: TensorType, init: object
) -> Value:
    """The parameter; of a layer that shares its parameters, the one of its first call."""
    shared = frame.call.shared
    found = shared.get(name) if shared is not None else None
    if found is not None:
        if found.type != type:
            message = f"{name} is {found.type} from the layer's first call, and would be {type} in this one"
            raise failure("GC205", message, node, frame)
        return found
    span = declaration_span(session, node, frame)
    spans = (*frame.call.spans, span)
    claim(session, name, spans[0], node, frame)
    with session.builder.at(spans, place_of(node, frame).scopes):
        value = session.builder.param(name, type, init)
    if shared is not None:
        shared[name] = value
    return value


def _initializer(session: Session, node: ast.AnnAssign, frame: Frame, type: TensorType) -> Steps:
    assert node.value is not None
    if any(size_names(size) for size in type.shape):
        free = ", ".join(dict.fromkeys(name for size in type.shape for name in size_names(size)))
        message = f"expected sizes that are numbers for a parameter with an initialiser, found the free size {free}"
        raise failure("GC106", message, node.annotation, frame)
    before, session.fans = session.fans, dict(zip(("fan_in", "fan_out"), fans(type.shape), strict=True))
    try:
        value = yield Task(node.value, frame)
    finally:
        session.fans = before
    if isinstance(value, Initializer):
        return value
    text = span_of(frame.call.source, node.value).text
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Initializer("constant", float(value), float(value), text=text)
    raise failure(
        "GC106",
        f"expected an initialiser such as zeros() or normal(0, 0.1), found {describe(value)}",
        node.value,
        frame,
    )


def fans(shape: Shape) -> tuple[Size, Size]:
    """How many numbers one element of the result comes from, and goes to, when a tensor of this shape is a weight.

    A matrix has inputs and outputs, as in `dense`; more axes are outputs, inputs and a window, as in `conv2d`.

    Examples
    --------
    >>> fans((64, 32)), fans((16, 8, 3, 3)), fans((10,)), fans(())
    ((64, 32), (72, 144), (10, 10), (1, 1))
    """
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    if len(shape) == 2:
        return shape
    window = product(shape[2:])
    return shape[1] * window, shape[0] * window


def _output(session: Session, node: ast.AnnAssign, frame: Frame) -> Steps:
    assert isinstance(node.target, ast.Name)
    name = node.target.id
    session.found_output = True
    expected = None
    if isinstance(node.annotation, ast.Subscript):
        expected = yield from _declared_type(session, node, frame)
    if node.value is None:
        raise failure("GC106", f"expected a value for the output {name}: `{name}: Output = ...`", node, frame)
    held = yield Task(node.value, frame)
    value = session.size_value(node.value, frame, held)
    if value is None:
        raise failure("GC106", f"expected a tensor for the output {name}, found {describe(held)}", node.value, frame)
    if expected is not None and value.type != expected:
        raise failure("GC205", f"{name} is declared {expected}, its value is {value.type}", node, frame)
    session.check_free(name, node, frame)
    claim(session, name, declaration_span(session, node, frame), node, frame)
    frame.names[name] = value
    session.builder.name(value.node, name)
    session.outputs[name] = value.node
    return None


_OTHER_DTYPE = re.compile(r"(b?float|u?int|complex)\d+|double|bool_")
"""What people write for a dtype and mean no size by."""


def _bind_free_sizes(session: Session, node: ast.expr, frame: Frame) -> None:
    """Names in a size that nothing is bound to yet become free sizes; in functions there are none."""
    if frame.call.function:
        return
    called = {id(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)}
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and id(part) not in called and _is_free(session, part.id, frame):
            if _OTHER_DTYPE.fullmatch(part.id):
                raise failure("GC204", f"a dtype is one of {', '.join(DTYPES)}, found {part.id}", part, frame)
            frame.names[part.id] = named_size(part.id)
            session.sizes[part.id] = span_of(frame.call.source, part)


def _is_free(session: Session, name: str, frame: Frame) -> bool:
    return frame.find(name) is None and name not in DTYPES and name not in session.static
