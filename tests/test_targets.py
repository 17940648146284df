"""What is differentiated: the choice of the loss and the variables, and its refusals with their places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy

import graphc
from graphc.errors import GraphcError

W = "X: Input[N, 3]\nW: Param[3] = zeros()\n"


def refusal(text: str | Path, **options: object) -> tuple[str, str, str]:
    with pytest.raises(GraphcError) as caught:
        graphc.compile(text, **options)  # type: ignore[arg-type]
    (found,) = caught.value.diagnostics
    return found.code, str(found.span), found.message


@pytest.mark.parametrize(
    ("text", "loss"),
    [
        (f"{W}a: Output = sum(X @ W)\nloss: Output = mean(X @ W)", "loss"),
        (f"{W}a: Output = sum(X @ W)\nb: Output = X @ W", "a"),
        (f"{W}k: Output = argmax(X @ W)\nb: Output = sum(X @ W)", "b"),
    ],
)
def test_the_loss(text: str, loss: str) -> None:
    assert graphc.compile(text).losses == (loss,)


def test_a_loss_that_is_no_scalar() -> None:
    code, place, message = refusal(f"{W}loss: Output = X @ W")
    assert (code, place) == ("GC303", "<model>:3:16")
    assert message == "a loss is one float number, expected float64[], loss is float64[N]"


def test_a_loss_that_is_no_float() -> None:
    code, place, _ = refusal(f"{W}loss: Output = argmax(X @ W)")
    assert (code, place) == ("GC303", "<model>:3:16")


def test_several_scalars_and_none_called_loss() -> None:
    code, place, message = refusal(f"{W}a: Output = sum(X @ W)\nb: Output = mean(X @ W)")
    assert (code, place) == ("GC304", "<model>:3:13")
    assert message.endswith("found the scalar outputs a, b")


def test_a_loss_that_is_not_there() -> None:
    code, _, message = refusal(f"{W}loss: Output = sum(X @ W)", loss="los")
    assert code == "GC101"
    assert "found no los" in message and "loss" in message


def test_a_parameter_that_the_loss_does_not_use() -> None:
    code, place, message = refusal(f"{W}V: Param[3]\nloss: Output = sum(X @ W)\nv: Output = sum(X @ V)")
    assert (code, place) == ("GC302", "<model>:3:1")
    assert message == "loss does not depend on V"


def test_a_path_that_is_cut() -> None:
    code, place, message = refusal(f"{W}k = argmax(X * W, axis=1)\nloss: Output = mean(k * 1.0)")
    assert (code, place) == ("GC301", "<model>:3:5")
    assert message == "no gradient of loss reaches W: argmax is not differentiable"


def test_with_respect_to_a_value_in_the_middle() -> None:
    model = graphc.compile("x: Input\nh = x * x\nloss: Output = h * h", wrt=["h"])
    assert model.value_and_grad(x=3.0) == (81.0, {"h": 18.0})


def test_with_respect_to_what_is_not_there() -> None:
    code, _, message = refusal("x: Input\nloss: Output = x * x", wrt=["y"])
    assert code == "GC101" and "found no y" in message


def test_with_respect_to_labels() -> None:
    code, place, _ = refusal("y: Input[int64]\nx: Input\nloss: Output = x * y", wrt=["y"])
    assert (code, place) == ("GC204", "<model>:1:1")


def test_without_parameters_the_float_inputs() -> None:
    model = graphc.compile("x: Input[N]\nk: Input[N, int64]\nloss: Output = sum(x * k)")
    assert model.variables == ("x",)


def test_a_gradient_that_was_not_asked_for() -> None:
    point = graphc.compile("x: Input\nw: Param\nloss: Output = x * w").at(x=2, w=3)
    assert point.gradient("w") == 2
    with pytest.raises(KeyError, match="no gradient reaches x on the way to w; wrt= of compile"):
        point.gradient("x")


def test_no_gradient_asked_for() -> None:
    model = graphc.compile(f"{W}probs: Output = X @ W", gradient=False)
    assert model.losses == ()
    with pytest.raises(AttributeError, match="no value_and_grad"):
        model.value_and_grad({}, X=[[1.0, 2.0, 3.0]])


def test_a_piecewise_constant_loss_is_a_warning() -> None:
    model = graphc.compile("x: Input\nw: Param\nloss: Output = sign(x * w)")
    (found,) = (warning for warning in model.warnings if warning.code == "GC602")
    assert str(found.span) == "<model>:2:1"
    assert model.value_and_grad({"w": 1.0}, x=2.0) == (1.0, {"w": 0.0})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    code, _, message = refusal(str(tmp_path / "none.gc"))
    assert code == "GC402" and "none.gc" in message


def test_no_more_is_read_than_a_model_may_have() -> None:
    code, place, message = refusal(Path("/dev/zero"))
    assert (code, place) == ("GC401", "zero:1:1") and "this one has more" in message


def test_line_ends_of_files_are_those_of_text(tmp_path: Path) -> None:
    (tmp_path / "ends.gc").write_bytes(b"# \xc3\xa9\r\nx: Input\rloss: Output = x * x\r\n")
    assert graphc.compile(tmp_path / "ends.gc").source.text == "# é\nx: Input\nloss: Output = x * x\n"


def test_one_variable_is_named_by_a_string() -> None:
    assert graphc.compile("xy * x * y", wrt="xy").variables == ("xy",)


@pytest.mark.parametrize("dtype", ["float16", np.float32])
def test_dtypes_that_models_do_not_have(dtype: object) -> None:
    with pytest.raises(graphc.GraphcError, match="expected the dtype float64 or float32 of a model, found"):
        graphc.compile("x * y", dtype=dtype)  # type: ignore[arg-type]


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "bad.gc").write_bytes(b"x = \xff")
    code, _, message = refusal(str(tmp_path / "bad.gc"))
    assert code == "GC402" and "byte 0xff at 4" in message


def test_an_input_or_parameter_keeps_its_name_where_the_model_binds_it_again() -> None:
    """The gradient of W² with 2W for W, and all that is made from the variables by their names."""
    text = "W: Param = 3.0\nx: Input\nW = W * 2\nx = x + 1\nloss: Output = W ** 2 * x"
    extras = ["jvp", "vjp", "hvp", "jacobian", "hessian", "flat"]
    model = graphc.compile(text, with_=extras, optimizer="gradient_descent(lr=1)")
    module, params = model.module, model.init_params()
    assert module.value_and_grad(params, 1.0) == (72, {"W": 48})
    assert module.jvp(params, {"W": 1.0}, 1.0) == (72, 48)
    assert module.vjp(params, 1.0, 1.0) == (72, {"W": 48})
    assert module.hvp(params, {"W": 1.0}, 1.0) == {"W": 16}
    assert module.jacobian(params, 1.0) == {"W": 48}
    assert module.hessian(params, 1.0) == {"W": {"W": 16}}
    assert module.value_and_grad_flat(module.pack(params), 1.0)[1] == [48]
    assert module.train_step(params, module.init_state(params), 1.0)[0] == {"W": -45}
    assert model.at(params, x=1.0).gradient("W") == 48
    assert "∂loss/∂W = " in str(model.derive("W"))
    assert graphc.compile(text, wrt=["W", "x"]).value_and_grad(params, 1.0)[1] == {"W": 48, "x": 36}
    assert graphc.hessian(text, wrt="x")(params, x=1.0) == 0


@pytest.mark.parametrize("optimize", ["readable", "speed"])
def test_outputs_may_be_called_as_gradients(optimize: str) -> None:
    text = "A: Param[2]\nA_: Param[2]\nd_A: Output = 7 * A\nd_A_: Output = A_\nloss: Output = sum(A ** 2 * A_)"
    module: Any = graphc.compile(text, optimize=optimize).module
    params = {"A": np.array([1.0, 2.0]), "A_": np.array([3.0, 4.0])}
    outputs, residuals = module.forward(params)
    np.testing.assert_array_equal(outputs.d_A, [7, 14])
    for gradient in (module.backward(residuals), module.value_and_grad(params)[1]):
        np.testing.assert_array_equal(gradient["A"], [6, 16])
        np.testing.assert_array_equal(gradient["A_"], [1, 4])


def test_derivatives_of_an_output_that_is_called_as_one() -> None:
    assert graphc.value_and_grad("x: Input\nd_x: Output = x ** 2 + 1")(x=3.0) == (10, 6)
    assert graphc.vjp("x: Input\nd_x: Output = x ** 2 + 1")(d_d_x=2.0, x=3.0) == (10, 12)
    for name, extra in (("d_x", "value_grad_hessian"), ("hessian_x_x", "value_grad_hessian")):
        module = graphc.compile(f"x: Input\n{name}: Output = x ** 3", with_=[extra]).module
        assert module.value_grad_hessian(2.0) == (8, {"x": 12}, {"x": {"x": 12}})
    module = graphc.compile("x: Input\njacobian_x: Output = 3 * x", with_=["value_and_jacobian"]).module
    assert module.value_and_jacobian(2.0) == (6, {"x": 3})


def test_blocks_of_a_hessian_whose_names_could_be_of_two_pairs() -> None:
    """Of a and b_a, and of a_b and a."""
    text = "a: Input\nb_a: Input\na_b: Input\nloss: Output = 5 * a * b_a + 7 * a_b * a"
    hessian = graphc.compile(text, with_=["hessian"]).module.hessian(1.0, 2.0, 3.0)
    assert [[float(x) for x in row.values()] for row in hessian.values()] == [[0, 5, 7], [5, 0, 0], [7, 0, 0]]


def test_formulas_of_values_that_are_called_as_gradients() -> None:
    text = "x: Input\nd_loss: Input\ny = sin(x)\nd_y = y * 2\nloss: Output = d_y ** 2 * d_loss"
    model = graphc.compile(text, wrt="x")
    x, factor = sympy.symbols("x d_loss", real=True)
    assert model.to_sympy("d_x").equals(8 * sympy.sin(x) * sympy.cos(x) * factor)
    assert "d_y = y · 2\n" in str(model.derive("x", simplified=True))
