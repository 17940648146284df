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
    dtype : str
        The float type of the arrays, for which the module is generated.
    target : (float, str), optional
        What is aimed at for graphc: a ratio, and whose time it is of.
    reassociated : (float, str), optional
        The same for the module for speed with ``reassociate``, which takes part only where there is such an aim.
    optimizer : str
        Where not empty, a step of training is measured in place of the loss and its gradient.
    """

    name: str
    model: str
    arrays: Callable[[np.random.Generator], tuple[Arrays, Arrays]]
    by_hand: Callable[[Arrays, Arrays], Call]
    formula: Formula
    products: Callable[[Arrays, Arrays], Call] | None = None
    dtype: Literal["float32", "float64"] = "float64"
    target: tuple[float, str] | None = None
    reassociated: tuple[float, str] | None = None
    optimizer: str = ""

    def drawn(self) -> tuple[Arrays, Arrays]:
        """The arrays: the same in every process."""
        return self.arrays(np.random.default_rng(0))
