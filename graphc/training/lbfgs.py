"""L-BFGS by SciPy, on the loss and gradient of all examples as functions of one vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from graphc.compiled_model import Model
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.training.fault import divergence
from graphc.training.history import Epoch, Progress
from graphc.training.scores import Scores

Watch: TypeAlias = Callable[[Epoch], object]


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
    variables = {name: np.asarray(start[name]) for name in model.variables}
    ends = np.cumsum([value.size for value in variables.values()])[:-1]

    # Not the module's `unpack`: it cannot tell free sizes, which the shapes of the start do.
    def point(theta: Any) -> dict[str, Any]:
        parts = np.split(theta.copy(), ends)
        return {
            **start,
            **{name: part.reshape(variables[name].shape) for name, part in zip(variables, parts, strict=True)},
        }

    def vector(values: Mapping[str, Any]) -> Any:
        return np.concatenate([np.ravel(values[name]) for name in variables])

    def objective(theta: Any) -> Any:
        loss, gradients = model.value_and_grad(point(theta), **inputs)
        return loss, vector(gradients)

    def after_iteration(intermediate_result: Any) -> None:
        nonlocal progress
        params = point(intermediate_result.x)
        number = len(progress.history) + 1
        epoch = Epoch(number, number, float(intermediate_result.fun), *scores.of(params))
        progress = progress.after(params, {}, epoch)
        if watch is not None:
            watch(epoch)
        if progress.risen(patience):
            raise StopIteration

    theta = vector(start)
    with np.errstate(all="ignore"):
        loss, gradient = objective(theta)
        if not (np.isfinite(loss) and np.isfinite(gradient).all()):
            raise divergence(model, start, inputs, 1, 1)
        options = {"maxiter": iterations}
        minimize(objective, theta, jac=True, method="L-BFGS-B", callback=after_iteration, options=options)
    if progress.history:
        return progress
    return progress.after(start, {}, Epoch(1, 0, float(loss), *scores.of(start)))


def _minimize() -> Any:
    try:
        from scipy.optimize import minimize
    except ImportError:
        raise GraphcError(
            Diagnostic("GC417", "lbfgs is SciPy's, expected it to be installed: pip install scipy")
        ) from None
    return minimize
