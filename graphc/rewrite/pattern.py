"""Patterns: mathematics with holes in it, written with the operators and ops of graph values; and rules made of them.

A hole is a `var`; the same hole twice stands for the same node. A number stands for the constant. Attributes are given,
or bound by `attr`, or left open. Patterns are typed as `Value`, so that a rule is checked like any other mathematics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from inspect import signature
from math import copysign, isfinite
from typing import Protocol, TypeAlias, cast

from graphc.builder import Builder
from graphc.graph import Node
from graphc.op import OPS, Op
from graphc.tensor_type import TensorType, Type
from graphc.value import Operand, Value

Bindings: TypeAlias = Mapping[str, object]
"""What holes (nodes) and attributes (their values) stand for, by name."""


@dataclass(frozen=True)
class Kind:
    """What a hole may stand for.

    Attributes
    ----------
    accepts : callable
        ``accepts(node)``.
    sample : TensorType, number or callable
        What generic tests put there: an input, a constant, or what the function makes in a builder.
    """

    accepts: Callable[[Node], bool]
    sample: TensorType | float | Callable[[Builder], Value]


def _is_float(node: Node) -> bool:
    return isinstance(node.type, TensorType) and node.type.is_float


def number_of(node: Node) -> float:
    """The number that a constant is."""
    return cast(float, node.attrs["value"])


ANY = Kind(lambda node: isinstance(node.type, TensorType), TensorType("float64", (2, 3)))
FLOAT = Kind(_is_float, TensorType("float64", (2, 3)))
SCALAR = Kind(lambda node: _is_float(node) and not node.tensor.shape, TensorType("float64"))
TENSOR = Kind(lambda node: _is_float(node) and bool(node.tensor.shape), TensorType("float64", (2, 3)))
MASK = Kind(lambda node: isinstance(node.type, TensorType) and node.type.dtype == "bool", TensorType("bool", (2, 3)))
NUMBER = Kind(lambda node: node.op.name == "const" and _is_float(node) and isfinite(number_of(node)), 2.0)
INDEX = Kind(lambda node: isinstance(node.type, TensorType) and node.type.is_int, TensorType("int64", (2,)))


class _Arithmetic:
    """Value's operators, which all go through `Op.__call__` and so through ``apply_op``."""

    __add__, __radd__ = Value.__add__, Value.__radd__
    __sub__, __rsub__ = Value.__sub__, Value.__rsub__
    __mul__, __rmul__ = Value.__mul__, Value.__rmul__
    __truediv__, __rtruediv__ = Value.__truediv__, Value.__rtruediv__
    __pow__, __rpow__ = Value.__pow__, Value.__rpow__
    __matmul__, __rmatmul__ = Value.__matmul__, Value.__rmatmul__
    __lt__, __le__, __gt__, __ge__ = Value.__lt__, Value.__le__, Value.__gt__, Value.__ge__
    __neg__ = Value.__neg__

    def apply_op(self, op: Op, operands: Sequence[object], attrs: Mapping[str, object]) -> Value:
        """The pattern of a node of this op."""
        return cast(Value, Apply(op, tuple(operands), dict(attrs)))


@dataclass(frozen=True, eq=False)
class Var(_Arithmetic):
    """A hole."""

    name: str
    kind: Kind


@dataclass(frozen=True, eq=False)
class Apply(_Arithmetic):
    """A node of an op; ``once`` asks that nothing else uses it in the graph that is read."""

    op: Op
    operands: tuple[object, ...]
    attrs: Mapping[str, object]
    once: bool = False


@dataclass(frozen=True)
class Attr:
    """A hole for the value of an attribute."""

    name: str


def var(name: str, kind: Kind = ANY) -> Value:
    """A hole that any node of a kind fills."""
    return cast(Value, Var(name, kind))


def attr(name: str) -> object:
    """A hole that the value of an attribute fills."""
    return Attr(name)


def once(pattern: Value) -> Value:
    """The pattern, of a node that nothing else uses: taking it apart costs nothing."""
    return cast(Value, replace(cast(Apply, pattern), once=True))


@dataclass(frozen=True)
class Failure:
    """Where the pattern of a rule fails in floats.

    Attributes
    ----------
    where : str
        How, and from where on.
    at : mapping
        Such a point: values of the inputs that stand in the holes, by name.
    """

    where: str
    at: Mapping[str, object]


