"""Reverse mode: the chain rule as a transformation of the DAG.

`backpropagate` adds cotangents to a graph under construction; `differentiate` makes the joint graph of a finished one.
Unbroadcasting, summing at fan-out, symbolic zeros and skipping what reaches no variable happen here and in no rule.
"""

from __future__ import annotations

import functools
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from typing import cast

from graphc.builder import Builder, Step, rebuild
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.finite import Finiteness
from graphc.graph import Graph, Node, free_name, free_names
from graphc.guards import Guard, chosen, fitting, guarded, is_uniform, multiplied, through, united
from graphc.op import OPS, Conventions
from graphc.ops.axes import unbroadcast, zeros
from graphc.rewrite.engine import Firing
from graphc.symbolic import partials
from graphc.tensor_type import TupleType
from graphc.value import Value

Edge = tuple[Node, int]
"""An operand edge: the user and the operand's position."""
Part = tuple[int | None, Node]
"""What one user sends to an operand: a cotangent, and which result it belongs to where there are several."""


@dataclass(frozen=True)
class Cotangents:
    """What a reverse pass found, by nodes of the builder it ran in.

    Attributes
    ----------
    nodes : mapping
        From each active node to its cotangent.
    contributions : mapping
        From each edge (user, operand position) to what flows back along it; a node's cotangent is their sum.
    zero : tuple of str
        The variables whose gradient is zero by convention: every path runs through a piecewise constant op.
    guarded : tuple of Firing
        Where the engine selects instead of multiplying, so that no infinity of a branch not taken gets in.
    """

    nodes: Mapping[Node, Node]
    contributions: Mapping[Edge, Node]
    zero: tuple[str, ...] = ()
    guarded: tuple[Firing, ...] = ()


@dataclass(frozen=True)
class Joint:
    """A forward graph and its gradient as one graph.

    Attributes
    ----------
    graph : Graph
        Its outputs are the forward outputs, then the gradient by each variable.
    seeds : mapping of str to Node
        The cotangents of the outputs that were differentiated, as inputs called ``d_<output>``.
    gradients : mapping of str to str
        From the name of each variable to the output that is its gradient.
    nodes : mapping of Node to Node
        From the nodes of the forward graph to their copies in ``graph``.
    cotangents, contributions, zero, guarded
        See `Cotangents`; keys and values are nodes of ``graph``.
    """

    graph: Graph
    seeds: Mapping[str, Node]
    gradients: Mapping[str, str]
    nodes: Mapping[Node, Node]
    cotangents: Mapping[Node, Node]
    contributions: Mapping[Edge, Node]
    zero: tuple[str, ...]
    guarded: tuple[Firing, ...]


def differentiate(
    graph: Graph,
    outputs: Sequence[str],
    variables: Mapping[str, Node],
    *,
    check: bool = True,
    distinct: Iterable[Node] = (),
    conventions: Conventions = "graphc",
) -> Joint:
    """The joint graph: the forward graph and the vector-Jacobian product of some of its outputs.

    Parameters
    ----------
    graph : Graph
    outputs : sequence of str
        The outputs to differentiate; each gets its cotangent (the seed) as a further input.
    variables : mapping of str to Node
        What to differentiate with respect to: parameters, inputs, or any other node of the graph.
    check : bool
        False when `check_dependence` was already asked about a graph that this one was rewritten from; what the
        rewriting disconnected has a gradient of zero.
    distinct : iterable of Node
        Nodes that stay apart from equal ones, as the variables do; all of them for a graph that is shown as written.
    conventions : {"graphc", "torch", "jax"}
        Whose derivatives hold at kinks.

    Raises
    ------
    GraphcError
        See `check_dependence`.
    """
    if check:
        check_dependence(graph, [graph.outputs[name] for name in outputs], variables)
    builder = Builder(intern=True)
    mapping = rebuild(graph, builder, step=apart(builder, [*variables.values(), *distinct]))
    wrt = {name: mapping.get(node, node) for name, node in variables.items()}
    taken = {str(node.attrs["name"]) for node in (*graph.inputs, *graph.params)}
    seeds = {name: _seed(builder, name, mapping[graph.outputs[name]], taken) for name in outputs}
    pairs = [(mapping[graph.outputs[name]], seed) for name, seed in seeds.items()]
    found = backpropagate(builder, pairs, wrt, conventions=conventions)
    gradients = gradient_names(graph.outputs, wrt)
    results = {gradients[name]: found.nodes[node] for name, node in wrt.items()}
    joined = builder.finish({**{name: mapping[node] for name, node in graph.outputs.items()}, **results}, doc=graph.doc)
    live = joined.operand_table
    return Joint(
        graph=joined,
        seeds=seeds,
        gradients=gradients,
        nodes={old: new for old, new in mapping.items() if new in live},
        cotangents={node: ct for node, ct in found.nodes.items() if node in live and ct in live},
        contributions={edge: ct for edge, ct in found.contributions.items() if edge[0] in live and ct in live},
        zero=found.zero,
        guarded=found.guarded,
    )


