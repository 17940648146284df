"""``scan``: a step applied again and again, as one op; its derivative and batching rules are in `scan_rules`.

The step is a graph, held as an attribute. Its inputs are the carries, then a slice of each of ``xs``, then what the
step captures; its outputs are the next carries, then what is stacked. The operands of the op are the first carries,
``xs`` with the steps along their leading axis, and the captured values; its results are

* the last carries,
* the stacked outputs of the steps,
* the stacked carries as each step found them, which the reverse pass reads and nobody else pays for: a back end makes
  what is used.
"""

from __future__ import annotations

import ast

from graphc.builder import Builder
from graphc.errors import TypeRuleError
from graphc.graph import Graph
from graphc.op import OPS, Condition, Op, OpCall, Sample, define
from graphc.ops import elementwise, leaves, products, scan_rules, shapes
from graphc.size import Size
from graphc.tensor_type import TensorType, TupleType

__all__ = ["SCAN", "elementwise", "leaves", "products", "shapes"]


def _scan_type(*operands: TensorType, step: Graph, carries: int, xs: int, length: Size, reverse: bool) -> TupleType:
    inputs = [node.tensor for node in step.inputs]
    outputs = [node.tensor for node in step.outputs.values()]
    expected = [_stacked(type, length) if carries <= p < carries + xs else type for p, type in enumerate(inputs)]
    if list(operands) != expected:
        found = f"got {_listed(operands)} for {_listed(expected)}"
        raise TypeRuleError("GC203", f"scan needs the operands that its step takes, {found}")
    if outputs[:carries] != inputs[:carries]:
        found = f"got {_listed(inputs[:carries])} before and {_listed(outputs[:carries])} after a step"
        raise TypeRuleError("GC206", f"the carry of scan needs one type, {found}")
    return TupleType((*inputs[:carries], *(_stacked(type, length) for type in (*outputs[carries:], *inputs[:carries]))))


def _stacked(type: TensorType, length: Size) -> TensorType:
    return TensorType(type.dtype, (length, *type.shape))


def _listed(types: object) -> str:
    return ", ".join(map(str, types)) if isinstance(types, (list, tuple)) else str(types)


def _conditions(
    *operands: TensorType, step: Graph, carries: int, xs: int, length: Size, reverse: bool
) -> list[Condition]:
    """What the operations of the step ask of sizes."""
    asking = [(node.op.conditions, node) for node in step.nodes if node.op.conditions is not None]
    types = {node: tuple(operand.type for operand in step.operands(node)) for _, node in asking}
    return [condition for conditions, node in asking for condition in conditions(*types[node], **node.attrs)]


def _written_as_a_loop(c: OpCall, *operands: ast.expr, **attrs: object) -> ast.expr:
    raise AssertionError("scan is statements, not an expression")


def _sample(shape: tuple[int, ...], length: int, *, reverse: bool) -> Sample:
    """h' = sin(h * w) + x and y = h * x, over some steps."""
    type = TensorType("float64", shape)
    builder = Builder()
    h, x, w = (builder.input(name, type) for name in ("h", "x", "w"))
    step = builder.finish({"carry": (OPS["sin"](h * w) + x).node, "y": (h * x).node}, doc="step")
    attrs = {"step": step, "carries": 1, "xs": 1, "length": length, "reverse": reverse}
    return Sample((type, TensorType("float64", (length, *shape)), type), attrs)


SCAN = define(
    Op(
        "scan",
        None,
        infer=_scan_type,
        numpy=_written_as_a_loop,
        vjp=scan_rules.vjp,
        jvp=scan_rules.jvp,
        batching=scan_rules.batching,
        higher_order=True,
        flops=0,
        repeats=lambda *, length, **_: length,
        conditions=_conditions,
        samples=(_sample((3,), 4, reverse=False), _sample((), 3, reverse=True), _sample((2,), 0, reverse=False)),
        doc="a step applied again and again: the last carries, and what the steps give, stacked",
    )
)
