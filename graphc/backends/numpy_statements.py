"""A graph as assignments: every node with a user's name, or with several users, is one; the rest stands inside them."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from graphc.backends.numpy_expressions import as_strong, is_array, op_text, shared_parts
from graphc.backends.numpy_indices import RangeCheck
from graphc.backends.numpy_layout import WIDTH, quoted
from graphc.backends.numpy_names import Names
from graphc.graph import Graph, Node
from graphc.numpy_text import FLOAT, SIZE, method, subscript, with_part
from graphc.op import OPS
from graphc.ops.operand_text import is_literal
from graphc.tensor_type import TensorType

INLINE = 60
"""What is longer gets a name of its own, though it is used once."""
_SHORT = 16
"""Naming what is shorter would not shorten the line around it."""

Comment = tuple[str, ...]


@dataclass(frozen=True)
class Statement:
    """An assignment, with its text, the model lines that it comes from, and other names that the model has for it."""

    target: str
    value: ast.expr
    text: str
    comment: Comment
    also: tuple[str, ...] = ()


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
        return self.filled(ast.unparse(value))

    def filled(self, text: str) -> str:
        """The text of an expression, from a text with placeholders."""
        return _PLACEHOLDER.sub(self._spelled, text)

    def _spelled(self, match: re.Match[str]) -> str:
        if match["text"]:
            # In double quotes as everywhere else in the module; what it says is no placeholder.
            return quoted(ast.literal_eval(match["text"]))
        if match["size"] is None:
            self.used_float = True
            # np.float64 makes scalars itself.
            return self.float_text + (match["type"] or "" if self.float_text.endswith("dtype") else "")
        self.used_sizes[match["size"]] = None
        return self.sizes[match["size"]]


# As arguments these are checked: without axes they are NumPy scalars, which nobody can change.
_GIVEN = (OPS["input"], OPS["param"])
_REPEATING = (OPS["broadcast_to"], OPS["windows"])
"""Views in which one element of memory may be several of the result: not to be written to."""

_TEXT = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_PLACEHOLDER = re.compile(rf"(?P<text>{_TEXT})|{SIZE}(?P<size>\w+)|{FLOAT}(?P<type>\.type\b)?")


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
    checks : mapping of Node to tuple of RangeCheck
        What is asked of labels and indices where they are computed.

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
        checks: Mapping[Node, tuple[RangeCheck, ...]] | None = None,
    ) -> None:
        self.graph = graph
        self.names = names
        self.comment = comment
        self.statements: list[Statement] = []
        self.texts: dict[Node, ast.expr] = dict(leaves)
        self._leaves = frozenset(leaves)
        self._returned = Counter(graph.outputs.values())
        self._inline: dict[Node, int] = {}
        self._repeating: set[Node] = set()
        self._also: dict[Node, tuple[str, ...]] = {}
        self._checks = checks or {}
        self._targets = self._named(user_names, frozenset(keep))
        for node in graph.nodes:
            if node in self._checks or not isinstance(self.texts.get(node), ast.Name):
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
        return as_strong(node, self.texts[node])

    def _named(self, user_names: Collection[str], keep: Collection[Node]) -> dict[Node, str]:
        """Names for nodes that have one in the model first, then for gradients."""
        own: dict[Node, str] = {}
        gradients: dict[Node, str] = {}
        for node in self.graph.nodes:
            if isinstance(self.texts.get(node), ast.Name) or node.op in (OPS["const"], OPS["size"]):
                continue
            candidates = self.graph.names.get(node, ())
            users = [name for name in candidates if name in user_names]
            if users:
                own[node], *also = users
                self._also[node] = tuple(also)
            elif candidates:
                gradients[node] = candidates[0]
        named = {node: self.names.take(name) for table in (own, gradients) for node, name in table.items()}
        kept = [n for n in self.graph.nodes if n in keep and n not in named and n not in self._leaves]
        return {**named, **{node: self.names.number(node.op.name) for node in kept}}

    def _origin(self, node: Node) -> tuple[Node, bool]:
        """The node whose memory this one's result may be, and whether it is new and writable."""
        writable = True
        while self._is_view(node):
            writable = writable and node.op not in _REPEATING
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
        value = self._checked_value(node)
        if is_literal(value):
            self._set_number(node, value)
            return
        text = ast.unparse(value)
        single = self._uses(node) == 1 and node not in self._targets and node not in self._checks
        if single and len(text) <= INLINE and isinstance(node.type, TensorType):
            self.texts[node], self._inline[node] = self._once(node, value), len(text)
        else:
            self._assign(node, value, text)

    def _set_number(self, node: Node, value: ast.expr) -> None:
        """Arithmetic of numbers and sizes is repeated where it is used, unless it is long."""
        self.texts[node] = value
        if len(ast.unparse(value)) > INLINE:
            value = self.strong(node)
            self._assign(node, value, ast.unparse(value))

    def _assign(self, node: Node, value: ast.expr, text: str) -> None:
        """The assignment; the longest operands of what is too long for a line are assigned before it."""
        stem = "index" if node in self._checks else node.op.name
        target = self._targets.get(node)
        while len(text) + len(target or stem) > WIDTH - 7:
            inline = [operand for operand in self.graph.operands(node) if self._inline.get(operand, 0) > _SHORT]
            if not inline:
                break
            self._name(max(inline, key=lambda operand: self._inline[operand]))
            value = self._checked_value(node)
            text = ast.unparse(value)
        if node in self._repeating:
            value = self._once(node, value)
            text = ast.unparse(value)
        target = target or self.names.number(stem)
        self.statements.append(Statement(target, value, text, self.comment(node), self._also.get(node, ())))
        self.texts[node] = ast.Name(target, ast.Load())
        self._inline.pop(node, None)

    def _name(self, operand: Node) -> None:
        """Assign what stood inside its user."""
        self._assign(operand, self.texts[operand], ast.unparse(self.texts[operand]))

    def _checked_value(self, node: Node) -> ast.expr:
        """The NumPy text of a node, with the check that it needs as a label or an index."""
        value = self._value(node)
        for check in self._checks.get(node, ()):
            value = check.text(as_strong(node, value))
        return value

    def _value(self, node: Node) -> ast.expr:
        """The NumPy text of a node; an operand that it would repeat is assigned before."""
        value, repeated = self._text(node)
        again = [operand for operand in self.graph.operands(node) if self._is_inline(operand, repeated)]
        for operand in again:
            self._name(operand)
        if again:
            value, repeated = self._text(node)
        self._repeating.update([node] if repeated else [])
        return value

    def _once(self, node: Node, value: ast.expr) -> ast.expr:
        """The text with parts that it repeats assigned before it: what the body of an elementwise function shares."""
        while node in self._repeating and (repeated := shared_parts(value)):
            target = self.names.number(node.op.name)
            self.statements.append(Statement(target, repeated[0], ast.unparse(repeated[0]), self.comment(node)))
            value = with_part(value, repeated[0], ast.Name(target, ast.Load()))
        return value

    def _is_inline(self, operand: Node, texts: list[ast.expr]) -> bool:
        return operand in self._inline and any(self.texts[operand] is text for text in texts)

    def _text(self, node: Node) -> tuple[ast.expr, list[ast.expr]]:
        """The NumPy text of a node, and which of its parts stand in it several times."""
        if node in self._leaves:
            return self.texts[node], []
        given = [self.texts[operand] for operand in self.graph.operands(node)]
        value = op_text(self.graph, node, given)
        if self._returned[node] and isinstance(node.type, TensorType) and not node.type.shape and is_array(value):
            value = subscript(value, ast.Tuple([], ast.Load()))
        return value, shared_parts(value, given)

    def _uses(self, node: Node) -> int:
        return sum(1 for _ in self.graph.users(node)) + self._returned[node]
