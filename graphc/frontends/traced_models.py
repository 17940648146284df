"""Compiled models called on graph values: a model in a traced function is a layer, as ``use`` makes it one in text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphc.frontends.traced_calls import current_trace, handed, traced
from graphc.frontends.used import call_model
from graphc.frontends.values import Arguments, UsedModel
from graphc.graph import Graph
from graphc.value import Value


def on_graph_values(values: Sequence[object], keywords: Mapping[str, object]) -> bool:
    """Whether a call is for the model that is traced."""
    params = [item for value in values[:1] if isinstance(value, Mapping) for item in value.values()]
    return any(isinstance(value, Value) for value in (*values, *keywords.values(), *params))


def call_traced(
    model: object, name: str, graph: Graph, values: Sequence[object], keywords: Mapping[str, object]
) -> dict[str, Any]:
    """The outputs of a model for graph values: all of them, or those that ``output=`` names.

    Parameters
    ----------
    model : object
        Whose calls in one traced function share their parameters.
    name : str
        What it is called where the caller has no name for it.
    graph : Graph
    values, keywords
        The inputs, which may begin with a dict of parameters: without one the model's own are declared, their names
        prefixed by the name that the caller has for the model.
    """
    trace = current_trace(name)
    params = values[0] if values and isinstance(values[0], Mapping) else None
    inputs = values if params is None else values[1:]
    node, frame = trace.here([*inputs, *keywords.values(), *(params or {}).values()])
    called = trace.name_of(model) or name
    own = trace.session.layers.setdefault(model, UsedModel(called, graph, None, False, {}))
    layer = own if params is None else UsedModel(called, graph, None, False, {})
    positional = tuple(handed(trace, value, node, frame) for value in inputs)
    named = {key: handed(trace, value, node, frame) for key, value in keywords.items()}
    given = {str(key): handed(trace, value, node, frame) for key, value in (params or {}).items()}
    found = call_model(
        trace.session, layer, Arguments(node, frame, positional, named), None if params is None else given
    )
    output = keywords.get("output")
    chosen = list(graph.outputs) if output is None else output
    names = list(chosen) if isinstance(chosen, (list, tuple)) else [str(chosen)]
    results = found if isinstance(found, tuple) else (found,)
    return dict(zip(names, map(traced, results), strict=True))
