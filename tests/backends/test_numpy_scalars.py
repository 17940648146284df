"""Scalars for speed: Python's floats give what the readable module gives, to rounding, and NumPy what is not finite."""

from __future__ import annotations

import itertools
import math
import re
import warnings
from typing import Any

import numpy as np
import pytest

import graphc
import graphc.ops
from graphc.backends import numpy_scalars
from graphc.op import OPS, Op

SCALAR = """
x: Input
y: Input
z: Param = zeros()
u = sin(x * y) + exp(-z) * x
v = sqrt(u * u + y * y + 1)
loss: Output = square(tanh(u / v) * z) + x * log(v) - y / (1 + z ** 4) + y ** 2.5
"""
IN_FLOATS = """
add sub mul div floor_divide mod neg power abs square exp expm1 log log1p log2 log10 sqrt sin cos tan asin acos atan
atan2 sinh cosh tanh asinh acosh atanh cot sec csc coth acsch log_base hypot
"""
"""The ops that both libraries have."""
EXTREME = (0.0, -0.0, 1.0, -1.0, 0.3, -2.5, 3.0, 710.0, -800.0, 1e-310, 1e200, -1e308, math.inf, -math.inf, math.nan)
ELEMENTWISE = [op for op in OPS.values() if op.elementwise and op.elementwise.coercion in ("number", "float")]


@pytest.fixture
def forced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Floats are used wherever that can be."""
    monkeypatch.setattr(numpy_scalars, "_FUNCTION", -(10**6))


def both(text: str, **options: Any) -> tuple[graphc.Model, graphc.Model]:
    """The readable model, and that for speed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", graphc.GraphcWarning)
        return graphc.compile(text, **options), graphc.compile(text, optimize="speed", **options)


def in_floats(model: graphc.Model) -> list[str]:
    """The functions of a module that compute with Python's floats."""
    blocks = re.split(r"^def (?=\w)", model.source_text, flags=re.MULTILINE)[1:]
    return [block[: block.index("(")] for block in blocks if re.search(r"\(\s*math,", block)]


def same(found: Any, wanted: Any, rtol: float = 1e-15, scale: float = 0.0) -> None:
    """Equal types, and numbers to rounding; the very same inf and NaN, and sign of zero where none is due to that."""
    assert type(found) is type(wanted)
    if wanted == 0 and not scale:
        assert np.signbit(found) == np.signbit(wanted)
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=scale * rtol)


def model_of(op: Op) -> str:
    """A model that applies an op to scalars."""
    names = [f"x{k}" for k in range(op.arity or 0)]
    signs = {"add": "+", "sub": "-", "mul": "*", "div": "/", "floor_divide": "//", "mod": "%", "power": "**"}
    called = f" {signs.get(op.name, ',')} ".join(names)
    text = called if op.name in signs else f"-{called}" if op.name == "neg" else f"{op.name}({called})"
    return "\n".join([*(f"{name}: Input" for name in names), f"y: Output = {text}"])


def test_ops_in_floats(forced: None) -> None:
    found = [op.name for op in ELEMENTWISE if in_floats(both(model_of(op), gradient=False)[1])]
    assert sorted(found) == sorted(IN_FLOATS.split())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", IN_FLOATS.split())
def test_op_at_ordinary_and_extreme_points(name: str, forced: None) -> None:
    """Its value and its partials; those of float32 are the same bits."""
    op = OPS[name]
    readable, fast = (model.module for model in both(f"{model_of(op)}\nloss: Output = y + x0", loss="loss"))
    assert op.arity is not None and op.elementwise is not None
    ordinary = itertools.product(
        *([low + (high - low) * k / 4 for k in range(5)] for low, high in op.elementwise.domain)
    )
    points = [(*point, np.float64) for point in (*ordinary, *itertools.product(EXTREME, repeat=op.arity))]
    points += [(*point[:-1], kind) for kind, step in ((np.float32, 7), (float, 5)) for point in points[::step]]
    for *point, kind in points:
        given = {f"x{k}": kind(value) for k, value in enumerate(point)}
        rtol = 0.0 if kind is np.float32 else 1e-15
        (value, gradient), (want, wanted) = fast.value_and_grad(**given), readable.value_and_grad(**given)
        same(fast.y(**given), readable.y(**given), rtol)
        same(value, want, rtol)
        for variable in wanted:
            same(gradient[variable], wanted[variable], 10 * rtol, 1.0)


