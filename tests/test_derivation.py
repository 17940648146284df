"""Derivations: every line right in symbols and numbers, in text, LaTeX and MathML."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

import graphc

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.gc"))
FIGURE = "((x + y) + (x * y)) * z"


def test_the_figure_as_a_student_hands_it_in() -> None:
    assert graphc.compile(FIGURE).at(x=2, y=3, z=4).derive("x").text.splitlines() == [
        "v₁ = x + y = 2 + 3 = 5",
        "v₂ = x · y = 2 · 3 = 6",
        "v₃ = v₁ + v₂ = 5 + 6 = 11",
        "f = v₃ · z = 11 · 4 = 44",
        "∂f/∂f = 1",
        "∂f/∂v₃ = ∂f/∂f · z = 1 · 4 = 4                  (product rule)",
        "∂f/∂v₁ = ∂f/∂v₃ = 4                             (sum rule)",
        "∂f/∂v₂ = ∂f/∂v₃ = 4                             (sum rule)",
        "∂f/∂x = ∂f/∂v₁ + ∂f/∂v₂ · y = 4 + 4 · 3 = 16    (sum over 2 paths: sum rule, product rule)",
    ]


def test_a_derivation_has_only_what_its_variable_needs() -> None:
    lines = graphc.compile(FIGURE).derive("z").lines
    assert [line.equation.text for line in lines if line.kind == "backward"] == ["∂f/∂z = ∂f/∂f · v₃"]


@pytest.mark.parametrize(
    ("model", "at", "last"),
    [
        ("w1**3 * w2 + 3 * w1", {"w1": 2, "w2": 3}, "∂f/∂w₁ = ∂f/∂v₁ · 3 · w₁² + ∂f/∂v₃ · 3 = 3 · 3 · 2² + 1 · 3 = 39"),
        ("x * x", {"x": -3}, "∂f/∂x = ∂f/∂f · x + ∂f/∂f · x = 1 · (−3) + 1 · (−3) = −6"),
        ("x / (x - y)", {"x": 1, "y": 3}, None),
        ("a: Input; x: Output = a * 3; loss: Output = x * a", {"a": 2}, "∂loss/∂a = "),
    ],
)
def test_numbers_are_put_in(model: str, at: dict[str, float], last: str | None) -> None:
    found = graphc.compile(model).at(**at)
    derivation = found.derive()
    ends = {line.sides[0].text: line.sides[-1].text for line in derivation.lines}
    for name in found.joint.gradients:  # type: ignore[union-attr]
        (mine,) = [end for start, end in ends.items() if start.replace("₁", "1").replace("₂", "2").endswith(f"∂{name}")]
        assert float(mine.replace("−", "-")) == pytest.approx(float(found.gradient(name)), rel=1e-3)
    if last is not None:
        assert any(line.equation.text.startswith(last) for line in derivation.lines)


def test_the_lecture_s_matrix_form() -> None:
    model = graphc.compile(next(path for path in EXAMPLES if path.stem == "two_layer_network"))
    text = model.derive(simplified=True).text
    assert "∂loss/∂logits = (exp(v₂) − v₃) / N" in text
    assert "∂loss/∂W₂ = v₁ᵀ ∂loss/∂logits" in text
    assert "∂loss/∂W₁ = Xᵀ (∂loss/∂logits W₂ᵀ ⊙ (v₁ > 0))" in text
    assert "∂loss/∂W₁ = Xᵀ ∂loss/∂v₁" in model.derive("W1").text


def test_names_that_are_bound_again_get_primes() -> None:
    text = graphc.compile("x: Input; h = sin(x); h = cos(h); f: Output = h * x").derive().text
    assert "h′ = cos(h)" in text
    assert "∂f/∂h = " in text
    assert "∂f/∂h′ = ∂f/∂f · x" in text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_can_be_derived(path: Path) -> None:
    model = graphc.compile(path)
    for derivation in (model.derive(), model.derive(simplified=True)):
        assert "const()" not in derivation.text
        assert "size()" not in derivation.text
        ElementTree.fromstring(derivation.mathml.replace("&#8290;", "·"))
        latex = derivation.latex
        assert latex.count("{") == latex.count("}")
        assert latex.count(r"\left(") == latex.count(r"\right)")
        assert latex.isascii(), "LaTeX has a command for each sign"


def test_small_arrays_are_shown() -> None:
    at = graphc.compile("v: Input[2]; f: Output = sum(v * v)").at(v=np.array([1.0, -2.0]))
    assert any(line.equation.text == "v₁ = v ⊙ v = [1, 4]" for line in at.derive().lines)


def test_unknown_variables_and_models_without_a_loss_are_refused() -> None:
    with pytest.raises(ValueError, match="expected variables among x, y, z, found w"):
        graphc.compile(FIGURE).derive("w")
    with pytest.raises(ValueError, match="expected a scalar loss to derive, found none"):
        graphc.compile("x * 2", gradient=False).derive()
