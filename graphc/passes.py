"""The pipeline between a front end and a back end: raw → stabilise → differentiate → simplify → partition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from graphc.autodiff import apart, backpropagate, check_dependence, differentiate
from graphc.builder import Builder, rebuild
from graphc.gradient_rules import without_rules
from graphc.graph import Graph, Node, subgraphs
from graphc.op import Conventions
from graphc.partition import Split, extract, partition
from graphc.rewrite.engine import Firing, rewrite
from graphc.rewrite.scan_residuals import keep_residuals
from graphc.rewrite.scan_vectorise import vectorise_scans
from graphc.rewrite.scans import has_scans, moved_out, tidy_scans
from graphc.rewrite.sets import simplifying, stabilising


@dataclass(frozen=True)
class Compiled:
    """What back ends start from.

    Attributes
    ----------
    outputs : mapping of str to Graph
        A graph for each output, with only the inputs and parameters that it needs.
    split : Split or None
        Forward and backward; None when no gradient was asked for.
    value_and_grad : Graph or None
        Outputs are the loss, then ``d_<variable>``; None when the loss is not one scalar.
    firings : tuple of Firing
        The rules that fired and the guards of gradients, and where.
    zero : tuple of str
        The variables whose gradient is zero by convention.
    together : Graph or None
        All outputs in one graph, where no gradient was asked for.
    seeded : tuple of Firing
        The rules that fired in ``value_and_grad`` alone, because the cotangent of the loss is 1 there.
    """

    outputs: Mapping[str, Graph]
    split: Split | None
    value_and_grad: Graph | None
    firings: tuple[Firing, ...]
    zero: tuple[str, ...] = ()
    together: Graph | None = None
    seeded: tuple[Firing, ...] = ()


def run_pipeline(
    raw: Graph,
    losses: Sequence[str],
    variables: Mapping[str, Node],
    conventions: Conventions = "graphc",
    *,
    reassociate: bool = False,
) -> Compiled:
    """Compile a raw graph.

    Parameters
    ----------
    raw : Graph
        As the front end wrote it.
    losses : sequence of str
        The outputs to differentiate; none for a forward-only program.
    variables : mapping of str to Node
        What to differentiate with respect to.
    conventions : {"graphc", "torch", "jax"}
        Whose derivatives hold at kinks.
    reassociate : bool
        Whether rules may regroup sums and products where digits may be lost to cancellation.

    Raises
    ------
    GraphcError
        GC301, GC302 when no gradient reaches a variable.
    """
    check_dependence(raw, [raw.outputs[name] for name in losses], variables)
    stabilised, variables, firings = stabilise(raw, variables, conventions, reassociate=reassociate)
    simplified, fired = simplify(stabilised, reassociate=reassociate)
    singles = {name: _single(simplified, name) for name in simplified.outputs}
    if not losses:
        return Compiled(singles, None, None, (*firings, *fired), together=simplified)
    joint = differentiate(stabilised, losses, variables, check=False, conventions=conventions)
    seeds = [str(seed.attrs["name"]) for seed in joint.seeds.values()]
    whole, fired = simplify(joint.graph, reassociate=reassociate)
    split = partition(whole, list(raw.outputs), seeds)
    value_and_grad, more = None, Counter[Firing]()
    if len(losses) == 1 and not raw.outputs[losses[0]].tensor.shape:
        ones = seeded(joint.graph, joint.seeds[losses[0]])
        wanted = {name: ones.outputs[name] for name in [losses[0], *joint.gradients.values()]}
        value_and_grad, again = simplify(extract(ones, wanted), reassociate=reassociate)
        more = Counter(again) - Counter(fired)
    found = (*firings, *joint.guarded, *fired)
    return Compiled(singles, split, value_and_grad, found, joint.zero, seeded=tuple(more.elements()))


def simplify(graph: Graph, *, reassociate: bool = False) -> tuple[Graph, tuple[Firing, ...]]:
    """Apply the rules that keep values, also in the steps of scans; take from these what they need not do.

    All that was to be differentiated is: rules also look through calls of functions with gradient rules of their own.
    """
    rules = simplifying(reassociate)
    found = rewrite(without_rules(graph), rules)
    if not has_scans(found.graph):
        return found.graph, found.firings
    loops, vectorised = vectorise_scans(tidy_scans(keep_residuals(tidy_scans(found.graph))))
    again = rewrite(loops, rules)
    moved = (*dict.fromkeys((*moved_out(found.graph), *moved_out(again.graph))), *vectorised)
    return tidy_scans(again.graph), (*found.firings, *moved, *again.firings)


def simplified(graph: Graph, conventions: Conventions = "graphc", *, reassociate: bool = False) -> Graph:
    """A graph after the rules of stability and simplification, with nothing to differentiate any more."""
    return simplify(stabilise(graph, {}, conventions, reassociate=reassociate)[0], reassociate=reassociate)[0]


def _single(graph: Graph, name: str) -> Graph:
    """What one output needs."""
    found = extract(graph, {name: graph.outputs[name]}, unused=False)
    if not has_scans(found):
        return found
    tidied = tidy_scans(found)
    return extract(tidied, tidied.outputs, unused=False)


def stabilise(
    raw: Graph, variables: Mapping[str, Node], conventions: Conventions = "graphc", *, reassociate: bool = False
) -> tuple[Graph, dict[str, Node], tuple[Firing, ...]]:
    """Apply the stability rules and expand derivatives that the model asks for.

    Rules do not look through a variable, nor through what ``grad`` differentiates with respect to, so these stay
    connected when a rule would have gone round them.

    Raises
    ------
    GraphcError
        GC301, GC302 when the model asks for the gradient of a loss that does not reach its variable.
    """
    _check_gradients(raw)
    asked = [raw.operands(node)[1] for node in raw.nodes if node.op.name == "grad"]
    protect = list(dict.fromkeys([*variables.values(), *asked]))
    stable = rewrite(raw, stabilising(reassociate), protect=protect)
    kept = {node: stable.mapping[node] for node in protect if node in stable.mapping}
    graph, mapping, guarded = expand_gradients(stable.graph, kept.values(), conventions)
    found = {name: mapping[kept[node]] for name, node in variables.items() if node in kept}
    return graph, {**variables, **found}, (*stable.firings, *guarded)


def _check_gradients(graph: Graph) -> None:
    """Whether the derivatives that a graph asks for exist, also in the steps of its scans."""
    pending = [graph]
    while pending:
        raw = pending.pop()
        for node in raw.nodes:
            pending += subgraphs(node)
            if node.op.name == "grad":
                loss, variable = raw.operands(node)
                check_dependence(raw, [loss], {raw.name(variable) or f"the {variable.op.name}": variable})


def expand_gradients(
    graph: Graph, variables: Iterable[Node] = (), conventions: Conventions = "graphc"
) -> tuple[Graph, Mapping[Node, Node], tuple[Firing, ...]]:
    """Replace each ``grad(loss, x)`` by the cotangents that it stands for.

    Parameters
    ----------
    graph : Graph
    variables : iterable of Node
        What is differentiated with respect to, here or later: kept apart from equal nodes.
    conventions : {"graphc", "torch", "jax"}
        Whose derivatives hold at kinks.

    Returns
    -------
    (Graph, mapping, firings)
        The mapping goes from the nodes of the graph to those of the new one; the firings are guards.
    """
    if not any(node.op.name == "grad" or subgraphs(node) for node in graph.nodes):
        return graph, {node: node for node in graph.nodes}, ()
    builder = Builder(intern=True)
    keep_apart = apart(builder, variables)
    guarded: list[Firing] = []

    def step(node: Node, operands: tuple[Node, ...]) -> Node | None:
        if node.op.higher_order:
            attrs = {name: _written_out(x, conventions) for name, x in node.attrs.items()}
            return builder.make(node.op, operands, attrs, node.type)
        if node.op.name != "grad":
            return keep_apart(node, operands)
        loss, variable = operands
        one = builder.constant(1.0, loss.tensor.dtype)
        found = backpropagate(builder, [(loss, one.node)], {"": variable}, conventions=conventions)
        guarded.extend(found.guarded)
        return found.nodes[variable]

    mapping = rebuild(graph, builder, step=step)
    expanded = builder.finish({name: mapping[node] for name, node in graph.outputs.items()}, doc=graph.doc)
    return expanded, mapping, tuple(guarded)


def _written_out(attr: object, conventions: Conventions) -> object:
    """An attribute with the derivatives in it, where it is the step of a scan."""
    return expand_gradients(attr, conventions=conventions)[0] if isinstance(attr, Graph) else attr


def seeded(graph: Graph, seed: Node) -> Graph:
    """A joint graph with the cotangent of its loss set to 1; the number has no name of its own."""
    one = replace(Builder().constant(1.0, seed.tensor.dtype).node, serial=seed.serial)
    place = {seed: one}
    return replace(
        graph,
        operand_table={
            place.get(node, node): tuple([place.get(operand, operand) for operand in operands])
            for node, operands in graph.operand_table.items()
        },
        inputs=tuple(node for node in graph.inputs if node is not seed),
        outputs={name: place.get(node, node) for name, node in graph.outputs.items()},
        names={node: names for node, names in graph.names.items() if node is not seed},
    )
