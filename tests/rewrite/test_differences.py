"""Sums and products regrouped on request: what is lost is within the bound of each rule, far from zero too."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import graphc
from graphc import calculus
from graphc.cli import main
from graphc.generated import difference
from graphc.provenance import Options, Provenance, read_provenance
from graphc.rewrite import differences
from graphc.rewrite.differences import DIFFERENCES
from graphc.rewrite.pattern import Rule
from graphc.rewrite.reassociate import CANCELLING
from tests.benchmarks.cases.fits import KMEANS, MIXTURE
from tests.evaluate import evaluate
from tests.rewrite.test_rules import before_and_after

Arrays = Mapping[str, np.ndarray]
ROUNDINGS = 40
"""How many there may be in a bound that is a few, of sums of at most so many terms."""


def apart(p: Arrays) -> np.ndarray:
    """|x - y| + spread, of points along the last axis; y is the smaller side, of which the mean is rounded too."""
    rounded = len(p["y"]) * p["eps"] * np.max(np.abs(p["y"]), axis=0)
    return np.abs(p["x"] - p["y"]) + np.ptp(p["y"], axis=0) + rounded


def added(array: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The sum over the axes along which an array was broadcast."""
    array = array.sum(axis=tuple(range(array.ndim - like.ndim)))
    return array.sum(axis=tuple(k for k, size in enumerate(like.shape) if size == 1), keepdims=True)


def of_common_factor(p: Arrays) -> Arrays:
    a, b, x, ct = (np.abs(p[name]) for name in ("a", "b", "x", "d_f"))
    return {"f": (a + b) * x, "d_a": ct * x, "d_b": ct * x, "d_x": ct * (a + b)}


def of_distance(p: Arrays) -> Arrays:
    pulled = 2 * np.abs(p["d_f"])[..., None] * apart(p)
    return {"f": np.sum(apart(p) ** 2, axis=-1), **{f"d_{name}": added(pulled, p[name]) for name in "xy"}}


def of_weighted(p: Arrays) -> Arrays:
    w, ct = np.abs(p["w"]), np.abs(p["d_f"])
    sides = {f"d_{name}": added(w * ct, p[name]) for name in "xy"}
    return {"f": np.sum(w * apart(p), axis=0), "d_w": added(ct * apart(p), p["w"]), **sides}


def of_product(p: Arrays) -> Arrays:
    b, ct = np.abs(p["b"]), np.abs(p["d_f"])
    sides = {f"d_{name}": added(ct @ b.T, p[name]) for name in "xy"}
    return {"f": apart(p) @ b, "d_b": np.einsum("nkj,nki->ji", apart(p), ct), **sides}


def of_stack(p: Arrays) -> Arrays:
    diagonal = p.get("e", np.zeros(p["a"].shape[:-1]))
    a, ct = np.abs(p["a"]) + np.abs(diagonal)[..., None] * np.eye(8), np.abs(p["d_f"])
    sides = {f"d_{name}": added(np.einsum("nki,kij->nkj", ct, a), p[name]) for name in "xy"}
    outer = np.einsum("nki,nkj->kij", ct, apart(p))
    found = {"f": np.einsum("kij,nkj->nki", a, apart(p)), "d_a": outer, **sides}
    return {**found, "d_e": np.einsum("kii->ki", outer)} if "e" in p else found


BOUNDS: Mapping[str, Callable[[Arrays], Arrays]] = {
    "common_factor_of_sum": of_common_factor,
    "common_factor_of_difference": of_common_factor,
    "squared_distance": of_distance,
    "squared_distance_of_shared": of_distance,
    "weighted_difference": of_weighted,
    "product_of_difference": of_product,
    "matrix_on_difference": of_stack,
    "matrix_and_diagonal_on_difference": of_stack,
}


