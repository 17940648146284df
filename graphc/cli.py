"""The command line: arguments in, results on stdout and messages on stderr, an exit status of 0, 1 or 2.

Heavy modules are imported by the commands that need them, so that ``graphc --help`` is quick.
"""

from __future__ import annotations

import errno
import json
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

import click

from graphc.loading import (
    Target,
    cannot_write,
    check_places,
    compiled,
    guarded,
    load,
    print_diagnostics,
    sizes_of,
    source_of,
    status,
)

if TYPE_CHECKING:
    from graphc.backends.dot import Drawn, Look, Style
    from graphc.backends.folding import Depth
    from graphc.backends.picture import View
    from graphc.compiled_model import Model
    from graphc.derivation import Derivation
    from graphc.evaluated import Evaluated
    from graphc.graph import Graph
    from graphc.point import Point
    from graphc.train_command import Training

F = TypeVar("F", bound=Callable[..., object])
STYLES = ("full", "concise", "json", "github")
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

# Click fills paragraphs; \b keeps the lines of examples as they are.


def _print_version(context: click.Context, option: click.Parameter, asked: bool) -> None:
    from importlib.metadata import PackageNotFoundError, version

    if not asked:
        return
    try:
        click.echo(f"graphc {version('graphc')}")
    except PackageNotFoundError:
        click.echo("graphc, not installed: run from its source")
    context.exit()


class _Commands(click.Group):
    """Lists commands as this file has them, what one needs first comes first; ends as shells expect."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        with _interruptible():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> object:
        try:
            with _interruptible():
                return super().invoke(ctx)
        except OSError as fault:
            if fault.errno == errno.EPIPE:
                raise
            cannot_write(fault)


@contextmanager
def _interruptible() -> Iterator[None]:
    """End with the status that shells expect of what is interrupted; Click would say 1."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        sys.exit(128 + signal.SIGINT)


