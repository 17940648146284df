"""SymPy expressions and matrices: values and gradients are SymPy's own, and what is no operation is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import sympy as sp

import graphc as gx

x, y, z, x2, x10 = sp.symbols("x y z x2 x10", real=True)
POINT = {"x": 0.7, "y": -1.3, "z": 2.5}
HERE = {x: 0.7, y: -1.3, z: 2.5}

SMOOTH = [
    (x + y) * z,
    ((x + y) + (x * y)) * z,
    sp.exp(-(x**2)) * sp.sin(y) / z,
    sp.sqrt(z) + sp.cbrt(z) + sp.pi * sp.Rational(1, 3) - z**-2,
    sp.log(z, 2) + sp.atan2(y, x) + sp.tanh(x) * sp.erf(y),
    sp.Piecewise((x**2, y > 0), (sp.exp(x), sp.And(x > 0, z > 0)), (0, True)) + y * z,
    sp.Max(x, y, z) * sp.Min(x, y) + sp.Abs(y) * sp.sign(x),
    sp.Heaviside(y) * x + sp.Heaviside(x) * z,
    sp.sec(x) + sp.csc(x) + sp.cot(x) + sp.sech(x) + sp.csch(x) + sp.coth(x),
    sp.asec(z) + sp.acsc(z) + sp.acot(z) + sp.asech(x) + sp.acsch(x) + sp.acoth(z),
    sp.erfc(x) * sp.sinc(y),
    sp.asinh(x) + sp.acosh(z) + sp.atanh(x) + sp.asin(x) * sp.acos(x),
    z**y + 2**x,
]


def inputs(model: gx.Model) -> list[str]:
    return [str(node.attrs["name"]) for node in model.graph.inputs]


def sample(names: Sequence[str]) -> dict[str, float]:
    return {name: POINT[name] for name in names}


@pytest.mark.parametrize("expression", SMOOTH, ids=str)
def test_value_and_gradient_are_sympys(expression: sp.Expr) -> None:
    model = gx.compile(expression)
    point = sample(inputs(model))
    value, gradients = model.value_and_grad(**point)
    assert float(value) == pytest.approx(float(expression.subs(HERE).evalf()), rel=1e-12)
    for name, gradient in gradients.items():
        expected = sp.diff(expression, sp.Symbol(name, real=True)).subs(HERE).doit().evalf()
        assert float(gradient) == pytest.approx(float(expected), rel=1e-11, abs=1e-12)


def test_symbols_are_inputs_in_natural_order() -> None:
    assert inputs(gx.compile(x10 * z + x2 - sp.Symbol("a"))) == ["a", "x2", "x10", "z"]


def test_the_output_finds_a_name() -> None:
    assert list(gx.compile(sp.Symbol("f") ** 2).graph.outputs) == ["value"]


def test_a_matrix_is_an_array_with_its_transposed_jacobian() -> None:
    matrix = sp.Matrix(3, 3, lambda i, j: sp.sin((i + 1) * x) * y**j)
    model = gx.compile(matrix)
    outputs, residuals = model.forward(x=0.7, y=-1.3)
    expected = np.array(matrix.subs(HERE).evalf(), dtype=float)
    assert outputs.f.shape == (3, 3) and np.allclose(outputs.f, expected, rtol=1e-12)
    cotangent = np.arange(9.0).reshape(3, 3)
    slope = np.array(matrix.diff(x).subs(HERE).evalf(), dtype=float)
    assert model.backward(residuals, cotangent)["x"] == pytest.approx(np.sum(cotangent * slope), rel=1e-12)


@pytest.mark.parametrize("matrix", [sp.ImmutableMatrix([[x, 1], [0, 1]]), sp.SparseMatrix([[x, 1], [0, 1]])])
def test_matrices_of_all_kinds(matrix: Any) -> None:
    model = gx.compile(matrix, gradient=False)
    found = model.module.f(**sample(inputs(model)))
    assert found.tolist() == [[0.7, 1.0], [0.0, 1.0]]


def test_a_matrix_row_and_a_number() -> None:
    assert gx.compile(sp.Matrix([[x, y]]), gradient=False).module.f(x=1.0, y=2.0).shape == (1, 2)
    assert gx.compile(sp.pi, gradient=False).module.f() == np.pi


def test_integer_parts() -> None:
    model = gx.compile(sp.Mod(z, 2) * y + sp.floor(z) * x, wrt=["x", "y"])
    value, gradients = model.value_and_grad(**POINT)
    assert (value, gradients["x"], gradients["y"]) == pytest.approx((0.5 * -1.3 + 1.4, 2.0, 0.5))


def test_relations_are_bool() -> None:
    assert gx.compile(sp.And(x > 0, sp.Ne(y, 0)), gradient=False).graph.outputs["f"].tensor.dtype == "bool"


def test_float32() -> None:
    model = gx.compile(x * sp.pi, dtype="float32")
    assert {node.tensor.dtype for node in model.graph.nodes} == {"float32"}


def test_a_text_of_the_same_expression_gives_the_same_value() -> None:
    expression = (x + y) * z
    assert gx.compile(str(expression)).value_and_grad(**POINT)[1] == gx.compile(expression).value_and_grad(**POINT)[1]


@pytest.mark.parametrize(
    ("expression", "code", "found"),
    [
        (sp.LambertW(x) + y, "GC101", "no op for LambertW"),
        (sp.Integral(sp.exp(-(x**2)), (x, 0, y)), "GC101", "no op for Integral"),
        (sp.Function("g")(x), "GC101", "no op for g"),
        (sp.I * x, "GC106", "a real value"),
        (sp.zoo, "GC106", "a real value"),
        (sp.Symbol("x_{1}"), "GC103", "found 'x_{1}'"),
        (sp.Symbol("x") + x, "GC102", "both called x"),
        (sp.MatrixSymbol("A", 2, 2), "GC106", "MatrixSymbol A"),
        (sp.Matrix(0, 0, []), "GC106", "a matrix with elements"),
    ],
    ids=str,
)
def test_what_is_no_model_is_refused(expression: Any, code: str, found: str) -> None:
    with pytest.raises(gx.GraphcError, match=r"<sympy>:1:1") as caught:
        gx.compile(expression)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, found in diagnostic.message) == (code, True), diagnostic.message
