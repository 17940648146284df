"""The graph: a frozen networkx DAG of `Node` records, with tables of what belongs to places in the model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from graphc.op import Op
from graphc.source import Span
from graphc.tensor_type import TensorType, Type

if TYPE_CHECKING:
    import networkx as nx

Key = TypeVar("Key")
Scope = tuple[str, ...]
"""The stack of layer calls around a statement, outermost first."""


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One operation's result.

    Attributes
    ----------
    serial : int
        Its place in the order of creation, which is a topological order and the schedule.
    op : Op
    attrs : mapping
        The op's static attributes, in canonical form.
    type : TensorType or TupleType
    """

    serial: int
    op: Op
    attrs: Mapping[str, object]
    type: Type

    def __repr__(self) -> str:
        return f"%{self.serial} {self.op.name}: {self.type}"

    @property
    def tensor(self) -> TensorType:
        """The type, of a node with one result."""
        assert isinstance(self.type, TensorType), self
        return self.type


@dataclass(frozen=True, eq=False)
class Graph:
    """A finished computation graph, never edited.

    Attributes
    ----------
    operand_table : mapping of Node to tuple of Node
        The nodes in creation order, each with its operands in position: what `dag` is made of.
    inputs, params : tuple of Node
        In the order of the signature, used or not.
    outputs : mapping of str to Node
    names, spans, scopes : mapping of Node to tuple
        The user's names of a node, the places it comes from, the layer calls it belongs to; several of each where
        equal statements became one node.
    doc : str
        The model's docstring.
    """

    operand_table: Mapping[Node, tuple[Node, ...]]
    inputs: tuple[Node, ...]
    params: tuple[Node, ...]
    outputs: Mapping[str, Node]
    names: Mapping[Node, tuple[str, ...]] = field(default_factory=dict)
    spans: Mapping[Node, tuple[Span, ...]] = field(default_factory=dict)
    scopes: Mapping[Node, tuple[Scope, ...]] = field(default_factory=dict)
    doc: str = ""

    @cached_property
    def dag(self) -> nx.MultiDiGraph[Node]:
        """The graph for networkx, frozen.

        Its nodes are `Node` records in creation order; an edge runs from operand to user and its key is the operand's
        position, so ``x * x`` is two parallel edges with keys 0 and 1. Made at first need: passes that only walk the
        schedule take a third less time without it.
        """
        import networkx as nx

        dag: nx.MultiDiGraph[Node] = nx.MultiDiGraph()
        dag.add_nodes_from(self.operand_table)
        for node, operands in self.operand_table.items():
            for position, operand in enumerate(operands):
                dag.add_edge(operand, node, key=position)
        nx.freeze(dag)
        return dag

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes, in creation order."""
        return tuple(self.operand_table)

    def operands(self, node: Node) -> tuple[Node, ...]:
        """A node's operands, in position."""
        return self.operand_table[node]

    def users(self, node: Node) -> Iterator[tuple[Node, int]]:
        """The (user, operand position) pairs of a node, in creation order."""
        return iter(self._users.get(node, ()))

    @cached_property
    def _users(self) -> dict[Node, list[tuple[Node, int]]]:
        users: dict[Node, list[tuple[Node, int]]] = {}
        for node, operands in self.operand_table.items():
            for position, operand in enumerate(operands):
                users.setdefault(operand, []).append((node, position))
        return users

    def name(self, node: Node) -> str:
        """The first user name of a node; empty when it has none."""
        names = self.names.get(node, ())
        return names[0] if names else ""

    def __repr__(self) -> str:
        return f"Graph({len(self.operand_table)} nodes, outputs {', '.join(self.outputs)})"


def subgraphs(node: Node) -> list[Graph]:
    """The graphs that a node holds as attributes: the step of a scan."""
    return [value for value in node.attrs.values() if isinstance(value, Graph)] if node.op.higher_order else []


def free_name(name: str, taken: Collection[str]) -> str:
    """A name that is not taken, near the one that is wanted."""
    while name in taken:
        name += "_"
    return name


def free_names(wanted: Mapping[Key, str], taken: Iterable[str] = ()) -> dict[Key, str]:
    """Names near those that are wanted: none is taken, no two are the same.

    Examples
    --------
    >>> free_names({"x": "d_x", "y": "d_y"}, ["loss", "d_x"])
    {'x': 'd_x_', 'y': 'd_y'}
    """
    found: dict[Key, str] = {}
    used = {*taken}
    for key, name in wanted.items():
        found[key] = free_name(name, used)
        used.add(found[key])
    return found


def freeze_attrs(attrs: Mapping[str, object]) -> Mapping[str, object]:
    """Attributes that cannot be edited; those of another node are such."""
    return attrs if isinstance(attrs, MappingProxyType) else MappingProxyType(dict(attrs))


def verify(graph: Graph) -> None:
    """Check what every pass must keep: acyclic in creation order, positions whole, every type re-inferred.

    Raises
    ------
    AssertionError
        Naming the first node that breaks it: a fault of graphc, never of a model.
    """
    last = -1
    for node in graph.nodes:
        assert node.serial > last, f"{node} is out of order"
        last = node.serial
        operands = graph.operands(node)
        assert all(operand.serial < node.serial for operand in operands), f"{node} uses a later node"
        inferred = node.op.infer(*(operand.type for operand in operands), **node.attrs)
        assert inferred == node.type, f"{node} should have type {inferred}"
        for inside in subgraphs(node):
            verify(inside)
    held = [*graph.inputs, *graph.params, *graph.outputs.values(), *graph.names, *graph.spans, *graph.scopes]
    assert all(node in graph.operand_table for node in held), "a table holds a node that is not in the DAG"
