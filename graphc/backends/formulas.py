"""What block pictures call the values of a graph, and what they write in them: ``∂Z = ∂H ⊙ [Z > 0]``.

Every value that has a box has a name: the user's, ``∂name`` of a cotangent, else a numbered ``v₁`` or ``δ₁``, which no
identifier can be. Broadcasting, sizes, constants and the small steps of one derivative are written into the formulas.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from graphc.autodiff import Joint
from graphc.backends.listing import call_text
from graphc.backends.numbers import number
from graphc.graph import Graph, Node, subgraphs
from graphc.op import Op
from graphc.ops.indexing import Slice
from graphc.steps import forward_nodes, is_constant
from graphc.tensor_type import TensorType

_LONGEST = 26
"""How long the formula of a step may be that is written into another one."""
_SUBSCRIPTS, _SUPERSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"), str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PRIMES = ("", "′", "″", "‴")


_SUM, _PRODUCT, _ATOM = range(3)


@dataclass(frozen=True)
class Written:
    """How a value is written where it is used, and how tightly that holds together."""

    text: str
    level: int = _ATOM

    def within(self, level: int) -> str:
        """In brackets where it is looser than its place asks for."""
        return self.text if self.level >= level else f"({self.text})"


_INFIX = {"+": (" + ", _SUM), "−": (" − ", _SUM), "÷": (" / ", _PRODUCT), "@": ("·", _PRODUCT)}
"""How the labels of ops are written between two operands."""


@dataclass(frozen=True, eq=False)
class Notation:
    """The names and formulas of a graph.

    Attributes
    ----------
    graph : Graph
    backward : frozenset of Node
        What exists for the gradient only.
    visible : tuple of Node
        The values that have a box, in order.
    names : mapping of Node to tuple of str
        What each visible value is called, the user's names first.
    formulas : mapping of Node to str
        What each value computes.
    """

    graph: Graph
    backward: frozenset[Node]
    visible: tuple[Node, ...]
    names: Mapping[Node, tuple[str, ...]]
    formulas: Mapping[Node, str]


def notation_of(
    drawn: Graph | Joint, *, every: bool = False, known: Mapping[Node, tuple[str, ...]] | None = None
) -> Notation:
    """Name and write the values of a graph, in one pass over it.

    Parameters
    ----------
    drawn : Graph or Joint
    every : bool
        Whether all have boxes, and none is left to the formulas of others.
    known : mapping of Node to tuple of str, optional
        Names that are used as they are; what has none then becomes ``u₁`` instead of ``v₁``.
    """
    writer = _Writer(drawn, every, known or {})
    for node in writer.graph.nodes:
        writer.write(node)
    visible = tuple(node for node in writer.graph.nodes if node in writer.names)
    return Notation(writer.graph, writer.backward, visible, writer.names, writer.formulas)


def seen_through(graph: Graph, node: Node) -> Node:
    """The value that a broadcast, an axis of size 1 or a cast shows."""
    while node.op.implicit:
        node = graph.operands(node)[0]
    return node


@dataclass
class _Writer:
    drawn: Graph | Joint
    every: bool
    known: Mapping[Node, tuple[str, ...]]
    graph: Graph = field(init=False)
    backward: frozenset[Node] = frozenset()
    names: dict[Node, tuple[str, ...]] = field(default_factory=dict)
    formulas: dict[Node, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.graph = self.drawn.graph if isinstance(self.drawn, Joint) else self.drawn
        self._written: dict[Node, Written] = {}
        self._bound: Counter[str] = Counter()
        self._uses = Counter(operand for operands in self.graph.operand_table.values() for operand in operands)
        self._outputs = set(self.graph.outputs.values())
        self._returned: dict[Node, list[str]] = {}
        self._derived: dict[Node, list[Node]] = {}
        self._kept: set[Node] = set()
        self._nameless: set[Node] = set()
        if isinstance(self.drawn, Joint):
            self._read_joint(self.drawn)

    def _read_joint(self, joint: Joint) -> None:
        self.backward = frozenset(joint.graph.nodes) - forward_nodes(joint)
        for name, output in joint.gradients.items():
            self._returned.setdefault(joint.graph.outputs[output], []).append(name)
        for node, cotangent in joint.cotangents.items():
            found = cotangent if cotangent in self._returned else seen_through(joint.graph, cotangent)
            if found in self.backward:
                self._derived.setdefault(found, []).append(node)
        self._kept = {*self._derived, *self._returned, *joint.seeds.values()}

    def write(self, node: Node) -> None:
        operands = [self._written[operand] for operand in self.graph.operands(node)]
        if node.op.implicit and self.every:
            written = Written(_call(node, [operands[0].text]))
        else:
            written = _formula(node, operands, [operand.type for operand in self.graph.operands(node)])
        self.formulas[node] = written.text
        if self.every and is_constant(node) and len(written.text) <= _LONGEST:
            self.names[node] = (written.text,)
            self._written[node] = written
            return
        if self._has_box(node, written):
            self.names[node] = self._names(node)
            written = Written(self.names[node][0])
        self._written[node] = written

    def _has_box(self, node: Node, written: Written) -> bool:
        if self.every:
            return True
        if node in self._outputs and not (is_constant(node) and node in self.backward):
            return True
        if node.op.arity == 0 and node.op.name in ("input", "param"):
            return True
        if is_constant(node):
            return len(written.text) > _LONGEST
        if node not in self.backward:
            return not node.op.implicit or bool(self.graph.names.get(node))
        return not node.op.implicit and (node in self._kept or not self._is_step(node, written))

    def _is_step(self, node: Node, written: Written) -> bool:
        """Whether a value between two cotangents is written into the next formula: short, cheap, used in one place."""
        if node.op.label == "+" and self._uses[node] == 1:
            return True
        if node.op.label == "T":
            return len(written.text) <= _LONGEST
        cheap = node.op.elementwise is not None or node.op.flops == 0 or node.op.method
        # What is made of labels alone is a mask.
        cheap = cheap or not any(_is_float(operand) for operand in self.graph.operands(node))
        return cheap and self._uses[node] <= 2 and len(written.text) <= _LONGEST

    def _names(self, node: Node) -> tuple[str, ...]:
        if node in self.known:
            return self.known[node]
        if node.op.name in ("input", "param") and node not in self.backward:
            name = str(node.attrs["name"])
            self._bound[name] += 1
            return (name,)
        if node in self.backward:
            return self._cotangent_names(node)
        if not self.graph.names.get(node):
            self._nameless.add(node)
            return (self._numbered("u" if self.known else "v"),)
        return tuple(self._primed(name) for name in self.graph.names[node])

    def _cotangent_names(self, node: Node) -> tuple[str, ...]:
        of = [*self._derived.get(node, ())]
        if isinstance(self.drawn, Joint):
            of += [self.graph.outputs[name] for name, seed in self.drawn.seeds.items() if seed is node]
        named = [name for forward in of if forward not in self._nameless for name in self.names.get(forward, ())]
        numbered = [name for forward in of if forward in self._nameless for name in self.names[forward]]
        chosen = dict.fromkeys([*self._returned.get(node, ()), *named]) or numbered[:1]
        return tuple(f"∂{name}" for name in chosen) or (self._numbered("δ"),)

    def _primed(self, name: str) -> str:
        """A name that is bound again gets a prime, as in mathematics."""
        count = self._bound[name]
        self._bound[name] += 1
        return name + (_PRIMES[count] if count < len(_PRIMES) else f"⁽{count}⁾".translate(_SUPERSCRIPTS))

    def _numbered(self, letter: str) -> str:
        key = f"{letter} "
        self._bound[key] += 1
        return letter + str(self._bound[key]).translate(_SUBSCRIPTS)


def _formula(node: Node, operands: Sequence[Written], types: Sequence[object]) -> Written:
    """A node in the terms of its operands."""
    if node.op.implicit:
        return operands[0]
    if node.op.arity == 0:
        return _leaf(node)
    written = _operator(node, operands, types)
    return written or Written(_call(node, [operand.text for operand in operands]))


def _operator(node: Node, operands: Sequence[Written], types: Sequence[object]) -> Written | None:
    """What mathematics has a sign for; None for what is written as a call."""
    if len(operands) == 2 and not node.attrs:
        return _binary(node.op, operands, types)
    return _unary(node, operands[0], types[0]) if len(operands) == 1 else None


def _binary(op: Op, operands: Sequence[Written], types: Sequence[object]) -> Written | None:
    left, right = (operand.within(_ATOM) for operand in operands)
    if op.label == "×" and op.elementwise is not None:
        tensors = all(isinstance(type, TensorType) and type.shape for type in types)
        return Written(f"{left}{' ⊙ ' if tensors else ' × '}{right}", _PRODUCT)
    if op.label in _INFIX:
        return _infix(op.label, operands)
    if op.label == "xʸ":
        return Written(_power(left, right))
    if op.elementwise is not None and op.elementwise.coercion == "compare":
        return Written(f"[{operands[0].text} {op.label} {operands[1].text}]")
    return None


def _unary(node: Node, operand: Written, type: object) -> Written | None:
    label, inner = node.op.label, operand.within(_ATOM)
    if label == "−":
        return Written(f"−{operand.within(_PRODUCT)}", _SUM)
    if label == "²":
        return Written(f"{inner}²")
    if label == "T" and node.attrs.get("axes") == (1, 0):
        return Written(f"{inner}ᵀ")
    if node.op.method:
        return Written(f"{inner}.{node.op.name}({_axes(node, type)})")
    if label == "[ ]" and "items" in node.attrs and isinstance(type, TensorType):
        return Written(f"{inner}[{_items(node, type)}]")
    return None


def _infix(label: str, operands: Sequence[Written]) -> Written:
    sign, level = _INFIX[label]
    left = operands[0].within(level if level == _SUM else _ATOM)
    if label == "+" and len(left) > _LONGEST and left.count(" + ") > 1:
        # The paths of a value that is used very often are not all told.
        left = f"{left.split(' + ')[0]} + …"
    return Written(f"{left}{sign}{operands[1].within(level + 1)}", level)


def _is_float(node: Node) -> bool:
    return isinstance(node.type, TensorType) and node.type.is_float


def _leaf(node: Node) -> Written:
    value = node.attrs.get("value")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        text = number(float(value), 6) if abs(value) < 1e15 else f"{value:g}"
        return Written(text, _SUM if text.startswith("−") else _ATOM)
    text = call_text(node, ())
    return Written(text, _ATOM if text.isalnum() else _SUM)


def _power(base: str, exponent: str) -> str:
    digits = exponent.strip("()").replace("−", "-")
    small = digits.removeprefix("-").isdigit() and len(digits) <= 3
    return f"{base}{digits.translate(_SUPERSCRIPTS)}" if small else f"{base}^{exponent}"


def _axes(node: Node, type: object) -> str:
    """The axes of a reduction; nothing where it takes all."""
    axes = node.attrs.get("axis")
    if not isinstance(axes, tuple) or not isinstance(type, TensorType) or len(axes) == len(type.shape):
        return ""
    return ", ".join(map(str, axes))


def _call(node: Node, operands: Sequence[str]) -> str:
    """A call with the attributes that are not plain from the shapes; a graph that a node holds is its name."""
    if subgraphs(node):
        return call_text(node, operands)
    told = {name: value for name, value in node.attrs.items() if name not in ("dtype", "keepdims", "conditions")}
    if isinstance(node.type, TensorType) and told.get("axis") == (len(node.type.shape) - 1,):
        told.pop("axis")
    texts = [f"{name}={_attr(value)}" for name, value in told.items() if value is not None and value is not False]
    if "spec" in told:
        texts = [f'"{told["spec"]}"']
    return f"{node.op.name}({', '.join([*operands, *texts])})"


def _items(node: Node, type: TensorType) -> str:
    """What a basic index takes, with ``:`` for whole axes."""
    items, sizes, texts = node.attrs["items"], iter(type.shape), []
    assert isinstance(items, tuple)
    for item in items:
        if isinstance(item, Slice):
            size = next(sizes)
            step = "" if item.step == 1 else f":{item.step}"
            whole = item.start == 0 and item.stop == size
            texts.append(f":{step}" if whole else f"{item.start}:{item.stop}{step}")
        else:
            texts.append(str(item))
            if item is not None:
                next(sizes)
    return ", ".join(texts)


def _attr(value: object) -> str:
    if isinstance(value, tuple):
        return _attr(value[0]) if len(value) == 1 else f"({', '.join(map(_attr, value))})"
    if isinstance(value, Slice):
        return f"{value.start}:{value.stop}" + ("" if value.step == 1 else f":{value.step}")
    return str(value)
