"""Indexing, gathering and their adjoints against NumPy; symbolic sizes with the conditions that they need."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphc.errors import GraphcError
from graphc.op import OPS
from graphc.size import at_least, named_size, substitute
from graphc.value import Value
from tests.apply import conditions_of, gradients_of, tensor, text_of, type_of, value_of

N = named_size("N")
BOUND = st.none() | st.integers(-6, 6)
SLICES = st.builds(slice, BOUND, BOUND, st.sampled_from([None, 1, 2, -1, -2, 5]))


def _index(items: object) -> Callable[..., Value]:
    return lambda x: OPS["index"](x, items=items)


@given(items=st.tuples(st.sampled_from([0, 1, -1, None, ...]), SLICES))
def test_basic_indexing_is_numpy_s(items: tuple[object, ...]) -> None:
    x = np.arange(20.0).reshape(2, 5, 2)
    expected = x[items]  # type: ignore[index]
    np.testing.assert_array_equal(value_of(_index(items), x), expected)
    weights = np.arange(1.0, 1 + expected.size).reshape(expected.shape)
    found = gradients_of(lambda a, w: OPS["index"](a, items=items) * w, x, weights)[0]
    adjoint = np.zeros_like(x)
    adjoint[items] = weights  # type: ignore[index]
    np.testing.assert_array_equal(found, adjoint)


@given(item=SLICES, size=st.integers(0, 9))
def test_slices_of_a_named_size_are_numpy_s_or_refused_at_entry(item: slice, size: int) -> None:
    conditions = conditions_of(_index(item), tensor("N"))
    assert all(c.relation == "at_least" for c in conditions)
    held = all(at_least(substitute(c.size, {"N": size}), c.number) for c in conditions)
    x = np.arange(float(size))
    if held:
        np.testing.assert_array_equal(value_of(_index(item), x, types=[tensor("N")]), x[item])
    bounds = [abs(bound) for bound in (item.start, item.stop) if bound is not None]
    assert held or size <= max(bounds) or not x[item].size, "a slice within the axis is refused"


@pytest.mark.parametrize(
    ("items", "type", "text", "conditions"),
    [
        (0, "float64[3]", "a[0]", [(N, 1)]),
        (-1, "float64[3]", "a[-1]", [(N, 1)]),
        (slice(1, None), "float64[N - 1, 3]", "a[1:]", [(N, 1)]),
        (slice(None, -1), "float64[N - 1, 3]", "a[:-1]", [(N, 1)]),
        (slice(None, 3), "float64[3, 3]", "a[:3]", [(N, 3)]),
        (slice(-2, None), "float64[2, 3]", "a[-2:]", [(N, 2)]),
        (slice(None, None, 2), "float64[(N + 1)//2, 3]", "a[::2]", []),
        (slice(None, None, -1), "float64[N, 3]", "a[::-1]", []),
        (slice(None), "float64[N, 3]", "a[:]", []),
        ((..., 0), "float64[N]", "a[:, 0]", []),
        ((None, slice(None)), "float64[1, N, 3]", "a[None]", []),
        ((slice(None), None), "float64[N, 1, 3]", "a[:, None]", []),
    ],
)
def test_symbolic_sizes(items: object, type: str, text: str, conditions: list[tuple[object, int]]) -> None:
    assert type_of(_index(items), tensor("N", 3)) == type
    assert text_of(_index(items), tensor("N", 3)) == text
    found = conditions_of(_index(items), tensor("N", 3))
    assert [(c.size, c.number) for c in found] == conditions


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (3, "index 3 is out of range for an axis of size 3"),
        (-4, "index -4 is out of range"),
        ((0, 0), "2 indices for a tensor with 1 axis"),
        ((..., ...), r"can hold one \.\.\."),
        (slice(None, None, 0), "the step of a slice is an integer other than 0"),
        (slice(0.5, None), "the bounds of a slice are integers"),
        (1.5, "an index is an integer, a slice"),
        (True, "an index is an integer, a slice"),
    ],
)
def test_refusals(items: object, message: str) -> None:
    with pytest.raises(GraphcError, match=f"GC203.*{message}"):
        type_of(_index(items), tensor(3))


@pytest.mark.parametrize(
    ("items", "numpy_items"),
    [
        (("tensor",), lambda i, j: (i,)),
        ((slice(None), "tensor"), lambda i, j: (slice(None), i)),
        (("tensor", "tensor"), lambda i, j: (i, j)),
        (("tensor", slice(None), "tensor"), lambda i, j: (i, slice(None), j)),
        ((0, slice(None), "tensor"), lambda i, j: (0, slice(None), i)),
        ((slice(1, None), 1, "tensor"), lambda i, j: (slice(1, None), 1, i)),
        ((..., "tensor"), lambda i, j: (..., i)),
        ((None, "tensor"), lambda i, j: (None, i)),
        (("tensor", None, "tensor"), lambda i, j: (i, None, j)),
        (("tensor", slice(None, None, -1)), lambda i, j: (i, slice(None, None, -1))),
    ],
)
def test_gather_is_numpy_s(items: tuple[object, ...], numpy_items: Callable[..., tuple[object, ...]]) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 5))
    i, j = np.array([[0, 2], [1, 1]]), np.array([1, 0])
    indices = [i, j][: items.count("tensor")]
    found = value_of(lambda a, *idx: OPS["gather"](a, *idx, items=items), x, *indices)
    expected = x[numpy_items(i, j)]  # type: ignore[index]
    np.testing.assert_array_equal(found, expected)
    adjoint = np.zeros_like(x)
    np.add.at(adjoint, numpy_items(i, j), 2.0)
    gradient = gradients_of(lambda a, *idx: OPS["gather"](a, *idx, items=items) * 2, x, *indices)[0]
    np.testing.assert_array_equal(gradient, adjoint)


def test_counting_index_makes_the_adjoint_an_assignment() -> None:
    def rows(x: Value, y: Value) -> Value:
        return OPS["gather"](x, x.builder.apply(OPS["arange"], (), {"stop": x.shape[0]}), y)

    types = tensor("N", 3), tensor("N", dtype="int64")
    assert text_of(rows, *types) == "a[np.arange(N), b]"
    x, y = np.zeros((2, 3)), np.array([2, 0])
    np.testing.assert_array_equal(gradients_of(rows, x, y, types=types)[0], [[0, 0, 1], [1, 0, 0]])


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (OPS["pick"], "a[np.arange(N), b]"),
        (lambda x, y: OPS["one_hot"](y, depth=10), "np.eye(10, dtype=float:)[b]"),
        (lambda x, y: OPS["gather"](x, y), "a[b]"),
        (
            lambda x, y: OPS["scatter_add"](x, y, items=("tensor",), shape=(5, 3)),
            "_scatter_add(a, (5, 3), b)",
        ),
    ],
)
def test_text(function: Callable[..., Value], expected: str) -> None:
    assert text_of(function, tensor("N", 3), tensor("N", dtype="int64")) == expected


def test_limits_say_where_indices_must_lie() -> None:
    x, i = tensor("N", 3), tensor("M", dtype="int64")
    assert OPS["gather"].limits is not None and OPS["pick"].limits is not None
    settled = OPS["gather"].normalize(x, i, items=(slice(None), "tensor"))  # type: ignore[misc]
    assert OPS["gather"].limits(x, i, **settled) == {1: 3}
    assert OPS["pick"].limits(x, i) == {1: 3}


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x, i: OPS["gather"](x, x > 0), "GC204.*an index is an integer tensor, got bool.*where keeps the shape"),
        (lambda x, i: OPS["gather"](x, x), "GC204.*an index is an integer tensor"),
        (lambda x, i: OPS["pick"](x, OPS["index"](i, items=slice(1, None))), "GC203.*pick needs an index for each row"),
        (lambda x, i: OPS["one_hot"](i, depth=-1), "GC203.*needs a size for depth"),
        (lambda x, i: OPS["gather"](x, i, OPS["index"](i, items=slice(2))), "GC202.*axis -1 is 4 and 2"),
    ],
)
def test_gather_refusals(function: Callable[..., Value], message: str) -> None:
    with pytest.raises(GraphcError, match=message):
        type_of(function, tensor(4, 3), tensor(4, dtype="int64"))
