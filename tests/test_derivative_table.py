"""The 22 rules of the table of derivatives: what graphc derives is equal to the rule, proven by SymPy."""

from __future__ import annotations

import pytest
import sympy

import graphc
from docs.derivatives_page import RULES, DerivativeRule, derivatives_page, partials_of, symbols, total_derivative
from graphc.errors import GraphcError

COMPOSITE = "u = 1 + x ** 2\nv = exp(x)\nw = sin(x)\n"


def _is_zero(expression: sympy.Expr) -> bool:
    return any(sympy.simplify(form) == 0 for form in (expression, expression.rewrite(sympy.exp)))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.formula)
def test_rule_in_free_symbols(rule: DerivativeRule) -> None:
    assert _is_zero(total_derivative(rule) - rule.derivative(symbols()))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.formula)
def test_rule_in_functions_of_x(rule: DerivativeRule) -> None:
    s = symbols()
    functions = {s.u: 1 + s.x**2, s.v: sympy.exp(s.x), s.w: sympy.sin(s.x)}
    slopes = {slope: sympy.diff(functions[of], s.x) for slope, of in ((s.du, s.u), (s.dv, s.v), (s.dw, s.w))}
    expected = sympy.sympify(rule.derivative(s)).subs({**slopes, **functions})
    assert _is_zero(partials_of(rule.formula, "x", COMPOSITE)[0] - expected)


@pytest.mark.parametrize("rule", RULES[2:], ids=lambda rule: rule.formula)
def test_rule_as_it_is_compiled(rule: DerivativeRule) -> None:
    s = symbols()
    model = graphc.compile(rule.formula, wrt=["u"])
    found = model.to_sympy("d_u").subs({sympy.Symbol(str(v), real=True): v for v in vars(s).values()})
    expected = sympy.sympify(rule.derivative(s)).subs({s.du: 1, s.dv: 0, s.dw: 0})
    assert _is_zero(found - expected)


def test_a_wrong_rule_is_found() -> None:
    wrong = DerivativeRule("", "u / v", lambda s: s.du / s.v + s.u / s.v**2 * s.dv)
    assert not _is_zero(total_derivative(wrong) - wrong.derivative(symbols()))


def test_page_has_a_row_for_each_rule() -> None:
    assert len(RULES) == 22
    assert sum(line.startswith("| $") for line in derivatives_page().splitlines()) == 22


def test_page_shows_the_sign_of_a_sum() -> None:
    (row,) = (line for line in derivatives_page().splitlines() if "`cot(u)`" in line)
    assert row.endswith(r"| $-\left(\cot^{2}{\left(u \right)} + 1\right) \frac{du}{dx}$ |")


def test_mathematics_of_a_model() -> None:
    x, y = sympy.symbols("x y", real=True)
    model = graphc.compile("relu(x) * y + 0.5")
    assert model.to_sympy() == sympy.Max(x, 0) * y + sympy.Rational(1, 2)
    assert model.to_sympy("d_x").subs({x: 2}) == y
    assert model.to_sympy("d_x").subs({x: -2}) == 0
    assert graphc.compile("where(x > 0, x, 2 * x)").to_sympy().subs(x, -3) == -6


def test_what_has_no_expression_is_refused() -> None:
    with pytest.raises(GraphcError, match=r"expected scalars and elementwise operations for SymPy, found float64\[3\]"):
        graphc.compile("v: Input[3]\nf: Output = sum(v)").to_sympy()
    with pytest.raises(ValueError, match="expected one of f, d_x, found g"):
        graphc.compile("sin(x)").to_sympy("g")
