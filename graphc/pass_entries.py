"""What passes other than rules did to a module, for people: an entry with the place in the model for each change.

A pass is listed in `PASSES`: a function from what a module is made of to its entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphc.backends.numpy_module import Program, function_bodies
from graphc.backends.numpy_statements import Body
from graphc.backends.regions import Region
from graphc.builder import Builder, rebuild
from graphc.graph import Graph, Node
from graphc.rewrite.engine import Firing
from graphc.source import Span


@dataclass(frozen=True)
class Written:
    """A module before it is text: what it is made of, and the statements of its functions by their names."""

    program: Program
    bodies: Mapping[str, Body]


def pass_entries(program: Program) -> tuple[Firing, ...]:
    """What the passes did, in their order; what was done alike in several places of one call is one entry.

    Examples
    --------
    >>> import graphc
    >>> model = graphc.compile("x: Input; loss: Output = sin(x) * sin(x)")
    >>> for entry in model.passes:
    ...     print(entry.rule, entry.span, entry.did)
    multiply_by_one <model>:1:26 in value_and_grad
    common_subexpression <model>:1:35 sin is computed once, at <model>:1:26
    minimum_cut <model>:1:26 forward keeps sin for backward
    """
    written = Written(program, {name: body for name, (body, _) in function_bodies(program).items()})
    return tuple(dict.fromkeys(entry for found in PASSES for entry in found(written)))


def entries_text(entries: Iterable[Firing]) -> str:
    """A line for each entry, in columns: rule or pass, place, and where the plain form fails or what was done."""
    rows = [(entry.rule, str(entry.span or ""), ", ".join(filter(None, (entry.fails, entry.did)))) for entry in entries]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def entries_data(entries: Iterable[Firing]) -> list[dict[str, str]]:
    """Entries as plain data."""
    return [{"rule": x.rule, "place": str(x.span or ""), "fails": x.fails, "did": x.did} for x in entries]


def common_subexpressions(written: Written) -> Iterator[Firing]:
    """What the model has several times: of equal expressions the largest."""
    raw = written.program.raw
    own = {node for node in raw.nodes if {*raw.names.get(node, ())} & {*written.program.variables}}
    same = rebuild(raw, Builder(intern=True))
    first: dict[Node, Node] = {}
    for node in raw.nodes:
        first.setdefault(same[node], node)
    again = {node for node in raw.nodes if first[same[node]] is not node and raw.operands(node)} - own
    for node in raw.nodes:
        inside = bool(raw.users(node)) and all(user in again for user, _ in raw.users(node))
        if node in again and not node.op.view and not inside:
            place = _span(raw, first[same[node]])
            where = f", at {place}" if place != _span(raw, node) else ""
            yield Firing("common_subexpression", _span(raw, node), did=f"{node.op.name} is computed once{where}")


def minimum_cut(written: Written) -> Iterator[Firing]:
    """What the forward half keeps for the backward half, and what this one computes again."""
    split = written.program.split
    if split is None:
        return
    kept = {name: split.forward.outputs[name] for name in split.residuals}
    for name, node in kept.items():
        if split.forward.operands(node):
            yield Firing("minimum_cut", _span(split.forward, node), did=f"forward keeps {name} for backward")
    # In one builder equal nodes of both halves are one.
    builder = Builder(intern=True)
    forward = rebuild(split.forward, builder)
    leaves = {x: forward[kept[name]] for x in split.backward.inputs if (name := str(x.attrs["name"])) in kept}
    backward = rebuild(split.backward, builder, step=lambda node, operands: leaves.get(node))
    computed = {*forward.values()}
    for node in split.backward.nodes:
        if split.backward.operands(node) and backward[node] in computed and not node.op.view:
            yield Firing("minimum_cut", _span(split.backward, node), did=f"backward computes {node.op.name} again")


def in_place(written: Written) -> Iterator[Firing]:
    """What is written into the array of an operand, in which functions."""
    return _of_functions(
        written,
        "in_place",
        lambda body: {x: f"{x.op.name} into the array of {operand.op.name}" for x, operand in body.in_place.items()},
    )


def work_arrays(written: Written) -> Iterator[Firing]:
    """What is written into memory that is there already: arrays that are kept between calls, or that a caller gives."""
    return _of_functions(
        written,
        "work_arrays",
        lambda body: {x: f"{x.op.name} into memory that is there" for x in body.placed if x not in body.in_place},
    )


def blocks(written: Written) -> Iterator[Firing]:
    """What is computed together, block by block: for each region what a line of the model has in it."""
    for name, body in written.bodies.items():
        regions = [item for item in body.order if isinstance(item, Region)]
        for number, region in enumerate(regions, 1):
            which = f"block {number} of {name}" if len(regions) > 1 else f"the block of {name}"
            lines: dict[tuple[str, int], list[Node]] = {}
            for node in region.nodes:
                span = _span(body.graph, node)
                lines.setdefault((span.source.name, span.line) if span else ("", 0), []).append(node)
            for nodes in lines.values():
                did = f"{which}, rows of {region.size}: {_listed(node.op.name for node in nodes)}"
                yield Firing("blocks", _span(body.graph, nodes[0]), did=did)


PASSES: Sequence[Callable[[Written], Iterable[Firing]]] = (
    common_subexpressions,
    minimum_cut,
    in_place,
    work_arrays,
    blocks,
)
"""In the order in which they are listed."""


def _span(graph: Graph, node: Node) -> Span | None:
    return next(iter(graph.spans.get(node, ())), None)


def _of_functions(written: Written, rule: str, done: Callable[[Body], Mapping[Node, str]]) -> Iterator[Firing]:
    """What was done to nodes, in the order of the statements; what several functions have alike is one entry."""
    functions: dict[tuple[Span | None, str], dict[str, None]] = {}
    for name, body in _with_steps(written.bodies):
        for node, what in sorted(done(body).items(), key=lambda pair: pair[0].serial):
            functions.setdefault((_span(body.graph, node), what), {})[name] = None
    for (span, what), names in functions.items():
        yield Firing(rule, span, did=f"{what}, in {_listed(names)}")


def _with_steps(bodies: Mapping[str, Body]) -> Iterator[tuple[str, Body]]:
    """The bodies of functions, and those of the scans in them."""
    pending = list(bodies.items())
    while pending:
        name, body = pending.pop(0)
        yield name, body
        pending += [(name, step) for step in body.steps.values()]


def _listed(names: Iterable[str]) -> str:
    """Names with commas, those that come several times with their number."""
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(name if count == 1 else f"{count} {name}" for name, count in counts.items())
