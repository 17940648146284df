"""What a module has on request: the derivatives among it, made from the model's graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from graphc import blocks, products
from graphc.autodiff import check_dependence
from graphc.backends.numpy_derivatives import DerivativeFunction, FlatForm
from graphc.backends.numpy_header import keys_text, listed
from graphc.builder import Builder
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.graph import Graph, Node
from graphc.op import Conventions
from graphc.partition import reached
from graphc.passes import simplified
from graphc.products import Derivative, Opened, merged, opened_graph
from graphc.sparsity import Pattern, pattern_of


@dataclass(frozen=True)
class Kind:
    """A derivative on request.

    Attributes
    ----------
    make : callable
    of : {"loss", "output"}
        Whether it is one of the loss, or of any output (`compile` has ``of=`` for it).
    doc : str
        The docstring of the function; ``{output}`` and ``{keys}`` are filled in.
    form : FlatForm
        What it is where the variables are one vector.
    """

    make: Callable[[Opened], Derivative]
    of: Literal["loss", "output"]
    doc: str
    form: FlatForm


def sparse_jacobian(opened: Opened) -> Derivative:
    """The Jacobian as places and values; see `graphc.blocks.sparse_jacobian`."""
    return blocks.sparse_jacobian(opened, opened_pattern(opened))


def opened_pattern(opened: Opened) -> Pattern:
    """Where the Jacobian of what is differentiated may differ from zero."""
    graph = opened.builder.finish({opened.output: opened.value})
    return pattern_of(graph, opened.value, list(opened.variables.values()))


KINDS: Mapping[str, Kind] = {
    "jvp": Kind(
        products.jvp,
        "output",
        "{output}, and the product of its Jacobian with v, a dict with {keys}.",
        FlatForm((("value", "raveled"), ("tangent", "raveled")), "{output} and its Jacobian times v, as vectors."),
    ),
    "vjp": Kind(
        products.vjp,
        "output",
        "{output}, and a cotangent's product with its Jacobian, a dict with {keys}.",
        FlatForm(
            (("value", "raveled"), ("grads", "vector")), "{output} and a cotangent times its Jacobian, as vectors."
        ),
    ),
    "jacobian": Kind(
        blocks.jacobian,
        "output",
        "The Jacobian of {output}, a dict with {keys}.",
        FlatForm((("blocks", "matrix"),), "The Jacobian of {output} as a matrix."),
    ),
    "value_and_jacobian": Kind(
        blocks.value_and_jacobian,
        "output",
        "{output} and its Jacobian, a dict with {keys}; shared work is done once.",
        FlatForm((("value", "raveled"), ("blocks", "matrix")), "{output} as a vector and its Jacobian as a matrix."),
    ),
    "sparse_jacobian": Kind(
        sparse_jacobian,
        "output",
        "The Jacobian of {output} where it may differ from 0; its columns are {order}, each row by row.",
        FlatForm((), "The Jacobian of {output}: rows, columns and values."),
    ),
    "gauss_newton": Kind(
        products.gauss_newton,
        "output",
        "The product Jᵀ {middle}J v, J the Jacobian of {output}{hessian}; dicts with {keys}.",
        FlatForm((("products", "vector"),), "The Gauss-Newton matrix of {output} times v, as a vector."),
    ),
    "hvp": Kind(
        products.hvp,
        "loss",
        "The product of the Hessian of {output} with v; both are dicts with {keys}.",
        FlatForm((("products", "vector"),), "The Hessian of {output} times v, as a vector."),
    ),
    "hessian": Kind(
        blocks.hessian,
        "loss",
        "The Hessian of {output}, a dict of dicts with {keys}.",
        FlatForm((("blocks", "square"),), "The Hessian of {output} as a matrix."),
    ),
    "value_grad_hessian": Kind(
        blocks.value_grad_hessian,
        "loss",
        "{output}, its gradient and its Hessian, dicts with {keys}; shared work is done once.",
        FlatForm(
            (("value", "scalar"), ("grads", "vector"), ("blocks", "square")),
            "{output}, its gradient as a vector and its Hessian as a matrix.",
        ),
    ),
}
EXTRAS: tuple[str, ...] = (*KINDS, "flat", "train_step", "check", "graph")
"""What modules have on request, in the order in which they have it."""


def output_of(graph: Graph, losses: Sequence[str], of: str | None) -> str | None:
    """The output that derivatives are of: the one that is asked for, else what is differentiated or the only one."""
    candidates = [of] if of is not None else list(losses) or list(graph.outputs)
    return candidates[0] if len(candidates) == 1 else None


def requested(
    graph: Graph,
    losses: Sequence[str],
    variables: Mapping[str, Node],
    of: str | None,
    wanted: Sequence[str],
    conventions: Conventions = "graphc",
    *,
    reassociate: bool = False,
) -> list[DerivativeFunction]:
    """The derivatives among what a module has on request.

    Raises
    ------
    GraphcError
        GC411 when it is not clear what they are of, GC301 and GC302 when that does not depend on the variables.
    """
    primal = graph
    if set(wanted).intersection(KINDS):
        primal = simplified(graph, conventions, reassociate=reassociate)
    outputs = {name: _output(name, kind, graph, losses, of) for name, kind in KINDS.items() if name in wanted}
    return [
        _function(name, kind, graph, primal, outputs[name], losses, variables, conventions, reassociate)
        for name, kind in KINDS.items()
        if name in wanted
    ]


def _output(name: str, kind: Kind, graph: Graph, losses: Sequence[str], of: str | None) -> str:
    if not losses:
        raise GraphcError(Diagnostic("GC411", f"{name} differentiates, expected a model with a gradient, found none"))
    if kind.of == "loss":
        if len(losses) != 1 or graph.outputs[losses[0]].tensor.shape:
            raise GraphcError(Diagnostic("GC411", f"{name} is of a scalar, expected one scalar loss, found none"))
        return losses[0]
    found = output_of(graph, losses, of)
    if found is None:
        listed = ", ".join(losses)
        raise GraphcError(Diagnostic("GC411", f"{name} is of one output, expected `of=` to say which, found {listed}"))
    return found


def _function(
    name: str,
    kind: Kind,
    graph: Graph,
    primal: Graph,
    output: str,
    losses: Sequence[str],
    variables: Mapping[str, Node],
    conventions: Conventions,
    reassociate: bool,
) -> DerivativeFunction:
    ordered = in_order(graph, variables)
    _check_dependence(graph, graph.outputs[output], ordered)
    loss = losses[0] if name == "gauss_newton" and _computed_from(graph, losses, output) else None
    protected = {f"output {output}": graph.outputs[output]} if loss else {}
    wrt = ordered if name == "sparse_jacobian" else variables
    opened = opened_graph(graph, output, wrt, protected, conventions, reassociate=reassociate)
    make = partial(products.gauss_newton, loss=loss) if loss else kind.make
    derivative = make(opened)
    text = kind.doc.format(
        output=output,
        keys=keys_text(graph, variables),
        order=listed([*ordered]),
        middle="H " if loss else "",
        hessian=f" and H the Hessian of {loss} by it" if loss else "",
    )
    builder = Builder(intern=True)
    found = simplified(derivative.graph, conventions, reassociate=reassociate)
    own, copied = merged([primal, found], builder)
    whole = builder.finish({key: copied[node] for key, node in found.outputs.items()}, doc=graph.doc)
    types = {variable: node.tensor for variable, node in variables.items()}
    done = replace(derivative, graph=whole)
    return DerivativeFunction(name, text, output, done, frozenset(own.values()), types, kind.form)


def in_order(graph: Graph, variables: Mapping[str, Node]) -> dict[str, Node]:
    """Variables in the order of ``pack``: parameters, then inputs, then what is computed."""
    places = {node: place for place, node in enumerate((*graph.params, *graph.inputs))}
    return dict(sorted(variables.items(), key=lambda item: places.get(item[1], len(places))))


def _check_dependence(graph: Graph, output: Node, variables: Mapping[str, Node]) -> None:
    """Some variables may be of no account for one output, but not all, and no path may be cut."""
    faults: list[Diagnostic] = []
    for name, node in variables.items():
        try:
            check_dependence(graph, [output], {name: node})
        except GraphcError as error:
            faults += error.diagnostics
    cut = [fault for fault in faults if fault.code == "GC301"]
    if cut or 0 < len(faults) == len(variables):
        raise GraphcError(*(cut or faults))


def _computed_from(graph: Graph, losses: Sequence[str], output: str) -> bool:
    """Whether the loss is another output than this one, and computed from it."""
    return (
        len(losses) == 1 and losses[0] != output and graph.outputs[output] in reached(graph, [graph.outputs[losses[0]]])
    )