def gradient_names(outputs: Iterable[str], variables: Iterable[str]) -> dict[str, str]:
    """What gradients are called beside some outputs: ``d_<variable>``, or near it where an output is called so."""
    return free_names({name: f"d_{name}" for name in variables}, outputs)


def backpropagate(
    builder: Builder,
    outputs: Sequence[tuple[Node, Node]],
    variables: Mapping[str, Node],
    *,
    conventions: Conventions = "graphc",
) -> Cotangents:
    """Add the cotangents of some nodes to a graph under construction.

    Parameters
    ----------
    builder : Builder
    outputs : sequence of (Node, Node)
        Nodes to differentiate, each with its cotangent.
    variables : mapping of str to Node
        A variable that no cotangent reaches gets zeros; `check_dependence` tells whether that is right.
    conventions : {"graphc", "torch", "jax"}
        Whose derivatives hold at kinks.
    """
    ends = [node for node, _ in outputs]
    schedule = between(builder, ends, variables.values())
    names = _gradient_names(builder, _ancestors(builder, ends))
    run = _Reverse(builder, conventions, set(schedule), Finiteness(builder.operands))
    parts: dict[Node, list[Part]] = {}
    guards: dict[Node, list[Guard]] = {}
    for node, seed in outputs:
        parts.setdefault(node, []).append((None, seed))
        guards.setdefault(node, []).append(None)
    cotangents: dict[Node, Node] = {}
    contributions: dict[Edge, Node] = {}
    for node in reversed(schedule):
        if node not in parts:
            continue
        with place_of(builder, node):
            ct = _collected(builder, node, parts.pop(node))
            if isinstance(ct, Value):
                cotangents[node] = ct.node
                builder.name(ct.node, *names[node])
            for position, part, guard in _operand_cotangents(run, node, ct, united(guards.pop(node))):
                operand = builder.operands(node)[position]
                contributions[node, position] = part[1]
                parts.setdefault(operand, []).append(part)
                guards.setdefault(operand, []).append(guard)
    zero = tuple(name for name, node in variables.items() if node not in cotangents)
    for name in zero:
        cotangents[variables[name]] = zeros(builder, variables[name].tensor).node
    return Cotangents(cotangents, contributions, zero, tuple(run.guarded))


@dataclass(frozen=True)
class _Reverse:
    """What a reverse pass works with, and where it put guards."""

    builder: Builder
    conventions: Conventions
    active: Set[Node]
    finite: Finiteness
    guarded: dict[Firing, None] = field(default_factory=dict)

    def select(self, node: Node, guard: Guard, ct: Value, sent: Value, *, loose: bool) -> Value:
        """What a node sends to an operand, or the operand that it needs for that, zero where a guard is."""
        found = guarded(guard, ct, sent, loose=loose)
        if found is not sent:
            self.note(node, guard)
        return found

    def note(self, node: Node, guard: Guard) -> None:
        """Record that a node is guarded."""
        branch = any(not choice.loose for choice in guard or ())
        what = "the branch of where that is not taken" if branch else "0 from being multiplied by infinity"
        span = next(iter(self.builder.spans.get(node, ())), None)
        self.guarded[Firing(f"guarded {what}: {node.op.name}", span)] = None


def check_dependence(graph: Graph | Builder, outputs: Sequence[Node], variables: Mapping[str, Node]) -> None:
    """Refuse variables that no derivative can reach.

    Raises
    ------
    GraphcError
        GC301 when every path from the outputs to a variable is cut by an op that is not differentiable, GC302 when
        there is none. A piecewise constant op (`sign`) cuts nothing: its derivative is zero by convention.
    """
    reachable = _differentiably_reached(graph, outputs)
    faults = [_unreached(graph, outputs, name, node) for name, node in variables.items() if node not in reachable]
    if faults:
        raise GraphcError(*faults)


def _differentiably_reached(graph: Graph | Builder, outputs: Sequence[Node]) -> set[Node]:
    found, stack = set(outputs), list(outputs)
    while stack:
        for operand in _differentiable(graph, stack.pop()):
            if operand not in found:
                found.add(operand)
                stack.append(operand)
    return found


