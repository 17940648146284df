"""From command-line arguments to a model, and from diagnostics to a stream: what the commands share."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn, TypedDict, TypeVar

import click

if TYPE_CHECKING:
    from graphc.backends.regions import Optimize
    from graphc.compiled_model import Model
    from graphc.diagnostics import Diagnostic
    from graphc.op import Conventions
    from graphc.optimizer import Optimizer
    from graphc.tensor_type import DType

T = TypeVar("T")


class Target(TypedDict, total=False):
    """What is differentiated, as the options say it."""

    loss: str | None
    wrt: str | None
    dtype: DType
    no_gradient: bool
    training: bool
    conventions: Conventions
    with_: str | None
    of: str | None
    sizes: Sequence[str]
    optimizer: str | None
    lr: str | None
    optimize: Optimize
    reassociate: bool


def compiled(file: str | None, expression: str | None, target: Target) -> tuple[Sequence[Diagnostic], Model | None]:
    """What compiling says, and the model when there is one."""
    from graphc.compiler import compile
    from graphc.errors import GraphcError, GraphcWarning

    # They are printed from the model, in the style asked for.
    warnings.simplefilter("ignore", GraphcWarning)
    wrt = target.get("wrt")
    sizes = sizes_of(target.get("sizes", ()))
    try:
        model = compile(
            source_of(file, expression),
            loss=target.get("loss"),
            wrt=[name.strip() for name in wrt.split(",")] if wrt else None,
            dtype=target.get("dtype", "float64"),
            gradient=not target.get("no_gradient", False),
            training=target.get("training", True),
            conventions=target.get("conventions", "graphc"),
            with_=[name.strip() for name in (target.get("with_") or "").split(",") if name.strip()],
            of=target.get("of"),
            sizes=sizes,
            optimizer=optimizer_of(target.get("optimizer"), target.get("lr")),
            optimize=target.get("optimize", "readable"),
            reassociate=target.get("reassociate", False),
        )
    except GraphcError as error:
        return error.diagnostics, None
    return model.warnings, model


def sizes_of(given: Sequence[str]) -> dict[str, int]:
    """Numbers for free sizes, each ``N=10``; several may stand in one, with commas."""
    found = {}
    for text in (part.strip() for whole in given for part in whole.split(",")):
        name, _, number = text.partition("=")
        if not (name.strip() and number.strip().isdecimal()):
            raise click.UsageError(f"expected a size such as N=10 for --size, found {text}")
        found[name.strip()] = int(number)
    return found


def optimizer_of(text: str | None, lr: str | None) -> Optimizer | None:
    """The optimiser of ``--optimizer`` and ``--lr``; none when neither is given."""
    from graphc.optimizer import chosen_optimizer

    if text is None and lr is None:
        return None
    chosen = chosen_optimizer(text)
    return chosen if lr is None else chosen.with_option("lr", lr)


def load(file: str | None, expression: str | None, style: str, target: Target) -> Model:
    """The model, with warnings on standard error; errors go there too and end the program."""
    diagnostics, model = compiled(file, expression, target)
    print_diagnostics(diagnostics, style, sys.stderr)
    if model is None:
        sys.exit(status(diagnostics))
    return model


def guarded(action: Callable[[], T], style: str) -> T:
    """Do something that may refuse or fail to write; either ends the program with a message."""
    from graphc.errors import GraphcError

    try:
        return action()
    except GraphcError as error:
        print_diagnostics(error.diagnostics, style, sys.stderr)
        sys.exit(status(error.diagnostics))
    except OSError as fault:
        cannot_write(fault)


def check_places(read: Mapping[str, str | None], written: Mapping[str, str | None]) -> None:
    """Refuse files that cannot be written, or would be written over others that a command reads or writes.

    Raises
    ------
    click.UsageError
        When two are one file; both map what a file is for to its path.
    OSError
        When one cannot be written.
    """
    from graphc.atomic import check_place

    taken = {os.path.realpath(path): use for use, path in read.items() if path is not None}
    for use, path in written.items():
        if path is None:
            continue
        check_place(path)
        place = os.path.realpath(path)
        if other := taken.get(place):
            raise click.UsageError(f"expected a file of its own for {use}, found that of {other}: {path}")
        # A device, such as /dev/null, may take several.
        if os.path.isfile(place) or not os.path.exists(place):
            taken[place] = use


def cannot_write(fault: OSError) -> NoReturn:
    """End the program because a file cannot be written."""
    place = "the file" if fault.filename is None else fault.filename or "a file without a name"
    raise click.UsageError(f"cannot write {place}: {fault.strerror or fault}") from None


def status(diagnostics: Iterable[Diagnostic]) -> int:
    """The exit status: errors without a place in a model are about the use, a missing file or an unknown format."""
    places = [diagnostic.span for diagnostic in diagnostics if diagnostic.severity == "error"]
    return 1 if any(places) else 2 if places else 0


def print_diagnostics(diagnostics: Iterable[Diagnostic], style: str, stream: IO[str]) -> None:
    """Write diagnostics, in colour on a terminal that wants it."""
    from graphc.diagnostics import render

    for diagnostic in diagnostics:
        click.echo(render(diagnostic, style=style, color=_in_color(stream)), file=stream)


def _in_color(stream: IO[str]) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def source_of(file: str | None, expression: str | None) -> str | Path:
    """What `compile` takes, of a file and an expression of which one is given."""
    if (file is None) == (expression is None):
        raise click.UsageError("expected either a FILE (`-` is standard input) or -e EXPR")
    if expression is None and file != "-":
        return Path(str(file))
    text = _standard_input() if expression is None else expression
    # A str that ends so would be taken for a file.
    return f"{text}\n" if text.endswith(".gc") else text


def _standard_input() -> str:
    from graphc.frontends.files import decoded
    from graphc.frontends.session import MAX_TEXT

    if sys.stdin is None:
        raise click.UsageError("expected a model on standard input, which is closed")
    try:
        return decoded(sys.stdin.buffer, MAX_TEXT)
    except UnicodeDecodeError as fault:
        raise click.UsageError(f"expected UTF-8 text on standard input: {fault.reason} at {fault.start}") from None
