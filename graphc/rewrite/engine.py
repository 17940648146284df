"""The engine: a pass that rebuilds a graph and replaces nodes by rules, on operands that are already simplified.

Constants are folded, equal nodes become one. What is done for a node is bounded by the rules, not by the graph.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from itertools import chain

import numpy as np

from graphc.builder import Builder, Candidate, rebuild
from graphc.graph import Graph, Node, subgraphs
from graphc.numpy_text import fill
from graphc.op import Op, OpCall
from graphc.rewrite.pattern import Rule, matches, number_of
from graphc.source import Span
from graphc.tensor_type import TensorType

MAX_FIRINGS = 32
"""How many rules may fire for one node of the graph that is read: a bound that no sound set of rules comes near."""


@dataclass(frozen=True)
class Firing:
    """A rule fired, at a place in the model where that is known; ``fails`` says where the plain form fails.

    So does what another pass did, with its name for a rule; ``did`` says what.
    """

    rule: str
    span: Span | None = None
    fails: str = ""
    did: str = ""


@dataclass(frozen=True)
class Rewritten:
    """A rewritten graph.

    Attributes
    ----------
    graph : Graph
    mapping : mapping of Node to Node
        From the nodes that were read to what stands for them; those that are no longer needed have no entry.
    firings : tuple of Firing
        In the order in which rules fired.
    tried : int
        How many rules were held against a node: linear in the number of nodes.
    """

    graph: Graph
    mapping: Mapping[Node, Node]
    firings: tuple[Firing, ...]
    tried: int


def rewrite(
    graph: Graph, rules: Sequence[Rule], *, protect: Collection[Node] = frozenset(), most: int | None = None
) -> Rewritten:
    """Rewrite a graph: fold constants, merge equal nodes, and apply rules, the first that fits first.

    Parameters
    ----------
    graph : Graph
    rules : sequence of Rule
    protect : collection of Node
        Nodes that keep a node of their own, into which no rule looks: what is differentiated with respect to. A rule
        may still replace such a node as a whole.
    most : int, optional
        After how many firings no rule is tried any more: the pass as it was at that moment. What a rule makes is
        simplified before the rule counts as fired, so there may be more of them.

    Examples
    --------
    >>> from graphc.ops import OPS
    >>> from graphc.rewrite.pattern import var
    >>> builder = Builder()
    >>> x = builder.input("x", TensorType("float64"))
    >>> found = rewrite(builder.finish({"f": (-(-x)).node}), [Rule("double_negation", -(-var("x")), var("x"))])
    >>> found.graph.outputs["f"].op.name, [firing.rule for firing in found.firings]
    ('input', ['double_negation'])
    """
    run = _Run(graph, rules, frozenset(protect), most)
    mapping = rebuild(graph, run.builder, step=run.step)
    done = run.builder.finish({name: mapping[node] for name, node in graph.outputs.items()}, doc=graph.doc)
    live = {old: new for old, new in mapping.items() if new in done.operand_table}
    return Rewritten(done, live, tuple(run.firings), run.tried)


class _Run:
    """The state of one pass; also what matching asks of the graph under construction."""

    def __init__(self, graph: Graph, rules: Sequence[Rule], protect: Set[Node], most: int | None) -> None:
        self.builder = Builder(intern=True, rewriter=self.replaced)
        self.firings: list[Firing] = []
        self.tried = 0
        # Of the nodes that are read, and of those that stand for them.
        self._read_uses = Counter(chain(graph.outputs.values(), *graph.operand_table.values()))
        self._uses: dict[Node, int] = {}
        self._opaque: set[Node] = set()
        self._left = MAX_FIRINGS
        self._rules = rules
        self._protect = protect
        self._inside: dict[Graph, Graph] = {}
        self._most = most
        self._by_root: dict[Op, list[Rule]] = {}
        for rule in rules:
            self._by_root.setdefault(rule.root, []).append(rule)
        self._applicable: dict[tuple[Op, ...], tuple[Rule, ...]] = {}

    def operands(self, node: Node) -> tuple[Node, ...] | None:
        """The operands of a node; None for a protected one."""
        return None if node in self._opaque else self.builder.operands(node)

    def used_once(self, node: Node) -> bool:
        """Whether the nodes that were read and that it stands for have at most one use."""
        return self._uses.get(node, 0) <= 1

    def step(self, node: Node, operands: tuple[Node, ...]) -> Node | None:
        """Make what stands for a node of the graph that is read; None for leaves, which are copied."""
        if not operands:
            return None
        self._left = MAX_FIRINGS
        made = self.builder.make(node.op, operands, self._attrs(node), node.type)
        if node in self._protect:
            made = self._own(made, node, operands)
        self._uses[made] = self._uses.get(made, 0) + self._read_uses[node]
        return made

    def _attrs(self, node: Node) -> Mapping[str, object]:
        """The attributes, graphs among them rewritten too, each once; what is differentiated by there is protected."""
        for graph in subgraphs(node):
            if graph not in self._inside:
                asked = [graph.operands(inner)[1] for inner in graph.nodes if inner.op.name == "grad"]
                found = rewrite(graph, self._rules, protect=asked)
                self.firings += found.firings
                self.tried += found.tried
                self._inside[graph] = found.graph
        if not node.op.higher_order:
            return node.attrs
        return {name: self._inside[x] if isinstance(x, Graph) else x for name, x in node.attrs.items()}

    def replaced(self, builder: Builder, candidate: Candidate) -> Node | None:
        """What to use instead of a node that is about to be made; None when no rule fits."""
        folded = fold(builder, candidate)
        if folded is not None or candidate.op not in self._by_root or not self._may_fire:
            return folded
        for rule in self._rules_for(candidate):
            self.tried += 1
            node = self._fired(rule, builder, candidate)
            if node is not None:
                return node
        return None

    @property
    def _may_fire(self) -> bool:
        """Whether the pass has not come to its end; rules inside of what a rule makes belong to that one's firing."""
        return self._most is None or len(self.firings) < self._most

    def _own(self, made: Node, node: Node, operands: tuple[Node, ...]) -> Node:
        """A node that nothing else shares: merged with an equal one, it would get that one's cotangents too."""
        inside = self.builder.operands(made)
        if inside:
            own = self.builder.fresh(made.op, inside, made.attrs, made.type)
        else:
            own = self.builder.fresh(node.op, operands, node.attrs, node.type)
        self._opaque.add(own)
        return own

    def _rules_for(self, candidate: Candidate) -> tuple[Rule, ...]:
        signature = (candidate.op, *dict.fromkeys(operand.op for operand in candidate.operands))
        found = self._applicable.get(signature)
        if found is None:
            present = set(signature[1:])
            found = tuple(rule for rule in self._by_root[candidate.op] if present.issuperset(rule.needs))
            self._applicable[signature] = found
        return found

    def _fired(self, rule: Rule, builder: Builder, candidate: Candidate) -> Node | None:
        for found in matches(rule.apply, candidate.operands, candidate.attrs, self, {}, ordered=rule.ordered):
            if self._left <= 0 or not rule.holds(builder, found, candidate.type):
                continue
            self._left -= 1
            value = rule.replaced(builder, found, candidate.type)
            if value is not None and value.node.type == candidate.type:
                span = builder.place.spans[0] if builder.place.spans else None
                self.firings.append(Firing(rule.name, span, rule.fails.where if rule.fails else ""))
                return value.node
        return None


