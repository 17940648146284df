"""Matrix functions and decompositions: singular and degenerate operands, gradients in closed form, refusals."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import graphc
from graphc.backends.runtime import _expm
from graphc.errors import GraphcError
from graphc.op import OPS
from graphc.value import Value
from tests.apply import conditions_of, gradients_of, tensor, type_of, value_of

SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
REGULAR = np.array([[2.0, 1.0, 0.0], [0.5, 3.0, 1.0], [0.0, 1.0, 4.0]])


def item(op: str, index: int) -> object:
    return lambda x: OPS["item"](OPS[op](x), index=index)


def test_singular_matrices_raise() -> None:
    for op in ("inv", "solve"):
        with pytest.raises(np.linalg.LinAlgError):
            value_of(OPS[op], *([SINGULAR] if op == "inv" else [SINGULAR, np.ones(2)]))
    assert value_of(OPS["det"], SINGULAR) == 0
    np.testing.assert_allclose(gradients_of(OPS["det"], SINGULAR)[0], [[4, -2], [-2, 1]], atol=1e-14)
    with pytest.raises(np.linalg.LinAlgError):
        gradients_of(OPS["cofactors"], SINGULAR)
    assert value_of(item("slogdet", 1), SINGULAR) == -np.inf
    with pytest.raises(np.linalg.LinAlgError):
        value_of(OPS["cholesky"], -np.eye(2))


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_gradient_of_det_is_the_adjugate_at_every_rank(rank: int, dtype: str) -> None:
    x = (np.arange(3 * rank).reshape(3, rank) % 4 + 1.0) @ (np.arange(rank * 3).reshape(rank, 3) % 5 - 1.0)
    minors = [[np.delete(np.delete(x, i, 0), j, 1) for j in range(3)] for i in range(3)]
    expected = [[(-1) ** (i + j) * np.linalg.det(minors[i][j]) for j in range(3)] for i in range(3)]
    found = graphc.compile("x: Input[2, 3, 3]\nf: Output = sum(det(x))").value_and_grad(
        x=np.stack([x, x]).astype(dtype)
    )
    assert found[1]["x"].dtype == dtype
    tolerance = 1e-12 if dtype == "float64" else 2e-4
    np.testing.assert_allclose(found[1]["x"], [expected, expected], atol=tolerance, rtol=tolerance)


def test_gradients_in_closed_form() -> None:
    inverse = np.linalg.inv(REGULAR)
    np.testing.assert_allclose(gradients_of(OPS["det"], REGULAR)[0], np.linalg.det(REGULAR) * inverse.T)
    np.testing.assert_allclose(gradients_of(item("slogdet", 1), REGULAR)[0], inverse.T)
    (nuclear,) = gradients_of(item("svd", 1), REGULAR[:, :2])
    u, _, vh = np.linalg.svd(REGULAR[:, :2], full_matrices=False)
    np.testing.assert_allclose(nuclear, u @ vh, atol=1e-14)


def test_symmetric_matrices_made_of_others_have_the_usual_gradient() -> None:
    """The lower triangle takes both halves; through x @ x.T they are the symmetric gradient."""

    def half_log_det(x: Value) -> Value:
        factor = OPS["cholesky"](x @ OPS["transpose"](x))
        return OPS["sum"](OPS["log"](OPS["diag"](factor)))

    np.testing.assert_allclose(gradients_of(half_log_det, REGULAR)[0], np.linalg.inv(REGULAR).T, rtol=1e-10)


def test_gradient_of_what_numpy_reads() -> None:
    for function in (OPS["cholesky"], item("eigh", 0), item("eigh", 1)):
        (found,) = gradients_of(function, REGULAR @ REGULAR.T)
        np.testing.assert_array_equal(np.triu(found, 1), 0)


def test_equal_eigenvalues() -> None:
    """Their sum is differentiable; a vector that LAPACK chose among many is not, and that shows."""
    np.testing.assert_allclose(gradients_of(item("eigh", 0), np.eye(3))[0], np.eye(3), atol=1e-14)
    np.testing.assert_allclose(gradients_of(item("svd", 1), np.eye(3))[0], np.eye(3), atol=1e-14)
    (found,) = gradients_of(lambda x: OPS["index"](OPS["item"](OPS["eigh"](x), index=1), items=(0, 1)), np.eye(3))
    assert not np.isfinite(found).all()


def test_zero_singular_value_of_which_only_values_are_used() -> None:
    assert np.isfinite(gradients_of(item("svd", 1), np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]))[0]).all()


@pytest.mark.parametrize("scale", [0.0, 1e-9, 0.1, 1.0, 10.0, 100.0])
def test_expm(scale: float) -> None:
    x = scale * np.array([[-1.0, 0.3, 0.0], [0.2, -0.5, 1.0], [0.0, -1.0, -0.2]])
    with mpmath.workdps(40):
        expected = np.array(mpmath.expm(mpmath.matrix(x.tolist())).tolist(), dtype=float)
    for found in (_expm(x), _expm(np.stack([x, 1000 * np.eye(3) * -1]))[0]):
        np.testing.assert_allclose(found, expected, rtol=1e-13 * max(1.0, scale), atol=1e-14 * np.abs(expected).max())
    assert _expm(x.astype("float32")).dtype == "float32"


def test_symbolic_sizes() -> None:
    assert type_of(item("qr", 0), tensor("N", 3)) == "float64[N, 3]"
    assert type_of(item("svd", 2), tensor("B", "N", "N")) == "float64[B, N, N]"
    (condition,) = conditions_of(item("qr", 1), tensor("N", 3))
    assert (str(condition.size), condition.relation, condition.number) == ("N", "at_least", 3)
    assert type_of(OPS["diag"], tensor("N", "N")) == "float64[N]"
    assert type_of(lambda x: OPS["diag"](x, k=-2), tensor("N")) == "float64[N + 2, N + 2]"


@pytest.mark.parametrize(
    ("op", "shape", "message"),
    [
        ("inv", (3, 4), "inv needs square matrices, got 3×4"),
        ("det", ("N", "M"), "det needs square matrices, got N×M"),
        ("cholesky", (3,), "cholesky needs square matrices, got 3"),
        ("eigh", (2, 3), "eigh needs square matrices, got 2×3"),
        ("svd", ("N", "M"), "svd needs to know which is smaller, N or M"),
        ("qr", (2, 3), "qr needs at least as many rows as columns, got 2×3"),
        ("diag", (2, 3, 4), "diag needs a vector or a matrix, got 2×3×4"),
        ("tril", (3,), "tril needs matrices, got 3"),
    ],
)
def test_refusals(op: str, shape: tuple[int | str, ...], message: str) -> None:
    with pytest.raises(GraphcError, match=message):
        type_of(OPS[op], tensor(*shape))


def test_solve_refuses_another_number_of_rows() -> None:
    with pytest.raises(GraphcError, match="solve needs a right side with 3 rows, got 4×2"):
        type_of(OPS["solve"], tensor(3, 3), tensor(4, 2))
