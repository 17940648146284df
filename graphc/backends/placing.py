"""From rows and lanes to points: the size and middle of each box, and the bands around layers."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from graphc.backends.diagram import Box, Diagram
from graphc.backends.grid import LEAVES, Grid
from graphc.backends.picture import shortened
from graphc.graph import Scope

GAP_X, GAP_Y = 34.0, 32.0
"""Between lanes and rows, in points."""
_BAND_TOP, _BAND, _MARGIN = 20.0, 8.0, 14.0
"""Room above the first and below the last row of a band, and around its boxes: no shape on an arrow is on its edge."""
BAND_LETTER, BAND_INDENT = 6.2, 10.0
"""The width of a letter in the title of a band, and the room before it."""
_BOLD, _MONO, _SMALL = 7.2, 6.05, 5.75
"""The width of a letter: the op's name, formulas, shapes."""


@dataclass(frozen=True)
class Rectangle:
    """A box in points: its middle (y counts up), width and height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        """The x of its left edge."""
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        """The x of its right edge."""
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        """The y of its upper edge."""
        return self.y + self.height / 2

    @property
    def bottom(self) -> float:
        """The y of its lower edge."""
        return self.y - self.height / 2


@dataclass(frozen=True, eq=False)
class Placed:
    """A diagram in points.

    Attributes
    ----------
    boxes : mapping of str to Rectangle
    rows : list of list of Rectangle
        The boxes of each row from the top, in it from left to right.
    row_of : mapping of str to int
    bands : mapping of Scope to Rectangle
    gutters : tuple of float
        The x between lanes, where nothing stands.
    """

    boxes: Mapping[str, Rectangle]
    rows: list[list[Rectangle]]
    row_of: Mapping[str, int]
    bands: Mapping[Scope, Rectangle]
    gutters: tuple[float, ...]


def place(
    diagram: Diagram, grid: Grid, longest: Mapping[str, int], numbers: Mapping[str, tuple[float, float]] | None = None
) -> Placed:
    """Give every visible box its size and middle.

    ``longest`` limits the letters of heads, bodies and asides; ``numbers`` is the room for those, by box.
    """
    boxes = [box for box in diagram.boxes if box.id not in diagram.hidden]
    sizes = {box.id: _size(box, longest, *(numbers or {}).get(box.id, (0.0, 0.0))) for box in boxes}
    levels = sorted({grid.rows[box.id] for box in boxes})
    indices = {level: index for index, level in enumerate(levels)}
    row_of = {box.id: indices[grid.rows[box.id]] for box in boxes}
    middles, gutters = _lanes(boxes, grid, sizes)
    layers = _intervals(boxes, row_of)
    heights = _row_middles(boxes, row_of, sizes, layers.values())
    placed = {box.id: Rectangle(middles[grid.lanes[box.id]], heights[row_of[box.id]], *sizes[box.id]) for box in boxes}
    rows: list[list[Rectangle]] = [[] for _ in levels]
    for id, rectangle in placed.items():
        rows[row_of[id]].append(rectangle)
    for row in rows:
        row.sort(key=lambda rectangle: rectangle.x)
    before = max(x for x in gutters if x < 0) - 2 * BAND_INDENT
    lefts = {layer: before - BAND_LETTER * letters(band_title(diagram, layer, longest)) for layer in layers}
    return Placed(placed, rows, row_of, _bands(boxes, placed, row_of, layers, lefts), gutters)


def band_title(diagram: Diagram, layer: Scope, longest: Mapping[str, int]) -> str:
    """What is written in the corner of a layer's band."""
    return shortened(diagram.titles.get(layer, layer[-1]), longest["head"])


