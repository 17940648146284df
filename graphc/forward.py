"""Forward mode: tangents pushed through a graph under construction, derived from what ops declare for reverse mode.

Elementwise ops use the same partials, linear ops are applied to the tangents, and for the rest the vector-Jacobian
product, which is linear in the cotangent, is transposed by differentiating it. Only a function's own gradient rule may
be no such product: that is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TypeAlias, cast

from graphc.autodiff import backpropagate, between, differentiable_operands, place_of, scaled
from graphc.builder import Builder
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.graph import Node
from graphc.linearity import first_nonlinear
from graphc.op import OPS
from graphc.ops.axes import zeros
from graphc.symbolic import partials
from graphc.tensor_type import TupleType
from graphc.value import Value

Tangent: TypeAlias = Node | tuple[Node | None, ...]
"""A tangent; of a node with several results, one for each (None is zero) or a node with several results."""


def push_forward(builder: Builder, tangents: Mapping[Node, Node], outputs: Sequence[Node]) -> dict[Node, Node]:
    """Add the tangents of some nodes to a graph under construction.

    Parameters
    ----------
    builder : Builder
    tangents : mapping of Node to Node
        The variables, each with its tangent, of the same type.
    outputs : sequence of Node
        The nodes whose tangents are wanted.

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
    found: dict[Node, Tangent] = dict(tangents)
    for node in between(builder, outputs, tangents):
        if node in found:
            continue
        operands = builder.operands(node)
        moving = {p: found[operands[p]] for p in differentiable_operands(node, operands) if operands[p] in found}
        with place_of(builder, node):
            tangent = _tangent(builder, node, moving) if moving else None
        if tangent is None:
            continue
        found[node] = tangent
        if isinstance(tangent, Node):
            builder.name(tangent, *(f"{name}_dot" for name in builder.names.get(node, {})))
    return {node: tangent for node, tangent in found.items() if isinstance(tangent, Node)}


def _tangent(builder: Builder, node: Node, moving: Mapping[int, Tangent]) -> Tangent | None:
    if node.op is OPS["item"] and isinstance(moving[0], tuple):
        return moving[0][cast(int, node.attrs["index"])]
    single = {position: tangent for position, tangent in moving.items() if isinstance(tangent, Node)}
    if node.op is OPS["where"]:
        return _selected(builder, node, single)
    if node.op.elementwise is not None:
        return _elementwise_tangent(builder, node, single)
    if node.op.linear or node.op is OPS["item"]:
        return builder.make(node.op, _linear_operands(builder, node, single), node.attrs, node.type)
    if node.op.jvp is not None:
        return _by_rule(builder, node, single)
    return _transposed(builder, node, single)


def _by_rule(builder: Builder, node: Node, moving: Mapping[int, Node]) -> Tangent:
    assert node.op.jvp is not None
    tangents = {position: builder.value(tangent) for position, tangent in moving.items()}
    operands = (builder.value(operand) for operand in builder.operands(node))
    given = {"engine": push_forward} if node.op.higher_order else {}
    found = node.op.jvp(builder.value(node), tangents, *operands, **node.attrs, **given)
    return tuple(None if value is None else value.node for value in found)


def _selected(builder: Builder, node: Node, moving: Mapping[int, Node]) -> Node:
    """Selected, not multiplied by the condition: the tangent of the branch not taken may be infinite."""
    condition, *_ = (builder.value(operand) for operand in builder.operands(node))
    branches = [builder.value(moving[p]) if p in moving else 0 for p in (1, 2)]
    return _filling(OPS["where"](condition, *branches), node)


def _elementwise_tangent(builder: Builder, node: Node, moving: Mapping[int, Node]) -> Node | None:
    operands = [builder.value(operand) for operand in builder.operands(node)]
    terms = []
    for position, tangent in moving.items():
        partial = partials(node.op)[position]
        if partial is not None:
            terms.append(scaled(builder.value(tangent), partial(builder.value(node), *operands)))
    return _filling(reduce(lambda left, right: left + right, terms), node) if terms else None


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


def _transposed(builder: Builder, node: Node, moving: Mapping[int, Node]) -> Tangent | None:
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
    found = backpropagate(builder, [(total.node, one.node)], {str(k): u.node for k, u in enumerate(places)}).nodes
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
