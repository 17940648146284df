"""The only maker of nodes: infers types, stamps places and, when given them, interns and applies rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias, TypeVar, cast

from graphc.coercion import coerced, converted
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError, TypeRuleError
from graphc.graph import Graph, Node, Scope, freeze_attrs
from graphc.op import OPS, Op
from graphc.refusals import diagnosed
from graphc.size import Size
from graphc.source import Span
from graphc.tensor_type import DType, TensorType, Type
from graphc.value import Operand, Value

T = TypeVar("T")
Table: TypeAlias = "dict[Node, tuple[T, ...] | dict[T, None]]"
"""What belongs to nodes: most get it once, as a tuple; one shared constant may come from every line of a model."""
Rewriter: TypeAlias = "Callable[[Builder, Candidate], Node | None]"


class Candidate(NamedTuple):
    """A node that is about to be made, as rules see it."""

    op: Op
    operands: tuple[Node, ...]
    attrs: Mapping[str, object]
    type: Type


class Place(NamedTuple):
    """Where nodes come from: model spans (the first is where errors point) and the stack of layer calls."""

    spans: tuple[Span, ...] = ()
    scopes: tuple[Scope, ...] = ()


class Builder:
    """Makes the nodes of one graph.

    Parameters
    ----------
    intern : bool
        Whether equal op, operands and attributes give the same node.
    rewriter : callable, optional
        ``rewriter(builder, candidate)`` gives a node to use instead, or None.
    float_dtype : str
        What a Python float becomes: the model's float type.
    """

    def __init__(
        self, *, intern: bool = False, rewriter: Rewriter | None = None, float_dtype: DType = "float64"
    ) -> None:
        self.inputs: list[Node] = []
        self.params: list[Node] = []
        self.names: Table[str] = {}
        self.spans: Table[Span] = {}
        self.scopes: Table[Scope] = {}
        self.place = Place()
        self.float_dtype = float_dtype
        self._operands: dict[Node, tuple[Node, ...]] = {}
        self._interned: dict[object, Node] | None = {} if intern else None
        self._rewriter = rewriter

    def input(self, name: str, type: TensorType) -> Value:
        """Declare an input; its place in the signature is the order of declaration."""
        return self._leaf("input", self.inputs, name, type=type)

    def param(self, name: str, type: TensorType, init: object = None) -> Value:
        """Declare a parameter with its initialiser, None when the caller gives its value."""
        return self._leaf("param", self.params, name, type=type, init=init)

    def placeholder(self, type: TensorType) -> Value:
        """A leaf of its own that stands for any value of a type; nothing that is an output may depend on it."""
        return Value(self, self._new(OPS["input"], (), {"name": "", "type": type}, type))

    def constant(self, value: bool | int | float, dtype: DType | None = None) -> Value:
        """A scalar constant; bool, int and float become bool, int64 and the model's float type unless told."""
        if dtype is None:
            dtype = "bool" if isinstance(value, bool) else "int64" if isinstance(value, int) else self.float_dtype
        return Value(self, self.make(OPS["const"], (), {"value": converted(value, dtype), "dtype": dtype}))

    def size(self, size: Size, dtype: DType = "int64") -> Value:
        """A size used as a value."""
        if isinstance(size, int):
            return self.constant(size, dtype)
        return Value(self, self.make(OPS["size"], (), {"size": size, "dtype": dtype}))

    def apply(self, op: Op, operands: Sequence[Operand], attrs: Mapping[str, object] | None = None) -> Value:
        """Apply an op to values, numbers and sizes: coerce, normalise the attributes, make the node.

        Raises
        ------
        GraphcError
            When the type rule refuses the operands; it names this place and the places of the operands.
        """
        nodes = coerced(self, op, operands)
        try:
            settled = dict(attrs or {})
            if op.normalize is not None:
                settled = op.normalize(*(node.type for node in nodes), **settled)
            return Value(self, self.make(op, nodes, settled))
        except TypeRuleError as refusal:
            raise GraphcError(self.diagnose(refusal, nodes)) from None

    def make(self, op: Op, operands: tuple[Node, ...], attrs: Mapping[str, object], type: Type | None = None) -> Node:
        """Make a node of settled operands and attributes, or find the one that serves; a pass calls this.

        Raises
        ------
        TypeRuleError
            When the type rule refuses the operands.
        """
        if type is None:
            type = op.infer(*(operand.type for operand in operands), **attrs)
        if self._rewriter is not None:
            replaced = self._rewriter(self, Candidate(op, operands, attrs, type))
            if replaced is not None:
                return self._stamped(replaced)
        if self._interned is None:
            return self._stamped(self._new(op, operands, attrs, type))
        # The type follows from these.
        key = (op, operands, attrs_key(attrs))
        found = self._interned.get(key)
        if found is None:
            found = self._interned[key] = self._new(op, operands, attrs, type)
        return self._stamped(found)

    def fresh(self, op: Op, operands: tuple[Node, ...], attrs: Mapping[str, object], type: Type) -> Node:
        """Make a node that no later equal one is merged with: a variable of differentiation stays its own."""
        return self._stamped(self._new(op, operands, attrs, type))

    def operands(self, node: Node) -> tuple[Node, ...]:
        """A node's operands, in position."""
        return self._operands[node]

    def value(self, node: Node) -> Value:
        """The node as a value of this builder."""
        return Value(self, node)

    def name(self, node: Node, *names: str) -> None:
        """Give a node user names; the first one it ever got wins."""
        if names:
            _extend(self.names, node, names)

    def unname(self, node: Node, name: str) -> None:
        """Take one of its names from a node."""
        self.names[node] = tuple(other for other in self.names.get(node, ()) if other != name)

    @contextmanager
    def at(self, spans: Sequence[Span] = (), scopes: Sequence[Scope] = ()) -> Iterator[None]:
        """Within the block, nodes come from this place."""
        before, self.place = self.place, Place(tuple(spans), tuple(scopes))
        try:
            yield
        finally:
            self.place = before

    def finish(self, outputs: Mapping[str, Node], *, doc: str = "") -> Graph:
        """Drop what the outputs do not reach, keep every input and parameter, and freeze."""
        dead = self._unreached([*self.inputs, *self.params, *outputs.values()])
        return Graph(
            operand_table=_without(self._operands, dead),
            inputs=tuple(self.inputs),
            params=tuple(self.params),
            outputs=dict(outputs),
            names=_tuples(self.names, dead),
            spans=_tuples(self.spans, dead),
            scopes=_tuples(self.scopes, dead),
            doc=doc,
        )

    def diagnose(self, refusal: TypeRuleError, operands: Sequence[Node]) -> Diagnostic:
        """A type rule's refusal, with the place where it happened and the places of the operands."""
        return diagnosed(self, refusal, operands)

    def _leaf(self, op: str, table: list[Node], name: str, **attrs: object) -> Value:
        node = self._stamped(self._new(OPS[op], (), {"name": name, **attrs}, OPS[op].infer(name=name, **attrs)))
        table.append(node)
        self.name(node, name)
        return Value(self, node)

    def _new(self, op: Op, operands: tuple[Node, ...], attrs: Mapping[str, object], type: Type) -> Node:
        node = Node(len(self._operands), op, freeze_attrs(attrs), type)
        self._operands[node] = operands
        return node

    def _stamped(self, node: Node) -> Node:
        spans, scopes = self.place
        if spans:
            _extend(self.spans, node, spans)
        if scopes:
            _extend(self.scopes, node, scopes)
        return node

    def _unreached(self, outputs: Iterable[Node]) -> list[Node]:
        """The nodes that outputs do not need; no user stands before its operands."""
        live = bytearray(len(self._operands))
        for node in outputs:
            live[node.serial] = True
        for node, operands in reversed(self._operands.items()):
            if live[node.serial]:
                for operand in operands:
                    live[operand.serial] = True
        return [node for node in self._operands if not live[node.serial]]


