"""`fit`: a model and data in, the parameters that it learns and how it went out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from graphc.atomic import check_place, write_atomic
from graphc.compiled_model import Model
from graphc.compiler import compile
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError, GraphcWarning
from graphc.optimizer import Optimizer
from graphc.plotting import plot_losses
from graphc.training.augment import Augment, augmented
from graphc.training.checkpoint import fingerprint, npz_bytes, read_checkpoint, write_checkpoint
from graphc.training.conversion import Labels
from graphc.training.dataset import Data, Dataset, dataset_of
from graphc.training.fault import divergence, is_finite
from graphc.training.history import Epoch, Params, Progress, Watch, WatchSteps, csv_text
from graphc.training.lbfgs import minimised
from graphc.training.scores import Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Fit:
    """What a training gives.

    Attributes
    ----------
    model : Model
    params : dict
        The best parameters where examples were held out and ``patience`` was given, else the last ones; with
        ``average`` among the optimiser's options, their average.
    history : tuple of Epoch
        Of each epoch its number, the steps so far, the loss, and the loss and accuracy on what was held out.
    epoch : int
        After how many epochs the parameters were these.
    labels : mapping of str to sequence of str
        For labels that were texts, those that stand for 0, 1, 2 …
    columns : mapping of str to sequence of str
        Of a table, the columns that each input was made of.
    """

    model: Model
    params: dict[str, Any]
    history: tuple[Epoch, ...]
    epoch: int
    labels: Labels = field(default_factory=dict)
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the parameters as a ``.npz`` file, in one step or not at all."""
        write_atomic(path, npz_bytes(self.params))
        return Path(path)

    def write_history(self, path: str | os.PathLike[str]) -> Path:
        """Write the history as comma-separated values."""
        write_atomic(path, csv_text(self.history))
        return Path(path)

    def plot(self, **options: Any) -> Axes:
        """Draw the losses of the epochs, and the accuracy where there is one; options are those of `plot_losses`.

        Raises
        ------
        GraphcError
            GC404 without Matplotlib.

        Examples
        --------
        >>> data = {"x": [1.0, 2.0], "y": [3.0, 6.0]}
        >>> found = fit("x: Input[N]\\ny: Input[N]\\nw: Param = 0\\nloss: Output = mse(w * x, y)", data, epochs=5)
        >>> ax = found.plot(log=True)
        >>> ax.get_lines()[0].get_label()
        'training'
        """
        names = {"epoch": "epoch", "loss": "training", "holdout_loss": "held out", "accuracy": "accuracy"}
        columns = {shown: [getattr(epoch, name) for epoch in self.history] for name, shown in names.items()}
        return plot_losses({name: y for name, y in columns.items() if not np.isnan(y).all()}, **options)

    def __repr__(self) -> str:
        epochs = f"{self.epoch} epoch{'s' * (self.epoch != 1)}"
        return f"<graphc fit of {self.model.name}, {epochs}: {self.history[self.epoch - 1]}>"


