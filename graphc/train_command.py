"""``graphc train``: options in, files and a line for each epoch out."""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

from graphc.atomic import write_atomic
from graphc.loading import optimizer_of

if TYPE_CHECKING:
    from graphc.op import Conventions
    from graphc.tensor_type import DType
    from graphc.training.fit import Fit
    from graphc.training.history import Epoch


class Training(TypedDict):
    """The options of a training."""

    loss: str | None
    wrt: str | None
    conventions: Conventions
    dtype: DType
    data: str
    columns: Sequence[str]
    epochs: int
    batch: int
    optimizer: str | None
    lr: str | None
    holdout: float
    patience: int | None
    seed: int
    history: str | None
    checkpoint: str | None
    resume: bool


def trained(source: str | Path, output: str | None, given: Training) -> None:
    """Train, say how it went, and write what was asked for.

    Raises
    ------
    GraphcError
    OSError
        When a file cannot be written.
    click.UsageError
        When options do not go together.
    """
    from graphc.errors import GraphcWarning
    from graphc.training.fit import fit

    wrt = given["wrt"]
    lbfgs = given["optimizer"] == "lbfgs"
    if lbfgs and given["lr"] is not None:
        raise click.UsageError("lbfgs finds the length of its steps itself, expected no --lr")
    with warnings.catch_warnings(), watched(given["epochs"]) as watch:
        warnings.simplefilter("ignore", GraphcWarning)
        try:
            found = fit(
                source,
                given["data"],
                loss=given["loss"],
                wrt=[name.strip() for name in wrt.split(",")] if wrt else None,
                conventions=given["conventions"],
                dtype=given["dtype"],
                epochs=given["epochs"],
                batch=given["batch"] or None,
                optimizer="lbfgs" if lbfgs else optimizer_of(given["optimizer"], given["lr"]),
                holdout=given["holdout"],
                patience=given["patience"],
                seed=given["seed"],
                columns=dict(map(_column_choice, given["columns"])),
                checkpoint=given["checkpoint"],
                resume=given["resume"],
                watch=watch,
            )
        except ValueError as fault:
            raise click.UsageError(str(fault)) from None
    _write(found, output, given["history"])
    _tell(found, output)


def _column_choice(text: str) -> tuple[str, list[str]]:
    name, equals, columns = text.partition("=")
    if not (equals and name.strip() and columns.strip()):
        raise click.UsageError(f"expected columns such as X=width,height for --columns, found {text}")
    return name.strip(), [column.strip() for column in columns.split(",")]


def _write(found: Fit, output: str | None, history: str | None) -> None:
    if output is not None:
        found.save(output)
        if found.labels:
            # The numbers in the parameters mean nothing without the texts that they stand for.
            write_atomic(_labels_path(output), json.dumps(found.labels, ensure_ascii=False, indent=1) + "\n")
    if history is not None:
        found.write_history(history)


def _labels_path(output: str) -> Path:
    return Path(output).with_suffix(".labels.json")


def _tell(found: Fit, output: str | None) -> None:
    """The columns and labels that were taken, and the outcome, on standard error."""
    for name, columns in found.columns.items():
        listed = ", ".join(columns[:6]) + (f" and {len(columns) - 6} more" if len(columns) > 6 else "")
        click.echo(f"{name} is {listed}", err=True)
    for name, texts in found.labels.items():
        click.echo(f"{name} is {', '.join(f'{place} for {text}' for place, text in enumerate(texts))}", err=True)
    click.echo(f"after {found.epoch} epochs: {found.history[found.epoch - 1]}", err=True)
    if output is not None:
        click.echo(f"wrote {output}" + (f" and {_labels_path(output)}" if found.labels else ""), err=True)


@contextmanager
def watched(epochs: int) -> Iterator[Callable[[Epoch], None]]:
    """What is told of each epoch: a bar on a terminal, with loss, accuracy, rate and time left; a line elsewhere."""
    if not sys.stderr.isatty():
        yield lambda epoch: click.echo(f"epoch {epoch.epoch}: {epoch}", err=True)
        return
    start, first = time.monotonic(), 0

    def shown(epoch: Epoch | None) -> str:
        if epoch is None:
            return ""
        return f"{epoch}, {(epoch.steps - first) / (time.monotonic() - start):.0f} steps/s"

    with click.progressbar(length=epochs, label="training", file=sys.stderr, item_show_func=shown) as bar:

        def watch(epoch: Epoch) -> None:
            nonlocal first
            if bar.pos == 0 and epoch.epoch > 1:
                # A training that goes on.
                first = epoch.steps
                bar.update(epoch.epoch - 1)
            bar.update(1, epoch)

        yield watch
