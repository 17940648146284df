"""A model opened for differentiation: its stabilised graph in a builder, and what comes out as a model again."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from graphc.autodiff import apart, backpropagate, check_dependence
from graphc.builder import Builder, rebuild
from graphc.compiler import Layout, Model, compile, compile_graph
from graphc.forward import push_forward
from graphc.graph import Graph, Node
from graphc.ops.axes import zeros
from graphc.passes import run_pipeline, stabilise
from graphc.provenance import Options
from graphc.targets import losses_of, variables_of

Source: TypeAlias = Model | str | os.PathLike[str]
"""A model, or what `compile` makes one of."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A model's graph in a builder: what is differentiated and with respect to what, as nodes of the builder."""

    model: Model
    builder: Builder
    output: str
    outputs: Mapping[str, Node]
    variables: Mapping[str, Node]

    @property
    def value(self) -> Node:
        """The output that is differentiated."""
        return self.outputs[self.output]

    def finish(self, outputs: Mapping[str, Node], layout: Layout) -> Model:
        """The model of these outputs; ``layout`` says what a call gives."""
        return derived(self.model, self.builder.finish(outputs, doc=self.model.graph.doc), layout)

    def gradient(self) -> dict[str, Node]:
        """The gradient of the value, which is a scalar."""
        return self.pulled(self.builder.constant(1.0, self.value.tensor.dtype).node)

    def pulled(self, ct: Node) -> dict[str, Node]:
        """The cotangents of the variables for one of the value."""
        found = backpropagate(self.builder, [(self.value, ct)], self.variables).nodes
        return {name: found[node] for name, node in self.variables.items()}

    def curved(self, loss: str, direction: Node) -> Node:
        """The Hessian of an output with respect to the value, times a direction."""
        one = self.builder.constant(1.0, self.outputs[loss].tensor.dtype).node
        slope = backpropagate(self.builder, [(self.outputs[loss], one)], {"": self.value}).nodes[self.value]
        return pushed(self.builder, {self.value: direction}, [slope])[0]

    def directions(self) -> dict[Node, Node]:
        """An input ``<variable>_dot`` for each variable: its tangent."""
        taken = {str(node.attrs["name"]) for node in (*self.builder.inputs, *self.builder.params)}
        return {
            node: self.builder.input(free_name(f"{name}_dot", taken), node.tensor).node
            for name, node in self.variables.items()
        }

    def pushed(self, tangents: Mapping[Node, Node], nodes: Sequence[Node]) -> list[Node]:
        """The tangents of some nodes, zeros where nothing moves."""
        return pushed(self.builder, tangents, nodes)


def pushed(builder: Builder, tangents: Mapping[Node, Node], nodes: Sequence[Node]) -> list[Node]:
    """The tangents of some nodes, zeros where nothing moves."""
    found = push_forward(builder, tangents, nodes)
    return [found[node] if node in found else zeros(builder, node.tensor).node for node in nodes]


def opened_model(
    f: Source,
    wrt: str | Sequence[str] | None,
    output: str | None,
    *,
    scalar: bool = False,
    protected: Sequence[str] = (),
) -> Opened:
    """Open a model: see `graphc.calculus.grad` for the arguments.

    ``scalar`` asks for an output that is one float; ``protected`` names outputs that no stability rule may go round.

    Raises
    ------
    GraphcError
        GC301, GC302 when no derivative reaches a variable; GC303, GC304 when it is not clear what is differentiated.
    """
    model = f if isinstance(f, Model) else compile(f, gradient=False)
    name = _output(model, output, scalar=scalar)
    names = [wrt] if isinstance(wrt, str) else wrt
    variables = variables_of(model.graph, model.source, names, (name,))
    check_dependence(model.graph, [model.graph.outputs[name]], variables)
    kept = {f"output {name}": model.graph.outputs[name] for name in protected}
    graph, nodes, _ = stabilise(model.graph, {**variables, **kept})
    builder = Builder(intern=True)
    mapping = rebuild(graph, builder, step=apart(builder, nodes.values()))
    found = {variable: mapping[nodes[variable]] for variable in variables}
    return Opened(model, builder, name, {key: mapping[node] for key, node in graph.outputs.items()}, found)


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
    # No file gives this module today: it was derived in Python.
    provenance = replace(of, source=f"<derived from {of.source.strip('<>')}>", options=Options(gradient=False))
    compiled = run_pipeline(graph, (), {})
    return Model(origin.source, graph, origin.warnings, (), (), compiled, provenance, {}, layout)


def differentiated(f: Source, wrt: str | Sequence[str] | None) -> Model:
    """A model with the gradient of its loss in its module."""
    model = f if isinstance(f, Model) else compile(f, gradient=False)
    names = (wrt,) if isinstance(wrt, str) else None if wrt is None else tuple(wrt)
    options = replace(model.provenance.options, loss=None, wrt=names, gradient=True)
    return compile_graph(model.graph, model.source, options, model.provenance.digest, model.warnings)


def by_variable(pattern: str, variables: Mapping[str, Node]) -> Layout:
    """The output of the only variable, or of several a dict."""
    outputs = {name: pattern.format(name) for name in variables}
    return next(iter(outputs.values())) if len(outputs) == 1 else outputs


def free_name(name: str, taken: Collection[str]) -> str:
    """A name that is not taken, near the one that is wanted."""
    while name in taken:
        name += "_"
    return name
