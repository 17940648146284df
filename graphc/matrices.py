"""Jacobians and Hessians in one vectorised pass: cotangents or tangents of all rows or columns at once, as a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from graphc.batching import Batched, batch
from graphc.builder import Builder
from graphc.compiler import Layout, Model
from graphc.graph import Node
from graphc.op import OPS
from graphc.opened import Opened, Source, by_variable, derived, opened_model
from graphc.partition import nominal
from graphc.tensor_type import Shape, TensorType
from graphc.value import Value


def jacobian(f: Source, *, wrt: str | Sequence[str] | None = None, output: str | None = None) -> Model:
    """The Jacobian of an output of any shape, without a loop over rows.

    Rows are found together by reverse mode where the output has fewer elements than the variable, else columns by
    forward mode; a named size counts as 256.

    Parameters
    ----------
    f : Model, str or path
    wrt : str or sequence of str, optional
        By default the parameters, or the float inputs of a model without any.
    output : str, optional
        By default the only output, else the one called ``loss``.

    Returns
    -------
    Model
        With an output ``jacobian_<variable>`` of shape ``(*output, *variable)`` for each variable. A call gives the
        Jacobian by one variable, by several a dict.

    Raises
    ------
    GraphcError
        GC301, GC302 when no derivative reaches a variable; GC305 when an op on the way has no batching rule.

    Examples
    --------
    >>> print(jacobian("x: Input[2]\\ny: Output = stack([x[0] * x[1], x[0] ** 2])")(x=[2.0, 3.0]))
    [[3. 2.]
     [4. 0.]]
    """
    opened = opened_model(f, wrt, output)
    rows, columns = _sides(opened)
    basis = _Basis(opened.builder)
    found: dict[str, _Block] = {}
    if rows:
        seed = basis.along(opened.value.tensor)
        cotangents = opened.propagated(opened.value, seed, rows)
        found |= {name: _Block(cotangents[node], seed) for name, node in rows.items()}
    for name, node in columns.items():
        tangent = basis.along(node.tensor)
        found[name] = _Block(opened.pushed({node: tangent}, [opened.value])[0], tangent, turned=True)
    blocks = {f"jacobian_{name}": found[name] for name in opened.variables}
    return _batched(opened, basis, blocks, by_variable("jacobian_{}", opened.variables))


def hessian(f: Source, *, wrt: str | Sequence[str] | None = None, loss: str | None = None) -> Model:
    """The Hessian of a scalar, forward over reverse, all columns at once.

    Parameters
    ----------
    f, wrt, loss
        As in `graphc.calculus.grad`.

    Returns
    -------
    Model
        With an output ``hessian_<x>_<y>`` of shape ``(*x, *y)`` for each pair of variables. A call gives the Hessian by
        one variable, by several a dict of dicts.

    Examples
    --------
    >>> print(hessian("x: Input[2]\\nloss: Output = x[0] ** 2 * x[1]")(x=[2.0, 3.0]))
    [[6. 4.]
     [4. 0.]]
    """
    opened = opened_model(f, wrt, loss, scalar=True)
    gradient = opened.gradient()
    basis = _Basis(opened.builder)
    blocks = {}
    for column, node in opened.variables.items():
        tangent = basis.along(node.tensor)
        moved = opened.pushed({node: tangent}, list(gradient.values()))
        for row, result in zip(gradient, moved, strict=True):
            blocks[f"hessian_{row}_{column}"] = _Block(result, tangent, turned=True)
    names = list(opened.variables)
    ordered = {key: blocks[key] for key in (f"hessian_{row}_{column}" for row in names for column in names)}
    layout: Layout = {row: {column: f"hessian_{row}_{column}" for column in names} for row in names}
    return _batched(opened, basis, ordered, layout if len(names) > 1 else next(iter(ordered)))


@dataclass(frozen=True)
class _Block:
    """A product with one direction, which stands for all of them; ``turned`` when these are the columns."""

    product: Node
    direction: Node
    turned: bool = False


@dataclass(frozen=True)
class _Basis:
    """Directions that stand for all unit directions of their shape."""

    builder: Builder
    directions: dict[Node, TensorType] = field(default_factory=dict)

    def along(self, type: TensorType) -> Node:
        """A direction of this type."""
        node = self.builder.placeholder(type).node
        self.directions[node] = type
        return node


def _batched(opened: Opened, basis: _Basis, blocks: Mapping[str, _Block], layout: Layout) -> Model:
    graph = opened.builder.finish({name: block.product for name, block in blocks.items()}, doc=opened.model.graph.doc)
    builder = Builder(intern=True)
    live = {node: type for node, type in basis.directions.items() if node in graph.operand_table}
    copied = batch(graph, builder, {node: _units(builder, type) for node, type in live.items()})
    results = {name: _block(builder, copied, block).node for name, block in blocks.items()}
    for name, node in results.items():
        builder.name(node, name)
    return derived(opened.model, builder.finish(results, doc=graph.doc), layout)


def _units(builder: Builder, type: TensorType) -> Value:
    """All unit directions of a shape, along a new first axis."""
    counted = builder.apply(OPS["arange"], (), {"stop": type.size})
    rows = OPS["one_hot"](counted, depth=type.size, dtype=type.dtype)
    return OPS["reshape"](rows, shape=(type.size, *type.shape))


def _block(builder: Builder, copied: Batched, block: _Block) -> Value:
    """The products with all directions as a matrix of blocks: ``(*rows, *columns)``."""
    direction, product = block.direction.tensor, block.product.tensor
    found = copied.whole(builder, block.product, direction.size)
    if block.turned:
        found = OPS["transpose"](found, axes=(*range(1, found.ndim), 0))
    shape = (*product.shape, *direction.shape) if block.turned else (*direction.shape, *product.shape)
    return _reshaped(found, shape)


def _reshaped(value: Value, shape: Shape) -> Value:
    return value if value.shape == shape else OPS["reshape"](value, shape=shape)


def _sides(opened: Opened) -> tuple[dict[str, Node], dict[str, Node]]:
    """The variables whose Jacobian is found by rows, and by columns."""
    rows = nominal(opened.value.tensor.size)
    columns = {name: node for name, node in opened.variables.items() if nominal(node.tensor.size) < rows}
    return {name: node for name, node in opened.variables.items() if name not in columns}, columns
