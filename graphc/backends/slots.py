"""Arrays for values that are not needed at the same time: one is used again as soon as nobody needs what is in it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Life:
    """A step that may make a value.

    Attributes
    ----------
    kind : hashable
        Of the arrays that its value fits in; None where it needs none.
    last : int
        The last step that reads the value.
    over : bool
        Whether the value may be written over what the step reads: each element is read before it is written.
    """

    kind: Hashable
    last: int
    over: bool


def slots(lives: Sequence[Life]) -> list[int | None]:
    """For each step the number of an array of its kind, or None.

    Examples
    --------
    >>> slots([Life("a", 1, True), Life("a", 2, True), Life("a", 3, False), Life(None, 3, False)])
    [0, 0, 1, None]
    """
    free: dict[Hashable, list[int]] = {}
    counts: dict[Hashable, int] = {}
    ending: dict[int, list[tuple[Hashable, int]]] = {}
    found: list[int | None] = []
    for position, life in enumerate(lives):
        ended = ending.pop(position, [])
        for kind, place in ended if life.over else ():
            free.setdefault(kind, []).append(place)
        number: int | None = None
        if life.kind is not None:
            places = free.setdefault(life.kind, [])
            if not places:
                places.append(counts.setdefault(life.kind, 0))
                counts[life.kind] += 1
            number = places.pop()
            ending.setdefault(max(position, life.last), []).append((life.kind, number))
        rest = ending.pop(position, [])
        for kind, place in rest if life.over else (*ended, *rest):
            free.setdefault(kind, []).append(place)
        found.append(number)
    return found
