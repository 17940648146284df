"""Measurements on examples that were held out: the loss and, of a classifier, the accuracy."""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphc.backends.numpy_indices import entry_limits
from graphc.compiled_model import Model
from graphc.training.dataset import Dataset
from graphc.training.history import Params

PART = 1024
"""Examples that are measured at a time."""


class Scores:
    """What a model is measured by.

    Parameters
    ----------
    model : Model
        Compiled as it predicts.
    dataset : Dataset
    rows : array of int
        The examples; none to measure nothing.
    loss : str
        The output that is the loss.
    """

    def __init__(self, model: Model, dataset: Dataset, rows: NDArray[Any], loss: str) -> None:
        self.model, self.dataset, self.loss, self.classes = model, dataset, loss, classified(model)
        # Parts that differ by one example at most: none is so small that a model cannot take it.
        self.parts = np.array_split(rows, -(-len(rows) // PART)) if len(rows) else []

    def of(self, params: Params) -> tuple[float, float]:
        """The mean of the loss over parts of the examples, and the accuracy; NaN for what there is not."""
        if not self.parts:
            return nan, nan
        found = [self._of_part(params, rows) for rows in self.parts]
        loss, share = np.average(found, axis=0, weights=[len(rows) for rows in self.parts])
        return float(loss), float(share)

    def _of_part(self, params: Params, rows: NDArray[Any]) -> tuple[float, float]:
        inputs = self.dataset.inputs(rows)
        found = self.model(params, **inputs)
        outputs = found if isinstance(found, dict) else {self.loss: found}
        loss = float(outputs[self.loss])
        if self.classes is None:
            return loss, nan
        label, output = self.classes
        return loss, accuracy(outputs[output], inputs[label])


def accuracy(scores: Any, labels: Any) -> float:
    """The share of examples whose label has the highest score.

    Examples
    --------
    >>> accuracy(np.array([[0.1, 0.9], [0.2, 0.8]]), np.array([1, 0]))
    0.5
    """
    return float(np.mean(np.argmax(scores, axis=-1) == labels))


def classified(model: Model) -> tuple[str, str] | None:
    """The input with the labels and the output with a score for each class; None when the model is no classifier.

    Labels are integers, one for each example, that stay below a size; the scores are the first output with as many
    columns, and a row for each example.

    Examples
    --------
    >>> import graphc
    >>> text = "X: Input[N, 4]; y: Input[N, int64]; z = dense(X, 3); loss: Output = mean(cross_entropy(z, y))"
    >>> classified(graphc.compile(text)), classified(graphc.compile(f"{text}; p: Output = softmax(z)"))
    (None, ('y', 'p'))
    """
    for label, limits in entry_limits(model.graph).items():
        for name, node in model.graph.outputs.items():
            shapes = [(*label.tensor.shape, limit) for limit in limits if len(label.tensor.shape) == 1]
            if node.tensor.is_float and node.tensor.shape in shapes and label in model.graph.inputs:
                return str(label.attrs["name"]), name
    return None
