"""The chain rule of a gradient written out, line by line: the rule's name, the symbols and, at a point, the numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from graphc.autodiff import Edge, Joint
from graphc.backends import maths
from graphc.backends.maths import Term
from graphc.backends.numbers import number
from graphc.graph import Graph, Node
from graphc.partition import reached
from graphc.steps import Kind, Step, forward_nodes, is_constant, steps_of
from graphc.tensor_type import TensorType

if TYPE_CHECKING:
    from graphc.evaluated import Evaluated

_RULES = {
    "+": "sum rule",
    "−": "sum rule",
    "×": "product rule",
    "÷": "quotient rule",
    "xʸ": "power rule",
    "²": "power rule",
    "@": "product rule for matrices",
    "T": "transpose",
}
"""What lecture notes call the derivative of an operator, by its sign; else it is the derivative of their name."""
_MOST_NUMBERS = 24


@dataclass(frozen=True)
class Line:
    """One line of a derivation.

    Attributes
    ----------
    kind : str
        See `graphc.steps.Step`.
    node : Node
        The forward node that it is about.
    rule : str
        The name of the rule that gives it.
    sides : tuple of Term
        What is equal: the left side, its formula, with numbers put in, the value; each where there is one.
    """

    kind: Kind
    node: Node
    rule: str
    sides: tuple[Term, ...]

    @property
    def equation(self) -> Term:
        """The sides with signs of equality between them, each once."""
        return maths.equation(*_distinct(self.sides))


@dataclass(frozen=True)
class Derivation:
    """A gradient derived step by step.

    Attributes
    ----------
    of, by : str
        The loss, and the variables.
    lines : tuple of Line
        First the values from the inputs to the loss, then the gradient from the loss to the variables.

    Examples
    --------
    >>> import graphc
    >>> print(graphc.compile("(x + y) * z").at(x=2, y=3, z=4).derive("x"))
    v₁ = x + y = 2 + 3 = 5
    f = v₁ · z = 5 · 4 = 20
    ∂f/∂f = 1
    ∂f/∂v₁ = ∂f/∂f · z = 1 · 4 = 4    (product rule)
    ∂f/∂x = ∂f/∂v₁ = 4                (sum rule)
    """

    of: str
    by: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        """Plain text, a line each."""
        equations = [line.equation.text for line in self.lines]
        width = max((len(text) for text, line in zip(equations, self.lines, strict=True) if line.rule), default=0)
        rows = zip(equations, self.lines, strict=True)
        return "\n".join(f"{text:<{width}}    ({line.rule})" if line.rule else text for text, line in rows)

    @property
    def latex(self) -> str:
        """An ``align*`` environment."""
        return "\n".join([r"\begin{align*}", " \\\\\n".join(_aligned(line) for line in self.lines), r"\end{align*}"])

    @property
    def mathml(self) -> str:
        """A ``math`` element with a table."""
        rows = [
            f"<mtr><mtd><mrow>{line.equation.mathml}</mrow></mtd><mtd><mtext>{line.rule}</mtext></mtd></mtr>"
            for line in self.lines
        ]
        body = f'<mtable columnalign="left left">{"".join(rows)}</mtable>'
        return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">{body}</math>'

    def __str__(self) -> str:
        return self.text

    def _repr_latex_(self) -> str:
        return self.latex


def derive(joint: Joint, wanted: Sequence[str], at: Evaluated | None = None) -> Derivation:
    """The derivation of the gradient by some variables.

    Parameters
    ----------
    joint : Joint
        Of the graph as written.
    wanted : sequence of str
        Names of variables.
    at : Evaluated, optional
        Numbers to put in, of the same joint graph.

    Raises
    ------
    ValueError
        When the model is not differentiated by one of them.
    """
    if unknown := [name for name in wanted if name not in joint.gradients]:
        raise ValueError(f"expected variables among {', '.join(joint.gradients)}, found {', '.join(unknown)}")
    writer = _Writer(joint, at)
    return Derivation(
        ", ".join(joint.seeds), tuple(wanted), tuple(writer.lines(_needed(joint, wanted), _dependent(joint, wanted)))
    )


def step_lines(drawn: Graph | Joint, at: Evaluated | None = None) -> tuple[tuple[Line, ...], ...]:
    """For each step of `graphc.steps.steps_of` its lines: given values too, and what each path adds to a sum."""
    joint = drawn if isinstance(drawn, Joint) else Joint(drawn, {}, {}, {}, {}, {}, (), ())
    whole = set(joint.graph.nodes)
    writer = _Writer(joint, at)
    return tuple(tuple(writer.step_lines(step, whole)) for step in steps_of(drawn))


def closed_forms(graph: Graph, loss: str, gradients: Mapping[str, str]) -> Derivation:
    """The values and gradients of a simplified graph in one formula each, as its module computes them.

    Parameters
    ----------
    graph : Graph
        Its outputs are the loss and its gradients.
    loss : str
    gradients : mapping of str to str
        From variables to the outputs that are their gradients.
    """
    users = Counter(operand for operands in graph.operand_table.values() for operand in operands)
    known = _symbols(graph, loss, gradients)
    taken = {term.text for term in known.values()}
    fresh = (term for k in range(1, len(graph.nodes) + 2) if (term := maths.symbol(f"v{k}")).text not in taken)
    found: dict[Node, Term] = {}
    lines = []
    for node in graph.nodes:
        formula = known[node] if node in known and not graph.operands(node) else _constant(node)
        if operands := graph.operands(node):
            formula = maths.applied(graph, node, [found[operand] for operand in operands])
        named = node in known or (users[node] > 1 and not node.op.implicit)
        found[node] = (known.get(node) or next(fresh)) if operands and named else formula
        if operands and named:
            lines.append(
                Line("backward" if found[node].text.startswith("∂") else "forward", node, "", (found[node], formula))
            )
    return Derivation(loss, tuple(gradients), tuple(lines))


def _symbols(graph: Graph, loss: str, outputs: Mapping[str, str]) -> dict[Node, Term]:
    """The user's names of values, and of gradients where it is clear which value each belongs to."""
    of, forward = maths.symbol(loss), set(reached(graph, [graph.outputs[loss]]))
    backward = {node for node in graph.nodes if node not in forward and graph.name(node).startswith("d_")}
    backward -= {*graph.inputs, *graph.params}
    values = [(graph.name(node), node) for node in graph.nodes if graph.name(node) and node not in backward]
    found = dict(_primed(values))
    gradients = [(graph.name(node)[2:], node) for node in graph.nodes if node in backward]
    times, met = Counter(name for name, _ in values), Counter(name for name, _ in gradients)
    # The gradients of a name that is bound again come in the opposite order.
    paired = [(name, node) for name, node in reversed(gradients) if times[name] == met[name]]
    found |= {node: maths.partial(of, term) for node, term in _primed(paired)}
    return found | {graph.outputs[d]: maths.partial(of, maths.symbol(name)) for name, d in outputs.items()}


