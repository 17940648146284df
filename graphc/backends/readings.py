"""What the boxes of a picture show after some steps: whether their values are known, and numbers where there are any.

A small value is a line of numbers, a large one its range and a heat strip.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from graphc.autodiff import Joint
from graphc.backends.diagram import Box
from graphc.backends.dot_text import styled
from graphc.backends.formulas import seen_through
from graphc.backends.numbers import number
from graphc.backends.palette import Theme
from graphc.graph import Graph, Node
from graphc.steps import forward_nodes, is_constant, known_after, steps_of

if TYPE_CHECKING:
    from graphc.evaluated import Evaluated

_FEW, _CELLS, _CELL = 4, 24, 4
"""Up to so many numbers are written out; the most cells of a strip, and how wide one is in points."""


@dataclass(frozen=True, eq=False)
class Readings:
    """The numbers of a picture, if any, and what is known after a number of steps (all by default)."""

    drawn: Graph | Joint
    at: Evaluated | None = None
    step: int | None = None

    def height(self, box: Box) -> float:
        """The room that a box needs for its numbers, known or not, in points."""
        value = self._value(box)
        if value is None:
            return 0.0
        return 12.5 if value.size <= _FEW else 25.0

    def width(self, box: Box) -> float:
        """The width of its numbers, in points."""
        value = self._value(box)
        if value is None:
            return 0.0
        return max(_CELLS * _CELL * (value.size > _FEW), 6.05 * len(_text(value)))

    def is_reached(self, box: Box) -> bool:
        """Whether what a box stands for is known; of several values, the last."""
        if not box.nodes:
            return self._graph.outputs[box.id.removeprefix("out_")] in self._known
        if box.backward:
            return any(node in self._known for node in box.nodes) or self._is_sent(box)
        return box.nodes[-1] in self._known

    def lines(self, box: Box, theme: Theme) -> list[str]:
        """The rows of an HTML table that come below the others."""
        value = self._value(box)
        if value is None:
            return []
        reached = self.is_reached(box)
        color = theme.gradient if box.backward else theme.value
        text = styled(_text(value) if reached else "", color, mono=True, bold=True)
        return [text] if value.size <= _FEW else [text, _strip(value if reached else np.zeros_like(value), theme, box)]

    @property
    def _graph(self) -> Graph:
        return self.drawn.graph if isinstance(self.drawn, Joint) else self.drawn

    def _value(self, box: Box) -> np.ndarray | None:
        """The numbers of a box; None without any, and of several values."""
        return self.at.values[box.nodes[0]] if self.at is not None and len(box.nodes) == 1 else None

    @cached_property
    def _known(self) -> frozenset[Node]:
        """The nodes whose value is known, of values and of gradients."""
        steps = steps_of(self.drawn)
        if self.step is None or self.step >= len(steps):
            return frozenset(self._graph.nodes)
        known, joint = known_after(steps, self.step), self.drawn
        if not isinstance(joint, Joint):
            return known.values.union(filter(is_constant, joint.nodes))
        gradients = {joint.cotangents[node] for node in known.gradients if node in joint.cotangents}
        gradients |= {joint.contributions[edge] for edge in known.contributions}
        constants = filter(is_constant, forward_nodes(joint))
        return known.values.union(constants) | gradients | {seen_through(joint.graph, node) for node in gradients}

    def _is_sent(self, box: Box) -> bool:
        """Whether a step of a derivative belongs to an op that has sent its gradient on."""
        home = next((node for node in self._graph.nodes if box.home == f"n{node.serial}"), None)
        if home is None or not isinstance(self.drawn, Joint):
            return False
        cotangent = self.drawn.cotangents.get(home)
        return box.beside == "" and cotangent in self._known


def _text(value: np.ndarray) -> str:
    if value.size <= _FEW:
        return ", ".join(number(item) for item in value.ravel()) or "empty"
    low, high = float(value.min()) + 0.0, float(value.max()) + 0.0
    return f"{number(low, 3)} … {number(high, 3)}"


def _strip(value: np.ndarray, theme: Theme, box: Box) -> str:
    """Cells from left to right in the order of memory, each the mean of its part: the stronger, the larger."""
    parts = np.array_split(value.ravel().astype(np.float64), min(_CELLS, value.size))
    with np.errstate(all="ignore"):
        means = np.array([part.mean() for part in parts])
    finite = np.abs(means[np.isfinite(means)])
    largest = float(finite.max()) if finite.size else 0.0
    positive = theme.gradient if box.backward else theme.value
    cells = []
    for mean in means:
        share = min(abs(mean) / largest, 1.0) if largest and np.isfinite(mean) else 0.0
        color = mixed(theme.page, positive if mean >= 0 else theme.looks["param"].line, share)
        cells.append(f'<TD WIDTH="{_CELL}" HEIGHT="7" FIXEDSIZE="TRUE" BGCOLOR="{color}"></TD>')
    table = '<TABLE BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"'
    return f'{table} COLOR="{theme.kept}"><TR>{"".join(cells)}</TR></TABLE>'


def mixed(first: str, second: str, share: float) -> str:
    """A colour between two: ``share`` is how much there is of the second.

    Examples
    --------
    >>> mixed("#FFFFFF", "#006D5B", 0.5)
    '#80B6AD'
    """
    pairs = [(int(first[i : i + 2], 16), int(second[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * share):02X}" for a, b in pairs)
