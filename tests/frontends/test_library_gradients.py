"""The library's functions with gradients of their own: the value to the bit, and the gradient."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx

# Points where arithmetic with the value would show.
X = np.array([0.1, -1e-300, 0.0, -0.0, 1e100, np.inf, 7.25])
SEED = np.array([3.0, -3.0, 0.5, -0.25, 1e3, 0.0, -1e200])


def pulled(text: str, **inputs: object) -> tuple[np.ndarray, np.ndarray]:
    """Value and cotangent of x of an expression, for the cotangent SEED."""
    declared = "".join(f"{name}: Input{'[N]' if np.ndim(value) else ''}\n" for name, value in inputs.items())
    found: tuple[np.ndarray, np.ndarray] = gx.vjp(f"{declared}y: Output = {text}", wrt="x")(**inputs, d_y=SEED)
    return found


GRADIENTS = {
    "clip_gradient(x, 1.0)": np.clip(SEED, -1, 1),
    "clip_gradient(x, limit)": np.clip(SEED, -2, 2),
    "scale_gradient(x, 0.5)": SEED * 0.5,
    "scale_gradient(x, factor)": SEED * 0.1,
    "scale_gradient(x, weights)": SEED * np.arange(7.0),
    "reverse_gradient(x)": -SEED,
    "straight_through(x, x)": SEED,
}


@pytest.mark.parametrize("text", GRADIENTS)
def test_the_value_is_the_same_to_the_bit_and_the_gradient_another(text: str) -> None:
    known: dict[str, object] = {"x": X, "limit": 2.0, "factor": 0.1, "weights": np.arange(7.0)}
    value, found = pulled(text, **{name: given for name, given in known.items() if name in text})
    assert value.tobytes() == X.tobytes()
    np.testing.assert_array_equal(found, GRADIENTS[text])


def test_straight_through_is_exactly_the_first_and_differentiates_the_second() -> None:
    value, found = pulled("straight_through(round(x), x ** 2)", x=X)
    assert value.tobytes() == np.round(X).tobytes()
    np.testing.assert_array_equal(found[:5], (2 * X * SEED)[:5])


def test_straight_through_does_not_round() -> None:
    text = "x: Input\nloss: Output = {}"
    exact = gx.compile(text.format("straight_through(0.1 * x, tanh(x))"))
    usual = gx.compile(text.format("tanh(x) + stop_gradient(0.1 * x - tanh(x))"))
    assert any(usual(x=x) != 0.1 * x for x in np.linspace(0, 9, 100))
    assert all(exact(x=x) == 0.1 * x for x in np.linspace(0, 9, 100))


def test_straight_through_of_a_mask_is_a_float() -> None:
    model = gx.compile("x: Input[N]\nloss: Output = sum(straight_through(x > 0, sigmoid(x)) * x)")
    value, grads = model.value_and_grad(x=np.array([-1.0, 2.0]))
    s = 1 / (1 + np.exp([1.0, -2.0]))
    assert value == 2.0
    np.testing.assert_allclose(grads["x"], [0, 1] + s * (1 - s) * [-1, 2], rtol=1e-14)


@pytest.mark.parametrize(("limit", "factor"), [(1.0, 0.2), (5.0, 1.0), (100.0, 1.0), (0.0, 0.0)])
def test_the_norm_of_a_gradient_is_bounded(limit: float, factor: float) -> None:
    model = gx.vjp(f"x: Input[N]\ny: Output = clip_gradient_norm(x, {limit})")
    value, found = model(x=np.ones(2), d_y=np.array([3.0, -4.0]))
    np.testing.assert_array_equal(value, [1, 1])
    np.testing.assert_allclose(found, np.array([3.0, -4.0]) * factor, rtol=1e-15)
    np.testing.assert_array_equal(model(x=np.ones(2), d_y=np.zeros(2))[1], [0, 0])
    assert model(x=np.ones(0), d_y=np.ones(0))[1].shape == (0,)


def test_shapes_of_straight_through_must_agree() -> None:
    with pytest.raises(gx.GraphcError) as caught:
        gx.compile("x: Input[N]\ny: Input\nloss: Output = sum(straight_through(x, y))", wrt=["y"])
    (found,) = caught.value.diagnostics
    assert f"{found.span} {found.code}" == "<model>:3:20 GC306"
    assert found.message == "expected a cotangent float64[] for soft, like soft itself, found one float64[N]"


def test_a_limit_gets_no_gradient() -> None:
    with pytest.raises(gx.GraphcError, match="no gradient of loss reaches limit"):
        gx.compile("x: Input\nlimit: Param\nloss: Output = clip_gradient(x, limit)")
