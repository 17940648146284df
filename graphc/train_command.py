"""``graphc train``: options in, files and a line for each epoch out."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

from graphc.atomic import write_atomic
from graphc.loading import check_places, optimizer_of
from graphc.train_progress import watched

if TYPE_CHECKING:
    from graphc.op import Conventions
    from graphc.tensor_type import DType
    from graphc.training.fit import Fit


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
    plot: str | None
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

    wrt, plot = given["wrt"], given["plot"]
    if plot is not None:
        plot_format(plot)
    _check_files(source, output, given)
    lbfgs = given["optimizer"] == "lbfgs"
    if lbfgs and given["lr"] is not None:
        raise click.UsageError("lbfgs finds the length of its steps itself, expected no --lr")
    with warnings.catch_warnings(), watched() as (watch, watch_steps):
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
                watch_steps=watch_steps,
            )
        except ValueError as fault:
            raise click.UsageError(str(fault)) from None
    _write(found, output, given["history"], plot)
    _tell(found, output)


def _check_files(source: str | Path, output: str | None, given: Training) -> None:
    """Refuse files that are not to be written, before hours of training go into them."""
    read = {"the model": str(source) if isinstance(source, Path) else None, "--data": given["data"]}
    labels = None if output is None else str(_labels_path(output))
    written = {"-o": output, "the labels of -o": labels, "--history": given["history"], "--plot": given["plot"]}
    written |= {"--checkpoint": given["checkpoint"]}
    check_places(read, written)


def _column_choice(text: str) -> tuple[str, list[str]]:
    name, equals, columns = text.partition("=")
    if not (equals and name.strip() and columns.strip()):
        raise click.UsageError(f"expected columns such as X=width,height for --columns, found {text}")
    return name.strip(), [column.strip() for column in columns.split(",")]


def _write(found: Fit, output: str | None, history: str | None, plot: str | None) -> None:
    if output is not None:
        found.save(output)
        if found.labels:
            # The numbers in the parameters mean nothing without the texts that they stand for.
            write_atomic(_labels_path(output), json.dumps(found.labels, ensure_ascii=False, indent=1) + "\n")
    if history is not None:
        found.write_history(history)
    if plot is not None:
        write_atomic(plot, _picture(found, plot_format(plot)))


def plot_format(path: str) -> str:
    """The format of a plot, by the ending of its file.

    Raises
    ------
    GraphcError
        GC403 for others than Matplotlib has and pages show, GC404 without Matplotlib.
    """
    from graphc.diagnostics import Diagnostic
    from graphc.errors import GraphcError
    from graphc.plotting.axes import require_matplotlib

    format = Path(path).suffix.lower().removeprefix(".")
    if format not in _PLOTS:
        message = f"expected a plot that ends in .svg, .png or .pdf, found {Path(path).name!r}"
        raise GraphcError(Diagnostic("GC403", message))
    require_matplotlib()
    return format


def _picture(found: Fit, format: str) -> bytes:
    """The plot of a training, the same bytes each time; no window is opened for it."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure, buffer = Figure(layout="constrained"), io.BytesIO()
    found.plot(ax=figure.subplots())
    with rc_context({"svg.hashsalt": "graphc"}):
        figure.savefig(buffer, format=format, metadata=_PLOTS[format])
    return buffer.getvalue()


_PLOTS: Mapping[str, Mapping[str, None]] = {"svg": {"Date": None}, "png": {}, "pdf": {"CreationDate": None}}
"""The formats of plots, and what would say when one was made."""


def _labels_path(output: str) -> Path:
    return Path(output).with_suffix(".labels.json")


def _tell(found: Fit, output: str | None) -> None:
    """The columns and labels that were taken, and the outcome, on standard error."""
    for name, columns in found.columns.items():
        listed = ", ".join(columns[:6]) + (f" and {len(columns) - 6} more" if len(columns) > 6 else "")
        click.echo(f"{name} is {listed}", err=True)
    for name, texts in found.labels.items():
        click.echo(f"{name} is {', '.join(f'{place} for {text}' for place, text in enumerate(texts))}", err=True)
    click.echo(f"after {found.epoch} epoch{'s' * (found.epoch != 1)}: {found.history[found.epoch - 1]}", err=True)
    if output is not None:
        click.echo(f"wrote {output}" + (f" and {_labels_path(output)}" if found.labels else ""), err=True)
