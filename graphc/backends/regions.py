"""Where a graph can be computed by blocks of rows: `schedule` finds the regions and orders what is left around them.

A region is a set of nodes over one leading axis. Each is elementwise there, keeps the axis apart from the others, or
adds it up. What reads a sum needs all blocks, and is in a region of a later level.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal, TypeVar

from graphc.graph import Graph, Node
from graphc.op import OPS
from graphc.ops.indexing import Slice
from graphc.size import Size, nominal, size_names, substitute
from graphc.tensor_type import Shape, TensorType

Item = TypeVar("Item")
Optimize = Literal["readable", "speed"]
"""How modules are written; only those for speed have regions."""
OPTIMIZE: tuple[Optimize, ...] = ("readable", "speed")

FEWEST = 3
"""Arrays that a region must save: calling a function for each block is not free."""
LARGE = 2**17
"""Elements from which on an array is so large that the cache does not hold what is computed from it."""
MANY = 2**18
"""What a named size counts for that is a number of rows: there may be many."""

_ROW_ATTRIBUTES = frozenset({"axis", "keepdims", "ddof"})
_ADDED = ("sum", "mean")


@dataclass(frozen=True)
class Region:
    """Nodes that are computed together, block by block.

    Attributes
    ----------
    size : Size
        Of the leading axis.
    nodes : tuple of Node
        In an order in which few of them are needed at a time.
    results : tuple of Node
        Those that are needed as whole arrays; of the others only the rows of a block are ever in memory.
    sums : tuple of Node
        Those that add up the leading axis.
    """

    size: Size
    nodes: tuple[Node, ...]
    results: tuple[Node, ...]
    sums: tuple[Node, ...]


def schedule(graph: Graph, barred: Collection[Node], rows: Collection[str]) -> Sequence[Node | Region]:
    """The nodes of a graph and its regions, each after all that it reads.

    Parameters
    ----------
    graph : Graph
    barred : collection of Node
        Nodes that are in no region.
    rows : collection of str
        Named sizes that are numbers of rows, and may be large.
    """
    keys = {node: row_size(graph, node) for node in graph.nodes if node not in barred}
    levels = _sunk(graph, keys, _levels(graph, keys))
    places: dict[tuple[int, Size | None], list[Node]] = {}
    for node in graph.nodes:
        places.setdefault((levels[node], keys.get(node)), []).append(node)
    returned = frozenset(graph.outputs.values())
    found = {
        place: _region(graph, place[1], nodes, returned, rows)
        for place, nodes in places.items()
        if place[1] is not None
    }
    if not any(found.values()):
        return graph.nodes
    order: list[Node | Region] = []
    for place in sorted(places, key=lambda place: (place[0], place[1] is not None)):
        region = found.get(place)
        order += [region] if region else places[place]
    return order


def late(graph: Graph, order: Sequence[Node | Region], last: Collection[Node]) -> Sequence[Node | Region]:
    """An order in which some nodes, what is made from them, and arithmetic for these alone come after all others."""
    items = {node: item for item in order for node in (item.nodes if isinstance(item, Region) else (item,))}
    held: set[Node | Region] = set()
    for item in order:
        nodes = item.nodes if isinstance(item, Region) else (item,)
        if any(node in last or any(items.get(x) in held for x in graph.operands(node)) for node in nodes):
            held.add(item)
    for item in reversed(order) if held else ():
        if isinstance(item, Node) and item.op.elementwise is not None and item not in held:
            users = [items[user] for user, _ in graph.users(item)]
            held.update([item] if users and all(user in held for user in users) else ())

    def needs(item: Node | Region) -> list[Node | Region]:
        nodes = item.nodes if isinstance(item, Region) else (item,)
        found = dict.fromkeys(items[x] for node in nodes for x in graph.operands(node))
        return [x for x in found if x in held and x is not item]

    needed = {x for item in held for x in needs(item)}
    last_items = [item for item in order if item in held and item not in needed]
    return [*(item for item in order if item not in held), *_by_demand(last_items, needs)]


def extent(shape: Shape, rows: Collection[str]) -> int:
    """The elements of an array of a shape, with numbers for named sizes.

    Examples
    --------
    >>> from graphc.size import named_size
    >>> extent((named_size("N"), 3), ["N"]), extent((10, 3), [])
    (786432, 30)
    """
    total = 1
    for size in shape:
        many = {name: MANY for name in size_names(size) if name in rows}
        total *= nominal(substitute(size, many))
    return total


def adds_up(node: Node, size: Size) -> bool:
    """Whether a node of a region adds up the leading axis."""
    return node.op.name in _ADDED and 0 in _axes(node)


def reads_rows(graph: Graph, node: Node, operand: Node, size: Size) -> bool:
    """Whether a node of a region reads of an operand the rows that it computes; else it reads all of it."""
    type = operand.type
    if not isinstance(type, TensorType) or not type.shape or type.shape[0] != size:
        return False
    if node.op is OPS["einsum"]:
        return True in _has_rows(graph, node, operand)
    if node.op is OPS["gather"]:
        return operand is not graph.operands(node)[0]
    broadcasts = node.op.elementwise is not None or node.op is OPS["broadcast_to"]
    return type.ndim == node.tensor.ndim if broadcasts else True


def row_size(graph: Graph, node: Node) -> Size | None:
    """The size of the leading axis along which a node can be computed in blocks; None where it cannot."""
    operands = graph.operands(node)
    types = [operand.type for operand in operands]
    if not operands or not isinstance(node.type, TensorType) or not all(isinstance(t, TensorType) for t in types):
        return None
    if node.op.elementwise is not None or node.op is OPS["broadcast_to"]:
        return _leading(node)
    if node.op is OPS["einsum"]:
        return _leading(node) if _is_by_rows(graph, node) else None
    if node.op is OPS["gather"]:
        return _leading(node) if _takes_rows(graph, node) else None
    size = _leading(operands[0])
    if len(operands) > 1 or node.op.arity is None:
        # Joined along another axis.
        joined = node.op.arity is None and node.attrs.keys() == {"axis"} and 0 not in _axes(node)
        return size if joined and all(_leading(x) == size for x in operands) else None
    return size if _keeps_rows(node, operands[0]) else None


def _leading(node: Node) -> Size | None:
    shape = node.tensor.shape
    return shape[0] if shape and shape[0] != 1 else None


def _keeps_rows(node: Node, operand: Node) -> bool:
    """Whether each row of the result is made from that row of the operand alone, or all rows are added up."""
    x = operand.tensor
    if not x.shape:
        return False
    if node.op.name in _ADDED and 0 in _axes(node):
        return x.is_float or node.op is OPS["sum"]
    if node.tensor.shape[:1] != x.shape[:1]:
        return False
    if node.op is OPS["cast"]:
        return True
    if node.op is OPS["index"]:
        items = node.attrs["items"]
        return isinstance(items, tuple) and items[:1] == (Slice(0, x.shape[0], 1),)
    if not node.attrs.keys() <= _ROW_ATTRIBUTES or 0 in _axes(node):
        return False
    return node.op.apart is not None or node.op.flops == 0


def _terms(node: Node) -> tuple[list[str], str]:
    """The labels of the operands of a contraction, and that of the first axis of its result."""
    inputs, output = str(node.attrs["spec"]).split("->")
    return inputs.split(","), output[:1]


def _has_rows(graph: Graph, node: Node, operand: Node) -> set[bool]:
    """Whether an operand of a contraction has the first axis of the result, for each place where it stands."""
    terms, label = _terms(node)
    return {label in term for term, x in zip(terms, graph.operands(node), strict=True) if x is operand}


def _is_by_rows(graph: Graph, node: Node) -> bool:
    """Whether the first axis of a contraction's result is the first of all operands that have it."""
    terms, label = _terms(node)
    first = all(label not in term[1:] for term in terms)
    # What stands in it with and without that axis would be read both by rows and as a whole.
    return bool(label) and first and all(len(_has_rows(graph, node, x)) == 1 for x in graph.operands(node))


