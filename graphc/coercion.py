"""What operands become before an op is applied: numbers and sizes become nodes, dtypes meet as in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphc.errors import GraphcError, TypeRuleError
from graphc.graph import Node
from graphc.op import OPS, Op
from graphc.size import SizeExpr
from graphc.tensor_type import DType, promote
from graphc.value import Operand, Value

if TYPE_CHECKING:
    from graphc.builder import Builder


def coerced(builder: Builder, op: Op, operands: Sequence[Operand]) -> tuple[Node, ...]:
    """The operands of an op as nodes.

    Raises
    ------
    GraphcError
        GC204 when an operand that must be bool is not.
    """
    if op.elementwise is None:
        return tuple(lifted(builder, operand).node for operand in operands)
    return tuple(value.node for value in _promoted(builder, op, operands))


def lifted(builder: Builder, operand: Operand) -> Value:
    """A number or a size as a value, in the dtype that it has alone."""
    if isinstance(operand, Value):
        assert operand.builder is builder, f"{operand} belongs to another graph"
        return operand
    return builder.size(operand) if isinstance(operand, SizeExpr) else builder.constant(operand)


def converted(value: object, dtype: DType) -> object:
    """A Python number as the one that a constant of a dtype holds."""
    if not isinstance(value, (bool, int, float)):
        return value
    return bool(value) if dtype == "bool" else int(value) if dtype.startswith("int") else float(value)


def _promoted(builder: Builder, op: Op, operands: Sequence[Operand]) -> list[Value]:
    """Numbers take the dtype of the tensors beside them; integers beside floats, and bools alone, are cast."""
    assert op.elementwise is not None
    coercion = op.elementwise.coercion
    bools = len(operands) if coercion == "logical" else 1 if coercion == "where" else 0
    conditions = _checked_bool(builder, op, operands[:bools])
    numbers = operands[bools:]
    if not numbers:
        return conditions
    dtype = _common_dtype(builder, numbers)
    if coercion == "float" and not dtype.startswith("float"):
        dtype = builder.float_dtype
    keep_bool = coercion == "number" and dtype != "bool"
    if coercion == "number" and dtype == "bool":
        dtype = "int64"
    return conditions + [_settled(builder, operand, dtype, keep_bool=keep_bool) for operand in numbers]


def _checked_bool(builder: Builder, op: Op, operands: Sequence[Operand]) -> list[Value]:
    values = [lifted(builder, operand) for operand in operands]
    for position, value in enumerate(values):
        if value.type.dtype != "bool":
            message = f"{op.name} needs a bool operand, got {value.type}"
            refusal = TypeRuleError("GC204", message, f"{{{position}}} is {value.type.dtype}")
            raise GraphcError(builder.diagnose(refusal, [value.node for value in values]))
    return values


def _common_dtype(builder: Builder, operands: Sequence[Operand]) -> DType:
    """The dtype that operands meet in; a plain number widens its kind, not its bits."""
    dtype = promote(["bool", *(operand.type.dtype for operand in operands if isinstance(operand, Value))])
    if dtype.startswith("float"):
        return dtype
    plain = [operand for operand in operands if not isinstance(operand, (Value, bool))]
    if any(isinstance(operand, float) for operand in plain):
        return builder.float_dtype
    return "int64" if plain and dtype == "bool" else dtype


def _settled(builder: Builder, operand: Operand, dtype: DType, *, keep_bool: bool) -> Value:
    """An operand in the dtype of its op; a bool tensor that NumPy takes as it is stays one."""
    if isinstance(operand, SizeExpr):
        return builder.size(operand, dtype)
    if not isinstance(operand, Value):
        return builder.constant(operand, dtype)
    node, found = operand.node, operand.type.dtype
    if found == dtype or (keep_bool and found == "bool" and node.op.name != "const"):
        return operand
    if node.op.name in ("const", "size"):
        ((key, plain),) = ((key, value) for key, value in node.attrs.items() if key != "dtype")
        return Value(builder, builder.make(node.op, (), {key: converted(plain, dtype), "dtype": dtype}))
    return Value(builder, builder.make(OPS["cast"], (node,), {"dtype": dtype}))
