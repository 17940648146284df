"""Derivatives and batching of `scan`: each is a scan again, of a step that the engine makes from the step's graph.

The engine (reverse mode, forward mode, batching) calls the rule and is handed to it, for an op may not import what
works on ops. The carries as each step found them are results of the scan, so that the inside of a step, and nothing
else, is computed again. A carry takes part in a transformation when what enters it does, or what a step makes of it:
the smallest such set is found by trying until nothing joins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphc.builder import Builder, rebuild
from graphc.graph import Graph, Node
from graphc.op import OPS
from graphc.ops.axes import zeros
from graphc.ops.batch_rules import spread_over, with_size
from graphc.ops.scan_steps import arranged, reached
from graphc.size import Size
from graphc.tensor_type import TensorType
from graphc.value import Value

Engine = Callable[..., Any]


def vjp(
    ct: Sequence[Value | None],
    y: Value,
    *operands: Value,
    engine: Engine,
    step: Graph,
    carries: int,
    xs: int,
    length: Size,
    reverse: bool,
) -> list[Value | None]:
    """The steps in the other order: the carry is its cotangent, and the cotangents of what is captured, added up."""
    inside = _Inside.of(step, carries, xs)
    seeds = {k: inside.input(f"d_{inside.name(k)}", out) for k, out in enumerate(inside.outs) if _is_float(out)}
    variables = {str(p): node for p, node in enumerate(inside.inputs) if _is_float(node)}
    active = {k for k in range(carries) if ct[k] is not None}
    while True:
        sent = [k for k in seeds if (k in active if k < carries else ct[k] is not None)]
        if not sent:
            return [None] * len(operands)
        found = engine(inside.builder, [(inside.outs[k], seeds[k]) for k in sent], variables)
        back = {p: found.nodes[node] for p, node in enumerate(inside.inputs) if str(p) in variables}
        reached = [p for p in back if str(p) not in found.zero]
        if active.issuperset(p for p in reached if p < carries):
            break
        active.update(p for p in reached if p < carries)
    called = _Called(inside, y, operands, length, not reverse)
    for k in sorted(active):
        called.carry(k, seeds[k], ct[k] or zeros(y.builder, seeds[k].tensor), back[k])
    for p in (p for p in reached if p >= carries + xs):
        name = f"d_{inside.graph_name(inside.inputs[p])}"
        total = inside.input(name, inside.inputs[p])
        added = inside.builder.value(total) + inside.builder.value(back[p])
        # The sum is what the model's gradient is called, not what one step adds to it.
        inside.builder.unname(back[p], name)
        inside.builder.name(added.node, name)
        called.carry(p, total, zeros(y.builder, total.tensor), added.node)
    for p in (p for p in reached if carries <= p < carries + xs):
        called.stack(p, back[p])
    scanned = {seeds[k]: given for k in sent if k >= carries and (given := ct[k]) is not None}
    results = called.results(scanned, {})
    return [results.get(p) for p in range(len(operands))]


def jvp(
    y: Value,
    tangents: Mapping[int, Value],
    *operands: Value,
    engine: Engine,
    step: Graph,
    carries: int,
    xs: int,
    length: Size,
    reverse: bool,
) -> list[Value | None]:
    """The steps in the same order, on tangents."""
    inside = _Inside.of(step, carries, xs)
    dots = {
        p: inside.input(f"{inside.graph_name(node)}_dot", node)
        for p, node in enumerate(inside.inputs)
        if _is_float(node) and (p < carries or p in tangents)
    }
    active = {p for p in tangents if p < carries}
    while True:
        moving = {inside.inputs[p]: dot for p, dot in dots.items() if p in active or p in tangents}
        found = engine(inside.builder, moving, inside.outs)
        joined = {k for k in range(carries) if inside.outs[k] in found}
        if active.issuperset(joined):
            break
        active |= joined
    called = _Called(inside, y, operands, length, reverse)
    for k in sorted(active):
        after = found.get(inside.outs[k]) or zeros(inside.builder, dots[k].tensor).node
        called.carry(k, dots[k], tangents.get(k) or zeros(y.builder, dots[k].tensor), after)
    for k, out in enumerate(inside.outs):
        if k >= carries and out in found:
            called.stack(k, found[out])
    scanned = {dots[p]: x for p, x in tangents.items() if carries <= p < carries + xs}
    results = called.results(scanned, {dots[p]: x for p, x in tangents.items() if p >= carries + xs})
    return [results.get(k) for k in range(len(inside.outs))]


def batching(
    values: Sequence[Value],
    batched: Sequence[bool],
    *,
    engine: Engine,
    step: Graph,
    carries: int,
    xs: int,
    length: Size,
    reverse: bool,
) -> tuple[Value, ...]:
    """A scan of the batched step: the steps stay the leading axis of what is scanned, the batch comes behind it."""
    size = with_size(values, batched)
    outs = [*step.outputs.values()]
    has = list(batched)
    while True:
        inner = Builder(intern=True)
        given = {node: _leaf(inner, step, node, size if has[p] else None) for p, node in enumerate(step.inputs)}
        copied = engine(step, inner, *_divided(given, step.inputs, has))
        joined = [k for k in range(carries) if outs[k] in copied.batched and not has[k]]
        if not joined:
            break
        for k in joined:
            has[k] = True
    nodes = [
        copied.whole(inner, out, size).node if k < carries and has[k] else copied.nodes[out]
        for k, out in enumerate(outs)
    ]
    made = inner.finish({str(k): node for k, node in enumerate(nodes)}, doc=step.doc)
    operands = []
    for p, (x, moved) in enumerate(zip(values, batched, strict=True)):
        if p < carries and has[p] and not moved:
            x = spread_over(x, size)
        operands.append(_exchanged(x) if moved and carries <= p < carries + xs else x)
    attrs = {"step": made, "carries": carries, "xs": xs, "length": length, "reverse": reverse}
    result = OPS["scan"](*operands, **attrs)
    whole = [has[k] if k < carries else out in copied.batched for k, out in enumerate(outs)]
    found = []
    for k, moved in enumerate([*whole, *has[:carries]]):
        item = OPS["item"](result, index=k)
        found.append((item if k < carries else _exchanged(item)) if moved else spread_over(item, size))
    return tuple(found)


def _divided(
    given: Mapping[Node, Value], inputs: Sequence[Node], has: Sequence[bool]
) -> tuple[dict[Node, Value], dict[Node, Value]]:
    pairs = list(zip(inputs, has, strict=True))
    return {node: given[node] for node, moved in pairs if moved}, {
        node: given[node] for node, moved in pairs if not moved
    }


def _leaf(builder: Builder, step: Graph, node: Node, size: Size | None) -> Value:
    type = node.tensor if size is None else TensorType(node.tensor.dtype, (size, *node.tensor.shape))
    return builder.input(str(node.attrs["name"]), type)


def _exchanged(x: Value) -> Value:
    """The first two axes in the other order."""
    return OPS["transpose"](x, axes=(1, 0, *range(2, x.ndim)))


def _is_float(node: Node) -> bool:
    return node.tensor.is_float


@dataclass(frozen=True)
class _Inside:
    """A step copied into a builder, to be transformed there: what it takes, and what a scan of it gives."""

    builder: Builder
    inputs: list[Node]
    outs: list[Node]
    carries: int
    xs: int
    doc: str

    @classmethod
    def of(cls, step: Graph, carries: int, xs: int) -> _Inside:
        builder = Builder(intern=True)
        mapping = rebuild(step, builder)
        inputs = [mapping[node] for node in step.inputs]
        outs = [*(mapping[node] for node in step.outputs.values()), *inputs[:carries]]
        return cls(builder, inputs, outs, carries, xs, step.doc)

    def name(self, k: int) -> str:
        """What the model calls an output."""
        return self.graph_name(self.inputs[k] if k < self.carries else self.outs[k])

    def graph_name(self, node: Node) -> str:
        """What the model calls a node."""
        return next(iter(self.builder.names.get(node, {})), node.op.name)

    def input(self, name: str, like: Node) -> Node:
        """One more input, of the type of a node."""
        return self.builder.input(name, like.tensor).node


@dataclass
class _Called:
    """A scan under construction whose step is among the nodes of another's."""

    inside: _Inside
    y: Value
    operands: Sequence[Value]
    length: Size
    reverse: bool
    carried: list[tuple[int, Node, Value, Node]] = field(default_factory=list)
    stacked: list[tuple[int, Node]] = field(default_factory=list)

    def carry(self, key: int, before: Node, first: Value, after: Node) -> None:
        """A carry: its input of the step, what it begins with, and what a step makes of it."""
        self.carried.append((key, before, first, after))

    def stack(self, key: int, output: Node) -> None:
        """An output of each step."""
        self.stacked.append((key, output))

    def results(self, scanned: Mapping[Node, Value], captured: Mapping[Node, Value]) -> dict[int, Value]:
        """Apply the scan; what carries end with and what is stacked, by key.

        Parameters
        ----------
        scanned, captured : mapping of Node to Value
            Further inputs of the step, each with what is scanned over or captured for it.
        """
        inside = self.inside
        outputs = [*(after for *_, after in self.carried), *(node for _, node in self.stacked)]
        if not outputs:
            return {}
        needed = reached(inside.builder, outputs)
        over: dict[Node, Value] = {}
        rest: dict[Node, Value] = {}
        for p, node in enumerate(inside.inputs):
            if node in needed:
                (over if p < inside.carries + inside.xs else rest)[node] = self._own(p)
        over |= {node: x for node, x in scanned.items() if node in needed}
        rest |= {node: x for node, x in captured.items() if node in needed}
        step = arranged(
            inside.builder, [*(before for _, before, _, _ in self.carried), *over, *rest], outputs, inside.doc
        )
        first = [x for _, _, x, _ in self.carried]
        attrs = {"carries": len(first), "xs": len(over), "length": self.length, "reverse": self.reverse}
        result = OPS["scan"](*first, *over.values(), *rest.values(), step=step, **attrs)
        keys = [*(key for key, *_ in self.carried), *(key for key, _ in self.stacked)]
        return {key: OPS["item"](result, index=index) for index, key in enumerate(keys)}

    def _own(self, p: int) -> Value:
        """What an input of the original step has in all steps, or in each."""
        if p >= self.inside.carries:
            return self.operands[p]
        found = OPS["item"](self.y, index=len(self.inside.outs) - self.inside.carries + p)
        self.y.builder.name(found.node, f"{self.inside.name(p)}_before")
        return found
