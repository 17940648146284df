"""A model under construction, as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st

Shape = tuple[int, ...]
Arrays = dict[str, np.ndarray]
T = TypeVar("T")

SIZES = (1, 2, 3, 4)
MOST_AXES, MOST_ELEMENTS = 3, 64


@dataclass(frozen=True)
class RandomModel:
    """A model text and the values of its inputs."""

    text: str
    values: Arrays

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What hypothesis prints of a failure."""
        values = "\n".join(f"{name} = {x.tolist()}" for name, x in self.values.items())
        printer.text(f"\n\n{self.text}\n\nat\n\n{values}\n\n")


@dataclass
class Writer:
    """A model under construction: its inputs, the shapes of the values that there are, the statements."""

    draw: Callable[..., Any]
    inputs: dict[str, Shape] = field(default_factory=dict)
    labels: dict[str, tuple[Shape, int]] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def one_of(self, items: Sequence[T]) -> T:
        """One of these; the first is the simplest."""
        return self.draw(st.sampled_from(items))

    def some(self, items: Sequence[T], *, least: int = 0) -> tuple[T, ...]:
        """Some of these, in their order."""
        return tuple(item for item in items if self.draw(st.booleans())) or tuple(items[:least])

    def shape(self, ndim: int) -> Shape:
        """A new shape."""
        return tuple(self.one_of(SIZES) for _ in range(ndim))

    def input(self, shape: Shape) -> str:
        """A new float input."""
        name = f"x{len(self.inputs)}"
        self.inputs[name] = self.shapes[name] = shape
        return name

    def label(self, shape: Shape, below: int) -> str:
        """A new input of labels or indices."""
        name = f"k{len(self.labels)}"
        self.labels[name] = shape, below
        return name

    def value(self, accept: Callable[[Shape], bool] = lambda shape: True, make: Shape = (2, 3)) -> str:
        """A value whose shape is accepted; a new input when there is none."""
        names = [name for name, shape in self.shapes.items() if accept(shape)]
        name = self.one_of(names) if names else self.input(make)
        self.used.add(name)
        return name

    def apart(self, accept: Callable[[Shape], bool] = lambda shape: True, make: Shape = (2, 3)) -> str:
        """As `value`, plus an input of its own: no two elements are equal, none is zero or a whole number."""
        name = self.value(accept, make)
        other = self.input(self.shapes[name])
        self.used.add(other)
        self.shapes[f"({name} + {other})"] = self.shapes[name]
        return f"({name} + {other})"

    def matrix(self) -> str:
        """A square matrix, or a stack of them, with elements between -1 and 1."""
        name = self.value(lambda s: len(s) >= 2 and s[-1] == s[-2], make=(3, 3))
        return self.assign(f"tanh({name})", self.shapes[name])

    def add(self, text: str, shape: Shape) -> None:
        """A statement for later ones to use, when its result is not too large."""
        if len(shape) <= MOST_AXES and np.prod(shape, dtype=int) <= MOST_ELEMENTS:
            self.assign(text, shape)

    def assign(self, text: str, shape: Shape) -> str:
        """A statement; the name of its result."""
        name = f"h{len(self.lines)}"
        self.shapes[name] = shape
        self.lines.append(f"{name} = {text}")
        return name

    def forget_expressions(self) -> None:
        """Only names are values of later statements."""
        self.shapes = {name: shape for name, shape in self.shapes.items() if name.isidentifier()}


def broadcast(left: Shape, right: Shape) -> Shape | None:
    """The shape of both together; None when they do not broadcast."""
    try:
        return np.broadcast_shapes(left, right)
    except ValueError:
        return None


def any_axis(w: Writer, name: str) -> int:
    """An axis of a value."""
    return w.draw(st.integers(0, len(w.shapes[name]) - 1))
