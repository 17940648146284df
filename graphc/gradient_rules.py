"""Functions with a gradient rule of their own: each call is the identity on what it computed, with a rule as its VJP.

The rule is a graph of its own in the op. What the function computes stays in the graph around, in the open; nothing
looks through the identity before differentiation, and after it `without_rules` takes it out.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from graphc.batching import batch
from graphc.builder import Builder, rebuild
from graphc.graph import Graph, Node, subgraphs
from graphc.op import OPS, Op, OpCall
from graphc.ops import batch_rules
from graphc.tensor_type import TensorType
from graphc.value import Value


def custom_op(name: str, rule: Graph) -> Op:
    """The op of a call of a function that has a gradient rule.

    Parameters
    ----------
    name : str
        The function's name.
    rule : Graph
        Its inputs are the cotangent, the result, and an operand each for what the op has after the first: the
        arguments, then what else the rule reads. Its outputs, ``d_<input>``, are the cotangents of operands; those
        without one get no gradient.

    Examples
    --------
    >>> b = Builder()
    >>> d, y, x = (b.input(name, TensorType("float64")) for name in ("d", "y", "x"))
    >>> reverse = custom_op("reverse", b.finish({"d_x": (-d).node}))
    >>> reverse.arity, reverse.differentiable
    (2, (1,))
    """
    names = [str(node.attrs["name"]) for node in rule.inputs]

    def vjp(ct: Value, result: Value, value: Value, *operands: Value) -> Sequence[Value | None]:
        found = inlined(rule, [ct, result, *operands])
        return None, *(found.get(f"d_{operand}") for operand in names[2:])

    return Op(
        name=name,
        arity=len(names) - 1,
        infer=_first,
        numpy=_unchanged,
        vjp=vjp,
        differentiable=tuple(p for p, operand in enumerate(names[1:]) if f"d_{operand}" in rule.outputs),
        flops=0,
        view="straight",
        batching=lambda values, batched: _batched(name, rule, values, batched),
        doc="a function with a gradient rule of its own",
        rule=rule,
    )


def inlined(rule: Graph, values: Sequence[Value]) -> dict[str, Value]:
    """The outputs of a rule for these inputs, made in their builder; nodes keep their own places."""
    builder = values[0].builder
    mapping = {node: value.node for node, value in zip(rule.inputs, values, strict=True)}
    outside = builder.place
    for node in rule.nodes:
        if node not in mapping:
            operands = tuple(mapping[operand] for operand in rule.operands(node))
            with builder.at(rule.spans.get(node, outside.spans), rule.scopes.get(node, outside.scopes)):
                mapping[node] = builder.make(node.op, operands, node.attrs, node.type)
            builder.name(mapping[node], *rule.names.get(node, ()))
    return {name: builder.value(mapping[node]) for name, node in rule.outputs.items()}


def without_rules(graph: Graph) -> Graph:
    """The graph with what functions compute in the place of their calls, also in the steps of scans."""
    if all(node.op.rule is None and not subgraphs(node) for node in graph.nodes):
        return graph
    builder = Builder()

    def step(node: Node, operands: tuple[Node, ...]) -> Node | None:
        if node.op.higher_order:
            attrs = {name: without_rules(x) if isinstance(x, Graph) else x for name, x in node.attrs.items()}
            return builder.make(node.op, operands, attrs, node.type)
        return operands[0] if node.op.rule is not None else None

    mapping = rebuild(graph, builder, step=step)
    return builder.finish({name: mapping[node] for name, node in graph.outputs.items()}, doc=graph.doc)


def _first(value: TensorType, *operands: TensorType) -> TensorType:
    return value


def _unchanged(c: OpCall, value: ast.expr, *operands: ast.expr) -> ast.expr:
    return value


def _batched(name: str, rule: Graph, values: list[Value], batched: tuple[bool, ...]) -> Value:
    """The rule of each example: the cotangent of an operand that all share is the sum of theirs."""
    size = next(value.shape[0] for value, moved in zip(values, batched, strict=True) if moved)
    builder = Builder()
    moving = dict(zip(rule.inputs, (True, True, *batched[1:]), strict=True))
    leaves: dict[Node, Value] = {}
    shared: dict[Node, Value] = {}
    for node, moved in moving.items():
        type = node.tensor
        given = TensorType(type.dtype, (size, *type.shape)) if moved else type
        (leaves if moved else shared)[node] = builder.input(str(node.attrs["name"]), given)
    copied = batch(rule, builder, leaves, shared)
    whole = {output: copied.whole(builder, node, size) for output, node in rule.outputs.items()}
    for node in shared:
        output = f"d_{node.attrs['name']}"
        if output in whole:
            whole[output] = OPS["sum"](whole[output], axis=0)
    op = custom_op(name, builder.finish({output: value.node for output, value in whole.items()}))
    return op(values[0] if batched[0] else batch_rules.spread_over(values[0], size), *values[1:])
