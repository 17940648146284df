"""Where numbers that are not finite came from: the first node of the model that has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from graphc.compiled_model import Model
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError


def divergence(
    model: Model, params: Mapping[str, Any], inputs: Mapping[str, Any], step: int, epoch: int
) -> GraphcError:
    """The error for a step at these parameters whose loss, or whose new parameters, are not finite.

    The graph as written is evaluated node by node, forward and backward; where it is finite throughout, the step
    itself was too long.
    """
    with np.errstate(all="ignore"):
        at = model.at({**params, **inputs})
    when = f"at step {step}, in epoch {epoch}"
    for node in at.graph.nodes:
        value = np.asarray(at.values.get(node, 0.0))
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            name = at.graph.name(node) or node.op.name
            found = value[~np.isfinite(value)].flat[0]
            span = next(iter(at.graph.spans.get(node, ())), None)
            return GraphcError(
                Diagnostic("GC514", f"expected finite numbers, found {found} in {name} {when}", span, "first here")
            )
    return GraphcError(Diagnostic("GC514", f"expected finite parameters, found others after the update {when}"))


def is_finite(params: Mapping[str, Any]) -> bool:
    """Whether all parameters are finite."""
    return all(bool(np.isfinite(value).all()) for value in params.values())
