"""Matrix products, with all of NumPy's vector, matrix and batch cases."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from graphc.errors import TypeRuleError
from graphc.numpy_text import call, fill, method
from graphc.op import OPS, Op, OpCall, Sample, define
from graphc.ops import batch_rules
from graphc.ops.axes import Apart, described, unbroadcast
from graphc.ops.operand_text import as_float
from graphc.size import Size, at_least
from graphc.tensor_type import Shape, TensorType, broadcast_shapes, product, promote

if TYPE_CHECKING:
    from graphc.value import Value


def _matmul_type(x: TensorType, y: TensorType) -> TensorType:
    for position, operand in enumerate((x, y)):
        if operand.ndim == 0:
            message = (
                f"matmul needs vectors or matrices, got a scalar as operand {position + 1}; * multiplies by a scalar"
            )
            raise TypeRuleError("GC201", message, f"{{{position}}} is a scalar", {0: described(x), 1: described(y)})
    inner = y.shape[0] if y.ndim == 1 else y.shape[-2]
    if x.shape[-1] != inner:
        raise _inner_error(x, y, inner)
    batch = batch_shape(x, y)
    dtype = promote([x.dtype, y.dtype])
    return TensorType("int64" if dtype == "bool" else dtype, (*batch, *x.shape[-2:-1], *y.shape[-1:] * (y.ndim > 1)))


def batch_shape(x: TensorType, y: TensorType) -> Shape:
    """The leading axes of the result for two stacks of matrices.

    Raises
    ------
    TypeRuleError
        GC202 when they do not broadcast.
    """
    try:
        return broadcast_shapes([x.shape[:-2], y.shape[:-2]])
    except TypeRuleError as refusal:
        # It speaks of the leading axes as if they were all.
        label = f"{{0}} {described(x)}, {{1}} {described(y)}"
        raise TypeRuleError(refusal.code, f"before the last two axes, {refusal.message}", label) from None


def _inner_error(x: TensorType, y: TensorType, inner: Size) -> TypeRuleError:
    left = f"{x.shape[-1]} {'elements' if x.ndim == 1 else 'columns'}"
    right = f"{inner} {'elements' if y.ndim == 1 else 'rows'}"
    return TypeRuleError(
        "GC201",
        f"matmul needs equal inner sizes, got {x.shape[-1]} and {inner}",
        f"{{0}} has {left}, {{1}} has {right}",
        {0: described(x), 1: described(y)},
    )


def _matmul_text(c: OpCall, x: ast.expr, y: ast.expr) -> ast.expr:
    """``x @ y``; integers beside floats are cast, because NumPy would make float64 of them, and of bools an or.

    ``x.T`` by ``y``, as in the gradient for a batch, is for dot: of a batch of one NumPy's matmul has slow loops of
    its own, where dot goes to the BLAS.
    """
    if c.tensor.is_float:
        operands = [as_float(c, text, p) for p, text in enumerate((x, y))]
    else:
        masks = [c.operand(p).dtype == "bool" for p in (0, 1)]
        whole = fill("np.int64", {})
        operands = [method(text, "astype", whole) if mask else text for text, mask in zip((x, y), masks, strict=True)]
    turned = isinstance(operands[0], ast.Attribute) and operands[0].attr == "T"
    if turned and c.tensor.is_float and c.operand(1).ndim == 2 and at_least(c.operand().shape[-1], 2) is not True:
        return call("np.dot", *operands)
    return ast.BinOp(operands[0], ast.MatMult(), operands[1])


def _matmul_vjp(ct: Value, z: Value, x: Value, y: Value) -> tuple[Value, Value]:
    return _left_cotangent(ct, x, y), _right_cotangent(ct, x, y)


def _left_cotangent(ct: Value, x: Value, y: Value) -> Value:
    if x.ndim > 1 and y.ndim > 1:
        return unbroadcast(OPS["matmul"](ct, _transposed(y)), x.type)
    if y.ndim == 1:
        return _column(ct) * y if x.ndim > 1 else ct * y
    if y.ndim == 2:
        return OPS["matmul"](y, ct)
    # A vector times a batch of matrices: the cotangents of all of them add up.
    return unbroadcast(OPS["sum"](y * _row(ct), axis=-1), x.type)


def _right_cotangent(ct: Value, x: Value, y: Value) -> Value:
    if x.ndim == 1:
        return ct * x if y.ndim == 1 else _column(x) * _row(ct)
    if x.ndim == 2 and y.ndim <= 2:
        return OPS["matmul"](_transposed(x), ct)
    if y.ndim <= 2:
        rows = product(x.shape[:-1])
        flat = OPS["reshape"](ct, shape=(rows, *y.shape[1:]))
        return OPS["matmul"](_transposed(OPS["reshape"](x, shape=(rows, x.shape[-1]))), flat)
    return unbroadcast(OPS["matmul"](_transposed(x), ct), y.type)


def _transposed(x: Value) -> Value:
    axes = list(range(x.ndim))
    return OPS["transpose"](x, axes=(*axes[:-2], axes[-1], axes[-2]))


def _column(x: Value) -> Value:
    return OPS["expand_dims"](x, axis=-1)


def _row(x: Value) -> Value:
    return OPS["expand_dims"](x, axis=-2)


def _flops(z: TensorType, x: TensorType, y: TensorType) -> Size:
    """A product and a sum for each row, column and inner index."""
    return z.size * 2 * x.shape[-1]


def _apart(x: TensorType, y: TensorType) -> list[Apart]:
    """Rows of the first operand and columns of the second are on their own, and products of a stack are."""
    ndim = _matmul_type(x, y).ndim
    batch = batch_shape(x, y)

    def stacked(t: TensorType) -> Apart:
        first = len(batch) - max(t.ndim - 2, 0)
        return tuple(first + a if size == batch[first + a] else None for a, size in enumerate(t.shape[:-2]))

    rows: Apart = (len(batch),) if x.ndim > 1 else ()
    columns: Apart = (ndim - 1,) if y.ndim > 1 else ()
    return [(*stacked(x), *rows, None), (*stacked(y), None, *columns)]


def _sample(left: tuple[int, ...], right: tuple[int, ...]) -> Sample:
    return Sample((TensorType("float64", left), TensorType("float64", right)))


MATMUL = define(
    Op(
        "matmul",
        2,
        infer=_matmul_type,
        numpy=_matmul_text,
        vjp=_matmul_vjp,
        flops=_flops,
        label="@",
        apart=_apart,
        batching=batch_rules.matmul,
        samples=(
            _sample((3,), (3,)),
            _sample((2, 3), (3,)),
            _sample((3,), (3, 4)),
            _sample((2, 3), (3, 4)),
            _sample((5, 2, 3), (3, 4)),
            _sample((5, 2, 3), (3,)),
            _sample((3,), (5, 3, 4)),
            _sample((2, 3), (5, 3, 4)),
            _sample((5, 1, 2, 3), (1, 6, 3, 4)),
            _sample((1, 3), (3, 1)),
            _sample((2, 0), (0, 4)),
        ),
        doc="matrix product, batched over leading axes",
    )
)
