"""Graph values: a node in a builder, with NumPy's operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from graphc.graph import Node
from graphc.op import OPS, Op
from graphc.size import Size, SizeExpr
from graphc.tensor_type import TensorType

if TYPE_CHECKING:
    from graphc.builder import Builder


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A node in a builder, with NumPy's operators: ``a @ b + 1`` makes nodes."""

    builder: Builder
    node: Node

    @property
    def type(self) -> TensorType:
        """The type of its node, which has one result."""
        return self.node.tensor

    @property
    def shape(self) -> tuple[Size, ...]:
        """The sizes of its axes."""
        return self.type.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.type.ndim

    def apply_op(self, op: Op, operands: Sequence[Operand], attrs: Mapping[str, object]) -> Value:
        """Apply an op in this value's builder."""
        return self.builder.apply(op, operands, attrs)

    def __add__(self, other: Operand) -> Value:
        return OPS["add"](self, other)

    def __radd__(self, other: Operand) -> Value:
        return OPS["add"](other, self)

    def __sub__(self, other: Operand) -> Value:
        return OPS["sub"](self, other)

    def __rsub__(self, other: Operand) -> Value:
        return OPS["sub"](other, self)

    def __mul__(self, other: Operand) -> Value:
        return OPS["mul"](self, other)

    def __rmul__(self, other: Operand) -> Value:
        return OPS["mul"](other, self)

    def __truediv__(self, other: Operand) -> Value:
        return OPS["div"](self, other)

    def __rtruediv__(self, other: Operand) -> Value:
        return OPS["div"](other, self)

    def __pow__(self, other: Operand) -> Value:
        return OPS["power"](self, other)

    def __rpow__(self, other: Operand) -> Value:
        return OPS["power"](other, self)

    def __matmul__(self, other: Operand) -> Value:
        return OPS["matmul"](self, other)

    def __rmatmul__(self, other: Operand) -> Value:
        return OPS["matmul"](other, self)

    def __neg__(self) -> Value:
        return OPS["neg"](self)

    def __lt__(self, other: Operand) -> Value:
        return OPS["less"](self, other)

    def __le__(self, other: Operand) -> Value:
        return OPS["less_equal"](self, other)

    def __gt__(self, other: Operand) -> Value:
        return OPS["greater"](self, other)

    def __ge__(self, other: Operand) -> Value:
        return OPS["greater_equal"](self, other)


Operand: TypeAlias = Value | bool | int | float | SizeExpr