def _primed(named: Sequence[tuple[str, Node]]) -> Iterator[tuple[Node, Term]]:
    """Symbols for names; one that is bound again gets a prime each time."""
    times: Counter[str] = Counter()
    for name, node in named:
        yield node, maths.primed(maths.symbol(name), times[name])
        times[name] += 1


def _needed(joint: Joint, wanted: Sequence[str]) -> set[Node]:
    """The nodes that the gradients by some variables are made from, and the loss."""
    graph = joint.graph
    found = {graph.outputs[joint.gradients[name]] for name in wanted} | {graph.outputs[name] for name in joint.seeds}
    stack = list(found)
    while stack:
        for operand in graph.operands(stack.pop()):
            if operand not in found:
                found.add(operand)
                stack.append(operand)
    return found


def _dependent(joint: Joint, wanted: Sequence[str]) -> set[Node]:
    """The variables and what depends on them: the nodes that paths from the loss to them go through."""
    graph = joint.graph
    found = {node for node in forward_nodes(joint) if set(graph.names.get(node, ())) & set(wanted)}
    for node in graph.nodes:
        if any(operand in found for operand in graph.operands(node)):
            found.add(node)
    return found


class _Writer:
    """Writes nodes as terms, in the names of a joint graph."""

    def __init__(self, joint: Joint, at: Evaluated | None) -> None:
        self.joint, self.graph, self.at = joint, joint.graph, at
        self.forward = forward_nodes(joint)
        self.of = maths.symbol(next(iter(joint.seeds), ""))
        self.names = self._names()
        self.cotangents = {cotangent: node for node, cotangent in joint.cotangents.items()}

    def lines(self, needed: set[Node], dependent: set[Node]) -> Iterator[Line]:
        """The lines of values that are needed and of gradients by what depends on a variable."""
        reached = {node for node, cotangent in self.joint.cotangents.items() if cotangent in needed}
        reaching = reached & dependent
        for step in steps_of(self.joint):
            yield from self._lines(step, needed, reaching)

    def step_lines(self, step: Step, whole: set[Node]) -> Iterator[Line]:
        """The lines of one step, and those that a derivation leaves out."""
        if step.kind == "leaf":
            yield Line("leaf", step.node, "given", (self.names[step.node], *self._result(step.node)))
        yield from self._lines(step, whole, whole)
        for edge in step.contributions:
            operand = self.graph.operands(edge[0])[edge[1]]
            if operand not in step.gradients:
                yield self._path(edge, operand)

    def _path(self, edge: Edge, operand: Node) -> Line:
        """What one of several paths brings to an operand."""
        sent = self.joint.contributions[edge]
        rule = f"{_rule(edge[0])}, one path to {self._value(operand).text}"
        return Line("backward", operand, rule, (*self._written(edge[0], sent), *self._result(sent)))

    def _lines(self, step: Step, needed: set[Node], reaching: set[Node]) -> Iterator[Line]:
        if step.kind == "forward" and step.node in needed:
            yield self._forward(step.node)
        elif step.kind == "seed":
            yield Line("seed", step.node, "", (self._partial(step.node), maths.numeral("1")))
        elif step.kind == "sum" and step.node in reaching:
            yield self._sum(step.node)
        elif step.kind == "backward":
            for edge in step.contributions:
                operand = self.graph.operands(edge[0])[edge[1]]
                if operand in step.gradients and operand in reaching and isinstance(operand.type, TensorType):
                    yield self._sent(edge, operand)

    def _forward(self, node: Node) -> Line:
        operands = self.graph.operands(node)
        formula = maths.applied(self.graph, node, [self._value(operand) for operand in operands])
        sides = [self.names[node], formula]
        if (numbers := self._numbers(operands)) is not None:
            sides.append(maths.applied(self.graph, node, numbers))
        return Line("forward", node, "", (*sides, *self._result(node)))

    def _sent(self, edge: Edge, operand: Node) -> Line:
        node, sent = edge[0], self.joint.contributions[edge]
        sides = [self._partial(operand), *self._written(node, sent)]
        return Line("backward", operand, _rule(node), (*sides, *self._result(sent)))

    def _sum(self, node: Node) -> Line:
        """What the paths bring, added."""
        edges = [edge for edge in self.graph.users(node) if edge in self.joint.contributions]
        parts = [self._written(user, self.joint.contributions[user, position]) for user, position in edges]
        if node in {self.graph.outputs[name] for name in self.joint.seeds}:
            parts.append([maths.numeral("1")])
        sides = [self._partial(node), maths.added([part[0] for part in parts])]
        if all(len(part) > 1 for part in parts):
            sides.append(maths.added([part[-1] for part in parts]))
        rules = dict.fromkeys(_rule(user) for user, _ in edges)
        rule = f"sum over {len(parts)} paths: {', '.join(rules)}"
        return Line("sum", node, rule, (*sides, *self._result(self.joint.cotangents[node])))

    def _written(self, user: Node, sent: Node) -> list[Term]:
        """What a user sends: in symbols and, where these are more than one number, in numbers."""
        # An op with several results has no cotangent of its own, they have.
        got = self.joint.cotangents.get(user)
        own = {got: self._partial(user)} if got else {}
        symbols = self._expanded(sent, own, numbers=False)
        if self.at is None or not self._all_scalars(sent):
            return [symbols]
        return [symbols, self._expanded(sent, own, numbers=True)]

    def _expanded(self, target: Node, own: Mapping[Node, Term], *, numbers: bool) -> Term:
        """A node of the gradient in terms of cotangents and values."""
        terms: dict[Node, Term] = {}
        for node in self._unnamed(target, own):
            if self._is_named(node, own, target):
                known = number_term(self.at.values[node]) if numbers and self.at else None
                terms[node] = known or own.get(node) or self._reference(node)
            else:
                terms[node] = maths.applied(self.graph, node, [terms[operand] for operand in self.graph.operands(node)])
        return terms[target]

    def _unnamed(self, target: Node, own: Mapping[Node, Term]) -> list[Node]:
        """The node, and the operands down to those that have a name of their own; in order."""
        found, stack = {target}, [target]
        while stack:
            node = stack.pop()
            if self._is_named(node, own, target):
                continue
            for operand in self.graph.operands(node):
                if operand not in found:
                    found.add(operand)
                    stack.append(operand)
        return sorted(found, key=lambda node: node.serial)

    def _is_named(self, node: Node, own: Mapping[Node, Term], target: Node) -> bool:
        """Whether a node of the gradient is written by its name: the target itself only where it is what a user got."""
        return (
            node in own or node in self.forward or is_constant(node) or (node is not target and node in self.cotangents)
        )

    def _reference(self, node: Node) -> Term:
        return self._partial(self.cotangents[node]) if node in self.cotangents else self._value(node)

    def _value(self, node: Node) -> Term:
        return self.names.get(node) or _constant(node)

    def _partial(self, node: Node) -> Term:
        return maths.partial(self.of, self._value(node))

    def _numbers(self, operands: Sequence[Node]) -> list[Term] | None:
        if self.at is None or not all(self._is_number(operand) for operand in operands):
            return None
        return [number_term(self.at.values[operand]) for operand in operands]

    def _result(self, node: Node) -> list[Term]:
        """The number, or the few of a small array."""
        value = self.at.values.get(node) if self.at is not None else None
        return [] if value is None or value.size > _MOST_NUMBERS or value.ndim > 2 else [array_term(value)]

    def _all_scalars(self, target: Node) -> bool:
        return all(self._is_number(node) for node in self._unnamed(target, {}))

    def _is_number(self, node: Node) -> bool:
        return self.at is not None and node in self.at.values and not self.at.values[node].shape

    def _names(self) -> dict[Node, Term]:
        """The user's names, and v₁, v₂ … for what has none."""
        taken = {name for names in self.graph.names.values() for name in names}
        fresh = (name for k in range(1, len(self.graph.nodes) + 2) if (name := f"v{k}") not in taken)
        outputs = {node: name for name, node in self.graph.outputs.items() if node in self.forward}
        nodes = [node for node in self.graph.nodes if node in self.forward and not is_constant(node)]
        return dict(_primed([(outputs.get(node) or self.graph.name(node) or next(fresh), node) for node in nodes]))