# Formulas whose gradients need no choice.
UNARY = (
    *("sin({})", "exp({})", "log({})", "sqrt({})", "tanh({})", "square({})", "{} ** 2", "{} ** -1", "{} ** 2.5", "-{}"),
    *("atan({})", "1 / {}", "expm1({})", "log1p({})", "2 ** {}", "cosh({})", "asin({})", "square({} * 2)"),
)
BINARY = ("{} + {}", "{} - {}", "{} * {}", "{} / {}", "{} * {} + 0.5")


@pytest.mark.parametrize("seed", range(8))
def test_random_models(seed: int, forced: None) -> None:
    """All functions of a module, with the same warnings for what is not finite."""
    rng = np.random.default_rng(seed)
    names, lines = ["a", "b", "c"], []
    for k in range(8):
        template = str(rng.choice(UNARY if rng.random() < 0.6 else BINARY))
        used = [names[-1 - int(len(names) * rng.random() ** 2)] for _ in range(template.count("{}"))]
        lines.append(f"h{k} = {template.format(*used)}")
        names.append(f"h{k}")
    text = "\n".join(["a: Input", "b: Input", "c: Param = ones()", *lines, "loss: Output = h7 + h6 * h5 + a * b * c"])
    readable, fast = both(text)
    assert in_floats(fast) == ["loss", "forward", "backward", "value_and_grad"]
    for drawn in (*rng.uniform(0.1, 1, (5, 3)), *rng.normal(size=(5, 3)), *rng.choice(EXTREME, (30, 3))):
        a, b, c = map(np.float64, drawn)
        (want, wanted), expected = observed(lambda m, a=a, b=b, c=c: m.value_and_grad({"c": c}, a, b), readable)
        (value, found), warned = observed(lambda m, a=a, b=b, c=c: m.value_and_grad({"c": c}, a, b), fast)
        outputs, residuals = observed(lambda m, a=a, b=b, c=c: m.forward({"c": c}, a, b), fast)[0]
        again = observed(lambda m, r=residuals: m.backward(r), fast)[0]
        same(value, want, 1e-9)
        same(outputs.loss, want, 1e-9)
        assert warned == expected or (not warned and all(map(np.isfinite, [value, *found.values()])))
        for name in wanted:
            same(found[name], wanted[name], 1e-9, 1e-3)
            same(again[name], wanted[name], 1e-9, 1e-3)


def observed(call: Any, model: graphc.Model) -> tuple[Any, bool]:
    """What a call gives, and whether NumPy warned of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return call(model.module), bool(caught)


@pytest.mark.parametrize(
    ("formula", "point", "warning"),
    [
        ("log(x)", 0.0, "divide by zero"),
        ("sqrt(x)", -1.0, "invalid value"),
        ("1 / x", 0.0, "divide by zero"),
        ("exp(x)", 1000.0, "overflow"),
        ("x * x", 1e200, "overflow"),
        ("x - 2 * x", math.inf, "invalid value"),
        ("x ** 2.5", -8.0, "invalid value"),
        ("sin(x ** 0.5) * 2", -8.0, "invalid value"),
        ("x ** -3", 0.0, "divide by zero"),
        ("sin(x)", math.inf, "invalid value"),
    ],
)
def test_what_is_not_finite_is_numpys(formula: str, point: float, warning: str, forced: None) -> None:
    readable, fast = both(f"x: Input\ny: Output = {formula}", gradient=False)
    for module in (readable.module, fast.module):
        with pytest.warns(RuntimeWarning, match=warning):
            found = module.y(np.float64(point))
        assert not np.isfinite(found)
        with np.errstate(all="raise"), pytest.raises(FloatingPointError, match=warning):
            module.y(np.float64(point))
    assert in_floats(fast) == ["y", "evaluate"]


@pytest.mark.parametrize(
    ("declared", "formula"),
    [
        ("x: Input", "relu(x)"),
        ("x: Input", "erf(x)"),
        ("x: Input", "sigmoid(x)"),
        ("x: Input", "floor(x) + ceil(x) + round(x) + sign(x)"),
        ("x: Input", "maximum(x, sin(x))"),
        ("x: Input", "where(x > 0, x, 0)"),
        ("x: Input[3]", "sum(sin(x))"),
        ("x: Input[3]", "sin(x) * 2"),
        ("n: Input[int64]", "n * n + 1"),
        ("x: Input\nn: Input[int64]", "sin(x) * n"),
        ("x: Input\nv: Input[N]", "sin(x) * N + sum(v) * 0"),
        ("sum: Input", "sin(sum) + 1"),
        ("float: Input", "cos(float) + 1"),
    ],
)
def test_other_functions_stay(declared: str, formula: str, forced: None) -> None:
    assert in_floats(both(f"{declared}\ny: Output = {formula}", gradient=False)[1]) == []


def test_short_functions_stay() -> None:
    assert in_floats(both("x: Input\ny: Input\nf: Output = sin(x) * y")[1]) == []


def test_benchmark_is_in_floats() -> None:
    assert in_floats(both(SCALAR)[1]) == ["loss", "forward", "backward", "value_and_grad"]


def test_derivatives_on_request() -> None:
    models = both(SCALAR, with_=["hessian", "jvp"])
    assert {"hessian", "jvp"} <= {*in_floats(models[1])}
    results = []
    for module in (model.module for model in models):
        params, x, y = {"z": np.float64(0.4)}, np.float64(0.7), np.float64(1.2)
        tangents = module.jvp(params, {"z": np.float64(2.0)}, x, y)
        results.append([module.hessian(params, x, y)["z"]["z"], *tangents])
    for found, wanted in zip(*results, strict=True):
        same(found, wanted, 1e-14, 1.0)


def test_names(forced: None) -> None:
    """Those of the machinery, and of what it calls, may be the model's."""
    text = """
lib: Input
compute: Input
found: Param = ones()
numbers = sin(lib * compute) + exp(found)
math = numbers * lib + compute
ArithmeticError: Output = math * math
loss: Output = math + tanh(numbers)
"""
    readable, fast = both(text, loss="loss")
    assert "value_and_grad" in in_floats(fast)
    given: Any = ({"found": np.float64(0.3)}, np.float64(0.7), np.float64(-0.2))
    (value, found), (want, wanted) = fast.module.value_and_grad(*given), readable.module.value_and_grad(*given)
    same(value, want)
    for name in wanted:
        same(found[name], wanted[name], 1e-14, 1.0)


