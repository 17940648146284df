"""A graph as assignments: every node with a user's name, or with several users, is one; the rest stands inside them."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from graphc.backends.numpy_layout import WIDTH
from graphc.backends.numpy_names import Names
from graphc.graph import Graph, Node
from graphc.numpy_text import FLOAT, SIZE, call, fill, float_dtype, method
from graphc.op import OPS, OpCall
from graphc.ops.operand_text import is_literal
from graphc.tensor_type import TensorType

INLINE = 60
"""What is longer gets a name of its own, though it is used once."""
_SHORT = 16
"""Naming what is shorter would not shorten the line around it."""

Comment = tuple[str, ...]


@dataclass(frozen=True)
class Statement:
    """An assignment, with the model lines that it comes from."""

    target: str
    value: ast.expr
    comment: Comment


@dataclass
class Spelling:
    """Expressions as text: placeholders of sizes and of the float type get what they are called in one function.

    ``used_sizes`` and ``used_float`` tell afterwards what the text needs.
    """

    sizes: Mapping[str, str]
    float_text: str
    used_sizes: dict[str, None] = field(default_factory=dict)
    used_float: bool = False

    def __call__(self, value: ast.expr) -> str:
        """The text of an expression."""
        return _PLACEHOLDER.sub(self._spelled, ast.unparse(value))

    def _spelled(self, match: re.Match[str]) -> str:
        if match["size"] is None:
            self.used_float = True
            return self.float_text
        self.used_sizes[match["size"]] = None
        return self.sizes[match["size"]]


# As arguments these are checked: without axes they are NumPy scalars, which nobody can change.
_GIVEN = (OPS["input"], OPS["param"])

_PLACEHOLDER = re.compile(rf"{SIZE}(?P<size>\w+)|{FLOAT}")


class Body:
    """The statements of one function.

    Parameters
    ----------
    graph : Graph
    leaves : mapping of Node to ast.expr
        How inputs, parameters and saved arrays are written.
    names : Names
        The scope of the function, in which the leaves' names are taken.
    user_names : collection of str
        The names in the model; others in the graph are those of gradients.
    comment : callable
        From a node to the model lines above its statement.
    keep : collection of Node
        Nodes that get a name in any case.

    Attributes
    ----------
    statements : list of Statement
    texts : dict of Node to ast.expr
        How each node is written where it is used.
    """

    def __init__(
        self,
        graph: Graph,
        leaves: Mapping[Node, ast.expr],
        names: Names,
        *,
        user_names: Collection[str],
        comment: Callable[[Node], Comment],
        keep: Collection[Node] = (),
    ) -> None:
        self.graph = graph
        self.names = names
        self.comment = comment
        self.statements: list[Statement] = []
        self.texts: dict[Node, ast.expr] = dict(leaves)
        self._returned = Counter(graph.outputs.values())
        self._inline: dict[Node, int] = {}
        self._targets = self._named(user_names, frozenset(keep))
        for node in graph.nodes:
            if node not in self.texts:
                self._write(node)

    def results(self, outputs: Mapping[str, Node]) -> dict[str, ast.expr]:
        """Expressions for what is returned; none of them shares memory with an argument or another result."""
        found: dict[str, ast.expr] = {}
        seen: set[Node] = set()
        for name, node in outputs.items():
            root, fresh = self._origin(node)
            value = self.strong(node)
            unchanging = node.op in _GIVEN and not node.tensor.shape
            shared = root in seen or not fresh
            found[name] = method(value, "copy") if shared and not unchanging else value
            seen.add(root)
        return found

    def strong(self, node: Node) -> ast.expr:
        """A node as an array, also where its text is a Python number."""
        text = self.texts[node]
        if not is_literal(text):
            return text
        dtype = float_dtype() if node.tensor.is_float else fill(f"np.{node.tensor.dtype.replace('bool', 'bool_')}", {})
        return call("np.asarray", text, dtype=dtype)

    def _named(self, user_names: Collection[str], keep: Collection[Node]) -> dict[Node, str]:
        """Names for nodes that have one in the model first, then for gradients."""
        own: dict[Node, str] = {}
        gradients: dict[Node, str] = {}
        for node in self.graph.nodes:
            if node in self.texts or node.op in (OPS["const"], OPS["size"]):
                continue
            candidates = self.graph.names.get(node, ())
            user = next((name for name in candidates if name in user_names), None)
            if user is not None:
                own[node] = user
            elif candidates:
                gradients[node] = candidates[0]
        named = {node: self.names.take(name) for table in (own, gradients) for node, name in table.items()}
        kept = [node for node in self.graph.nodes if node in keep and not (node in named or node in self.texts)]
        return {**named, **{node: self.names.number(node.op.name) for node in kept}}

    def _origin(self, node: Node) -> tuple[Node, bool]:
        """The node whose memory this one's result may be, and whether it is new and writable."""
        writable = True
        while self._is_view(node):
            writable = writable and node.op is not OPS["broadcast_to"]
            node = self.graph.operands(node)[0]
        return node, writable and node.op not in (*_GIVEN, OPS["array"])

    def _is_view(self, node: Node) -> bool:
        """Whether a result may be memory of the first operand; so it is, for NumPy, with scalars as indices."""
        operands = self.graph.operands(node)
        if not operands or is_literal(self.texts[operands[0]]):
            return False
        if node.op is OPS["gather"]:
            return all(not index.tensor.shape for index in operands[1:])
        return node.op.flops == 0 or (node.op is OPS["cast"] and not node.tensor.shape)

    def _write(self, node: Node) -> None:
        value = self._value(node)
        if is_literal(value):
            self._set_number(node, value)
            return
        length = len(ast.unparse(value))
        target = self._targets.get(node)
        if target is None and length <= INLINE and self._uses(node) == 1 and isinstance(node.type, TensorType):
            self.texts[node], self._inline[node] = value, length
            return
        value = self._shortened(node, value, length + len(target or node.op.name))
        self._assign(node, target or self.names.number(node.op.name), value)

    def _assign(self, node: Node, target: str, value: ast.expr) -> None:
        self.statements.append(Statement(target, value, self.comment(node)))
        self.texts[node] = ast.Name(target, ast.Load())
        self._inline.pop(node, None)

    def _set_number(self, node: Node, value: ast.expr) -> None:
        """Arithmetic of numbers and sizes is repeated where it is used, unless it is long."""
        self.texts[node] = value
        if len(ast.unparse(value)) > INLINE:
            self._assign(node, self._targets.get(node) or self.names.number(node.op.name), self.strong(node))

    def _shortened(self, node: Node, value: ast.expr, length: int) -> ast.expr:
        """The expression with its longest operands assigned before it, until it fits a line."""
        while length > WIDTH - 7:
            inline = [operand for operand in self.graph.operands(node) if self._inline.get(operand, 0) > _SHORT]
            if not inline:
                break
            longest = max(inline, key=lambda operand: self._inline[operand])
            self._assign(longest, self.names.number(longest.op.name), self.texts[longest])
            value = self._value(node)
            length = len(ast.unparse(value))
        return value

    def _value(self, node: Node) -> ast.expr:
        """The NumPy text of a node; an operand that it would repeat is assigned before."""
        value = self._text(node)
        for operand in self.graph.operands(node):
            if operand in self._inline:
                text = self.texts[operand]
                if sum(part is text for part in ast.walk(value)) > 1:
                    self._assign(operand, self.names.number(operand.op.name), text)
                    value = self._text(node)
        return value

    def _text(self, node: Node) -> ast.expr:
        operands = self.graph.operands(node)
        given = [self.texts[operand] for operand in operands]
        value = _op_text(node, operands, given)
        if node.op.elementwise is None or not all(map(is_literal, given)) or not node.tensor.is_float:
            return value
        return _of_numbers(node, operands, given, value)

    def _uses(self, node: Node) -> int:
        return sum(1 for _ in self.graph.users(node)) + self._returned[node]


