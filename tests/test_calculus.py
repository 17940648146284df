"""Derivatives of models as models: against closed forms, differences, and each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mpmath
import numpy as np
import pytest

import graphc
from graphc.builder import Builder
from graphc.errors import GraphcError
from graphc.graph import verify
from graphc.opened import opened_model

ROSENBROCK = "x: Input[N]\nloss: Output = sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)"
NETWORK = """
x: Input[3]
W1: Param[3, 5]
W2: Param[5, 2]
h = tanh(x @ W1)
y: Output = softmax(h @ W2)
"""
TALL = "x: Input[2]\ny: Output = stack([x[0] * x[1], sin(x[0]), exp(x[1]), x[0] ** 3])"
WIDE = "x: Input[4]\ny: Output = stack([x[0] * x[1] * x[2], sum(x ** 2) * x[3]])"
POINT = {2: np.array([0.7, -1.3]), 4: np.array([0.5, -0.2, 1.1, 0.8])}


def differences(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    columns = []
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = 1e-6
        columns.append((np.asarray(function(x + step)) - np.asarray(function(x - step))) / 2e-6)
    return np.stack(columns, axis=-1).reshape(*columns[0].shape, *x.shape)


def rosenbrock_hessian(x: np.ndarray) -> np.ndarray:
    found = np.zeros((x.size, x.size))
    for k in range(x.size - 1):
        found[k, k] += 1200 * x[k] ** 2 - 400 * x[k + 1] + 2
        found[k + 1, k + 1] += 200
        found[k, k + 1] -= 400 * x[k]
        found[k + 1, k] -= 400 * x[k]
    return found


def network_point() -> tuple[dict[str, np.ndarray], np.ndarray]:
    generator = np.random.default_rng(2)
    params = {"W1": generator.normal(size=(3, 5)), "W2": generator.normal(size=(5, 2))}
    return params, generator.normal(size=3)


@pytest.mark.parametrize("order", range(1, 5))
def test_a_gradient_of_a_gradient(order: int) -> None:
    f = "x ** 4 * exp(x)"
    for _ in range(order):
        f = graphc.grad(f)
    polynomial = {
        1: lambda x: 4 * x**3 + x**4,
        2: lambda x: 12 * x**2 + 8 * x**3 + x**4,
        3: lambda x: 24 * x + 36 * x**2 + 12 * x**3 + x**4,
        4: lambda x: 24 + 96 * x + 72 * x**2 + 16 * x**3 + x**4,
    }[order]
    assert f(x=0.3) == pytest.approx(polynomial(0.3) * np.exp(0.3), rel=1e-13)


def test_mixed_partials_are_the_same_in_either_order() -> None:
    text = "sin(x * y) + x ** 3 / y"
    one, other = (graphc.grad(graphc.grad(text, wrt=a), wrt=b)(x=0.4, y=1.7) for a, b in ("xy", "yx"))
    assert one == pytest.approx(other, rel=1e-14)
    assert one == pytest.approx(np.cos(0.68) - 0.68 * np.sin(0.68) - 3 * 0.16 / 1.7**2, rel=1e-13)


def test_several_variables_are_a_dict_and_one_is_its_value() -> None:
    assert graphc.grad("x * y")(x=2.0, y=3.0) == {"x": 3.0, "y": 2.0}
    assert graphc.grad("x * y", wrt=["y"])(x=2.0, y=3.0) == 2.0
    value, gradient = graphc.value_and_grad("x * y")(x=2.0, y=3.0)
    assert (value, gradient) == (6.0, {"x": 3.0, "y": 2.0})


def test_the_gradient_is_that_of_the_compiled_model() -> None:
    text = NETWORK + "loss: Output = sum(y ** 2)"
    params, x = network_point()
    expected = graphc.compile(text).value_and_grad(params, x=x)[1]
    found = graphc.grad(text)(params, x=x)
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-13)


@pytest.mark.parametrize(("text", "size", "mode"), [(TALL, 2, "columns"), (WIDE, 4, "rows")])
def test_a_jacobian_is_what_differences_say(text: str, size: int, mode: str) -> None:
    x = POINT[size]
    found = graphc.jacobian(text)(x=x)
    np.testing.assert_allclose(found, differences(lambda v: graphc.compile(text, gradient=False)(x=v), x), rtol=1e-8)
    assert found.shape == {"columns": (4, 2), "rows": (2, 4)}[mode]


@pytest.mark.parametrize(("text", "size"), [(TALL, 2), (WIDE, 4)])
def test_rows_by_reverse_mode_are_columns_by_forward_mode(text: str, size: int) -> None:
    """One at a time, by `vjp` and by `jvp`, and all at once."""
    x, jacobian = POINT[size], graphc.jacobian(text)(x=POINT[size])
    rows = [graphc.vjp(text)(x=x, d_y=unit)[1] for unit in np.eye(jacobian.shape[0])]
    columns = [graphc.jvp(text)(x=x, x_dot=unit)[1] for unit in np.eye(size)]
    np.testing.assert_allclose(jacobian, np.stack(rows), rtol=1e-13)
    np.testing.assert_allclose(jacobian, np.stack(columns, axis=1), rtol=1e-13)


def test_a_jacobian_by_matrices_of_parameters() -> None:
    params, x = network_point()
    found = graphc.jacobian(NETWORK)(params, x=x)
    model = graphc.compile(NETWORK, gradient=False)
    for name, value in params.items():
        expected = differences(lambda v, name=name: model({**params, name: v}, x=x), value)
        assert found[name].shape == (2, *value.shape)
        np.testing.assert_allclose(found[name], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("count", [2, 5])
def test_a_jacobian_of_named_sizes(count: int) -> None:
    x = np.linspace(-1.0, 1.0, count)
    found = graphc.jacobian("x: Input[N]\ny: Output = cumsum(x ** 2)")(x=x)
    np.testing.assert_allclose(found, np.tril(np.broadcast_to(2 * x, (count, count))), rtol=1e-14)


def test_a_jacobian_has_no_loop() -> None:
    text = graphc.jacobian(TALL).source_text
    assert not any(line.strip().startswith(("for ", "while ")) for line in text.split("def _")[0].splitlines())


def test_a_jacobian_that_is_zero_everywhere() -> None:
    found = graphc.jacobian("x: Input[3]\ny: Output = sign(x)[:2]")(x=np.ones(3))
    np.testing.assert_array_equal(found, np.zeros((2, 3)))


@pytest.mark.parametrize("count", [2, 4])
def test_the_hessian_of_rosenbrock(count: int) -> None:
    x = np.linspace(-0.5, 1.5, count)
    np.testing.assert_allclose(graphc.hessian(ROSENBROCK)(x=x), rosenbrock_hessian(x), rtol=1e-12, atol=1e-12)


def test_a_product_with_the_hessian_is_the_hessian_times_the_direction() -> None:
    x, v = np.array([0.4, -0.3, 1.2]), np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(graphc.hvp(ROSENBROCK)(x=x, x_dot=v), rosenbrock_hessian(x) @ v, rtol=1e-12)


def test_blocks_of_a_hessian_are_each_others_transposes() -> None:
    text = "x: Input[2]\nW: Param[2, 3]\nb: Param[3]\nloss: Output = sum(tanh(x @ W + b) ** 3)"
    generator = np.random.default_rng(1)
    params = {"W": generator.normal(size=(2, 3)), "b": generator.normal(size=3)}
    found = graphc.hessian(text)(params, x=[0.3, -0.8])
    assert found["W"]["b"].shape == (2, 3, 3) and found["W"]["W"].shape == (2, 3, 2, 3)
    np.testing.assert_allclose(found["W"]["b"], np.moveaxis(found["b"]["W"], 0, -1), rtol=1e-12)
    gradient = graphc.grad(text, wrt="W")
    expected = differences(lambda b: gradient({**params, "b": b}, x=[0.3, -0.8]), params["b"])
    np.testing.assert_allclose(found["W"]["b"], expected, rtol=1e-6, atol=1e-8)


def test_the_hessian_is_the_jacobian_of_the_gradient() -> None:
    x = np.array([0.4, -0.3, 1.2])
    found = graphc.jacobian(graphc.grad(ROSENBROCK))(x=x)
    np.testing.assert_allclose(found, rosenbrock_hessian(x), rtol=1e-12, atol=1e-12)


def test_a_gauss_newton_product() -> None:
    text = TALL + "\nloss: Output = sum(exp(y))"
    x, v = POINT[2], np.array([0.3, 2.0])
    jacobian = graphc.jacobian(TALL)(x=x)
    y = graphc.compile(TALL, gradient=False)(x=x)
    found = graphc.gauss_newton(text, "y")(x=x, x_dot=v)
    np.testing.assert_allclose(found, jacobian.T @ (jacobian @ v), rtol=1e-12)
    curved = graphc.gauss_newton(text, "y", loss="loss")(x=x, x_dot=v)
    np.testing.assert_allclose(curved, jacobian.T @ (np.exp(y) * (jacobian @ v)), rtol=1e-12)


def test_gradients_of_each_example_are_those_of_a_loop() -> None:
    text = NETWORK + "t: Input[int64]\nloss: Output = cross_entropy(log(y), t)"
    params, _ = network_point()
    generator = np.random.default_rng(3)
    examples, labels = generator.normal(size=(6, 3)), generator.integers(0, 2, 6)
    single = graphc.grad(text)
    found = graphc.per_example_grad(text)(params, x=examples, t=labels)
    for k in range(6):
        for name, expected in single(params, x=examples[k], t=labels[k]).items():
            np.testing.assert_allclose(found[name][k], expected, rtol=1e-12, atol=1e-15)


def test_vmap_over_another_axis_and_over_parameters() -> None:
    text = "x: Input[3]\nw: Param[3]\ny: Output = x @ w"
    x, w = np.arange(6.0).reshape(3, 2), np.arange(6.0, 12.0).reshape(2, 3)
    np.testing.assert_allclose(graphc.vmap(text, in_axes={"x": 1})({"w": w[0]}, x=x), x.T @ w[0])
    found = graphc.vmap(text, in_axes={"x": -1, "w": 0})({"w": w}, x=x)
    np.testing.assert_allclose(found, np.sum(x.T * w, axis=1))
    with pytest.raises(ValueError, match="B is 3 in w and 2 in x"):
        graphc.vmap(text, in_axes={"x": 1, "w": 0})({"w": np.ones((3, 3))}, x=x)


def test_a_vmap_of_a_vmap_and_of_a_jacobian() -> None:
    x, y = np.arange(2.0), np.arange(3.0)
    table = graphc.vmap(graphc.vmap("x * y + 1", in_axes={"x": None}), in_axes={"y": None})(x=x, y=y)
    np.testing.assert_allclose(table, np.outer(x, y) + 1)
    many = np.stack([POINT[2], 2 * POINT[2]])
    found = graphc.vmap(graphc.jacobian(TALL))(x=many)
    np.testing.assert_allclose(found, np.stack([graphc.jacobian(TALL)(x=row) for row in many]), rtol=1e-14)


@pytest.mark.parametrize("derive", [graphc.grad, graphc.hessian, graphc.jacobian, graphc.vmap])
def test_float32_stays_float32(derive: Callable[..., graphc.Model]) -> None:
    axes = 2 if derive is graphc.vmap else 1
    found = derive(ROSENBROCK)(x=np.ones((4, 5)[-axes:], np.float32))
    assert found.dtype == np.float32
    hvp = graphc.hvp(ROSENBROCK)(x=np.ones(5, np.float32), x_dot=np.ones(5, np.float32))
    assert hvp.dtype == np.float32


def test_the_branch_not_taken_is_not_seen_in_forward_mode() -> None:
    text = "where(x > 0, sqrt(x), 0.0)"
    with np.errstate(all="ignore"):
        assert graphc.jvp(text)(x=-1.0, x_dot=1.0) == (0.0, 0.0)
        assert graphc.hvp(text)(x=-1.0, x_dot=1.0) == 0.0


def test_a_derivative_can_be_written_drawn_and_checked(tmp_path: Path) -> None:
    m = graphc.hvp(ROSENBROCK)
    namespace: dict[str, object] = {}
    exec(compile(m.write(tmp_path / "hvp.py").read_text(), "hvp.py", "exec"), namespace)
    function = namespace["hvp_x"]
    assert callable(function)
    np.testing.assert_allclose(function(x=np.ones(2), x_dot=np.ones(2)), rosenbrock_hessian(np.ones(2)).sum(1))
    assert "x_dot" in m.draw(tmp_path / "hvp.dot").read_text()
    verify(m.graph)
    assert repr(m).startswith("<graphc model")


def test_the_same_text_every_time() -> None:
    assert graphc.hessian(ROSENBROCK).source_text == graphc.hessian(ROSENBROCK).source_text


def test_an_input_with_the_name_of_a_tangent() -> None:
    m = graphc.jvp("x * x_dot", wrt="x")
    assert m(x=2.0, x_dot=3.0, x_dot_=5.0) == (6.0, 15.0)


def test_a_gradient_inside_the_model_is_differentiated_again() -> None:
    text = "x: Input\ny = x ** 3\nloss: Output = grad(y, x) ** 2"
    assert graphc.grad(text)(x=2.0) == pytest.approx(36 * 8.0)
    assert graphc.jvp(text)(x=2.0, x_dot=1.0)[1] == pytest.approx(36 * 8.0)


def test_with_respect_to_a_value_in_the_middle() -> None:
    text = "x: Input\nh = x ** 2\nloss: Output = sin(h)"
    assert graphc.grad(text, wrt="h")(x=0.5) == pytest.approx(np.cos(0.25))
    assert graphc.hvp(text, wrt="h")(x=0.5, h_dot=1.0) == pytest.approx(-np.sin(0.25))


def test_a_model_is_a_function() -> None:
    assert graphc.compile("(x + y) * z")(x=2, y=3, z=4) == 20.0
    text = "x: Input\na: Output = x\nb: Output = 2 * x"
    for options in ({"gradient": False}, {"loss": "a"}):
        assert graphc.compile(text, **options)(x=2.0) == {"a": 2.0, "b": 4.0}


def test_check_grad_by_name() -> None:
    params, x = network_point()
    assert graphc.check_grad(NETWORK + "loss: Output = sum(y ** 2)", params, x=x).ok


def refused(derive: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(GraphcError) as caught:
        derive()
    (found,) = caught.value.diagnostics
    return found.code, str(found.span)


@pytest.mark.parametrize(
    ("derive", "code", "place"),
    [
        (lambda: graphc.grad("x: Input\ny: Input\nloss: Output = x", wrt="y"), "GC302", "<model>:2:1"),
        (lambda: graphc.jacobian("x: Input[3]\ny: Output = argmax(x) * 2.0", wrt="x"), "GC301", "<model>:2:13"),
        (lambda: graphc.hessian("x: Input[3]\nloss: Output = x ** 2"), "GC303", "<model>:2:16"),
        (lambda: graphc.grad(graphc.grad("x * y")), "GC304", "<model>:1:1"),
        (lambda: graphc.grad("x ** 2", wrt="z"), "GC101", "None"),
        (lambda: graphc.grad("3.0"), "GC302", "<model>:1:1"),
        (lambda: graphc.vjp("k: Input[int64]\ny: Output = k * 2.0"), "GC302", "<model>:2:13"),
        (lambda: graphc.vmap("x ** 2", in_axes={"z": 0}), "GC101", "None"),
        (lambda: graphc.vmap("x: Input[2]\ny: Output = x", in_axes={"x": 2}), "GC203", "<model>:1:1"),
        (lambda: graphc.vmap("s: Input[int64]\nx: Input[3]\ny: Output = dropout(x, 0.5, seed=s)"), "GC305", None),
    ],
)
def test_refusals_have_places(derive: Callable[[], object], code: str, place: str | None) -> None:
    found, span = refused(derive)
    assert found == code
    assert place is None or span == place


def test_a_derivative_takes_the_inputs_that_its_output_takes() -> None:
    text = "x: Input[N]\ny: Input[N]\nz: Input[3]\nr: Output = x ** 2 + y\nloss: Output = sum(z)"
    value, product = graphc.vjp(text, wrt="x", output="r")(x=[1.0, 2.0], y=[0.0, 1.0], d_r=[1.0, 1.0])
    np.testing.assert_array_equal((value, product), [[1, 5], [2, 4]])
    np.testing.assert_array_equal(graphc.grad(text, wrt="z", loss="loss")(z=[1.0, 2.0, 3.0]), [1, 1, 1])
    sized = "x: Input[N]\nw: Input\nr: Output = w ** 2 * sum(arange(N))\nn: Output = sum(x)"
    np.testing.assert_array_equal(graphc.grad(sized, wrt="w", loss="r")(x=[1.0, 2.0, 3.0], w=1.0), 6.0)


def test_opening_changes_nothing_of_the_model() -> None:
    m = graphc.compile(ROSENBROCK)
    before = m.graph.nodes
    assert isinstance(opened_model(m, None, None).builder, Builder)
    assert m.graph.nodes == before and m.losses == ("loss",)


@pytest.mark.parametrize("x", [0.0, 1e-9, 0.1, 0.3183, 0.3184, 1.0, -2.5, 300.0])
def test_sinc_has_all_derivatives_near_zero(x: float) -> None:
    first = graphc.grad("sinc(x)")
    second = graphc.grad(first)
    expected = [float(mpmath.diff(mpmath.sincpi, x, order)) for order in (1, 2)]
    np.testing.assert_allclose([first(x=x), second(x=x)], expected, rtol=1e-13, atol=1e-14)


def test_several_orders_together_share_their_work() -> None:
    text = "x: Input[3]\nloss: Output = sum(exp(sin(x)))"
    f = graphc.together(graphc.value_and_grad(text), graphc.hvp(text), graphc.hessian(text))
    x, v = np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 3.0])
    (value, gradient), product, hessian = f(x=x, x_dot=v)
    assert value == np.sum(np.exp(np.sin(x)))
    np.testing.assert_allclose(gradient, np.exp(np.sin(x)) * np.cos(x), rtol=1e-14)
    np.testing.assert_allclose(product, hessian @ v, rtol=1e-13)
    body = f.source_text[f.source_text.index("def evaluate(") :]
    assert body.count("np.exp(") == body.count("np.sin(") == 1


def test_together_keeps_outputs_of_one_name_apart() -> None:
    found = graphc.together("x + y", "x * y", "x + y")(x=2.0, y=3.0)
    assert found == (5.0, 6.0, 5.0)


def test_together_wants_one_type_for_one_name() -> None:
    with pytest.raises(graphc.GraphcError) as caught:
        graphc.together("x: Input[2]\nf: Output = x", "y: Input\nx: Input[3]\ng: Output = x * y")
    (found,) = caught.value.diagnostics
    assert (found.code, str(found.span)) == ("GC205", "<model>:2:1")
    assert found.message.endswith("found input float64[2] and input float64[3]")
