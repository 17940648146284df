"""Formulas: brackets where they are needed and nowhere else, in each spelling."""

from __future__ import annotations

import pytest

import graphc
from graphc.backends.formulas import notation_of
from graphc.backends.maths import Term, added, applied, negated, numeral, power, symbol, transposed
from graphc.graph import Graph, Node


def formula(text: str) -> str:
    """An expression written as one formula."""
    return written(graphc.compile(text, gradient=False).graph)


def written(graph: Graph) -> str:
    """What the last node of a graph computes, as one formula."""
    terms: dict[Node, Term] = {}
    for node in graph.nodes:
        operands = [terms[operand] for operand in graph.operands(node)]
        terms[node] = applied(graph, node, operands) if operands else symbol(graph.name(node))
    return terms[graph.nodes[-1]].text


@pytest.mark.parametrize(
    "text",
    ["a − (b − c)", "a − b − c", "(a + b) · c", "a / (b · c)", "(a / b) / c", "a · (b / c)", "−(a + b)", "a · b · c"],
)
def test_brackets_stay_where_they_matter(text: str) -> None:
    python = text.replace("−", "-").replace("·", "*")
    names = dict.fromkeys("abc", 0.0) | {"a": 7.0, "b": 3.0, "c": 2.0}
    written = formula(python).replace("−", "-").replace("·", "*")
    assert eval(written, names) == pytest.approx(eval(python, names))
    assert len(written) <= len(python)


def test_signs_of_terms_and_numbers() -> None:
    x = symbol("x")
    assert added([x, negated(x), numeral("−2")]).text == "x − x − 2"
    assert power(numeral("−2"), numeral("2")).latex == r"{\left(-2\right)}^{2}"
    assert transposed(added([x, x])).text == "(x + x)ᵀ"
    assert numeral("1.5e−7").latex == r"1.5 \cdot 10^{-7}"


def test_what_latex_takes_for_commands_is_escaped() -> None:
    assert symbol("a_b").latex == r"\mathit{a\_b}"
    assert symbol("50%{}").latex == r"\mathit{50\%\{\}}"


def test_a_cross_product_is_not_a_product_of_elements() -> None:
    model = graphc.compile("a: Input[3]\nb: Input[3]\nf: Output = cross(a, b) * b", gradient=False)
    assert written(model.graph) == "cross(a, b) ⊙ b"
    assert list(notation_of(model.graph).formulas.values())[-2:] == ["cross(a, b)", "v₁ ⊙ b"]


def test_a_product_of_matrices_holds_together_more_tightly_than_one_of_elements() -> None:
    model = graphc.compile("X: Input[N, 3]\ny: Input[N]\nw: Input[3]\nf: Output = X.T @ (-y * (X @ w))", gradient=False)
    assert written(model.graph) == "Xᵀ (−y ⊙ X w)"
    model = graphc.compile("X: Input[N, 3]\nw: Input[3]\nc: Input\nf: Output = X @ (w / c) / c", gradient=False)
    assert written(model.graph) == "X (w / c) / c"
