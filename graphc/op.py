"""An operation is declared once, as an `Op` record in the `OPS` table; nothing else names it.

Everywhere an op is applied or ruled, graph values are positional and static attributes are keywords.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from graphc.size import Size
from graphc.tensor_type import TensorType, Type, broadcast_shapes, promote

if TYPE_CHECKING:
    import sympy

    from graphc.graph import Graph
    from graphc.value import Operand, Value

Coercion = Literal["number", "float", "compare", "logical", "where"]
Conventions = Literal["graphc", "torch", "jax"]
"""Whose choice of derivative holds where a function has none."""
CONVENTIONS: tuple[Conventions, ...] = ("graphc", "torch", "jax")
Need = Literal["any", "nonzero", "nonnegative", "positive", "no"]
"""What an operand has to be for a finite result: ``any`` number, or ``no`` number is known to do."""
Memory = Literal["", "straight", "strided", "row_major"]
"""How the memory of a view is that of its operand; see `Op.view`."""
Partials = tuple["Callable[..., Value | int | float] | None", ...]
"""``partial(y, *operands)`` per operand, ``y`` the result; None for a partial that is zero wherever it exists."""


@dataclass(frozen=True)
class Elementwise:
    """What makes an op elementwise: its mathematics, from which the rest is derived.

    Attributes
    ----------
    math : callable
        ``math(sympy, *symbols)`` gives the SymPy expression of the result; called at first need only.
    coercion : str
        What operands become: ``number`` (promoted; bool alone counts as integer), ``float``, ``compare`` (bool result),
        ``logical`` (bool operands and result), ``where`` (bool condition, then numbers).
    partials : tuple of callable, optional
        Left out, SymPy derives them.
    domain : tuple of (low, high)
        Where tests sample each operand.
    needs : tuple of str
        What each operand has to be for the result to be finite, unless it overflows; any number when empty.
    """

    math: Callable[..., sympy.Expr]
    coercion: Coercion = "number"
    partials: Partials | None = None
    domain: tuple[tuple[float, float], ...] = ()
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True)
class Alternative:
    """What an elementwise op does at kinks under other conventions than graphc's: as printed, and its partials."""

    convention: str
    partials: Partials


@dataclass(frozen=True)
class Sample:
    """Operands and attributes on which generic tests try a structural op.

    ``operands`` are types (float operands are drawn from ``domain``), or ints and nested tuples of ints.
    ``made`` turns the drawn operands into those that are used: well-conditioned or symmetric matrices.
    """

    operands: tuple[TensorType | int | tuple[object, ...], ...]
    attrs: Mapping[str, object] = field(default_factory=dict)
    domain: tuple[float, float] = (-2.0, 2.0)
    made: Callable[..., Sequence[object]] | None = None


class OpCall(NamedTuple):
    """What a NumPy text function knows of the node that it writes; ``place`` is its model line, for errors."""

    type: Type
    operand_types: tuple[Type, ...]
    place: str = ""

    @property
    def tensor(self) -> TensorType:
        """The type, of an op with one result."""
        assert isinstance(self.type, TensorType)
        return self.type

    def operand(self, position: int = 0) -> TensorType:
        """The type of an operand that is a tensor."""
        found = self.operand_types[position]
        assert isinstance(found, TensorType)
        return found


@dataclass(frozen=True)
class Condition:
    """What must hold of the named sizes when a generated function is called: at least, or divisible by, a number."""

    size: Size
    relation: Literal["at_least", "divisible_by"]
    number: int


