"""What is differentiated, and with respect to what: the choice among a model's names."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.autodiff import carries_cotangent
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.graph import Graph, Node
from graphc.option_names import known_name
from graphc.partition import reached
from graphc.source import Source, Span


def losses_of(graph: Graph, source: Source, loss: str | Sequence[str] | None, option: str = "loss") -> tuple[str, ...]:
    """The outputs to differentiate, which an option names.

    Raises
    ------
    GraphcError
        GC101 when there is no such output, GC303 when a loss is not a float scalar, GC304 when there is no telling
        which output it is.
    """
    if isinstance(loss, str) or loss is None:
        name = _loss(graph, source, loss, option)
        found = graph.outputs[name].tensor
        if found.shape or not found.is_float:
            message = f"a loss is one float number, expected float64[], {name} is {found}"
            span = _span(graph, graph.outputs[name], source)
            raise GraphcError(Diagnostic("GC303", message, span, f"{name} is {found}"))
        return (name,)
    for name in loss:
        known_name(name, graph.outputs, f"outputs for {option}")
    return tuple(loss)


def _loss(graph: Graph, source: Source, loss: str | None, option: str) -> str:
    if loss is not None:
        known_name(loss, graph.outputs, f"outputs for {option}")
        return loss
    if "loss" in graph.outputs:
        return "loss"
    scalars = [name for name, node in graph.outputs.items() if not node.tensor.shape and node.tensor.is_float]
    if len(scalars) == 1:
        return scalars[0]
    if len(graph.outputs) == 1:
        return next(iter(graph.outputs))
    found = f"the scalar outputs {', '.join(scalars)}" if scalars else "no scalar output"
    message = f"which output is the loss? expected one called loss, one scalar output or loss=, found {found}"
    places = tuple(
        (_span(graph, graph.outputs[name], source), f"{name} is {graph.outputs[name].type}") for name in scalars
    )
    span, label = places[0] if places else (Span(source, 1, 1, 1, 2), "")
    raise GraphcError(Diagnostic("GC304", message, span, label, places[1:]))


def named_variables(graph: Graph, names: Sequence[str]) -> dict[str, Node]:
    """The nodes with these user names."""
    known = _known(graph)
    return {name: known[name] for name in names}


def _known(graph: Graph) -> dict[str, Node]:
    """Nodes by their user names: that of an input or parameter stays its own; of others, bound again, the last."""
    known = {name: node for node in graph.nodes for name in graph.names.get(node, ())}
    return known | {str(leaf.attrs["name"]): leaf for leaf in (*graph.inputs, *graph.params)}


def variables_of(
    graph: Graph, source: Source, wrt: Sequence[str] | None, losses: Sequence[str] = ()
) -> dict[str, Node]:
    """What to differentiate with respect to: by default every parameter, or the float inputs that the losses use.

    Raises
    ------
    GraphcError
        GC101 when the model has no such name, GC204 when it is no float.
    """
    if wrt is None:
        used = set(reached(graph, [graph.outputs[name] for name in losses]))
        leaves = graph.params or [node for node in graph.inputs if node.tensor.is_float and node in used]
        return {str(node.attrs["name"]): node for node in leaves}
    known = _known(graph)
    for name in wrt:
        known_name(name, known, "values for wrt")
        if not carries_cotangent(known[name]):
            message = f"expected a float to differentiate with respect to, {name} is {known[name].type}"
            raise GraphcError(Diagnostic("GC204", message, _span(graph, known[name], source)))
    return {name: known[name] for name in wrt}


def _span(graph: Graph, node: Node, source: Source) -> Span:
    return next(iter(graph.spans.get(node, ())), Span(source, 1, 1, 1, 2))
