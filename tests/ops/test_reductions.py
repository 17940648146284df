"""Reductions: zeros, ties and equal elements, empty axes, dtypes, texts and refusals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.special

from graphc.errors import GraphcError
from graphc.op import OPS, Condition
from graphc.size import named_size
from graphc.tensor_type import DType
from graphc.value import Value
from tests.apply import conditions_of, gradients_of, graph_of, tensor, text_of, type_of, value_of
from tests.evaluate import evaluate
from tests.ops.checks import directed, gradient

INF = float("inf")


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("prod", [2.0, 3.0, 4.0], [12, 8, 6]),
        ("prod", [0.0, 2.0, 3.0], [6, 0, 0]),
        ("prod", [0.0, 0.0, 3.0], [0, 0, 0]),
        ("max", [1.0, 2.0, 2.0], [0, 0.5, 0.5]),
        ("min", [1.0, 1.0, 2.0], [0.5, 0.5, 0]),
        ("max", [3.0, INF], [0, 1]),
        ("std", [2.0, 2.0, 2.0], [0, 0, 0]),
        ("var", [2.0, 2.0], [0, 0]),
        ("logsumexp", [1000.0, -INF], [1, 0]),
        ("logsumexp", [1e4, 1e4], [0.5, 0.5]),
    ],
)
def test_gradient_at_special_points(name: str, x: list[float], expected: list[float]) -> None:
    for dtype in ("float32", "float64"):
        (found,) = gradients_of(OPS[name], np.array(x), dtype=dtype)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert found.dtype == dtype


@pytest.mark.parametrize(
    ("x", "expected"), [([0.0, 2.0, 3.0], [3 + 2, 3, 2]), ([0.0, 0.0, 3.0], [3, 3, 0]), ([0.0, 0.0, 0.0], [0, 0, 0])]
)
def test_second_derivatives_of_products_with_zeros(x: list[float], expected: list[float]) -> None:
    graph = graph_of(OPS["prod"], [tensor(3)])
    slope = directed(gradient(graph, "y", ("a",))[0], ("a",))
    hessian, _ = gradient(slope, "slope", ("a",))
    values = {"a": np.array(x), "d_y": 1.0, "u_a": np.ones(3), "d_slope": 1.0}
    np.testing.assert_allclose(evaluate(hessian, values)["d_a"], expected)


@pytest.mark.parametrize(("name", "of_nothing"), [("sum", 0.0), ("prod", 1.0), ("logsumexp", -INF)])
def test_empty_axis(name: str, of_nothing: float) -> None:
    found = value_of(lambda x: OPS[name](x, axis=0), np.zeros((0, 3)))
    np.testing.assert_array_equal(found, [of_nothing] * 3)


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin"])
def test_extremum_needs_an_element(name: str) -> None:
    with pytest.raises(GraphcError, match=f"GC203.*{name} over axis 0, which is empty"):
        type_of(lambda x: OPS[name](x, axis=0), tensor(0, 3))
    found = conditions_of(lambda x: OPS[name](x, axis=0), tensor("N", "M"))
    assert found == [Condition(named_size("N"), "at_least", 1)]


@pytest.mark.parametrize(
    ("function", "dtype", "expected"),
    [
        (OPS["sum"], "bool", "int64[]"),
        (OPS["sum"], "float32", "float32[]"),
        (OPS["mean"], "bool", "float64[]"),
        (OPS["mean"], "int64", "float64[]"),
        (OPS["max"], "int64", "int64[]"),
        (OPS["argmax"], "float32", "int64[]"),
        (OPS["softmax"], "int64", "float64[3, 4]"),
    ],
)
def test_types(function: Callable[..., Value], dtype: str, expected: str) -> None:
    assert type_of(function, tensor(3, 4, dtype=dtype)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (OPS["sum"], "a.sum()"),
        (lambda x: OPS["sum"](x, axis=-1, keepdims=True), "_sum(a, axis=1, keepdims=True)"),
        (lambda x: OPS["sum"](x * x), "np.sum(a * a)"),
        (lambda x: OPS["sum"](OPS["expand_dims"](x, axis=0), axis=(0, 1)), "_sum(a[None].reshape(-1, 4), axis=0)"),
        (lambda x: OPS["sum"](x > 0, axis=0), "np.sum(a > 0.0, axis=0)"),
        (lambda x: OPS["max"](x, axis=1), "_extremum(np.maximum, a, axis=1)"),
        (lambda x: OPS["min"](x, axis=0), "a.min(axis=0)"),
        (lambda x: OPS["mean"](x, axis=0), "_sum(a, axis=0) / N"),
        (lambda x: OPS["mean"](x > 0), "np.mean(a > 0.0, dtype=float:)"),
        (lambda x: -(x / OPS["sum"](x)), "-(a / a.sum())"),
        (lambda x: OPS["std"](x, axis=0, ddof=1), "a.std(axis=0, ddof=1)"),
        (lambda x: OPS["argmax"](x, axis=1), "np.argmax(a, axis=1)"),
        (lambda x: OPS["cumsum"](x, axis=0), "np.cumsum(a, axis=0)"),
        (OPS["softmax"], "_softmax(a, axis=1)"),
        (OPS["logsumexp"], "_logsumexp(a, axis=(0, 1))"),
    ],
)
def test_text(function: Callable[..., Value], expected: str) -> None:
    assert text_of(function, tensor("N", 4)) == expected


@pytest.mark.parametrize(
    ("function", "size", "expected"),
    [
        (OPS["mean"], "N", "a.sum() / N"),
        (OPS["mean"], 4, "a.sum() / 4"),
        (lambda x: -OPS["mean"](x), "N", "-a.sum() / N"),
        (lambda x: OPS["mean"](OPS["index"](x, items=(slice(2, None),))), "N", "a[2:].mean()"),
        (lambda x: OPS["mean"](OPS["index"](x, items=(slice(2, None),))), 5, "a[2:].sum() / 3"),
        (lambda x: OPS["mean"](OPS["exp"](x)), "N", "np.mean(np.exp(a))"),
        (lambda x: OPS["mean"](x, keepdims=True), "N", "a.mean(keepdims=True)"),
        (lambda x: OPS["mean"](x, axis=()), "N", "a.mean(axis=())"),
    ],
)
def test_text_of_a_vector(function: Callable[..., Value], size: int | str, expected: str) -> None:
    assert text_of(function, tensor(size)) == expected


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: OPS["sum"](x, axis=2), "GC203.*there is no axis 2 in a tensor with 2 axes"),
        (lambda x: OPS["sum"](x, axis=(0, -2)), "GC203.*name an axis twice"),
        (lambda x: OPS["sum"](x, axis="rows"), "GC203.*an axis is an integer, got 'rows'"),
        (lambda x: OPS["sum"](x, axis="{a}"), "GC203.*an axis is an integer, got '.a.'"),
        (lambda x: OPS["cumsum"](x), "GC203.*cumsum of a tensor with 2 axes needs axis="),
        (lambda x: OPS["var"](x, ddof=0.5), "GC203.*ddof is an integer, got 0.5"),
    ],
)
def test_refusals(function: Callable[..., Value], message: str) -> None:
    with pytest.raises(GraphcError, match=message):
        type_of(function, tensor(3, 4))


@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax"])
@pytest.mark.parametrize(
    "x", [[1e4, -1e4, 0.0], [1e4, 1e4, 1e4], [-1e4, -1e4, -1e4], [0.0, -INF, 1.0], [1.0, 2.0, 3.0]]
)
def test_normalised_exponentials_never_overflow(name: str, x: list[float]) -> None:
    expected = getattr(scipy.special, name)(np.array(x))
    for dtype in ("float32", "float64"):
        with np.errstate(over="raise", invalid="raise"):
            found = value_of(lambda v: OPS[name](v, axis=0), np.array(x), dtype=dtype)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert found.dtype == dtype


def test_logsumexp_at_infinities() -> None:
    assert value_of(OPS["logsumexp"], np.array([-INF, -INF])) == -INF
    assert value_of(OPS["logsumexp"], np.array([INF, 0.0])) == INF


@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_do_not_touch_each_other(name: str, dtype: DType) -> None:
    huge = float(np.finfo(dtype).max) / 4
    rows = np.array([[1.0, 2.0, 3.0], [huge, huge, -huge], [-INF, -INF, -INF], [INF, 0.0, 1.0], [1.0, np.nan, 2.0]])

    def found(x: object) -> np.ndarray:
        with np.errstate(over="raise", invalid="ignore", divide="ignore"):
            return np.asarray(value_of(lambda v: OPS[name](v, axis=-1), x, dtype=dtype))

    together = found(rows)
    assert together.dtype == dtype
    for row, alone in zip(rows, together, strict=True):
        np.testing.assert_array_equal(found(row[None])[0], alone)
    largest = {"logsumexp": huge, "softmax": 0.5, "log_softmax": -np.log(2)}[name]
    np.testing.assert_allclose(np.ravel(together[1])[0], largest, rtol=1e-6)


def test_cross_entropy_gradient_of_huge_logits() -> None:
    logits = np.array([[1e4, -1e4, 0.0], [-1e4, 0.0, 1e4]])

    def loss(z: Value, labels: Value) -> Value:
        return OPS["neg"](OPS["mean"](OPS["pick"](OPS["log_softmax"](z), labels)))

    (found,) = gradients_of(loss, logits, np.array([1, 2]), dtype="float32")
    np.testing.assert_allclose(found, [[0.5, -0.5, 0], [0, 0, 0]])


def test_position_has_no_derivative() -> None:
    with pytest.raises(GraphcError, match=r"GC301.*argmax is not differentiable"):
        gradients_of(lambda x: OPS["argmax"](x) * 1.0, np.array([1.0, 2.0]))
