"""What the script of a report reads: steps, nodes and, for each point, the numbers; as JSON."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphc.autodiff import Joint
from graphc.backends.formulas import Notation
from graphc.backends.numbers import number
from graphc.backends.picture import shape_of
from graphc.backends.wire import wire_texts
from graphc.graph import Graph, Node
from graphc.report.timeline import Moment, about, gradients_of, known_from, node_id

if TYPE_CHECKING:
    from graphc.evaluated import Evaluated

Json = dict[str, object]
_MOST_NUMBERS = 24
_STRIP_ROWS, _STRIP_COLUMNS = 8, 32
_IMAGES, _SMALLEST_IMAGE, _LARGEST_IMAGE = 10, 16, 1024
"""How many rows are shown as images, and the pixels that such an image has."""


@dataclass(frozen=True, eq=False)
class Case:
    """One set of values in a report.

    Attributes
    ----------
    name : str
        What the page calls it.
    at : Evaluated or None
        None for a report without numbers.
    """

    name: str
    at: Evaluated | None


def page_data(
    drawn: Graph | Joint,
    notation: Notation,
    moments: Sequence[Moment],
    cases: Sequence[Case],
    edges: Mapping[int, Sequence[str]],
    *,
    wires: bool,
    maths: Sequence[str] = (),
) -> Json:
    """What the page does step by step, and shows of each value; ``edges`` are the picture's, by step.

    ``maths`` is the HTML of each step where the list of steps is without.
    """
    known = known_from(drawn, moments)
    return {
        "steps": [_step(drawn, moment, edges.get(count, ())) for count, moment in enumerate(moments, start=1)],
        "nodes": {node_id(node): _node(drawn, notation, node, known.get(node)) for node in notation.graph.nodes},
        "cases": [_case(drawn, case, wires) for case in cases],
        "maths": maths,
    }


def script_json(data: Json) -> str:
    """JSON that can stand in a script element: no name in it ends the element or starts a comment."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("</", "<\\/").replace("<!", "\\u003c!").replace("<s", "\\u003cs").replace("<S", "\\u003cS")


def _step(drawn: Graph | Joint, moment: Moment, edges: Sequence[str]) -> Json:
    return {
        "node": node_id(moment.step.node),
        "backward": moment.step.backward,
        "made": [*map(node_id, moment.made), *_outputs(drawn, moment)],
        "edges": edges,
        "code": [node_id(node) for node in about(drawn, moment)],
        "values": moment.values,
        "gradients": moment.gradients,
    }


def _outputs(drawn: Graph | Joint, moment: Moment) -> list[str]:
    """The boxes of outputs whose values a moment gives."""
    graph = drawn.graph if isinstance(drawn, Joint) else drawn
    made = set(moment.made)
    return [f"out_{name}" for name, node in graph.outputs.items() if node in made]


def _node(drawn: Graph | Joint, notation: Notation, node: Node, step: int | None) -> Json:
    """What a node is called and found by, the step that gives it and the node of its gradient."""
    names = notation.names.get(node, ())
    label = " = ".join((*names, notation.formulas[node])) if node.op.arity else " = ".join(names) or node.op.name
    found: Json = {"label": label, "op": node.op.name, "shape": shape_of(node), "step": step}
    gradient = gradients_of(drawn).get(node)
    return found if gradient is None else {**found, "gradient": node_id(gradient)}


def _case(drawn: Graph | Joint, case: Case, wires: bool) -> Json:
    texts = wire_texts(drawn, case.at) if wires else ()
    arrays = _arrays(case.at.values) if case.at else {}
    return {"name": case.name, "wires": {text.id: [text.above, text.below] for text in texts}, "arrays": arrays}


def _arrays(values: Mapping[Node, np.ndarray]) -> dict[str, Json]:
    return {node_id(node): array_data(value) for node, value in values.items()}


def array_data(value: np.ndarray) -> Json:
    """What a page shows of an array: the numbers of a small one, else statistics, a strip and perhaps images.

    Examples
    --------
    >>> array_data(np.arange(3.0))
    {'shape': '3', 'numbers': [['0', '1', '2']]}
    """
    found: Json = {"shape": _shape(value)}
    if not value.size:
        return found
    rows = value.reshape(-1, value.shape[-1] if value.ndim else 1)
    if not is_large(value):
        return {**found, "numbers": [[_text(item) for item in row] for row in rows]}
    numbers = rows.astype(np.float64)
    found["summary"] = summary_text(value)
    found["strip"] = _strip(numbers)
    side = math.isqrt(rows.shape[1])
    if side * side == rows.shape[1] and _SMALLEST_IMAGE <= rows.shape[1] <= _LARGEST_IMAGE:
        found["images"] = {"side": side, "bytes": _bytes(numbers[:_IMAGES], numbers)}
    return found


def is_large(value: np.ndarray) -> bool:
    """Whether an array is summed up rather than shown in full."""
    return value.size > _MOST_NUMBERS


def summary_text(value: np.ndarray) -> str:
    """Shape and range of an array.

    Examples
    --------
    >>> print(summary_text(np.arange(100.0).reshape(20, 5)))
    20×5, min 0, mean 49.5, max 99
    """
    numbers = value.astype(np.float64)
    with np.errstate(all="ignore"):
        found = {"min": numbers.min(), "mean": numbers.mean(), "max": numbers.max()}
    return ", ".join((_shape(value), *(f"{name} {_text(item)}" for name, item in found.items())))


def _shape(value: np.ndarray) -> str:
    return "×".join(map(str, value.shape)) or "scalar"


def _text(item: np.generic) -> str:
    return str(bool(item)).lower() if item.dtype.kind == "b" else number(float(item))


def _strip(rows: np.ndarray) -> Json:
    """The array itself or, of a large one, rows and columns spread over it evenly."""
    height, width = (min(size, most) for size, most in zip(rows.shape, (_STRIP_ROWS, _STRIP_COLUMNS), strict=True))
    down, along = (np.arange(count) * size // count for count, size in zip((height, width), rows.shape, strict=True))
    return {"width": width, "bytes": _bytes(rows[np.ix_(down, along)], rows)}


def _bytes(shown: np.ndarray, whole: np.ndarray) -> str:
    """Numbers as bytes: 127 is zero, 0 and 254 the largest size among the finite ones, 255 is NaN."""
    finite = np.abs(whole[np.isfinite(whole)])
    largest = finite.max() if finite.size else 0.0
    with np.errstate(all="ignore"):
        scaled = np.clip(shown / (largest or 1.0), -1, 1) * 127 + 127
    quantised = np.where(np.isnan(scaled), 255, np.round(np.nan_to_num(scaled))).astype(np.uint8)
    return base64.b64encode(quantised.tobytes()).decode()
