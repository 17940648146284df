"""Where arrows of a block picture run: straight where nothing is in the way, else down the gutter between two lanes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from graphc.backends.placing import GAP_Y, Placed, Rectangle

Point = tuple[float, float]
Curve = tuple[Point, ...]
_CLEAR = 5.0
"""How far an arrow stays away from boxes, in points."""
_HEAD = 6.0
"""The length of an arrow's head."""


@dataclass(frozen=True)
class Route:
    """The points of a Bézier curve from what is computed to what uses it, and the middle of its label."""

    curve: Curve
    label: Point

    @property
    def slant(self) -> float:
        """How far it is from a straight upright line."""
        return 1e6 * (len(self.curve) > 4) + abs(self.curve[-1][0] - self.curve[0][0])

    def text(self, *, back: bool = False) -> str:
        """As Graphviz's ``pos``; ``back`` writes it from the user, with the head where it starts."""
        tip, body = self.curve[-1], _shortened(self.curve)
        points = [*reversed(body)] if back else body
        return " ".join([f"{'s' if back else 'e'},{_written(tip)}", *map(_written, points)])


@dataclass
class Router:
    """Finds routes one after another; arrows that share a gutter stand a little apart."""

    placed: Placed
    _used: dict[float, int] = field(default_factory=dict)

    def route(self, start: str, end: str, label: str = "") -> Route:
        """The way from box to box."""
        a, b = self.placed.boxes[start], self.placed.boxes[end]
        row_a, row_b = self.placed.row_of[start], self.placed.row_of[end]
        if row_a == row_b:
            return self._flat(a, b, row_a)
        for line in (_straight(a, b), _sideways(a, b)):
            if self._is_free(line, row_a, row_b) and (abs(row_a - row_b) > 1 or not _is_shallow(line)):
                return Route(_line(*line), _beside(line, label))
        if abs(row_a - row_b) == 1:
            return _between_rows(_straight(a, b), label)
        return self._by_gutter(a, b, label)

    def _flat(self, a: Rectangle, b: Rectangle, row: int) -> Route:
        right = b.x > a.x
        points = ((a.right, a.y), (b.left, b.y)) if right else ((a.left, a.y), (b.right, b.y))
        low, high = sorted((points[0][0], points[1][0]))
        if not any(low < other.x < high for other in self.placed.rows[row]):
            return Route(_line(*points), ((low + high) / 2, a.y + 8))
        height = max(a.top, b.top, *(other.top for other in self.placed.rows[row])) + GAP_Y * 0.42
        start, end = (a.x + (a.width / 4 if right else -a.width / 4), a.top), (b.x, b.top)
        shift = 26.0 if right else -26.0
        middle = ((start[0] + end[0]) / 2, height)
        curve: Curve = (start, (start[0], height), (start[0] + shift, height), middle)
        curve += ((end[0] - shift, height), (end[0], height), end)
        return Route(curve, (middle[0], height + 6))

    def _is_free(self, line: tuple[Point, Point], row_a: int, row_b: int) -> bool:
        (x0, y0), (x1, y1) = line
        for row in range(min(row_a, row_b), max(row_a, row_b) + 1):
            for box in self.placed.rows[row]:
                high, low = box.top + _CLEAR, box.bottom - _CLEAR
                spans = [x0 + (x1 - x0) * (y - y0) / (y1 - y0) for y in (high, low) if min(y0, y1) <= y <= max(y0, y1)]
                spans += [x for x, y in line if low < y < high]
                ends = any(abs(x - box.x) <= box.width / 2 and abs(y - box.y) <= box.height / 2 + 1 for x, y in line)
                if spans and not ends and max(spans) > box.left - _CLEAR and min(spans) < box.right + _CLEAR:
                    return False
        return True

    def _by_gutter(self, a: Rectangle, b: Rectangle, label: str) -> Route:
        down = a.y > b.y
        start = (a.x, a.bottom if down else a.top)
        end = (b.x, b.top if down else b.bottom)
        sign = -1.0 if down else 1.0
        gutter = min(self.placed.gutters, key=lambda x: abs(x - a.x) + abs(x - b.x) + abs(x - a.x) / 1000)
        count = self._used[gutter] = self._used.get(gutter, -1) + 1
        x = gutter + (0, 5, -5, 10, -10)[count % 5]
        toward = 1.0 if x > a.x else -1.0
        start = (a.x + toward * a.width / 4, start[1])
        end = (b.x - (1.0 if b.x > x else -1.0) * b.width / 4, end[1])
        enter, leave = start[1] + sign * GAP_Y, end[1] - sign * GAP_Y
        half = sign * GAP_Y / 2
        curve: Curve = (start, (start[0], start[1] + half), (x, enter - half), (x, enter))
        third = (leave - enter) / 3
        curve += ((x, enter + third), (x, leave - third), (x, leave))
        curve += ((x, leave + half), (end[0], end[1] - half), end)
        return Route(curve, (x + 6 + 2.9 * len(label), (enter + leave) / 2))


def _straight(a: Rectangle, b: Rectangle) -> tuple[Point, Point]:
    """From edge to edge, upright where the boxes are above one another."""
    down = a.y > b.y
    reach_a, reach_b = a.width * 0.3, b.width * 0.3
    x0 = min(max(b.x, a.x - reach_a), a.x + reach_a)
    x1 = min(max(x0, b.x - reach_b), b.x + reach_b)
    return (x0, a.bottom if down else a.top), (x1, b.top if down else b.bottom)


def _line(start: Point, end: Point) -> Curve:
    (x0, y0), (x1, y1) = start, end
    return start, ((2 * x0 + x1) / 3, (2 * y0 + y1) / 3), ((x0 + 2 * x1) / 3, (y0 + 2 * y1) / 3), end


def _sideways(a: Rectangle, b: Rectangle) -> tuple[Point, Point]:
    """From side to side."""
    return ((a.right, a.y), (b.left, b.y)) if b.x > a.x else ((a.left, a.y), (b.right, b.y))


def _is_shallow(line: tuple[Point, Point]) -> bool:
    (x0, y0), (x1, y1) = line
    return abs(x1 - x0) > 6 * abs(y1 - y0)


def _between_rows(line: tuple[Point, Point], label: str) -> Route:
    """A bend in the room between two rows, where nothing stands."""
    (x0, y0), (x1, y1) = line
    middle = (y0 + y1) / 2
    curve = (x0, y0), (x0, middle), (x1, middle), (x1, y1)
    return Route(curve, ((x0 + x1) / 2, middle + 7))


def _beside(line: tuple[Point, Point], label: str) -> Point:
    """Where a label clears the middle of a line: above it, or right of an upright one."""
    (x0, y0), (x1, y1) = line
    dx, dy = x1 - x0, y1 - y0
    length = max((dx * dx + dy * dy) ** 0.5, 1e-9)
    across, up = (dy / length, -dx / length) if -dx > 0 or (dx == 0 and dy > 0) else (-dy / length, dx / length)
    away = abs(across) * 2.9 * len(label) + abs(up) * 5 + 5
    return (x0 + x1) / 2 + across * away, (y0 + y1) / 2 + up * away


def _shortened(curve: Sequence[Point]) -> list[Point]:
    """The curve up to where its head begins."""
    (x0, y0), (x1, y1) = curve[-2], curve[-1]
    length = max(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5, 1e-9)
    return [*curve[:-1], (x1 - (x1 - x0) / length * _HEAD, y1 - (y1 - y0) / length * _HEAD)]


def _written(point: Point) -> str:
    return ",".join(f"{round(value, 1):g}" for value in point)
