"""``use("other.gc")``: another model as a layer, whose needed part is copied into this graph at each call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from graphc.builder import Builder, Place, rebuild
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError, TypeRuleError
from graphc.frontends.declarations import claim
from graphc.frontends.files import inside, read_arrays, read_text
from graphc.frontends.scopes import settle_scope
from graphc.frontends.session import MAX_TEXT, Session, failure, place_of, settled
from graphc.frontends.values import Arguments, UsedModel, describe
from graphc.gradient_rules import custom_op
from graphc.graph import Graph, Node
from graphc.op import OPS
from graphc.ops.indexing import Slice
from graphc.ops.leaves import Array, Initializer
from graphc.size import Size, SizeExpr, exact_quotient, size_names, substitute
from graphc.source import Source
from graphc.tensor_type import TensorType
from graphc.value import Value

COPY_COST = 10
"""Steps of the reading for each node of a model that is copied."""
USE_TAKES = "file, params=None, frozen=False, name=None"


def use_model(session: Session, arguments: Arguments) -> UsedModel:
    """Read another model of the same folder, and its saved parameters."""
    node, frame = arguments.node, arguments.frame
    given = {**dict(zip(("file", "params", "frozen", "name"), arguments.values, strict=False)), **arguments.keywords}
    file, params, frozen, name = (given.pop(key, default) for key, default in _USE_DEFAULTS)
    fits = isinstance(file, str) and isinstance(params, (str, type(None))) and isinstance(name, (str, type(None)))
    if given or not fits or len(arguments.values) > 4 or not isinstance(frozen, bool):
        raise failure("GC103", f"use takes ({USE_TAKES}), found something else", node, frame, f"use({USE_TAKES})")
    assert isinstance(file, str) and isinstance(params, (str, type(None))) and isinstance(name, (str, type(None)))
    if frozen and params is None:
        raise failure("GC103", "expected params= with frozen=True: only saved parameters can be frozen", node, frame)
    graph = _read(session, arguments, file)
    arrays = None
    if params is not None:
        arrays = settled(node, frame, lambda: read_arrays(inside(session.folder, params), session.float_dtype))
    call = frame.call
    shared = call.shared if call.shared is not None else {}
    return UsedModel(file, graph, arrays, frozen, shared, (*call.scope, name) if name else ())  # type: ignore[arg-type]


_USE_DEFAULTS: tuple[tuple[str, object], ...] = (("file", None), ("params", None), ("frozen", False), ("name", None))


def _read(session: Session, arguments: Arguments, file: str) -> Graph:
    node, frame = arguments.node, arguments.frame
    path = settled(node, frame, lambda: inside(session.folder, file))
    assert path is not None and session.read_model is not None
    if path in session.path:
        raise failure(
            "GC402",
            f"models that use each other in a circle cannot be read, {file} is among those around this one",
            node,
            frame,
        )
    known = session.budget.models
    if path not in known:
        text = settled(node, frame, lambda: read_text(path, MAX_TEXT))  # type: ignore[arg-type]
        try:
            known[path] = session.read_model(Source(file, str(text)), path, session)  # type: ignore[index,arg-type]
        except GraphcError as error:
            known[path] = error  # type: ignore[index]
    found = known[path]  # type: ignore[index]
    if isinstance(found, Graph):
        return found
    here = place_of(node, frame).spans[0]
    raise GraphcError(*(_used_here(d, (here, f"{file} is used here")) for d in found.diagnostics))


def _used_here(diagnostic: Diagnostic, place: tuple[object, str]) -> Diagnostic:
    return replace(diagnostic, related=(*diagnostic.related, place))  # type: ignore[arg-type]


def call_model(
    session: Session, model: UsedModel, arguments: Arguments, params: Mapping[str, object] | None = None
) -> object:
    """The outputs of a model for the inputs that they need: one, or a tuple in order; ``output=`` chooses.

    Parameters that are given stand for the model's own.
    """
    keywords = dict(arguments.keywords)
    outputs, single = _chosen(model, keywords.pop("output", None), arguments)
    needed = _needed(model.graph, [model.graph.outputs[name] for name in outputs])
    inputs = [node for node in model.graph.inputs if node in needed]
    given = _bound(session, model, outputs, inputs, keywords, arguments)
    if params is not None:
        given |= _given_params(session, model, params, arguments)
    settle_scope(model, arguments.frame.call, model.base)
    sizes = _sizes(model, given, needed, arguments)
    mapping = _copied(session, model, needed, given, sizes, arguments, [model.graph.outputs[name] for name in outputs])
    values = tuple(mapping[model.graph.outputs[name]] for name in outputs)
    return values[0] if single else values


def _chosen(model: UsedModel, output: object, arguments: Arguments) -> tuple[list[str], bool]:
    known = list(model.graph.outputs)
    if output is None:
        return known, len(known) == 1
    names = [output] if isinstance(output, str) else list(output) if isinstance(output, (list, tuple)) else [output]
    for name in names:
        if not isinstance(name, str) or name not in known:
            message = f"expected outputs of {model.file} for output=, {', '.join(known)}; found {describe(name)}"
            raise failure("GC101", message, arguments.node, arguments.frame)
    return [str(name) for name in names], isinstance(output, str)


def _needed(graph: Graph, outputs: Sequence[Node]) -> set[Node]:
    needed, stack = set(outputs), list(outputs)
    while stack:
        for operand in graph.operands(stack.pop()):
            if operand not in needed:
                needed.add(operand)
                stack.append(operand)
    return needed


def _bound(
    session: Session,
    model: UsedModel,
    outputs: Sequence[str],
    inputs: Sequence[Node],
    keywords: Mapping[str, object],
    arguments: Arguments,
) -> dict[Node, Value]:
    """The arguments by the inputs that they are for."""
    names = [str(node.attrs["name"]) for node in inputs]
    bound = dict(zip(names, arguments.values, strict=False))
    problem = f"{len(arguments.values)} arguments" if len(arguments.values) > len(names) else ""
    for name, value in keywords.items():
        if name not in names or name in bound:
            problem = problem or (f"{name} twice" if name in bound else f"no such input: {name}")
        bound[name] = value
    missing = [name for name in names if name not in bound]
    problem = problem or (f"no {', '.join(missing)}" if missing else "")
    if problem:
        message = f"{model.file} takes ({', '.join(names)}) for its output {', '.join(outputs)}, found {problem}"
        raise failure("GC103", message, arguments.node, arguments.frame)
    return {
        node: _fitting(session, model, node, bound[name], arguments) for node, name in zip(inputs, names, strict=True)
    }


def _given_params(
    session: Session, model: UsedModel, params: Mapping[str, object], arguments: Arguments
) -> dict[Node, Value]:
    """Parameters that a call gives, all of them, by name."""
    nodes = {str(node.attrs["name"]): node for node in model.graph.params}
    if nodes.keys() != params.keys():
        expected, found = (", ".join(names) or "none" for names in (nodes, params))
        message = f"expected the parameters {expected} of {model.file}, found {found}"
        raise failure("GC103", message, arguments.node, arguments.frame)
    return {node: _fitting(session, model, node, params[name], arguments) for name, node in nodes.items()}


def _fitting(session: Session, model: UsedModel, node: Node, argument: object, arguments: Arguments) -> Value:
    """An argument as a value of the input's dtype and number of axes."""
    value = session.size_value(arguments.node, arguments.frame, argument)
    expected = node.tensor
    found = value.type if value is not None else describe(argument)
    if value is not None and not isinstance(argument, Value) and expected.is_float:
        value = session.apply(arguments.node, arguments.frame, OPS["cast"], [value], dtype=expected.dtype)
    if value is None or value.type.dtype != expected.dtype or value.ndim != expected.ndim:
        code = "GC204" if value is not None and value.ndim == expected.ndim else "GC205"
        message = f"{model.file} takes {node.attrs['name']}: {expected}, found {found}"
        raise failure(code, message, arguments.node, arguments.frame)
    return value