@dataclass(frozen=True, eq=False)
class Rule:
    """A rewrite: a node that matches the pattern is replaced.

    Attributes
    ----------
    name : str
        What the trace prints and the test is called.
    pattern : Value
        Mathematics with holes.
    replacement : Value or callable
        Mathematics in the same holes, or a function of some of them, by name, that makes nodes or gives None for no.
        Holes are passed as values, attributes as they are, ``result`` as the type of the node.
    when : callable, optional
        A condition, a function of the same kind.
    ordered : bool
        Whether the operands of the root stay in their places although its op is commutative.
    example : mapping, optional
        What tests put into the holes, where it is not what the kind of a hole says.
    fails : Failure, optional
        Where the pattern fails and the replacement does not.

    Examples
    --------
    >>> from graphc.ops import OPS
    >>> x = var("x")
    >>> Rule("log_of_exponential", OPS["log"](OPS["exp"](x)), x).root.name
    'log'
    """

    name: str
    pattern: Value
    replacement: Value | Callable[..., Value | None]
    when: Callable[..., bool] | None = None
    ordered: bool = False
    example: Mapping[str, object] = field(default_factory=dict)
    fails: Failure | None = None

    @property
    def apply(self) -> Apply:
        """The pattern, as the node that it is."""
        return cast(Apply, self.pattern)

    @property
    def root(self) -> Op:
        """The op of the nodes that it can replace."""
        return self.apply.op

    @cached_property
    def needs(self) -> tuple[Op, ...]:
        """The ops that must be among a node's operands; what the engine looks at first."""
        needed = (_needed(operand) for operand in self.apply.operands)
        return tuple(op for op in needed if op is not None)

    @cached_property
    def _wanted(self) -> Mapping[Callable[..., object], tuple[str, ...]]:
        functions = [f for f in (self.when, self.replacement) if callable(f)]
        return {function: _parameters(function) for function in functions}

    def holds(self, builder: Builder, found: Bindings, result: Type) -> bool:
        """Whether the condition holds of what was found."""
        return self.when is None or bool(self._called(self.when, builder, found, result))

    def replaced(self, builder: Builder, found: Bindings, result: Type) -> Value | None:
        """Make what the rule puts in place."""
        if callable(self.replacement):
            return cast("Value | None", self._called(self.replacement, builder, found, result))
        return instantiate(self.replacement, builder, found)

    def _called(self, function: Callable[..., object], builder: Builder, found: Bindings, result: Type) -> object:
        known = {name: builder.value(item) if isinstance(item, Node) else item for name, item in found.items()}
        known["result"] = result
        return function(**{name: known[name] for name in self._wanted[function]})


def _needed(pattern: object) -> Op | None:
    """The op of all nodes that a pattern matches."""
    if isinstance(pattern, Apply):
        return pattern.op
    return OPS["const"] if not isinstance(pattern, Var) or pattern.kind is NUMBER else None


def _parameters(function: Callable[..., object]) -> tuple[str, ...]:
    return tuple(name for name, found in signature(function).parameters.items() if found.default is found.empty)


class View(Protocol):
    """What matching asks of the graph under construction."""

    def operands(self, node: Node) -> tuple[Node, ...] | None:
        """The operands of a node; None for one that patterns must not look into."""

    def used_once(self, node: Node) -> bool:
        """Whether the graph that is read uses it at most once."""


def matches(
    pattern: Apply,
    operands: tuple[Node, ...],
    attrs: Mapping[str, object],
    view: View,
    found: Bindings,
    *,
    ordered: bool = False,
) -> Iterator[Bindings]:
    """The ways in which operands and attributes of a node fill the holes; the op is known to be the pattern's."""
    if len(operands) != len(pattern.operands):
        return
    bound = _bound_attrs(pattern.attrs, attrs, found)
    if bound is None:
        return
    yield from _all_match(pattern.operands, operands, view, bound)
    if pattern.op.commutative and not ordered and operands[0] is not operands[1]:
        yield from _all_match(pattern.operands, operands[::-1], view, bound)


def instantiate(pattern: object, builder: Builder, found: Bindings) -> Value:
    """Make the nodes of a pattern whose holes are known."""
    if isinstance(pattern, Var):
        return builder.value(cast(Node, found[pattern.name]))
    if not isinstance(pattern, Apply):
        return builder.constant(cast(float, pattern))
    operands: list[Operand] = [
        instantiate(o, builder, found) if isinstance(o, (Var, Apply)) else cast(Operand, o) for o in pattern.operands
    ]
    attrs = {key: found[a.name] if isinstance(a, Attr) else a for key, a in pattern.attrs.items()}
    return builder.apply(pattern.op, operands, attrs)


def _all_match(patterns: Sequence[object], nodes: Sequence[Node], view: View, found: Bindings) -> Iterator[Bindings]:
    if not patterns:
        yield found
        return
    for bound in _node_matches(patterns[0], nodes[0], view, found):
        yield from _all_match(patterns[1:], nodes[1:], view, bound)


def _node_matches(pattern: object, node: Node, view: View, found: Bindings) -> Iterator[Bindings]:
    if isinstance(pattern, Var):
        if pattern.name in found:
            if found[pattern.name] is node:
                yield found
        elif pattern.kind.accepts(node):
            yield {**found, pattern.name: node}
    elif isinstance(pattern, Apply):
        operands = view.operands(node) if node.op is pattern.op else None
        if operands is not None and (not pattern.once or view.used_once(node)):
            yield from matches(pattern, operands, node.attrs, view, found)
    elif is_number(node, cast(float, pattern)):
        yield found


def is_number(node: Node, number: float) -> bool:
    """Whether a node is the constant of this value, -0.0 told from 0.0."""
    value = node.attrs.get("value") if node.op.name == "const" else None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return value == number and copysign(1, value) == copysign(1, number)


def _bound_attrs(wanted: Mapping[str, object], attrs: Mapping[str, object], found: Bindings) -> Bindings | None:
    for key, pattern in wanted.items():
        value = attrs[key]
        name = pattern.name if isinstance(pattern, Attr) else None
        expected = found.get(name, value) if name is not None else pattern
        if value != expected:
            return None
        if name is not None:
            found = {**found, name: value}
    return found
