"""L-BFGS by SciPy, on the loss and gradient of all examples as functions of one vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphc.compiled_model import Model
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.training.fault import divergence
from graphc.training.history import Epoch, Params, Progress, Watch
from graphc.training.scores import Scores

# SciPy's own give up four digits of the parameters; how long a training may take is what the iterations are for.
_TOLERANCES = {"ftol": 1e-15, "gtol": 1e-10}


def minimised(
    model: Model,
    inputs: Mapping[str, Any],
    progress: Progress,
    iterations: int,
    patience: int | None,
    scores: Scores,
    watch: Watch | None,
) -> Progress:
    """The training after at most so many iterations; fewer where the gradient vanishes.

    Raises
    ------
    GraphcError
        GC417 when SciPy is not installed, GC514 when the loss is not finite where it starts.
    """
    minimize = _minimize()
    start = progress.params
    moved = {name: start[name] for name in model.variables}

    def objective(theta: Any) -> Any:
        loss, gradients = model.module.value_and_grad({**start, **_unpacked(theta, moved)}, **inputs)
        return loss, _packed({name: gradients[name] for name in moved})

    def after_iteration(intermediate_result: Any) -> None:
        nonlocal progress
        params = {**start, **_unpacked(intermediate_result.x, moved)}
        number = len(progress.history) + 1
        epoch = Epoch(number, number, float(intermediate_result.fun), *scores.of(params))
        progress = progress.after(params, {}, epoch)
        if watch is not None:
            watch(epoch)
        if progress.risen(patience):
            raise StopIteration

    theta = _packed(moved)
    with np.errstate(all="ignore"):
        loss, gradient = objective(theta)
        if not (np.isfinite(loss) and np.isfinite(gradient).all()):
            raise divergence(model, start, inputs, 1, 1)
        options = {"maxiter": iterations, **_TOLERANCES}
        minimize(objective, theta, jac=True, method="L-BFGS-B", callback=after_iteration, options=options)
    if progress.history:
        return progress
    return progress.after(start, {}, Epoch(1, 0, float(loss), *scores.of(start)))


def _packed(params: Params) -> NDArray[Any]:
    """Parameters as one vector. The module's own functions of a vector would ask for sizes that no input tells."""
    return np.concatenate([np.ravel(value) for value in params.values()])


def _unpacked(theta: NDArray[Any], like: Params) -> dict[str, NDArray[Any]]:
    """Copies, in the shapes and float types of other parameters; integers have become floats."""
    pieces = np.split(theta, np.cumsum([np.size(value) for value in like.values()])[:-1])
    arrays = {name: np.asarray(value) for name, value in like.items()}
    return {
        name: piece.reshape(array.shape).astype(np.result_type(array, np.float16))
        for (name, array), piece in zip(arrays.items(), pieces, strict=True)
    }


def _minimize() -> Any:
    try:
        from scipy.optimize import minimize
    except ImportError:
        raise GraphcError(
            Diagnostic("GC417", "lbfgs is SciPy's, expected it to be installed: pip install scipy")
        ) from None
    return minimize
