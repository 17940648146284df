"""Derivatives of a graph as graphs: gradients, and products with Jacobians and Hessians; each with its layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from graphc.autodiff import apart, backpropagate
from graphc.builder import Builder, rebuild
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.forward import push_forward
from graphc.graph import Graph, Node, free_name, free_names
from graphc.op import Conventions
from graphc.ops.axes import zeros
from graphc.passes import stabilise

Value = TypeVar("Value")
Layout: TypeAlias = "str | tuple[Layout, ...] | Mapping[str, Layout]"
"""A structure of values, in the names of outputs."""


@dataclass(frozen=True, eq=False)
class Derivative:
    """A graph that computes a derivative.

    Attributes
    ----------
    graph : Graph
    layout : Layout
        Its outputs as they are returned; what there is one of for each variable is a dict.
    primal : tuple of str
        Outputs that are the function's own value.
    directions : mapping of str to str
        For each variable the input that is its tangent.
    cotangent : str
        The input that is the cotangent of the output; empty where there is none.
    """

    graph: Graph
    layout: Layout
    primal: tuple[str, ...] = ()
    directions: Mapping[str, str] = field(default_factory=dict)
    cotangent: str = ""


@dataclass(frozen=True, eq=False)
class Opened:
    """A graph in a builder: what is differentiated and with respect to what, as nodes of the builder."""

    builder: Builder
    output: str
    outputs: Mapping[str, Node]
    variables: Mapping[str, Node]
    doc: str = ""
    conventions: Conventions = "graphc"

    @property
    def value(self) -> Node:
        """The output that is differentiated."""
        return self.outputs[self.output]

    @property
    def leaf_names(self) -> set[str]:
        """The names of inputs and parameters."""
        return {str(node.attrs["name"]) for node in (*self.builder.inputs, *self.builder.params)}

    def gradient(self) -> dict[str, Node]:
        """The gradient of the value, which is a scalar."""
        return self.pulled(self.builder.constant(1.0, self.value.tensor.dtype).node)

    def pulled(self, ct: Node) -> dict[str, Node]:
        """The cotangents of the variables for one of the value."""
        found = self.propagated(self.value, ct, self.variables)
        return {name: found[node] for name, node in self.variables.items()}

    def propagated(self, output: Node, ct: Node, variables: Mapping[str, Node]) -> Mapping[Node, Node]:
        """The cotangents of some nodes for one of an output."""
        return backpropagate(self.builder, [(output, ct)], variables, conventions=self.conventions).nodes

    def curved(self, loss: str, direction: Node) -> Node:
        """The Hessian of an output with respect to the value, times a direction."""
        one = self.builder.constant(1.0, self.outputs[loss].tensor.dtype).node
        slope = self.propagated(self.outputs[loss], one, {"": self.value})[self.value]
        return self.moved({self.value: direction}, [slope])[0]

    def directions(self) -> dict[str, Node]:
        """An input ``<variable>_dot`` for each variable: its tangent."""
        taken = self.leaf_names
        return {
            name: self.builder.input(free_name(f"{name}_dot", taken), node.tensor).node
            for name, node in self.variables.items()
        }

    def pushed(self, directions: Mapping[str, Node], nodes: Sequence[Node]) -> list[Node]:
        """The tangents of some nodes for those of the variables, zeros where nothing moves."""
        return self.moved({self.variables[name]: node for name, node in directions.items()}, nodes)

    def moved(self, tangents: Mapping[Node, Node], nodes: Sequence[Node]) -> list[Node]:
        """The tangents of some nodes for those of others, zeros where nothing moves."""
        found = push_forward(self.builder, tangents, nodes, conventions=self.conventions)
        return [found[node] if node in found else zeros(self.builder, node.tensor).node for node in nodes]


def opened_graph(
    graph: Graph,
    output: str,
    variables: Mapping[str, Node],
    protected: Mapping[str, Node] | None = None,
    conventions: Conventions = "graphc",
    *,
    reassociate: bool = False,
) -> Opened:
    """Open a graph to differentiate one of its outputs; no stability rule goes round what is protected.

    Raises
    ------
    GraphcError
        GC302 when there are no variables.
    """
    if not variables:
        span = next(iter(graph.spans.get(graph.outputs[output], ())), None)
        message = f"expected a float input or parameter to differentiate {output} by, found none"
        raise GraphcError(Diagnostic("GC302", message, span))
    kept = {**variables, **(protected or {})}
    stable, nodes, _ = stabilise(graph, kept, conventions, reassociate=reassociate)
    builder = Builder(intern=True)
    mapping = rebuild(stable, builder, step=apart(builder, nodes.values()))
    found = {variable: mapping[nodes[variable]] for variable in variables}
    outputs = {key: mapping[node] for key, node in stable.outputs.items()}
    return Opened(builder, output, outputs, found, graph.doc, conventions)


def grad(opened: Opened) -> Derivative:
    """The gradient of a scalar: ``d_<variable>`` each."""
    outputs, layout = by_variable("d_{}", opened.gradient())
    return Derivative(_finished(opened, outputs), layout)


def value_and_grad(opened: Opened) -> Derivative:
    """A scalar and its gradient."""
    outputs, layout = by_variable("d_{}", opened.gradient(), [opened.output])
    graph = _finished(opened, {opened.output: opened.value, **outputs})
    return Derivative(graph, (opened.output, layout), (opened.output,))


def vjp(opened: Opened) -> Derivative:
    """An output of any shape, and a cotangent's product with its Jacobian."""
    name = free_name(f"d_{opened.output}", opened.leaf_names)
    seed = opened.builder.input(name, opened.value.tensor)
    outputs, layout = by_variable("d_{}", opened.pulled(seed.node), [opened.output])
    graph = _finished(opened, {opened.output: opened.value, **outputs})
    return Derivative(graph, (opened.output, layout), (opened.output,), cotangent=name)


