"""A region as a function of one block of rows, and the call that runs it over all blocks; see `regions`.

What a ufunc makes goes into a work array that is used again as soon as its value is dead, or into the rows of a result.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from graphc.backends.expression_text import expression_text
from graphc.backends.numpy_expressions import op_text, shared_parts
from graphc.backends.numpy_names import Names
from graphc.backends.numpy_scan import Comment, Function, Statement, Written, assignment, dtype_text, empty
from graphc.backends.regions import Region, adds_up, reads_rows
from graphc.backends.slots import Life, slots
from graphc.backends.ufuncs import as_ufunc, is_elementwise, quickest, takes_out, with_out
from graphc.graph import Graph, Node
from graphc.numpy_text import call, literal, subscript, with_part
from graphc.op import OPS, OpCall
from graphc.size import Size
from graphc.tensor_type import Shape, product

RUNTIME = "_blockwise"
"""The function that runs over the blocks."""


@dataclass(frozen=True)
class Place:
    """A function's statements so far, from the view of a region in it.

    Attributes
    ----------
    graph : Graph
    texts : mapping of Node to ast.expr
        What the region reads, as variables or numbers.
    names : Names
    targets : mapping of Node to str
        The names that nodes have in any case.
    also : mapping of Node to tuple of str
        The other names that the model has for them.
    comment : callable
        From a node to the model lines above its statement.
    """

    graph: Graph
    texts: Mapping[Node, ast.expr]
    names: Names
    targets: Mapping[Node, str]
    also: Mapping[Node, tuple[str, ...]]
    comment: Callable[[Node], Comment]


@dataclass(frozen=True)
class WrittenRegion:
    """The statements of a region, and the variables that hold what it gives."""

    statements: list[Written]
    results: dict[Node, ast.expr]


@dataclass
class _Step:
    """A value of a block: its variable, how it is computed, the work array that it is written to."""

    node: Node
    name: str
    value: ast.expr
    work: tuple[_Kind, int] | None = None


@dataclass(frozen=True)
class _Kind:
    """What work arrays of one size are: the axes after the first, and a type."""

    tail: Shape
    dtype: str


@dataclass
class _Block:
    """The statements of a block while they are being made."""

    region: Region
    results: frozenset[Node]
    place: Place
    sums: Mapping[Node, str]
    rows: str
    work: str
    texts: dict[Node, ast.expr] = field(default_factory=dict)
    slices: dict[str, ast.Name] = field(default_factory=dict)
    steps: list[_Step] = field(default_factory=list)
    arrays: dict[Node, str] = field(default_factory=dict)


def external_operands(graph: Graph, region: Region) -> list[Node]:
    """What a region reads that it does not compute."""
    inside = set(region.nodes)
    found = dict.fromkeys(x for node in region.nodes for x in graph.operands(node))
    return [operand for operand in found if operand not in inside]


def written_region(region: Region, place: Place) -> WrittenRegion:
    """The arrays for the results, the function of a block, its call, and what is left to do with the sums."""
    sums = {node: place.targets.get(node) or place.names.number(node.op.name) for node in region.sums}
    block = _Block(region, frozenset(region.results), place, sums, place.names.take("rows"), place.names.take("work"))
    for node in region.nodes:
        _compute(block, node)
    _assign_work(block)
    function = place.names.take("block")
    arrays = [replace(assignment(name, empty(node.tensor), ()), node=node) for node, name in block.arrays.items()]
    body: list[Written] = [assignment(text.id, _rows(block, name), ()) for name, text in block.slices.items()]
    numbers = _numbers(block)
    body += [_statement(block, step, numbers) for step in block.steps]
    returned = tuple(block.texts[node] for node in region.sums)
    called = _call(block, function, [*sums.values()])
    after = [_mean(place, node, name) for node, name in sums.items() if node.op is OPS["mean"]]
    results = {node: ast.Name(name, ast.Load()) for node, name in {**block.arrays, **sums}.items()}
    written = Function(f"def {function}({block.rows}, {block.work}):", tuple(body), (), returned)
    return WrittenRegion([*arrays, written, called, *after], dict(results))


def _compute(block: _Block, node: Node) -> None:
    """The steps of a node, and its text where others use it."""
    place = block.place
    given = [_operand(block, node, operand) for operand in place.graph.operands(node)]
    value = _value(block, node, given)
    while shared := shared_parts(value, given):
        name = place.names.number(node.op.name)
        block.steps.append(_Step(node, name, shared[0]))
        value = with_part(value, shared[0], ast.Name(name, ast.Load()))
    if node in block.results:
        block.arrays[node] = place.targets.get(node) or place.names.number(node.op.name)
        name = place.names.take(f"{block.arrays[node]}_rows")
    elif node in block.sums:
        name = place.names.take(f"{block.sums[node]}_rows")
    else:
        name = place.targets.get(node) or place.names.number(node.op.name)
    block.steps.append(_Step(node, name, value))
    block.texts[node] = ast.Name(name, ast.Load())


def _operand(block: _Block, node: Node, operand: Node) -> ast.expr:
    if operand in block.texts:
        return block.texts[operand]
    text = block.place.texts[operand]
    if not isinstance(text, ast.Name) or not reads_rows(block.place.graph, node, operand, block.region.size):
        return text
    if text.id not in block.slices:
        block.slices[text.id] = ast.Name(block.place.names.take(f"{text.id}_rows"), ast.Load())
    return block.slices[text.id]


def _value(block: _Block, node: Node, given: list[ast.expr]) -> ast.expr:
    operands = block.place.graph.operands(node)
    called = OpCall(node.type, tuple(operand.type for operand in operands))
    if adds_up(node, block.region.size):
        found = OPS["sum"].numpy(called, *given, **node.attrs)  # type: ignore[operator]
    elif node.op is OPS["broadcast_to"]:
        count = ast.parse(f"{block.rows}.stop - {block.rows}.start", mode="eval").body
        found = node.op.numpy(called, *given, shape=(count, *node.tensor.shape[1:]))  # type: ignore[operator]
    else:
        return quickest(op_text(block.place.graph, node, given), called.operand_types)
    assert isinstance(found, ast.expr)
    return found


def _rows(block: _Block, array: str) -> ast.expr:
    return subscript(ast.Name(array, ast.Load()), ast.Name(block.rows, ast.Load()))


def _assign_work(block: _Block) -> None:
    """Give work arrays to what ufuncs make; one is free again after the last step that reads a value in it."""
    lives = [
        Life(_kind(step.node) if _is_worked(block, step) else None, last, is_elementwise(step.value))
        for step, last in zip(block.steps, _last_reads(block), strict=True)
    ]
    for step, number in zip(block.steps, slots(lives), strict=True):
        step.work = None if number is None else (_kind(step.node), number)


def _is_worked(block: _Block, step: _Step) -> bool:
    """Whether a step's value goes into a work array."""
    returned = step.node in block.arrays or step.node in block.sums
    return not returned and takes_out(step.value) and _gives_node(block, step)


