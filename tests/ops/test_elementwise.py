"""Elementwise ops at kinks and ties, with masks and Python numbers, and as text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import graphc
from graphc.errors import GraphcError
from graphc.op import OPS
from graphc.value import Value
from tests.apply import gradients_of, tensor, text_of, type_of, value_of

INF = float("inf")


@pytest.mark.parametrize(
    ("function", "point", "expected"),
    [
        (OPS["relu"], [0.0], [0]),
        (OPS["abs"], [0.0], [0]),
        (OPS["sign"], [0.0], [0]),
        (OPS["step"], [0.0], [0]),
        (OPS["floor"], [0.5], [0]),
        (OPS["maximum"], [1.0, 1.0], [0.5, 0.5]),
        (OPS["minimum"], [2.0, 2.0], [0.5, 0.5]),
        (OPS["minimum"], [1.0, 2.0], [1, 0]),
        (lambda x: OPS["maximum"](x, x), [1.0], [1]),
        (OPS["clip"], [0.0, 0.0, 1.0], [1, 0, 0]),
        (OPS["clip"], [1.0, 0.0, 1.0], [1, 0, 0]),
        (OPS["clip"], [-1.0, 0.0, 1.0], [0, 1, 0]),
        (OPS["clip"], [2.0, 0.0, 1.0], [0, 0, 1]),
        (OPS["clip"], [0.5, 1.0, 0.0], [0, 0, 1]),
        (OPS["sqrt"], [0.0], [INF]),
        (lambda x: x**2, [0.0], [0]),
        (lambda x: x**2.0, [-3.0], [-6]),
        (lambda x: x**0, [0.0], [0]),
        (lambda x: x**1, [0.0], [1]),
        (lambda x: x**0.5, [0.0], [INF]),
        (lambda x: x**3, [-2.0], [12]),
        (lambda x: x**-1, [-2.0], [-0.25]),
        (OPS["power"], [0.0, 2.0], [0, 0]),
        (OPS["power"], [0.0, 1.0], [1, 0]),
        (OPS["power"], [0.0, 0.0], [0, 0]),
        (OPS["power"], [INF, 0.0], [0, INF]),
        (lambda x: 2**x, [3.0], [8 * np.log(2)]),
        (OPS["atan2"], [0.0, 0.0], [0, 0]),
        (OPS["atan2"], [3e300, 4e300], [4 / 25e300, -3 / 25e300]),
        (OPS["mod"], [7.5, 2.0], [1, -3]),
        (OPS["hypot"], [0.0, 0.0], [0, 0]),
        (OPS["hypot"], [3e300, -4e300], [0.6, -0.8]),
        (OPS["logaddexp"], [-INF, -INF], [0.5, 0.5]),
        (OPS["logaddexp"], [INF, INF], [0.5, 0.5]),
        (OPS["logaddexp"], [0.0, -INF], [1, 0]),
        (OPS["xlogy"], [0.0, 0.0], [-INF, 0]),
        (OPS["xlogy"], [0.0, 2.0], [np.log(2), 0]),
        (OPS["xlogy"], [1.0, 0.0], [-INF, INF]),
        (OPS["xlog1py"], [0.0, -1.0], [-INF, 0]),
        (OPS["log1mexp"], [-800.0], [0]),
        (OPS["sech"], [800.0], [0]),
        (OPS["softplus"], [800.0], [1]),
        (OPS["sigmoid"], [-800.0], [0]),
    ],
)
def test_derivative_at_a_kink(function: Callable[..., Value], point: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose([float(g) for g in gradients_of(function, *point)], expected)


def test_negative_base_keeps_the_derivative_of_the_base() -> None:
    base, exponent = gradients_of(OPS["power"], -2.0, 3.0)
    assert base == 12
    assert np.isnan(exponent)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x > 0) * 2.0,
        lambda x: 0.5 * (x > 0) + 1,
        lambda x: 1 - (x > 0) + x,
        lambda x: OPS["where"](x > 0, 1.0, 0.0),
        lambda x: OPS["maximum"](x > 0, 0.5),
        lambda x: OPS["power"](x > 0, 2.0),
        lambda x: OPS["exp"](x > 0),
        lambda x: OPS["broadcast_to"](x.builder.constant(1.0), shape=x.shape),
        lambda x: OPS["expand_dims"](x.builder.constant(2.0), axis=0) * x,
        lambda x: OPS["stack"](x.builder.constant(2.0), OPS["sum"](x)),
        lambda x: OPS["concatenate"](x, OPS["argmax"](x, axis=0, keepdims=True)),
        lambda x: x @ OPS["cumsum"](x > 0),
        lambda x: OPS["mean"](x > 0) * x,
        lambda x: OPS["var"](OPS["cumsum"](x > 0)),
        lambda x: OPS["softmax"](OPS["cumsum"](x > 0)),
        lambda x: OPS["one_hot"](OPS["argmax"](x), depth=3),
    ],
)
def test_masks_and_numbers_do_not_widen_floats(function: Callable[..., Value], dtype: str) -> None:
    assert value_of(function, np.array([-1.0, 0.0, 2.0]), dtype=dtype).dtype == dtype


def test_scalar_choice_between_numbers_keeps_float32() -> None:
    assert value_of(lambda x: OPS["where"](x > 0, 1.0, 0.0), 2.0, dtype="float32").dtype == "float32"


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x, y: OPS["relu"](x), "np.maximum(a, 0.0)"),
        (lambda x, y: x**2, "a ** 2"),
        (lambda x, y: x**0.5, "a ** 0.5"),
        (lambda x, y: (x + y) * 2, "(a + b) * 2.0"),
        (lambda x, y: -(x**2), "-a ** 2"),
        (lambda x, y: (-x) ** 2, "(-a) ** 2"),
        (lambda x, y: x * (y > 0), "a * (b > 0.0)"),
        (lambda x, y: (y > 0) * 0.5, "(b > 0.0).astype(float:) * 0.5"),
        (lambda x, y: OPS["where"](x > y, x, 0), "np.where(a > b, a, 0.0)"),
        (lambda x, y: OPS["logical_and"](x > 0, y > 0), "(a > 0.0) & (b > 0.0)"),
    ],
)
def test_text(function: Callable[..., Value], expected: str) -> None:
    assert text_of(function, tensor(3), tensor(3)) == expected


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda i: i + 1, "int64[3]"),
        (lambda i: i / 2, "float64[3]"),
        (lambda i: OPS["floor_divide"](i, 2), "int64[3]"),
        (lambda i: OPS["relu"](i), "float64[3]"),
        (lambda i: i > 1, "bool[3]"),
        (lambda i: (i > 1) + (i > 2), "int64[3]"),
        (lambda i: i * 0.5, "float64[3]"),
        (lambda i: OPS["abs"](i), "int64[3]"),
    ],
)
def test_types_of_integers(function: Callable[..., Value], expected: str) -> None:
    assert type_of(function, tensor(3, dtype="int64")) == expected


def test_refusals() -> None:
    with pytest.raises(GraphcError, match=r"GC204.*logical_not needs a bool operand, got float64\[3\]"):
        type_of(OPS["logical_not"], tensor(3))
    with pytest.raises(GraphcError, match=r"GC202.*shapes N×3 and M×3 do not broadcast: axis -2 is N and M"):
        type_of(OPS["add"], tensor("N", 3), tensor("M", 3))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("x", [np.inf, -np.inf, 0.0, 3.0])
def test_logaddexp_of_equal_operands(x: float) -> None:
    """No warning at equal infinities; of equal numbers the second derivative is a quarter."""
    assert [*graphc.compile("logaddexp(x, y)").value_and_grad(x=x, y=x)[1].values()] == [0.5, 0.5]
    if np.isfinite(x):
        found = graphc.hessian("v: Input[2]\nf: Output = logaddexp(v[0], v[1])")(v=[x, x])
        np.testing.assert_allclose(found, [[0.25, -0.25], [-0.25, 0.25]])
