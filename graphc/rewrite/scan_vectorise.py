"""Parts of scans computed for all steps at once, before and after the loop; carries that only add up become sums.

Which parts is decided in `scan_placement`; the batching rules of ops make them of all steps. A sum regrouped differs by
the roundings of its terms.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import cast

from graphc.batching import batch
from graphc.builder import Builder, rebuild
from graphc.graph import Graph, Node
from graphc.op import OPS
from graphc.ops.batch_rules import aligned, spread_over
from graphc.ops.scan_steps import arranged, reached
from graphc.rewrite.contractions import sum_of_matrix_products, sum_of_products
from graphc.rewrite.engine import Firing
from graphc.rewrite.scan_costs import MOST_NODES
from graphc.rewrite.scan_placement import Placement, Step, placement, seen_through
from graphc.rewrite.scan_sums import Term, grouped
from graphc.rewrite.scans import has_scans
from graphc.size import Size
from graphc.value import Value


def vectorise_scans(graph: Graph) -> tuple[Graph, tuple[Firing, ...]]:
    """The graph with what steps of scans need not do one by one outside of the loops.

    A step that holds a loop itself stays as it is but for that loop: its calls are few, and it may be there to save
    memory.
    """
    run = _Run(graph)
    mapping = rebuild(graph, run.builder, step=run.step)
    outputs = {name: mapping[node] for name, node in graph.outputs.items()}
    return run.builder.finish(outputs, doc=graph.doc), tuple(run.firings)


class _Run:
    """The state of the pass."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.builder = Builder(intern=True)
        self.firings: list[Firing] = []
        self._results: dict[Node, Mapping[int, Value]] = {}
        self._inside: dict[Graph, Graph] = {}

    def step(self, node: Node, operands: tuple[Node, ...]) -> Node | None:
        """What stands for a node of the graph that is read."""
        if node.op is OPS["item"] and self.graph.operands(node)[0] in self._results:
            return self._results[self.graph.operands(node)[0]][cast(int, node.attrs["index"])].node
        if node.op is not OPS["scan"]:
            return None
        step = cast(Graph, node.attrs["step"])
        if has_scans(step):
            return self.builder.make(node.op, operands, {**node.attrs, "step": self._vectorised(step)})
        if len(step.nodes) > MOST_NODES:
            return None
        used = [cast(int, user.attrs["index"]) for user, _ in self.graph.users(node)]
        carries, xs = cast(int, node.attrs["carries"]), cast(int, node.attrs["xs"])
        length = cast(Size, node.attrs["length"])
        taken = Step(grouped(step, carries, xs), carries, xs, length, set(used))
        placed = placement(taken)
        if taken.graph is not step and not placed.before:
            taken = Step(step, carries, xs, length, set(used))
            placed = placement(taken)
        if not placed.before and not placed.after:
            return None
        self.firings += _firings(taken, placed)
        place = self.builder.place
        self._results[node] = _Taken(self.builder, node, taken, placed, operands).results()
        self.builder.place = place
        return next(iter(self._results[node].values())).node

    def _vectorised(self, step: Graph) -> Graph:
        if step not in self._inside:
            self._inside[step], fired = vectorise_scans(step)
            self.firings += fired
        return self._inside[step]


def _firings(step: Step, placed: Placement) -> list[Firing]:
    """One for each node that leaves the step, in order, but for what is a view."""
    summed = {step.outputs[k] for k in placed.sums}
    found = []
    for node in step.graph.nodes:
        if (node in placed.before or node in placed.after) and not node.op.view:
            rule = "summed" if node in summed else "computed"
            side = "before" if node in placed.before else "after"
            span = next(iter(step.graph.spans.get(node, ())), None)
            found.append(Firing(f"{rule}_{side}_scan", span, did=f"{node.op.name} for all steps at once"))
    return found


