"""A model opened for differentiation, and what comes out as a model again."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from graphc.autodiff import check_dependence
from graphc.compiled_model import Model
from graphc.compiler import compile, compile_graph
from graphc.extras import in_order
from graphc.graph import Graph
from graphc.passes import run_pipeline
from graphc.products import Derivative, Layout, Opened, opened_graph
from graphc.provenance import Options
from graphc.targets import losses_of, variables_of

Source: TypeAlias = Model | str | os.PathLike[str]
"""A model, or what `compile` makes one of."""


def differentiated_by(
    make: Callable[[Opened], Derivative],
    f: Source,
    wrt: str | Sequence[str] | None,
    output: str | None,
    *,
    scalar: bool = False,
    protected: Sequence[str] = (),
    ordered: bool = False,
) -> Model:
    """The model of a derivative; see `graphc.calculus.grad` for the arguments.

    ``scalar`` asks for an output that is one float; ``protected`` names outputs that no stability rule may go round;
    ``ordered`` has the variables in the order of the signature, parameters first.

    Raises
    ------
    GraphcError
        GC301, GC302 when no derivative reaches a variable; GC303, GC304 when it is not clear what is differentiated.
    """
    model = model_of(f)
    found = make(opened_model(model, wrt, output, scalar=scalar, protected=protected, ordered=ordered))
    return derived(model, found.graph, single(found.layout))


def opened_model(
    model: Model,
    wrt: str | Sequence[str] | None,
    output: str | None,
    *,
    scalar: bool = False,
    protected: Sequence[str] = (),
    ordered: bool = False,
) -> Opened:
    """The graph of a model, opened; see `differentiated_by`."""
    name = _output(model, output, scalar=scalar)
    names = [wrt] if isinstance(wrt, str) else wrt
    variables = variables_of(model.graph, model.source, names, (name,))
    check_dependence(model.graph, [model.graph.outputs[name]], variables)
    kept = {f"output {name}": model.graph.outputs[name] for name in protected}
    return opened_graph(
        model.graph,
        name,
        in_order(model.graph, variables) if ordered else variables,
        kept,
        model.provenance.options.conventions,
    )


def model_of(f: Source) -> Model:
    """A model, compiled without gradient unless it is one."""
    return f if isinstance(f, Model) else compile(f, gradient=False)


def single(layout: Layout) -> Layout:
    """A layout in which what there is of only one variable is no dict."""
    if isinstance(layout, str):
        return layout
    if isinstance(layout, tuple):
        return tuple(single(part) for part in layout)
    parts = {name: single(part) for name, part in layout.items()}
    return parts if len(parts) > 1 else next(iter(parts.values()))


def _output(model: Model, output: str | None, *, scalar: bool) -> str:
    only = next(iter(model.graph.outputs)) if len(model.graph.outputs) == 1 else None
    if scalar:
        return losses_of(model.graph, model.source, output)[0]
    wanted = output or only
    (name,) = losses_of(model.graph, model.source, wanted if wanted is None else [wanted])
    return name


def derived(origin: Model, graph: Graph, layout: Layout | None) -> Model:
    """The model of a graph made from that of another."""
    of = origin.provenance
    # No file gives this module today: it was derived in Python. Its derivatives are taken as those of its origin.
    options = Options(gradient=False, conventions=of.options.conventions)
    provenance = replace(of, source=f"<derived from {of.source.strip('<>')}>", options=options)
    compiled = run_pipeline(graph, (), {})
    return Model(origin.source, graph, origin.warnings, (), (), compiled, provenance, {}, layout)


def differentiated(f: Source, wrt: str | Sequence[str] | None) -> Model:
    """A model with the gradient of its loss in its module."""
    model = model_of(f)
    names = (wrt,) if isinstance(wrt, str) else None if wrt is None else tuple(wrt)
    options = replace(model.provenance.options, loss=None, wrt=names, gradient=True)
    return compile_graph(model.graph, model.source, options, model.provenance.digest, model.warnings)
