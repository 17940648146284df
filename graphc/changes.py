"""What a rule, or the whole pipeline, changed: the graph before and after, and which nodes are still there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphc.autodiff import differentiate
from graphc.builder import attrs_key
from graphc.gradient_rules import without_rules
from graphc.graph import Graph, Node
from graphc.op import Conventions
from graphc.passes import simplify, stabilise
from graphc.rewrite.engine import Firing, rewrite
from graphc.rewrite.pattern import Rule
from graphc.rewrite.sets import simplifying, stabilising


@dataclass(frozen=True, eq=False)
class Change:
    """Two graphs and what they have in common.

    Attributes
    ----------
    before, after : Graph
    kept : mapping of Node to Node
        From nodes after to the same nodes before; they may take other operands.
    title : str
        The rule, or what was done.
    firing : Firing or None
        The rule that fired.
    others : tuple of str
        The rules that fired within it, or that it fired within.
    """

    before: Graph
    after: Graph
    kept: Mapping[Node, Node]
    title: str
    firing: Firing | None = None
    others: tuple[str, ...] = ()

    @property
    def removed(self) -> tuple[Node, ...]:
        """The nodes that are only before."""
        still = set(self.kept.values())
        return tuple(node for node in self.before.nodes if node not in still)

    @property
    def added(self) -> tuple[Node, ...]:
        """The nodes that are only after."""
        return tuple(node for node in self.after.nodes if node not in self.kept)


def change_by_firing(
    raw: Graph,
    losses: Sequence[str],
    variables: Mapping[str, Node],
    number: int,
    conventions: Conventions = "graphc",
    *,
    reassociate: bool = False,
) -> Change:
    """What one of the rules that fired did, counted from 1 in the order of `graphc.Model.rewrites`.

    The pass is run again, up to that rule.

    Raises
    ------
    ValueError
        When it is not a rule of the graph: a guard, which is a part of the gradient, or a rule inside of a scan.
    """
    asked = [raw.operands(node)[1] for node in raw.nodes if node.op.name == "grad"]
    protect = list(dict.fromkeys([*variables.values(), *asked]))
    stabilised, moved, first = stabilise(raw, variables, conventions, reassociate=reassociate)
    rules = stabilising(reassociate)
    if number <= len(rewrite(raw, rules, protect=protect).firings):
        return _firing(raw, rules, protect, number, number)
    graph, guarded = stabilised, len(first)
    if losses:
        joint = differentiate(stabilised, losses, moved, check=False, conventions=conventions)
        graph, guarded = joint.graph, len(first) + len(joint.guarded)
    graph, rules = without_rules(graph), simplifying(reassociate)
    if not guarded < number <= guarded + len(rewrite(graph, rules).firings):
        raise _no_change(number)
    return _firing(graph, rules, (), number - guarded, number)


def change_by_pipeline(
    written: Graph,
    raw: Graph,
    losses: Sequence[str],
    variables: Mapping[str, Node],
    conventions: Conventions = "graphc",
    *,
    reassociate: bool = False,
) -> Change:
    """What all rules did: from the graph as written, with its gradient if there is one, to the one that is printed."""
    stabilised, moved, _ = stabilise(raw, variables, conventions, reassociate=reassociate)
    graph = stabilised
    if losses:
        graph = differentiate(stabilised, losses, moved, check=False, conventions=conventions).graph
    final, _ = simplify(graph, reassociate=reassociate)
    named = {name: node for node in written.nodes for name in written.names.get(node, ())}
    pairs = [(named[name], node) for node in final.nodes for name in final.names.get(node, ()) if name in named]
    pairs += [(written.outputs[name], node) for name, node in final.outputs.items() if name in written.outputs]
    return Change(written, final, _kept(written, final, pairs), "all rules")


def _firing(graph: Graph, rules: Sequence[Rule], protect: Sequence[Node], number: int, shown: int) -> Change:
    """The change with all rules that fired inside of one another: none of them is a change of the graph by itself."""
    start = number - 1
    before = rewrite(graph, rules, protect=protect, most=start)
    while len(before.firings) >= number:
        start -= 1
        # Steps of scans are rewritten before the scan, however few rules may fire.
        if start < 0:
            raise _no_change(shown)
        before = rewrite(graph, rules, protect=protect, most=start)
    after = rewrite(graph, rules, protect=protect, most=start + 1)
    firing = after.firings[number - 1]
    others = [other.rule for other in after.firings[start:] if other is not firing]
    both = [node for node in graph.nodes if node in before.mapping and node in after.mapping]
    kept = _kept(before.graph, after.graph, [(before.mapping[node], after.mapping[node]) for node in both])
    return Change(before.graph, after.graph, kept, f"rewrite {shown}", firing, tuple(others))


def _no_change(number: int) -> ValueError:
    return ValueError(f"expected the number of a rule that changed the graph, {number} is a guard or in a scan")


def _kept(before: Graph, after: Graph, pairs: Iterable[tuple[Node, Node]]) -> dict[Node, Node]:
    """Leaves of one name, pairs that are the same op, and what is made in the same way from such."""
    kept: dict[Node, Node] = {}
    taken: set[Node] = set()
    leaves = {(node.op, node.attrs["name"]): node for node in (*before.inputs, *before.params)}
    same = [(leaves[node.op, node.attrs["name"]], node) for node in (*after.inputs, *after.params)]
    for old, new in [*same, *((old, new) for old, new in pairs if _key(old) == _key(new))]:
        if new not in kept and old not in taken:
            kept[new] = old
            taken.add(old)
    made: dict[object, list[Node]] = {}
    for old in before.nodes:
        if old not in taken:
            made.setdefault((_key(old), before.operands(old)), []).append(old)
    for new in after.nodes:
        found = made.get((_key(new), tuple(kept.get(operand) for operand in after.operands(new))), [])
        if new not in kept and found:
            kept[new] = found.pop(0)
    return kept


def _key(node: Node) -> tuple[object, ...]:
    return node.op, attrs_key(node.attrs), node.type


def neighbourhood(change: Change) -> tuple[frozenset[Node], frozenset[Node]]:
    """The nodes before and after that a picture of the change needs: what changed, its operands and its users."""
    users = {new for new, old in change.kept.items() if _operands_differ(change, new, old)}
    changed = {*change.added, *users}
    after = changed | {operand for node in changed for operand in change.after.operands(node)}
    gone = set(change.removed)
    before = gone | {operand for node in gone for operand in change.before.operands(node)}
    before |= set(_users(change.before, gone))
    return frozenset(before), frozenset(after)


def _operands_differ(change: Change, new: Node, old: Node) -> bool:
    return tuple(map(change.kept.get, change.after.operands(new))) != change.before.operands(old)


def _users(graph: Graph, nodes: set[Node]) -> Iterator[Node]:
    return (node for node in graph.nodes if not nodes.isdisjoint(graph.operands(node)))
