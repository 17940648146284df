"""``init_state`` and ``train_step`` of generated modules: what an optimiser remembers, and one step of training."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from graphc.backends.numpy_function import EntryFunction, Scope
from graphc.backends.numpy_header import function_docstring, shape_text
from graphc.backends.numpy_layout import INDENT, joined_lines, quoted
from graphc.backends.numpy_spelling import Spelling
from graphc.partition import reached
from graphc.training_step import TrainingStep, entry_input

TRAINING_NAMES = ("init_state", "train_step")


def training_functions(scope: Scope, loss: str, step: TrainingStep) -> list[list[str]]:
    """The two functions."""
    return [_init_state(step), _train_step(scope, loss, step)]


def state_table(step: TrainingStep) -> list[str]:
    """What the entries of the state must be."""
    rows = [
        f'{quoted(name)}: ({quoted(type.dtype)}, {shape_text(type.shape)}, "")' for name, type in step.types.items()
    ]
    return ["_STATE = {", *(f"{INDENT}{row}," for row in rows), "}"]


def _init_state(step: TrainingStep) -> list[str]:
    rows = [
        f"{quoted(name)}: np.zeros_like(params[{quoted(step.like[name])}])"
        if name in step.like
        else f"{quoted(name)}: 0"
        for name in step.types
    ]
    return [
        "def init_state(params):",
        INDENT + function_docstring(f"What {step.optimizer.name} remembers before the first step of training: zeros."),
        f'{INDENT}(params,) = _checked_with_params("init_state", params)',
        *joined_lines("return {", rows, "}"),
    ]


def _train_step(scope: Scope, loss: str, step: TrainingStep) -> list[str]:
    graph, raw = step.graph, scope.raw
    forward = set(reached(graph, [graph.outputs[loss]]))
    own = {node for node in graph.nodes if any(span.source is step.source for span in graph.spans.get(node, ())[:1])}
    entry = EntryFunction(
        scope,
        "train_step",
        graph,
        [str(node.attrs["name"]) for node in raw.inputs],
        reached(raw, [raw.outputs[loss]]),
        plain=forward | own,
        state={name: entry_input(name) for name in step.types},
    )
    results = entry.body.results(graph.outputs)

    def returning(spelling: Spelling) -> list[str]:
        params = _dict_lines({name: results[output] for name, output in step.params.items()}, spelling)
        state = _dict_lines({name: results[output] for name, output in step.state.items()}, spelling)
        return [f"{INDENT}return (", *params, *state, f"{INDENT * 2}{spelling(results[loss])},", f"{INDENT})"]

    doc = f"The parameters and the state after a step of {step.optimizer.name}, and {loss} before it."
    return entry.lines(function_docstring(doc), returning)


def _dict_lines(values: Mapping[str, ast.expr], spelling: Spelling) -> list[str]:
    items = [f"{quoted(name)}: {spelling(value)}" for name, value in values.items()]
    *most, last = joined_lines("{", items, "}", INDENT * 2)
    return [*most, f"{last},"]