def worst(rule: Rule, offset: float, dtype: str) -> float:
    """The largest error in units of the rule's bound and the float type, in the value and all gradients."""
    before, after = before_and_after(rule)
    rng = np.random.default_rng(3)
    found = 0.0
    for scale in (1.0, 1e-2):
        values = {str(n.attrs["name"]): rng.normal(size=n.tensor.shape) for n in before.inputs}
        for name in {"x", "y"} & {*values}:
            values[name] = scale * values[name] + offset
        given = {name: value.astype(dtype) for name, value in values.items()}
        # Some pairs are one point.
        if "y" in given and given["x"].ndim == 3:
            given["x"][:4, 0] = given["y"][:4]
        exact = evaluate(before, given, dtype="longdouble")
        rounded = evaluate(after, given, dtype=dtype)
        eps = np.finfo(dtype).eps
        bounds = BOUNDS[rule.name]({**{k: value.astype("longdouble") for k, value in given.items()}, "eps": eps})
        assert bounds.keys() == exact.keys()
        for name, bound in bounds.items():
            error = np.abs(np.asarray(rounded[name], "longdouble") - exact[name])
            found = max(found, float(np.max(error / bound)) / float(eps))
    return found


RULES = {rule.name: rule for rule in (*CANCELLING, *DIFFERENCES)}


def test_every_rule_that_may_cancel_has_a_bound() -> None:
    assert BOUNDS.keys() == RULES.keys()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
@pytest.mark.parametrize("name", RULES)
def test_errors_are_within_the_bound(name: str, offset: float, dtype: str) -> None:
    assert worst(RULES[name], offset, dtype) <= ROUNDINGS


@pytest.mark.parametrize("name", [rule.name for rule in DIFFERENCES])
def test_without_the_middle_taken_off_the_bound_does_not_hold(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differences, "_middle", lambda points, axis: 0.0 * differences.mean(points, axis=axis))
    assert worst(RULES[name], 0.0, "float64") <= ROUNDINGS
    assert worst(RULES[name], 1e3, "float64") > ROUNDINGS


PAIRS = "X: Input[N, 5]\nc: Param[K, 5]\n"


def code(text: str, *, reassociate: bool = True, **options: object) -> str:
    return graphc.compile(text, reassociate=reassociate, **options).source_text  # type: ignore[arg-type]


def fired(text: str, **options: object) -> set[str]:
    model = graphc.compile(text, reassociate=True, gradient=False, **options)  # type: ignore[arg-type]
    return {firing.rule for firing in model.rewrites} & {*RULES}


@pytest.mark.parametrize(
    ("formula", "rule"),
    [
        ("sum(square(X[:, None, :] - c), axis=2)", "squared_distance"),
        ("sum((c - X[:, None]) ** 2, axis=-1, keepdims=True)", "squared_distance"),
        ("sum((X[:, None] - X) ** 2, axis=2)", "squared_distance"),
        ("sum((X[None] - c[:, None]) ** 2, axis=2)", "squared_distance"),
        ("sum((X[:, None] - c[None]) ** 2, axis=(1, 2))", None),
        ("sum((X - c[0]) ** 2, axis=1)", None),
        ("sum((X[:, None, :2] - c[:, :2]) ** 2, axis=2)", None),
        ("sum((X[None, :, None] - c) ** 2, axis=3)", None),
        ("sum((X[:, None, None] - c[:, None]) ** 2, axis=3)", "squared_distance"),
        ("sum(abs(X[:, None] - c), axis=2)", None),
        ("sum(w[..., None] * (X[:, None] - c), axis=0)", "weighted_difference"),
        ("sum((c - X[:, None]) * w[..., None], axis=0, keepdims=True)", "weighted_difference"),
        ("sum(w[..., None] * (X[:, None] - c), axis=1)", "weighted_difference"),
        ("sum(w[..., None] * (X[:, None] - c), axis=(0, 1))", "weighted_difference"),
        ("sum(w[..., None] * (X[:, None] - c), axis=2)", None),
        ("sum(w[:, :1, None] * (X[:, None] - c), axis=0)", "weighted_difference"),
        ("(X[:, None] - c) @ A[0]", "product_of_difference"),
        ("(X - c[0]) @ A[0]", None),
        ("(A @ (X[:, None] - c)[..., None])[..., 0]", "matrix_on_difference"),
        ("(A[0] @ (X[:, None] - c)[..., None])[..., 0]", "matrix_on_difference"),
        ("e * (X[:, None] - c) + (A @ (X[:, None] - c)[..., None])[..., 0]", "matrix_and_diagonal_on_difference"),
    ],
)
def test_where_products_are_factored_out(formula: str, rule: str | None) -> None:
    declared = {
        "X": "X: Input[N, 5]",
        "c": "c: Param[K, 5]",
        "A": "A: Param[K, 5, 5]",
        "e": "e: Param[K, 5]",
        "w": "w: Param[N, K]",
    }
    used = [line for name, line in declared.items() if re.search(rf"\b{name}\b", formula)]
    text = "\n".join([*used, f"f: Output = {formula}"])
    assert fired(text) == ({rule} if rule else set())
    assert all(firing.rule not in RULES for firing in graphc.compile(text, gradient=False).rewrites)


