"""Random numbers in the step of a scan: they are others in each step when their seed is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graphc.graph import Graph, Node
from graphc.op import OPS
from graphc.ops.scan_steps import Nodes


def add_moving(nodes: Nodes, ordered: Iterable[Node], moving: set[Node]) -> None:
    """Add what is computed from something that changes from step to step, of nodes in the order of their making."""
    moving.update(node for node in ordered if node in moving or not moving.isdisjoint(nodes.operands(node)))


def drawn_again(nodes: Nodes, ordered: Iterable[Node], moving: set[Node]) -> tuple[Node, Node] | None:
    """What draws the same in each step, and the node of this step that it is or is in: the step of a scan in it."""
    for node in ordered:
        moves = [operand in moving for operand in nodes.operands(node)]
        if "site" in node.attrs and not any(moves):
            return node, node
        found = _inside(node, moves) if node.op is OPS["scan"] else None
        if found is not None:
            return found, node
    return None


def _inside(scan: Node, moves: Sequence[bool]) -> Node | None:
    """What draws the same in a step of a scan whenever that runs, where only some operands are others each time."""
    step, carries = scan.attrs["step"], scan.attrs["carries"]
    assert isinstance(step, Graph) and isinstance(carries, int)
    moving = {node for node, moved in zip(step.inputs, moves, strict=True) if moved}
    before = -1
    while len(moving) > before:
        before = len(moving)
        add_moving(step, step.nodes, moving)
        # What a carry becomes is what the next step finds.
        after = zip(step.inputs, list(step.outputs.values())[:carries], strict=False)
        moving.update(node for node, becomes in after if becomes in moving)
    found = drawn_again(step, step.nodes, moving)
    return None if found is None else found[0]
