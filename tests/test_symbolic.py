"""The bridge to SymPy: its known traps, kinks and jumps, and what is no op."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import sympy

from graphc.builder import Builder
from graphc.op import Op, elementwise
from graphc.symbolic import from_sympy, mathematics, partials
from graphc.tensor_type import TensorType
from graphc.value import Value
from tests.evaluate import evaluate
from tests.ops.checks import gradient_at, text_value

x, y = sympy.symbols("x y", real=True)


def _value(expression: sympy.Expr, **values: float) -> float:
    builder = Builder()
    inputs = {name: builder.input(name, TensorType("float64")) for name in values}
    result = from_sympy(expression, inputs)
    node = (builder.constant(0.0) + result).node
    return float(np.asarray(evaluate(builder.finish({"f": node}), values)["f"]))


@pytest.mark.parametrize(
    ("expression", "values", "expected"),
    [
        (2 * x / y - 1, {"x": 3.0, "y": 4.0}, 0.5),
        (x**-2, {"x": 2.0}, 0.25),
        (1 / (x * sympy.log(2)), {"x": 1.0}, 1 / np.log(2)),
        (sympy.sqrt(x) + sympy.pi, {"x": 4.0}, 2 + np.pi),
        (x ** sympy.Rational(1, 3), {"x": 8.0}, 2.0),
        (sympy.Max(x, y, 0), {"x": -1.0, "y": 2.0}, 2.0),
        (sympy.Min(x, y), {"x": -1.0, "y": 2.0}, -1.0),
        (sympy.Piecewise((x, x > 0), (2 * x, x > -1), (0, True)), {"x": -0.5}, -1.0),
        (sympy.Piecewise((x, (x > 0) & (y > 0)), (1, True)), {"x": 3.0, "y": -1.0}, 1.0),
        (sympy.Heaviside(x), {"x": 0.0}, 0.5),
        (sympy.Heaviside(x, 0), {"x": 0.0}, 0.0),
        (sympy.Mod(x, 2), {"x": -0.5}, 1.5),
        (sympy.Abs(x) + sympy.ceiling(x), {"x": -1.5}, 0.5),
        (x * sympy.exp(-x), {"x": 800.0}, 0.0),
    ],
)
def test_expressions(expression: sympy.Expr, values: dict[str, float], expected: float) -> None:
    assert _value(expression, **values) == pytest.approx(expected, rel=1e-14, abs=1e-300)


def _op(math: Callable[..., sympy.Expr], numpy: str) -> Op:
    return elementwise("tried", math, numpy, coercion="float")


@pytest.mark.parametrize(
    ("op", "point", "expected"),
    [
        (_op(lambda sp, x: sp.sign(x) * x, "np.abs(x)"), (2.0,), [1]),
        (_op(lambda sp, x: sp.floor(x) + x**2, "np.floor(x) + x ** 2"), (1.5,), [3]),
        (_op(lambda sp, x: sp.Max(x, 0), "np.maximum(x, 0.0)"), (0.0,), [0.5]),
        (_op(lambda sp, x: sp.Max(x, 0), "np.maximum(x, 0.0)"), (2.0,), [1]),
        (_op(lambda sp, x, y: x**y, "x ** y"), (0.0, 2.0), [0, np.nan]),
        (_op(lambda sp, x: x**3, "x ** 3"), (-2.0,), [12]),
        (_op(lambda sp, x: 0 * x + 2, "x * 0 + 2"), (1.0,), [0]),
        (
            _op(lambda sp, x: sp.Piecewise((sp.exp(x) - 1, x < 0), (x, True)), "np.where(x < 0, np.expm1(x), x)"),
            (0.0,),
            [1],
        ),
    ],
)
def test_derived_partials(op: Op, point: tuple[float, ...], expected: list[float]) -> None:
    np.testing.assert_allclose(gradient_at(op, point), expected)


def test_derivative_reuses_the_result() -> None:
    builder = Builder()
    a = builder.input("x", TensorType("float64"))
    op = _op(lambda sp, x: sp.exp(2 * x), "np.exp(2 * x)")
    (partial,) = partials(op)
    assert partial is not None
    result = builder.apply(op, [a])
    factor = partial(result, a)
    assert isinstance(factor, Value)
    nodes = builder.finish({"d": factor.node}).nodes
    assert [node.op.name for node in nodes] == ["input", "tried", "const", "mul"]


def test_zero_partial_is_none() -> None:
    assert partials(_op(lambda sp, x, y: x + 0 * y, "x"))[1] is None
    assert partials(_op(lambda sp, x: sp.floor(x), "np.floor(x)")) == (None,)


def test_symbols_are_real() -> None:
    expression, symbols = mathematics(_op(lambda sp, x: sp.sqrt(x**2), "np.abs(x)"))
    assert expression == sympy.Abs(symbols[0])


def test_unknown_function_is_named() -> None:
    builder = Builder()
    with pytest.raises(NotImplementedError, match="no op for gamma in gamma"):
        from_sympy(sympy.gamma(x), {"x": builder.input("x", TensorType("float64"))})


def test_text_of_an_op_made_of_sympy() -> None:
    assert text_value(_op(lambda sp, x: x**3, "x ** 3"), (2.0,)) == 8


def test_sympy_is_imported_at_first_need() -> None:
    code = "import graphc.ops, graphc.symbolic, sys; sys.exit('sympy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