def _sizes(model: UsedModel, given: Mapping[Node, Value], needed: set[Node], arguments: Arguments) -> dict[str, Size]:
    """What the model's free sizes are in this call: by its inputs, and by its saved parameters."""
    pairs = [(node, value.shape) for node, value in given.items()]
    pairs += [
        (node, _saved(model, node, arguments).shape) for node in model.graph.params if node in needed and model.arrays
    ]
    sizes: dict[str, Size] = {}
    for node, shape in pairs:
        for declared, found in zip(node.tensor.shape, shape, strict=True):
            _bind_size(sizes, declared, found)
    for node, shape in pairs:
        expected = tuple(substitute(size, sizes) for size in node.tensor.shape)
        if expected != shape:
            kind = "GC205" if node in given else "GC406"
            name, wanted = node.attrs["name"], TensorType(node.tensor.dtype, expected)
            message = f"{model.file} takes {name}: {wanted}, found {TensorType(node.tensor.dtype, shape)}"
            raise failure(kind, message, arguments.node, arguments.frame)
    return sizes


def _bind_size(sizes: dict[str, Size], declared: Size, found: Size) -> None:
    """Learn a name from a size of the form ``c*N + k``."""
    unknown = [name for name in size_names(declared) if name not in sizes]
    if len(unknown) != 1:
        return
    rest = substitute(declared, {**sizes, unknown[0]: 0})
    slope = substitute(declared, {**sizes, unknown[0]: 1}) - rest
    if slope == 0:
        return
    quotient = exact_quotient(found - rest, slope)
    if quotient is not None:
        sizes[unknown[0]] = quotient