def apart(builder: Builder, variables: Iterable[Node]) -> Step:
    """The step of a rebuild that keeps variables apart from equal nodes, whose cotangents they would share."""
    own = {node for node in variables if node.op.name not in ("input", "param")}

    def step(node: Node, operands: tuple[Node, ...]) -> Node | None:
        return builder.fresh(node.op, operands, node.attrs, node.type) if node in own else None

    return step


def _gradient_names(builder: Builder, nodes: Iterable[Node]) -> dict[Node, tuple[str, ...]]:
    """The names of cotangents; of several values of one name, ``Z``, they are ``d_Z``, ``d_Z_2`` and so on.

    Modules number the values in the same order, so that ``d_Z_2`` is the gradient of ``Z_2``.
    """
    counts: Counter[str] = Counter()
    found: dict[Node, tuple[str, ...]] = {}
    for node in nodes:
        names = builder.names.get(node)
        if not names or node.op in (OPS["const"], OPS["size"]):
            found[node] = ()
            continue
        first, *others = names
        counts[first] += 1
        numbered = first if counts[first] == 1 else f"{first}_{counts[first]}"
        found[node] = tuple(f"d_{name}" for name in (numbered, *others))
    return found


def between(builder: Builder, outputs: Sequence[Node], variables: Iterable[Node]) -> list[Node]:
    """The nodes that some output depends on and that depend on a variable along differentiable edges, in order."""
    needed = _ancestors(builder, outputs, min((node.serial for node in variables), default=0))
    active = {node for node in variables if node in needed}
    schedule = []
    for node in needed:
        operands = builder.operands(node)
        if node in active or any(operands[p] in active for p in differentiable_operands(node, operands)):
            active.add(node)
            schedule.append(node)
    return schedule


def _ancestors(builder: Builder, outputs: Sequence[Node], first: int = 0) -> dict[Node, None]:
    """The nodes from a serial number on that some output depends on, in order."""
    needed, stack = set(outputs), list(outputs)
    while stack:
        for operand in builder.operands(stack.pop()):
            if operand not in needed and operand.serial >= first:
                needed.add(operand)
                stack.append(operand)
    return dict.fromkeys(sorted(needed, key=lambda node: node.serial))


def differentiable_operands(node: Node, operands: Sequence[Node]) -> list[int]:
    """The positions of operands that can get a cotangent from this node."""
    if not carries_cotangent(node):
        return []
    positions = range(len(operands)) if node.op.differentiable is None else node.op.differentiable
    return [position for position in positions if carries_cotangent(operands[position])]


def carries_cotangent(node: Node) -> bool:
    """Whether a node's values are floats, so that a derivative with respect to it can exist."""
    return isinstance(node.type, TupleType) or node.type.is_float


def _operand_cotangents(
    run: _Reverse, node: Node, ct: Value | tuple[Value | None, ...], guard: Guard
) -> list[tuple[int, Part, Guard]]:
    """What a node sends to its operands, and where that may differ from zero."""
    operands = run.builder.operands(node)
    wanted = [p for p in reversed(differentiable_operands(node, operands)) if operands[p] in run.active]
    if not wanted:
        return []
    if node.op is OPS["item"]:
        assert isinstance(ct, Value)
        part = cast(int, node.attrs["index"]), ct.node
        return [(0, part, through(run.builder, guard, node, ct, 0))]
    sent = _elementwise_cotangents if node.op.elementwise is not None else _structural_cotangents
    return [(p, (None, value.node), below) for p, value, below in sent(run, node, ct, guard, wanted)]


def _structural_cotangents(
    run: _Reverse, node: Node, ct: Value | tuple[Value | None, ...], guard: Guard, wanted: Sequence[int]
) -> Iterator[tuple[int, Value, Guard]]:
    assert node.op.vjp is not None, f"{node.op} has no derivative rule"
    builder, operands = run.builder, run.builder.operands(node)
    values = [builder.value(operand) for operand in operands]
    below = {p: through(builder, guard, node, ct, p) for p in differentiable_operands(node, operands)}
    product = len(operands) > 1 and node.op.apart is not None and not is_uniform(guard)
    if product and not node.op.linear and isinstance(ct, Value):
        # What stands where nothing is taken meets cotangents that are zero, in sums over what is taken too.
        for p, branch in below.items():
            values[p] = run.select(node, branch, values[p], values[p], loose=run.finite.may_fail(operands[p]))
    # The rule of an op that holds graphs differentiates these with this very engine.
    given = {"engine": functools.partial(backpropagate, conventions=run.conventions)} if node.op.higher_order else {}
    found = node.op.vjp(ct, builder.value(node), *values, **node.attrs, **given)
    for p in wanted:
        value = found[p]
        if value is None:
            continue
        if not (node.op.linear or product) and isinstance(ct, Value):
            value = run.select(node, below[p], value, value, loose=run.finite.may_fail(operands[p]))
        yield p, value, below[p]


