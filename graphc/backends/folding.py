"""Folding a block picture by layer: one box for each, and equal layers that follow one another once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from operator import mul
from typing import Literal

from graphc.backends.diagram import Arrow, Box, Diagram
from graphc.backends.grid import LEAVES
from graphc.backends.picture import shape_of
from graphc.backends.repeats import Item, Run, period_of, repeats
from graphc.graph import Graph, Node, Scope
from graphc.size import Size

Depth = int | Literal["all"] | None
MOST_BOXES = 120
"""Beyond so many boxes a picture is folded unless told."""
_MOST_NAMES = 3


def folded(diagram: Diagram, graph: Graph, depth: Depth = None) -> Diagram:
    """The diagram with layers as boxes.

    Parameters
    ----------
    diagram : Diagram
        With layers, see `graphc.backends.layers.with_layers`.
    graph : Graph
        What it shows.
    depth : int or "all", optional
        How many levels of calls stay open; by default none in a picture of many boxes, else all.
    """
    if depth == "all" or (depth is None and len(diagram.boxes) - len(diagram.hidden) <= MOST_BOXES):
        return diagram
    return _Folder(diagram, graph, depth or 0).diagram()


@dataclass(eq=False)
class _Folder:
    whole: Diagram
    graph: Graph
    depth: int
    stands_for: dict[str, str] = field(default_factory=dict)
    """By id of a box: the id of the box that is drawn instead; empty for none."""
    copy: dict[str, int] = field(default_factory=dict)
    """By id of a box: which of equal copies it belongs to."""

    def __post_init__(self) -> None:
        self.by_id = {box.id: box for box in self.whole.boxes}
        self.items = self._items()
        self.item_of = {box.id: item for item in self.items for box in item.boxes}
        self.params = self._params()
        self.runs = tuple(repeats(self.items, self.whole, self.graph, self.params))
        self.titles: dict[Scope, str] = dict(self.whole.titles)

    def diagram(self) -> Diagram:
        runs = {run.start: run for run in self.runs}
        made: list[Box] = []
        position = 0
        while position < len(self.items):
            run = runs.get(position, Run(position, 1, 1))
            made += self._drawn(run)
            position += run.period * run.count
        loose = [box for box in self.whole.boxes if box.id not in self.stands_for]
        boxes = sorted([*made, *map(self._beside_folded, loose)], key=self._place)
        ids = {box.id for box in boxes}
        hidden = {box.id for box in boxes if not box.backward and self._is_hidden(box)}
        arrows = tuple(arrow for arrow in self._arrows() if {arrow.start, arrow.end} <= ids)
        return replace(self.whole, boxes=tuple(boxes), arrows=arrows, titles=self.titles, hidden=frozenset(hidden))

    def _beside_folded(self, box: Box) -> Box:
        beside, home = self.stands_for.get(box.beside, box.beside), self.stands_for.get(box.home, box.home)
        layer = _run_layer(self._run_of[beside]) if self._in_band(beside) else box.layer
        return replace(box, beside=beside, home=home, layer=layer)

    def _in_band(self, id: str) -> bool:
        return any(run.period > 1 and run.start == self._run_of.get(id) for run in self.runs)

    def _key(self, box: Box) -> Scope:
        return box.layer[: self.depth + 1] if len(box.layer) > self.depth and box.role != "input" else ()

    def _items(self) -> list[Item]:
        """The forward boxes in order, those of one call together."""
        found: list[Item] = []
        for box in self.whole.boxes:
            if box.backward or box.role in (*LEAVES, "output"):
                continue
            key = self._key(box)
            if key and found and found[-1].key == key:
                found[-1].boxes.append(box)
            else:
                found.append(Item(len(found), key, [box]))
        return found

    def _params(self) -> dict[int, list[Box]]:
        """By item: the parameters that it uses."""
        found: dict[int, dict[str, Box]] = {}
        for arrow in self.whole.arrows:
            start, item = self.by_id[arrow.start], self.item_of.get(arrow.end)
            if start.role == "param" and item is not None:
                found.setdefault(item.position, {})[start.id] = start
        return {position: list(boxes.values()) for position, boxes in found.items()}

    def _drawn(self, run: Run) -> Iterator[Box]:
        """The boxes of a run of equal copies, or of one item alone."""
        first = self.items[run.start : run.start + run.period]
        for copy in range(run.count):
            for item in first:
                self._merge(self.items[item.position + copy * run.period], item, copy, run)
        if run.count > 1 and run.period > 1:
            self.titles[_run_layer(run.start)] = f"×{run.count}{run.parameters}"
        for item in first:
            yield from self._of_item(item, run)

    def _merge(self, item: Item, drawn: Item, copy: int, run: Run) -> None:
        alone = not drawn.key
        for box in item.boxes:
            self.stands_for[box.id] = drawn.boxes[0].id if alone else drawn.id
            self.copy[box.id] = copy
        mine, its = self.params.get(item.position, []), self.params.get(drawn.position, [])
        for param, shown in zip(mine, its, strict=True) if len(mine) == len(its) else []:
            if self._key(param):
                self.stands_for.setdefault(param.id, "")
            elif copy and param.id != shown.id:
                self.stands_for.setdefault(param.id, shown.id)
            self.copy.setdefault(param.id, copy)
        if alone and run.count == 1:
            return
        for box in self._gradients.get(item.position, ()):
            self.stands_for[box.id] = f"{drawn.id}_gradient"
            self.copy[box.id] = copy

    @cached_property
    def _gradients(self) -> Mapping[int, list[Box]]:
        """By item: the boxes of the gradient that belong to it."""
        users: dict[str, str] = {}
        for arrow in self.whole.arrows:
            users.setdefault(arrow.start, arrow.end)
        homes: dict[str, Item | None] = {}
        found: dict[int, list[Box]] = {}
        for box in reversed(self.whole.boxes):
            if not box.backward or box.beside.startswith("out_"):
                continue
            home = self.item_of.get(box.home)
            if home is None and box.home in self.by_id:
                home = self._first_user(box.home)
            # A step of a derivative belongs where what it is a step of does.
            homes[box.id] = home = home or homes.get(users.get(box.id, ""))
            if home is not None:
                found.setdefault(home.position, []).append(box)
        return {position: boxes[::-1] for position, boxes in found.items()}

    def _first_user(self, leaf: str) -> Item | None:
        """A gradient by a parameter belongs where that is used first."""
        param = self.by_id[leaf]
        found = [position for position, boxes in self.params.items() if param in boxes]
        return self.items[min(found)] if found else None

    def _of_item(self, item: Item, run: Run) -> Iterator[Box]:
        layer: Scope = _run_layer(run.start) if run.count > 1 and run.period > 1 else ()
        times = f"×{run.count}{run.parameters}" if run.count > 1 and run.period == 1 else ""
        copies = [self._gradients.get(item.position + copy * run.period, []) for copy in range(run.count)]
        count, gradient = max(map(len, copies)), next(filter(None, copies), [])
        if not item.key:
            (box,) = item.boxes
            yield replace(box, body="\n".join(filter(None, [box.body, times])), layer=layer or box.layer)
            if run.count > 1 and gradient:
                yield self._gradient_of(item, gradient, count, f"{box.head}′", box.id, layer)
            return
        inner = period_of(item, self.whole, self.graph)
        title = self.titles.get(item.key, item.key[-1])
        last = item.boxes[-1].nodes[-1]
        size = self._size(item)
        lines = [" · ".join([_counted(len(item.boxes) // inner, "op"), *[_counted(size, "parameter")][: size != 0]])]
        lines += [times] if times else [f"×{inner} (same parameters)"] if inner > 1 else []
        tooltip = f"{'/'.join(item.key)}: {len(item.boxes)} ops, {last.type}"
        nodes = tuple(node for box in item.boxes for node in box.nodes)
        body = "\n".join(lines)
        yield Box(item.id, nodes, "forward", title, body, tooltip, f"→ {shape_of(last)}", layer=layer or item.key[:-1])
        if gradient:
            yield self._gradient_of(item, gradient, count, f"{title}′", item.id, layer or item.key[:-1])

    def _gradient_of(self, item: Item, boxes: Sequence[Box], count: int, head: str, beside: str, layer: Scope) -> Box:
        returned = [box.head for box in reversed(boxes) if box.role == "gradient"]
        lines = [_counted(count, "op")]
        if returned:
            lines.append(", ".join([*returned[:_MOST_NAMES], *["…"][: len(returned) > _MOST_NAMES]]))
        nodes = tuple(node for box in boxes for node in box.nodes)
        role = "gradient" if returned else "backward"
        tooltip = f"{head}: {', '.join(lines)}"
        id = f"{item.id}_gradient"
        return Box(id, nodes, role, head, "\n".join(lines), tooltip, "", True, layer, beside, beside)

    def _size(self, item: Item) -> Size:
        params = [node for box in self.params.get(item.position, ()) for node in box.nodes]
        return sum((_elements(node) for node in params), start=0)

    def _arrows(self) -> Iterator[Arrow]:
        told: set[tuple[str, str, str]] = set()
        for arrow in self.whole.arrows:
            start, end = self.stands_for.get(arrow.start, arrow.start), self.stands_for.get(arrow.end, arrow.end)
            copies = self.copy.get(arrow.start), self.copy.get(arrow.end)
            between = None not in copies and copies[0] != copies[1] and self._same_run(start, end)
            if start and end and start != end and not between and (start, end, arrow.kind) not in told:
                told.add((start, end, arrow.kind))
                yield replace(arrow, start=start, end=end)

    def _same_run(self, start: str, end: str) -> bool:
        return self._run_of.get(start, start) == self._run_of.get(end, end)

    @cached_property
    def _run_of(self) -> Mapping[str, int]:
        """By id of a box that is drawn: where the run starts that it is in."""
        found: dict[str, int] = {}
        for run in self.runs:
            for item in self.items[run.start : run.start + run.period]:
                params = [param.id for param in self.params.get(item.position, ())]
                ids = [item.id, item.boxes[0].id, f"{item.id}_gradient", *params]
                found.update(dict.fromkeys(ids, run.start))
        return found

    def _place(self, box: Box) -> tuple[int, int]:
        """In the order of the model; outputs after all that is computed."""
        return (box.role == "output", box.nodes[0].serial if box.nodes else 0)

    def _is_hidden(self, box: Box) -> bool:
        if not box.nodes:
            return box.id in self.whole.hidden
        return all(f"n{node.serial}" in self.whole.hidden for node in box.nodes)


def _run_layer(start: int) -> Scope:
    return (f"run {start}",)


def _elements(node: Node) -> Size:
    return reduce(mul, node.tensor.shape, 1)


def _counted(count: Size, word: str) -> str:
    text = f"{count:,}" if isinstance(count, int) else str(count)
    return f"{text} {word}" if count == 1 else f"{text} {word}s"
