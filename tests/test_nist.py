"""NIST's problems of nonlinear regression: SciPy finds the certified parameters with the generated Jacobian."""

from __future__ import annotations

import numpy as np
import pytest

from docs.nist_models import CANNOT, DATA, FORMULAS, METHODS, fit, module_of, read
from docs.nist_page import LEAST_DIGITS

CASES = [(name, start, method) for name in FORMULAS for start in (0, 1) for method in METHODS]


def test_every_dataset_is_there() -> None:
    assert sorted(path.stem for path in DATA.glob("*.dat")) == sorted(FORMULAS)
    assert {read(name).level for name in FORMULAS} == {"lower", "average", "higher"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "start", "method"), CASES, ids=lambda part: str(part))
def test_the_certified_parameters_are_found(name: str, start: int, method: str) -> None:
    found = fit(name, start, method)
    assert (round(found.digits) >= LEAST_DIGITS) != ((name, start, method) in CANNOT), found


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("name", FORMULAS)
def test_the_jacobian_is_that_of_complex_steps(name: str, start: int) -> None:
    """Whatever a method cannot do, it is not the Jacobian's doing (Squire & Trapp 1998)."""
    dataset = read(name)
    theta = dataset.starts[start]
    found = module_of(name).jacobian_flat(theta, *dataset.predictors.values(), dataset.y)
    columns = [_residuals(name, theta + 1e-30j * unit).imag / 1e-30 for unit in np.eye(len(theta))]
    expected = np.stack(columns, axis=1)
    assert np.all(np.abs(found - expected) <= 1e-11 * np.abs(expected).max(axis=0))


@pytest.mark.parametrize("name", FORMULAS)
def test_the_certified_parameters_are_a_minimum(name: str) -> None:
    dataset, module = read(name), module_of(name)
    data = (*dataset.predictors.values(), dataset.y)
    residuals = module.residuals_flat(dataset.certified, *data)
    jacobian = module.jacobian_flat(dataset.certified, *data)
    cosines = jacobian.T @ residuals / np.linalg.norm(jacobian, axis=0) / np.linalg.norm(residuals)
    # Lanczos1 has residuals of 1e-13, hardly above rounding.
    assert np.abs(cosines).max() < (1 if name == "Lanczos1" else 1e-4)


def _residuals(name: str, theta: np.ndarray) -> np.ndarray:
    """The formula in Python, for complex parameters."""
    dataset = read(name)
    functions = {"exp": np.exp, "sin": np.sin, "cos": np.cos, "atan": np.arctan, "pi": np.pi}
    params = {f"b{k}": value for k, value in enumerate(theta, 1)}
    found: np.ndarray = eval(FORMULAS[name], {**functions, **dataset.predictors, **params}) - dataset.y
    return found
