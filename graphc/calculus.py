"""Derivatives of models as models: gradient, products, Jacobian, Hessian, and maps over a batch.

Each function takes a `Model` (or what `compile` takes) and gives a `Model`, which can be called, drawn, written and
differentiated again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from graphc.autodiff import apart, backpropagate, check_dependence, zeros
from graphc.builder import Builder, rebuild
from graphc.compiler import Layout, Model, compile
from graphc.forward import push_forward
from graphc.graph import Graph, Node
from graphc.passes import run_pipeline, stabilise
from graphc.provenance import Options
from graphc.targets import losses_of, variables_of

Source: TypeAlias = Model | str | os.PathLike[str]
"""A model, or what `compile` makes one of."""


@dataclass(frozen=True, eq=False)
class _Opened:
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
        return _model(self.model, self.builder.finish(outputs, doc=self.model.graph.doc), layout)

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
        return _pushed(self.builder, {self.value: direction}, [slope])[0]

    def directions(self) -> dict[Node, Node]:
        """An input ``<variable>_dot`` for each variable: its tangent."""
        taken = {str(node.attrs["name"]) for node in (*self.builder.inputs, *self.builder.params)}
        return {
            node: self.builder.input(_free(f"{name}_dot", taken), node.tensor).node
            for name, node in self.variables.items()
        }

    def pushed(self, tangents: Mapping[Node, Node], nodes: Sequence[Node]) -> list[Node]:
        """The tangents of some nodes, zeros where nothing moves."""
        return _pushed(self.builder, tangents, nodes)


def grad(f: Source, *, wrt: str | Sequence[str] | None = None, loss: str | None = None) -> Model:
    """The gradient of a scalar.

    Parameters
    ----------
    f : Model, str or path
        A model, or what `compile` takes.
    wrt : str or sequence of str, optional
        What to differentiate with respect to: by default the parameters, or the float inputs of a model without any.
    loss : str, optional
        The scalar output: by default the one called ``loss``, else the only scalar output.

    Returns
    -------
    Model
        With an output ``d_<variable>`` for each variable. A call gives the gradient of one variable, of several a dict.

    Raises
    ------
    GraphcError
        GC301, GC302 when no gradient reaches a variable; GC303, GC304 when there is no telling what is differentiated.

    Examples
    --------
    >>> print(grad("x**3")(x=2.0), grad(grad("x**3"))(x=2.0))
    12.0 12.0
    >>> print(grad(grad("x * y**2", wrt="x"), wrt="y")(x=5.0, y=3.0))
    6.0
    """
    opened = _open(f, wrt, loss, scalar=True)
    outputs = {f"d_{name}": node for name, node in opened.gradient().items()}
    return opened.finish(outputs, _by_variable("d_{}", opened.variables))


def value_and_grad(f: Source, *, wrt: str | Sequence[str] | None = None, loss: str | None = None) -> Model:
    """A scalar and its gradient in one pass; see `grad`. A call gives ``(value, gradient)``.

    Examples
    --------
    >>> value, slope = value_and_grad("x**3")(x=2.0)
    >>> print(value, slope)
    8.0 12.0
    """
    opened = _open(f, wrt, loss, scalar=True)
    outputs = {f"d_{name}": node for name, node in opened.gradient().items()}
    layout = (opened.output, _by_variable("d_{}", opened.variables))
    return opened.finish({opened.output: opened.value, **outputs}, layout)


def vjp(f: Source, *, wrt: str | Sequence[str] | None = None, output: str | None = None) -> Model:
    """The product of a cotangent, a further input ``d_<output>``, with the Jacobian of an output of any shape.

    A call gives ``(value, product)``.

    Examples
    --------
    >>> m = vjp("x: Input[2]\\ny: Output = x ** 2")
    >>> value, product = m(x=[1.0, 2.0], d_y=[1.0, 10.0])
    >>> print(value, product)
    [1. 4.] [ 2. 40.]
    """
    opened = _open(f, wrt, output)
    taken = {str(node.attrs["name"]) for node in (*opened.builder.inputs, *opened.builder.params)}
    seed = opened.builder.input(_free(f"d_{opened.output}", taken), opened.value.tensor)
    outputs = {f"d_{name}": node for name, node in opened.pulled(seed.node).items()}
    layout = (opened.output, _by_variable("d_{}", opened.variables))
    return opened.finish({opened.output: opened.value, **outputs}, layout)


def jvp(f: Source, *, wrt: str | Sequence[str] | None = None, output: str | None = None) -> Model:
    """The product of the Jacobian of an output with tangents, further inputs ``<variable>_dot``.

    A call gives ``(value, product)``.

    Examples
    --------
    >>> value, product = jvp("sin(x) * y")(x=0.0, y=3.0, x_dot=1.0, y_dot=0.0)
    >>> print(value, product)
    0.0 3.0
    """
    opened = _open(f, wrt, output)
    (tangent,) = opened.pushed(opened.directions(), [opened.value])
    product = f"{opened.output}_dot"
    return opened.finish({opened.output: opened.value, product: tangent}, (opened.output, product))


def hvp(f: Source, *, wrt: str | Sequence[str] | None = None, loss: str | None = None) -> Model:
    """The product of the Hessian of a scalar with a direction, further inputs ``<variable>_dot``; forward over reverse.

    Examples
    --------
    >>> print(hvp("x**3")(x=2.0, x_dot=1.0))
    12.0
    """
    opened = _open(f, wrt, loss, scalar=True)
    products = opened.pushed(opened.directions(), list(opened.gradient().values()))
    outputs = {f"hvp_{name}": node for name, node in zip(opened.variables, products, strict=True)}
    return opened.finish(outputs, _by_variable("hvp_{}", opened.variables))


def gauss_newton(f: Source, residual: str, *, wrt: str | Sequence[str] | None = None, loss: str | None = None) -> Model:
    """The Gauss-Newton product ``Jᵀ H J v`` with a direction, further inputs ``<variable>_dot``.

    Parameters
    ----------
    f : Model, str or path
    residual : str
        The output whose Jacobian is J.
    wrt : str or sequence of str, optional
    loss : str, optional
        A scalar output computed from the residual, whose second derivatives by it are H; without one H is the identity,
        as for half the sum of squares.

    Examples
    --------
    >>> text = "x: Input[2]\\nr: Output = x ** 2"
    >>> print(gauss_newton(text, "r")(x=[1.0, 3.0], x_dot=[1.0, 1.0]))
    [ 4. 36.]
    """
    opened = _open(f, wrt, residual, protected=[residual])
    (moved,) = opened.pushed(opened.directions(), [opened.value])
    if loss is not None:
        moved = opened.curved(loss, moved)
    products = opened.pulled(moved)
    outputs = {f"gnp_{name}": node for name, node in products.items()}
    return opened.finish(outputs, _by_variable("gnp_{}", opened.variables))


def _pushed(builder: Builder, tangents: Mapping[Node, Node], nodes: Sequence[Node]) -> list[Node]:
    found = push_forward(builder, tangents, nodes)
    return [found[node] if node in found else zeros(builder, node.tensor).node for node in nodes]


def _open(
    f: Source,
    wrt: str | Sequence[str] | None,
    output: str | None,
    *,
    scalar: bool = False,
    protected: Sequence[str] = (),
) -> _Opened:
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
    return _Opened(model, builder, name, {key: mapping[node] for key, node in graph.outputs.items()}, found)


def _output(model: Model, output: str | None, *, scalar: bool) -> str:
    only = next(iter(model.graph.outputs)) if len(model.graph.outputs) == 1 else None
    if scalar:
        return losses_of(model.graph, model.source, output)[0]
    wanted = output or only
    (name,) = losses_of(model.graph, model.source, wanted if wanted is None else [wanted])
    return name


def _model(origin: Model, graph: Graph, layout: Layout) -> Model:
    of = origin.provenance
    # No file gives this module today: it was derived in Python.
    provenance = replace(of, source=f"<derived from {of.source.strip('<>')}>", options=Options(gradient=False))
    compiled = run_pipeline(graph, (), {})
    return Model(origin.source, graph, origin.warnings, (), (), compiled, provenance, {}, layout)


def _by_variable(pattern: str, variables: Mapping[str, Node]) -> Layout:
    """The output of the only variable, or of several a dict."""
    outputs = {name: pattern.format(name) for name in variables}
    return next(iter(outputs.values())) if len(outputs) == 1 else outputs


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
