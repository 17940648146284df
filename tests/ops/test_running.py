"""Running products and linear recurrences: values, and derivatives where elements are zero."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc.op import OPS
from tests.apply import gradients_of, value_of


def _jacobian_of_cumprod(x: np.ndarray) -> np.ndarray:
    """By its definition: the product of the others."""
    n = len(x)
    return np.array([[np.prod(np.delete(x[: k + 1], i)) if i <= k else 0.0 for i in range(n)] for k in range(n)])


@pytest.mark.parametrize("x", [[2.0, 3.0, 4.0], [2.0, 0.0, 4.0, 5.0], [0.0, 0.0, 3.0], [0.0], []])
def test_cumprod_and_its_gradient(x: list[float]) -> None:
    array = np.array(x)
    np.testing.assert_array_equal(value_of(lambda a: OPS["cumprod"](a), array), np.cumprod(array))
    (found,) = gradients_of(lambda a: OPS["cumprod"](a), array)
    np.testing.assert_allclose(found, _jacobian_of_cumprod(array).sum(0) if x else array)


def test_second_derivative_of_cumprod_where_an_element_is_zero() -> None:
    """Of the last product a b c the mixed derivative by a and c is b, by a and b it is c."""
    model = graphc.compile("v: Input[3]\nslope = grad(cumprod(v)[2], v)\nf: Output = slope[0]")
    value, gradients = model.value_and_grad(v=np.array([2.0, 0.0, 5.0]))
    assert value == 0
    np.testing.assert_array_equal(gradients["v"], [0, 5, 0])


def test_linear_recurrence_does_not_read_the_first_factor() -> None:
    a, b = np.array([np.nan, 2.0, 0.0]), np.array([1.0, 1.0, 4.0])
    np.testing.assert_array_equal(value_of(lambda a, b: OPS["linear_recurrence"](a, b), a, b), [1, 3, 4])
    by_a, by_b = gradients_of(lambda a, b: OPS["linear_recurrence"](a, b), a, b)
    np.testing.assert_array_equal(by_b, [3, 1, 1])
    np.testing.assert_array_equal(by_a, [0, 1, 3])
