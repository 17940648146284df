"""Which things of a picture each step brings to light, and which code it is about; the same for all points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphc.autodiff import Edge, Joint
from graphc.backends.wire import WireText
from graphc.graph import Graph, Node
from graphc.steps import Step, forward_nodes, is_constant, steps_of


@dataclass(frozen=True)
class Moment:
    """What one step changes in the page.

    Attributes
    ----------
    step : Step
    made : tuple of Node
        The nodes of the graph that are computed in this step, values or parts of the gradient.
    values, gradients : tuple of str
        The wires whose upper, whose lower number is written.
    """

    step: Step
    made: tuple[Node, ...]
    values: tuple[str, ...]
    gradients: tuple[str, ...]


def timeline(drawn: Graph | Joint, wires: Iterable[WireText]) -> tuple[Moment, ...]:
    """The moments of a graph, or of a joint graph's two passes.

    Examples
    --------
    >>> import graphc
    >>> joint = graphc.compile("(x + y) * z").joint
    >>> [[node.serial for node in moment.made] for moment in timeline(joint, ())]
    [[0], [1], [2], [3], [4], [5], [6, 7], []]
    """
    by_value: dict[Node, list[str]] = {}
    by_gradient: dict[Node | Edge, list[str]] = {}
    for wire in wires:
        by_value.setdefault(wire.node, []).append(wire.id)
        by_gradient.setdefault(wire.edge or wire.node, []).append(wire.id)
    steps = steps_of(drawn)
    made = _made(drawn, steps)
    return tuple(
        Moment(
            step,
            tuple(nodes),
            tuple(id for node in step.values for id in by_value.get(node, ())),
            tuple(id for key in _gradient_keys(step) for id in by_gradient.get(key, ())),
        )
        for step, nodes in zip(steps, made, strict=True)
    )


def always_known(drawn: Graph | Joint) -> frozenset[Node]:
    """The constants, which are known before the first step."""
    graph = drawn.graph if isinstance(drawn, Joint) else drawn
    return frozenset(node for node in graph.nodes if is_constant(node))


def _gradient_keys(step: Step) -> Iterator[Node | Edge]:
    yield from step.contributions
    yield from step.gradients


def known_from(drawn: Graph | Joint, moments: Sequence[Moment]) -> dict[Node, int]:
    """By node the step that gives it, 0 for constants; none for what nothing needs."""
    steps = {node: count for count, moment in enumerate(moments, start=1) for node in moment.made}
    return steps | dict.fromkeys(always_known(drawn), 0)


def node_id(node: Node) -> str:
    """What a node is called everywhere in the page."""
    return f"n{node.serial}"


def _made(drawn: Graph | Joint, steps: Sequence[Step]) -> list[list[Node]]:
    if isinstance(drawn, Graph):
        return [list(step.values) for step in steps]
    seen = set(forward_nodes(drawn)) | always_known(drawn)
    return [_new(drawn, step, seen) for step in steps]


def _new(joint: Joint, step: Step, seen: set[Node]) -> list[Node]:
    """The values of a step, or the nodes of the gradient that it needs and no step before did."""
    found = {*step.values}
    stack = list(_targets(joint, step))
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            found.add(node)
            stack += joint.graph.operands(node)
    return sorted(found, key=lambda node: node.serial)


def _targets(joint: Joint, step: Step) -> Iterable[Node]:
    """The nodes that hold what a backward step gives."""
    yield from (joint.cotangents[node] for node in step.gradients if node in joint.cotangents)
    yield from (joint.contributions[edge] for edge in step.contributions)
    if step.kind == "seed":
        yield from (joint.seeds[name] for name in joint.seeds if joint.graph.outputs[name] is step.node)


def about(drawn: Graph | Joint, moment: Moment) -> list[Node]:
    """The nodes whose code a step is about: where it sends a gradient on unchanged, those that hold it already."""
    if not moment.step.backward:
        return [moment.step.node]
    assert isinstance(drawn, Joint)
    return list(dict.fromkeys((*moment.made, *_targets(drawn, moment.step))))


def gradients_of(drawn: Graph | Joint) -> Mapping[Node, Node]:
    """From forward nodes to the nodes that are the gradient by them."""
    return drawn.cotangents if isinstance(drawn, Joint) else {}