def _takes_rows(graph: Graph, node: Node) -> bool:
    """Whether one array of indices takes rows of a table, which is another array."""
    items, (table, *indices) = node.attrs["items"], graph.operands(node)
    assert isinstance(items, tuple)
    return items[0] == "tensor" and len(indices) == 1 and bool(indices[0].tensor.shape) and indices[0] is not table


def _axes(node: Node) -> tuple[int, ...]:
    axis = node.attrs.get("axis", 0)
    return axis if isinstance(axis, tuple) else (axis,) if isinstance(axis, int) else (0,)


def _levels(graph: Graph, keys: Mapping[Node, Size | None]) -> dict[Node, int]:
    """How many loops over blocks must be over before a node can be computed: as few as possible."""
    levels: dict[Node, int] = {}
    for node in graph.nodes:
        key = keys.get(node)
        levels[node] = max(
            (levels[x] + _waits(graph, node, x, key, keys.get(x)) for x in graph.operands(node)), default=0
        )
    return levels


def _waits(graph: Graph, node: Node, operand: Node, key: Size | None, operand_key: Size | None) -> bool:
    """Whether a node has to wait for the end of the loop that an operand is computed in."""
    if operand_key is None:
        return False
    return key != operand_key or adds_up(operand, operand_key) or not reads_rows(graph, node, operand, operand_key)


