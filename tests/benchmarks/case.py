"""What is measured: a model, its arrays, and how each contender computes the same; what a run of it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
"""Arrays by name: what is differentiated by, or what is given beside it."""
Result = tuple[Any, Mapping[str, Any]]
"""A loss, and by name what belongs to it: gradients, or parameters after a step."""
Call = Callable[[], Result]
"""One evaluation, arguments and all: what is timed."""


class Formula(Protocol):
    """The loss as users of a framework write it; ``lib`` holds that framework's functions, see `frameworks`."""

    def __call__(self, lib: Any, variables: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
        """The loss, a scalar."""


@dataclass(frozen=True)
class Aim:
    """A ratio of times that is aimed at: what graphc's modules take to what another contender takes.

    Attributes
    ----------
    most : float
    of : str
        The other contender.
    by : tuple of str
        The contenders whose modules it is for.
    """

    most: float
    of: str
    by: tuple[str, ...] = ("graphc", "graphc for speed")


@dataclass(frozen=True)
class Case:
    """Work, and several ways to do it.

    Attributes
    ----------
    name : str
    model : str
        The text of the model for graphc; parameters, or inputs where there are none, are differentiated by.
    arrays : callable
        ``arrays(rng)`` gives the variables, and the data.
    by_hand : callable
        ``by_hand(variables, data)`` gives the call of a careful NumPy version.
    formula : Formula
        The same for frameworks.
    products : callable, optional
        As ``by_hand``, of the matrix products alone, into arrays that are there already.
    plain : callable, optional
        As ``by_hand``, of plain NumPy: an operation a line, the chain rule as textbooks have it, each result in an
        array of its own.
    dtype : str
        The float type of the arrays, for which the module is generated.
    aims : tuple of Aim
        What is aimed at for graphc.
    optimizer : str
        Where not empty, a step of training is measured in place of the loss and its gradient.
    """

    name: str
    model: str
    arrays: Callable[[np.random.Generator], tuple[Arrays, Arrays]]
    by_hand: Callable[[Arrays, Arrays], Call]
    formula: Formula
    products: Callable[[Arrays, Arrays], Call] | None = None
    plain: Callable[[Arrays, Arrays], Call] | None = None
    dtype: Literal["float32", "float64"] = "float64"
    aims: tuple[Aim, ...] = ()
    optimizer: str = ""

    def drawn(self) -> tuple[Arrays, Arrays]:
        """The arrays: the same in every process."""
        return self.arrays(np.random.default_rng(0))
