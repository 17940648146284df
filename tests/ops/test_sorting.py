"""sort, argsort, median and selection along an axis: ties, symbolic sizes, gradients through the selected places."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.errors import GraphcError
from graphc.op import OPS
from tests.apply import gradients_of, tensor, type_of, value_of
from tests.backends.modules import module_of


def test_ties_get_cotangents_in_the_order_of_the_elements() -> None:
    x = np.array([2.0, 1.0, 2.0, 1.0])
    weights = np.array([1.0, 2.0, 3.0, 4.0])
    (found,) = gradients_of(lambda a: OPS["sort"](a) * OPS["cumsum"](OPS["where"](a > 0, 1, 0)), x)
    assert found.tolist() == [weights[2], weights[0], weights[3], weights[1]]


@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_median_of_a_named_size(size: int) -> None:
    x = np.random.default_rng(size).permutation(np.arange(float(size)))
    assert value_of(OPS["median"], x, types=[tensor("N")]) == np.median(x)
    (found,) = gradients_of(OPS["median"], x, types=[tensor("N")])
    middle = np.isin(x, [(size - 1) // 2, size // 2])
    np.testing.assert_array_equal(found, middle / middle.sum())


def test_median_of_integers_and_of_ties() -> None:
    assert value_of(OPS["median"], np.array([1, 2, 4, 8]), dtype="float32") == 3
    (found,) = gradients_of(OPS["median"], np.array([1.0, 1.0, 1.0]))
    assert found.tolist() == [0, 1, 0]


def test_module_checks_no_index_that_argsort_made() -> None:
    m = module_of("x: Param[N, 5]\nloss: Output = sum(top_k(x, 2)[:, 1] * median(x, axis=1)) + sum(sort(x)[:, 0])")
    x = np.random.default_rng(0).normal(size=(3, 5))
    loss, gradients = m.value_and_grad({"x": x})
    ordered = np.sort(x)
    np.testing.assert_allclose(loss, np.sum(ordered[:, 3] * ordered[:, 2]) + ordered[:, 0].sum())
    weights = np.stack([np.ones(3), np.zeros(3), ordered[:, 3], ordered[:, 2], np.zeros(3)], axis=1)
    expected = np.zeros_like(x)
    np.put_along_axis(expected, np.argsort(x), weights, axis=1)
    np.testing.assert_allclose(gradients["x"], expected)


def test_refusals() -> None:
    with pytest.raises(GraphcError, match="median of no elements"):
        type_of(OPS["median"], tensor(0))
    with pytest.raises(GraphcError, match="needs equal shapes but for axis 1, got 3×4 and 2×4"):
        type_of(OPS["take_along_axis"], tensor(3, 4), tensor(2, 4, dtype="int64"))
    with pytest.raises(GraphcError, match="an index is an integer tensor"):
        type_of(OPS["take_along_axis"], tensor(3), tensor(3))
