"""Lists of integers as indices: what NumPy gives, with gradients; what is refused, and where."""

from __future__ import annotations

import numpy as np
import pytest

import graphc

X = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    "index",
    [
        *("[1, 0]", ":, [2, 0, 1]", ":, [[0, 1], [2, 0]], 1:", "[0, 1], [1, 2]", "..., [0, -1]", "[0, 1], :, [1, 2]"),
        *(":, None, [0]", "0, [0, 2]", "[0, 1], 0, [1, 2]", "None, ..., [-4, 3]", "[-1, -1]"),
    ],
)
def test_lists_index_as_in_numpy(index: str) -> None:
    model = graphc.compile(f"x: Input[2, 3, 4]\npart: Output = x[{index}]\nloss: Output = sum(sin(part))")
    np.testing.assert_array_equal(model(x=X)["part"], eval(f"x[{index}]", {"x": X}))
    assert model.check_grad(x=X).ok


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x: Input[2, 3]\nf: Output = x[:, [0, 3]]", "expected indices of an axis of size 3, found 3"),
        ("x: Input[2, 3]\nf: Output = x[..., [-4]]", "expected indices of an axis of size 3, found -4"),
        ("x: Input[N, 3]\nf: Output = x[[0, -1]]", "expected indices of at least 0, as the size N is free, found -1"),
        ("x: Input[2, 3]\nf: Output = x[[0.5]]", "expected integers in a list that is an index, found a list of 1"),
        ("x: Input[2, 3]\nf: Output = x[[[0], [0, 1]]]", "expected integers in a list that is an index, found a list"),
        ("x: Input[2, 3]\nf: Output = x[[True, False]]", "expected integers in a list that is an index, found a list"),
    ],
)
def test_other_lists_are_refused_at_their_place(text: str, message: str) -> None:
    with pytest.raises(graphc.GraphcError) as caught:
        graphc.compile(text)
    (found,) = caught.value.diagnostics
    assert (found.code, str(found.span)) == ("GC203", "<model>:2:15")
    assert found.message.startswith(message)


def test_a_free_size_is_checked_when_it_is_known() -> None:
    model = graphc.compile("x: Input[N, 3]\nf: Output = x[[0, 4]]", gradient=False)
    assert model(x=np.ones((5, 3))).shape == (2, 3)
    with pytest.raises(ValueError, match=r"x\[\[0, 4\]\] holds 4, expected 0 to 3  \[<model>:2\]"):
        model(x=np.ones((4, 3)))


def test_traced_python_takes_lists_too() -> None:
    @graphc.model
    def loss(x: graphc.f64[3, 4]) -> object:
        return graphc.sum(x[:, [2, 0]] ** 2)

    _, gradient = loss.value_and_grad(x=np.ones((3, 4)))
    np.testing.assert_array_equal(gradient["x"], [[2.0, 0.0, 2.0, 0.0]] * 3)
