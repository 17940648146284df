"""``init_state`` and ``train_step`` of generated modules: what an optimiser remembers, and one step of training."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from itertools import groupby

from graphc.backends.numpy_function import EntryFunction, Results, Scope
from graphc.backends.numpy_header import function_docstring, shape_text
from graphc.backends.numpy_layout import INDENT, joined_lines, quoted
from graphc.backends.numpy_spelling import Spelling
from graphc.partition import reached
from graphc.training_step import TrainingStep, entry_input

TRAINING_NAMES = ("init_state", "train_step", "averaged_params")


def training_functions(scope: Scope, loss: str, step: TrainingStep) -> list[list[str]]:
    """The two functions, and a third one where averages are kept."""
    averages = [_averaged_params(step)] if step.averages else []
    return [_init_state(step), _train_step(scope, loss, step), *averages]


def state_table(step: TrainingStep) -> list[str]:
    """What the entries of the state must be."""
    rows = [
        f'{quoted(name)}: ({quoted(type.dtype)}, {shape_text(type.shape)}, "")' for name, type in step.types.items()
    ]
    return ["_STATE = {", *(f"{INDENT}{row}," for row in rows), "}"]


def _init_state(step: TrainingStep) -> list[str]:
    zeros = {name: f"np.zeros_like(params[{quoted(like)}])" for name, like in step.like.items()}
    copies = {name: f"np.copy(params[{quoted(param)}])" for name, param in step.averages.items()}
    rows = [f"{quoted(name)}: {({**zeros, **copies}).get(name, '0')}" for name in step.types]
    values = "zeros, and averages that are params" if copies else "zeros"
    doc = f"What {step.optimizer.name} remembers before the first step of training: {values}."
    return [
        "def init_state(params):",
        INDENT + function_docstring(doc),
        f'{INDENT}(params,) = _checked_with_params("init_state", params)',
        *joined_lines("return {", rows, "}"),
    ]


def _averaged_params(step: TrainingStep) -> list[str]:
    averages = {param: f"state[{quoted(name)}]" for name, param in step.averages.items()}
    rows = [f"{quoted(name)}: np.copy({averages.get(name, f'params[{quoted(name)}]')})" for name in step.params]
    return [
        "def averaged_params(params, state):",
        INDENT + function_docstring("The averages of the parameters, and those that are not trained as they are."),
        f'{INDENT}params, state = _checked_with_state("averaged_params", params, state)',
        *joined_lines("return {", rows, "}"),
    ]


def _train_step(scope: Scope, loss: str, step: TrainingStep) -> list[str]:
    graph, raw = step.graph, scope.raw
    forward = set(reached(graph, [graph.outputs[loss]]))
    own = {node for node in graph.nodes if any(span.source is step.source for span in graph.spans.get(node, ())[:1])}
    replaced = {output: name for name, output in step.params.items()}
    replaced |= {output: entry_input(name) for name, output in step.state.items()}
    entry = EntryFunction(
        scope,
        "train_step",
        graph,
        [str(node.attrs["name"]) for node in raw.inputs],
        reached(raw, [raw.outputs[loss]]),
        plain=forward | own,
        state=_state_groups(step),
        results=Results((step.params, step.state), replaced),
    )
    results = entry.body.results(graph.outputs)

    def returning(spelling: Spelling) -> list[str]:
        params = _dict_lines({name: results[output] for name, output in step.params.items()}, spelling)
        state = _dict_lines({name: results[output] for name, output in step.state.items()}, spelling)
        return [f"{INDENT}return (", *params, *state, f"{INDENT * 2}{spelling(results[loss])},", f"{INDENT})"]

    doc = f"The parameters and the state after a step of {step.optimizer.name}, and {loss} before it."
    return entry.lines(function_docstring(doc), returning)


def _state_groups(step: TrainingStep) -> list[dict[str, str]]:
    """The entries of the state with their inputs, in groups of those that belong to one parameter."""
    of = {**step.like, **step.averages}
    return [{name: entry_input(name) for name in group} for _, group in groupby(step.types, lambda name: of.get(name))]


def _dict_lines(values: Mapping[str, ast.expr], spelling: Spelling) -> list[str]:
    items = [f"{quoted(name)}: {spelling(value)}" for name, value in values.items()]
    *most, last = joined_lines("{", items, "}", INDENT * 2)
    return [*most, f"{last},"]
