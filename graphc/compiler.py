"""`compile`: front end → passes → back end; `Model` is what it gives."""

from __future__ import annotations

import copyreg
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphc.backends.graph_text import graph_text
from graphc.backends.regions import Optimize
from graphc.collector import collector_paused
from graphc.compiled_model import Model, requested_extras
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError, GraphcWarning
from graphc.extras import KINDS, output_of
from graphc.free_sizes import refuse_other_than_numbers, refuse_unknown_sizes
from graphc.frontends.files import decoded
from graphc.frontends.graph_text import parse_graph
from graphc.frontends.session import MAX_TEXT
from graphc.frontends.text import Parsed, parse_model
from graphc.graph import Graph
from graphc.op import Conventions
from graphc.optimizer import Optimizer
from graphc.passes import run_pipeline
from graphc.provenance import (
    Options,
    Provenance,
    checked_conventions,
    checked_dtype,
    checked_optimize,
    digest_of,
    refuse_module,
)
from graphc.source import Source
from graphc.targets import losses_of, named_variables, variables_of
from graphc.tensor_type import DType

VERSION = "0.1.0"

if TYPE_CHECKING:
    import sympy


def compile(
    source: str | os.PathLike[str] | Callable[..., Any] | sympy.Basic | sympy.MatrixBase | Model,
    *,
    loss: str | Sequence[str] | None = None,
    wrt: str | Sequence[str] | None = None,
    dtype: DType = "float64",
    gradient: bool = True,
    training: bool = True,
    conventions: Conventions = "graphc",
    with_: Sequence[str] = (),
    of: str | None = None,
    sizes: Mapping[str, int] | None = None,
    optimizer: str | Optimizer | None = None,
    optimize: Optimize = "readable",
    reassociate: bool = False,
) -> Model:
    """Compile a model to NumPy functions and their gradients.

    Parameters
    ----------
    source : str, path, callable, SymPy expression or matrix, or Model
        A file (a path, or a str that ends in ``.gc``), model text, or one expression; a Python function, which is run
        once on graph values; a SymPy expression, whose symbols are scalar inputs. A model is given back as it is.
    loss : str or sequence of str, optional
        The scalar output to differentiate: by default the one called ``loss``, else the only scalar output. A sequence
        names outputs of any shape, of which ``backward`` takes a cotangent each.
    wrt : str or sequence of str, optional
        What to differentiate with respect to: by default the parameters, or the float inputs of a model without any.
        Any named value of the model will do.
    dtype : {"float64", "float32"}
        The model's float type, for which the module is documented; modules compute in the type that they are given.
    gradient : bool
        Whether to differentiate at all.
    training : bool
        What the static name ``training`` is in the model: False for a module that predicts, without dropout. In a
        Python function, an argument of that name that has a default is it too, and off when either is.
    conventions : {"graphc", "torch", "jax"}
        Whose choice of derivative holds where a function has none, such as abs at 0; the module's header says what
        applies.
    with_ : sequence of str
        What else the module has: ``flat`` (``pack``, ``unpack`` and ``value_and_grad_flat``, for optimisers that want
        one vector), ``train_step`` (with ``init_state``: a step of training), ``check`` (a test of its gradient, which
        ``python module.py`` runs), ``graph`` (the graph, for `load`), and derivatives, each a function of its name:
        ``jvp``, ``vjp``, ``jacobian``, ``value_and_jacobian``, ``sparse_jacobian``, ``gauss_newton`` of an output,
        ``hvp``, ``hessian``, ``value_grad_hessian`` of the loss.
    of : str, optional
        The output that those of an output are of: the loss, or the only output, unless told.
    sizes : mapping of str to int, optional
        Numbers for free sizes, for which the module then is: ``sparse_jacobian`` needs all of them.
    optimizer : str or Optimizer, optional
        What makes the steps of ``train_step``: a name or a call, such as ``"adam"`` or ``"momentum(lr=0.1)"``; Adam
        unless given. With it the module has ``train_step``, asked for or not.
    optimize : {"readable", "speed"}
        What the module is written for. For speed, chains of elementwise operations and sums are computed by blocks of
        rows that stay in the cache; results are the same up to the rounding of sums.
    reassociate : bool
        Whether sums and products may be regrouped where that saves work and may lose digits to cancellation: squared
        distances of all pairs by a matrix product, products of differences as differences of products. What is lost
        is measured by how far the points are spread, so that small differences have few digits.

    Raises
    ------
    GraphcError
        With every error of the model that could be found, each with its place.

    Warns
    -----
    GraphcWarning
        For an unused input, a gradient that is zero everywhere; also in ``Model.warnings``.

    Examples
    --------
    >>> m = compile("(x + y) * z")
    >>> value, grads = m.value_and_grad(x=2, y=3, z=4)
    >>> print(value, *grads.values())
    20.0 4.0 4.0 5.0
    """
    if isinstance(source, Model):
        return source
    dtype = checked_dtype(dtype)
    refuse_other_than_numbers(sizes or {})
    with collector_paused():
        text, parsed = _parsed(source, dtype, {"training": training, **(sizes or {})})
    if sizes:
        _check_sizes(source, dtype, sizes)
    if loss is None and text.name == "<sympy>":
        # The transposed Jacobian of a matrix is asked for by a cotangent.
        loss = [name for name, node in parsed.graph.outputs.items() if node.tensor.shape] or None
    options = Options(
        loss=loss if isinstance(loss, str) or loss is None else tuple(loss),
        wrt=(wrt,) if isinstance(wrt, str) else None if wrt is None else tuple(wrt),
        dtype=dtype,
        gradient=gradient,
        training=training,
        conventions=checked_conventions(conventions),
        of=of,
        sizes=tuple((sizes or {}).items()),
        optimize=checked_optimize(optimize),
        reassociate=bool(reassociate),
        **requested_extras(with_, optimizer),
    )
    model = compile_graph(parsed.graph, text, options, digest_of(text.text), parsed.warnings)
    for warning in model.warnings:
        warnings.warn(GraphcWarning(warning), stacklevel=2)
    return model