def _saved(model: UsedModel, node: Node, arguments: Arguments) -> Array:
    assert model.arrays is not None
    name = str(node.attrs["name"])
    array = model.arrays.get(name)
    if array is None:
        message = f"expected a saved array for each parameter of {model.file}, found none for {name}"
        raise failure("GC406", message, arguments.node, arguments.frame)
    if len(array.shape) != node.tensor.ndim:
        message = (
            f"{model.file} declares {name}: {node.tensor}, the saved one is {TensorType(array.dtype, array.shape)}"
        )
        raise failure("GC406", message, arguments.node, arguments.frame)
    return array


def _copied(
    session: Session,
    model: UsedModel,
    needed: set[Node],
    given: Mapping[Node, Value],
    sizes: Mapping[str, Size],
    arguments: Arguments,
    outputs: Sequence[Node],
) -> dict[Node, Value]:
    graph, builder = model.graph, session.builder
    mapping: dict[Node, Value] = dict(given)
    around = place_of(arguments.node, arguments.frame).spans
    for node in graph.nodes:
        if node not in needed or node in mapping:
            continue
        session.step(arguments.node, arguments.frame, COPY_COST)
        scopes = [(*model.scope, *scope) for scope in graph.scopes.get(node, ())]
        builder.place = Place((*around, *graph.spans.get(node, ())), tuple(scopes) or (model.scope,))
        operands = tuple(mapping[operand].node for operand in graph.operands(node))
        mapping[node] = _copy(session, model, node, operands, sizes, arguments)
        if node not in outputs and node.op.name != "param":
            builder.name(mapping[node].node, *("_".join((*model.scope, name)) for name in graph.names.get(node, ())))
    return mapping


def _copy(
    session: Session,
    model: UsedModel,
    node: Node,
    operands: tuple[Node, ...],
    sizes: Mapping[str, Size],
    arguments: Arguments,
) -> Value:
    if node.op.name == "param":
        return _param(session, model, node, sizes, arguments)
    if node.op.name == "array":
        return _array(session, model, node)
    try:
        return session.builder.value(_sized(session, session.builder, node, operands, sizes))
    except KeyError as unknown:
        message = f"{model.file} needs its size {unknown.args[0]}, which the inputs of this call do not tell"
        raise failure("GC205", message, arguments.node, arguments.frame) from None
    except TypeRuleError as refusal:
        raise GraphcError(session.builder.diagnose(refusal, operands)) from None


