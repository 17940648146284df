"""Parts of matrices by the place of their elements: tril, triu, diag."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphc.errors import TypeRuleError
from graphc.numpy_text import call, method
from graphc.op import OPS, Condition, Op, OpCall, Sample, define
from graphc.ops import batch_rules
from graphc.ops.axes import described, quoted
from graphc.ops.indexing import Slice
from graphc.size import Size, at_least, smaller
from graphc.tensor_type import TensorType, shape_text

if TYPE_CHECKING:
    from graphc.value import Value


def _offset_attrs(x: TensorType, *, k: object = 0) -> dict[str, object]:
    if not isinstance(k, int) or isinstance(k, bool):
        raise TypeRuleError("GC203", f"the diagonal k is an integer, got {quoted(k)}")
    return {"k": k}


def _triangle(name: str, doc: str) -> Op:
    def infer(x: TensorType, *, k: int) -> TensorType:
        if x.ndim < 2:
            raise TypeRuleError("GC203", f"{name} needs matrices, got {shape_text(x.shape)}", "{0} " + described(x))
        return TensorType("int64" if x.dtype == "bool" else x.dtype, x.shape)

    def text(c: OpCall, x: ast.expr, *, k: int) -> ast.expr:
        whole = method(x, "astype", ast.parse("np.int64", mode="eval").body) if c.operand().dtype == "bool" else x
        return call(f"np.{name}", whole, k=k or None)

    return Op(
        name,
        1,
        infer,
        text,
        lambda ct, y, x, *, k: (OPS[name](ct, k=k),),
        normalize=_offset_attrs,
        linear=True,
        flops=0,
        # The mask of one matrix.
        scratch=lambda y, x, **_: x.shape[-2] * x.shape[-1],
        samples=tuple(
            Sample((TensorType("float64", shape),), {"k": k})
            for shape, k in (((3, 4), 0), ((3, 3), -1), ((2, 4, 3), 1), ((0, 2), 0))
        ),
        batching=batch_rules.unchanged(name),
        doc=doc,
    )


TRIL = define(_triangle("tril", "the elements of matrices on and below a diagonal, zeros elsewhere"))
TRIU = define(_triangle("triu", "the elements of matrices on and above a diagonal, zeros elsewhere"))


def _diag_type(x: TensorType, *, k: int) -> TensorType:
    if x.ndim == 1:
        return TensorType(x.dtype, (x.shape[0] + abs(k),) * 2)
    if x.ndim != 2:
        message = f"diag needs a vector or a matrix, got {shape_text(x.shape)}"
        raise TypeRuleError("GC203", message, "{0} " + described(x), {0: described(x)})
    length = _diagonal_length(x, k)
    if length is None or at_least(length, 0) is False:
        problem = "is outside" if length is not None else "has a length that depends on which size is smaller in"
        message = f"the diagonal {k} {problem} {shape_text(x.shape)}"
        raise TypeRuleError("GC203", message, "{0} " + described(x), {0: described(x)})
    return TensorType(x.dtype, (length,))


def _diagonal_length(x: TensorType, k: int) -> Size | None:
    rows, columns = x.shape
    return smaller(rows + min(k, 0), columns - max(k, 0))


def _diag_conditions(x: TensorType, *, k: int) -> list[Condition]:
    if x.ndim == 1 or k == 0:
        return []
    side = x.shape[1] if k > 0 else x.shape[0]
    return [] if at_least(side, abs(k)) else [Condition(side, "at_least", abs(k))]


def _diag_vjp(ct: Value, y: Value, x: Value, *, k: int) -> tuple[Value]:
    placed = OPS["diag"](ct, k=k)
    if x.ndim == 1 or placed.shape == x.shape:
        return (placed,)
    length, (rows, columns) = ct.shape[0], x.shape
    used = (length + max(-k, 0), length + max(k, 0))
    if placed.shape != used:
        placed = OPS["index"](placed, items=tuple(Slice(0, size, 1) for size in used))
    return (OPS["pad"](placed, pad_width=((0, rows - used[0]), (0, columns - used[1]))),)


def _diag_batching(values: Sequence[Value], batched: Sequence[bool], *, k: int) -> Value:
    """Of matrices one row and column of indices; of vectors the place of each in a matrix of zeros."""
    (x,) = values
    places = x.builder.apply(OPS["arange"], (), {"stop": _diag_length(x, k)})
    rows, columns = (places + max(-k, 0), places + max(k, 0)) if k else (places, places)
    items = (slice(None), "tensor", "tensor")
    if x.ndim == 3:
        return OPS["gather"](x, rows, columns, items=items)
    side = x.shape[1] + abs(k)
    return OPS["scatter_add"](x, rows, columns, items=items, shape=(x.shape[0], side, side), unique=True)


def _diag_length(x: Value, k: int) -> Size:
    one = TensorType(x.type.dtype, x.shape[1:])
    length = x.shape[1] if one.ndim == 1 else _diagonal_length(one, k)
    assert length is not None
    return length


_DIAGONALS: tuple[tuple[tuple[int, ...], int], ...] = (
    *(((3,), 0), ((3,), 1), ((2,), -2), ((3, 3), 0), ((3, 3), 1)),
    *(((2, 4), 1), ((4, 2), 0), ((2, 5), 4), ((4, 3), -2)),
)

DIAG = define(
    Op(
        "diag",
        1,
        infer=_diag_type,
        numpy=lambda c, x, *, k: (
            call("np.diag", x, k=k or None)
            if c.operand().ndim == 1
            else method(call("np.diag", x, k=k or None), "copy")
        ),
        vjp=_diag_vjp,
        batching=_diag_batching,
        normalize=_offset_attrs,
        linear=True,
        flops=0,
        conditions=_diag_conditions,
        samples=tuple(Sample((TensorType("float64", shape),), {"k": k}) for shape, k in _DIAGONALS),
        doc="of a vector the matrix with it on a diagonal, of a matrix its diagonal",
    )
)