@dataclass(frozen=True, eq=False)
class Op:
    """One operation.

    Attributes
    ----------
    name : str
        As in the model language, and in NumPy where NumPy has it.
    arity : int or None
        Number of operands; None for any number, given as a list.
    infer : callable
        ``infer(*operand_types, **attrs)`` gives the result's type or raises `TypeRuleError`.
    numpy : str or callable
        The NumPy text: an expression in ``x``, ``y``, ``z`` for the operands, or ``numpy(call, *operands, **attrs)``
        giving an ``ast.expr`` (``call`` is an `OpCall`). A name that starts with ``_`` is a function of
        `graphc.backends.runtime`.
    vjp : callable, optional
        ``vjp(cotangent, result, *operands, **attrs)`` gives one cotangent per operand, None where there is none. Of
        an op with several results it is given one cotangent for each, None for those that nobody uses.
        Elementwise ops have none of their own: the engine uses their partials.
    differentiable : tuple of int, optional
        The positions of the operands that it can send a cotangent to; None for every float operand.
    elementwise : Elementwise, optional
    normalize : callable, optional
        ``normalize(*operand_types, **attrs)`` gives the attributes in canonical form; its signature holds their names,
        order and defaults.
    commutative, linear : bool
        Whether operands may be exchanged; whether the result is linear in all operands taken together.
    nonnegative : bool
        Whether no element of the result is negative.
    apart : callable, optional
        ``apart(*operand_types, **attrs)`` tells, for each axis of each operand, the axis of the result along which
        elements do not mix: each works on its own index there. None where they do. Without it, any may mix. Of several
        operands the op is a product: its VJP at operands that are 0 is finite.
    flops : int or callable
        Arithmetic operations per element of the result, or ``flops(result_type, *operand_types, **attrs)`` for all of
        it. Of a function such as exp what it costs in additions, about; 0 where elements are only moved.
    view : {"", "straight", "strided", "row_major"}
        Whether the result is memory that is there already, of the first operand if there is one, so that nothing is
        read or written: all of it in its order, parts of it or in another order, or all of it if it is in C order
        and else a copy. Empty for what is computed or copied in any case.
    reads : callable, optional
        ``reads(result_type, *operand_types, **attrs)`` gives how many elements of each operand are read. Left out, all.
    scratch : int or callable
        Memory that is needed beside operands and result while it runs: in results, or
        ``scratch(result_type, *operand_types, strided=…, **attrs)`` in bytes; ``strided`` tells of each operand
        whether it is a view whose elements are not in C order.
    repeats : callable, optional
        ``repeats(**attrs)`` gives how often the graphs that attributes hold are computed.
    conditions : callable, optional
        ``conditions(*operand_types, **attrs)`` gives what could not be decided about sizes and is checked at entry.
    limits : callable, optional
        ``limits(*operand_types, **attrs)`` gives, by operand position, the size that the elements of an integer operand
        stay below (none is negative): indices and labels, checked at entry.
    batching : callable, optional
        The batching rule of a structural op: ``batching(values, batched, **attrs)`` applies it to operands of which
        those that are ``batched`` have one more leading axis, and gives a result with that axis.
    jvp : callable, optional
        ``jvp(result, tangents, *operands, **attrs)`` gives one tangent per result, None where it is zero, from those of
        the operands that move, by position. Left out, forward mode transposes the VJP.
    higher_order : bool
        Whether attributes hold graphs (`scan`). The rules of such an op are given, as the keyword ``engine``, the
        transformation that they are part of, to apply it to these graphs; its batching rule gives one value per result.
    label : str
        What pictures write in the node; the name when empty.
    method : bool
        Whether formulas write it as NumPy's method of an array: ``x.sum(0)``.
    implicit : bool
        Whether formulas leave it out: broadcasting and casts.
    convention : str
        What holds at kinks, as printed in module headers.
    alternatives : mapping of str to Alternative
        What holds there instead, by the conventions under which another derivative is chosen.
    samples : tuple of Sample
        Where generic tests try a structural op.
    doc : str
        One line for the op table.
    body : Graph, optional
        What an elementwise function of a model is made from; None for the ops of the table.
    rule : Graph, optional
        The gradient rule of a function of a model that has its own; see `graphc.gradient_rules`.
    """

    name: str
    arity: int | None
    infer: Callable[..., Type]
    numpy: str | Callable[..., ast.expr]
    vjp: Callable[..., Sequence[Value | None]] | None = None
    differentiable: tuple[int, ...] | None = None
    elementwise: Elementwise | None = None
    normalize: Callable[..., dict[str, object]] | None = None
    commutative: bool = False
    linear: bool = False
    nonnegative: bool = False
    apart: Callable[..., Sequence[tuple[int | None, ...]]] | None = None
    flops: int | Callable[..., Size] = field(kw_only=True)
    view: Memory = ""
    reads: Callable[..., Sequence[Size]] | None = None
    scratch: int | Callable[..., Size] = 0
    repeats: Callable[..., Size] | None = None
    conditions: Callable[..., Sequence[Condition]] | None = None
    limits: Callable[..., Mapping[int, Size]] | None = None
    batching: Callable[..., Value | tuple[Value, ...]] | None = None
    jvp: Callable[..., Sequence[Value | None]] | None = None
    higher_order: bool = False
    label: str = ""
    method: bool = False
    implicit: bool = False
    convention: str = ""
    alternatives: Mapping[Conventions, Alternative] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    doc: str = ""
    body: Graph | None = None
    rule: Graph | None = None

    def __call__(self, *operands: Operand, **attrs: object) -> Value:
        """Apply the op where its operands live: to graph values, or to the patterns of a rule."""
        for operand in operands:
            apply = getattr(operand, "apply_op", None)
            if apply is not None:
                result: Value = apply(self, operands, attrs)
                return result
        raise TypeError(f"{self.name} needs a graph value among its operands, got {operands!r}")

    def __repr__(self) -> str:
        return f"Op({self.name})"

    def convention_under(self, conventions: Conventions) -> str:
        """What holds at kinks under these conventions."""
        found = self.alternatives.get(conventions)
        return self.convention if found is None else found.convention

    @property
    def cheap(self) -> bool:
        """Whether computing it again costs less than keeping its result: a few flops an element."""
        return isinstance(self.flops, int) and self.flops <= 4


