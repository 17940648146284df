"""Scans made smaller: no result, carry or operand that nobody needs; what is the same in each step is computed before.

Which results of a scan are needed is known when all its users are, so nodes are judged last to first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from graphc.builder import Builder, rebuild
from graphc.graph import Graph, Node, subgraphs
from graphc.op import OPS
from graphc.ops.scan_steps import arranged, reached
from graphc.rewrite.engine import Firing


def has_scans(graph: Graph) -> bool:
    """Whether there is anything to do."""
    return any(subgraphs(node) for node in graph.nodes)


def step_of(scan: Node) -> Graph:
    """The step of a scan."""
    return cast(Graph, scan.attrs["step"])


def tidy_scans(graph: Graph) -> Graph:
    """The graph with each scan cut down to what is needed of it, and invariant nodes of steps outside of them."""
    live, smaller = _judged(graph)
    builder = Builder(intern=True)
    kept = {*live, *graph.inputs, *graph.params}

    def step(node: Node, operands: tuple[Node, ...]) -> Node | None:
        if node in smaller:
            given = dict(zip((o for o in graph.operands(node) if o in kept), operands, strict=True))
            return smaller[node].made(builder, node, [given.get(o) for o in graph.operands(node)])
        if node.op is OPS["item"] and graph.operands(node)[0] in smaller:
            index = smaller[graph.operands(node)[0]].indices[cast(int, node.attrs["index"])]
            return builder.make(node.op, operands, {"index": index})
        return None

    mapping = rebuild(graph, builder, nodes=[node for node in graph.nodes if node in kept], step=step)
    return builder.finish({name: mapping[node] for name, node in graph.outputs.items()}, doc=graph.doc)


def moved_out(graph: Graph) -> tuple[Firing, ...]:
    """What `tidy_scans` moves out of the steps of a graph's scans, as entries for `graphc show --rewrites`."""
    found: dict[Firing, None] = {}
    for smaller in _judged(graph)[1].values():
        step = smaller.old
        for node in sorted(reached(step, smaller.invariants, step.inputs), key=lambda node: node.serial):
            if step.operands(node):
                span = next(iter(step.spans.get(node, ())), None)
                found[Firing("invariant_of_scan", span, did=f"{node.op.name} before the first step")] = None
    inner = (entry for node in graph.nodes for step in subgraphs(node) if has_scans(step) for entry in moved_out(step))
    return tuple(dict.fromkeys((*found, *inner)))


def _judged(graph: Graph) -> tuple[set[Node], dict[Node, _Smaller]]:
    """The nodes that the outputs need, and what is left of each scan."""
    live = set(graph.outputs.values())
    used: dict[Node, set[int]] = {}
    smaller: dict[Node, _Smaller] = {}
    for node in reversed(graph.nodes):
        if node not in live:
            continue
        operands = graph.operands(node)
        if node.op is OPS["item"]:
            used.setdefault(operands[0], set()).add(cast(int, node.attrs["index"]))
        elif node.op is OPS["scan"]:
            smaller[node] = _cut(node, used[node])
            operands = tuple(operands[p] for p in smaller[node].needed)
        live.update(operands)
    return live, smaller


@dataclass(frozen=True)
class _Smaller:
    """What is left of a scan.

    Attributes
    ----------
    old : Graph
        The step, less what nobody needs.
    step : Graph
        With the inputs of ``operands``, then the invariants.
    operands : sequence of int
        The positions of the operands that stay.
    counts : (int, int)
        How many of these are carries, and how many are scanned over.
    indices : mapping of int to int
        From the old numbers of results to the new ones.
    invariants : sequence of Node
        Nodes of the old step that are computed before the first one.
    """

    old: Graph
    step: Graph
    operands: Sequence[int]
    counts: tuple[int, int]
    indices: Mapping[int, int]
    invariants: Sequence[Node]

    @property
    def needed(self) -> list[int]:
        """The positions of the operands that stay, and of those that only the invariants are computed from."""
        kept, before = {*self.operands}, reached(self.old, self.invariants)
        return [p for p, x in enumerate(self.old.inputs) if p in kept or x in before]

    def made(self, builder: Builder, scan: Node, given: Sequence[Node | None]) -> Node:
        """The scan in a builder; ``given`` are the old operands, None for those that nobody needs any more."""
        old = self.old
        outside = {node: operand for node, operand in zip(old.inputs, given, strict=True) if operand is not None}
        place = builder.place
        for node in sorted(reached(old, self.invariants, old.inputs), key=lambda node: node.serial):
            if node not in outside:
                with builder.at(tuple(old.spans.get(node, ())), tuple(old.scopes.get(node, ()))):
                    outside[node] = builder.make(node.op, tuple(outside[o] for o in old.operands(node)), node.attrs)
                builder.name(outside[node], *old.names.get(node, ()))
        operands = [operand for p in self.operands if (operand := given[p]) is not None]
        operands += [outside[node] for node in self.invariants]
        carries, xs = self.counts
        attrs = {**scan.attrs, "step": self.step, "carries": carries, "xs": xs}
        with builder.at(place.spans, place.scopes):
            return builder.make(scan.op, tuple(operands), attrs)


def _cut(node: Node, used: Collection[int]) -> _Smaller:
    step, carries = cast(Graph, node.attrs["step"]), cast(int, node.attrs["carries"])
    split = carries + cast(int, node.attrs["xs"])
    outputs = list(step.outputs.values())
    stacked = [k for k in range(carries, len(outputs)) if k in used]
    before = {k for k in range(carries) if k in used or len(outputs) + k in used}
    while True:
        needed = reached(step, [outputs[k] for k in (*sorted(before), *stacked)])
        grown = before | {k for k in range(carries) if step.inputs[k] in needed}
        if grown == before:
            break
        before = grown
    results = [*sorted(before), *stacked]
    indices = {old: new for new, old in enumerate(results)}
    indices |= {len(outputs) + k: len(results) + place for place, k in enumerate(sorted(before))}
    if has_scans(step):
        # What the scans in a step need depends on what is left of the step.
        step = tidy_scans(arranged(step, step.inputs, [outputs[k] for k in results], step.doc))
        results, outputs = [*range(len(results))], list(step.outputs.values())
    invariants = _invariants(step, split, [outputs[k] for k in results])
    needed = reached(step, [outputs[k] for k in results], invariants)
    operands = [p for p, x in enumerate(step.inputs) if (p in before if p < carries else x in needed)]
    whole = len(results) == len(outputs) and len(operands) == len(step.inputs) and not invariants
    inputs = [*(step.inputs[p] for p in operands), *invariants]
    made = step if whole else arranged(step, inputs, [outputs[k] for k in results], step.doc)
    counts = len(before), sum(1 for p in operands if carries <= p < split)
    return _Smaller(step, made, operands, counts, indices, invariants)


def _invariants(step: Graph, split: int, outputs: Collection[Node]) -> list[Node]:
    """The last nodes of what depends on captured values alone, where anything is computed; numbers stay inside."""
    moving = set(step.inputs[:split])
    found: dict[Node, None] = {}
    needed = reached(step, outputs)
    for node in step.nodes:
        operands = step.operands(node)
        if node in needed and any(operand in moving for operand in operands):
            moving.add(node)
            found.update((o, None) for o in operands if o not in moving and step.operands(o))
    found.update((node, None) for node in outputs if node not in moving and step.operands(node))
    return list(found)
