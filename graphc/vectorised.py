"""Models mapped over a batch, and the gradients of each example in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphc.batching import batch
from graphc.builder import Builder
from graphc.calculus import grad
from graphc.compiled_model import Model
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.graph import Graph, Node, free_name
from graphc.op import OPS
from graphc.opened import Source, derived, model_of
from graphc.passes import stabilise
from graphc.size import Size, named_size, size_names
from graphc.tensor_type import TensorType
from graphc.value import Value


def vmap(f: Source, *, in_axes: Mapping[str, int | None] | None = None, size: Size | None = None) -> Model:
    """A model of one example, mapped over a batch of them without a loop.

    Parameters
    ----------
    f : Model, str or path
    in_axes : mapping of str to int or None, optional
        For inputs and parameters, where the batch axis is; None for what all examples share. By default the first
        axis of every input, and shared parameters.
    size : int or size, optional
        The number of examples: any, unless told.

    Returns
    -------
    Model
        With the outputs of ``f``, the batch as their first axis.

    Raises
    ------
    GraphcError
        GC101 when the model has no such input or parameter, GC203 when it has no such axis, GC305 when an op on the way
        has no batching rule.

    Examples
    --------
    >>> print(vmap("x ** 2 + y", in_axes={"y": None})(x=[1.0, 2.0, 3.0], y=10.0))
    [11. 14. 19.]
    """
    model = model_of(f)
    axes = _axes(model, in_axes or {})
    options = model.provenance.options
    graph, _, _ = stabilise(model.graph, {}, options.conventions, reassociate=options.reassociate)
    count = named_size(free_name("B", _size_names(graph))) if size is None else size
    builder = Builder(intern=True)
    # Every input keeps its place in the signature, batched or not.
    leaves = {
        node: _leaf(builder, node, axes[str(node.attrs["name"])], count) for node in (*graph.inputs, *graph.params)
    }
    shared = {node: value for node, value in leaves.items() if axes[str(node.attrs["name"])] is None}
    mapped = {node: value for node, value in leaves.items() if node not in shared}
    copied = batch(graph, builder, mapped, shared)
    results = {name: copied.whole(builder, node, count).node for name, node in graph.outputs.items()}
    return derived(model, builder.finish(results, doc=graph.doc), model.layout)


def per_example_grad(
    f: Source,
    *,
    wrt: str | Sequence[str] | None = None,
    loss: str | None = None,
    in_axes: Mapping[str, int | None] | None = None,
) -> Model:
    """The gradient of each example of a batch, for a model of one example.

    Examples
    --------
    >>> text = "x: Input[2]\\nw: Param[2]\\nloss: Output = (x @ w) ** 2"
    >>> print(per_example_grad(text)({"w": [1.0, 2.0]}, x=[[1.0, 0.0], [0.0, 1.0]]))
    [[2. 0.]
     [0. 4.]]
    """
    return vmap(grad(f, wrt=wrt, loss=loss), in_axes=in_axes)


def _axes(model: Model, given: Mapping[str, int | None]) -> dict[str, int | None]:
    inputs = {str(node.attrs["name"]): node for node in model.graph.inputs}
    params = {str(node.attrs["name"]): node for node in model.graph.params}
    known = {**inputs, **params}
    for name, axis in given.items():
        if name not in known:
            message = f"expected one of the inputs and parameters {', '.join(known)} in in_axes, found {name}"
            raise GraphcError(Diagnostic("GC101", message))
        ndim = known[name].tensor.ndim + 1
        if axis is not None and not -ndim <= axis < ndim:
            span = next(iter(model.graph.spans.get(known[name], ())), None)
            message = f"expected an axis of a batch of {name}, which has {ndim}, found {axis}"
            raise GraphcError(Diagnostic("GC203", message, span, f"{name} is {known[name].type}"))
    return {**dict.fromkeys(inputs, 0), **dict.fromkeys(params), **given}


def _leaf(builder: Builder, node: Node, axis: int | None, size: Size) -> Value:
    """An input or parameter; a batch of it with the batch axis moved to the front."""
    type, name = node.tensor, str(node.attrs["name"])
    if axis is not None:
        place = axis % (type.ndim + 1)
        type = TensorType(type.dtype, (*type.shape[:place], size, *type.shape[place:]))
    declared = builder.param(name, type, node.attrs["init"]) if node.op is OPS["param"] else builder.input(name, type)
    if not axis:
        return declared
    return OPS["transpose"](declared, axes=(place, *(a for a in range(type.ndim) if a != place)))


def _size_names(graph: Graph) -> set[str]:
    leaves = (*graph.inputs, *graph.params)
    return {name for node in leaves for size in node.tensor.shape for name in size_names(size)}
