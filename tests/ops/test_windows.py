"""Windows and their adjoint: types and conditions on symbolic sizes, texts, and that one undoes the other's moves."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.op import OPS, Condition
from graphc.size import named_size
from graphc.tensor_type import TensorType
from tests.apply import conditions_of, gradients_of, tensor, text_of, type_of, value_of

N, K = named_size("N"), named_size("K")


@pytest.mark.parametrize(
    ("type", "attrs", "expected"),
    [
        (tensor(7), {"size": 3, "axis": 0}, "float64[5, 3]"),
        (tensor("N", 7), {"size": (3,), "axis": [1], "stride": 2}, "float64[N, 3, 3]"),
        (tensor("N", 4), {"size": 2, "axis": 0, "stride": 2}, "float64[N//2, 4, 2]"),
        (tensor("N"), {"size": 3, "axis": 0, "stride": 2}, "float64[(N - 1)//2, 3]"),
        (tensor("N"), {"size": 2, "axis": 0, "dilation": 3}, "float64[N - 3, 2]"),
        (tensor("N", 4), {"size": (K, 2), "axis": (0, 1)}, "float64[-K + N + 1, 3, K, 2]"),
        (tensor(4, 5, dtype="int64"), {"size": (1, 2), "axis": (1, 0)}, "int64[3, 5, 1, 2]"),
    ],
)
def test_type(type: TensorType, attrs: dict[str, object], expected: str) -> None:
    assert type_of(lambda x: OPS["windows"](x, **attrs), type) == expected


def test_conditions() -> None:
    assert conditions_of(lambda x: OPS["windows"](x, size=3, axis=0, dilation=2), tensor("N")) == [
        Condition(N, "at_least", 5)
    ]
    assert conditions_of(lambda x: OPS["windows"](x, size=K, axis=0), tensor("N")) == [
        Condition(K, "at_least", 1),
        Condition(N - K, "at_least", 0),
    ]
    assert conditions_of(lambda x: OPS["windows"](x, size=1, axis=1), tensor("N", 4)) == []


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({"size": 3, "axis": 1}, "_windows(a, (3,), axis=(1,))"),
        ({"size": (3, 2), "axis": (1, 2), "stride": 1}, "_windows(a, (3, 2), axis=(1, 2))"),
        ({"size": 2, "axis": (1, 2), "stride": (1, 2)}, "_windows(a, (2, 2), axis=(1, 2), stride=(1, 2))"),
        (
            {"size": 2, "axis": -1, "stride": 2, "dilation": 2},
            "_windows(a, (2,), axis=(2,), stride=(2,), dilation=(2,))",
        ),
    ],
)
def test_text(attrs: dict[str, object], expected: str) -> None:
    assert text_of(lambda x: OPS["windows"](x, **attrs), tensor("N", 8, 9)) == expected


def test_text_of_the_adjoint() -> None:
    found = text_of(lambda x: OPS["overlap_add"](x, shape=(N, 9), axis=1, stride=2), tensor("N", 4, 3))
    assert found == "_overlap_add(a, (N, 9), axis=(1,), stride=(2,))"


def test_values_and_counts() -> None:
    x = np.arange(7.0)
    np.testing.assert_array_equal(
        value_of(lambda a: OPS["windows"](a, size=2, axis=0, stride=2, dilation=3), x), [[0, 3], [2, 5]]
    )
    (gradient,) = gradients_of(lambda a: OPS["windows"](a, size=3, axis=0, stride=2), x)
    np.testing.assert_array_equal(gradient, [1, 1, 2, 1, 2, 1, 1])
    (gradient,) = gradients_of(lambda a: OPS["windows"](a, size=2, axis=0, stride=4), x)
    np.testing.assert_array_equal(gradient, [1, 1, 0, 0, 1, 1, 0])
    ones = np.ones((0, 3, 2))
    found = value_of(lambda a: OPS["overlap_add"](a, shape=(0, 4), axis=1), ones)
    assert found.shape == (0, 4)
