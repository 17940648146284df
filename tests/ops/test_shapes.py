"""Transpose, reshape, broadcast, axes of size 1, flip and pad: symbolic sizes, conditions, texts, refusals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from graphc.errors import GraphcError
from graphc.op import OPS, Condition
from graphc.size import named_size
from graphc.tensor_type import TensorType
from graphc.value import Value
from tests.apply import conditions_of, gradients_of, tensor, text_of, type_of, value_of

N, M = named_size("N"), named_size("M")


@pytest.mark.parametrize(
    ("type", "shape", "expected"),
    [
        (tensor("N", 4), (-1,), "float64[4*N]"),
        (tensor("N", 4), (N, 2, 2), "float64[N, 2, 2]"),
        (tensor("N", 8, 8), (N, -1), "float64[N, 64]"),
        (tensor("N", "M"), (M, -1), "float64[M, N]"),
        (tensor("N", 6), (-1, 4), "float64[6*N//4, 4]"),
        (tensor("N"), (4, -1), "float64[4, N//4]"),
        (tensor(0, 4), (-1, 4), "float64[0, 4]"),
    ],
)
def test_reshape(type: TensorType, shape: tuple[object, ...], expected: str) -> None:
    assert type_of(lambda x: OPS["reshape"](x, shape=shape), type).replace("(6*N)", "6*N") == expected


def test_reshape_asks_for_divisibility_and_comes_back() -> None:
    def folded(x: Value) -> Value:
        return OPS["reshape"](x, shape=(-1, 4)) * 2

    assert conditions_of(folded, tensor("N")) == [Condition(N, "divisible_by", 4)]
    assert (
        conditions_of(lambda x: OPS["reshape"](folded(x), shape=(N,)), tensor("N"))
        == [Condition(N, "divisible_by", 4)] * 2
    )
    (gradient,) = gradients_of(folded, np.ones(8), types=[tensor("N")])
    np.testing.assert_array_equal(gradient, np.full(8, 2.0))


@pytest.mark.parametrize(
    ("type", "shape", "message"),
    [
        (tensor(64), (8, 9), "reshape keeps the number of elements, got 64 for the shape .8, 9., which has 72"),
        (tensor(10), (-1, 4), "cannot divide 10 elements into rows of 4"),
        (tensor("N", 4), (2, 2), r"got 4\*N for the shape .2, 2., which has 4"),
        (tensor("N"), (M,), "got N for the shape .M,., which has M"),
        (tensor("N"), (M, -1), "cannot divide N elements into rows of M"),
        (tensor(4), (-1, -1), "one size marked -1"),
        (tensor(0, 3), (0, -1), "beside a size of 0"),
        (tensor(4), ("four",), "needs a shape of sizes, got 'four'"),
    ],
)
def test_reshape_refuses(type: TensorType, shape: tuple[object, ...], message: str) -> None:
    with pytest.raises(GraphcError, match=f"GC203.*{message}"):
        type_of(lambda x: OPS["reshape"](x, shape=shape), type)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: OPS["transpose"](x), "a.T"),
        (lambda x: OPS["reshape"](x, shape=(-1,)), "np.reshape(a, 3 * N)"),
        (lambda x: OPS["broadcast_to"](x, shape=(2, N, 3)), "np.broadcast_to(a, (2, N, 3))"),
        (lambda x: OPS["broadcast_to"](x.builder.constant(1.0), shape=x.shape), "np.ones((N, 3), dtype=float:)"),
        (lambda x: OPS["broadcast_to"](x.builder.constant(0.0), shape=(N,)), "np.zeros(N, dtype=float:)"),
        (lambda x: OPS["broadcast_to"](x.builder.constant(-0.0), shape=(N,)), "np.full(N, -0.0, dtype=float:)"),
        (lambda x: OPS["expand_dims"](x, axis=1), "a[:, None]"),
        (lambda x: OPS["expand_dims"](x, axis=-1), "a[..., None]"),
        (lambda x: OPS["expand_dims"](x, axis=0), "a[None]"),
        (lambda x: OPS["flip"](x), "np.flip(a)"),
        (lambda x: OPS["flip"](x, axis=0), "np.flip(a, axis=0)"),
        (lambda x: OPS["pad"](x, pad_width=1), "np.pad(a, 1)"),
        (lambda x: OPS["pad"](x, pad_width=((0, 1), (2, 0))), "np.pad(a, ((0, 1), (2, 0)))"),
        (lambda x: OPS["squeeze"](x), "np.squeeze(a, axis=())"),
    ],
)
def test_text(function: Callable[..., Value], expected: str) -> None:
    assert text_of(function, tensor("N", 3)) == expected


def test_transpose_of_matrices_in_a_batch() -> None:
    assert text_of(lambda x: OPS["transpose"](x, axes=(0, 2, 1)), tensor(2, 3, 4)) == "np.swapaxes(a, -2, -1)"
    assert text_of(lambda x: OPS["transpose"](x, axes=(2, 0, 1)), tensor(2, 3, 4)) == "np.transpose(a, (2, 0, 1))"


@pytest.mark.parametrize("width", [1, (1, 2), ((1, 2),), ((1, 2), (0, 3))])
def test_pad_widths_are_numpy_s(width: object) -> None:
    x = np.arange(6.0).reshape(2, 3)
    found = value_of(lambda a: OPS["pad"](a, pad_width=width, constant_values=7), x)
    np.testing.assert_array_equal(found, np.pad(x, width, constant_values=7))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: OPS["transpose"](x, axes=(0, 0)), "GC203.*transpose needs each of 2 axes once"),
        (lambda x: OPS["broadcast_to"](x, shape=(3, 3)), "GC202.*shape N×3 does not broadcast to 3×3"),
        (lambda x: OPS["broadcast_to"](x, shape=(N,)), "GC202"),
        (lambda x: OPS["squeeze"](x, axis=0), "GC203.*squeeze needs an axis of size 1, got N on axis 0"),
        (lambda x: OPS["expand_dims"](x, axis=4), "GC203.*there is no axis 4"),
        (lambda x: OPS["pad"](x, pad_width=(1, 2, 3)), "GC203.*pad needs"),
        (lambda x: OPS["pad"](x, pad_width=-1), "GC203.*pad needs"),
    ],
)
def test_refusals(function: Callable[..., Value], message: str) -> None:
    with pytest.raises(GraphcError, match=message):
        type_of(function, tensor("N", 3))
