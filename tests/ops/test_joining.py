"""Concatenate, stack and split: symbolic sizes, conditions, gradients, refusals; counting and random numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from graphc.errors import GraphcError
from graphc.op import OPS, Condition
from graphc.size import named_size
from graphc.value import Value
from tests.apply import conditions_of, gradients_of, tensor, text_of, type_of, value_of

N = named_size("N")


def _section(index: int, **attrs: object) -> Callable[..., Value]:
    return lambda x: OPS["item"](OPS["split"](x, **attrs), index=index)


def test_symbolic_sizes_add_up() -> None:
    joined = lambda x, y: OPS["concatenate"](x, y)  # noqa: E731
    assert type_of(joined, tensor("N", 3), tensor("M", 3)) == "float64[M + N, 3]"
    x, y = np.ones((2, 3)), np.ones((4, 3))
    found = gradients_of(joined, x, y, types=[tensor("N", 3), tensor("M", 3)])
    assert [g.shape for g in found] == [(2, 3), (4, 3)]


def test_split_of_a_named_size() -> None:
    assert type_of(_section(1, sections=2), tensor("N", 3)) == "float64[N//2, 3]"
    assert conditions_of(_section(1, sections=2), tensor("N", 3)) == [Condition(N, "divisible_by", 2)]
    (gradient,) = gradients_of(_section(1, sections=2), np.ones((4, 3)), types=[tensor("N", 3)])
    np.testing.assert_array_equal(gradient, [[0] * 3] * 2 + [[1] * 3] * 2)
    assert type_of(_section(1, sections=(2,)), tensor("N")) == "float64[N - 2]"
    assert type_of(_section(0, sections=(-1,)), tensor("N")) == "float64[N - 1]"


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x, y: OPS["concatenate"](x, y), "np.concatenate([a, b])"),
        (lambda x, y: OPS["concatenate"](x, y, axis=1), "np.concatenate([a, b], axis=1)"),
        (lambda x, y: OPS["concatenate"](x, y > 0), "np.concatenate([a, b > 0.0], dtype=float:)"),
        (lambda x, y: OPS["stack"](x, y, axis=-1), "np.stack([a, b], axis=2)"),
        (lambda x, y: _section(0, sections=3, axis=1)(x), "np.split(a, 3, axis=1)[0]"),
    ],
)
def test_text(function: Callable[..., Value], expected: str) -> None:
    assert text_of(function, tensor(2, 3), tensor(2, 3)) == expected


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x, y: OPS["concatenate"](x, y), "concatenate needs equal shapes but for axis 0, got 2×3 and 2×4"),
        (lambda x, y: OPS["stack"](x, y), "stack needs equal shapes, got 2×3 and 2×4"),
        (lambda x, y: OPS["concatenate"](x, y, axis=2), "there is no axis 2"),
        (lambda x, y: OPS["split"](x, sections=2, axis=1), "split needs an axis that 2 divides, got 3"),
        (lambda x, y: OPS["split"](x, sections=0), "split needs a number of sections or their bounds, got 0"),
        (lambda x, y: OPS["split"](x, sections=(3, 1), axis=1), "split needs bounds in order within 3"),
    ],
)
def test_refusals(function: Callable[..., Value], message: str) -> None:
    with pytest.raises(GraphcError, match=f"GC203.*{message}"):
        type_of(function, tensor(2, 3), tensor(2, 4))


@pytest.mark.parametrize("name", ["random_uniform", "random_normal"])
def test_random_numbers_depend_on_seed_and_site(name: str) -> None:
    draws = {
        (seed, site): value_of(lambda s, k=site: OPS[name](s, shape=(50,), site=k), seed).tolist()
        for seed in (0, 1)
        for site in (0, 1)
    }
    assert len({str(draw) for draw in draws.values()}) == 4
    again = value_of(lambda s: OPS[name](s, shape=(50,), site=1), 1)
    assert again.tolist() == draws[1, 1]
    assert value_of(lambda s: OPS[name](s, shape=(2, 3), site=0), 1, dtype="float32").dtype == "float32"


def test_seed_is_an_integer_scalar() -> None:
    with pytest.raises(GraphcError, match=r"GC204.*a seed is an integer scalar, got float64\[\]"):
        type_of(lambda s: OPS["random_uniform"](s, shape=(), site=0), tensor())