def attrs_key(attrs: Mapping[str, object]) -> tuple[object, ...]:
    """Attributes as a hashable key that tells 0.0 from -0.0, 1 from True, and one NaN from none."""
    if not attrs:
        return ()
    return tuple((name, repr(value) if isinstance(value, float) else value) for name, value in sorted(attrs.items()))


Step: TypeAlias = Callable[[Node, tuple[Node, ...]], Node | None]


def rebuild(
    graph: Graph, builder: Builder, *, nodes: Sequence[Node] | None = None, step: Step | None = None
) -> dict[Node, Node]:
    """Copy a graph's nodes into a builder, in order, with their places: the loop of every pass.

    Parameters
    ----------
    graph : Graph
    builder : Builder
    nodes : sequence of Node, optional
        The nodes to copy, in creation order and closed under operands unless ``step`` cuts them; all by default.
    step : callable, optional
        ``step(node, copied_operands)`` gives what stands for a node, or None to have it copied.

    Returns
    -------
    dict
        From each node of the graph to the node that stands for it in the builder.
    """
    mapping: dict[Node, Node] = {}
    names, spans, scopes, table = graph.names, graph.spans, graph.scopes, graph.operand_table
    for node, read in table.items() if nodes is None else [(node, table[node]) for node in nodes]:
        builder.place = Place(spans.get(node, ()), scopes.get(node, ()))
        operands = tuple([found for operand in read if (found := mapping.get(operand)) is not None])
        copied = (step(node, operands) if step is not None else None) or _copied(node, operands, builder)
        if named := names.get(node):
            builder.name(copied, *named)
        mapping[node] = copied
    builder.place = Place()
    return mapping


def _copied(node: Node, operands: tuple[Node, ...], builder: Builder) -> Node:
    if node.op is OPS["input"]:
        return builder.input(str(node.attrs["name"]), node.tensor).node
    if node.op is OPS["param"]:
        return builder.param(str(node.attrs["name"]), node.tensor, node.attrs["init"]).node
    return builder.make(node.op, operands, node.attrs, node.type)


def _extend(table: Table[T], node: Node, items: tuple[T, ...]) -> None:
    found = table.setdefault(node, items)
    if found is not items and found != items:
        if isinstance(found, tuple):
            found = table[node] = dict.fromkeys(found)
        for item in items:
            found[item] = None


def _tuples(table: Table[T], dead: Iterable[Node]) -> dict[Node, tuple[T, ...]]:
    found = _without(table, dead)
    found.update({node: tuple(items) for node, items in found.items() if type(items) is dict})
    return cast("dict[Node, tuple[T, ...]]", found)


def _without(table: dict[Node, T], dead: Iterable[Node]) -> dict[Node, T]:
    """A copy without some nodes: most are kept, so that copying all and taking them out looks up the least."""
    found = table.copy()
    for node in dead:
        found.pop(node, None)
    return found