def letters(text: str) -> int:
    """How many letters wide a text is; those of East Asia and emoji count twice, combining ones not at all."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(bool(unicodedata.combining(letter)) for letter in text)


def _size(box: Box, longest: Mapping[str, int], wide: float, high: float) -> tuple[float, float]:
    lines = box.body.split("\n") if box.body else []
    head = _BOLD * letters(box.head[: longest["head"]]) + _SMALL * (letters(box.aside) + 2 if box.aside else 0)
    width = max([head, *(_MONO * letters(line[: longest["body"]]) for line in lines)])
    return max(54.0, round(max(width, wide)) + 20.0), 24.0 + 12.5 * len(lines) + high


def _lanes(
    boxes: Iterable[Box], grid: Grid, sizes: Mapping[str, tuple[float, float]]
) -> tuple[dict[int, float], tuple[float, ...]]:
    """The middle of each lane, that of the spine being 0, and the x between them."""
    widths: dict[int, float] = {}
    for box in boxes:
        lane = grid.lanes[box.id]
        widths[lane] = max(widths.get(lane, 0), sizes[box.id][0])
    middles, gutters, edge = {}, [], 0.0
    for lane in sorted(widths):
        gutters.append(edge - GAP_X / 2)
        middles[lane] = edge + widths[lane] / 2
        # Between the halves there is room for the shapes on the arrows.
        edge += widths[lane] + GAP_X * (1.6 if lane == 0 else 1)
    gutters.append(edge - GAP_X / 2)
    origin = round(middles.get(0, 0.0))
    return {lane: round(x) - origin for lane, x in middles.items()}, tuple(round(x) - origin for x in gutters)


def _intervals(boxes: Iterable[Box], row_of: Mapping[str, int]) -> dict[Scope, tuple[int, int]]:
    """The first and last row of each layer that has more than one op."""
    found: dict[Scope, list[int]] = {}
    ops: dict[Scope, int] = {}
    for box in boxes:
        if box.layer:
            found.setdefault(box.layer[:1], []).append(row_of[box.id])
            ops[box.layer[:1]] = ops.get(box.layer[:1], 0) + (not box.backward and box.role not in LEAVES)
    return {layer: (min(rows), max(rows)) for layer, rows in found.items() if ops[layer] > 1}


def _row_middles(
    boxes: Iterable[Box],
    row_of: Mapping[str, int],
    sizes: Mapping[str, tuple[float, float]],
    layers: Iterable[tuple[int, int]],
) -> list[float]:
    tallest: dict[int, float] = {}
    for box in boxes:
        tallest[row_of[box.id]] = max(tallest.get(row_of[box.id], 0), sizes[box.id][1])
    starts, ends = {first for first, _ in layers}, {last for _, last in layers}
    middles, y = [], 0.0
    for row in range(len(tallest)):
        y -= _BAND_TOP * (row in starts)
        middles.append(round(y - tallest[row] / 2, 2))
        y -= tallest[row] + GAP_Y + _BAND * (row in ends)
    return middles


def _bands(
    boxes: Iterable[Box],
    placed: Mapping[str, Rectangle],
    row_of: Mapping[str, int],
    layers: Mapping[Scope, tuple[int, int]],
    lefts: Mapping[Scope, float],
) -> dict[Scope, Rectangle]:
    """A rectangle around each layer, where it would hold nothing else and touch no other one.

    Where there is room it reaches so far to the left that no arrow of the spine, nor one past it, crosses its title.
    """
    members: dict[Scope, list[Rectangle]] = {}
    in_row: dict[int, list[tuple[Scope, Rectangle]]] = {}
    for box in boxes:
        layer = box.layer[:1]
        in_row.setdefault(row_of[box.id], []).append((layer, placed[box.id]))
        if layer in layers:
            members.setdefault(layer, []).append(placed[box.id])
    found = {layer: _around(rectangles) for layer, rectangles in members.items()}
    for layer, band in found.items():
        for row in range(layers[layer][0], layers[layer][1] + 1):
            in_row[row].append((layer, band))

    def is_free(layer: Scope, band: Rectangle) -> bool:
        first, last = layers[layer]
        return not any(_hits(layer, band, in_row[row]) for row in range(first, last + 1))

    free = {layer: band for layer, band in found.items() if is_free(layer, band)}
    wide = {layer: _reaching(band, lefts[layer]) for layer, band in free.items()}
    return {layer: wide[layer] if is_free(layer, wide[layer]) else band for layer, band in free.items()}


def _reaching(band: Rectangle, left: float) -> Rectangle:
    """A band that reaches so far to the left."""
    left = min(left, band.left)
    return replace(band, x=(left + band.right) / 2, width=band.right - left)


def _around(rectangles: Sequence[Rectangle]) -> Rectangle:
    left = min(rectangle.left for rectangle in rectangles) - _MARGIN
    right = max(rectangle.right for rectangle in rectangles) + _MARGIN
    top = max(rectangle.top for rectangle in rectangles) + _BAND_TOP
    bottom = min(rectangle.bottom for rectangle in rectangles) - _BAND - 4
    return Rectangle((left + right) / 2, (top + bottom) / 2, right - left, top - bottom)


def _hits(layer: Scope, band: Rectangle, everything: Sequence[tuple[Scope, Rectangle]]) -> bool:
    return any(
        other != layer
        and rectangle.top > band.bottom
        and rectangle.bottom < band.top
        and rectangle.right > band.left
        and rectangle.left < band.right
        for other, rectangle in everything
    )
