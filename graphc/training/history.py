"""What is known of a training after each epoch, and the training so far as a value that can be saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from math import isnan, nan
from typing import Any, NamedTuple, TypeAlias

Params = Mapping[str, Any]


class Epoch(NamedTuple):
    """One pass through the examples.

    Attributes
    ----------
    epoch : int
        From 1.
    steps : int
        Done so far, in all epochs.
    loss : float
        The mean of the steps' losses, each before its step, weighted by their examples: of a loss that is a mean over
        examples that over all of them; of one that is a sum, such as a log-likelihood, that of a batch.
    holdout_loss, accuracy : float
        On the examples held out; NaN where there are none, or the model is no classifier.
    """

    epoch: int
    steps: int
    loss: float
    holdout_loss: float = nan
    accuracy: float = nan

    def __str__(self) -> str:
        shown = {"loss": self.loss, "held out": self.holdout_loss, "accuracy": self.accuracy}
        return ", ".join(f"{name} {value:.4g}" for name, value in shown.items() if not isnan(value))


Watch: TypeAlias = Callable[[Epoch], object]
"""Who is told of each epoch."""
WatchSteps: TypeAlias = Callable[[int, int], object]
"""Who is told how many steps are done, and how many there are at most."""


@dataclass(frozen=True)
class Progress:
    """A training after some epochs.

    Attributes
    ----------
    params, state : mapping
        As after the last step.
    history : tuple of Epoch
    best : mapping
        The parameters with the best loss on what is held out; the last ones where nothing is. Where an average of the
        parameters is kept it is that.
    best_epoch : int
        How many epochs they have had.
    """

    params: Params
    state: Params
    history: tuple[Epoch, ...]
    best: Params
    best_epoch: int

    def after(
        self, params: Params, state: Params, epoch: Epoch, measured: Params | None = None, ascends: bool = False
    ) -> Progress:
        """The training after one more epoch, whose measurements are of these parameters, by default the new ones.

        With `ascends` a greater loss is a better one.
        """
        sign = -1 if ascends else 1
        least = min((sign * found.holdout_loss for found in self.history), default=nan)
        done = replace(self, params=params, state=state, history=(*self.history, epoch))
        # Without a hold-out set every comparison with NaN is false: the last parameters are the best.
        if sign * epoch.holdout_loss >= least:
            return done
        return replace(done, best=params if measured is None else measured, best_epoch=epoch.epoch)

    def risen(self, patience: int | None) -> bool:
        """Whether the loss on what is held out has not become better for so many epochs."""
        return patience is not None and len(self.history) - self.best_epoch >= patience


def csv_text(history: Iterable[Epoch]) -> str:
    """The history as comma-separated values; what is not known stays empty.

    Examples
    --------
    >>> print(csv_text([Epoch(1, 10, 0.5), Epoch(2, 20, 0.25, 0.5, 0.75)]), end="")
    epoch,steps,loss,holdout_loss,accuracy
    1,10,0.5,,
    2,20,0.25,0.5,0.75
    """
    rows = [",".join("" if isnan(value) else str(value) for value in epoch) for epoch in history]
    return "\n".join([",".join(Epoch._fields), *rows, ""])
