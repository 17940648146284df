"""The numeric functions of generated modules against mpmath, over their whole domains and at their edges."""

from __future__ import annotations

import ast
import inspect

import mpmath
import numpy as np
import pytest

from graphc.backends import runtime

INF = float("inf")
POINTS = np.concatenate([np.linspace(-7, 7, 1201), 10.0 ** np.arange(-300, 300, 23), [0.0, 1.0, -1.0, 6.0]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "exact", "ulps"), [("_erf", mpmath.erf, 4), ("_sigmoid", mpmath.sigmoid, 4)])
def test_against_mpmath(name: str, exact: object, ulps: float, dtype: str) -> None:
    x = POINTS[np.abs(POINTS) < 1e30].astype(dtype) if dtype == "float32" else POINTS
    found = getattr(runtime, name)(x)
    assert found.dtype == dtype
    expected = np.array([float(exact(mpmath.mpf(float(v)))) for v in x])  # type: ignore[operator]
    unit = np.spacing(np.abs(expected).astype(dtype)).astype("float64")
    assert np.max(np.abs(found.astype("float64") - expected) / unit) <= ulps


def test_erf_at_the_edges() -> None:
    found = runtime._erf(np.array([INF, -INF, np.nan, -0.0, 5e-324]))
    np.testing.assert_array_equal(found, [1, -1, np.nan, 0, 5e-324])
    assert np.signbit(found[3])
    assert runtime._erf(np.float32(0.5)).dtype == "float32"


def test_erf_coefficients_are_those_that_the_docstring_says() -> None:
    series, interpolant = _tuples(runtime._erf)
    with mpmath.workdps(60):
        n = len(series) - 1
        exact = [2 / mpmath.sqrt(mpmath.pi) * (-1) ** k / (mpmath.factorial(k) * (2 * k + 1)) for k in range(n, -1, -1)]
        assert series == [float(c) for c in exact]
        assert interpolant == [float(c) for c in _chebyshev_interpolant(len(interpolant))][::-1]


def _tuples(function: object) -> list[list[float]]:
    tree = ast.parse(inspect.getsource(function))  # type: ignore[arg-type]
    found = [
        node.value for node in ast.walk(tree) if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)
    ]
    return [list(ast.literal_eval(value)) for value in found]


def _chebyshev_interpolant(count: int) -> mpmath.matrix:
    def scaled(u: mpmath.mpf) -> mpmath.mpf:
        x = mpmath.mpf("9.6") / (u + mpmath.mpf("2.2")) - 2
        return mpmath.erfc(x) * mpmath.exp(x * x)

    nodes = [mpmath.cos(mpmath.pi * (2 * k + 1) / (2 * count)) for k in range(count)]
    powers = mpmath.matrix([[u**j for j in range(count)] for u in nodes])
    return mpmath.lu_solve(powers, mpmath.matrix([scaled(u) for u in nodes]))


def test_sigmoid_at_the_edges() -> None:
    with np.errstate(over="raise", invalid="raise"):
        found = runtime._sigmoid(np.float32([-1e4, 1e4, -INF, INF, 0]))
    np.testing.assert_array_equal(found, [0, 1, 0, 1, 0.5])
    assert np.isnan(runtime._sigmoid(np.array(np.nan)))


def test_saved_array_comes_back() -> None:
    x = np.arange(6, dtype=">f4").reshape(2, 3)
    found = runtime._array(x.astype("<f4").tobytes(), "float32", (2, 3))
    np.testing.assert_array_equal(found, x)
    assert found.dtype == "float32"
    assert found.flags.writeable


def test_scattered_values() -> None:
    values = np.float32([1, 2, 4])
    np.testing.assert_array_equal(runtime._scatter_add(values, (4,), np.array([0, 2, 0])), [5, 0, 2, 0])
    np.testing.assert_array_equal(runtime._placed(values, (4,), np.s_[1:]), [0, 1, 2, 4])
    assert runtime._placed(values, (4,), np.s_[1:]).dtype == "float32"


