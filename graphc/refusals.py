"""A type rule's refusal as a diagnostic: the operands by the user's names for them, and where each comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphc.diagnostics import Diagnostic
from graphc.errors import TypeRuleError
from graphc.graph import Node
from graphc.source import Span
from graphc.tensor_type import TensorType, described

if TYPE_CHECKING:
    from graphc.builder import Builder

MAX_QUOTED = 40
"""Longer expressions are not repeated in a message."""


def diagnosed(builder: Builder, refusal: TypeRuleError, operands: Sequence[Node]) -> Diagnostic:
    """The diagnostic of a refusal, at the builder's place, with the places of the operands."""
    written = [_as_written(builder, node) for node in operands]
    names = [_name(builder, node, position, len(written)) for position, node in enumerate(written)]
    related: dict[tuple[Span, str], None] = {}
    for position, node in enumerate(written):
        span = _place(builder, node)
        if span is not None:
            said = refusal.operands.get(position) or _described(node, refusal.code)
            related[span, f"{names[position]} {said}"] = None
    here = builder.place.spans[0] if builder.place.spans else None
    texts = (text.format(*names) for text in (refusal.message, refusal.label, refusal.hint))
    message, label, hint = texts
    return Diagnostic(refusal.code, message, here, label, tuple(related), hint)


def _as_written(builder: Builder, node: Node) -> Node:
    """The operand before its cast to the dtype of the others, which nobody wrote."""
    spans = tuple(builder.spans.get(node, ()))
    return builder.operands(node)[0] if node.op.name == "cast" and spans == builder.place.spans else node


def _described(node: Node, code: str) -> str:
    return described(node.type.shape) if isinstance(node.type, TensorType) and code != "GC204" else f"is {node.type}"


def _place(builder: Builder, node: Node) -> Span | None:
    """Where an operand comes from; inside a call that this error is about too, its place in the function."""
    spans = tuple(builder.spans.get(node, ()))
    if not spans or node.op.name in ("const", "size"):
        return None
    return spans[-1] if spans[0] in builder.place.spans else spans[0]


def _name(builder: Builder, node: Node, position: int, count: int) -> str:
    """The name of an operand, else its text in the model, else its position."""
    names, spans = builder.names.get(node), tuple(builder.spans.get(node, ()))
    if names:
        return next(iter(names))
    if node.op.name in ("const", "size"):
        return str(node.attrs["value" if node.op.name == "const" else "size"])
    if spans and spans[-1].line == spans[-1].end_line and len(spans[-1].text) <= MAX_QUOTED:
        return f"`{spans[-1].text}`"
    if count == 2:
        return ("the left operand", "the right operand")[position]
    return "the operand" if count == 1 else f"operand {position + 1}"