@pytest.mark.parametrize("params", [True, False])
@pytest.mark.parametrize("kind", [float, int, np.float32, np.int64, np.array, lambda x: np.array(x, np.float32)])
def test_arguments_of_other_types(kind: Any, params: bool) -> None:
    """Also one beside floats; where all are inputs, floats are not checked."""
    readable, fast = both(SCALAR if params else SCALAR.replace("Param = zeros()", "Input"))
    given = {"x": kind(2), "y": kind(3)} | ({"params": {"z": 1.0}} if params else {"z": 1.0})
    (value, found), (want, wanted) = fast.module.value_and_grad(**given), readable.module.value_and_grad(**given)
    same(value, want)
    for name in wanted:
        same(found[name], wanted[name], 1e-14, 1.0)


def test_what_is_no_number_is_refused() -> None:
    fast: Any = both(SCALAR.replace("Param = zeros()", "Input"))[1].module
    for z, message in (
        (np.ones(2), r"z has shape \(2,\), expected \(\)"),
        ("a", "z is <U1, expected float"),
        (1j, "complex"),
    ):
        for x in (0.5, np.float64(0.5)):
            with pytest.raises((TypeError, ValueError), match=message):
                fast.value_and_grad(x, 0.5, z)


def test_results_that_are_arguments_and_numbers() -> None:
    """Of Python's floats, too, they are NumPy's scalars."""
    readable, fast = both(
        "x: Input\ny: Input\nz: Output = y\nloss: Output = sin(exp(tanh(x))) * cos(x) * exp(x) + y", loss="loss"
    )
    for value in (0.5, np.float64(0.5), np.float32(0.5)):
        for function in ("z", "loss", "value_and_grad", "forward"):
            given = {"y": value} if function == "z" else {"x": value, "y": value}
            found, wanted = (getattr(m.module, function)(**given) for m in (fast, readable))
            if function == "value_and_grad":
                same(found[0], wanted[0])
                assert {name: type(x) for name, x in found[1].items()} == {
                    name: type(x) for name, x in wanted[1].items()
                }
            elif function != "forward":
                same(found, wanted)
            else:
                assert [*map(type, found[0])] == [*map(type, wanted[0])]


def test_inputs_may_be_called_as_what_writes_modules_calls_its_own() -> None:
    names = ("function", "operands", "keywords", "name", "value")
    text = "\n".join(
        [*(f"{name}: Input" for name in names), f"loss: Output = sin(exp({' * '.join(names)})) * cos(function)"]
    )
    readable, fast = both(text)
    assert "value_and_grad" in in_floats(fast)
    given = dict(zip(names, (0.5, 0.7, 0.9, 1.1, 1.3), strict=True))
    same(fast.module.value_and_grad(**given)[0], readable.module.value_and_grad(**given)[0])  # type: ignore[attr-defined]
