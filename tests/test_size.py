"""Sizes: the normal form is a ring, quotients are exact or floors, comparisons hold for every value of the names."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from graphc.size import Size, at_least, divide, exact_quotient, named_size, never_equal, size_names, substitute

N, M = named_size("N"), named_size("M")


def _sizes() -> st.SearchStrategy[Size]:
    leaves = st.integers(0, 6) | st.sampled_from([N, M, N // 2])
    return st.recursive(
        leaves, lambda s: st.builds(lambda a, b, k: (a + b, a * b, a - b)[k], s, s, st.integers(0, 2)), max_leaves=6
    )


VALUES = st.fixed_dictionaries({"N": st.integers(0, 9), "M": st.integers(0, 9)})


@given(a=_sizes(), b=_sizes(), c=_sizes())
def test_equal_sizes_have_equal_forms(a: Size, b: Size, c: Size) -> None:
    assert a + b == b + a
    assert a * b == b * a
    assert (a + b) * c == a * c + b * c
    assert a - a == 0
    assert hash(a + b) == hash(b + a)


@given(a=_sizes(), b=_sizes(), values=VALUES)
def test_arithmetic_is_that_of_the_values(a: Size, b: Size, values: dict[str, int]) -> None:
    left, right = substitute(a, values), substitute(b, values)
    assert isinstance(left, int) and isinstance(right, int)
    assert substitute(a + b, values) == left + right
    assert substitute(a * b, values) == left * right
    assert substitute(a - b, values) == left - right
    assume(right != 0 and b != 0)
    assert substitute(divide(a, b), values) == left // right
    exact = exact_quotient(a, b)
    assert exact is None or substitute(exact, values) * right == left


@given(size=_sizes(), bound=st.integers(-3, 6), values=VALUES)
def test_comparisons_hold_for_every_value(size: Size, bound: int, values: dict[str, int]) -> None:
    found, value = at_least(size, bound), substitute(size, values)
    assert isinstance(value, int)
    assert found is None or found == (value >= bound)
    assert not (never_equal(size, bound) and value == bound)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (N + 1, "N + 1"),
        (N - 1, "N - 1"),
        (1 - N, "-N + 1"),
        (2 * N * N + M, "2*N**2 + M"),
        (N // 2, "N//2"),
        ((N + 1) // 2 * 2, "2*((N + 1)//2)"),
        (N % 2, "-2*(N//2) + N"),
    ],
)
def test_text(size: Size, text: str) -> None:
    assert str(size) == text


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [
        (6 * N, 3, 2 * N),
        (N * M, M, N),
        (N * N + 2 * N + 1, N + 1, N + 1),
        (N, 2, None),
        (N, M, None),
        (0 * N, M, 0),
        (12, 4, 3),
        (N * M + N, N, M + 1),
    ],
)
def test_exact_quotients(numerator: Size, denominator: Size, expected: Size | None) -> None:
    assert exact_quotient(numerator, denominator) == expected


@pytest.mark.parametrize("divided", [lambda: N // 0, lambda: 4 // (N - N), lambda: exact_quotient(3, 0)])
def test_division_by_zero(divided: Callable[[], object]) -> None:
    with pytest.raises(ZeroDivisionError):
        divided()


def test_names_are_sorted_and_reach_into_quotients() -> None:
    assert size_names((M + N) // 2 * N) == ("M", "N")
    assert size_names(3) == ()
    assert substitute(N // 2 + M, {"N": 5}) == M + 2


def test_different_names_are_never_known_to_be_equal_or_different() -> None:
    assert N != M
    assert not never_equal(N, M)
    assert never_equal(N + 1, N)
    assert at_least(N, 0) is True
    assert at_least(N, 1) is None
    assert at_least(-1 - N, 0) is False
