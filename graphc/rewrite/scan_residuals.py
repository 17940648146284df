"""What a scan computes again, step by step, that an earlier one has computed: stacked there, where that costs less.

The steps of a derivative begin from the carries before each step and repeat its inside. Which values are equal is seen
by giving all scans of a graph one table of values; which of them to keep is a minimum cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from graphc.builder import Builder, attrs_key, rebuild
from graphc.graph import Graph, Node
from graphc.op import OPS
from graphc.ops.scan_steps import arranged
from graphc.rewrite.cuts import ALWAYS, SINK, SOURCE, Network
from graphc.rewrite.scan_costs import BYTE, LARGEST, MOST_NODES, arithmetic, call, kept, nbytes
from graphc.rewrite.scans import has_scans, step_of

Made = tuple[Node, Node]
"""A scan, and a node of its step."""


def keep_residuals(graph: Graph) -> Graph:
    """The graph with values of steps kept for the scans that compute them again."""
    taken = _taken(graph)
    if not taken:
        return graph
    more: dict[Node, list[Node]] = {}
    for scan, inner in dict.fromkeys(made for nodes in taken.values() for made in nodes.values()):
        more.setdefault(scan, []).extend(() if inner in _rows(scan) else (inner,))
    builder = Builder(intern=True)
    scans: dict[Node, Node] = {}

    def step(node: Node, operands: tuple[Node, ...]) -> Node | None:
        if node.op is OPS["item"] and (source := graph.operands(node)[0]) in more:
            index, outputs = cast(int, node.attrs["index"]), len(step_of(source).outputs)
            moved = index + len(more[source]) if index >= outputs else index
            return builder.make(node.op, operands, {"index": moved})
        if node not in more and node not in taken:
            return None
        given = {
            inner: _item(builder, scans[scan], _index(scan, row, more[scan]), step_of(scan).name(row))
            for inner, (scan, row) in taken.get(node, {}).items()
        }
        scans[node] = _changed(builder, node, operands, given, more.get(node, ()))
        return scans[node]

    mapping = rebuild(graph, builder, step=step)
    return builder.finish({name: mapping[node] for name, node in graph.outputs.items()}, doc=graph.doc)


def _rows(scan: Node) -> list[Node]:
    """What the steps of a scan stack."""
    return list(step_of(scan).outputs.values())[cast(int, scan.attrs["carries"]) :]


def _index(scan: Node, row: Node, more: Sequence[Node]) -> int:
    """The number of the result that stacks a row, where there are more of them."""
    return cast(int, scan.attrs["carries"]) + [*_rows(scan), *more].index(row)


def _item(builder: Builder, scan: Node, index: int, name: str) -> Node:
    found = builder.make(OPS["item"], (scan,), {"index": index})
    if name:
        builder.name(found, f"{name}_steps")
    return found


def _changed(
    builder: Builder, scan: Node, operands: tuple[Node, ...], given: Mapping[Node, Node], rows: Sequence[Node]
) -> Node:
    """A scan that also goes over what is given for nodes of its step, and stacks some rows."""
    step, carries, xs = step_of(scan), cast(int, scan.attrs["carries"]), cast(int, scan.attrs["xs"])
    split = carries + xs
    inputs = [*step.inputs[:split], *given, *step.inputs[split:]]
    made = arranged(step, inputs, [*step.outputs.values(), *rows], step.doc)
    attrs = {**scan.attrs, "step": made, "xs": xs + len(given)}
    return builder.make(scan.op, (*operands[:split], *given.values(), *operands[split:]), attrs)


@dataclass
class _Table:
    """Numbers of values: equal ones of all scans have one, and the first to compute it."""

    graph: Graph
    numbers: dict[object, int] = field(default_factory=dict)
    first: dict[int, Made] = field(default_factory=dict)
    of: dict[Made, int] = field(default_factory=dict)

    def number(self, scan: Node, node: Node, key: object) -> None:
        """Give a value of a step its number."""
        found = self.of[scan, node] = self.numbers.setdefault(key, len(self.numbers))
        self.first.setdefault(found, (scan, node))

    def enter(self, scan: Node) -> None:
        """Give all values of a step theirs."""
        step, operands = step_of(scan), self.graph.operands(scan)
        carries, xs = cast(int, scan.attrs["carries"]), cast(int, scan.attrs["xs"])
        for p, (node, operand) in enumerate(zip(step.inputs, operands, strict=True)):
            moving = p < carries + xs
            own = ("carry", scan, p) if p < carries else ("slice", operand) if moving else ("same", operand)
            before = self._inside(operand) if carries <= p < carries + xs else None
            self.of[scan, node] = (
                self.of[before] if before in self.of else self.numbers.setdefault(own, len(self.numbers))
            )
        for node in step.nodes:
            if (scan, node) not in self.of:
                operands_of = tuple(self.of[scan, operand] for operand in step.operands(node))
                self.number(scan, node, (node.op, operands_of, attrs_key(node.attrs)))

    def _inside(self, operand: Node) -> Made | None:
        """What of an earlier step an operand stacks."""
        if operand.op is not OPS["item"]:
            return None
        scan, index = self.graph.operands(operand)[0], cast(int, operand.attrs["index"])
        if scan.op is not OPS["scan"] or index < cast(int, scan.attrs["carries"]):
            return None
        step = step_of(scan)
        outputs = list(step.outputs.values())
        return scan, outputs[index] if index < len(outputs) else step.inputs[index - len(outputs)]


def _taken(graph: Graph) -> dict[Node, dict[Node, Made]]:
    """By scan, the nodes that it is better given than computes, each with the scan that does and its node there."""
    table, taken = _Table(graph), {}
    for scan in graph.nodes:
        if scan.op is not OPS["scan"] or has_scans(step_of(scan)) or len(step_of(scan).nodes) > MOST_NODES:
            continue
        table.enter(scan)
        known = {node: first for node in _moving(scan) if (first := table.first[table.of[scan, node]])[0] is not scan}
        if found := _worth_keeping(graph, scan, known):
            taken[scan] = {node: known[node] for node in found}
    return taken


def _moving(scan: Node) -> list[Node]:
    """The nodes of a step that depend on what it is given for itself."""
    step = step_of(scan)
    found = set(step.inputs[: cast(int, scan.attrs["carries"]) + cast(int, scan.attrs["xs"])])
    for node in step.nodes:
        if any(operand in found for operand in step.operands(node)):
            found.add(node)
    return [node for node in step.nodes if node in found and step.operands(node)]


def _worth_keeping(graph: Graph, scan: Node, known: Mapping[Node, Made]) -> list[Node]:
    """A minimum cut: a value that is wanted is given, or computed from others that are wanted then.

    What can be computed again depends on no carry of this scan, so that it can be for all steps at once.
    """
    step, network = step_of(scan), Network()
    for node, (source, inner) in known.items():
        users = [user for user, _ in step.users(node)]
        if any(user not in known for user in users) or node in step.outputs.values():
            network.edge(SOURCE, node, ALWAYS)
        network.edge(node, (node, "again"), _keeping(graph, source, inner))
        network.edge((node, "again"), SINK, max(min(call(node), nbytes(node) * BYTE), 0) + arithmetic(step, node))
        for operand in step.operands(node):
            if operand in known:
                network.edge((node, "again"), operand, ALWAYS)
    above = network.above()
    return [node for node in known if node in above and (node, "again") not in above]


def _keeping(graph: Graph, scan: Node, node: Node) -> float:
    """What it costs to stack a value in the scan that computes it; nothing where that is done already."""
    rows = _rows(scan)
    if node in rows:
        return 0
    step, split = step_of(scan), len(step_of(scan).outputs)
    carries, xs = cast(int, scan.attrs["carries"]), cast(int, scan.attrs["xs"])
    used = [cast(int, user.attrs["index"]) for user, _ in graph.users(scan)]
    found = [step.inputs[index - split] for index in used if index >= split]
    held = sum(map(nbytes, (*step.inputs[carries : carries + xs], *rows, *found)))
    return kept(node) if nbytes(node) <= LARGEST * held else ALWAYS