OPS: dict[str, Op] = {}


def define(op: Op) -> Op:
    """Add an op to the table.

    Raises
    ------
    ValueError
        When the table has an op of this name.
    """
    if op.name in OPS:
        raise ValueError(f"two ops are called {op.name}")
    OPS[op.name] = op
    return op


def elementwise(
    name: str,
    math: Callable[..., sympy.Expr],
    numpy: str,
    *,
    coercion: Coercion = "number",
    partials: Partials | None = None,
    domain: tuple[tuple[float, float], ...] | None = None,
    commutative: bool = False,
    linear: bool = False,
    nonnegative: bool = False,
    needs: tuple[Need, ...] = (),
    flops: int = 1,
    scratch: int = 0,
    label: str = "",
    convention: str = "",
    alternatives: Mapping[Conventions, Alternative] | None = None,
    doc: str = "",
) -> Op:
    """Declare an elementwise op; see `Elementwise` and `Op` for the arguments.

    The number of operands is that of ``math``'s parameters after ``sympy``.
    """
    arity = math.__code__.co_argcount - 1
    rule = Elementwise(math, coercion, partials, domain or ((-3.0, 3.0),) * arity, needs)
    return Op(
        name=name,
        arity=arity,
        infer=_elementwise_type(coercion),
        numpy=numpy,
        elementwise=rule,
        commutative=commutative,
        linear=linear,
        nonnegative=nonnegative,
        flops=flops,
        scratch=scratch,
        label=label,
        convention=convention,
        alternatives=alternatives or {},
        doc=doc,
    )


def _elementwise_type(coercion: Coercion) -> Callable[..., TensorType]:
    def infer(*operands: TensorType) -> TensorType:
        shape = broadcast_shapes([operand.shape for operand in operands])
        if coercion in ("compare", "logical"):
            return TensorType("bool", shape)
        values = operands[1:] if coercion == "where" else operands
        return TensorType(promote([operand.dtype for operand in values]), shape)

    return infer