def test_a_difference_that_is_needed_anyway_stays() -> None:
    text = "X: Input[N, {d}]\nc: Param[K, {d}]\ndiff = X[:, None] - c\nd: Output = sum(square(diff), axis=2)\n"
    both = text.format(d=4)
    assert fired(both) == {"squared_distance"}
    assert fired(f"{both}m: Output = max(diff)") == set()
    # In many coordinates a matrix product is cheaper than to go through them once more.
    assert fired(f"{text.format(d=16)}m: Output = max(diff)") == {"squared_distance_of_shared"}
    by_diff = graphc.compile(f"{both}loss: Output = sum(d)", wrt=["diff"], loss="loss", reassociate=True)
    assert not {firing.rule for firing in by_diff.rewrites} & {*RULES}


STEP = "def step(s, x):\n    s = s + sum(exp(-sum((x[:, None] - c) ** 2, axis=2)))\n    return s, s\n"


@pytest.mark.parametrize(
    ("shapes", "text"),
    [
        ({"X": "B, N, 6", "c": "B, K, 6"}, "d = sum((X[:, :, None] - c[:, None]) ** 2, axis=3)"),
        ({"X": "N, 6, 4", "c": "K, 6, 4"}, "d = sum((X[:, None] - c) ** 2, axis=(2, 3))"),
        ({"X": "6, N", "c": "6, K"}, "d = sum((X[:, :, None] - c[:, None]) ** 2, axis=0, keepdims=True)"),
        ({"X": "N, 6", "c": "K, 6"}, "e = sum(exp(-sum((X[:, None] - c) ** 2, axis=2)))\nd = grad(e, c)"),
        ({"X": "T, N, 6", "c": "K, 6"}, f"{STEP}d, _ = scan(step, 0.0, X)"),
        ({"X": "N, 6", "c": "K, 6", "w": "N, K"}, "d = sum(w[..., None] * (X[:, None] - c), axis=(0, 1))"),
        ({"X": "N, 6", "c": "K, 6", "w": "K"}, "d = sum((X[:, None] - c) * w[None, :, None], axis=(1,))"),
        ({"X": "N, 6", "c": "K, 6", "w": "N, K"}, "d = sum(w[..., None] * (X[:, None] - c), axis=0, keepdims=True)"),
        ({"X": "M, N, 6", "c": "K, 6", "W": "6, 7"}, "d = (c - X[:, :, None]) @ W"),
        ({"X": "M, N, 6", "c": "K, 6", "A": "K, 4, 6"}, "d = (A @ (X[:, :, None] - c)[..., None])[..., 0]"),
        ({"X": "N, 6", "c": "L, K, 6", "A": "L, K, 4, 6"}, "d = (A @ (X[:, None, None] - c)[..., None])[..., 0]"),
    ],
)
@pytest.mark.parametrize("empty", ["", "N", "K"])
def test_any_axes_also_empty_ones(shapes: Mapping[str, str], text: str, empty: str) -> None:
    head = "".join(f"{name}: Param[{shape}]\n" for name, shape in shapes.items())
    source = f"{head}{text}\nloss: Output = sum(tanh(d))"
    plain, regrouped = (graphc.compile(source, reassociate=on) for on in (False, True))
    assert {firing.rule for firing in regrouped.rewrites} & {*RULES}
    sizes = {**dict(zip("BKLMNT", (2, 3, 4, 2, 5, 3), strict=True)), empty: 0}
    rng = np.random.default_rng(0)
    params = {
        name: rng.normal(size=[sizes[s] if s in sizes else int(s) for s in shape.split(", ")])
        for name, shape in shapes.items()
    }
    (loss, gradients), (found, others) = (model.value_and_grad(params) for model in (plain, regrouped))
    np.testing.assert_allclose(found, loss, rtol=1e-12)
    for name, expected in gradients.items():
        np.testing.assert_allclose(others[name], expected, rtol=1e-9, atol=1e-12)


