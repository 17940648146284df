"""The joint graph, cut in two: a forward graph, what it keeps (the residuals), and a backward graph.

What to keep and what to compute again is a minimum cut: bytes kept, where references to inputs and parameters cost
nothing and only a few flops an element are ever spent twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from graphc.builder import Builder, rebuild
from graphc.graph import Graph, Node
from graphc.rewrite.cuts import ALWAYS, SINK, SOURCE, Network
from graphc.size import nominal
from graphc.tensor_type import TupleType

# A vertex of the flow network is where a node, by its place, is entered or left.
_IN, _OUT = 0, 1


@dataclass(frozen=True)
class Split:
    """A joint graph in two halves.

    Attributes
    ----------
    forward : Graph
        Its outputs are the model's outputs, then the residuals by name.
    residuals : tuple of str
    backward : Graph
        Its inputs are the residuals, named alike, and the seeds; its outputs are the gradients.
    """

    forward: Graph
    residuals: tuple[str, ...]
    backward: Graph


def partition(graph: Graph, outputs: Sequence[str], seeds: Iterable[str]) -> Split:
    """Cut a joint graph.

    Parameters
    ----------
    graph : Graph
        Its outputs are ``outputs`` and the gradients.
    outputs : sequence of str
        The outputs of the forward half.
    seeds : iterable of str
        The names of the inputs that are cotangents.
    """
    seed_names = set(seeds)
    seed_nodes = [node for node in graph.inputs if node.attrs["name"] in seed_names]
    gradients = {name: node for name, node in graph.outputs.items() if name not in outputs}
    forward = set(reached(graph, [graph.outputs[name] for name in outputs]))
    backward = _dependents(graph, seed_nodes)
    required = _required(graph, gradients.values(), backward)
    kept = _kept(graph, required, forward)
    names = _residual_names(graph, kept, [*graph.outputs, *seed_names])
    return Split(
        forward=extract(graph, {**{name: graph.outputs[name] for name in outputs}, **names}, without=seed_nodes),
        residuals=tuple(names),
        backward=_backward(graph, gradients, names, seed_nodes),
    )


def extract(graph: Graph, outputs: Mapping[str, Node], *, without: Sequence[Node] = (), unused: bool = True) -> Graph:
    """The part of a graph that some of its nodes need.

    Parameters
    ----------
    graph : Graph
    outputs : mapping of str to Node
    without : sequence of Node
        Inputs to leave out of the signature.
    unused : bool
        Whether inputs and parameters that the outputs do not need stay in the signature.
    """
    live = set(reached(graph, outputs.values()))
    if unused:
        live.update(node for node in (*graph.inputs, *graph.params) if node not in without)
    return Graph(
        operand_table={node: operands for node, operands in graph.operand_table.items() if node in live},
        inputs=tuple(node for node in graph.inputs if node in live),
        params=tuple(node for node in graph.params if node in live),
        outputs=dict(outputs),
        names={node: names for node, names in graph.names.items() if node in live},
        spans={node: spans for node, spans in graph.spans.items() if node in live},
        scopes={node: scopes for node, scopes in graph.scopes.items() if node in live},
        doc=graph.doc,
    )


def reached(graph: Graph, roots: Iterable[Node]) -> list[Node]:
    """The nodes that some nodes are computed from, themselves included."""
    stack = list(dict.fromkeys(roots))
    live = dict.fromkeys(stack)
    while stack:
        for operand in graph.operands(stack.pop()):
            if operand not in live:
                live[operand] = None
                stack.append(operand)
    return list(live)


def _dependents(graph: Graph, seeds: Sequence[Node]) -> set[Node]:
    found = set(seeds)
    for node in graph.nodes:
        if any(operand in found for operand in graph.operands(node)):
            found.add(node)
    return found


def _required(graph: Graph, gradients: Iterable[Node], backward: set[Node]) -> list[Node]:
    """What the backward half reads and does not depend on a seed, in creation order."""
    live = reached(graph, gradients)
    used = {operand for node in live if node in backward for operand in graph.operands(node)}
    used.update(node for node in gradients)
    return sorted((node for node in used if node not in backward), key=lambda node: node.serial)


def _kept(graph: Graph, required: Sequence[Node], forward: set[Node]) -> list[Node]:
    """The residuals: a minimum cut above what is required, nearest to it where cuts are equal.

    What is required and cannot be computed again is kept in any case, and then costs nothing to whoever else needs it.
    """
    forced = {node for node in required if not _free(node) and not _repeatable(node, forward)}
    wanted = {node for node in required if not _free(node) and node not in forced}
    above = _operands_above(graph, wanted, forward, forced)
    kept = set(forced)
    # The layers of a deep network are alike: each kind of component is cut once.
    cuts: dict[tuple[_Vertex, ...], list[int]] = {}
    for component in _components(above):
        place = {node: position for position, node in enumerate(component)}
        vertices = tuple(
            _Vertex(
                # Of values of one size, those that the forward half computes anyway are the better ones to keep.
                capacity=2 * _bytes(node) + (node not in forward),
                fixed=not _repeatable(node, forward),
                wanted=node in wanted,
                operands=tuple(place[operand] for operand in above[node]),
            )
            for node in component
        )
        if vertices not in cuts:
            cuts[vertices] = _minimum_cut(vertices)
        kept.update(component[position] for position in cuts[vertices])
    references = [node for node in _above(graph, wanted, kept) if _is_argument(node)]
    return sorted({*kept, *references}, key=lambda node: node.serial)


class _Vertex(NamedTuple):
    """A node as the cut sees it: fixed where the forward half must compute it, with the places of its operands."""

    capacity: int
    fixed: bool
    wanted: bool
    operands: tuple[int, ...]


def _minimum_cut(vertices: Sequence[_Vertex]) -> list[int]:
    """Which vertices to keep, between what the forward half must compute and what is wanted."""
    network = Network()
    for position, vertex in enumerate(vertices):
        network.edge((position, _IN), (position, _OUT), vertex.capacity)
        for operand in vertex.operands:
            network.edge((operand, _OUT), (position, _IN), ALWAYS)
        if vertex.fixed:
            network.edge(SOURCE, (position, _IN), ALWAYS)
        if vertex.wanted:
            network.edge((position, _OUT), SINK, ALWAYS)
    # Of equal cuts it is the one nearest to the sink: nothing is computed again for nothing.
    above = network.above()
    return [place for place in range(len(vertices)) if (place, _IN) in above and (place, _OUT) not in above]


def _operands_above(
    graph: Graph, wanted: Iterable[Node], forward: set[Node], forced: set[Node]
) -> dict[Node, tuple[Node, ...]]:
    """What is wanted and what it may be computed again from, each with those of its operands that are; by serial."""
    found: dict[Node, tuple[Node, ...]] = {}
    seen = set(wanted)
    stack = list(seen)
    while stack:
        node = stack.pop()
        operands = dict.fromkeys(graph.operands(node) if _repeatable(node, forward) else ())
        found[node] = tuple(o for o in operands if not (_free(o) or _is_argument(o) or o in forced))
        stack += [operand for operand in found[node] if operand not in seen]
        seen.update(found[node])
    return {node: found[node] for node in sorted(found, key=lambda node: node.serial)}


def _components(above: Mapping[Node, Sequence[Node]]) -> list[list[Node]]:
    """The parts of a graph that no edge connects; nodes are in the same order in parts that are alike."""
    part_of: dict[Node, list[Node]] = {}
    for node, operands in above.items():
        parts = list({id(part_of[operand]): part_of[operand] for operand in operands}.values())
        whole = max(parts, key=len, default=[])
        for part in parts:
            if part is not whole:
                whole += part
                part_of.update(dict.fromkeys(part, whole))
        whole.append(node)
        part_of[node] = whole
    return list({id(part): part for part in part_of.values()}.values())


def _is_argument(node: Node) -> bool:
    return node.op.name in ("input", "param")


def _free(node: Node) -> bool:
    return node.op.name in ("const", "size", "array")


def _repeatable(node: Node, forward: set[Node]) -> bool:
    """Whether the backward half may compute a node: it is cheap, or the forward half has no use for it."""
    if _is_argument(node) or node.op.name == "item" or isinstance(node.type, TupleType):
        return False
    return node.op.cheap or node not in forward


def _bytes(node: Node) -> int:
    return max(prod(map(nominal, node.tensor.shape)), 1) * node.tensor.item_bytes


def _residual_names(graph: Graph, kept: Sequence[Node], taken: Sequence[str]) -> dict[str, Node]:
    used = {*taken, *(str(node.attrs["name"]) for node in (*graph.inputs, *graph.params))}
    counts: dict[str, int] = {}
    names: dict[str, Node] = {}
    for node in kept:
        own = str(node.attrs["name"]) if _is_argument(node) else ""
        names[own or _fresh(graph.name(node) or node.op.name, used, counts)] = node
    return names


def _fresh(name: str, used: set[str], counts: dict[str, int]) -> str:
    candidate = name
    while candidate in used:
        counts[name] = counts.get(name, 1) + 1
        candidate = f"{name}_{counts[name]}"
    used.add(candidate)
    return candidate


def _backward(
    graph: Graph, gradients: Mapping[str, Node], residuals: Mapping[str, Node], seeds: Sequence[Node]
) -> Graph:
    builder = Builder()
    names = {node: name for name, node in residuals.items()}

    def step(node: Node, operands: tuple[Node, ...]) -> Node | None:
        return builder.input(names[node], node.tensor).node if node in names else None

    live = {*_above(graph, gradients.values(), set(names)), *seeds}
    mapping = rebuild(graph, builder, nodes=[node for node in graph.nodes if node in live], step=step)
    return builder.finish({name: mapping[node] for name, node in gradients.items()}, doc=graph.doc)


def _above(graph: Graph, roots: Iterable[Node], cut: set[Node]) -> list[Node]:
    stack = sorted(set(roots), key=lambda node: node.serial)
    live = dict.fromkeys([*stack, *sorted(cut, key=lambda node: node.serial)])
    while stack:
        node = stack.pop()
        for operand in () if node in cut else graph.operands(node):
            if operand not in live:
                live[operand] = None
                stack.append(operand)
    return list(live)
