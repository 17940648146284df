"""The scientific examples: values and gradients are those of loops over plain numbers, and what they are for works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

import graphc
from tests.scientific import Case, cases, factor

FOLDER = Path(__file__).parents[1] / "examples"
CASES = cases()
# NumPy computes both branches of a where; the rotation by no angle divides by it in the branch not taken.
quiet = pytest.mark.filterwarnings("ignore:.* encountered in:RuntimeWarning")


def compiled(name: str) -> graphc.Model:
    return graphc.compile(FOLDER / f"{name}.gc")


@quiet
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_those_of_loops(name: str, seed: int) -> None:
    case = cases(seed)[name]
    value, gradients = compiled(name).value_and_grad(case.params, **case.inputs)
    assert value == pytest.approx(case.loss(case.params).real, rel=1e-12)
    for variable, expected in case.gradient().items():
        np.testing.assert_allclose(gradients[variable], expected, rtol=1e-10, atol=1e-12 * np.max(np.abs(expected)))


@quiet
@pytest.mark.parametrize("name", CASES)
def test_the_gradient_is_computed_in_float32_too(name: str) -> None:
    case = CASES[name]
    params, inputs = (
        {key: value.astype("float32") if value.dtype == "float64" else value for key, value in given.items()}
        for given in (case.params, case.inputs)
    )
    value, gradients = compiled(name).value_and_grad(params, **inputs)
    assert value.dtype == "float32" and value == pytest.approx(case.loss(case.params).real, rel=1e-4)
    for variable, expected in case.gradient().items():
        assert gradients[variable].dtype == "float32"
        np.testing.assert_allclose(gradients[variable], expected, rtol=1e-3, atol=1e-4 * np.max(np.abs(expected)))


def test_the_mixture_has_the_density_of_its_gaussians() -> None:
    case = CASES["gaussian_mixture"]
    alphas, means, icf = case.params.values()
    weights = np.exp(alphas) / np.sum(np.exp(alphas))
    density = sum(
        weight * multivariate_normal(mean, np.linalg.inv(q.T @ q)).pdf(case.inputs["x"])
        for weight, mean, q in zip(weights, means, (factor(row, 4) for row in icf), strict=True)
    )
    outputs, _ = compiled("gaussian_mixture").forward(case.params, **case.inputs)
    assert outputs.log_likelihood == pytest.approx(np.sum(np.log(density)), rel=1e-12)
    assert outputs.loss == outputs.penalty - outputs.log_likelihood


def test_the_mixture_is_finite_far_from_its_means() -> None:
    case = CASES["gaussian_mixture"]
    value, gradients = compiled("gaussian_mixture").value_and_grad(
        case.params, **{**case.inputs, "x": np.full((2, 4), 1e5)}
    )
    assert np.isfinite(value) and all(np.all(np.isfinite(gradient)) for gradient in gradients.values())


@quiet
def test_a_camera_that_is_not_turned_has_its_second_derivatives_too() -> None:
    case = CASES["bundle_adjustment"]
    direction = {"cameras": np.zeros((3, 11)), "points": np.zeros((4, 3)), "weights": np.zeros(7)}
    direction["cameras"][0, :3] = [0.3, -1, 0.5]
    found = graphc.hvp(compiled("bundle_adjustment"))(
        case.params, **case.inputs, **{f"{name}_dot": value for name, value in direction.items()}
    )
    step = 1e-4
    ahead, behind = (
        Case(case.name, {n: v + sign * step * direction[n] for n, v in case.params.items()}, case.inputs, case.loops)
        for sign in (1, -1)
    )
    forward, backward = ahead.gradient(), behind.gradient()
    for name in case.params:
        expected = (forward[name] - backward[name]) / (2 * step)
        np.testing.assert_allclose(found[name], expected, rtol=1e-6, atol=1e-6 * np.max(np.abs(expected)))


@pytest.mark.parametrize(("name", "index", "expected"), [("camera", 3, "0 to 2"), ("point", -1, "0 to 3")])
def test_an_observation_of_nothing_is_an_error(name: str, index: int, expected: str) -> None:
    case = CASES["bundle_adjustment"]
    wrong = {**case.inputs, name: np.full(7, index)}
    with pytest.raises(ValueError, match=rf"{name} holds {index}, expected {expected}  \[bundle_adjustment.gc:\d+\]"):
        compiled("bundle_adjustment").value_and_grad(case.params, **wrong)


def test_one_product_with_ones_is_the_hessian_of_k_means() -> None:
    centres, points = CASES["k_means"].params["centres"], CASES["k_means"].inputs["points"]
    model = compiled("k_means")
    diagonal = graphc.hvp(model)({"centres": centres}, points=points, centres_dot=np.ones_like(centres))
    hessian = graphc.hessian(model)({"centres": centres}, points=points)
    nearest = np.argmin(np.sum((points[:, None] - centres) ** 2, axis=2), axis=1)
    expected = np.repeat(2.0 * np.bincount(nearest, minlength=len(centres))[:, None], 3, axis=1)
    np.testing.assert_array_equal(diagonal, expected)
    np.testing.assert_array_equal(hessian.reshape(12, 12), np.diag(expected.ravel()))


def test_the_network_learns_the_heat_equation() -> None:
    """From a sine, whose height decays by exp(-κ π² t)."""
    module = graphc.compile(FOLDER / "physics_informed.gc", with_=["flat"]).module
    rng = np.random.default_rng(0)
    x, t, ends, start = rng.random(200), rng.random(200), rng.random(30), np.linspace(0, 1, 30)
    inputs = (x, t, ends, start, np.sin(np.pi * start))
    found = minimize(
        module.value_and_grad_flat,
        module.pack(module.init_params(0)),
        args=inputs,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 400},
    )
    params = module.unpack(found.x)
    hidden = np.tanh(x[:, None] * params["a"] + t[:, None] * params["b"] + params["c"])
    np.testing.assert_allclose(hidden @ params["v"], np.exp(-0.1 * np.pi**2 * t) * np.sin(np.pi * x), atol=0.03)
