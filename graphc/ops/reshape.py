"""Reshape on symbolic sizes: the element count is checked exactly, what must divide is a condition."""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm

from graphc.errors import TypeRuleError
from graphc.numpy_text import call
from graphc.op import OPS, Condition, Op, Sample, define
from graphc.ops import batch_rules
from graphc.ops.axes import described, shape_attr
from graphc.ops.operand_text import as_array
from graphc.size import Quotient, Size, SizeExpr, divide, exact_quotient, named_size
from graphc.tensor_type import Shape, TensorType, product, shape_text

_MATRIX = TensorType("float64", (3, 4))


def _reshape_attrs(x: TensorType, *, shape: object) -> dict[str, object]:
    sizes = tuple(shape) if isinstance(shape, Sequence) and not isinstance(shape, str) else (shape,)
    if sum(size == -1 for size in sizes) > 1:
        raise TypeRuleError("GC203", f"reshape can find one size marked -1, got {shape_text(sizes)}")
    known = shape_attr("reshape", tuple(size for size in sizes if size != -1))
    if len(known) == len(sizes):
        return {"shape": known}
    missing = _missing_size(x, known)
    return {"shape": tuple(missing if size == -1 else size for size in sizes)}


def _missing_size(x: TensorType, known: Shape) -> Size:
    others = product(known)
    if others == 0:
        raise TypeRuleError("GC203", "reshape cannot find the size marked -1 beside a size of 0", "{0} " + described(x))
    exact = exact_quotient(x.size, others)
    if exact is None and (not isinstance(others, int) or isinstance(x.size, int)):
        message = f"reshape cannot divide {x.size} elements into rows of {others}"
        raise TypeRuleError("GC203", message, "{0} " + described(x))
    return divide(x.size, others) if exact is None else exact


def _reshaped(x: TensorType, *, shape: Shape) -> TensorType:
    if not _equal_where_exact(x.size, product(shape)):
        message = (
            f"reshape keeps the number of elements, got {x.size} for the shape {shape}, which has {product(shape)}"
        )
        raise TypeRuleError("GC203", message, "{0} " + described(x), {0: described(x)})
    return TensorType(x.dtype, shape)


def _reshape_conditions(x: TensorType, *, shape: Shape) -> list[Condition]:
    if x.size == product(shape):
        return []
    quotients = [q for size in (x.size, product(shape)) for q in _quotients(size)]
    return [Condition(q.numerator, "divisible_by", int(str(q.denominator))) for q in dict.fromkeys(quotients)]


def _quotients(size: Size) -> list[Quotient]:
    terms = size.terms if isinstance(size, SizeExpr) else ()
    return [atom for monomial, _ in terms for atom, _ in monomial if isinstance(atom, Quotient)]


def _equal_where_exact(left: Size, right: Size) -> bool:
    """Whether two sizes are equal when every floor in them is of an exact division."""
    (a, b), (c, d) = _fraction(left), _fraction(right)
    return a * d == c * b


def _fraction(size: Size) -> tuple[Size, int]:
    """A size as numerator and denominator, its floors read as divisions."""
    if isinstance(size, int):
        return size, 1
    parts: list[tuple[Size, int]] = []
    for monomial, coefficient in size.terms:
        numerator: Size = coefficient
        denominator = 1
        for atom, power in monomial:
            for _ in range(power):
                numerator, denominator = _times(numerator, denominator, atom)
        parts.append((numerator, denominator))
    common = lcm(*(denominator for _, denominator in parts))
    total: Size = 0
    for numerator, denominator in parts:
        total = total + numerator * (common // denominator)
    return total, common


def _times(numerator: Size, denominator: int, atom: str | Quotient) -> tuple[Size, int]:
    if isinstance(atom, str) or not isinstance(atom.denominator, int):
        factor = named_size(atom) if isinstance(atom, str) else SizeExpr(((((atom, 1),), 1),))
        return numerator * factor, denominator
    top, bottom = _fraction(atom.numerator)
    return numerator * top, denominator * bottom * atom.denominator


RESHAPE = define(
    Op(
        "reshape",
        1,
        infer=_reshaped,
        numpy=lambda c, x, *, shape: call("np.reshape", as_array(c, x), shape[0] if len(shape) == 1 else shape),
        vjp=lambda ct, y, x, *, shape: (OPS["reshape"](ct, shape=x.shape),),
        normalize=_reshape_attrs,
        linear=True,
        flops=0,
        view="row_major",
        conditions=_reshape_conditions,
        batching=batch_rules.reshape,
        samples=(
            Sample((_MATRIX,), {"shape": (2, 6)}),
            Sample((_MATRIX,), {"shape": -1}),
            Sample((TensorType("float64", (0, 4)),), {"shape": (2, 0)}),
            Sample((TensorType("float64", (1,)),), {"shape": ()}),
        ),
        doc="the elements in C order in another shape; -1 is found",
    )
)