def _sunk(graph: Graph, keys: Mapping[Node, Size | None], levels: dict[Node, int]) -> dict[Node, int]:
    """The levels with values moved to the loop that first reads them, where they need not be kept for it then.

    What they are made from has to be kept in their place: no more than one array of no more elements.
    """
    found, returned = dict(levels), set(graph.outputs.values())
    for node in reversed(graph.nodes):
        key, users = keys.get(node), [user for user, _ in graph.users(node)]
        if key is None or node in returned or adds_up(node, key) or not users:
            continue
        level = min(found[user] for user in users)
        apart = any(keys.get(user) != key or not reads_rows(graph, user, node, key) for user in users)
        if apart or level == found[node]:
            continue
        kept = [
            x
            for x in dict.fromkeys(graph.operands(node))
            if x not in returned and _ends_before(graph, x, node, keys, found)
        ]
        if len(kept) <= 1 and all(nominal(x.tensor.size) <= nominal(node.tensor.size) for x in kept):
            found[node] = level
    return found


def _ends_before(
    graph: Graph, operand: Node, node: Node, keys: Mapping[Node, Size | None], levels: Mapping[Node, int]
) -> bool:
    """Whether an operand is computed in the loop of a node, and nobody reads it after that."""
    key = keys.get(operand)
    if key != keys.get(node) or levels[operand] < levels[node]:
        return False
    return all(keys.get(user) == key and levels[user] == levels[node] for user, _ in graph.users(operand))


def _by_demand(wanted: Iterable[Item], needs: Callable[[Item], Sequence[Item]]) -> list[Item]:
    """What some items need, directly or not, and they themselves, each right before it is first needed."""
    done: dict[Item, None] = {}
    for root in wanted:
        stack = [root]
        while stack:
            missing = [x for x in needs(stack[-1]) if x not in done]
            if missing:
                stack += reversed(missing)
            else:
                done[stack.pop()] = None
    return [*done]


def _region(
    graph: Graph, size: Size, nodes: Sequence[Node], returned: Set[Node], rows: Collection[str]
) -> Region | None:
    """The region of some nodes, where it saves arrays."""
    inside = set(nodes)
    sums = {node: None for node in nodes if adds_up(node, size)}
    results = {
        node: None
        for node in nodes
        if node not in sums
        and (
            node in returned
            or any(user not in inside or not reads_rows(graph, user, node, size) for user, _ in graph.users(node))
        )
    }
    saved = sum(node.op.flops != 0 and _is_large(node, rows) for node in nodes) - len(results) - len(sums)
    if saved < FEWEST:
        return None
    wanted = [node for node in nodes if node in results or node in sums]
    ordered = _by_demand([*wanted, *nodes], lambda node: [x for x in graph.operands(node) if x in inside])
    return Region(size, tuple(ordered), tuple(results), tuple(sums))


def _is_large(node: Node, rows: Collection[str]) -> bool:
    """Whether a node is so large that computing it by blocks may pay."""
    return extent(node.tensor.shape, rows) >= LARGE