def fit(
    source: Any,
    data: Data,
    *,
    epochs: int = 10,
    batch: int | None = 32,
    optimizer: str | Optimizer | None = None,
    holdout: float = 0.0,
    patience: int | None = None,
    seed: int = 0,
    params: Params | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
    labels: Labels | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    watch: Watch | None = None,
    watch_steps: WatchSteps | None = None,
    augment: Augment | None = None,
    **options: Any,
) -> Fit:
    """Train a model.

    Parameters
    ----------
    source : Model, or what `compile` takes
        Not yet compiled, it is also compiled with ``training=False``, for the measurements on what is held out.
    data : mapping, or path of a ``.csv``, ``.parquet`` or ``.npz`` file
        An array for each input, or a table; docs/training.md says what is kept on disk. The first free size that an
        input begins with counts the examples. An integer scalar that is not among the data is a seed: it gets a new
        number in each step.
    epochs : int
        How often to go through the examples.
    batch : int, optional
        How many examples a step takes: 1 for stochastic descent, None for all of them in each step.
    optimizer : str or Optimizer, optional
        Adam unless given, or that of the model. ``"lbfgs"`` is that of SciPy, on all examples at once; an epoch is one
        of its iterations.
    holdout : float
        The share of the examples that is kept for measuring, drawn with the seed.
    patience : int, optional
        Stop when the loss on what is held out has not become better for so many epochs, and keep the best parameters.
        Better is less, but more with ``gradient_ascent``.
    seed : int
        Of the initial parameters, of what is held out, of the order of the examples in each epoch.
    params : mapping, optional
        To start from, in place of the model's initialisers.
    columns : mapping of str to sequence of str, optional
        Of a table, the columns of an input. By default an input ``y`` of one number is the column ``y``, and an input
        ``X`` of several is the columns ``X0``, ``X1``, …, or all those that no other input takes.
    labels : mapping of str to sequence of str, optional
        The texts that stand for 0, 1, 2 …, from an earlier training; else they are sorted.
    checkpoint : path, optional
        A file that is written after each epoch.
    resume : bool
        Go on from the checkpoint where there is one: the result is that of a training that was never stopped.
    watch : callable, optional
        Receives each `Epoch`.
    watch_steps : callable, optional
        Receives how many steps are done and how many there are at most: before the first one, and after each.
    augment : callable, optional
        Receives the examples of each step as a dict of arrays, and a generator that depends on the seed, the epoch and
        the step alone; gives those to learn from, of the same names, shapes and dtypes. What is held out is never
        augmented.
    **options
        Of `compile`, such as ``dtype`` or ``loss``, for what is not yet compiled.

    Raises
    ------
    GraphcError
        GC511 to GC513 for data that do not fit, before anything starts; GC514 when a number is not finite, with the
        first node and the step; GC515 for a checkpoint of another training; GC516 when ``augment`` gives no such
        batch.
    ValueError
        When a number among the arguments makes no sense.
    OSError
        When there can be no checkpoint at that path.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 50)
    >>> found = fit("x: Input[N]\\ny: Input[N]\\nw: Param = 0\\nloss: Output = mse(w * x, y)", {"x": x, "y": 3 * x},
    ...             epochs=200, batch=10, optimizer="momentum(lr=0.1)")
    >>> print(round(float(found.params["w"]), 6))
    3.0
    """
    _check(epochs, batch, holdout, patience, seed, resume and checkpoint is None)
    lbfgs = optimizer == "lbfgs"
    if lbfgs and checkpoint is not None:
        raise ValueError("a training by L-BFGS is not interrupted, expected no checkpoint, found one")
    if lbfgs and augment is not None:
        raise ValueError("a training by L-BFGS has the same examples in each step, expected no augment, found one")
    if checkpoint is not None:
        check_place(checkpoint)
    model, measured = _models(source, optimizer, options)
    # Labels that noise is for are known as such without it.
    dataset = dataset_of(measured, data, columns, labels)
    fast = model.for_speed
    start = _start(fast, params, seed)
    kept, held_out = _split(dataset, holdout, seed)
    progress = Progress(start, {} if lbfgs else fast.init_state(start), (), start, 0)
    scores = Scores(measured, dataset, held_out, model.losses[0])
    steps = 1 if lbfgs or batch is None else -(-len(kept) // batch)
    tell = partial(_tell, watch_steps, epochs * steps)
    if lbfgs:
        tell(0)
        progress = minimised(model, dataset.inputs(kept), progress, epochs, patience, scores, _with_steps(tell, watch))
    else:
        settings: dict[str, Any] = {"batch": batch, "holdout": holdout, "seed": seed}
        if augment is not None:
            settings["augment"] = getattr(augment, "__qualname__", type(augment).__qualname__)
        # Which reads all data, for a checkpoint only.
        mark = "" if checkpoint is None else _mark(model, dataset, start, **settings)
        if resume and checkpoint is not None and Path(checkpoint).exists():
            progress = read_checkpoint(checkpoint, mark)
        tell(len(progress.history) * steps)
        drawn = partial(_drawn, dataset, kept, batch, seed, augment)
        while len(progress.history) < epochs and not progress.risen(patience):
            progress = _epoch(fast, drawn, len(kept), progress, scores, tell)
            if checkpoint is not None:
                write_checkpoint(checkpoint, mark, progress)
            if watch is not None:
                watch(progress.history[-1])
    # The trained model lives on; the memory of its steps is not needed any more.
    vars(fast.module).get("_WORK", {}).clear()
    best = patience is not None
    found = progress.best if best else _result(model, progress.params, progress.state)
    epoch = progress.best_epoch if best else len(progress.history)
    return Fit(model, dict(found), progress.history, epoch, dataset.labels, dataset.columns)


def _check(
    epochs: int, batch: int | None, holdout: float, patience: int | None, seed: int, no_checkpoint: bool
) -> None:
    if not _is_whole(epochs, 1):
        raise ValueError(f"expected at least 1 epoch, found {epochs!r}")
    if batch is not None and not _is_whole(batch, 1):
        raise ValueError(f"expected a batch of at least 1 example, found {batch!r}")
    if not _is_share(holdout):
        raise ValueError(f"expected a share of at least 0 and below 1 to hold out, found {holdout!r}")
    if patience is not None and not _is_whole(patience, 1):
        raise ValueError(f"expected a patience of at least 1 epoch, found {patience!r}")
    if patience is not None and not holdout:
        raise ValueError(f"expected a share to hold out, whose loss is what patience watches, found {holdout!r}")
    if not _is_whole(seed, 0):
        raise ValueError(f"expected a whole number of at least 0 for the seed, found {seed!r}")
    if no_checkpoint:
        raise ValueError("expected a checkpoint to resume from, found none")


def _is_share(number: Any) -> bool:
    return isinstance(number, (int, float, np.number)) and bool(0 <= number < 1)


def _is_whole(number: Any, least: int) -> bool:
    return isinstance(number, (int, np.integer)) and not isinstance(number, bool) and bool(number >= least)


def _models(source: Any, optimizer: str | Optimizer | None, options: Mapping[str, Any]) -> tuple[Model, Model]:
    """The model that is trained, and the one that measures."""
    extras = [] if optimizer == "lbfgs" else ["train_step"]
    chosen = None if optimizer == "lbfgs" else optimizer
    if isinstance(source, Model):
        if options:
            raise ValueError(f"the model is compiled, expected no options for that, found {', '.join(options)}")
        return source.with_extras(extras, chosen), source
    trained = compile(source, **options, with_=extras, optimizer=chosen)
    with warnings.catch_warnings():
        # Of a seed, for instance, that only training needs; all else has been said.
        warnings.simplefilter("ignore", GraphcWarning)
        return trained, compile(source, **{**options, "training": False, "gradient": False})


def _start(model: Model, params: Params | None, seed: int) -> dict[str, Any]:
    """The parameters to begin with, all those of the model."""
    names = [str(node.attrs["name"]) for node in model.graph.params]
    start = model.init_params(seed) if params is None else params
    if not isinstance(start, Mapping):
        raise TypeError(f"expected a dict of arrays for params, found a {type(start).__name__}")
    if params is None and (absent := [name for name in names if name not in start]):
        raise ValueError(f"expected params, because there is no initialiser for {', '.join(absent)}, found none")
    if {*start} != {*names}:
        raise ValueError(f"expected params {', '.join(names) or 'of no names'}, found {', '.join(map(str, start))}")
    return dict(start)


def _mark(model: Model, dataset: Dataset, params: Params, **settings: Any) -> str:
    told = {**settings, "model": model.provenance.digest, "options": repr(model.provenance.options)}
    return fingerprint(told, {**dataset.arrays, **{f"param {name}": value for name, value in params.items()}})


def _split(dataset: Dataset, holdout: float, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The rows to learn from, and those to measure with."""
    count = round(dataset.count * holdout)
    if holdout and not 0 < count < dataset.count:
        message = f"expected examples to hold out and to learn from, found {dataset.count} for a share of {holdout}"
        raise GraphcError(Diagnostic("GC513", message))
    # Four bytes for an example, and no copies: there may be very many.
    order = np.arange(dataset.count, dtype=np.int32 if dataset.count < 2**31 else np.int64)
    np.random.default_rng([seed, 0]).shuffle(order)
    held_out, kept = order[:count], order[count:]
    held_out.sort()
    kept.sort()
    return kept, held_out


def _epoch(
    model: Model,
    drawn: Callable[[int], Iterator[tuple[int, Mapping[str, Any]]]],
    count: int,
    progress: Progress,
    scores: Scores,
    tell: Callable[[int], object],
) -> Progress:
    """One more epoch, on as many examples: it depends on what is drawn for its number and the training so far."""
    number = len(progress.history) + 1
    params, state, total = progress.params, progress.state, 0.0
    # The first step leaves what was there before; the next ones are in its arrays, for which the last argument is.
    *_, out = signature(model.module.train_step).parameters
    given = None
    # What overflows is found and told below.
    with np.errstate(all="ignore"):
        for size, inputs in drawn(number):
            params, state, loss = model.train_step(params, state, **inputs, **{out: given})
            given = params, state
            if not np.isfinite(loss):
                raise _fault(model, drawn(number), progress)
            total += float(loss) * size
            tell(int(state["steps_done"]))
        if not is_finite(params):
            raise _fault(model, drawn(number), progress)
        result = _result(model, params, state)
        epoch = Epoch(number, int(state["steps_done"]), total / count, *scores.of(result))
    optimizer = model.provenance.options.optimizer
    return progress.after(params, state, epoch, result, optimizer is not None and optimizer.ascends)


def _fault(model: Model, steps: Iterator[tuple[int, Mapping[str, Any]]], progress: Progress) -> GraphcError:
    """The first step of an epoch, taken once more, from which there are other numbers than finite ones."""
    params, state = progress.params, progress.state
    for _, inputs in steps:
        new_params, state, loss = model.train_step(params, state, **inputs)
        if not np.isfinite(loss) or not is_finite(new_params):
            break
        params = new_params
    return divergence(model, params, inputs, int(state["steps_done"]), len(progress.history) + 1)


def _drawn(
    dataset: Dataset, kept: NDArray[Any], batch: int | None, seed: int, augment: Augment | None, number: int
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """How many examples each step of an epoch has, and the inputs: the same whenever they are drawn again."""
    rng = np.random.default_rng([seed, number])
    names = dataset.examples or list(dataset.arrays)
    for place, rows in enumerate(_batches(kept, batch, rng), start=1):
        yield len(rows), augmented(augment, dataset.inputs(rows, rng), names, [seed, number, place])


def _result(model: Model, params: Params, state: Params) -> Params:
    """What a training gives at this point: the average of the parameters where one is kept."""
    optimizer = model.provenance.options.optimizer
    return model.averaged_params(params, state) if optimizer is not None and optimizer.averages else params


def _tell(watch_steps: WatchSteps | None, steps: int, done: int) -> None:
    if watch_steps is not None:
        watch_steps(done, steps)


def _with_steps(tell: Callable[[int], object], watch: Watch | None) -> Watch:
    """What is told of each iteration of L-BFGS, which is a step and an epoch."""

    def told(epoch: Epoch) -> None:
        tell(epoch.steps)
        if watch is not None:
            watch(epoch)

    return told


def _batches(rows: NDArray[Any], batch: int | None, rng: np.random.Generator) -> Iterator[NDArray[Any]]:
    if batch is None:
        yield rows
        return
    order = rng.permutation(rows)
    yield from (order[start : start + batch] for start in range(0, len(order), batch))