def _op_text(node: Node, operands: tuple[Node, ...], given: list[ast.expr]) -> ast.expr:
    if isinstance(node.op.numpy, str):
        return fill(node.op.numpy, dict(zip(("x", "y", "z"), given, strict=False)))
    return node.op.numpy(OpCall(node.type, tuple(operand.type for operand in operands)), *given, **node.attrs)


def _of_numbers(node: Node, operands: tuple[Node, ...], given: list[ast.expr], value: ast.expr) -> ast.expr:
    """An elementwise op of Python numbers and sizes only, which alone would become float64 or raise."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Div) and not _is_nonzero(value.right):
        return call("np.divide", value.left, value.right, dtype=float_dtype())
    if is_literal(value) and not any(isinstance(part, _RAISING) for part in ast.walk(value)):
        return value
    position = next((p for p, operand in enumerate(operands) if _is_float(operand)), 0)
    strong = [call("np.asarray", x, dtype=float_dtype()) if p == position else x for p, x in enumerate(given)]
    return _op_text(node, operands, strong)


_RAISING = (ast.Pow, ast.FloorDiv, ast.Mod)


def _is_nonzero(text: ast.expr) -> bool:
    return isinstance(text, ast.Constant) and text.value != 0


def _is_float(node: Node) -> bool:
    return isinstance(node.type, TensorType) and node.type.is_float
