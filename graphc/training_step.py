"""One step of training as a graph: the loss, its gradient and the optimiser's update together.

The update is a text in the model language, a few lines for each parameter, read on the values of the joint graph; the
comments of the generated function quote it.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphc.autodiff import differentiate
from graphc.builder import Builder
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.frontends.text import run_statements
from graphc.graph import Graph, Node
from graphc.op import Conventions
from graphc.optimizer import COMMON, Optimizer, optimizers, own_options, slots
from graphc.passes import expand_gradients, rebuild_seeded, simplify, stabilise
from graphc.source import Source
from graphc.tensor_type import DType, TensorType
from graphc.value import Value

STEPS = "steps_done"
"""The entry of the state that counts the steps."""


@dataclass(frozen=True)
class TrainingStep:
    """A step of training.

    Attributes
    ----------
    optimizer : Optimizer
    graph : Graph
        Its inputs are the model's and the state, each by its entry in `state`; its outputs are the loss by its name,
        and those of `params` and `state`.
    params, state : mapping of str to str
        Entries of the parameters, and of the state, with the outputs that are their new values.
    types : mapping of str to TensorType
        Of the entries of the state.
    like : mapping of str to str
        For each entry that is zeros in the shape of a parameter, this parameter.
    source : Source
        The text of the update, where its nodes come from.
    """

    optimizer: Optimizer
    graph: Graph
    params: Mapping[str, str]
    state: Mapping[str, str]
    types: Mapping[str, TensorType]
    like: Mapping[str, str]
    source: Source


@dataclass(frozen=True)
class _Parameter:
    """A parameter, and what the text calls it, its gradient, and what is remembered of it.

    Attributes
    ----------
    slots : mapping of str to str
        From entries of the state to what the text calls them.
    results : tuple of str
        The new values of the parameter and of these.
    """

    name: str
    node: Node
    local: str
    gradient: str
    slots: Mapping[str, str]
    results: tuple[str, ...]


def training_step(
    raw: Graph,
    loss: str,
    variables: Mapping[str, Node],
    optimizer: Optimizer,
    *,
    conventions: Conventions = "graphc",
    dtype: DType = "float64",
) -> TrainingStep:
    """The graph of a step.

    Parameters
    ----------
    raw : Graph
        The model as written.
    loss : str
        The output that is minimised.
    variables : mapping of str to Node
        The parameters that are trained; others stay as they are.
    optimizer : Optimizer
    conventions : {"graphc", "torch", "jax"}
        Whose derivatives hold at kinks.
    dtype : {"float64", "float32"}
        What the optimiser's numbers are.

    Raises
    ------
    GraphcError
        GC411 when what is trained is not a parameter, GC417 when an update has not the type of its parameter, and the
        errors of the options as expressions.
    """
    if not variables or not set(variables.values()) <= set(raw.params):
        found = ", ".join(variables) or "none"
        raise GraphcError(
            Diagnostic("GC411", f"train_step trains parameters, expected a model with some, found {found}")
        )
    stabilised, variables, _ = stabilise(raw, variables, conventions)
    joint = differentiate(stabilised, [loss], variables, check=False, conventions=conventions)
    builder = Builder(float_dtype=dtype)
    mapping = rebuild_seeded(joint.graph, builder, joint.seeds[loss])
    parameters = _parameters(optimizer, variables)
    types = {STEPS: TensorType("int64"), **{entry: p.node.tensor for p in parameters for entry in p.slots}}
    entries = {entry: builder.input(entry_input(entry), type) for entry, type in types.items()}
    values: dict[str, object] = {STEPS: entries[STEPS]}
    for p in parameters:
        values[p.local] = builder.value(mapping[joint.nodes[p.node]])
        values[p.gradient] = builder.value(mapping[joint.graph.outputs[joint.gradients[p.name]]])
        values |= {local: entries[entry] for entry, local in p.slots.items()}
    source = Source("optimizer", _update_text(optimizer, parameters))
    named = run_statements(source, values, builder)
    updated = {STEPS: _node(named["step"])}
    params = {str(node.attrs["name"]): mapping[joint.nodes[node]] for node in stabilised.params}
    for p in parameters:
        params[p.name], *remembered = (_updated(optimizer, p, named[result]) for result in p.results)
        updated |= dict(zip(p.slots, remembered, strict=True))
    outputs = {loss: mapping[joint.graph.outputs[loss]]}
    outputs |= {f"param {name}": node for name, node in params.items()}
    outputs |= {f"new {entry}": node for entry, node in updated.items()}
    whole, _, _ = expand_gradients(builder.finish(outputs, doc=raw.doc), conventions=conventions)
    return TrainingStep(
        optimizer,
        graph=simplify(whole)[0],
        params={name: f"param {name}" for name in params},
        state={entry: f"new {entry}" for entry in updated},
        types=types,
        like={entry: p.name for p in parameters for entry in p.slots},
        source=source,
    )


def _update_text(optimizer: Optimizer, parameters: Sequence[_Parameter]) -> str:
    """The update in the model language."""
    function = optimizers()[optimizer.name]
    own = own_options(function)
    options = {"lr": repr(function.defaults["lr"]), **dict(optimizer.options)}
    # What is no plain number is computed once, under its name.
    lines = ["step = steps_done + 1", *(f"{name} = {text}" for name, text in options.items() if not _is_number(text))]
    options = {name: text if _is_number(text) else name for name, text in options.items()}
    sign = "-" if optimizer.name == "gradient_ascent" else "+"
    for p in parameters:
        for penalty in ("l1", "l2"):
            if penalty in options:
                added = f"grad({options[penalty]} * {penalty}({p.local}), {p.local})"
                lines.append(f"{p.gradient} = {p.gradient} {sign} {added}")
        if "clip" in options:
            lines.append(f"{p.gradient} = clip_by_value({p.gradient}, {options['clip']})")
    if "clip_norm" in options:
        lines.append(f"gradient_norm = global_norm([{', '.join(p.gradient for p in parameters)}])")
        clipped = f"clip_by_norm({{0}}, gradient_norm, {options['clip_norm']})"
        lines += [f"{p.gradient} = {clipped.format(p.gradient)}" for p in parameters]
    numbers = ["step=step"] if "step" in function.parameters else []
    numbers += [f"{name}={text}" for name, text in options.items() if name in own]
    for p in parameters:
        param = p.local
        if "weight_decay" in options and "weight_decay" not in own:
            param = f"decay_weights({p.local}, {options['lr']}, {options['weight_decay']})"
        called = ", ".join([param, p.gradient, *p.slots.values(), *numbers])
        lines.append(f"{', '.join(p.results)} = {optimizer.name}({called})")
    return "\n".join(lines)


def _parameters(optimizer: Optimizer, variables: Mapping[str, Node]) -> list[_Parameter]:
    """The parameters, with names that no two share, nor one with what the text is written in."""
    remembered = slots(optimizers()[optimizer.name])
    taken = {*re.findall(r"\w+", str(optimizer)), *COMMON, *_WORDS}

    def name_for(wanted: str) -> str:
        name = re.sub(r"\W", "_", wanted)
        while name in taken or keyword.iskeyword(name):
            name += "_"
        taken.add(name)
        return name

    found = []
    for name, node in variables.items():
        entries = {f"{slot}_{name}": name_for(f"{slot}_{name}") for slot in remembered}
        results = tuple(name_for(f"new_{old}") for old in (name, *entries))
        found.append(_Parameter(name, node, name_for(name), name_for(f"d_{name}"), entries, results))
    return found


_WORDS = ("lr", "step", STEPS, "gradient_norm", "grad", "clip_by_value", "clip_by_norm", "global_norm", "decay_weights")


def entry_input(name: str) -> str:
    """The graph's input for an entry of the state; no input of a model is called so."""
    return f"state {name}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _updated(optimizer: Optimizer, parameter: _Parameter, found: object) -> Node:
    """The new value of a parameter, or of what is remembered of it, in the same type."""
    if isinstance(found, Value) and found.type == parameter.node.tensor:
        return found.node
    type = found.type if isinstance(found, Value) else found
    message = f"expected {parameter.node.tensor} for the new {parameter.name}, {optimizer} gives {type}"
    raise GraphcError(Diagnostic("GC417", message))


def _node(value: object) -> Node:
    assert isinstance(value, Value)
    return value.node
