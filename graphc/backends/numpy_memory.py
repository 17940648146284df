"""How much memory a generated function holds at once, from its statements: in sizes, or for sizes that are numbers.

What is assigned stays until it is deleted or the function returns; what stands inside an expression goes when its user
is computed. Where a sum, difference, product or quotient has a large operand that nobody else holds, NumPy writes the
result into it. Of a region the whole arrays are there before its first block. A function has its work arrays from start
to end, and so the arrays for what it returns where its caller may give them; the work arrays of blocks are small and do
not count.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from graphc.backends.numpy_expressions import op_text
from graphc.backends.numpy_scan import Scan
from graphc.backends.numpy_statements import Body
from graphc.backends.regions import Region
from graphc.cost import is_copied, is_strided, scratch
from graphc.graph import Graph, Node
from graphc.ops.operand_text import is_literal
from graphc.size import Size, at_least, substitute
from graphc.tensor_type import TensorType, TupleType, Type

ELIDED_BYTES = 256 * 1024
"""From here on NumPy reuses the memory of operands, on Linux."""

_REUSING = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.BitAnd, ast.BitOr, ast.BitXor)
_COMMUTING = (ast.Add, ast.Mult, ast.BitAnd, ast.BitOr, ast.BitXor)


def peak_memory(body: Body, outputs: Mapping[str, Node], sizes: Mapping[str, int] | None = None) -> tuple[Size, ...]:
    """The bytes that a function holds at most, beside its arguments, when it is called.

    Parameters
    ----------
    body : Body
        Its statements.
    outputs : mapping of str to Node
        What it returns.
    sizes : mapping of str to int, optional
        Numbers for all named sizes.

    Returns
    -------
    tuple of Size
        The largest of them is the peak; which that is may depend on named sizes.
    """
    memory = _Memory(sizes or {})
    memory.start(body)
    memory.run(body)
    memory.give(body, outputs)
    return tuple(memory.peaks)


@dataclass
class _Memory:
    """The bytes that are held now, and the most that were: those that are not always less than others."""

    sizes: Mapping[str, int]
    held: Size = 0
    peaks: list[Size] = field(default_factory=lambda: [0])

    def start(self, body: Body) -> None:
        """What is there all along."""
        given = [node.type for node, arrays in body.room.given.items() for _ in arrays] if body.room else []
        self.held = sum((self._type(type).nbytes for type in (*body.work, *given)), self.held)
        self._note(0)

    def run(self, body: Body, *, again: bool = False) -> None:
        """The statements of a body; a step that runs again replaces what its names held."""
        for node in body.order:
            ended: Sequence[Node] = body.freed.get(node, ()) if isinstance(node, Node) else ()
            self.held = self.held - sum((self._bytes(x) for x in ended), cast(Size, 0))
            before = self.held
            if isinstance(node, Region):
                results = (x for x in (*node.results, *node.sums) if x not in body.placed)
                self.held = sum((self._bytes(x) for x in results), self.held)
            elif node in body.steps:
                self._loop(body, node)
            elif isinstance(body.texts[node], ast.Name) and node not in body.leaves:
                self.held = self.held + self._value(body, node)
            if again:
                self.held = before

    def give(self, body: Body, outputs: Mapping[str, Node]) -> None:
        """The return statement, with copies of what would share memory."""
        for name, text in body.results(outputs).items():
            node = outputs[name]
            self.held = self.held + (self._value(body, node) if _is_inline(body, node) else 0)
            copied = text is not body.texts[node] and not is_literal(body.texts[node])
            if copied and not (body.room and node in body.room.given):
                self.held = self.held + self._bytes(node)
            self._note(0)

    def _value(self, body: Body, node: Node) -> Size:
        """Compute a node; the bytes of new memory that its result is in."""
        before = self.held
        operands = body.graph.operands(node)
        if any(operand in body.steps for operand in operands):
            return 0
        fresh = {operand: self._held(body, operand) for operand in operands if _is_inline(body, operand)}
        if body.is_view(node) and not is_copied(body.graph, node):
            self.held = before
            return fresh.get(operands[0], 0)
        types = [self._type(operand.type) for operand in operands]
        strided = [is_strided(body.graph, operand) for operand in operands]
        needed = scratch(node.op, self._type(node.type), types, node.attrs, strided)
        made = self._bytes(node) if node not in body.placed else 0
        if node.op.body is not None:
            needed = self._bytes(node) * _arrays_inside(node.op.body)
        if (operand := body.in_place.get(node)) is not None:
            self._note(needed)
            self.held = before
            return fresh.get(operand, 0)
        self._note(needed + (0 if self._is_reused(body, node, fresh) else made))
        self.held = before
        return made

    def _held(self, body: Body, node: Node) -> Size:
        fresh = self._value(body, node)
        self.held = self.held + fresh
        return fresh

    def _loop(self, body: Body, node: Node) -> None:
        """A scan: what a step leaves in its names is there while the next one computes it anew."""
        scan, inside = Scan.of(node), body.steps[node]
        outputs = list(inside.graph.outputs.values())
        firsts = [self._held(body, x) for x in body.graph.operands(node)[: scan.carries] if _is_inline(body, x)]
        stacked = {user.attrs["index"]: user for user, _ in body.graph.users(node)}
        self.held = self.held + sum((self._bytes(x) for k, x in stacked.items() if k not in range(scan.carries)), 0)
        self.run(inside)
        carried = [self._held(inside, out) for out in outputs[: scan.carries] if _is_inline(inside, out)]
        for out in outputs[scan.carries :]:
            self._value(inside, out) if _is_inline(inside, out) else None
        self.held = self.held - sum(firsts, 0)
        if scan.length != 1:
            self.run(inside, again=True)
            before = self.held
            for out in outputs:
                self._held(inside, out) if _is_inline(inside, out) else None
            self.held = before
        del carried

    def _is_reused(self, body: Body, node: Node, fresh: Mapping[Node, Size]) -> bool:
        """Whether NumPy writes the result into an operand."""
        made = self._bytes(node)
        if node.op.elementwise is None or not fresh or (isinstance(made, int) and made < ELIDED_BYTES):
            return False
        operands = body.graph.operands(node)
        given: list[ast.expr] = [
            body.texts[x] if is_literal(body.texts[x]) else ast.Name(f"x{p}", ast.Load())
            for p, x in enumerate(operands)
        ]
        places = {id(text): operand for text, operand in zip(given, operands, strict=True)}
        found = [places.get(id(text)) for text in _overwritten(op_text(body.graph, node, given))]
        fits = all(x.tensor.shape in ((), node.tensor.shape) for x in operands)
        return fits and any(x in fresh and x.type == node.type and not body.is_view(x) for x in found if x)

    def _note(self, more: Size) -> None:
        peak = self.held + more
        if any(at_least(known - peak, 0) for known in self.peaks):
            return
        self.peaks = [*(known for known in self.peaks if not at_least(peak - known, 0)), peak]

    def _type(self, type: Type) -> Type:
        if not self.sizes:
            return type
        if isinstance(type, TupleType):
            return TupleType(tuple(self._tensor(item) for item in type.items))
        return self._tensor(type)

    def _tensor(self, type: TensorType) -> TensorType:
        return TensorType(type.dtype, tuple(substitute(size, self.sizes) for size in type.shape))

    def _bytes(self, node: Node) -> Size:
        """The memory of an array; that of scalars does not count."""
        type = self._type(node.type)
        return 0 if isinstance(type, TensorType) and not type.shape else type.nbytes


def _is_inline(body: Body, node: Node) -> bool:
    """Whether a node is computed where it is used."""
    if node in body.leaves or node in body.steps:
        return False
    text = body.texts[node]
    return not isinstance(text, ast.Name) and not is_literal(text)


def _arrays_inside(body: Graph) -> int:
    """How many arrays an elementwise function of a model holds at most, beside its result."""
    computed = [node for node in body.nodes if node.op.elementwise is not None]
    last = {operand: node for node in computed for operand in body.operands(node) if operand in computed}
    held = most = 1
    for node in computed:
        texts: dict[Node, ast.expr] = {x: ast.Name(f"x{x.serial}", ast.Load()) for x in body.operands(node)}
        ended = [x for x in texts if last.get(x) is node]
        reused = {id(text) for text in _overwritten(op_text(body, node, [texts[x] for x in body.operands(node)]))}
        held += not any(id(texts[x]) in reused for x in ended)
        most = max(most, held + (node.op.scratch if isinstance(node.op.scratch, int) else 0))
        held -= len(ended) - any(id(texts[x]) in reused for x in ended)
    return most - 2


def _overwritten(text: ast.expr) -> list[ast.expr]:
    """The operands whose memory may become that of the result."""
    if isinstance(text, ast.UnaryOp) and isinstance(text.op, ast.USub):
        return [text.operand]
    if isinstance(text, ast.BinOp) and isinstance(text.op, _REUSING):
        return [text.left, text.right] if isinstance(text.op, _COMMUTING) else [text.left]
    return []