def fold(builder: Builder, candidate: Candidate) -> Node | None:
    """The constant that an elementwise op of constants is; None when it is not one finite number."""
    if candidate.op.elementwise is None:
        return None
    for operand in candidate.operands:
        if operand.op.name != "const":
            return None
    function = _scalar_function(candidate.op)
    if function is None or not isinstance(candidate.type, TensorType):
        return None
    operands = [_numpy_scalar(operand) for operand in candidate.operands]
    try:
        with np.errstate(over="raise", divide="raise", invalid="raise", under="ignore"):
            value = function(*operands)
    except (FloatingPointError, ValueError, OverflowError):
        return None
    return builder.constant(value.item(), candidate.type.dtype).node if np.isfinite(value) else None


def _numpy_scalar(node: Node) -> np.generic:
    value = number_of(node)
    kind = np.bool_ if isinstance(value, bool) else np.int64 if isinstance(value, int) else np.float64
    return kind(value)


@cache
def _scalar_function(op: Op) -> Callable[..., np.generic] | None:
    """The op's own NumPy text as a function; None when it needs a function of the generated module."""
    names = ["x", "y", "z"][: op.arity]
    operands = [ast.Name(name, ast.Load()) for name in names]
    if isinstance(op.numpy, str):
        body = fill(op.numpy, dict(zip(names, operands, strict=True)))
    else:
        scalar = TensorType("float64")
        body = op.numpy(OpCall(scalar, (scalar,) * len(names)), *operands)
    if any(isinstance(part, ast.Name) and part.id not in (*names, "np") for part in ast.walk(body)):
        return None
    # The text comes from the op table, never from a model.
    found: Callable[..., np.generic] = eval(f"lambda {', '.join(names)}: {ast.unparse(body)}", {"np": np})
    return found