@collector_paused()
def compile_graph(
    graph: Graph, source: Source, options: Options, digest: str, found: tuple[Diagnostic, ...] = ()
) -> Model:
    """Compile a raw graph, with the digest of the text that it is from and what reading that has found."""
    losses = losses_of(graph, source, _asked_losses(graph, options)) if options.gradient else ()
    if options.of is not None:
        losses_of(graph, source, [options.of], "of")
    variables = variables_of(graph, source, options.wrt, losses) if options.gradient else {}
    compiled = run_pipeline(graph, losses, variables, options.conventions, reassociate=options.reassociate)
    found = (*found, *_zero_warnings(graph, compiled.zero, losses))
    leaves = {*graph.inputs, *graph.params}
    moved = {name: node for name, node in variables.items() if node in leaves}
    provenance = Provenance(VERSION, source.name, digest, options)
    return Model(source, graph, found, losses, tuple(variables), compiled, provenance, moved)


def _reduced(model: Model) -> tuple[Callable[..., Model], tuple[object, ...]]:
    """What a model is pickled as: the text of its graph, which no longer needs the source, and its options."""
    kept = {"provenance": model.provenance, "warnings": model.warnings, "layout": model.layout, "idle": model.idle}
    return _restored, (graph_text(model.graph), model.source, kept)


def _restored(graph: str, source: Source, kept: dict[str, Any]) -> Model:
    provenance = kept["provenance"]
    return replace(compile_graph(parse_graph(graph, source), source, provenance.options, provenance.digest), **kept)


copyreg.pickle(Model, _reduced)


def model(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Compile a Python function, as a decorator: it runs once, on graph values, and the name becomes its `Model`.

    Parameters
    ----------
    function : callable
        Its annotations declare inputs (``gx.f64["N", 3]``) and parameters (``gx.param[3] = gx.zeros()``). An argument
        without one is a float scalar, with a default besides it is static. What it returns is the output, or a tuple, a
        NamedTuple or a dict of outputs.
    **options
        As of `compile`: ``@graphc.model(wrt=["x"])``.

    Raises
    ------
    GraphcError
        At the line of the function.

    Examples
    --------
    >>> import graphc as gx
    >>> @gx.model
    ... def loss(X: gx.f64["N", 3], w: gx.param[3] = gx.zeros()):
    ...     return gx.mean((X @ w - 1) ** 2)
    >>> value, gradients = loss.value_and_grad(loss.init_params(), X=[[1.0, 2.0, 3.0]])
    >>> print(value, gradients["w"])
    1.0 [-2. -4. -6.]
    """
    if function is None:
        return partial(model, **options)
    return compile(function, **options)


def _parsed(source: Any, dtype: DType, static: Mapping[str, object]) -> tuple[Source, Parsed]:
    """What the front end of a source gives."""
    # SymPy takes long to import, and who has an expression has imported it.
    sp = sys.modules.get("sympy")
    if sp is not None and isinstance(source, (sp.Basic, sp.MatrixBase)):
        from graphc.frontends.sympy_expr import parse_sympy

        return parse_sympy(source, float_dtype=dtype)
    if isinstance(source, (str, os.PathLike)):
        text, folder = _read(source)
        try:
            return text, parse_model(text, folder=folder, float_dtype=dtype, static=static)
        except GraphcError:
            refuse_module(text, folder)
            raise
    from graphc.frontends.tracing import trace_function

    return trace_function(source, float_dtype=dtype, static=static)


def _read(source: str | os.PathLike[str]) -> tuple[Source, Path | None]:
    if isinstance(source, str) and not source.endswith(".gc"):
        return Source("<model>", source), None
    path = Path(source)
    try:
        with path.open("rb") as file:
            return Source(path.name, decoded(file, MAX_TEXT)), path.parent
    except OSError as fault:
        reason = (fault.strerror or str(fault)).lower()
        message = f"expected a model file at {path}, found none: {reason}"
        raise GraphcError(Diagnostic("GC402", message)) from None
    except UnicodeDecodeError as fault:
        message = f"expected UTF-8 text in {path}, found byte 0x{fault.object[fault.start]:02x} at {fault.start}"
        raise GraphcError(Diagnostic("GC402", message)) from None


def _asked_losses(graph: Graph, options: Options) -> str | Sequence[str] | None:
    """What to differentiate: where no output is a scalar and derivatives of one are asked for, that one."""
    scalar = any(not node.tensor.shape and node.tensor.is_float for node in graph.outputs.values())
    if options.loss is not None or scalar or not set(KINDS).intersection(options.with_):
        return options.loss
    output = output_of(graph, (), options.of)
    return None if output is None else [output]


def _check_sizes(given: Any, dtype: DType, sizes: Mapping[str, int]) -> None:
    """Refuse numbers for what is no free size: the model, read once more without any, has the free ones."""
    try:
        graph = _parsed(given, dtype, {})[1].graph
    except GraphcError:
        # Only with numbers do its shapes fit.
        return
    refuse_unknown_sizes(graph, sizes)


def _zero_warnings(graph: Graph, names: Sequence[str], losses: Sequence[str]) -> Iterator[Diagnostic]:
    nodes = named_variables(graph, names)
    for name in names:
        span = next(iter(graph.spans.get(nodes[name], ())), None)
        message = f"the gradient of {losses[0]} with respect to {name} is zero: all paths are piecewise constant"
        yield Diagnostic("GC602", message, span, severity="warning")
