"""Where graphs begin: inputs, parameters, constants, sizes; and what only passes types on."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from graphc.errors import TypeRuleError
from graphc.numpy_text import call, fill, float_dtype, float_scalar, literal, method, subscript
from graphc.op import OPS, Op, OpCall, Sample, define
from graphc.ops import batch_rules
from graphc.ops.axes import quoted
from graphc.tensor_type import DTYPES, DType, TensorType, TupleType

if TYPE_CHECKING:
    from graphc.value import Value


@dataclass(frozen=True)
class Initializer:
    """How a parameter begins.

    Attributes
    ----------
    kind : {"constant", "normal", "uniform", "array"}
    low, high : float
        The value twice; mean and standard deviation; the bounds.
    array : Array, optional
        The saved values.
    text : str
        As the model says it, for the comment beside it.
    """

    kind: Literal["constant", "normal", "uniform", "array"]
    low: float = 0.0
    high: float = 0.0
    array: Array | None = None
    text: str = ""


@dataclass(frozen=True)
class Array:
    """An array as a hashable value: little-endian bytes in C order."""

    dtype: DType
    shape: tuple[int, ...]
    data: bytes


def _declared(*, name: str, type: TensorType, init: Initializer | None = None) -> TensorType:
    return type


def _bound_by_name(c: OpCall, *, name: str, type: TensorType, init: Initializer | None = None) -> ast.expr:
    return ast.Name(name, ast.Load())


INPUT = define(Op("input", 0, _declared, _bound_by_name, flops=0, view="straight", doc="a value that the caller gives"))
PARAM = define(Op("param", 0, _declared, _bound_by_name, flops=0, view="straight", doc="a value that training changes"))

CONST = define(
    Op(
        "const",
        0,
        infer=lambda *, value, dtype: TensorType(dtype),
        numpy=lambda c, *, value, dtype: literal(value),
        flops=0,
        view="straight",
        doc="a number",
    )
)
SIZE = define(
    Op(
        "size",
        0,
        infer=lambda *, size, dtype: TensorType(dtype),
        numpy=lambda c, *, size, dtype: literal(size),
        flops=0,
        view="straight",
        doc="a size used as a value",
    )
)


def _array_text(c: OpCall, *, array: Array) -> ast.expr:
    saved = call("_array", array.data, array.dtype, array.shape)
    return method(saved, "astype", float_dtype()) if c.tensor.is_float else saved


ARRAY = define(
    Op(
        "array",
        0,
        infer=lambda *, array: TensorType(array.dtype, array.shape),
        numpy=_array_text,
        flops=0,
        view="straight",
        doc="saved values that do not change",
    )
)


def _cast_attrs(x: TensorType, *, dtype: object) -> dict[str, object]:
    if dtype not in DTYPES:
        raise TypeRuleError("GC204", f"a dtype is one of {', '.join(DTYPES)}, got {quoted(dtype)}")
    return {"dtype": dtype}


def _cast_text(c: OpCall, x: ast.expr, *, dtype: DType) -> ast.expr:
    """``x.astype(…)``; a scalar may be a Python number, which has no such method."""
    name = "np.bool_" if dtype == "bool" else f"np.{dtype}"
    if not c.operand().ndim:
        return float_scalar(x) if dtype.startswith("float") else call(name, x)
    return method(x, "astype", float_dtype() if dtype.startswith("float") else fill(name, {}))


def _cast_vjp(ct: Value, y: Value, x: Value, *, dtype: DType) -> tuple[Value | None]:
    if not (x.type.is_float and y.type.is_float):
        return (None,)
    return (ct if y.type.dtype == x.type.dtype else OPS["cast"](ct, dtype=x.type.dtype),)


CAST = define(
    Op(
        "cast",
        1,
        infer=lambda x, *, dtype: TensorType(dtype, x.shape),
        numpy=_cast_text,
        vjp=_cast_vjp,
        normalize=_cast_attrs,
        flops=0,
        implicit=True,
        batching=batch_rules.unchanged("cast"),
        samples=(Sample(((0, 2),), {"dtype": "float64"}), Sample((3,), {"dtype": "float64"})),
        doc="the same values in another dtype",
    )
)


def _item_type(x: TupleType, *, index: int) -> TensorType:
    if not 0 <= index < len(x.items):
        raise TypeRuleError("GC203", f"item {index} of {len(x.items)} results")
    return x.items[index]


ITEM = define(
    Op(
        "item",
        1,
        infer=_item_type,
        numpy=lambda c, x, *, index: subscript(x, literal(index)),
        flops=0,
        view="straight",
        batching=batch_rules.item,
        doc="one result of an op with several",
    )
)
STOP_GRADIENT = define(
    Op(
        "stop_gradient",
        1,
        infer=lambda x: x,
        numpy="x",
        vjp=lambda ct, y, x: (None,),
        differentiable=(),
        flops=0,
        view="straight",
        batching=batch_rules.unchanged("stop_gradient"),
        doc="the value, as a constant for differentiation",
    )
)


def _grad_type(loss: TensorType, x: TensorType) -> TensorType:
    if loss.shape or not loss.is_float:
        found = f"{{0}} is {loss}"
        raise TypeRuleError("GC303", f"grad needs a scalar float loss, got {loss}", found)
    if not x.is_float:
        raise TypeRuleError("GC204", f"grad needs a float variable, got {x}", f"{{1}} is {x.dtype}")
    return x


def _never_emitted(c: OpCall, *operands: ast.expr) -> ast.expr:
    raise AssertionError("grad is expanded before anything is emitted")


GRAD = define(Op("grad", 2, infer=_grad_type, numpy=_never_emitted, flops=0, label="∂", doc="derivative of a scalar"))
