"""Forward mode: tangents pushed through a graph under construction, derived from what ops declare for reverse mode.

Elementwise ops use the same partials, linear ops are applied to the tangents, and for the rest the vector-Jacobian
product, which is linear in the cotangent, is transposed by differentiating it. Only a function's own gradient rule may
be no such product: that is refused.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias, cast

from graphc.autodiff import backpropagate, between, differentiable_operands, place_of
from graphc.builder import Builder
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.finite import Finiteness
from graphc.graph import Node
from graphc.guards import ZEROS, Guard, chosen, multiplied, united
from graphc.linearity import first_nonlinear
from graphc.op import OPS, Conventions
from graphc.ops.axes import zeros
from graphc.symbolic import partials
from graphc.tensor_type import TupleType
from graphc.value import Value

Tangent: TypeAlias = Node | tuple[Node | None, ...]
"""A tangent; of a node with several results, one for each (None is zero) or a node with several results."""


def push_forward(
    builder: Builder,
    tangents: Mapping[Node, Node],
    outputs: Sequence[Node],
    *,
    conventions: Conventions = "graphc",
) -> dict[Node, Node]:
    """Add the tangents of some nodes to a graph under construction.

    Parameters
    ----------
    builder : Builder
    tangents : mapping of Node to Node
        The variables, each with its tangent, of the same type.
    outputs : sequence of Node
        The nodes whose tangents are wanted.
    conventions : {"graphc", "torch", "jax"}
        Whose derivatives hold at kinks.

    Returns
    -------
    dict
        From nodes to their tangents; a node that no variable reaches, or only through piecewise constant ops, has none.

    Examples
    --------
    >>> from graphc.builder import Builder
    >>> from graphc.op import OPS
    >>> from graphc.tensor_type import TensorType
    >>> builder = Builder(intern=True)
    >>> x, dx = builder.input("x", TensorType("float64")), builder.input("dx", TensorType("float64"))
    >>> y = OPS["sin"](x)
    >>> push_forward(builder, {x.node: dx.node}, [y.node])[y.node]
    %4 mul: float64[]
    """
    run = _Forward(builder, conventions, Finiteness(builder.operands), dict(tangents), dict.fromkeys(tangents))
    for node in between(builder, outputs, tangents):
        if node in run.tangents:
            continue
        operands = builder.operands(node)
        moving = {p: operands[p] for p in differentiable_operands(node, operands) if operands[p] in run.tangents}
        with place_of(builder, node):
            tangent, guard = _tangent(run, node, moving) if moving else (None, None)
        if tangent is None:
            continue
        run.tangents[node], run.guards[node] = tangent, guard
        if isinstance(tangent, Node):
            builder.name(tangent, *(f"{name}_dot" for name in builder.names.get(node, {})))
    return {node: tangent for node, tangent in run.tangents.items() if isinstance(tangent, Node)}


@dataclass(frozen=True)
class _Forward:
    """What a forward pass works with, and what it found: tangents, and where they may differ from zero."""

    builder: Builder
    conventions: Conventions
    finite: Finiteness
    tangents: dict[Node, Tangent]
    guards: dict[Node, Guard]


def _tangent(run: _Forward, node: Node, moving: Mapping[int, Node]) -> tuple[Tangent | None, Guard]:
    """The tangent of a node from those of the operands that move, and where it may differ from zero."""
    builder = run.builder
    tangents = {position: run.tangents[operand] for position, operand in moving.items()}
    if node.op is OPS["item"] and isinstance(tangents[0], tuple):
        return tangents[0][cast(int, node.attrs["index"])], None
    single = {position: tangent for position, tangent in tangents.items() if isinstance(tangent, Node)}
    guards = {position: run.guards[moving[position]] for position in single}
    if node.op is OPS["where"]:
        return _selected(builder, node, single, guards)
    if node.op.elementwise is not None:
        return _elementwise_tangent(run, node, single, guards)
    if node.op.linear or node.op is OPS["item"]:
        made = builder.make(node.op, _linear_operands(builder, node, single), node.attrs, node.type)
        return made, None if None in guards.values() else ZEROS
    if node.op.jvp is not None:
        return _by_rule(run, node, single), None
    return _transposed(builder, node, single, run.conventions), None


def _by_rule(run: _Forward, node: Node, moving: Mapping[int, Node]) -> Tangent:
    assert node.op.jvp is not None
    builder = run.builder
    tangents = {position: builder.value(tangent) for position, tangent in moving.items()}
    operands = (builder.value(operand) for operand in builder.operands(node))
    given = {"engine": functools.partial(push_forward, conventions=run.conventions)} if node.op.higher_order else {}
    found = node.op.jvp(builder.value(node), tangents, *operands, **node.attrs, **given)
    return tuple(None if value is None else value.node for value in found)


def _selected(
    builder: Builder, node: Node, moving: Mapping[int, Node], guards: Mapping[int, Guard]
) -> tuple[Node, Guard]:
    """Selected, not multiplied by the condition: the tangent of the branch not taken may be infinite."""
    condition, *_ = (builder.value(operand) for operand in builder.operands(node))
    branches = [builder.value(moving[p]) if p in moving else 0 for p in (1, 2)]
    guard = united(chosen(guards[p], condition.node, p == 1) for p in moving)
    return _filling(OPS["where"](condition, *branches), node), guard


def _elementwise_tangent(
    run: _Forward, node: Node, moving: Mapping[int, Node], guards: Mapping[int, Guard]
) -> tuple[Node | None, Guard]:
    operands = [run.builder.value(operand) for operand in run.builder.operands(node)]
    slopes = partials(node.op, run.conventions)
    terms, zeros_of = [], []
    for position, tangent in moving.items():
        partial = slopes[position]
        if partial is not None:
            factor = partial(run.builder.value(node), *operands)
            term, guard = multiplied(run.finite, run.builder.value(tangent), factor, guards[position], operands)
            terms.append(term)
            zeros_of.append(guard)
    if not terms:
        return None, None
    return _filling(reduce(lambda left, right: left + right, terms), node), united(zeros_of)


def _filling(tangent: Value, node: Node) -> Node:
    """A tangent in the shape of its node, to which operands that do not move may have been broadcast."""
    shape = node.tensor.shape
    return tangent.node if tangent.shape == shape else OPS["broadcast_to"](tangent, shape=shape).node


def _linear_operands(builder: Builder, node: Node, moving: Mapping[int, Node]) -> tuple[Node, ...]:
    """Tangents in the place of float operands; the tangent of one that does not move is zero."""
    operands = builder.operands(node)
    still = [p for p in differentiable_operands(node, operands) if p not in moving]
    zero = {p: zeros(builder, operands[p].tensor).node for p in still}
    return tuple({**dict(enumerate(operands)), **zero, **moving}.values())


def _transposed(builder: Builder, node: Node, moving: Mapping[int, Node], conventions: Conventions) -> Tangent | None:
    """``u -> vjp(u)`` is linear and its transpose pushes forward: the gradient of ``<vjp(u), tangents>`` by u."""
    assert node.op.vjp is not None, f"{node.op} has no derivative rule"
    types = node.type.items if isinstance(node.type, TupleType) else (node.type,)
    # Linear, so the transpose is the same at every u; a VJP need not look linear (expm's is an expm), so u is zeros.
    zero = builder.constant(0.0, types[0].dtype).node
    places = [builder.value(builder.fresh(OPS["broadcast_to"], (zero,), {"shape": type.shape}, type)) for type in types]
    operands = [builder.value(operand) for operand in builder.operands(node)]
    ct = tuple(places) if isinstance(node.type, TupleType) else places[0]
    pulled = node.op.vjp(ct, builder.value(node), *operands, **node.attrs)
    if node.op.rule is not None:
        _check_linear(builder, node, [pulled[p] for p in moving], [place.node for place in places])
    paired = [(pulled[p], builder.value(t)) for p, t in moving.items()]
    sums = [OPS["sum"](back * tangent) for back, tangent in paired if back is not None]
    if not sums:
        return None
    total = reduce(lambda left, right: left + right, sums)
    one = builder.constant(1.0, total.type.dtype)
    variables = {str(k): u.node for k, u in enumerate(places)}
    found = backpropagate(builder, [(total.node, one.node)], variables, conventions=conventions).nodes
    results = tuple(found[u.node] for u in places)
    return results if isinstance(node.type, TupleType) else results[0]


def _check_linear(builder: Builder, node: Node, pulled: Sequence[Value | None], places: Sequence[Node]) -> None:
    sent = [value.node for value in pulled if value is not None]
    fault = first_nonlinear(builder, sent, places)
    if fault is None:
        return
    spans = tuple(builder.spans.get(node, ()))
    message = f"the gradient rule of {node.op.name} has no forward mode: {fault.op.name} is not linear in the cotangent"
    related = tuple((span, "in the rule") for span in tuple(builder.spans.get(fault, ()))[-1:])
    raise GraphcError(Diagnostic("GC307", message, spans[0] if spans else None, "", related))
