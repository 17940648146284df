"""What of a step is computed for all steps at once, before the loop or after it: two minimum cuts of the step.

A node that depends on no carry may come before the loop; one that no next carry depends on, after it. What crosses
over is an array of all steps, so that the question is where crossing costs less than a call in each step does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from graphc.graph import Graph, Node
from graphc.op import OPS
from graphc.ops.scan_steps import reached
from graphc.rewrite.cuts import ALWAYS, SINK, SOURCE, Network
from graphc.rewrite.scan_costs import BYTE, FREE, LARGEST, READ_BYTE, VIEW, call, kept, nbytes
from graphc.rewrite.scan_sums import Term, independent, terms_of, uses
from graphc.size import Size, nominal
from graphc.tensor_type import TensorType


@dataclass(frozen=True)
class Step:
    """A step, with what the scan makes of it.

    Attributes
    ----------
    graph : Graph
    carries, xs : int
        How many of the inputs are carries, and how many are scanned over.
    length : Size
        How many steps there are.
    used : collection of int
        The numbers of the results that somebody needs.
    """

    graph: Graph
    carries: int
    xs: int
    length: Size
    used: Collection[int]

    @property
    def outputs(self) -> list[Node]:
        """The next carries, then what is stacked."""
        return list(self.graph.outputs.values())

    @property
    def scanned(self) -> tuple[Node, ...]:
        """The inputs of which each step has its own slice."""
        return self.graph.inputs[self.carries : self.carries + self.xs]

    @property
    def found(self) -> list[Node]:
        """The carries whose values before each step are a result."""
        outputs = len(self.graph.outputs)
        return [x for k, x in enumerate(self.graph.inputs[: self.carries]) if outputs + k in self.used]


@dataclass(frozen=True)
class Placement:
    """What leaves a step.

    Attributes
    ----------
    before, after : set of Node
        What is computed for all steps before the loop, and after it.
    still : set of Node
        What is the same in all steps.
    sums : mapping of int to sequence of Term
        By the numbers of the carries that only add up: what they do.
    contracted : set of Node
        The terms that come into being only as parts of a sum over all steps.
    """

    before: set[Node]
    after: set[Node]
    still: set[Node]
    sums: Mapping[int, Sequence[Term]]
    contracted: set[Node]


def placement(step: Step) -> Placement:
    """Decide what leaves a step."""
    movable = _Movable.of(step)
    after = _after(movable)
    sums = {k: terms for k, terms in movable.sums.items() if step.outputs[k] in after}
    return Placement(_before(movable, after), after, movable.still, sums, movable.contracted & after)


@dataclass(frozen=True)
class _Movable:
    """What could leave a step: ``early`` depends on no carry, ``late`` is needed by none; ``still`` moves with no step.

    ``contracted`` are terms of sums that come into being only as parts of a sum over all steps.
    """

    step: Step
    early: set[Node]
    late: set[Node]
    still: set[Node]
    sums: Mapping[int, Sequence[Term]]
    contracted: set[Node]
    limit: int

    @classmethod
    def of(cls, step: Step) -> _Movable:
        graph = step.graph
        sums, inside_sums = _sums(step)
        contracted = {
            term.node
            for terms in sums.values()
            for term in terms
            if _is_contraction(graph, term.node) and uses(graph, term.node) == 1
        }
        still, early = independent(step.graph, step.carries, step.xs)
        needed = reached(graph, [out for k, out in enumerate(step.outputs[: step.carries]) if k not in sums])
        exempt = contracted | inside_sums
        limit = LARGEST * sum(map(nbytes, (*step.scanned, *step.found, *_stacked(step))))
        able = {node for node in graph.nodes if _is_batchable(node)}
        able = {node for node in able if node in exempt or node.op.view or nbytes(node) <= limit}
        late: set[Node] = set()
        for node in reversed(graph.nodes):
            users = [user for user, _ in graph.users(node)]
            if node in able and node not in needed and node not in still and late.issuperset(users):
                late.add(node)
        early = _closed(graph, (early & able) - exempt, still.union(step.scanned))
        return cls(step, early, late, still, sums, contracted, limit)


def _is_contraction(graph: Graph, node: Node) -> bool:
    """Whether the sum of a node over all steps needs none of the terms."""
    if node.op is OPS["matmul"]:
        return all(operand.tensor.ndim <= 2 for operand in graph.operands(node))
    if node.op is OPS["scatter_add"]:
        # Rows put at indices: those of all steps, one below the other, are put there at once.
        items, indices = cast("tuple[object, ...]", node.attrs["items"]), graph.operands(node)[1:]
        together = len({index.tensor.ndim for index in indices}) == 1
        return together and not node.attrs["unique"] and all(item == "tensor" for item in items[: len(indices)])
    return node.op in (OPS["mul"], OPS["sum"])


def _stacked(step: Step) -> list[Node]:
    return [out for k, out in enumerate(step.outputs) if k >= step.carries]


def _is_batchable(node: Node) -> bool:
    has_rule = node.op.elementwise is not None or node.op.batching is not None
    return has_rule and not node.op.higher_order and isinstance(node.type, TensorType)


def _closed(graph: Graph, nodes: set[Node], leaves: set[Node]) -> set[Node]:
    """Those of some nodes that are computed from leaves through the others alone."""
    found: set[Node] = set()
    for node in graph.nodes:
        if node in nodes and all(operand in found or operand in leaves for operand in graph.operands(node)):
            found.add(node)
    return found


def _sums(step: Step) -> tuple[dict[int, list[Term]], set[Node]]:
    """The carries to which each step adds terms and that nobody reads, and the nodes that do the adding."""
    sums: dict[int, list[Term]] = {}
    adding: set[Node] = set()
    for k, (carry, out) in enumerate(zip(step.graph.inputs[: step.carries], step.outputs, strict=False)):
        if carry in step.found or not carry.tensor.is_float or {uses(step.graph, carry), uses(step.graph, out)} != {1}:
            continue
        terms, inside = terms_of(step.graph, out)
        if Term(carry, 1) in terms:
            sums[k] = [term for term in terms if term.node is not carry]
            adding |= inside
    return sums, adding


def _after(movable: _Movable) -> set[Node]:
    """What to compute after the loop: what stays is above the cut, and what is read of it is stacked."""
    graph, late = movable.step.graph, movable.late
    present = {*movable.early, *movable.still, *movable.step.scanned, *movable.step.found, *_stacked(movable.step)}
    present.update(graph.inputs[k] for k in movable.sums)
    network = Network()
    for node in graph.nodes:
        if node not in late:
            continue
        gain = _saved(movable, node)
        network.edge(node, SINK, gain) if gain > 0 else network.edge(SOURCE, node, -gain)
        for operand in dict.fromkeys(graph.operands(node)):
            if operand in late:
                network.edge(node, operand, ALWAYS)
            if operand in present:
                continue
            stacked = operand if operand in late else seen_through(movable.step, operand)
            if stacked not in present:
                cost = kept(stacked) if nbytes(stacked) <= movable.limit else ALWAYS
                network.edge(stacked if stacked in late else SOURCE, (stacked, "stacked"), cost)
                network.edge((stacked, "stacked"), node, ALWAYS)
    return late.difference(network.above())


def _before(movable: _Movable, after: set[Node]) -> set[Node]:
    """What to compute before the loop: all that what comes after it needs, and what is cheaper to read than to do."""
    graph = movable.step.graph
    early = {node: None for node in graph.nodes if node in movable.early and node not in after}
    network = Network()
    for node in early:
        gain = _saved(movable, node)
        network.edge(SOURCE, node, gain) if gain > 0 else network.edge(node, SINK, -gain)
    for user in graph.nodes:
        for operand in dict.fromkeys(graph.operands(user)):
            if operand in early and user in after:
                network.edge(SOURCE, operand, ALWAYS)
            elif user in early and operand in early:
                network.edge(user, operand, ALWAYS)
    for node in (*early, *movable.step.scanned):
        inside = [user for user, _ in graph.users(node) if user not in after]
        if node in movable.step.outputs[: movable.step.carries]:
            inside.append(node)
        if inside:
            cost = VIEW if node.op.view else VIEW + nbytes(node) * READ_BYTE
            network.edge(node if node in early else SOURCE, (node, "slice"), cost)
        for user in inside:
            network.edge((node, "slice"), user if user in early and user is not node else SINK, ALWAYS)
    above = network.above()
    return {node for node in early if node in above}


def _saved(movable: _Movable, node: Node) -> int:
    """What a step saves when a node is computed for all of them at once: its call, less what is no longer in cache."""
    saved, grown = call(node), 0 if node.op.view or node in movable.contracted else nbytes(node) * BYTE
    if any(node is movable.step.outputs[k] for k in movable.sums):
        saved, grown = saved + nbytes(node) * BYTE, 0
    steps = max(nominal(movable.step.length, FREE), 1)
    return saved - saved // steps - grown


def seen_through(step: Step, node: Node) -> Node:
    """What is stacked where a node of the loop is wanted: the value that it is a view of, unless that is far larger."""
    if node in step.outputs:
        return node
    root = node
    while root.op.view and len(operands := step.graph.operands(root)) == 1:
        root = operands[0]
    return root if kept(root) <= 2 * kept(node) else node
