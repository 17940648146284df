"""The layers of a block picture: the calls around each box, with the activation that follows one taken in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from graphc.backends.diagram import Box, Diagram
from graphc.graph import Scope


def with_layers(diagram: Diagram) -> Diagram:
    """The diagram with each box in its layer: what shares a row shares it, an activation joins what it follows."""
    boxes = {box.id: box for box in diagram.boxes}
    users: dict[str, list[str]] = {}
    sources: dict[str, list[str]] = {}
    for arrow in diagram.arrows:
        if arrow.kind == "forward":
            users.setdefault(arrow.start, []).append(arrow.end)
            sources.setdefault(arrow.end, []).append(arrow.start)
    titles: dict[Scope, str] = {}
    layers: dict[str, Scope] = {}
    for box in diagram.boxes:
        layer = box.layer
        for depth in range(len(layer)):
            titles.setdefault(layer[: depth + 1], layer[depth])
        before = sources.get(box.id, [])
        if _is_activation(box) and len(before) == 1 and len(users[before[0]]) == 1:
            around = layers.get(before[0], ())
            if len(around) > len(layer) and around[: len(layer)] == layer:
                layer = around[: len(layer) + 1]
                titles[layer] += f" + {box.head}"
        layers[box.id] = layer
    return replace(
        diagram, boxes=tuple(replace(box, layer=_of_row(box, boxes, layers)) for box in diagram.boxes), titles=titles
    )


def _of_row(box: Box, boxes: Mapping[str, Box], layers: Mapping[str, Scope]) -> Scope:
    row = box.beside if box.beside in boxes and boxes[box.beside].role != "output" else box.id
    return layers[row] if len(layers[row]) >= len(layers[box.id]) or box.backward else layers[box.id]


def _is_activation(box: Box) -> bool:
    if box.role != "forward" or len(box.nodes) != 1:
        return False
    op = box.nodes[0].op
    return op.elementwise is not None and op.arity == 1