def jvp(opened: Opened) -> Derivative:
    """An output of any shape, and the product of its Jacobian with tangents."""
    directions = opened.directions()
    (tangent,) = opened.pushed(directions, [opened.value])
    product = f"{opened.output}_dot"
    graph = _finished(opened, {opened.output: opened.value, product: tangent})
    return Derivative(graph, (opened.output, product), (opened.output,), _names(directions))


def hvp(opened: Opened) -> Derivative:
    """The product of the Hessian of a scalar with a direction; forward over reverse."""
    directions = opened.directions()
    products = opened.pushed(directions, list(opened.gradient().values()))
    outputs, layout = by_variable("hvp_{}", dict(zip(opened.variables, products, strict=True)))
    return Derivative(_finished(opened, outputs), layout, directions=_names(directions))


def gauss_newton(opened: Opened, loss: str | None = None) -> Derivative:
    """The product ``Jᵀ H J v``: J of the value, H the Hessian of a loss by the value, without one the identity."""
    directions = opened.directions()
    (moved,) = opened.pushed(directions, [opened.value])
    if loss is not None:
        moved = opened.curved(loss, moved)
    outputs, layout = by_variable("gnp_{}", opened.pulled(moved))
    return Derivative(_finished(opened, outputs), layout, directions=_names(directions))


def by_variable(
    pattern: str, found: Mapping[str, Value], taken: Iterable[str] = ()
) -> tuple[dict[str, Value], dict[str, Layout]]:
    """What there is of each variable, by the names of outputs, which are not among those taken; and these names."""
    names = free_names({name: pattern.format(name) for name in found}, taken)
    return {names[name]: value for name, value in found.items()}, dict(names)


def whole_layout(graph: Graph) -> Layout:
    """The only output of a graph, or all of them as a dict."""
    names = {name: name for name in graph.outputs}
    return dict(names) if len(names) > 1 else next(iter(names))


def joined(parts: Sequence[tuple[Graph, Layout]]) -> tuple[Graph, list[Layout]]:
    """Several graphs as one, and their layouts in the names that their outputs have there.

    Raises
    ------
    GraphcError
        GC205 when inputs or parameters of one name have different types.
    """
    _refuse_other_types([graph for graph, _ in parts])
    builder = Builder(intern=True)
    outputs: dict[str, Node] = {}
    layouts = []
    for (graph, layout), mapping in zip(parts, merged([graph for graph, _ in parts], builder), strict=True):
        called = {}
        for name, node in graph.outputs.items():
            found = mapping[node]
            taken = {other for other, held in outputs.items() if held is not found}
            called[name] = free_name(name, taken)
            outputs[called[name]] = found
        layouts.append(_renamed(layout, called))
    return builder.finish(outputs, doc=parts[0][0].doc), layouts


def _renamed(layout: Layout, names: Mapping[str, str]) -> Layout:
    if isinstance(layout, str):
        return names[layout]
    if isinstance(layout, tuple):
        return tuple(_renamed(part, names) for part in layout)
    return {name: _renamed(part, names) for name, part in layout.items()}


def _refuse_other_types(graphs: Sequence[Graph]) -> None:
    first: dict[object, Node] = {}
    for graph in graphs:
        for node in (*graph.inputs, *graph.params):
            known = first.setdefault(node.attrs["name"], node)
            if (known.op, known.type) != (node.op, node.type):
                span = next(iter(graph.spans.get(node, ())), None)
                name, kinds = node.attrs["name"], [f"{n.op.name} {n.type}" for n in (known, node)]
                message = f"expected one type for {name} in all of the models, found {kinds[0]} and {kinds[1]}"
                raise GraphcError(Diagnostic("GC205", message, span, f"{name} is {node.type}"))


def merged(graphs: Sequence[Graph], builder: Builder) -> list[dict[Node, Node]]:
    """Copy several graphs into an interning builder: one node for equal ones, one input for those of one name."""
    leaves: dict[object, Node] = {}

    def step(node: Node, operands: tuple[Node, ...]) -> Node | None:
        return leaves.get(node.attrs["name"]) if node.op.name in ("input", "param") else None

    found = []
    for graph in graphs:
        found.append(rebuild(graph, builder, step=step))
        leaves |= {node.attrs["name"]: node for node in (*builder.inputs, *builder.params)}
    return found


def _finished(opened: Opened, outputs: Mapping[str, Node]) -> Graph:
    return opened.builder.finish(outputs, doc=opened.doc)


def _names(directions: Mapping[str, Node]) -> dict[str, str]:
    return {name: str(node.attrs["name"]) for name, node in directions.items()}
