"""One step of training as a graph: the loss, its gradient and the optimiser's update together.

The update is a text in the model language, a few lines for each parameter, read on the values of the joint graph; the
comments of the generated function quote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from graphc.autodiff import differentiate
from graphc.builder import Builder
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.frontends.text import run_statements
from graphc.frontends.values import describe
from graphc.graph import Graph, Node
from graphc.op import Conventions
from graphc.optimizer import Optimizer
from graphc.passes import expand_gradients, rebuild_seeded, simplify, stabilise
from graphc.source import Source, Span
from graphc.tensor_type import DType, TensorType
from graphc.update_text import STEPS, named_parameters, update_text
from graphc.value import Value


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
    averages : mapping of str to str
        For each entry that is the average of a parameter, and at first its value, this parameter.
    source : Source
        The text of the update, where its nodes come from.
    """

    optimizer: Optimizer
    graph: Graph
    params: Mapping[str, str]
    state: Mapping[str, str]
    types: Mapping[str, TensorType]
    like: Mapping[str, str]
    averages: Mapping[str, str]
    source: Source


def training_step(
    raw: Graph,
    loss: str,
    variables: Mapping[str, Node],
    optimizer: Optimizer,
    *,
    conventions: Conventions = "graphc",
    reassociate: bool = False,
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
    reassociate : bool
        Whether sums and products are regrouped where that may lose digits.
    dtype : {"float64", "float32"}
        What the optimiser's numbers are.

    Raises
    ------
    GraphcError
        GC411 when what is trained is not a parameter, GC417 when an option gives no number, and the errors of options
        as expressions.
    """
    if not variables or not set(variables.values()) <= set(raw.params):
        found = ", ".join(variables) or "none"
        raise GraphcError(
            Diagnostic("GC411", f"train_step trains parameters, expected a model with some, found {found}")
        )
    stabilised, variables, _ = stabilise(raw, variables, conventions, reassociate=reassociate)
    joint = differentiate(stabilised, [loss], variables, check=False, conventions=conventions)
    builder = Builder(float_dtype=dtype)
    mapping = rebuild_seeded(joint.graph, builder, joint.seeds[loss])
    parameters = named_parameters(optimizer, variables)
    like = {entry: p.name for p in parameters for entry in p.slots}
    averages = {entry: p.name for p in parameters for entry in p.averages}
    types = {STEPS: TensorType("int64")}
    types |= {entry: variables[p.name].tensor for p in parameters for entry in (*p.slots, *p.averages)}
    entries = {entry: builder.input(entry_input(entry), type) for entry, type in types.items()}
    values: dict[str, object] = {STEPS: entries[STEPS]}
    for p in parameters:
        values[p.local] = builder.value(mapping[joint.nodes[variables[p.name]]])
        values[p.gradient] = builder.value(mapping[joint.graph.outputs[joint.gradients[p.name]]])
        values |= {local: entries[entry] for entry, local in (p.slots | p.averages).items()}
    _check_options(optimizer, dtype)
    source = Source("optimizer", update_text(optimizer, parameters))
    named = run_statements(source, values, builder)
    updated = {STEPS: _node(named["step"], types[STEPS])}
    params = {str(node.attrs["name"]): mapping[joint.nodes[node]] for node in stabilised.params}
    for p in parameters:
        params[p.name], *remembered = (_node(named[result], variables[p.name].tensor) for result in p.results)
        updated |= dict(zip((*p.slots, *p.averages), remembered, strict=True))
    outputs = {loss: mapping[joint.graph.outputs[loss]]}
    outputs |= {f"param {name}": node for name, node in params.items()}
    outputs |= {f"new {entry}": node for entry, node in updated.items()}
    whole, _, _ = expand_gradients(builder.finish(outputs, doc=raw.doc), conventions=conventions)
    return TrainingStep(
        optimizer,
        graph=simplify(whole, reassociate=reassociate)[0],
        params={name: f"param {name}" for name in params},
        state={entry: f"new {entry}" for entry in updated},
        types=types,
        like=like,
        averages=averages,
        source=source,
    )


def entry_input(name: str) -> str:
    """The graph's input for an entry of the state; no input of a model is called so."""
    return f"state {name}"


def _check_options(optimizer: Optimizer, dtype: DType) -> None:
    """Refuse options that give no number by themselves: in the update, the library would be to blame."""
    for option, text in optimizer.numbers.items():
        source, builder = Source("optimizer", f"{option} = {text}"), Builder(float_dtype=dtype)
        found = run_statements(source, {"step": builder.input("step", TensorType("int64"))}, builder)[option]
        if not _is_number(found):
            message = f"expected a number or an expression of step for {option}, found {describe(found)}"
            span = Span(source, 1, len(option) + 4, 1, len(source.text) + 1)
            raise GraphcError(Diagnostic("GC417", message, span))


def _is_number(found: object) -> bool:
    if isinstance(found, Value):
        return not found.shape
    return isinstance(found, (int, float)) and isfinite(found)


def _node(value: object, type: TensorType) -> Node:
    """What was computed for something of this type."""
    assert isinstance(value, Value) and value.type == type
    return value.node
