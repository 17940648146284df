"""Augmentation: what a callable of the user makes of the examples of a step, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError

Augment: TypeAlias = "Callable[[dict[str, NDArray[Any]], np.random.Generator], Mapping[str, Any]]"
"""From the arrays of a batch and a generator to the arrays to learn from, of the same names, shapes and dtypes."""


def augmented(
    augment: Augment | None, inputs: dict[str, Any], names: Iterable[str], seed: Sequence[int]
) -> dict[str, Any]:
    """The inputs of a step with new examples.

    Parameters
    ----------
    augment : Augment or None
        None leaves the inputs as they are.
    inputs : dict
        Of the step.
    names : iterable of str
        Those that are augmented.
    seed : sequence of int
        Of the generator.

    Raises
    ------
    GraphcError
        GC516 when the result is no batch like the one that was given.

    Examples
    --------
    >>> noisy = lambda batch, rng: {"x": batch["x"] + rng.normal(size=2)}
    >>> augmented(noisy, {"x": np.zeros(2), "scale": 3.0}, ["x"], [0, 1, 1])["x"].shape
    (2,)
    """
    if augment is None:
        return inputs
    given = {name: np.array(inputs[name]) for name in names}
    kinds = {name: (array.shape, array.dtype) for name, array in given.items()}
    found = augment(given, np.random.default_rng(seed))
    if not isinstance(found, Mapping):
        raise _refusal(f"a dict with {', '.join(kinds)}", f"a {type(found).__name__}")
    if lacking := [name for name in kinds if name not in found]:
        raise _refusal(f"an array for {lacking[0]}", f"only {', '.join(map(str, found)) or 'none'}")
    if unknown := [name for name in found if name not in kinds]:
        raise _refusal(f"arrays for {', '.join(kinds)}", f"one for {unknown[0]}")
    return {**inputs, **{name: _array(name, found[name], *kind) for name, kind in kinds.items()}}


def _array(name: str, value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array of the shape and dtype that it was given in; floats of another width are converted."""
    try:
        array = np.asarray(value)
    except ValueError as fault:
        raise _refusal(f"an array for {name}", f"none: {fault}") from None
    if array.shape != shape:
        raise _refusal(f"the shape {shape} for {name}", str(array.shape))
    if not np.can_cast(array.dtype, dtype, "same_kind"):
        raise _refusal(f"{dtype} for {name}", str(array.dtype))
    return array.astype(dtype, copy=False)


def _refusal(expected: str, found: str) -> GraphcError:
    return GraphcError(Diagnostic("GC516", f"expected {expected} from augment, found {found}"))