class _Taken:
    """One scan taken apart in a builder.

    ``stacks`` has for nodes of the step the arrays of their values in all steps, ``same`` the values of those that are
    the same in each.
    """

    def __init__(self, builder: Builder, scan: Node, step: Step, placed: Placement, operands: tuple[Node, ...]) -> None:
        self.builder, self.scan, self.step, self.placed = builder, scan, step, placed
        self.place = builder.place
        inputs, split = step.graph.inputs, step.carries + step.xs
        given = [builder.value(operand) for operand in operands]
        self.first = given[: step.carries]
        self.stacks = dict(zip(inputs[step.carries : split], given[step.carries : split], strict=True))
        self.same = dict(zip(inputs[split:], given[split:], strict=True))

    def results(self) -> dict[int, Value]:
        """What stands for the results that are used, by number."""
        step, placed = self.step, self.placed
        self._compute(placed.before)
        stacked = {k: out for k, out in enumerate(step.outputs) if k >= step.carries and k in step.used}
        wanted = [x for terms in placed.sums.values() for term in terms for x in self._parts(term)]
        wanted += stacked.values()
        found = self._loop(wanted)
        self._compute(wanted)
        self.builder.place = self.place
        found |= {k: self._stack(out) for k, out in stacked.items()}
        return found | {k: self._added(self.first[k], terms) for k, terms in placed.sums.items()}

    def _compute(self, roots: Iterable[Node]) -> None:
        """Compute nodes for all steps at once, from what is known of all steps."""
        graph, known = self.step.graph, {*self.stacks, *self.same}
        nodes = sorted(reached(graph, roots, known), key=lambda node: node.serial)
        moving = set(self.stacks)
        for node in nodes:
            if node not in known and not moving.isdisjoint(graph.operands(node)):
                moving.add(node)
        copied = batch(_part(graph, nodes, known, moving), self.builder, self.stacks, self.same)
        for node in nodes:
            if node not in known:
                (self.stacks if node in copied.batched else self.same)[node] = self.builder.value(copied.nodes[node])

    def _stack(self, node: Node) -> Value:
        """The values of a node in all steps."""
        found = self.stacks.get(node)
        return spread_over(self.same[node], self.step.length) if found is None else found

    def _loop(self, wanted: Iterable[Node]) -> dict[int, Value]:
        """What is left of the scan: the results that stay, by number; what is wanted of its steps is stacked."""
        step, graph, placed = self.step, self.step.graph, self.placed
        carries = [k for k in range(step.carries) if k not in placed.sums]
        inside = [node for node in graph.nodes if node not in placed.after and node not in placed.still]
        found = reached(graph, wanted, inside).intersection(inside).difference(self.stacks)
        missing = {seen_through(step, node) for node in found}.difference(self.stacks)
        before = [k for k in carries if graph.inputs[k] in missing or len(step.outputs) + k in step.used]
        rows = sorted(missing.difference(graph.inputs), key=lambda node: node.serial)
        outputs = [*(step.outputs[k] for k in carries), *rows]
        if not outputs:
            return {}
        needed = reached(graph, outputs, self.stacks)
        over, captured = ({x: v for x, v in table.items() if x in needed} for table in (self.stacks, self._captured()))
        inputs = [*(graph.inputs[k] for k in carries), *over, *captured]
        attrs = {
            **self.scan.attrs,
            "step": arranged(graph, inputs, outputs, graph.doc),
            "carries": len(carries),
            "xs": len(over),
        }
        operands = [*(self.first[k] for k in carries), *over.values(), *captured.values()]
        with self.builder.at(self.place.spans, self.place.scopes):
            result = OPS["scan"](*operands, **attrs)
            items = [OPS["item"](result, index=index) for index in range(len(outputs) + len(carries))]
        self.stacks |= self._named(rows, items[len(carries) :], "steps")
        earlier = {len(outputs) + carries.index(k): graph.inputs[k] for k in before}
        self.stacks |= self._named(earlier.values(), (items[index] for index in earlier), "before")
        last = {k: item for k, item in zip(carries, items, strict=False) if k in step.used}
        return last | {len(step.outputs) + k: self.stacks[graph.inputs[k]] for k in before}

    def _captured(self) -> dict[Node, Value]:
        captured = self.step.graph.inputs[self.step.carries + self.step.xs :]
        return {node: self.same[node] for node in captured}

    def _named(self, nodes: Iterable[Node], items: Iterable[Value], ending: str) -> dict[Node, Value]:
        """Results of the scan by the nodes of the step that they stack, called after these."""
        found = dict(zip(nodes, items, strict=False))
        for node, item in found.items():
            if name := self.step.graph.name(node):
                self.builder.name(item.node, f"{name}_{ending}")
        return found

    def _parts(self, term: Term) -> tuple[Node, ...]:
        """What a term is summed from."""
        return self.step.graph.operands(term.node) if term.node in self.placed.contracted else (term.node,)

    def _added(self, first: Value, terms: Sequence[Term]) -> Value:
        """A carry after all steps."""
        total = first
        for term in terms:
            added = self._sum(term)
            total = total + added if term.sign > 0 else total - added
        return total

    def _sum(self, term: Term) -> Value:
        """The sum of a term over all steps."""
        parts, node = self._parts(term), term.node
        moved = [part in self.stacks for part in parts]
        x, *rest = (self.stacks[part] if has else self.same[part] for part, has in zip(parts, moved, strict=True))
        if node not in self.placed.contracted:
            return _total(x) if moved[0] else x * self.builder.size(self.step.length, x.type.dtype)
        if node.op is OPS["sum"]:
            axis = tuple(place + 1 for place in cast("tuple[int, ...]", node.attrs["axis"]))
            found = OPS["sum"](x, axis=(0, *axis), keepdims=False)
            return OPS["reshape"](found, shape=node.tensor.shape) if node.attrs["keepdims"] else found
        if node.op is OPS["scatter_add"]:
            if not any(moved[1:]):
                return OPS["scatter_add"](_total(x), *rest, **node.attrs)
            return OPS["scatter_add"](*map(self._stack, parts), **node.attrs)
        (y,) = rest
        if not all(moved):
            # What is linear in the one that moves is applied to its sum.
            return node.op(*(_total(part) if has else part for part, has in zip((x, y), moved, strict=True)))
        if node.op is OPS["matmul"]:
            return sum_of_matrix_products(x, y)
        return sum_of_products(aligned(x, node.tensor.ndim), aligned(y, node.tensor.ndim), (0,))


def _total(x: Value) -> Value:
    return OPS["sum"](x, axis=0)


def _part(graph: Graph, nodes: Sequence[Node], leaves: Collection[Node], moving: Collection[Node]) -> Graph:
    """Some nodes of a graph, by order, computed from leaves, which have no names there; what moves is of all steps."""
    own = [node for node in nodes if node not in leaves]
    endings = {node: "_steps" if node in moving else "" for node in own}
    return Graph(
        operand_table={node: () if node in leaves else graph.operands(node) for node in nodes},
        inputs=(),
        params=(),
        outputs={},
        names={x: tuple(f"{name}{end}" for name in graph.names[x]) for x, end in endings.items() if x in graph.names},
        spans={node: graph.spans[node] for node in own if node in graph.spans},
        scopes={node: graph.scopes[node] for node in own if node in graph.scopes},
    )
