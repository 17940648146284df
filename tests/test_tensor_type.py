"""Types: promotion and broadcasting as NumPy's on ints, and never a guess on names."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphc.errors import TypeRuleError
from graphc.size import Size, named_size
from graphc.tensor_type import DTYPES, DType, TensorType, TupleType, broadcast_shapes, promote, shape_text

N, M = named_size("N"), named_size("M")
SHAPES = st.lists(st.lists(st.sampled_from([0, 1, 2, 3]), max_size=3).map(tuple), max_size=3)


@given(shapes=SHAPES)
def test_broadcasting_of_ints_is_numpy_s(shapes: list[tuple[int, ...]]) -> None:
    try:
        expected = np.broadcast_shapes(*shapes)
    except ValueError:
        with pytest.raises(TypeRuleError):
            broadcast_shapes(shapes)
    else:
        assert broadcast_shapes(shapes) == expected


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(N, 1), (1, M)], (N, M)),
        ([(N, 3), (3,)], (N, 3)),
        ([(), (N,)], (N,)),
        ([(N + 1,), (1 + N,)], (N + 1,)),
        ([(1,), (N,)], (N,)),
    ],
)
def test_named_sizes_stretch_ones(shapes: list[tuple[Size, ...]], expected: tuple[Size, ...]) -> None:
    assert broadcast_shapes(shapes) == expected


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(N,), (M,)], "shapes N and M do not broadcast: axis -1 is N and M"),
        ([(N, 3), (N, 4)], "shapes N×3 and N×4 do not broadcast: axis -1 is 3 and 4"),
        ([(3,), (N,)], "axis -1 is 3 and N"),
        ([(1, 2), (3, 1), (4, 2)], "shapes 3×1 and 4×2 do not broadcast: axis -2 is 3 and 4"),
    ],
)
def test_broadcasting_refuses(shapes: list[tuple[Size, ...]], message: str) -> None:
    with pytest.raises(TypeRuleError) as caught:
        broadcast_shapes(shapes)
    assert caught.value.code == "GC202"
    assert message in caught.value.message


@pytest.mark.parametrize(("left", "right"), list(product(DTYPES, DTYPES)))
def test_promotion_is_symmetric_and_a_float_beats_every_integer(left: DType, right: DType) -> None:
    found = promote([left, right])
    assert found == promote([right, left])
    if left == right or not {left, right} & {"float32"}:
        assert found == np.promote_types(left, right)
    assert not (found == "float64" and "float64" not in (left, right))


def test_texts_and_facts() -> None:
    type = TensorType("float32", (N, 2))
    assert str(type) == "float32[N, 2]"
    assert (type.ndim, type.size, type.is_float, type.is_int) == (2, 2 * N, True, False)
    assert not TensorType("bool").is_int
    assert str(TupleType((type, TensorType("int64")))) == "(float32[N, 2], int64[])"
    assert [shape_text(shape) for shape in ((), (3,), (N, 3), (N + 1, 2))] == ["scalar", "3", "N×3", "(N + 1)×2"]