def _gives_node(block: _Block, step: _Step) -> bool:
    """Whether a step gives its node, not only a part of it."""
    text = block.texts[step.node]
    return isinstance(text, ast.Name) and text.id == step.name


def _last_reads(block: _Block) -> list[int]:
    """For each step the last that may read its memory: what is no ufunc may give a view of what it reads."""
    places = {step.name: position for position, step in enumerate(block.steps)}
    last = list(range(len(block.steps)))
    for position in reversed(range(len(block.steps))):
        step = block.steps[position]
        passes_on = as_ufunc(step.value) is None and step.node.op.elementwise is None and step.node.op.flops == 0
        until = last[position] if passes_on else position
        for part in ast.walk(step.value):
            if isinstance(part, ast.Name) and part.id in places:
                read = places[part.id]
                last[read] = max(last[read], until)
    return last


def _numbers(block: _Block) -> dict[tuple[_Kind, int], int]:
    """The place of each work array in the list of them: those of one kind side by side."""
    used = dict.fromkeys(step.work for step in block.steps if step.work)
    kinds = dict.fromkeys(kind for kind, _ in used)
    ordered = [work for kind in kinds for work in sorted(used, key=lambda work: work[1]) if work[0] == kind]
    return {work: place for place, work in enumerate(ordered)}


def _statement(block: _Block, step: _Step, numbers: Mapping[tuple[_Kind, int], int]) -> Statement:
    comment = block.place.comment(step.node)
    also = block.place.also.get(step.node, ()) if _gives_node(block, step) else ()
    if step.work:
        out = subscript(ast.Name(block.work, ast.Load()), literal(numbers[step.work]))
        return assignment(step.name, with_out(step.value, out), comment, also)
    if step.node not in block.arrays or not _gives_node(block, step):
        return assignment(step.name, step.value, comment, also)
    out = _rows(block, block.arrays[step.node])
    read = any(user in block.texts for user, _ in block.place.graph.users(step.node))
    if not takes_out(step.value):
        target = f"{expression_text(out)} = {step.name}" if read else expression_text(out)
        return assignment(target, step.value, comment, also)
    value = with_out(step.value, out)
    return Statement(step.name if read else "", value, expression_text(value), comment, also, "=" if read else "")


def _call(block: _Block, function: str, sums: Sequence[str]) -> Statement:
    """The call, with what work arrays there are: the axes after the first, the type, how many."""
    numbers = _numbers(block)
    kinds = [(kind, len(list(same))) for kind, same in groupby(numbers, key=lambda work: work[0])]
    made = {kind for kind, _ in kinds}
    kinds += [(kind, 0) for kind in dict.fromkeys(_kind(node) for node in block.region.nodes) if _wide(kind, made)]
    rows = [
        ast.Tuple([literal(kind.tail), dtype_text(kind.dtype), literal(count)], ast.Load()) for kind, count in kinds
    ]
    value = call(RUNTIME, ast.Name(function, ast.Load()), block.region.size, *rows)
    target = f"({sums[0]},)" if len(sums) == 1 else ", ".join(sums)
    return Statement(target, value, expression_text(value), (), operator="=" if sums else "")


def _kind(node: Node) -> _Kind:
    return _Kind(node.tensor.shape[1:], node.tensor.dtype)


def _wide(kind: _Kind, made: set[_Kind]) -> bool:
    """Whether rows of a kind may be wider than those of all work arrays."""
    return kind.tail != () and all(kind.tail != other.tail for other in made)


def _mean(place: Place, node: Node, name: str) -> Statement:
    """The sum divided by the number of its terms."""
    (operand,) = place.graph.operands(node)
    axes = node.attrs["axis"]
    assert isinstance(axes, tuple)
    count: Size = product([operand.tensor.shape[a] for a in axes])
    return assignment(name, ast.BinOp(ast.Name(name, ast.Load()), ast.Div(), literal(count)), place.comment(node))