def _sized(
    session: Session, builder: Builder, node: Node, operands: tuple[Node, ...], sizes: Mapping[str, Size]
) -> Node:
    """A node copied with its sizes replaced, those in its gradient rule too; random numbers are drawn anew."""
    attrs = {name: _substituted(value, sizes) for name, value in node.attrs.items()}
    if "site" in attrs:
        attrs["site"] = session.budget.next_site()
    if node.op.name == "size" and isinstance(attrs["size"], int):
        return builder.constant(attrs["size"], node.tensor.dtype).node
    op = node.op if node.op.rule is None else custom_op(node.op.name, _sized_rule(session, node.op.rule, sizes))
    return builder.make(op, operands, attrs)


def _sized_rule(session: Session, rule: Graph, sizes: Mapping[str, Size]) -> Graph:
    builder = Builder(float_dtype=session.float_dtype)

    def step(node: Node, operands: tuple[Node, ...]) -> Node:
        if node.op.name != "input":
            return _sized(session, builder, node, operands, sizes)
        shape = tuple(substitute(size, sizes) for size in node.tensor.shape)
        return builder.input(str(node.attrs["name"]), TensorType(node.tensor.dtype, shape)).node

    mapping = rebuild(rule, builder, step=step)
    return builder.finish({name: mapping[node] for name, node in rule.outputs.items()})


def _param(session: Session, model: UsedModel, node: Node, sizes: Mapping[str, Size], arguments: Arguments) -> Value:
    """The parameter of the first call, which declares it."""
    name = "_".join((*model.scope, str(node.attrs["name"])))
    if name in model.params:
        return model.params[name]
    builder = session.builder
    type = TensorType(node.tensor.dtype, tuple(substitute(size, sizes) for size in node.tensor.shape))
    array = None if model.arrays is None else _saved(model, node, arguments)
    if array is not None and model.frozen:
        value = builder.value(builder.make(OPS["array"], (), {"array": array}))
        builder.name(value.node, name)
    else:
        init = (
            node.attrs["init"] if array is None else Initializer("array", array=array, text=f"saved with {model.file}")
        )
        claim(session, name, builder.place.spans[0], arguments.node, arguments.frame)
        value = builder.param(name, type, init)
    model.params[name] = value
    return value


def _array(session: Session, model: UsedModel, node: Node) -> Value:
    """A frozen parameter of a model inside: one node for all calls."""
    name = f"{'_'.join(model.scope)}:{node.serial}"
    if name not in model.params:
        model.params[name] = session.builder.value(session.builder.make(node.op, (), node.attrs))
    return model.params[name]


def _substituted(value: object, sizes: Mapping[str, Size]) -> object:
    """An attribute with its sizes replaced."""
    if isinstance(value, SizeExpr):
        for name in value.names:
            if name not in sizes:
                raise KeyError(name)
        return substitute(value, sizes)
    if isinstance(value, tuple):
        return tuple(_substituted(item, sizes) for item in value)
    if isinstance(value, Slice):
        start, stop = _substituted(value.start, sizes), _substituted(value.stop, sizes)
        return Slice(start, stop, value.step)  # type: ignore[arg-type]
    if isinstance(value, Graph):
        return _resized(value, sizes)
    return value


def _resized(step: Graph, sizes: Mapping[str, Size]) -> Graph:
    """The step of a scan with its sizes replaced."""
    builder = Builder()

    def resized(node: Node, operands: tuple[Node, ...]) -> Node:
        attrs = {name: _substituted(value, sizes) for name, value in node.attrs.items()}
        if node.op.name == "input":
            shape = tuple(substitute(size, sizes) for size in node.tensor.shape)
            return builder.input(str(attrs["name"]), TensorType(node.tensor.dtype, shape)).node
        return builder.make(node.op, operands, attrs)

    mapping = rebuild(step, builder, step=resized)
    return builder.finish({name: mapping[node] for name, node in step.outputs.items()}, doc=step.doc)
