"""A model opened for differentiation, and what comes out as a model again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from graphc.autodiff import check_dependence
from graphc.compiled_model import Model
from graphc.compiler import compile, compile_graph
from graphc.extras import in_order
from graphc.graph import Graph, Node, subgraphs
from graphc.partition import reached
from graphc.passes import run_pipeline
from graphc.products import Derivative, Layout, Opened, opened_graph
from graphc.provenance import Options
from graphc.size import SizeExpr, named_size
from graphc.targets import losses_of, variables_of
from graphc.tensor_type import TensorType

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
    opened = opened_model(model, wrt, output, scalar=scalar, protected=protected, ordered=ordered)
    found = make(opened)
    return derived(model, _with_inputs_of(found.graph, model.graph, opened.output), single(found.layout))


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
        reassociate=model.provenance.options.reassociate,
    )


def model_of(f: Source) -> Model:
    """A model, compiled without gradient unless it is one."""
    return f if isinstance(f, Model) else compile(f, gradient=False)


def _with_inputs_of(graph: Graph, origin: Graph, output: str) -> Graph:
    """A derivative without those inputs of its origin that neither it nor the output takes, nor a size is told by."""
    taken = set(reached(origin, [origin.outputs[output]]))
    others = _names(node for node in origin.inputs if node not in taken)
    live = set(reached(graph, graph.outputs.values()))
    free = [node for node in graph.inputs if node not in live and node.attrs["name"] in others]
    told = {size for node in (*graph.inputs, *graph.params) if node not in free for size in node.tensor.shape}
    asked = {name for node in live for name in _sizes_of(node) if named_size(name) not in told}
    idle = {node for node in free if asked.isdisjoint(_sizes_of(node))}
    return replace(
        graph,
        operand_table={node: operands for node, operands in graph.operand_table.items() if node not in idle},
        inputs=tuple(node for node in graph.inputs if node not in idle),
        names={node: names for node, names in graph.names.items() if node not in idle},
        spans={node: spans for node, spans in graph.spans.items() if node not in idle},
        scopes={node: scopes for node, scopes in graph.scopes.items() if node not in idle},
    )


def _names(leaves: Iterable[Node]) -> set[str]:
    return {str(node.attrs["name"]) for node in leaves}


def _sizes_of(node: Node) -> Iterator[str]:
    """The named sizes in a node's type and attributes, and in the graphs that it holds."""
    shape = node.type.shape if isinstance(node.type, TensorType) else ()
    for value in (*shape, *node.attrs.values()):
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, SizeExpr):
                yield from part.names
    for graph in subgraphs(node):
        for inner in graph.nodes:
            yield from _sizes_of(inner)


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
    (name,) = losses_of(model.graph, model.source, wanted if wanted is None else [wanted], "output")
    return name


def derived(origin: Model, graph: Graph, layout: Layout | None) -> Model:
    """The model of a graph made from that of another."""
    of = origin.provenance
    # No file gives this module today: it was derived in Python. Its derivatives are taken as those of its origin.
    options = Options(gradient=False, conventions=of.options.conventions, reassociate=of.options.reassociate)
    provenance = replace(of, source=f"<derived from {of.source.strip('<>')}>", options=options)
    compiled = run_pipeline(graph, (), {}, reassociate=options.reassociate)
    left = _names(origin.graph.inputs) - _names(graph.inputs)
    return Model(origin.source, graph, origin.warnings, (), (), compiled, provenance, {}, layout, origin.idle | left)


def differentiated(f: Source, wrt: str | Sequence[str] | None) -> Model:
    """A model with the gradient of its loss in its module."""
    model = model_of(f)
    names = (wrt,) if isinstance(wrt, str) else None if wrt is None else tuple(wrt)
    options = replace(model.provenance.options, loss=None, wrt=names, gradient=True)
    return compile_graph(model.graph, model.source, options, model.provenance.digest, model.warnings)
