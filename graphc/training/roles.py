"""Which outputs of a model predict: the probabilities and scores of a classifier, the numbers of a regressor."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.compiled_model import Model
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.graph import Graph, Node
from graphc.partition import reached
from graphc.size import Size
from graphc.source import Span

PROBABILITIES, SCORES = "probs", "logits"
PREDICTION = "prediction"


def check_classifier(model: Model, classes: int) -> None:
    """Whether a model has labels to learn from, and outputs with a column for each class.

    Raises
    ------
    GraphcError
        GC519 at the input or output that does not fit.
    """
    _check_inputs(model)
    labels, X = _inputs(model.graph)["y"], _inputs(model.graph)["X"]
    rows = X.tensor.shape[0]
    if labels.tensor.shape != (rows,) or not (labels.tensor.is_int or classes == 2):
        expected = f"int64[{rows}]" + f" or float64[{rows}]" * (classes == 2)
        raise _misfit(model, labels, f"expected y: {expected} for {classes} classes, found y: {labels.tensor}")
    found = [name for name in (PROBABILITIES, SCORES) if name in model.graph.outputs]
    if not found:
        listed = ", ".join(model.graph.outputs)
        message = f"expected an output {PROBABILITIES} or {SCORES} with a column for each class, found {listed}"
        raise _misfit(model, None, message)
    shapes: list[tuple[Size, ...]] = [(rows, classes), (rows,)][: 2 if classes == 2 else 1]
    for name in found:
        _check_output(model, name, shapes)


def regression_output(model: Model) -> str:
    """The output that predicts: the one called ``prediction``, else the only one with a number for each example.

    Raises
    ------
    GraphcError
        GC519 when there is none, or no telling which, or it does not fit.
    """
    _check_inputs(model)
    rows = _inputs(model.graph)["X"].tensor.shape[0]
    fitting = [name for name, node in model.graph.outputs.items() if node.tensor.shape == (rows,)]
    if PREDICTION in model.graph.outputs:
        fitting = [PREDICTION]
    if len(fitting) != 1:
        found = ", ".join(fitting or model.graph.outputs)
        message = f"expected an output {PREDICTION}, or only one with a number for each example, found {found}"
        raise _misfit(model, None, message)
    _check_output(model, fitting[0], [(rows,)])
    return fitting[0]


def _check_inputs(model: Model) -> None:
    inputs = _inputs(model.graph)
    if lacking := [name for name in ("X", "y") if name not in inputs]:
        listed = ", ".join(inputs) or "none"
        raise _misfit(model, None, f"expected the inputs X and y, found no {lacking[0]} among {listed}")
    X = inputs["X"]
    if len(X.tensor.shape) != 2 or isinstance(X.tensor.shape[0], int):
        raise _misfit(model, X, f"expected X: Input[N, features], any number of rows, found {X.tensor}")


def _check_output(model: Model, name: str, shapes: list[tuple[Size, ...]]) -> None:
    node = model.graph.outputs[name]
    if node.tensor.shape not in shapes or not node.tensor.is_float:
        expected = " or ".join(f"float64[{', '.join(map(str, shape))}]" for shape in shapes)
        raise _misfit(model, node, f"expected {expected} for {name}, found {node.tensor}")
    needed = reached(model.graph, [node])
    others = [other for other, leaf in _inputs(model.graph).items() if leaf in needed and other != "X"]
    if others:
        raise _misfit(model, node, f"expected {name} to be computed from X alone, found that it takes {others[0]}")


def _inputs(graph: Graph) -> Mapping[str, Node]:
    return {str(node.attrs["name"]): node for node in graph.inputs}


def _misfit(model: Model, node: Node | None, message: str) -> GraphcError:
    place = Span(model.source, 1, 1, 1, 2)
    span = place if node is None else next(iter(model.graph.spans.get(node, ())), place)
    return GraphcError(Diagnostic("GC519", message, span))