@click.group(cls=_Commands, context_settings=CONTEXT)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show it and exit."
)
def main() -> None:
    """Compile a model, written as text, to its computation graph, its gradient and a readable NumPy module.

    \b
    Start here:
      graphc demo                                          the whole way, on real handwritten digits
      graphc run -e "(x + y) * z" --at x=2,y=3,z=4         the value of a formula, and its gradient
      graphc compile model.gc -o model.py                  a module that needs NumPy alone

    A model is a FILE, `-` for standard input, or `-e EXPR`. Results go to standard output, messages to standard error.
    The exit status is 0 when all is well, 1 when a model has errors, 2 for wrong use.
    """


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several decorators as one, in the order in which help lists them."""
    return lambda command: reduce(lambda done, option: option(done), reversed(options), command)


def _seed(of: str) -> Callable[[F], F]:
    return click.option("--seed", type=click.IntRange(0), metavar="INTEGER", default=0, show_default=True, help=of)


_FILE = click.argument("file", metavar="[FILE]", required=False)
_EXPRESSION = click.option("-e", "--expression", metavar="EXPR", help="A formula or model text in place of FILE.")
_LOSS = click.option("--loss", metavar="NAME", help="The output to differentiate.  [default: loss, or the only scalar]")
_WRT = click.option("--wrt", metavar="NAMES", help="Differentiate by these: a,b.  [default: parameters, else inputs]")
_DTYPE = click.option("--dtype", type=click.Choice(["float64", "float32"]), default="float64", show_default=True)
_FORWARD = click.option("--no-gradient", is_flag=True, help="Do not differentiate: the model needs no loss.")
_TRAINING = click.option(
    "--training/--no-training", default=True, show_default=True, help="What `training` is in the model; dropout asks."
)
_CONVENTIONS = click.option(
    "--conventions",
    type=click.Choice(["graphc", "torch", "jax"]),
    default="graphc",
    show_default=True,
    help="Whose derivatives hold at kinks, such as that of abs at 0.",
)
_FORMAT = click.option(
    "--output-format", type=click.Choice(STYLES), default="full", show_default=True, help="How errors are written."
)
_WITH = click.option("--with", "with_", metavar="EXTRAS", help="What else to write, see above: flat,check,train_step.")
_OF = click.option(
    "--of", metavar="NAME", help="The output that Jacobians are of.  [default: the loss, or the only one]"
)
_SIZE = click.option(
    "--size", "sizes", metavar="N=10", multiple=True, help="A number for a free size; may be repeated."
)
_NUMBERS = click.option(
    "--sizes", "--size", "numbers", metavar="N=256", multiple=True, help="With --cost: numbers for free sizes."
)
_OPTIMIZER = click.option(
    "--optimizer",
    metavar="NAME",
    help='What makes the steps of training: momentum, "adam(beta1=0.8)".  [default: adam]',
)
_OPTIMIZE = click.option(
    "--optimize",
    type=click.Choice(["readable", "speed"]),
    default="readable",
    show_default=True,
    help="What to write for; speed computes long chains on large arrays by blocks of rows.",
)
_REASSOCIATE = click.option(
    "--reassociate", is_flag=True, help="Regroup sums and products, also where that may lose digits to cancellation."
)
_LR = click.option("--lr", metavar="RATE", help='Its learning rate: 1e-3, "0.1 * cosine_decay(step, 1000)".')
_AT = click.option("--at", "at", metavar="VALUES", multiple=True, help="x=2,y=[1,2,3], or a file of arrays: data.npz.")
_TARGET = _options(_LOSS, _WRT, _FORWARD, _TRAINING, _CONVENTIONS)
_MODEL = _options(_FILE, _EXPRESSION, _TARGET, _FORMAT)


@main.command()
@click.option("-o", "--output", metavar="DIR", type=click.Path(file_okay=False), help="A folder.  [default: a new one]")
@_seed("Of the split, the parameters and the batches.")
def demo(output: str | None, seed: int) -> None:
    """Show the whole way: train a classifier of handwritten digits.

    Compiles the model, writes its NumPy module and its pictures, trains that module and measures it on digits that it
    has not seen; takes less than a minute.

    \b
      graphc demo -o digits
    """
    from graphc.demo import run_demo

    try:
        run_demo(output, seed=seed, say=click.echo, progress=_progress)
    except OSError as fault:
        cannot_write(fault)


@main.command()
@click.argument("files", metavar="[FILE]...", nargs=-1)
@_EXPRESSION
@_TARGET
@_FORMAT
@click.option("--source", metavar="FILE", help="The model of a module.  [default: the one that its header names]")
def check(
    files: Sequence[str], expression: str | None, output_format: str, source: str | None, **target: Unpack[Target]
) -> None:
    """Check models and generated modules, without writing anything.

    Models: syntax, names, shapes for every batch size at once, and that a gradient reaches every variable. Modules,
    which end in .py: whether they are what their source gives today; if not, the difference, and exit status 1.

    \b
      graphc check model.gc other.gc
      graphc check model.py                               compiles the model.gc beside it
      graphc check model.gc --output-format github        annotations in a GitHub workflow
    """
    models = [(file, None) for file in files] + ([(None, expression)] if expression is not None else [])
    if not models:
        raise click.UsageError("expected a FILE, `-` or -e EXPR")
    statuses = []
    for file, text in models:
        if file is not None and file.endswith(".py"):
            statuses.append(_check_module(file, source, output_format))
            continue
        diagnostics, _ = compiled(file, text, target)
        print_diagnostics(diagnostics, output_format, sys.stdout)
        statuses.append(status(diagnostics))
    if output_format in ("full", "concise"):
        kind = "module" if all(str(file).endswith(".py") for file, _ in models) else "model"
        plural = "s" if len(models) > 1 else ""
        click.echo(f"{statuses.count(0)} of {len(models)} {kind}{plural} fine", err=True)
    sys.exit(max(statuses))


def _check_module(file: str, source: str | None, output_format: str) -> int:
    """The exit status for a generated module, after the difference or the errors are printed."""
    from graphc.diagnostics import Diagnostic
    from graphc.errors import GraphcError
    from graphc.generated import difference

    try:
        found = difference(file, source)
    except GraphcError as error:
        print_diagnostics(error.diagnostics, output_format, sys.stdout)
        return status(error.diagnostics)
    if output_format in ("full", "concise"):
        click.echo(found or f"{file} is up to date", nl=not found)
    elif found:
        stale = Diagnostic("GC414", f"expected what its source gives today in {file}, found another module")
        print_diagnostics([stale], output_format, sys.stdout)
    return 1 if found else 0


@main.command("compile")
@_MODEL
@_DTYPE
@_WITH
@_OF
@_SIZE
@_OPTIMIZE
@_REASSOCIATE
@_OPTIMIZER
@_LR
@click.option("-o", "--output", metavar="OUT.py", default="-", show_default=True, help="Where to write the module.")
def compile_(
    file: str | None, expression: str | None, output_format: str, output: str, **target: Unpack[Target]
) -> None:
    """Write a model as a Python module.

    The module needs NumPy alone and has the functions init_params, forward, backward, value_and_grad and one for each
    output.

    \b
      graphc compile model.gc -o model.py
      graphc compile -e "sin(x) * y" --wrt x              to standard output
      graphc compile model.gc -o model.py --with flat,check

    \b
    With flat         pack, unpack and value_and_grad_flat: parameters as one vector, for scipy.optimize
         train_step   init_state(params), train_step(params, state, ...): a step of --optimizer
         check        check(), which `python model.py` runs: the gradient against differences
         graph        the graph as text, from which graphc.load("model.py") re-opens the model

    \b
    and functions of these names, with flat also as NAME_flat:
         jvp, vjp, jacobian, value_and_jacobian, gauss_newton      of the output that --of names
         sparse_jacobian                                           of sizes that are numbers: --size N=10
         hvp, hessian, value_grad_hessian                          of the loss
    """
    _check_output(output, file)
    model = load(file, expression, output_format, target)
    if output == "-":
        guarded(lambda: click.echo(model.source_text, nl=False), output_format)
    else:
        guarded(lambda: model.write(output), output_format)


def _check_output(output: str, file: str | None, at: Sequence[str] = ()) -> None:
    """Refuse a place for a result that cannot be written to, or has what the command reads, before the work."""
    if output != "-":
        read = {"the model": file} | {f"--at {text}": text for text in at}
        check_places(read, {"-o": output})


@main.command()
@_MODEL
@click.option("--joint", "graph", flag_value="joint", help="The model and its gradient, before any rewriting.")
@click.option("--compiled", "graph", flag_value="compiled", help="What the value and the gradient are emitted from.")
@click.option("--rewrites", is_flag=True, help="What rules, guards and other passes changed, where, and why.")
@_REASSOCIATE
@click.option("--maths", is_flag=True, help="The derivation of the gradient, the chain rule step by step.")
@click.option("--simplified", is_flag=True, help="With --maths: what comes out in the end, as the module computes it.")
@click.option("--latex", is_flag=True, help="With --maths: as LaTeX.")
@_AT
@click.option("--cost", is_flag=True, help="Arithmetic, bytes moved and peak memory, by line and by function.")
@_NUMBERS
@_OPTIMIZE
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(
    file: str | None,
    expression: str | None,
    output_format: str,
    graph: str | None,
    rewrites: bool,
    maths: bool,
    simplified: bool,
    latex: bool,
    at: Sequence[str],
    cost: bool,
    numbers: Sequence[str],
    as_json: bool,
    **target: Unpack[Target],
) -> None:
    """List a model's graph as text.

    Every operation with its operands, its type and its place in the model.

    \b
      graphc show model.gc
      graphc show -e "(x + y) * z" --joint                with the gradient
      graphc show model.gc --rewrites                     what the compiler repaired and simplified
      graphc show model.gc --rewrites --optimize speed    and what it computes by blocks
      graphc show -e "(x + y) * z" --maths --at x=2,y=3,z=4
      graphc show model.gc --maths --simplified --latex
      graphc show model.gc --cost --sizes N=256           what it computes and holds
    """
    if numbers and not cost:
        raise click.UsageError("--sizes are of a cost, expected them with --cost")
    if graph is None and not rewrites and not maths and not cost:
        target["no_gradient"] = True
    model = load(file, expression, output_format, target)
    if maths:
        _need_gradient(model, "--maths")
        derivation = _derivation(model, at, simplified)
        click.echo(derivation.latex if latex else derivation.text)
        return
    if cost:
        guarded(lambda: _show_cost(model, sizes_of(numbers), as_json), output_format)
        return
    if rewrites:
        _show_rewrites(model, as_json)
        return
    _show_graph(_chosen_graph(model, graph), as_json)


def _derivation(model: Model, at: Sequence[str], simplified: bool) -> Derivation:
    if at and simplified:
        raise click.UsageError("--simplified has no numbers to put in, expected it without --at")
    return _at(model, at).derive() if at else model.derive(simplified=simplified)


def _at(model: Model, values: Sequence[str]) -> Evaluated:
    from graphc.point import read_values

    try:
        return model.at(read_values(values))
    except (ValueError, TypeError, OSError) as fault:
        raise click.UsageError(str(fault)) from None


def _show_rewrites(model: Model, as_json: bool) -> None:
    from graphc.pass_entries import entries_data, entries_text

    entries = (*model.rewrites, *model.passes)
    click.echo(json.dumps(entries_data(entries), indent=1) if as_json else entries_text(entries) or "no rule fired")


def _show_cost(model: Model, sizes: dict[str, int], as_json: bool) -> None:
    found = model.cost(sizes)
    click.echo(json.dumps(found.data(), indent=1, ensure_ascii=False) if as_json else str(found))


def _chosen_graph(model: Model, name: str | None) -> Graph:
    if name is None:
        return model.graph
    _need_gradient(model, f"--{name}")
    if name == "joint":
        return model.joint.graph
    assert model.compiled.value_and_grad is not None
    return model.compiled.value_and_grad


def _need_gradient(model: Model, option: str) -> None:
    if not model.losses:
        raise click.UsageError(f"{option} shows a gradient, which --no-gradient leaves out")


def _show_graph(graph: Graph, as_json: bool) -> None:
    from graphc.backends.listing import listing, listing_data

    click.echo(json.dumps(listing_data(graph), indent=1, ensure_ascii=False) if as_json else listing(graph))


@main.command()
@_MODEL
@_DTYPE
@_AT
@click.option("--params", metavar="FILE.npz", help="Parameters, in place of the initialisers of the model.")
@_seed("Of the initialisers.")
@click.option("--check-grad", is_flag=True, help="Compare the gradient with differences; exit status 1 if it is wrong.")
def run(
    file: str | None,
    expression: str | None,
    output_format: str,
    at: Sequence[str],
    params: str | None,
    seed: int,
    check_grad: bool,
    **target: Unpack[Target],
) -> None:
    """Print a model's outputs and gradient at a point.

    \b
      graphc run -e "(x + y) * z" --at x=2,y=3,z=4
      graphc run -e "v: Input[N]; f: Output = sum(v * v)" --at "v=[1, 2, 3]" --check-grad
      graphc run model.gc --at data.npz --params trained.npz
    """
    from graphc.point import check_at, evaluate, point_of, read_npz, read_values, result_text

    model = load(file, expression, output_format, target)
    try:
        saved = read_npz(params) if params else {}
        point: Point = point_of(model, read_values(at), saved, seed)
        click.echo(result_text(evaluate(model, point)))
        if not check_grad:
            return
        report = check_at(model, point)
    except (ValueError, TypeError, OSError) as fault:
        raise click.UsageError(str(fault)) from None
    click.echo(f"\ngradient against differences\n{report}")
    sys.exit(0 if report.ok else 1)


def _drawn(model: Model, at: Sequence[str], look: Look) -> Drawn:
    """What a picture is of; a diff has no numbers."""
    if look["view"] != "diff":
        return _at(model, at) if at else model.joint if model.losses else model.graph
    if at:
        raise click.UsageError("--view diff has no numbers, expected it without --at")
    try:
        return model.change(look["step"])
    except ValueError as fault:
        raise click.UsageError(str(fault)) from None


def _depth(context: click.Context, option: click.Parameter, text: str | None) -> Depth:
    if text is None or text == "all":
        return "all" if text else None
    if text.isdecimal():
        return int(text)
    raise click.BadParameter(f"expected a number of levels or all, found {text}")


@main.command()
@_MODEL
@click.option("-o", "--output", metavar="PICTURE", default="-", show_default=True, help="g.svg, .png, .pdf or .dot.")
@click.option(
    "--frames",
    is_flag=True,
    help="All steps: an animated .svg, or one picture per step with {step} in the name of the picture.",
)
@click.option(
    "--view",
    type=click.Choice(["joint", "forward", "gradient", "diff"]),
    help="The model, its gradient, both, or what rules changed.  [default: joint; forward with --no-gradient]",
)
@click.option(
    "--style",
    type=click.Choice(["wire", "block"]),
    help="Wires with numbers, or boxes.  [default: wire for scalars, block for tensors]",
)
@click.option("--theme", type=click.Choice(["light", "dark", "print", "lecture"]), default="light", show_default=True)
@_REASSOCIATE
@_AT
@click.option(
    "--step",
    type=click.IntRange(min=0),
    metavar="K",
    help="What is known after K steps of the two passes; of a diff, the Kth rule that fired.",
)
@click.option(
    "--depth",
    metavar="N",
    callback=_depth,
    help="Levels of calls that stay open, or all; large block pictures are folded by layer.  [default: all, or 0]",
)
def draw(
    file: str | None,
    expression: str | None,
    output_format: str,
    output: str,
    frames: bool,
    view: View | None,
    style: Style | None,
    theme: str,
    at: Sequence[str],
    step: int | None,
    depth: Depth,
    **target: Unpack[Target],
) -> None:
    """Draw a model's graph and its gradient.

    The graph is drawn as the model is written; with values, they are above the wires and the gradients below, or in the
    boxes. Beyond 120 boxes a picture is folded by layer. Standard output gets DOT text.

    \b
      graphc draw model.gc -o model.svg
      graphc draw -e "(x + y) * z" -o f.png --at x=2,y=3,z=4
      graphc draw -e "(x + y) * z" -o f.svg --view forward
      graphc draw model.gc -o layers.svg --depth 0
      graphc draw model.gc -o d.svg --view diff --step 7
      graphc draw -e "(x + y) * z" -o f.svg --at x=2,y=3,z=4 --frames
      graphc draw -e "(x + y) * z" -o "f-{step}.png" --frames
      graphc draw model.gc | dot -Tpdf > model.pdf
    """
    from graphc.backends.dot import Look, dot
    from graphc.backends.drawing import draw, picture_format

    _check_output(output, file, at)
    if output != "-":
        guarded(lambda: picture_format(output), output_format)
    elif frames:
        raise click.UsageError("--frames writes an animated .svg or one picture per step, expected it with -o")
    if frames and step is not None:
        raise click.UsageError("--frames shows all steps, expected it without --step")
    if frames and view == "diff":
        raise click.UsageError("--view diff has no steps, expected it without --frames")
    if view == "forward":
        target["no_gradient"] = True
    model = load(file, expression, output_format, target)
    look = Look(view=view or ("joint" if model.losses else "forward"), style=style, theme=theme, step=step, depth=depth)
    if look["view"] not in ("forward", "diff"):
        _need_gradient(model, f"--view {view}")
    drawn = _drawn(model, at, look)
    if output == "-":
        click.echo(guarded(lambda: dot(drawn, title=model.name, **look), output_format), nl=False)
    else:
        guarded(lambda: draw(output, drawn, title=model.name, frames=frames, **look), output_format)


@main.command()
@_MODEL
@_DTYPE
@click.option("-o", "--output", metavar="OUT.html", default="-", show_default=True, help="Where to write the page.")
@_AT
@click.option("--case", "cases", metavar="VALUES", multiple=True, help="Another set of values, on top of --at.")
def report(
    file: str | None,
    expression: str | None,
    output_format: str,
    output: str,
    at: Sequence[str],
    cases: Sequence[str],
    **target: Unpack[Target],
) -> None:
    """Write a page that steps through a model and its gradient.

    Model, graph, generated NumPy and the mathematics of each step, in one HTML file that needs no network. Without
    values, names take the place of numbers.

    \b
      graphc report -e "((x + y) + (x * y)) * z" -o f.html --at x=2,y=3,z=4
      graphc report -e "(x + y) * z" -o f.html --at y=3,z=4 --case x=1 --case x=2
      graphc report model.gc -o model.html --at data.npz
    """
    _check_output(output, file, at)
    model = load(file, expression, output_format, target)
    points = [_at(model, [*at, case]) for case in cases] or ([_at(model, at)] if at else [])
    if output == "-":
        guarded(lambda: click.echo(model.show(*points).html, nl=False), output_format)
    else:
        guarded(lambda: model.report(output, *points), output_format)


@main.command()
@_FILE
@_EXPRESSION
@_options(_LOSS, _WRT, _CONVENTIONS, _DTYPE, _FORMAT)
@click.option("--data", metavar="FILE", required=True, help="The examples: a .csv, .parquet or .npz file.")
@click.option("--columns", metavar="X=a,b", multiple=True, help="The columns of an input; may be repeated.")
@click.option("-o", "--output", metavar="PARAMS.npz", help="Where to write the parameters.")
@click.option("--epochs", type=click.IntRange(1), default=10, show_default=True, help="How often to see each example.")
@click.option("--batch", type=click.IntRange(0), default=32, show_default=True, help="Examples in a step; 0 for all.")
@_OPTIMIZER
@_LR
@click.option("--holdout", type=click.FloatRange(0, 1, max_open=True), default=0.0, help="The share to measure with.")
@click.option("--patience", type=click.IntRange(1), help="Stop when the loss on it has not fallen for so many epochs.")
@_seed("Of parameters, hold-out set and batches.")
@click.option("--history", metavar="FILE.csv", help="Where to write the loss of each epoch.")
@click.option("--plot", metavar="FILE.svg", help="Where to draw the losses and the accuracy; .png and .pdf as well.")
@click.option("--checkpoint", metavar="FILE.npz", help="Where to save the training after each epoch.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint, where there is one.")
def train(
    file: str | None, expression: str | None, output_format: str, output: str | None, **given: Unpack[Training]
) -> None:
    """Train a model on examples.

    An input y of one number is the column y, an input X of several is the columns X0, X1, ... or all those that no
    other input takes. Labels may be texts. The loss of each epoch goes to standard error.

    \b
      graphc train model.gc --data iris.csv --columns y=species -o iris.npz --holdout 0.2 --patience 5
      graphc train model.gc --data big.npz --epochs 50 --checkpoint state.npz --resume -o model.npz
      graphc train model.gc --data d.csv --optimizer momentum --lr "0.1 * cosine_decay(step, 1000)"
    """
    from graphc.train_command import trained

    model_source = source_of(file, expression)
    guarded(lambda: trained(model_source, output, given), output_format)


@main.command()
@click.argument("code", metavar="[CODE]", required=False)
def explain(code: str | None) -> None:
    """Explain an error code, with an example.

    Without a CODE, all codes are listed.

    \b
      graphc explain GC201
    """
    from graphc import error_codes

    if code is None:
        rows = [f"{known}  {entry.title}" for known, entry in error_codes.CODES.items()]
        click.echo("\n".join(rows))
        return
    try:
        click.echo(error_codes.explain(code))
    except ValueError as fault:
        raise click.UsageError(str(fault)) from None


@main.command()
def doctor() -> None:
    """Say what is installed and how to get the rest.

    \b
      graphc doctor
    """
    from graphc.doctor import examine

    findings = examine()
    for finding in findings:
        click.echo(finding)
    sys.exit(0 if all(finding.ok or finding.optional for finding in findings) else 1)


def _progress(steps: Iterable[int], length: int) -> Iterable[int]:
    """The steps, with a bar on standard error while that is a terminal."""
    if not sys.stderr.isatty():
        yield from steps
        return
    with click.progressbar(steps, length=length, label="training", file=sys.stderr) as bar:
        yield from bar