def test_two_uses_of_a_difference_are_factored() -> None:
    text = "diff = X[:, None] - c\nw = softmax(-sum(square(diff), axis=2), axis=1)\n"
    text = f"X: Input[N, 16]\nc: Param[9, 16]\n{text}loss: Output = sum(square(sum(w[..., None] * diff, axis=0)))"
    assert fired(text) == {"squared_distance_of_shared", "weighted_difference"}
    body = re.sub("#.*", "", code(text)).split("def value_and_grad")[1].split("_INPUTS")[0]
    assert "X[:, None]" not in body and "axis=()" not in body
    c, X = np.random.default_rng(0).normal(size=(9, 16)), np.random.default_rng(1).normal(size=(7, 16))
    plain, regrouped = (graphc.compile(text, reassociate=on) for on in (False, True))
    expected, found = (model.value_and_grad({"c": c}, X=X)[1]["c"] for model in (plain, regrouped))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def mixture(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    shapes = {"alphas": 25, "means": (25, 20), "logs": (25, 20), "lower": (25, 20, 20)}
    return {k: 0.3 * rng.normal(size=s) for k, s in shapes.items()}, {"X": rng.normal(size=(30, 20))}


def kmeans(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    return {"centers": rng.normal(size=(100, 16))}, {"X": rng.normal(size=(50, 16))}


CASES = {"mixture": (MIXTURE, mixture), "k-means": (KMEANS, kmeans)}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("optimize", ["readable", "speed"])
def test_the_benchmarks_compute_the_same_with_less(case: str, optimize: str) -> None:
    text, arrays = CASES[case]
    params, data = arrays(np.random.default_rng(0))
    plain = graphc.compile(text, optimize=optimize)  # type: ignore[arg-type]
    regrouped = graphc.compile(text, optimize=optimize, reassociate=True)  # type: ignore[arg-type]
    (loss, gradients), (found, others) = (m.value_and_grad(params, **data) for m in (plain, regrouped))
    np.testing.assert_allclose(found, loss, rtol=1e-12)
    for name, expected in gradients.items():
        np.testing.assert_allclose(others[name], expected, rtol=1e-9, atol=1e-11)
    before, after = (m.cost({"N": 1000}).function("value_and_grad") for m in (plain, regrouped))
    less = {"mixture": (0.96, 0.7, 0.8), "k-means": (0.95, 0.7, 0.4)}[case]
    assert after.cost.flops < less[0] * before.cost.flops
    assert after.cost.moved < less[1] * before.cost.moved
    assert after.peaks[0] < less[2] * before.peaks[0]


def test_the_difference_of_all_pairs_is_never_made() -> None:
    text = code(MIXTURE, dtype="float32")
    body = text.split("def value_and_grad")[1].split("_INPUTS")[0]
    assert "diff" not in body.replace("diff[..., None]", "").replace("* diff +", "")
    assert len(re.findall(r"np\.dot|@", body.split("# grad of", 1)[1])) < 12
    assert "X[:, None]" not in re.sub("#.*", "", code(KMEANS))


def test_squared_distances_are_not_negative_and_keep_their_gradient() -> None:
    text = f"{PAIRS}d: Output = sum(square(X[:, None] - c), axis=2)\nloss: Output = sum(d)"
    model = graphc.compile(text, loss="loss", wrt=["X", "c"], reassociate=True)
    c = np.random.default_rng(1).normal(size=(300, 5)).astype(np.float32)
    X = c[::-1] + np.float32(1e-5)
    outputs, _ = model.forward({"c": c}, X=X)
    assert outputs.d.dtype == np.float32 and outputs.d.min() == 0.0
    expected = 2 * np.sum(np.float64(c)[:, None] - X, axis=1)
    gradient = model.value_and_grad({"c": c}, X=X)[1]["c"]
    np.testing.assert_allclose(gradient, expected, atol=2e-3)
    nan = model.forward({"c": np.full((2, 5), np.nan)}, X=np.ones((3, 5)))[0].d
    assert np.isnan(nan).all()


def test_everything_a_module_has_is_regrouped() -> None:
    text = "X: Input[N, 5]\nc: Param[4, 5]\nloss: Output = sum(exp(-sum(square(X[:, None] - c), axis=2)))"
    extras = ["hvp", "jvp", "train_step", "check", "flat"]
    body = re.sub("#.*", "", code(text, with_=extras))
    assert "X[:, None] -" not in body and body.count("    mean_1 = ") >= 5
    rng = np.random.default_rng(0)
    params, v, X = {"c": rng.normal(size=(4, 5))}, {"c": rng.normal(size=(4, 5))}, rng.normal(size=(6, 5))
    plain, regrouped = (graphc.compile(text, with_=extras, reassociate=on).module for on in (False, True))
    np.testing.assert_allclose(
        regrouped.hvp(params, v, X=X)["c"], plain.hvp(params, v, X=X)["c"], rtol=1e-9, atol=1e-12
    )
    assert regrouped.check()
    derived = calculus.grad(graphc.compile(text, reassociate=True, gradient=False), wrt="c")
    assert derived.provenance.options.reassociate and "X[:, None] -" not in re.sub("#.*", "", derived.source_text)


def test_rewrites_are_listed_and_shown_one_by_one() -> None:
    model = graphc.compile(MIXTURE, reassociate=True)
    (number,) = [k for k, f in enumerate(model.rewrites, 1) if f.rule == "matrix_and_diagonal_on_difference"]
    change = model.change(number)
    assert change.firing is not None and change.firing.span is not None and change.firing.span.line == 9
    assert "square" in {node.op.name for node in model.change().before.nodes}
    again = pickle.loads(pickle.dumps(model))
    assert again.source_text == model.source_text and len(again.rewrites) == len(model.rewrites)


def test_the_header_says_so_and_is_checked(tmp_path: Path) -> None:
    source, module = tmp_path / "kmeans.gc", tmp_path / "kmeans.py"
    source.write_text(KMEANS)
    runner = CliRunner()
    assert runner.invoke(main, ["compile", str(source), "--reassociate", "-o", str(module)]).exit_code == 0
    head = module.read_text().split('"""')[1]
    assert "Options: --reassociate\n" in head and "Sums and products are regrouped" in head
    assert difference(module) == ""
    assert "regrouped" not in graphc.compile(KMEANS).source_text
    drawn = runner.invoke(main, ["draw", str(source), "--reassociate", "--view", "diff"])
    assert drawn.exit_code == 0 and "minimum" in drawn.output
    listed = runner.invoke(main, ["show", str(source), "--reassociate", "--rewrites"]).output
    assert "squared_distance" in listed
    origin = Provenance("0.1.0", "a.gc", "0123456789abcdef", Options(reassociate=True, optimize="speed"))
    assert read_provenance(f"{origin}\n\ninputs   x: float64[]") == origin
    assert read_provenance(str(replace(origin, options=Options()))) == replace(origin, options=Options())
