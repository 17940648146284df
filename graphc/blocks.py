"""Jacobians and Hessians as graphs: cotangents or tangents of all rows, columns or colours at once, as a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from graphc.batching import Batched, batch
from graphc.builder import Builder
from graphc.graph import Node, free_names
from graphc.op import OPS
from graphc.ops.leaves import Array
from graphc.products import Derivative, Layout, Opened, by_variable
from graphc.size import Size, nominal
from graphc.sparsity import Pattern
from graphc.tensor_type import Shape, TensorType
from graphc.value import Value


def jacobian(opened: Opened) -> Derivative:
    """``jacobian_<variable>``, of shape ``(*output, *variable)``, for each variable.

    Rows are found together by reverse mode where the output has fewer elements than the variable, else columns by
    forward mode; a named size counts as 256.
    """
    return _jacobian(opened, {})


def value_and_jacobian(opened: Opened) -> Derivative:
    """The output beside its Jacobian; what both need is computed once."""
    return _jacobian(opened, {opened.output: opened.value})


def hessian(opened: Opened) -> Derivative:
    """``hessian_<x>_<y>``, of shape ``(*x, *y)``, for each pair of variables; forward over reverse."""
    return _hessian(opened, opened.gradient(), {})


def value_grad_hessian(opened: Opened) -> Derivative:
    """A scalar, its gradient and its Hessian; what they need is computed once."""
    gradient = opened.gradient()
    slopes, layout = by_variable("d_{}", gradient, [opened.output])
    return _hessian(opened, gradient, {opened.output: opened.value, **slopes}, (opened.output, layout))


def sparse_jacobian(opened: Opened, pattern: Pattern) -> Derivative:
    """``rows``, ``columns`` and ``values`` of a Jacobian; one tangent stands for all columns of a colour.

    Parameters
    ----------
    opened : Opened
        Its variables in the order of the columns.
    pattern : Pattern
        Where the Jacobian may differ from zero.
    """
    count = pattern.color_count
    tangents = {node: opened.builder.placeholder(node.tensor).node for node in opened.variables.values()}
    (product,) = opened.moved(tangents, [opened.value])
    graph = opened.builder.finish({"product": product}, doc=opened.doc)
    builder = Builder(intern=True)
    colors = _saved(builder, pattern.colors)
    seeds = OPS["transpose"](OPS["one_hot"](colors, depth=count, dtype=opened.value.tensor.dtype))
    leaves, start = {}, 0
    for node in tangents.values():
        stop = start + _whole(node.tensor.size)
        part = OPS["index"](seeds, items=(slice(None), slice(start, stop)))
        leaves[node] = _reshaped(part, (count, *node.tensor.shape))
        start = stop
    live = {node: value for node, value in leaves.items() if node in graph.operand_table}
    copied = batch(graph, builder, live)
    whole = copied.whole(builder, graph.outputs["product"], count)
    compressed = _reshaped(whole, (count, _whole(opened.value.tensor.size)))
    rows, columns = _saved(builder, pattern.rows), _saved(builder, pattern.columns)
    values = OPS["gather"](compressed, OPS["gather"](colors, columns), rows)
    found = {"rows": rows, "columns": columns, "values": values}
    for name, value in {**found, "colors": colors, "seeds": seeds, "compressed": compressed}.items():
        builder.name(value.node, name)
    return Derivative(builder.finish({k: v.node for k, v in found.items()}, doc=opened.doc), tuple(found))


def _jacobian(opened: Opened, primal: Mapping[str, Node]) -> Derivative:
    rows, columns = _sides(opened)
    basis = _Basis(opened.builder)
    found: dict[str, _Block] = {}
    if rows:
        seed = basis.along(opened.value.tensor)
        cotangents = opened.propagated(opened.value, seed, rows)
        found |= {name: _Block(cotangents[node], seed) for name, node in rows.items()}
    for name, node in columns.items():
        tangent = basis.along(node.tensor)
        found[name] = _Block(opened.moved({node: tangent}, [opened.value])[0], tangent, turned=True)
    blocks, layout = by_variable("jacobian_{}", {name: found[name] for name in opened.variables}, primal)
    return _batched(opened, basis, blocks, (*primal, layout) if primal else layout, primal)


def _hessian(
    opened: Opened, gradient: Mapping[str, Node], others: Mapping[str, Node], before: tuple[Layout, ...] = ()
) -> Derivative:
    """The blocks, after others, which are not differentiated, and their layouts."""
    basis = _Basis(opened.builder)
    wanted = {(row, column): f"hessian_{row}_{column}" for row in opened.variables for column in opened.variables}
    names = free_names(wanted, others)
    blocks = {}
    for column, node in opened.variables.items():
        tangent = basis.along(node.tensor)
        moved = opened.moved({node: tangent}, list(gradient.values()))
        for row, result in zip(gradient, moved, strict=True):
            blocks[row, column] = _Block(result, tangent, turned=True)
    ordered = {name: blocks[pair] for pair, name in names.items()}
    layout: Layout = {row: {column: names[row, column] for column in opened.variables} for row in opened.variables}
    return _batched(opened, basis, ordered, (*before, layout) if before else layout, others)


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
        """A direction of this type; of a number there is only one, which needs no batch."""
        if not type.shape:
            return self.builder.constant(1.0, type.dtype).node
        node = self.builder.placeholder(type).node
        self.directions[node] = type
        return node


def _batched(
    opened: Opened, basis: _Basis, blocks: Mapping[str, _Block], layout: Layout, others: Mapping[str, Node]
) -> Derivative:
    """The blocks along all unit directions, beside what depends on no direction."""
    products = {name: block.product for name, block in blocks.items()}
    graph = opened.builder.finish({**others, **products}, doc=opened.doc)
    builder = Builder(intern=True)
    live = {node: type for node, type in basis.directions.items() if node in graph.operand_table}
    copied = batch(graph, builder, {node: _units(builder, type) for node, type in live.items()})
    plain = {name: copied.nodes[node] for name, node in others.items()}
    results = {name: _block(builder, copied, block).node for name, block in blocks.items()}
    for name, node in results.items():
        builder.name(node, name)
    primal = tuple(name for name in others if name == opened.output)
    return Derivative(builder.finish({**plain, **results}, doc=graph.doc), layout, primal)


def _units(builder: Builder, type: TensorType) -> Value:
    """All unit directions of a shape, along a new first axis."""
    counted = builder.apply(OPS["arange"], (), {"stop": type.size})
    rows = OPS["one_hot"](counted, depth=type.size, dtype=type.dtype)
    return OPS["reshape"](rows, shape=(type.size, *type.shape))


def _block(builder: Builder, copied: Batched, block: _Block) -> Value:
    """The products with all directions as a matrix of blocks: ``(*rows, *columns)``."""
    direction, product = block.direction.tensor, block.product.tensor
    if not direction.shape:
        return builder.value(copied.nodes[block.product])
    found = copied.whole(builder, block.product, direction.size)
    if block.turned:
        found = OPS["transpose"](found, axes=(*range(1, found.ndim), 0))
    shape = (*product.shape, *direction.shape) if block.turned else (*direction.shape, *product.shape)
    return _reshaped(found, shape)


def _reshaped(value: Value, shape: Shape) -> Value:
    return value if value.shape == shape else OPS["reshape"](value, shape=shape)


def _saved(builder: Builder, numbers: NDArray[np.int64]) -> Value:
    array = Array("int32", numbers.shape, numbers.astype("<i4").tobytes())
    return builder.apply(OPS["array"], (), {"array": array})


def _whole(size: Size) -> int:
    assert isinstance(size, int), "a pattern has sizes that are numbers"
    return size


def _sides(opened: Opened) -> tuple[dict[str, Node], dict[str, Node]]:
    """The variables whose Jacobian is found by rows, and by columns."""
    rows = nominal(opened.value.tensor.size)
    columns = {name: node for name, node in opened.variables.items() if nominal(node.tensor.size) < rows}
    return {name: node for name, node in opened.variables.items() if name not in columns}, columns
