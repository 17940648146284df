"""Rows and lanes of a block picture: the longest way through the model is the spine, all else stands beside it.

Left of the spine are parameters, inputs and side branches, right of it returned gradients and then the other ones. Rows
count from the top. Everything is decided box by box in the order of the model, so the cost is linear.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from graphc.backends.diagram import Box, Diagram

LEAVES = ("input", "param")


@dataclass(frozen=True, eq=False)
class Grid:
    """Where boxes stand, by their ids.

    Attributes
    ----------
    rows : mapping of str to float
        Halves are rows between rows.
    lanes : mapping of str to int
        The spine is 0, left of it they count down.
    gradient : int
        The lane of the gradient spine.
    """

    rows: Mapping[str, float]
    lanes: Mapping[str, int]
    gradient: int


def grid_of(diagram: Diagram) -> Grid:
    """The place of every box, also of hidden ones."""
    forward = [box for box in diagram.boxes if not box.backward]
    backward = [box for box in diagram.boxes if box.backward]
    sources, users = _neighbours(diagram)
    rows = _depths(forward, sources)
    spine = _spine(forward, rows, sources)
    _lower(forward, rows, users, spine)
    lanes = dict.fromkeys(spine, 0)
    _to_the_left(forward, rows, lanes, users)
    _rows_of_gradients(backward, rows, sources)
    used = {box.id for box in backward if users.get(box.id)}
    gradient = _to_the_right(backward, rows, lanes, sources, set(spine), used)
    return Grid(rows, lanes, gradient)


_Neighbours = Mapping[str, Sequence[str]]


def _neighbours(diagram: Diagram) -> tuple[_Neighbours, _Neighbours]:
    """By box: what it is computed from, and what uses it; values kept for the gradient do not count."""
    sources: dict[str, list[str]] = {}
    users: dict[str, list[str]] = {}
    for arrow in diagram.arrows:
        if arrow.kind != "kept":
            sources.setdefault(arrow.end, []).append(arrow.start)
            users.setdefault(arrow.start, []).append(arrow.end)
    return sources, users


def _depths(forward: Iterable[Box], sources: _Neighbours) -> dict[str, float]:
    """The most arrows on a way that leads to a box."""
    depth: dict[str, float] = {}
    for box in forward:
        depth[box.id] = max((depth.get(source, 0) + 1 for source in sources.get(box.id, ())), default=0)
    return depth


def _spine(forward: Sequence[Box], depth: Mapping[str, float], sources: _Neighbours) -> list[str]:
    """The longest way of forward arrows to an output, from the bottom up."""
    ends = [box.id for box in forward if box.role == "output"] or [box.id for box in forward]
    beside = {box.id for box in forward if box.beside}
    path = [max(ends, key=lambda id: depth[id])] if ends else []
    while path and (above := [id for id in sources.get(path[-1], ()) if id not in beside]):
        path.append(max(above, key=lambda id: depth.get(id, 0)))
    return path


def _lower(forward: Sequence[Box], rows: dict[str, float], users: _Neighbours, spine: Iterable[str]) -> None:
    """What is not on the spine stands right above its first user, or beside it."""
    fixed = set(spine)
    for box in reversed(forward):
        below = [rows[user] for user in users.get(box.id, ()) if user in rows]
        if box.beside in rows:
            rows[box.id] = rows[box.beside]
        elif box.id not in fixed and below:
            rows[box.id] = min(below) - 1


def _to_the_left(forward: Sequence[Box], rows: Mapping[str, float], lanes: dict[str, int], users: _Neighbours) -> None:
    taken = {(rows[id], 0) for id in lanes}
    first = -1
    for box in forward:
        if box.id not in lanes and lanes.get(box.beside) == 0:
            lanes[box.id], first = -1, -2
            taken.add((rows[box.id], -1))
    for box in reversed(forward):
        if box.id in lanes:
            continue
        wanted = [lanes[user] for user in users.get(box.id, ()) if lanes.get(user, 0) < 0]
        lane = wanted[0] if wanted and not box.beside else wanted[0] - 1 if wanted else first
        while (rows[box.id], lane) in taken:
            lane -= 1
        lanes[box.id] = lane
        taken.add((rows[box.id], lane))


def _rows_of_gradients(backward: Iterable[Box], rows: dict[str, float], sources: _Neighbours) -> None:
    """A gradient stands beside the op whose rule gave it; a sum of several right above the first of them."""
    for box in backward:
        above = [rows[source] for source in sources.get(box.id, ()) if source in rows]
        lowest = rows.get(box.home, max(rows.values(), default=0))
        rows[box.id] = rows[box.beside] if box.beside in rows else min(above) - 0.5 if above else lowest


def _to_the_right(
    backward: Sequence[Box],
    rows: Mapping[str, float],
    lanes: dict[str, int],
    sources: _Neighbours,
    spine: set[str],
    used: set[str],
) -> int:
    """Returned gradients that nothing uses from lane 1 on, then all others; the lane of the first of these."""
    taken: set[tuple[float, int]] = set()

    def put(box: Box, lane: int) -> None:
        while (rows[box.id], lane) in taken:
            lane += 1
        lanes[box.id] = lane
        taken.add((rows[box.id], lane))

    # What is folded is on the way of the gradient, also where it ends.
    returned = [box for box in backward if box.role == "gradient" and box.id not in used and len(box.nodes) == 1]
    for box in returned:
        put(box, 1)
    gradient = max((lanes[box.id] for box in returned), default=0) + 1
    others = [box for box in backward if box.id not in lanes]
    for box in sorted(others, key=lambda box: box.beside not in spine):
        wanted = [lanes[source] for source in sources.get(box.id, ()) if lanes.get(source, 0) >= gradient]
        put(box, gradient if box.beside in spine else max(wanted, default=gradient))
    return gradient
