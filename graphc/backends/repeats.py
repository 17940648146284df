"""Equal layers that follow one another: by their ops, attributes, types and wiring, never by their names.

Copies are equal when each takes from the one before what that takes from its own predecessor, and when nothing but the
next copy looks into one. Finding them costs a few passes over the boxes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from graphc.backends.diagram import Box, Diagram
from graphc.builder import attrs_key
from graphc.graph import Graph, Node

_LONGEST_PERIOD = 16
_Reference = tuple[int, int]
"""A box by the position of its item and its place in that."""


@dataclass
class Item:
    """A layer, or a single box outside of all; ``key`` is empty for the latter."""

    position: int
    key: tuple[str, ...]
    boxes: list[Box] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The id of the box that stands for a layer."""
        return f"layer_n{self.boxes[0].nodes[0].serial}"


@dataclass(frozen=True)
class Run:
    """So many copies of so many items, from a position on; ``parameters`` says whose these are."""

    start: int
    period: int
    count: int
    parameters: str = ""


@dataclass(frozen=True)
class _Shape:
    """What an item is: its inner structure, and where what it takes from others comes from."""

    inner: tuple[object, ...]
    outside: tuple[_Reference, ...]


def repeats(
    items: Sequence[Item], diagram: Diagram, graph: Graph, params: Mapping[int, Sequence[Box]]
) -> Iterator[Run]:
    """The runs of equal copies, from the first item on, each as long as it gets."""
    shapes = _shapes(items, graph)
    reach = _reach(items, diagram)
    position = 0
    while position < len(items):
        best = Run(position, 1, 1)
        for period in range(1, min(_LONGEST_PERIOD, (len(items) - position) // 2) + 1):
            count = _copies(shapes, reach, position, period)
            if count > 1 and period * count > best.period * best.count:
                best = Run(position, period, count)
        if best.count > 1:
            yield Run(best.start, best.period, best.count, _sharing(best, params))
        position += best.period * best.count if best.count > 1 else 1


def period_of(item: Item, diagram: Diagram, graph: Graph) -> int:
    """How often a layer with parameters is called in a row, where its boxes are several such calls."""
    singles = [Item(place, (), [box]) for place, box in enumerate(item.boxes)]
    shapes, reach = _shapes(singles, graph), _reach(singles, diagram)
    params = _used_params(item.boxes, graph)
    for period in range(1, len(singles) // 2 + 1):
        if len(singles) % period or _copies(shapes, reach, 0, period) * period != len(singles):
            continue
        parts = [item.boxes[start : start + period] for start in range(0, len(singles), period)]
        used = [frozenset(param for box in part for param in params[box.id]) for part in parts]
        if used[0] and len(set(used)) == 1:
            return len(parts)
    return 1


def _copies(shapes: Sequence[_Shape], reach: Sequence[int], start: int, period: int) -> int:
    count = 1
    while start + (count + 1) * period <= len(shapes) and _is_copy(shapes, start, period, count):
        # The copy before this one must be used by itself and by this one only.
        last = start + (count + 1) * period
        if any(reach[place] >= last for place in range(last - 2 * period, last - period)):
            break
        count += 1
    return count


def _is_copy(shapes: Sequence[_Shape], start: int, period: int, number: int) -> bool:
    """Whether the items of a copy are those of the first, taking from the one before as that does."""
    here = start + number * period
    for offset in range(period):
        first, other, before = shapes[start + offset], shapes[here + offset], shapes[here - period + offset]
        if first.inner != other.inner or len(first.outside) != len(other.outside):
            return False
        for a, b, c in zip(first.outside, other.outside, before.outside, strict=True):
            inside = b[0] >= here
            previous = here - period <= b[0] < here
            if inside and (a[0] - start, a[1]) != (b[0] - here, b[1]):
                return False
            if previous and (a[0] >= start if number == 1 else (c[0] + period, c[1]) != b):
                return False
            if not inside and not previous and (a != b or a[0] >= start):
                return False
    return True


def _shapes(items: Sequence[Item], graph: Graph) -> list[_Shape]:
    places = {box.nodes[0]: (item.position, index) for item in items for index, box in enumerate(item.boxes)}
    keys: dict[object, int] = {}
    return [_shape(item, graph, places, keys) for item in items]


def _shape(item: Item, graph: Graph, places: Mapping[Node, _Reference], keys: dict[object, int]) -> _Shape:
    outside: dict[_Reference, int] = {}
    params: dict[Node, int] = {}
    written: dict[Node, object] = {}

    def reference(node: Node) -> object:
        if node in places:
            position, index = places[node]
            if position == item.position:
                return ("in", index)
            return ("out", outside.setdefault((position, index), len(outside)))
        if node.op.name == "param":
            return ("param", params.setdefault(node, len(params)), node.type)
        if node.op.name == "input":
            return ("out", outside.setdefault((-1, node.serial), len(outside)))
        return written[node]

    found = []
    for box in item.boxes:
        for node in _with_hidden(box.nodes[0], graph, places):
            key = (node.op.name, attrs_key(node.attrs), node.type, *(reference(o) for o in graph.operands(node)))
            written[node] = keys.setdefault(key, len(keys))
        found.append(written[box.nodes[0]])
    return _Shape(tuple(found), tuple(outside))


def _with_hidden(node: Node, graph: Graph, places: Mapping[Node, _Reference]) -> list[Node]:
    """A box's node after those without a box that it is computed from."""
    found, stack = {node}, [node]
    while stack:
        for operand in graph.operands(stack.pop()):
            if operand not in places and operand.op.name not in ("input", "param") and operand not in found:
                found.add(operand)
                stack.append(operand)
    return sorted(found, key=lambda node: node.serial)


def _reach(items: Sequence[Item], diagram: Diagram) -> list[int]:
    """By item: the last one that uses it; beyond all where an output does."""
    position = {box.id: item.position for item in items for box in item.boxes}
    reach = [item.position for item in items]
    for arrow in diagram.arrows:
        if arrow.kind == "forward" and arrow.start in position:
            user = position.get(arrow.end, len(items))
            reach[position[arrow.start]] = max(reach[position[arrow.start]], user)
    return reach


def _used_params(boxes: Sequence[Box], graph: Graph) -> dict[str, set[Node]]:
    found: dict[str, set[Node]] = {}
    for box in boxes:
        nodes = _with_hidden(box.nodes[0], graph, {other.nodes[0]: (0, 0) for other in boxes})
        found[box.id] = {operand for node in nodes for operand in graph.operands(node) if operand.op.name == "param"}
    return found


def _sharing(run: Run, params: Mapping[int, Sequence[Box]]) -> str:
    """Whether copies have parameters of their own."""
    used = [
        frozenset(box.id for offset in range(run.period) for box in params.get(start + offset, ()))
        for start in range(run.start, run.start + run.period * run.count, run.period)
    ]
    if not any(used):
        return ""
    if len(set(used)) == 1:
        return " (same parameters)"
    return " (own parameters)" if sum(map(len, used)) == len(frozenset().union(*used)) else " (some parameters shared)"
