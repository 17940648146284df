"""Sums in a step of a scan: what they add up, and what of them is known before the loop added up first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphc.builder import Builder, rebuild
from graphc.graph import Graph, Node
from graphc.op import OPS
from graphc.value import Value

_LINEAR = frozenset(OPS[name] for name in ("add", "sub", "neg"))


@dataclass(frozen=True)
class Term:
    """What a step adds to a carry, or subtracts."""

    node: Node
    sign: int


def grouped(step: Graph, carries: int, xs: int) -> Graph:
    """The step with those terms of each sum in front that depend on no carry, where they did not stand together."""
    still, early = independent(step, carries, xs)
    inner: set[Node] = set()
    sums: dict[Node, list[Term]] = {}
    for node in reversed(step.nodes):
        if node.op in _LINEAR and node not in inner and node not in early and node.tensor.is_float:
            terms, inside = terms_of(step, node)
            inner |= inside
            known = [term for term in terms if term.node in early or term.node in still]
            front = next((term for term in known if term.node in early and term.sign > 0), None)
            if front and len(known) > 1 and not any(step.name(x) for x in inside if x is not node):
                sums[node] = sorted(terms, key=lambda term: (term is not front, term not in known))
    return _with_sums(step, sums) if sums else step


def _with_sums(step: Graph, sums: Mapping[Node, Sequence[Term]]) -> Graph:
    """A step with some nodes as sums of these terms, added up in this order."""
    builder, made = Builder(intern=True), dict[Node, Value]()

    def summed(node: Node, operands: tuple[Node, ...]) -> Node | None:
        made.update(zip(step.operands(node), map(builder.value, operands), strict=True))
        if node not in sums:
            return None
        total, *rest = sums[node]
        value = made[total.node]
        for term in rest:
            value = value + made[term.node] if term.sign > 0 else value - made[term.node]
        return value.node

    mapping = rebuild(step, builder, step=summed)
    return builder.finish({name: mapping[node] for name, node in step.outputs.items()}, doc=step.doc)


def uses(graph: Graph, node: Node) -> int:
    """How often a node is read, as an output too."""
    return sum(1 for _ in graph.users(node)) + sum(1 for out in graph.outputs.values() if out is node)


def independent(step: Graph, carries: int, xs: int) -> tuple[set[Node], set[Node]]:
    """The nodes that are the same in all steps, and those that are not but depend on no carry."""
    carried, moving = set(step.inputs[:carries]), set(step.inputs[carries : carries + xs])
    for node in step.nodes:
        operands = step.operands(node)
        if any(operand in carried for operand in operands):
            carried.add(node)
        elif any(operand in moving for operand in operands):
            moving.add(node)
    return {node for node in step.nodes if node not in carried and node not in moving}, moving


def terms_of(graph: Graph, root: Node) -> tuple[list[Term], set[Node]]:
    """The terms that a node adds up, and the nodes that do."""
    terms, inside = [], set()
    pending = [Term(root, 1)]
    while pending:
        term = pending.pop()
        shared = term.node is not root and uses(graph, term.node) != 1
        if term.node.op not in _LINEAR or term.node.type != root.type or shared:
            terms.append(term)
            continue
        inside.add(term.node)
        signs = (1, 1) if term.node.op is OPS["add"] else (1, -1) if term.node.op is OPS["sub"] else (-1,)
        pending += [Term(x, term.sign * s) for x, s in zip(graph.operands(term.node), signs, strict=True)]
    return terms[::-1], inside
