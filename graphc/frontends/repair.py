"""Hints for matrix products that do not fit: another declared size, when the whole model is right with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from graphc.frontends.session import Session
from graphc.graph import Node
from graphc.size import Size
from graphc.source import Span


def hint_for(session: Session, operands: Sequence[Node], is_right: Callable[[str], bool]) -> str:
    """The first changed declaration that makes the model right, as a hint; empty when there is none.

    Parameters
    ----------
    session : Session
    operands : sequence of Node
        Of the product that does not fit.
    is_right : callable
        Whether a text is a model without errors.
    """
    for span, text in _declarations(session, operands):
        lines = list(session.source.lines)
        line = lines[span.line - 1]
        lines[span.line - 1] = f"{line[: span.column - 1]}{text}{line[span.end_column - 1 :]}"
        if is_right("\n".join(lines)):
            return f"`{text}` makes the rest of the model fit"
    return ""


def _declarations(session: Session, operands: Sequence[Node]) -> Iterator[tuple[Span, str]]:
    """Declarations of the operands, with the size of the other one in the place of the axis that does not fit."""
    if len(operands) != 2 or not all(node.tensor.shape for node in operands):
        return
    left, right = operands
    inner = max(right.tensor.ndim - 2, 0)
    yield from _changed(session, right, inner, left.tensor.shape[-1])
    yield from _changed(session, left, left.tensor.ndim - 1, right.tensor.shape[inner])


def _changed(session: Session, node: Node, axis: int, size: Size) -> Iterator[tuple[Span, str]]:
    kind = {"param": "Param", "input": "Input"}.get(node.op.name)
    name = str(node.attrs.get("name"))
    span = session.declared.get(name)
    if kind is None or span is None or span.line != span.end_line or span.source is not session.source:
        return
    if not span.text.replace(" ", "").startswith(f"{name}:{kind}["):
        return
    shape = [*map(str, node.tensor.shape[:axis]), str(size), *map(str, node.tensor.shape[axis + 1 :])]
    if node.tensor.dtype != session.float_dtype:
        shape.append(node.tensor.dtype)
    yield span, f"{name}: {kind}[{', '.join(shape)}]"
