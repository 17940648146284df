"""Functions of square matrices, batched over leading axes as in NumPy: solve, inv, det, slogdet, cholesky, expm.

Derivative rules: Giles, Collected Matrix Derivative Results for Forward and Reverse Mode Algorithmic Differentiation,
2008; for cholesky Murray, Differentiation of the Cholesky decomposition, 2016; for expm Higham, Functions of
Matrices, 2008, theorem 3.6. A matrix that is singular up to rounding is a LinAlgError when the function runs.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from graphc.errors import TypeRuleError
from graphc.numpy_text import call
from graphc.op import OPS, Op, OpCall, Sample, define
from graphc.ops import batch_rules
from graphc.ops.axes import described, unbroadcast
from graphc.ops.linear_algebra import batch_shape
from graphc.ops.operand_text import as_float
from graphc.ops.reductions import float_of
from graphc.size import Size, divide, larger
from graphc.tensor_type import TensorType, TupleType, product, promote, shape_text

if TYPE_CHECKING:
    from graphc.value import Value


def refuse_non_square(name: str, x: TensorType) -> None:
    """Refuse what is no square matrix, nor a stack of them.

    Raises
    ------
    TypeRuleError
        GC203.
    """
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        message = f"{name} needs square matrices, got {shape_text(x.shape)}"
        raise TypeRuleError("GC203", message, "{0} " + described(x), {0: described(x)})


def transposed(x: Value) -> Value:
    """The matrices with their rows as columns."""
    axes = list(range(x.ndim))
    return OPS["transpose"](x, axes=(*axes[:-2], axes[-1], axes[-2]))


def read_triangle(symmetric: Value) -> Value:
    """A symmetric gradient as one of the lower triangle, which is all that NumPy reads: both halves together."""
    return OPS["tril"](symmetric) + OPS["tril"](symmetric, k=-1)


def like(x: TensorType, *shape: Size) -> TensorType:
    """The float type with the leading axes of matrices, and these axes."""
    return TensorType(float_of(x), (*x.shape[:-2], *shape))


def placed(c: OpCall) -> tuple[str, ...]:
    """The model line, as an argument of a runtime function that can refuse a matrix."""
    return (c.place,) if c.place else ()


def finite(function: str, c: OpCall, x: ast.expr) -> ast.expr:
    """The text of matrices that are to be decomposed, which have to be finite."""
    return call("_finite", function, as_float(c, x), *placed(c))


def matrix_scalar(x: Value) -> Value:
    """A number for each matrix, as it multiplies matrices."""
    return OPS["expand_dims"](x, axis=(-2, -1))


def cubic(numerator: int, denominator: int = 1) -> Callable[..., Size]:
    """The flops of what costs so many n³ for each matrix: the counts are those of Golub and Van Loan, 2013."""

    def flops(result: object, x: TensorType) -> Size:
        return divide(x.size * x.shape[-1] * numerator, denominator)

    return flops


def _solve_flops(y: TensorType, a: TensorType, b: TensorType) -> Size:
    """An LU decomposition of each matrix, and two triangles for each column."""
    return cubic(2, 3)(y, a) + y.size * a.shape[-1] * 2


def _square(name: str, shape_of: str) -> Callable[..., TensorType]:
    def infer(x: TensorType) -> TensorType:
        refuse_non_square(name, x)
        return like(x, *(x.shape[-2:] if shape_of == "matrix" else ()))

    return infer


# samples: matrices that are far from singular


def _tensor(*shape: int) -> TensorType:
    return TensorType("float64", shape)


def dominant(x: NDArray[Any], *others: NDArray[Any]) -> Sequence[NDArray[Any]]:
    """A diagonal that dominates."""
    return (x + 3 * np.eye(x.shape[-1]), *others)


def positive(x: NDArray[Any]) -> Sequence[NDArray[Any]]:
    """Symmetric, with eigenvalues of at least 1."""
    return (x @ np.swapaxes(x, -1, -2) + np.eye(x.shape[-1]),)


def _samples(made: Callable[..., Sequence[object]] | None, *shapes: tuple[int, ...]) -> tuple[Sample, ...]:
    return tuple(Sample((_tensor(*shape),), domain=(-1.0, 1.0), made=made) for shape in shapes)


_SQUARES = ((3, 3), (2, 3, 3), (1, 1))


# solve and inv


def _solve_type(a: TensorType, b: TensorType) -> TensorType:
    refuse_non_square("solve", a)
    rows = b.shape[-1 if b.ndim == 1 else -2] if b.ndim else None
    if rows != a.shape[-1]:
        message = f"solve needs a right side with {a.shape[-1]} rows, got {shape_text(b.shape)}"
        rows_of = {0: described(a), 1: described(b)}
        raise TypeRuleError("GC203", message, f"{{0}} {rows_of[0]}, {{1}} {rows_of[1]}", rows_of)
    dtype = promote([float_of(a), float_of(b)])
    if b.ndim == 1:
        return TensorType(dtype, a.shape[:-1])
    return TensorType(dtype, (*batch_shape(a, b), *b.shape[-2:]))


def _solve_scratch(y: TensorType, a: TensorType, b: TensorType, **_: object) -> Size:
    """Of `_solve`: the sizes of the elements of a, later the right sides and eight more."""
    sides = y.nbytes + product(a.shape[:-1]) * 8 * y.item_bytes
    return larger(a.nbytes - y.nbytes, sides)


def _solve_vjp(ct: Value, y: Value, a: Value, b: Value) -> tuple[Value, Value]:
    """Giles 2.3.1: the cotangent of b is solve(aᵀ, ct), that of a is minus its product with yᵀ."""
    if b.ndim == 1:
        ct, y = OPS["expand_dims"](ct, axis=-1), OPS["expand_dims"](y, axis=-1)
    right = OPS["solve"](transposed(a), ct)
    left = unbroadcast(-(right @ transposed(y)), a.type)
    return left, unbroadcast(OPS["squeeze"](right, axis=-1) if b.ndim == 1 else right, b.type)


SOLVE = define(
    Op(
        "solve",
        2,
        infer=_solve_type,
        numpy=lambda c, a, b: call("_solve", as_float(c, a), as_float(c, b, 1), *placed(c)),
        vjp=_solve_vjp,
        batching=batch_rules.solve,
        flops=_solve_flops,
        scratch=_solve_scratch,
        convention="solve(singular up to rounding) raises numpy.linalg.LinAlgError",
        samples=tuple(
            Sample((_tensor(*a), _tensor(*b)), domain=(-1.0, 1.0), made=dominant)
            for a, b in (((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (3,)), ((2, 3, 3), (3, 2)), ((3, 3), (2, 3, 1)))
        ),
        doc="z with x @ z = y for square x, of a vector y or of the columns of matrices",
    )
)


def _inv_vjp(ct: Value, y: Value, x: Value) -> tuple[Value]:
    """Giles 2.2.3: -yᵀ ct yᵀ."""
    return (-(transposed(y) @ ct @ transposed(y)),)


INV = define(
    Op(
        "inv",
        1,
        infer=_square("inv", "matrix"),
        numpy=lambda c, x: call("_inv", as_float(c, x), *placed(c)),
        vjp=_inv_vjp,
        flops=cubic(2),
        scratch=2,
        convention="inv(singular up to rounding) raises numpy.linalg.LinAlgError",
        samples=_samples(dominant, *_SQUARES),
        batching=batch_rules.unchanged("inv"),
        doc="the inverse of square matrices; solve(x, y) is better than inv(x) @ y",
    )
)


# determinants


def _cofactors_vjp(ct: Value, y: Value, x: Value) -> tuple[Value]:
    """The differential of det(x) x⁻ᵀ, which is symmetric in its two directions: ⟨y, ct⟩ x⁻ᵀ - y ctᵀ x⁻ᵀ."""
    inverse = transposed(OPS["inv"](x))
    total = OPS["sum"](y * ct, axis=(-2, -1), keepdims=True)
    return (total * inverse - y @ transposed(ct) @ inverse,)


COFACTORS = define(
    Op(
        "cofactors",
        1,
        infer=_square("cofactors", "matrix"),
        numpy=lambda c, x: call("_cofactors", finite("cofactors", c, x)),
        vjp=_cofactors_vjp,
        # A singular value decomposition, two determinants and a product.
        flops=cubic(76, 3),
        scratch=3,
        convention="cofactors'(singular up to rounding) raises numpy.linalg.LinAlgError",
        samples=_samples(dominant, *_SQUARES),
        batching=batch_rules.unchanged("cofactors"),
        doc="det(x) inv(x).T of square matrices, also of singular ones: the gradient of det",
    )
)


DET = define(
    Op(
        "det",
        1,
        infer=_square("det", "scalar"),
        numpy=lambda c, x: call("np.linalg.det", as_float(c, x)),
        vjp=lambda ct, y, x: (matrix_scalar(ct) * OPS["cofactors"](x),),
        flops=cubic(2, 3),
        samples=_samples(dominant, *_SQUARES),
        batching=batch_rules.unchanged("det"),
        doc="the determinant of square matrices; slogdet does not overflow",
    )
)


def _slogdet_type(x: TensorType) -> TupleType:
    refuse_non_square("slogdet", x)
    return TupleType((like(x), like(x)))


def _slogdet_vjp(ct: Sequence[Value | None], y: Value, x: Value) -> tuple[Value | None]:
    """Petersen and Pedersen, The Matrix Cookbook, 57: x⁻ᵀ; the sign is piecewise constant."""
    return (None if ct[1] is None else matrix_scalar(ct[1]) * transposed(OPS["inv"](x)),)


SLOGDET = define(
    Op(
        "slogdet",
        1,
        infer=_slogdet_type,
        numpy=lambda c, x: call("np.linalg.slogdet", as_float(c, x)),
        vjp=_slogdet_vjp,
        flops=cubic(2, 3),
        convention="slogdet(singular) = (0, -inf), slogdet'(singular up to rounding) raises numpy.linalg.LinAlgError",
        samples=_samples(dominant, *_SQUARES),
        batching=batch_rules.unchanged("slogdet"),
        doc="sign and logarithm of the absolute value of the determinant of square matrices: two results",
    )
)


# cholesky


def _cholesky_vjp(ct: Value, y: Value, x: Value) -> tuple[Value]:
    """Murray, equation 10: the symmetric part of y⁻ᵀ Φ(yᵀ ct) y⁻¹; Φ takes the lower triangle, half of its diagonal."""
    product = transposed(y) @ ct
    half = (OPS["tril"](product) + OPS["tril"](product, k=-1)) / 2
    upper = transposed(y)
    found = OPS["solve"](upper, transposed(OPS["solve"](upper, half)))
    return (read_triangle((found + transposed(found)) / 2),)


CHOLESKY = define(
    Op(
        "cholesky",
        1,
        infer=_square("cholesky", "matrix"),
        numpy=lambda c, x: call("_cholesky", as_float(c, x), *placed(c)),
        vjp=_cholesky_vjp,
        flops=cubic(1, 3),
        convention="cholesky reads the lower triangle of its operand, and its gradient is of that triangle; "
        "cholesky(not positive definite beyond rounding) raises numpy.linalg.LinAlgError",
        samples=_samples(positive, *_SQUARES),
        batching=batch_rules.unchanged("cholesky"),
        doc="the lower triangular L with L @ L.T = x for symmetric positive definite x",
    )
)


# expm


def _expm_vjp(ct: Value, y: Value, x: Value) -> tuple[Value]:
    """The Fréchet derivative at xᵀ: the upper right block of expm of [[xᵀ, ct], [0, xᵀ]]."""
    n, flipped = x.shape[-1], transposed(x)
    zeros = OPS["broadcast_to"](x.builder.constant(0.0, x.type.dtype), shape=x.shape)
    above = OPS["concatenate"](flipped, ct, axis=-1)
    below = OPS["concatenate"](zeros, flipped, axis=-1)
    both = OPS["expm"](OPS["concatenate"](above, below, axis=-2))
    return (OPS["index"](both, items=(..., slice(0, n), slice(n, 2 * n))),)


EXPM = define(
    Op(
        "expm",
        1,
        infer=_square("expm", "matrix"),
        numpy=lambda c, x: call("_expm", as_float(c, x)),
        vjp=_expm_vjp,
        # Six products and a solution; how often it squares depends on the values.
        flops=cubic(44, 3),
        scratch=9,
        samples=_samples(None, *_SQUARES),
        batching=batch_rules.unchanged("expm"),
        doc="the exponential of square matrices: Padé approximation with scaling and squaring",
    )
)
