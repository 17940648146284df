"""Linear algebra at matrices that are singular or degenerate, exactly and up to rounding: no number is a wrong one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import graphc
from graphc.op import OPS
from tests.apply import gradients_of, value_of

RANDOM = np.random.default_rng(0)
COUNTED = np.arange(1.0, 10.0).reshape(3, 3)
REGULAR = np.array([[2.0, 1.0, 0.5], [0.7, 3.0, 1.0], [1.0, 0.4, 4.0]])
TURN = np.linalg.qr(RANDOM.normal(size=(3, 3)))[0]
TWICE = TURN @ np.diag([1.0, 1.0, 2.0]) @ TURN.T
"""Symmetric, with two eigenvalues that are equal, but not to the last digit once they are computed."""


def of_rank(rank: int, n: int) -> np.ndarray:
    return RANDOM.normal(size=(n, rank)) @ RANDOM.normal(size=(rank, n))


def conditioned(condition: float, n: int) -> np.ndarray:
    left, right = (np.linalg.qr(RANDOM.normal(size=(n, n)))[0] for _ in range(2))
    return (left * np.geomspace(1.0, 1.0 / condition, n)) @ right


def model(expression: str, rows: int = 3, columns: int = 3) -> graphc.Model:
    """The sum of an expression of a matrix ``A`` and a vector ``b``, in line 3."""
    return graphc.compile(
        f"A: Input[{rows}, {columns}]\nb: Input[{rows}]\nloss: Output = sum({expression}) + sum(b)", wrt=["A"]
    )


SINGULAR = {
    "equal rows": np.array([[1.0, 2.0], [1.0, 2.0]]),
    "zeros": np.zeros((2, 2)),
    "a zero column": np.array([[1.0, 0.0], [3.0, 0.0]]),
    "counted": COUNTED,
    "tenths": COUNTED / 10,
    "huge": COUNTED * 1e200,
    "tiny": COUNTED * 1e-200,
    "uneven": COUNTED * np.array([1.0, 1e30, 1e-30]),
    **{f"rank {k} of {n}": of_rank(k, n) for k, n in ((1, 2), (2, 3), (1, 5), (19, 20), (10, 40), (99, 100))},
}
SINGULAR_ERROR = "the matrix is singular"
REFUSED = {
    "inv(A)": f"inv(): {SINGULAR_ERROR}",
    "solve(A, b)": f"solve(): {SINGULAR_ERROR}",
    "inv(A @ A.T)": f"inv(): {SINGULAR_ERROR}",
    "lstsq(A, b)": "qr(): the matrix has columns that depend on each other",
    "cholesky(A @ A.T)": "cholesky(): the matrix is not positive definite",
}
REFUSED_GRADIENTS = {
    "slogdet(A)[1]": f"inv(): {SINGULAR_ERROR}",
    "qr(A)[0]": "qr(): the matrix has columns that depend on each other",
    "qr(A)[1]": "qr(): the matrix has columns that depend on each other",
}


OVERFLOWING = ("huge", "tiny", "uneven")
PAIRS = [(e, name) for e in REFUSED for name in SINGULAR if name not in OVERFLOWING or "A.T" not in e]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("expression", "name"), PAIRS)
def test_singular_is_an_error_that_names_the_line(expression: str, name: str) -> None:
    a, message = SINGULAR[name], REFUSED[expression]
    compiled = model(expression, *a.shape)
    with pytest.raises(np.linalg.LinAlgError, match=f"^{re.escape(message)}  \\[<model>:3\\]$"):
        compiled(A=a, b=np.arange(1.0, len(a) + 1))


@pytest.mark.parametrize("name", SINGULAR)
@pytest.mark.parametrize(("expression", "message"), REFUSED_GRADIENTS.items(), ids=REFUSED_GRADIENTS)
def test_gradient_at_singular_is_an_error_that_names_the_line(expression: str, message: str, name: str) -> None:
    a = SINGULAR[name]
    compiled = model(expression, *a.shape)
    with np.errstate(all="ignore"):
        compiled.module.loss(A=a, b=np.ones(len(a)))
        with pytest.raises(np.linalg.LinAlgError, match=f"^{re.escape(message)}  \\[<model>:3\\]$"):
            compiled.value_and_grad(A=a, b=np.ones(len(a)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [2, 3, 10, 20])
def test_near_singular_is_an_error_or_right(n: int, dtype: str) -> None:
    """Refused only where no digit is right; where the condition leaves digits, these are."""
    eps = np.finfo(dtype).eps
    for condition in np.geomspace(0.001 / eps, 1000 / eps, 25):
        a = conditioned(condition, n).astype(dtype)
        exact = inverse(a)
        for op, operands, wanted in (("inv", (a,), exact), ("solve", (a, a[0]), exact @ a[0].astype(float))):
            try:
                found = value_of(OPS[op], *operands, dtype=dtype)
            except np.linalg.LinAlgError:
                assert condition * eps > 0.05 / n
            else:
                assert np.max(np.abs(found - wanted)) < 0.9 * np.max(np.abs(wanted)), condition
                assert found.dtype == dtype


def inverse(a: np.ndarray, digits: int = 60) -> np.ndarray:
    with mpmath.workdps(digits):
        return np.array((mpmath.matrix(a.astype(float).tolist()) ** -1).tolist(), dtype=float)


@pytest.mark.parametrize(
    "a",
    [
        np.diag([1.0, 1e-20, 1e30]),
        np.diag([1e-150, 1e150, 1.0]) @ REGULAR,
        REGULAR @ np.diag([1e-150, 1e150, 1.0]),
        np.array([[0.0, 1.0], [1.0, 0.0]]),
        np.array([[1.0, 1e16], [0.0, 1.0]]),
        np.ones((1, 1)) * 1e-300,
        np.array([[1.0 / (i + j + 1) for i in range(9)] for j in range(9)]),
    ],
)
def test_uneven_scales_are_not_singular(a: np.ndarray) -> None:
    exact = inverse(a, digits=700)
    np.testing.assert_allclose(value_of(OPS["inv"], a), exact, rtol=1e-3, atol=1e-300)
    for column in np.eye(len(a)):
        np.testing.assert_allclose(value_of(OPS["solve"], a, column), exact @ column, rtol=1e-3, atol=1e-300)


def test_one_singular_matrix_of_a_stack_is_enough() -> None:
    stack = np.stack([np.eye(3), COUNTED, np.eye(3)])
    for op, operands in (("inv", (stack,)), ("solve", (stack, np.ones(3))), ("solve", (np.eye(3) * 0, stack))):
        with pytest.raises(np.linalg.LinAlgError):
            value_of(OPS[op], *operands)
    with pytest.raises(np.linalg.LinAlgError):
        value_of(OPS["cholesky"], stack @ np.swapaxes(stack, -1, -2))


def test_solve_has_the_values_and_shapes_of_numpy() -> None:
    a, stack = RANDOM.normal(size=(3, 3)), RANDOM.normal(size=(2, 3, 3))
    for left, right in ((a, a[0]), (a, a), (stack, a[:, :2]), (a, stack), (stack, stack)):
        np.testing.assert_allclose(value_of(OPS["solve"], left, right), np.linalg.solve(left, right), rtol=1e-12)
    np.testing.assert_allclose(value_of(OPS["solve"], stack, a[0]), np.linalg.solve(stack, a[0][:, None])[..., 0])
    for n in (0, 1):
        assert value_of(OPS["solve"], np.eye(n), np.ones(n)).shape == (n,)
        assert value_of(OPS["inv"], np.eye(n)).shape == (n, n)
        assert value_of(OPS["cholesky"], np.eye(n)).shape == (n, n)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", range(9))
def test_a_matrix_that_is_not_finite_is_an_error(place: int, value: float) -> None:
    """LAPACK gives numbers for some of them, and for others does not end."""
    a = np.eye(3)
    a.flat[place] = value
    factors = [lambda x, op=op: OPS["item"](OPS[op](x), index=0) for op in ("eigh", "svd", "qr")]
    read = (OPS["cholesky"],) if place not in (1, 2, 5) else ()
    for function in (OPS["inv"], *read, *factors):
        with np.errstate(all="ignore"), pytest.raises(np.linalg.LinAlgError, match="the matrix is not finite"):
            value_of(function, a)
    with np.errstate(all="ignore"), pytest.raises(np.linalg.LinAlgError, match="the matrix is not finite"):
        value_of(OPS["solve"], a, np.ones(3))
    with pytest.raises(np.linalg.LinAlgError, match="the matrix is not finite"):
        gradients_of(OPS["det"], a)
    with np.errstate(all="ignore"):
        assert not np.isfinite(value_of(OPS["expm"], a)).all()


# degenerate values


def vectors(x: np.ndarray, k: int) -> np.ndarray:
    """The outer product of an eigenvector with itself, which does not depend on its sign."""
    v = np.linalg.eigh((x + x.T) / 2)[1][:, k]
    return np.outer(v, v)


def differences(function: Callable[[np.ndarray], float], x: np.ndarray) -> np.ndarray:
    """Central differences by each element."""
    found = np.empty_like(x)
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = 1e-6
        found[place] = (function(x + step) - function(x - step)) / 2e-6
    return found


SYMMETRIC = "A: Input[3, 3]\nW: Input[3, 3]\nw, v = eigh((A + A.T) / 2)\nloss: Output = "
WEIGHTS = RANDOM.normal(size=(3, 3))


def symmetric_gradient(loss: str, a: np.ndarray) -> np.ndarray:
    compiled = graphc.compile(SYMMETRIC + loss, wrt=["A"])
    with np.errstate(all="ignore"):
        found: np.ndarray = compiled.value_and_grad(A=a, W=WEIGHTS)[1]["A"]
    return found


@pytest.mark.parametrize("a", [np.eye(3), TWICE, np.zeros((3, 3)), TWICE + 1e-17], ids=["I", "twice", "0", "near"])
def test_functions_of_all_eigenvalues_have_their_gradient_where_some_are_equal(a: np.ndarray) -> None:
    close = {"rtol": 1e-12, "atol": 1e-14}
    np.testing.assert_allclose(symmetric_gradient("sum(w) + 0 * sum(W)", a), np.eye(3), **close)
    np.testing.assert_allclose(symmetric_gradient("sum(w ** 2) + 0 * sum(W)", a), 2 * a, **close)
    np.testing.assert_allclose(symmetric_gradient("sum(w ** 3) + 0 * sum(W)", a), 3 * a @ a, **close)


@pytest.mark.parametrize("a", [np.eye(3), TWICE, np.diag([2.0, 2.0, 5.0])], ids=["I", "twice", "diagonal"])
@pytest.mark.parametrize(
    "loss", ["sum(W * ((v * log(w)) @ v.T))", "sum(W * ((v * (w - 1)) @ v.T))", "sum(W * v)", "sum(W[0] * v[:, 0])"]
)
def test_vectors_of_equal_eigenvalues_give_nan(loss: str, a: np.ndarray) -> None:
    """Also where the logarithms of all of them are 0, and with them all cotangents."""
    found = symmetric_gradient(loss, a)
    assert np.isnan(found).any() and not np.isfinite(found[1, 0])


def test_a_vector_apart_from_equal_eigenvalues_has_its_gradient() -> None:
    found = symmetric_gradient("sum(W * (v[:, 2:] @ v[:, 2:].T))", TWICE)
    np.testing.assert_allclose(found, differences(lambda x: float(np.sum(WEIGHTS * vectors(x, 2))), TWICE), atol=1e-8)
    both = symmetric_gradient("sum(W * (v[:, 2:] @ v[:, 2:].T)) + sum(W[0] * v[:, 2]) * 0", TWICE)
    np.testing.assert_allclose(both, found, rtol=1e-12)


@pytest.mark.parametrize("loss", ["sum(W * ((v * exp(w)) @ v.T))", "sum(W * v[:, 2:] ** 2) + sum(w)"])
def test_close_eigenvalues_keep_the_digits_that_they_have(loss: str) -> None:
    a = TURN @ np.diag([1.0, 1.0 + 1e-6, 2.0]) @ TURN.T
    exact = graphc.compile(SYMMETRIC + loss, wrt=["A"])
    direction = RANDOM.normal(size=(3, 3)) * 1e-9
    ahead, behind = (float(exact.module.loss(A=a + step, W=WEIGHTS)) for step in (direction, -direction))
    slope = np.sum(symmetric_gradient(loss, a) * direction)
    np.testing.assert_allclose(slope, (ahead - behind) / 2, rtol=1e-3, atol=1e-15)


RANK_ONE = np.outer([1.0, 2.0, -1.0, 0.5], [1.0, 1.0, 2.0])


def singular_gradient(loss: str, a: np.ndarray) -> np.ndarray:
    rows, columns = a.shape
    text = f"A: Input[{rows}, {columns}]\nu, s, vh = svd(A)\nloss: Output = {loss}"
    with np.errstate(all="ignore"):
        found: np.ndarray = graphc.compile(text, wrt=["A"]).value_and_grad(A=a)[1]["A"]
    return found


@pytest.mark.parametrize("a", [np.eye(3), TWICE, np.eye(4)[:, :3]], ids=["I", "twice", "tall"])
def test_functions_of_all_singular_values_have_their_gradient_where_some_are_equal(a: np.ndarray) -> None:
    np.testing.assert_allclose(singular_gradient("sum(s ** 2)", a), 2 * a, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(singular_gradient("sum(s ** 4)", a), 4 * a @ a.T @ a, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("a", [RANK_ONE, RANK_ONE.T, np.zeros((3, 3)), np.zeros((4, 2))])
def test_singular_values_of_zero(a: np.ndarray) -> None:
    np.testing.assert_allclose(singular_gradient("sum(s ** 2)", a), 2 * a, rtol=1e-12, atol=1e-14)
    assert np.linalg.norm(singular_gradient("sum(s)", a), 2) <= 1 + 1e-12
    for loss in ("sum(sin(u))", "sum(sin(vh))", "sum(sin((u * s) @ vh))"):
        assert np.isnan(singular_gradient(loss, a)).any()


@pytest.mark.parametrize("transposed", [False, True])
def test_vectors_of_a_singular_value_apart_from_zeros_have_their_gradient(transposed: bool) -> None:
    a = RANK_ONE.T if transposed else RANK_ONE

    def square(x: np.ndarray, part: int) -> float:
        found = np.linalg.svd(x, full_matrices=False)
        side = found[0][:, 0] if part == 0 else found[2][0]
        return float(np.sum(np.sin(np.outer(side, side) * np.arange(1.0, side.size + 1))))

    for part, vector in ((0, "u[:, 0]"), (2, "vh[0]")):
        loss = f"sum(sin(outer({vector}, {vector}) * (arange({a.shape[part // 2]}) + 1)))"
        expected = differences(lambda x, part=part: square(x, part), a)
        np.testing.assert_allclose(singular_gradient(loss, a), expected, atol=1e-8)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_singular_value_of_zero_leaves_the_vectors_of_the_longer_side_undetermined(transposed: bool) -> None:
    a = RANDOM.normal(size=(4, 2)) @ RANDOM.normal(size=(2, 3))
    longer, shorter = ("vh", "u") if transposed else ("u", "vh")
    a = a.T if transposed else a
    assert np.isnan(singular_gradient(f"sum(sin({longer}))", a)).any()
    last = f"{shorter}[:, 2]" if transposed else f"{shorter}[2]"
    expected = differences(lambda x: float(np.sum(np.sin(null_square(x, transposed)))), a)
    np.testing.assert_allclose(singular_gradient(f"sum(sin(outer({last}, {last})))", a), expected, atol=1e-7)


def null_square(x: np.ndarray, transposed: bool) -> np.ndarray:
    u, _, vh = np.linalg.svd(x, full_matrices=False)
    vector = u[:, 2] if transposed else vh[2]
    return np.outer(vector, vector)


def test_repeated_singular_values_give_nan_by_their_vectors() -> None:
    for a in (np.eye(3), TWICE, np.eye(4)[:, :3]):
        for loss in ("sum(sin(u))", "sum(sin(vh))", "sum(u[:, -1] ** 2 * A[:, 0])"):
            assert np.isnan(singular_gradient(loss, a)).any()


# matrices that are no trouble


@pytest.mark.parametrize("vectors", ["eigh((A + A.T) / 2)[1]", "svd(A)[0]", "svd(A)[2]"])
def test_second_derivatives_of_vectors(vectors: str) -> None:
    """The size of rounding errors, which tells values apart, has no tangent."""
    text = f"A: Input[3, 3]\nloss: Output = sum(square({vectors}) * A)"
    module: Any = graphc.compile(text, with_=["hvp"]).module
    rng = np.random.default_rng(0)
    A, v = rng.normal(size=(3, 3)) + np.diag([0, 4, 9]), rng.normal(size=(3, 3))
    ahead, behind = (module.value_and_grad(A + step * v)[1]["A"] for step in (1e-5, -1e-5))
    np.testing.assert_allclose(module.hvp({"A": v}, A)["A"], (ahead - behind) / 2e-5, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("a", [np.zeros((3, 3)), np.diag([1.0, 1.0], 1), COUNTED, np.eye(3), COUNTED / 1e300])
def test_expm_has_a_derivative_everywhere(a: np.ndarray) -> None:
    """At nilpotent, defective and singular matrices too."""
    with mpmath.workdps(30):
        expected = np.array(mpmath.expm(mpmath.matrix(a.tolist())).tolist(), dtype=float)
    np.testing.assert_allclose(value_of(OPS["expm"], a), expected, rtol=1e-11)
    if np.max(np.abs(a)) < 2:
        (found,) = gradients_of(OPS["expm"], a)
        expected = differences(lambda x: float(np.sum(value_of(OPS["expm"], x))), a)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_expm_that_overflows_is_infinite_or_nan() -> None:
    with np.errstate(all="ignore"):
        assert not np.isfinite(value_of(OPS["expm"], 1000.0 * COUNTED)).any()


def test_values_at_singular_matrices() -> None:
    assert abs(value_of(OPS["det"], COUNTED)) < 1e-14
    assert value_of(lambda x: OPS["item"](OPS["slogdet"](x), index=1), np.zeros((2, 2))) == -np.inf
    q, r = (value_of(lambda x, k=k: OPS["item"](OPS["qr"](x), index=k), COUNTED) for k in (0, 1))
    np.testing.assert_allclose(q @ r, COUNTED, rtol=1e-14)
    np.testing.assert_allclose(q.T @ q, np.eye(3), atol=1e-14)


@pytest.mark.parametrize("smallest", [1e-10, 1e-12])
def test_cholesky_close_to_its_edge(smallest: float) -> None:
    a = TURN @ np.diag([smallest, 1.0, 2.0]) @ TURN.T
    a = (a + a.T) / 2
    found = value_of(OPS["cholesky"], a)
    np.testing.assert_allclose(found @ found.T, a, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(
        gradients_of(lambda x: OPS["log"](OPS["diag"](OPS["cholesky"](x))), a)[0],
        np.tril(np.linalg.inv(a)) * (1 - np.eye(3) / 2),
        rtol=1e-2,
    )