def number_term(value: np.ndarray) -> Term:
    """A number of an array without axes."""
    return maths.numeral(number(value)) if value.dtype.kind != "b" else maths.words(str(bool(value)).lower())


def array_term(value: np.ndarray) -> Term:
    """A number, a vector or a matrix."""
    if not value.ndim:
        return number_term(value)
    rows = [[number_term(item) for item in np.atleast_1d(row)] for row in np.atleast_2d(value)]
    return maths.matrix(rows)


def _constant(node: Node) -> Term:
    value = node.attrs.get("value")
    if isinstance(value, (bool, int, float)):
        return number_term(np.asarray(value))
    return maths.symbol(str(node.attrs["size"])) if "size" in node.attrs else maths.words(node.op.name)


def _distinct(sides: Sequence[Term]) -> list[Term]:
    return [side for before, side in pairwise([None, *sides]) if side is not None and side != before]


def _rule(node: Node) -> str:
    return _RULES.get(node.op.label) or f"derivative of {node.op.name}"


def _aligned(line: Line) -> str:
    first, *rest = [side.latex for side in _distinct(line.sides)]
    rule = rf" && \text{{{maths.latex_escaped(line.rule)}}}" if line.rule else ""
    return f"{first} &= {' = '.join(rest)}{rule}"
