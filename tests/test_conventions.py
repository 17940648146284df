"""A model's conventions reach every derivative of it: both modes, every order, batches, functions and modules."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc.errors import GraphcError
from graphc.generated import difference
from graphc.op import Conventions, Op
from graphc.ops import OPS
from graphc.provenance import Options, Provenance, read_provenance
from graphc.symbolic import partials

SLOPE: dict[Conventions, float] = {"graphc": 0.0, "torch": 0.0, "jax": 1.0}


@pytest.mark.parametrize(("conventions", "slope"), SLOPE.items())
def test_derivatives_of_a_model_take_its_conventions(conventions: Conventions, slope: float) -> None:
    m = graphc.compile("abs(x)", conventions=conventions)
    assert m.value_and_grad(x=0.0)[1]["x"] == slope
    assert m.backward(m.forward(x=0.0)[1])["x"] == slope
    assert graphc.grad(m)(x=0.0) == slope
    assert graphc.jvp(m)(x=0.0, x_dot=1.0)[1] == slope
    assert graphc.vjp(m)(x=0.0, d_f=1.0)[1] == slope
    assert graphc.jacobian(m)(x=0.0) == slope
    assert graphc.vmap(graphc.grad(m))(x=[0.0, -2.0]).tolist() == [slope, -1.0]
    assert graphc.per_example_grad(m)(x=[0.0, -2.0]).tolist() == [slope, -1.0]


@pytest.mark.parametrize(("conventions", "slope"), SLOPE.items())
def test_derivatives_of_derivatives_take_them_too(conventions: Conventions, slope: float) -> None:
    m = graphc.compile("x * abs(x)", conventions=conventions)
    # x |x| has the slope 2 |x|, of which the product rule makes |x| + x sign(x): slopes at 0 add up.
    assert graphc.grad(graphc.grad(m))(x=0.0) == 2 * slope
    assert graphc.hvp(m)(x=0.0, x_dot=1.0) == 2 * slope
    assert graphc.hessian(m)(x=0.0) == 2 * slope


@pytest.mark.parametrize(("conventions", "slope"), SLOPE.items())
def test_a_derivative_in_a_model(conventions: Conventions, slope: float) -> None:
    m = graphc.compile("x: Input\nw: Input\nf: Output = w * grad(abs(x), x)", wrt=["w"], conventions=conventions)
    value, gradients = m.value_and_grad(x=0.0, w=3.0)
    assert (value, gradients["w"]) == (3 * slope, slope)


@pytest.mark.parametrize(("conventions", "slope"), SLOPE.items())
def test_elementwise_functions(conventions: Conventions, slope: float) -> None:
    text = "@elementwise\ndef bend(t): return 3 * abs(t) + t\nx: Input\nf: Output = bend(x)"
    m = graphc.compile(text, conventions=conventions)
    assert m.value_and_grad(x=0.0)[1]["x"] == 3 * slope + 1
    assert graphc.jvp(m)(x=0.0, x_dot=1.0)[1] == 3 * slope + 1
    assert f"at kinks abs'(0) = {slope:g}\n" in m.source_text


@pytest.mark.parametrize(("conventions", "slope"), SLOPE.items())
def test_python_functions(conventions: Conventions, slope: float) -> None:
    @graphc.model(conventions=conventions)
    def f(x: graphc.f64) -> object:
        return graphc.functions.abs(x)

    assert f.value_and_grad(x=0.0)[1]["x"] == slope


def test_which_way_a_kink_is_turned_matters() -> None:
    assert graphc.compile("abs(-x)", conventions="jax").value_and_grad(x=0.0)[1]["x"] == -1
    assert graphc.compile("abs(-x)").value_and_grad(x=0.0)[1]["x"] == 0


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [((0.0, 1.0), [(0.5, 0.5, 0), (0.5, 0, 0.5), (0, 1, 0)]), ((0.5, 0.5), [(0, 0.5, 0.5), (0, 0, 1)])],
)
def test_clip_of_jax_by_its_bounds(bounds: tuple[float, float], expected: list[tuple[float, ...]]) -> None:
    m = graphc.compile("clip(x, low, high)", conventions="jax")
    for x, slopes in zip((*bounds, -1.0) if bounds[0] < bounds[1] else (-1.0, 2.0), expected, strict=True):
        assert tuple(m.value_and_grad(x=x, low=bounds[0], high=bounds[1])[1].values()) == slopes


def test_away_from_kinks_conventions_agree() -> None:
    text = "x: Input[4]\ny: Input[4]\nf: Output = sum(abs(x) * hypot(x, y) + clip(x * y, -1, 1))"
    at = {"x": np.array([-2.0, -0.3, 0.4, 3.0]), "y": np.array([0.6, -0.2, 1.0, 2.0])}
    own, *others = (graphc.compile(text, conventions=c).value_and_grad(**at)[1] for c in SLOPE)
    for other in others:
        np.testing.assert_allclose(other["x"], own["x"], rtol=1e-14)
        np.testing.assert_allclose(other["y"], own["y"], rtol=1e-14)


ALTERNATIVES = [(op, conventions) for op in OPS.values() for conventions in op.alternatives]


@pytest.mark.parametrize(("op", "conventions"), ALTERNATIVES, ids=[f"{op.name}-{c}" for op, c in ALTERNATIVES])
def test_alternatives_differ_from_the_op_and_say_so(op: Op, conventions: Conventions) -> None:
    assert op.convention and op.convention_under(conventions) != op.convention
    assert partials(op, conventions) is not partials(op)
    assert len(partials(op, conventions)) == op.arity


# the header


@pytest.mark.parametrize(
    ("expression", "printed"),
    [
        ("abs(x)", "abs'(0) = 1"),
        ("clip(x, 0, 1)", "clip'(bound) = 1/2"),
        ("hypot(x, 2 * x)", "hypot'(0, 0) = 1/2"),
        ("relu(x)", "relu'(0) = 0"),
        ("where(abs(x) > 1, x, 0)", None),
        ("sinc(x)", None),
    ],
)
def test_the_header_says_what_applies(expression: str, printed: str | None) -> None:
    found = re.findall(r"^at kinks (.*)$", graphc.compile(expression, conventions="jax").source_text, re.MULTILINE)
    assert found == ([] if printed is None else [printed])


def test_options_travel_in_the_header(tmp_path: Path) -> None:
    origin = Provenance("0.1.0", "a.gc", "0123456789abcdef", Options(conventions="torch"))
    assert str(origin).endswith("\nOptions: --conventions torch")
    assert read_provenance(f"{origin}\n\ninputs   x: float64[]") == origin


def test_unknown_conventions() -> None:
    with pytest.raises(GraphcError) as caught:
        graphc.compile("abs(x)", conventions="pytorch")  # type: ignore[arg-type]
    (found,) = caught.value.diagnostics
    assert (found.code, found.message) == ("GC415", "expected the conventions of graphc, torch or jax, found pytorch")


def test_a_module_with_conventions_that_are_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.gc"
    path.write_text("x: Input\nf: Output = abs(x)\n", encoding="utf-8")
    module = graphc.compile(path, conventions="jax").write(tmp_path / "f.py")
    edited = module.read_text(encoding="utf-8").replace("--conventions jax", "--conventions theano")
    module.write_text(edited, encoding="utf-8")
    with pytest.raises(GraphcError, match="found theano"):
        difference(module)