@pytest.mark.parametrize("count", [1, 9], ids=["few", "many"])
def test_scattered_rows(count: int) -> None:
    """Few are added as rows, many element by element."""
    values = np.random.default_rng(0).normal(size=(2, count)).astype("float32")
    index = np.arange(count) % 3
    by_column, by_row = np.zeros((2, 4), "float32"), np.zeros((4, 2), "float32")
    for k, place in enumerate(index):
        by_column[:, place] += values[:, k]
        by_row[place] += values[:, k]
    found = runtime._scatter_add(values, (2, 4), np.s_[:, index])
    np.testing.assert_array_equal(found, by_column)
    assert found.dtype == "float32"
    np.testing.assert_array_equal(runtime._scatter_add(values.T, (4, 2), index), by_row)


def test_the_logarithm_of_one_exponential_is_its_exponent() -> None:
    assert runtime._logsumexp(np.float64(1.5), ()) == 1.5


@pytest.mark.parametrize("columns", [1, 3, 16, 17])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_many_rows_are_added_up_by_index(columns: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    values, index = rng.integers(-9, 9, (2000, columns)).astype(dtype), rng.integers(0, 7, 2000)
    expected = np.zeros((9, columns), dtype)
    np.add.at(expected, index, values)
    for given in (values, np.asfortranarray(values)):
        found = runtime._scatter_add(given, (9, columns), index)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == dtype
    flat = runtime._scatter_add(np.ones((2000, 2), dtype), (7,), index[:, None] * np.ones(2, int))
    np.testing.assert_array_equal(flat, 2 * np.bincount(index, minlength=7))
    along = runtime._scatter_add(np.ones((2000, 2000), dtype), (2000, 3), np.s_[:, rng.integers(0, 3, 2000)])
    np.testing.assert_array_equal(np.sum(along, axis=1), 2000)


def test_functions_name_only_numpy_and_each_other() -> None:
    """The emitter copies their sources: another global name would be missing in the module."""
    allowed = {name for name in vars(runtime) if name.startswith("_")} | {"np"}
    for name, function in vars(runtime).items():
        if inspect.isfunction(function) and name.startswith("_"):
            taken = set(function.__code__.co_names) & set(vars(runtime))
            assert taken <= allowed, name


_SHAPES = [
    (0, 3),
    (3, 0),
    (1, 5),
    (5, 1),
    (3, 12),
    (70, 12),
    (70, 13),
    (2, 700),
    (70, 700),
    (2, 0, 3),
    (4, 50, 7),
    (9,),
]


@pytest.mark.parametrize("shape", _SHAPES, ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_and_extrema_are_numpys(shape: tuple[int, ...], keepdims: bool, dtype: str) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    for axis in range(len(shape)):
        views = (x, x[::-1], np.asfortranarray(x), np.broadcast_to(x[:1], shape))
        for given in views:
            total = runtime._sum(given, axis, keepdims)
            expected = given.sum(axis=axis, keepdims=keepdims)
            assert total.dtype == dtype and total.shape == expected.shape
            bound = np.finfo(dtype).eps * shape[axis] * np.abs(given).sum(axis=axis, keepdims=keepdims)
            assert (np.abs(total - expected) <= bound).all()
            if shape[axis]:
                for ufunc in (np.maximum, np.minimum):
                    found = runtime._extremum(ufunc, given, axis, keepdims)
                    assert np.array_equal(found, ufunc.reduce(given, axis=axis, keepdims=keepdims))
                    assert found.dtype == dtype


@pytest.mark.parametrize("length", [3, 20])
def test_sums_and_extrema_of_what_is_not_finite(length: int) -> None:
    x = np.ones((100, length))
    x[3, 1], x[5, :2], x[6, 2] = np.inf, (np.inf, -np.inf), np.nan
    for axis in (0, 1):
        with np.errstate(invalid="ignore"):
            assert np.array_equal(runtime._sum(x, axis), x.sum(axis=axis), equal_nan=True)
        assert np.array_equal(runtime._extremum(np.maximum, x, axis), x.max(axis=axis), equal_nan=True)


def test_a_sum_over_rows_into_an_array() -> None:
    x, out = np.arange(12.0).reshape(4, 3), np.empty(3)
    assert runtime._sum(x, axis=0, out=out) is out and out.tolist() == [18.0, 22.0, 26.0]
    out = np.empty(100)
    x = np.ones((100, 3))
    assert runtime._sum(x, axis=1, out=out) is out and (out == 3.0).all()


def test_labels_are_reduced_as_integers() -> None:
    x = np.arange(300).reshape(100, 3)
    found = runtime._extremum(np.minimum, x, 1)
    assert found.dtype == x.dtype and found.tolist() == [*range(0, 300, 3)]