def _elementwise_cotangents(
    run: _Reverse, node: Node, ct: Value | tuple[Value | None, ...], guard: Guard, wanted: Sequence[int]
) -> Iterator[tuple[int, Value, Guard]]:
    assert isinstance(ct, Value)
    operands = [run.builder.value(operand) for operand in run.builder.operands(node)]
    slopes = partials(node.op, run.conventions)
    for p in wanted:
        partial = slopes[p]
        if partial is None:
            continue
        if node.op is OPS["where"]:
            # Selected, not multiplied by the condition: the cotangent of the branch that was taken may be infinite.
            sent = OPS["where"](operands[0], *((ct, 0) if p == 1 else (0, ct)))
            below = chosen(guard, operands[0].node, p == 1)
        else:
            factor = partial(run.builder.value(node), *operands)
            sent, below = multiplied(run.finite, ct, factor, guard, operands)
            if sent.node is not ct.node and sent.node.op is OPS["where"]:
                run.note(node, guard)
        type = operands[p].type
        yield p, unbroadcast(sent, type), fitting(below, type.shape)


def _collected(builder: Builder, node: Node, parts: Sequence[Part]) -> Value | tuple[Value | None, ...]:
    """The cotangent of a node: what its users sent, added; of several results one for each, None where none was."""
    if not isinstance(node.type, TupleType):
        return _sum([builder.value(part) for _, part in parts])
    sent = [[builder.value(part) for index, part in parts if index == k] for k in range(len(node.type.items))]
    return tuple(_sum(found) if found else None for found in sent)


def _sum(parts: Sequence[Value]) -> Value:
    # Users were met last first; their contributions are added in the order of the model.
    return reduce(lambda total, part: total + part, reversed(parts))


def _seed(builder: Builder, output: str, node: Node, taken: set[str]) -> Node:
    return builder.input(free_name(f"d_{output}", taken), node.tensor).node


def place_of(builder: Builder, node: Node) -> AbstractContextManager[None]:
    """Within the block, nodes come from where a node does."""
    return builder.at(tuple(builder.spans.get(node, ())), tuple(builder.scopes.get(node, ())))


def _path(graph: Graph | Builder, roots: Sequence[Node], target: Node) -> list[Node]:
    """A shortest path from one of the roots down to a node, along operands; empty when there is none."""
    came_from: dict[Node, Node | None] = dict.fromkeys(roots)
    queue = deque(roots)
    while queue:
        node = queue.popleft()
        if node is target:
            return _walked(came_from, node)
        for operand in graph.operands(node):
            if operand not in came_from:
                came_from[operand] = node
                queue.append(operand)
    return []


def _walked(came_from: Mapping[Node, Node | None], end: Node) -> list[Node]:
    path, node = [end], came_from[end]
    while node is not None:
        path.append(node)
        node = came_from[node]
    return path[::-1]


def _unreached(graph: Graph | Builder, roots: Sequence[Node], name: str, variable: Node) -> Diagnostic:
    root = next(iter(graph.names.get(roots[0], ())), "the output")
    path = _path(graph, roots, variable)
    declared = tuple((span, f"{name} is declared here") for span in tuple(graph.spans.get(variable, ()))[:1])
    if not path:
        span = declared[0][0] if declared else None
        return Diagnostic("GC302", f"{root} does not depend on {name}", span, f"{name} is not used in {root}")
    cut = next((node for node in path if not carries_cotangent(node)), None) or next(
        node for node, below in pairwise(path) if below not in _differentiable(graph, node)
    )
    # A cast was put in by the compiler; nobody would look for it.
    words = " ← ".join([root, *(node.op.name for node in path[:-1] if node.op.name != "cast"), name])
    span = next(iter(graph.spans.get(cut, ())), None)
    message = f"no gradient of {root} reaches {name}: {cut.op.name} is not differentiable"
    return Diagnostic("GC301", message, span, f"the only path stops here: {words}", declared)


def _differentiable(graph: Graph | Builder, node: Node) -> list[Node]:
    operands = graph.operands(node)
    return [operands[p] for p in differentiable_operands(node, operands)]
