"""What is differentiated as one vector: there and back, and as scipy.optimize uses it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

import graphc
from graphc.extras import EXTRAS

SOFTMAX = """
X: Input[N, 4]
y: Input[N, int64]
W: Param[4, 3] = normal()
b: Param[3] = zeros()
loss: Output = mean(cross_entropy(X @ W + b, y)) + 0.01 * sum(W ** 2)
"""
LINE = """
t: Input[N]
u: Input[N]
slope: Param = zeros()
offset: Param = zeros()
loss: Output = sum((slope * t + offset - u) ** 2)
"""


def flat(text: str, **options: object) -> graphc.Model:
    return graphc.compile(text, with_=["flat"], **options)  # type: ignore[arg-type]


def softmax_data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(20, 4)), rng.integers(0, 3, 20)


def test_there_and_back_in_the_order_of_the_signature() -> None:
    module = flat(SOFTMAX).module
    params = module.init_params(1)
    theta = module.pack(dict(reversed(params.items())))
    np.testing.assert_array_equal(theta, np.concatenate([params["W"].ravel(), params["b"]]))
    back = module.unpack(theta)
    assert list(back) == ["W", "b"]
    for name, value in back.items():
        np.testing.assert_array_equal(value, params[name])
        assert not np.shares_memory(value, theta)
        assert value.flags.writeable


def test_value_and_gradient_are_those_of_value_and_grad() -> None:
    model, data = flat(SOFTMAX), softmax_data()
    module, params = model.module, model.init_params(1)
    loss, gradient = module.value_and_grad_flat(module.pack(params), *data)
    expected, grads = module.value_and_grad(params, *data)
    assert loss == expected
    np.testing.assert_array_equal(gradient, module.pack(grads))


@pytest.mark.parametrize("wrt", [["b"], ["b", "X"], ["X"]])
def test_some_of_the_parameters_and_inputs(wrt: list[str]) -> None:
    model, (X, y) = flat(SOFTMAX, wrt=wrt), softmax_data()
    module, params = model.module, model.init_params(1)
    _, grads = module.value_and_grad(params, X, y)
    given = ([params] if "b" in wrt else []) + ([X] if "X" in wrt else [])
    theta = module.pack(*given)
    _, gradient = module.value_and_grad_flat(theta, params, *([] if "X" in wrt else [X]), y)
    parts = [grads[name].ravel() for name in ("b", "X") if name in wrt]
    np.testing.assert_array_equal(gradient, np.concatenate(parts))


def test_minimize_fits_a_softmax_regression() -> None:
    module, data = flat(SOFTMAX).module, softmax_data()
    start = module.pack(module.init_params(0))
    found = minimize(module.value_and_grad_flat, start, args=data, jac=True, method="L-BFGS-B", tol=1e-12)
    loss, gradient = module.value_and_grad_flat(found.x, *data)
    assert found.success and loss < module.value_and_grad_flat(start, *data)[0]
    assert np.abs(gradient).max() < 1e-4


def test_minimize_finds_the_line_of_least_squares() -> None:
    module = flat(LINE).module
    t = np.linspace(0, 1, 30)
    u = 3 * t - 1 + np.random.default_rng(0).normal(size=30)
    found = minimize(module.value_and_grad_flat, np.zeros(2), args=(t, u), jac=True, method="L-BFGS-B")
    np.testing.assert_allclose(found.x, np.polyfit(t, u, 1), rtol=1e-5)


def test_inputs_of_a_model_without_parameters() -> None:
    text = "x: Input[N]\nf: Output = sum(100 * (x[1:] - x[:-1]**2)**2 + (1 - x[:-1])**2)"
    found = minimize(flat(text).module.value_and_grad_flat, np.zeros(4), jac=True, method="L-BFGS-B")
    np.testing.assert_allclose(found.x, 1, atol=1e-4)


def test_single_precision_stays() -> None:
    module, (X, y) = flat(SOFTMAX, dtype="float32").module, softmax_data()
    theta = module.pack(module.init_params(0))
    loss, gradient = module.value_and_grad_flat(theta, X.astype(np.float32), y)
    assert [theta.dtype, loss.dtype, gradient.dtype] == [np.float32] * 3


def test_sizes_that_the_length_does_not_tell() -> None:
    text = "X: Input[N, n]\nW: Param[n, k]\nv: Param[k]\nloss: Output = sum((X @ W @ v) ** 2)"
    module = flat(text).module
    rng = np.random.default_rng(0)
    params = {"W": rng.normal(size=(3, 2)), "v": rng.normal(size=2)}
    theta = module.pack(params)
    back = module.unpack(theta, n=3, k=2)
    np.testing.assert_array_equal(back["W"], params["W"])
    X = np.ones((5, 3))
    loss, gradient = module.value_and_grad_flat(theta, X.tolist(), k=2)
    assert loss == module.value_and_grad(params, X)[0] and gradient.shape == theta.shape


def test_names_that_the_functions_use_themselves() -> None:
    text = "theta: Input\npoint: Input\npack: Param[2] = ones()\nloss: Output = sum(pack * theta + point) ** 2"
    module = flat(text).module
    loss, gradient = module.value_and_grad_flat([1.0, 2.0], 3.0, 4.0)
    assert loss == 17.0**2 and gradient.tolist() == [102.0, 102.0]


@pytest.mark.parametrize(
    ("theta", "error", "message"),
    [
        (np.zeros(14), ValueError, r"theta has shape \(14,\), expected \(15,\) for W \(4, 3\), b \(3,\)"),
        (np.zeros((15, 1)), ValueError, r"theta has shape \(15, 1\), expected \(15,\)"),
        (np.zeros(15, complex), TypeError, "theta is complex128, expected floats"),
    ],
)
def test_a_vector_that_does_not_fit(theta: np.ndarray, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        flat(SOFTMAX).module.unpack(theta)


def test_packing_checks_what_it_is_given() -> None:
    with pytest.raises(ValueError, match=r"pack\(\): params lacks b; expected W, b"):
        flat(SOFTMAX).module.pack({"W": np.zeros((4, 3))})


REFUSED = [
    ({"gradient": False}, "flat needs value_and_grad, expected one scalar loss, found none"),
    ({"wrt": ["h"]}, "flat moves inputs and parameters, expected these to differentiate by, found h"),
    ({"with_": ["flats"]}, f"expected extras among {', '.join(EXTRAS)}, found flats"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_there_is_no_vector_for(options: dict[str, object], message: str) -> None:
    with pytest.raises(graphc.GraphcError) as caught:
        graphc.compile("x: Input\nh = sin(x)\nloss: Output = h * x", **{"with_": ["flat"], **options}).source_text  # type: ignore[arg-type]  # noqa: B018
    (found,) = caught.value.diagnostics
    assert (found.code, found.message) == ("GC411", message)


def test_an_output_with_the_name_of_a_function() -> None:
    text = "x: Input\npack: Output = x * x\nloss: Output = pack * x"
    with pytest.raises(graphc.GraphcError, match="expected no output of this name"):
        flat(text).source_text  # noqa: B018
