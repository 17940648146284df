"""Derivatives in generated modules: equal to those in Python, as vectors and matrices, checked by the module itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import approx_fprime, least_squares, minimize
from scipy.sparse import coo_array

import graphc
from graphc.backends.numpy_module import load_module
from graphc.extras import KINDS

FIT = """
t: Input[N]
y: Input[N]
a: Param = ones()
b: Param[2] = zeros()
r: Output = a * exp(-b[0] * t) + b[1] - y
loss: Output = 0.5 * sum(r ** 2)
"""
EVERY = [*KINDS, "flat", "check"]
T = np.linspace(0.0, 2.0, 7)
DATA = {"t": T, "y": 2.0 * np.exp(-T) + 0.3}
PARAMS = {"a": 1.5, "b": np.array([0.7, 0.2])}
V = {"a": 0.3, "b": np.array([-0.4, 1.1])}
DOT = {f"{name}_dot": value for name, value in V.items()}
DENSE = [kind for kind in KINDS if kind != "sparse_jacobian"]


@pytest.fixture(scope="module")
def module() -> Any:
    return graphc.compile(FIT, with_=EVERY, of="r", sizes={"N": 7}).module


def close(found: object, expected: object) -> None:
    """Equal up to rounding, dicts and tuples by their parts."""
    if isinstance(expected, dict):
        assert isinstance(found, dict) and list(found) == list(expected)
        for name in expected:
            close(found[name], expected[name])
    elif isinstance(expected, tuple):
        assert isinstance(found, tuple) and len(found) == len(expected)
        for part, other in zip(found, expected, strict=True):
            close(part, other)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)  # type: ignore[arg-type]
        assert np.shape(found) == np.shape(expected)  # type: ignore[arg-type]


def test_each_is_what_it_is_in_python(module: Any) -> None:
    value = graphc.compile(FIT, gradient=False)(PARAMS, **DATA)
    cotangent = np.arange(7.0)
    jacobian = graphc.jacobian(FIT, output="r")(PARAMS, **DATA)
    hessian = graphc.hessian(FIT)(PARAMS, **DATA)
    gradient = graphc.grad(FIT)(PARAMS, **DATA)
    close(module.jvp(PARAMS, V, **DATA), graphc.jvp(FIT, output="r")(PARAMS, **DATA, **DOT))
    close(module.vjp(PARAMS, cotangent, **DATA), graphc.vjp(FIT, output="r")(PARAMS, **DATA, d_r=cotangent))
    close(module.hvp(PARAMS, V, **DATA), graphc.hvp(FIT)(PARAMS, **DATA, **DOT))
    product = graphc.gauss_newton(FIT, "r", loss="loss")(PARAMS, **DATA, **DOT)
    close(module.gauss_newton(PARAMS, V, **DATA), product)
    close(module.jacobian(PARAMS, **DATA), jacobian)
    close(module.value_and_jacobian(PARAMS, **DATA), (value["r"], jacobian))
    close(module.hessian(PARAMS, **DATA), hessian)
    close(module.value_grad_hessian(PARAMS, **DATA), (value["loss"], gradient, hessian))


def test_flat_forms_are_matrices_in_the_order_of_the_vector(module: Any) -> None:
    theta, v = module.pack(PARAMS), module.pack(V)
    data = tuple(DATA.values())
    jacobian, hessian = module.jacobian_flat(theta, *data), module.hessian_flat(theta, *data)
    assert jacobian.shape == (7, 3) and hessian.shape == (3, 3)
    np.testing.assert_allclose(jacobian, approx_fprime(theta, module.residuals_flat, 1e-7, *data), atol=1e-5)
    _, gradient = module.value_and_grad_flat(theta, *data)
    slopes = approx_fprime(theta, lambda x: module.value_and_grad_flat(x, *data)[1], 1e-7)
    np.testing.assert_allclose(hessian, slopes, atol=1e-5)
    close(module.hvp_flat(theta, v, *data), hessian @ v)
    close(module.gauss_newton_flat(theta, v, *data), jacobian.T @ jacobian @ v)
    residuals = module.residuals_flat(theta, *data)
    close(module.jvp_flat(theta, v, *data), (residuals, jacobian @ v))
    close(module.vjp_flat(theta, residuals, *data), (residuals, gradient))
    close(module.value_and_jacobian_flat(theta, *data), (residuals, jacobian))
    close(module.value_grad_hessian_flat(theta, *data), (np.float64(residuals @ residuals / 2), gradient, hessian))
    rows, columns, values = module.sparse_jacobian_flat(theta, *data)
    close(coo_array((values, (rows, columns)), shape=(7, 3)).toarray(), jacobian)


ROSENBROCK = "x: Input[N]\nf: Output = sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)"


@pytest.mark.parametrize("method", ["trust-ncg", "Newton-CG", "trust-krylov"])
def test_minimize_takes_value_gradient_and_product(method: str) -> None:
    module = graphc.compile(ROSENBROCK, with_=["flat", "hvp"]).module
    start = np.full(6, -0.5)
    found = minimize(module.value_and_grad_flat, start, jac=True, hessp=module.hvp_flat, method=method, tol=1e-10)
    np.testing.assert_allclose(found.x, 1.0, atol=1e-6)


def test_least_squares_takes_residuals_and_jacobian(module: Any) -> None:
    data = tuple(DATA.values())
    found = least_squares(module.residuals_flat, np.ones(3), module.jacobian_flat, args=data, method="lm")
    np.testing.assert_allclose(found.x, [2.0, 1.0, 0.3], atol=1e-8)


def test_a_model_without_parameters_takes_the_direction_first() -> None:
    module = graphc.compile("x ** 2 * y", with_=["jvp", "hvp", "hessian", "check"]).module
    close(module.jvp({"x": 1.0, "y": 0.0}, 3.0, 2.0), (np.float64(18.0), np.float64(12.0)))
    close(module.hvp({"x": 1.0, "y": 0.0}, x=3.0, y=2.0), {"x": np.float64(4.0), "y": np.float64(6.0)})
    close(module.hessian(3.0, 2.0)["x"], {"x": np.float64(4.0), "y": np.float64(6.0)})
    assert module.check()


def test_names_that_functions_use_themselves() -> None:
    inputs = "v: Input[2]\nx_dot: Input[2]\nx: Param[2] = ones()\nv_2: Param[2] = ones()\n"
    text = inputs + "loss: Output = sum((x * v_2) ** 2 * v * x_dot)"
    module = graphc.compile(text, with_=["hvp", "jvp", "flat", "check"]).module
    params = {"x": np.array([1.0, 2.0]), "v_2": np.array([3.0, 4.0])}
    direction = {"x": np.array([1.0, 0.0]), "v_2": np.zeros(2)}
    found = module.hvp(params, direction, [1.0, 1.0], [2.0, 2.0])
    close(found, {"x": np.array([36.0, 0.0]), "v_2": np.array([24.0, 0.0])})
    close(module.hvp_flat(module.pack(params), module.pack(direction), [1.0, 1.0], [2.0, 2.0]), module.pack(found))
    assert module.check()


def test_only_an_array_as_output_is_what_its_derivatives_are_of() -> None:
    model = graphc.compile("x: Input[N]\nr: Output = x[1:] * x[:-1]", with_=["jvp", "vjp", "jacobian", "flat", "check"])
    module, x = model.module, np.array([1.0, 2.0, 3.0])
    assert model.losses == ("r",) and not hasattr(module, "value_and_grad")
    close(module.jacobian(x)["x"], np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 2.0]]))
    close(module.jacobian_flat(module.pack(x)), module.jacobian(x)["x"])
    assert module.check()


def test_a_variable_that_an_output_does_not_use_has_columns_of_zeros() -> None:
    text = "w: Param[2]\nu: Param\nr: Output = w ** 2\nloss: Output = sum(r) + u ** 2"
    module = graphc.compile(text, with_=["jacobian", "sparse_jacobian", "jvp", "flat"], of="r").module
    params = {"w": np.array([1.0, 2.0]), "u": 3.0}
    close(module.jacobian_flat(module.pack(params)), np.array([[2.0, 0.0, 0.0], [0.0, 4.0, 0.0]]))
    assert [part.tolist() for part in module.sparse_jacobian(params)] == [[0, 1], [0, 1], [2.0, 4.0]]


def test_a_value_in_the_middle() -> None:
    module = graphc.compile(
        "x: Input[3]\nh = sin(x)\nloss: Output = sum(h ** 3)", wrt=["h"], with_=["hvp", "jacobian"]
    ).module
    x = np.array([0.1, 0.2, 0.3])
    close(module.hvp({"h": np.ones(3)}, x), {"h": 6 * np.sin(x)})
    close(module.jacobian(x), {"h": 3 * np.sin(x) ** 2})


def test_single_precision_stays() -> None:
    model = graphc.compile(FIT, with_=[name for name in EVERY if name != "sparse_jacobian"], of="r", dtype="float32")
    theta = np.array([1.0, 0.5, 0.2], np.float32)
    data = [value.astype(np.float32) for value in DATA.values()]
    assert model.module.jacobian_flat(theta, *data).dtype == np.float32
    assert model.module.hvp_flat(theta, np.ones(3), *data).dtype == np.float32


@pytest.mark.parametrize(
    ("v", "error", "message"),
    [
        (1.0, TypeError, r"hvp\(\): v is a float, expected a dict of arrays"),
        ({"a": 1.0}, ValueError, r"hvp\(\): v has a, expected a, b"),
        ({"a": 1.0, "b": 1.0}, ValueError, r"hvp\(\): b of v has shape \(\), expected \(2,\)"),
        ({"a": 1j, "b": [1, 2]}, TypeError, r"hvp\(\): a of v is complex128, expected floats"),
    ],
)
def test_a_direction_that_does_not_fit(module: Any, v: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        module.hvp(PARAMS, v, **DATA)


def test_what_is_given_is_not_changed_nor_returned(module: Any) -> None:
    v = {name: np.array(value) for name, value in V.items()}
    rows, *_ = module.sparse_jacobian(PARAMS, **DATA)
    rows[:] = -1
    again, *_ = module.sparse_jacobian(PARAMS, **DATA)
    assert again.min() == 0
    products = module.hvp(PARAMS, v, **DATA)
    assert all(not np.shares_memory(products[name], v[name]) for name in v)
    close(v, {name: np.array(value) for name, value in V.items()})


MIXED = "x: Input[3]\nk: Output = round(x)\nr: Output = x ** 2\nq: Output = 1 - x\nloss: Output = sum(r)"
CUT = "x: Input[2]\ny: Input[2]\nr: Output = argmax(x) * y\nloss: Output = sum(x * r)"
REFUSED = [
    (FIT, {"with_": ["jvp"], "gradient": False}, "GC411", "jvp differentiates, expected a model with a gradient"),
    (MIXED, {"with_": ["hvp"], "loss": ["r"]}, "GC411", "hvp is of a scalar, expected one scalar loss"),
    (MIXED, {"with_": ["jacobian"], "loss": ["r", "q"]}, "GC411", "expected `of=` to say which, found r, q"),
    (FIT, {"with_": ["check", "jvp"], "of": "r"}, "GC411", "check holds the jvp of r to its vjp, expected this among"),
    (FIT, {"with_": ["sparse_jacobian"], "of": "r"}, "GC308", "sizes that are numbers, expected some for N"),
    (FIT, {"of": "s"}, "GC101", "found no s"),
    (FIT, {"sizes": {"M": 3}}, "GC101", "expected one of the model's free sizes, found no M; there are N"),
    (FIT, {"sizes": {"N": -3}}, "GC204", "expected a whole number for the size N, found -3"),
    ("x: Input[2]\nhvp: Output = sum(x ** 2)", {"with_": ["hvp"]}, "GC411", "hvp gives the module a function hvp"),
    (CUT, {"with_": ["jvp"], "of": "r"}, "GC301", "no gradient of r reaches x"),
    ("loss: Output = 3.0", {"with_": ["hvp"]}, "GC302", "expected a float input or parameter to differentiate loss by"),
    ("loss: Output = 3.0", {"with_": ["flat"]}, "GC411", "flat moves inputs and parameters, expected a float to diff"),
    ("loss: Output = 3.0", {"with_": ["check"]}, "GC411", "check moves inputs and parameters, expected a float to di"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "options", "code", "message"), REFUSED, ids=lambda value: str(value)[:30])
def test_what_cannot_be(text: str, options: dict[str, Any], code: str, message: str) -> None:
    with pytest.raises(graphc.GraphcError) as caught:
        graphc.compile(text, **options).source_text  # noqa: B018
    (found,) = caught.value.diagnostics
    assert found.code == code and message in found.message


def test_a_size_that_is_free_is_named_with_its_place() -> None:
    with pytest.raises(graphc.GraphcError) as caught:
        graphc.jacobian_sparsity("y: Input\nx: Input[N]\nr: Output = x * y")
    (found,) = caught.value.diagnostics
    assert (found.code, str(found.span)) == ("GC308", "<model>:2:1")


@pytest.mark.parametrize("wrong", ["r_dot = a_dot * exp_1 - t * exp_1", "d_a = mul_1.sum()"])
def test_check_fails_when_a_product_is_wrong(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = graphc.compile(FIT, with_=["jvp", "vjp", "check"], of="r").source_text
    assert load_module(text, "right").check(), capsys.readouterr().out
    start = text.index("def jvp(") if "r_dot" in wrong else text.index("def vjp(")
    assert wrong in text[start:]
    doctored = text[:start] + text[start:].replace(wrong, f"{wrong} * 1.0001", 1)
    capsys.readouterr()
    assert not load_module(doctored, "wrong").check()
    *others, last = capsys.readouterr().out.splitlines()
    assert last.startswith("jvp: relative error") and last.endswith("WRONG")
    assert not any(line.endswith("WRONG") for line in others)


def test_work_that_orders_share_is_done_once() -> None:
    text = graphc.compile("x: Input[3]\nloss: Output = sum(exp(sin(x)))", with_=["value_grad_hessian"]).source_text
    body = text[text.index("def value_grad_hessian(") : text.index("_INPUTS")]
    assert body.count("np.exp(") == body.count("np.sin(") == 1
