"""Generated modules: golden texts, values and gradients, names, float types, aliasing, sizes, independence."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.backends import numpy_comments
from graphc.backends.numpy_module import Program, emit_module, load_module
from graphc.builder import Builder
from graphc.errors import GraphcError
from graphc.extras import KINDS
from graphc.op import OPS, elementwise
from graphc.ops.leaves import Array, Initializer
from graphc.optimizer import Optimizer
from graphc.size import named_size
from graphc.source import Source, Span
from graphc.tensor_type import TensorType
from graphc.training_step import training_step
from tests.backends.modules import built, module_of, program_of

GOLDEN = Path(__file__).parent.parent / "golden"
F64 = TensorType("float64")

TWO_LAYERS = """
X: Input[N, 4]
y: Input[N, int64]
W1: Param[4, 5] = he_normal()
W2: Param[5, 3] = he_normal()
h = relu(X @ W1)
logits = h @ W2
p = softmax(logits)
loss: Output = mean(sum(-log(p) * one_hot(y, 3), axis=1))
probs: Output = p
"""

MODELS = {
    "figure": "x: Input\ny: Input\nz: Input\nf: Output = ((x + y) + (x * y)) * z\n",
    "two_layers": '"""Two layers and a softmax."""\n' + TWO_LAYERS,
    "regression": """
X: Input[N, d]
y: Input[N]
w: Param[d]
b: Param = constant(0.5)
error = X @ w + b - y
loss: Output = mean(error ** 2)
""",
    "names": """
np: Input[3]
sum: Input[3]
d_W: Param[3] = ones()
W: Param[3] = normal(0.1)
_erf: Param[3]
params = erf(W * d_W + _erf)
np_1 = params * np
loss: Output = mean(np_1 * sum)
max: Output = np_1
""",
}


@pytest.mark.parametrize("name", MODELS)
def test_the_golden_module_is_what_is_emitted(name: str, request: pytest.FixtureRequest) -> None:
    is_golden(name, emit_module(program_of(MODELS[name], name)), request)


def test_the_golden_module_with_all_extras(request: pytest.FixtureRequest) -> None:
    program = program_of(MODELS["two_layers"], "extras")
    moved = {str(node.attrs["name"]): node for node in program.raw.params}
    is_golden("extras", emit_module(replace(program, extras=("flat", "check", "graph"), moved=moved)), request)


def test_the_golden_module_with_a_step_of_training(request: pytest.FixtureRequest) -> None:
    program = program_of(MODELS["two_layers"], "training")
    variables = {str(node.attrs["name"]): node for node in program.raw.params}
    optimizer = Optimizer("adam", lr="0.01 * warmup(step, 100)", clip_norm=1.0)
    step = training_step(program.raw, "loss", variables, optimizer)
    is_golden(
        "training", emit_module(replace(program, extras=("train_step",), moved=variables, training=step)), request
    )


DECAY = '''
"""A decay curve, to fit."""
t: Input[N]
y: Input[N]
scale: Param = ones()
rate: Param[2] = zeros()
r: Output = scale * exp(-rate[0] * t) + rate[1] - y
loss: Output = 0.5 * sum(r ** 2)
'''


def test_the_golden_module_with_derivatives(request: pytest.FixtureRequest) -> None:
    model = graphc.compile(DECAY, with_=[*KINDS, "flat", "check"], of="r", sizes={"N": 5})
    is_golden("derivatives", model.source_text, request)


def is_golden(name: str, text: str, request: pytest.FixtureRequest) -> None:
    path = GOLDEN / f"{name}.py"
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def golden(name: str) -> Any:
    return load_module((GOLDEN / f"{name}.py").read_text(encoding="utf-8"), name)


def test_the_lectures_figure() -> None:
    m = golden("figure")
    assert m.f(2, 3, 4) == 44
    assert m.value_and_grad(2, 3, 4) == (44, {"x": 16, "y": 12, "z": 11})
    outputs, residuals = m.forward(x=2.0, y=3.0, z=4.0)
    assert outputs.f == 44
    assert m.backward(residuals) == {"x": 16, "y": 12, "z": 11}
    assert m.backward(residuals, d_f=2.0) == {"x": 32, "y": 24, "z": 22}


def test_two_layers_by_hand() -> None:
    m = golden("two_layers")
    params = m.init_params(0)
    X, y = np.random.default_rng(1).normal(size=(7, 4)), np.arange(7) % 3
    h = np.maximum(X @ params["W1"], 0)
    e = np.exp(h @ params["W2"])
    probs = e / e.sum(1, keepdims=True)
    g = (probs - np.eye(3)[y]) / 7
    want = {"W1": X.T @ (g @ params["W2"].T * (h > 0)), "W2": h.T @ g}
    outputs, residuals = m.forward(params, X, y)
    np.testing.assert_allclose(outputs.loss, -np.mean(np.log(probs[np.arange(7), y])))
    np.testing.assert_allclose(m.probs(params, X), probs)
    for gradients in (m.backward(residuals), m.value_and_grad(params, X=X, y=y)[1]):
        assert list(gradients) == ["W1", "W2"]
        for name, value in gradients.items():
            np.testing.assert_allclose(value, want[name])


def test_backward_has_at_most_seven_statements_before_its_return() -> None:
    module = ast.parse((GOLDEN / "two_layers.py").read_text(encoding="utf-8"))
    (backward,) = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "backward"]
    statements = [s for s in backward.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    assert len(statements) - 1 <= 7


def test_golden_modules_are_clean() -> None:
    ruff = Path(sys.executable).parent / "ruff"
    if not ruff.exists():
        pytest.skip("ruff is not installed")
    command = [str(ruff), "check", "--isolated", "--no-cache", "--select", "F,E4,E7,E9", str(GOLDEN)]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "All checks passed!\n"


@pytest.mark.parametrize("name", MODELS)
def test_lines_are_short(name: str) -> None:
    generated = (GOLDEN / f"{name}.py").read_text(encoding="utf-8").split("_INPUTS = ")[0]
    assert [line for line in generated.split("\n") if len(line) > 100] == []


def test_names_that_collide() -> None:
    m = golden("names")
    given = {"np_": np.ones(3), "sum": np.ones(3)}
    params = {"d_W": np.ones(3), "W": np.ones(3), "_erf": np.zeros(3)}
    loss, gradients = m.value_and_grad(params, **given)
    np.testing.assert_allclose(loss, 0.8427007929497148)
    assert list(gradients) == ["d_W", "W", "_erf"]
    np.testing.assert_allclose(gradients["W"], np.full(3, 2 / np.sqrt(np.pi) * np.exp(-1) / 3))
    np.testing.assert_allclose(m.max_(params, np.ones(3)), np.full(3, 0.8427007929497148))


def test_inputs_may_be_called_as_what_functions_use() -> None:
    text = """
range: Input[T]
reversed: Input[T, int64]
bool: Input[2 * M]
int: Input[int64]
divmod: Input
ValueError: Input[3]
w: Param

def step(h, x):
    return tanh(w * h) + x, h > 0

h, positive = scan(step, divmod, range)
noise = sum(gaussian_noise(bool, 0.1, seed=int)) + sum(reshape(bool, (M, 2)))
loss: Output = h + sum(where(positive, range, 0.5)) + sum(ValueError[reversed + 1]) + noise
"""
    plain = re.sub(r"\b(range|reversed|bool|int|divmod|ValueError)\b", r"its_\1", text)
    given = {"w": 0.5}, np.ones(4), np.array([0, 1, 1, 0]), np.ones(6), 3, 0.1, np.ones(3)
    assert module_of(text).value_and_grad(*given) == module_of(plain).value_and_grad(*given)


def test_gradients_are_numbered_as_the_values_that_they_are_of() -> None:
    layers = "".join("X = tanh(X @ W)\n" for _ in range(3))
    model = graphc.compile(f"X: Input[N, 3]\nW: Param[3, 3]\nX = X / 2\n{layers}loss: Output = sum(X)")
    lines = [line.strip() for line in model.source_text.split("def value_and_grad")[1].split("\n")]
    assert "X_4 = np.tanh(X_3 @ W)" in lines
    assert "mul_1 = d_X_4 * (1.0 - X_4 * X_4)" in lines
    assert "d_X_3 = mul_1 @ transpose_1" in lines


def test_keywords_and_unicode_are_names() -> None:
    def model(b: Builder) -> dict[str, Any]:
        x, y, w = b.input("lambda", F64), b.input("größe", F64), b.param("class", F64)
        return {"if": x * y * w}

    m = built(model)
    assert m.value_and_grad({"class": 4.0}, lambda_=2.0, größe=3.0) == (24, {"class": 6})
    assert m.if_({"class": 1.0}, 2.0, 5.0) == 10
    assert m.forward({"class": 1.0}, 2.0, 5.0)[0].if_ == 10


DTYPES = ("float32", "float64")

# Expressions of Python numbers, sizes and masks, which alone would turn to float64.
WEAK = (
    "where(x > 0, 1.0, 0.0)",
    "(x > 0) * 2.0",
    "(x > 0) / 2.0",
    "x * sqrt(x.shape[0])",
    "x / x.shape[0]",
    "exp(x.shape[0] / 3.0)",
    "(2.0 / x.shape[0]) ** x.shape[0]",
    "where(k > 1, 1.0, 2.0)",
    "where(k > 1, x, 2.0)",
    "sum(x > 0) / 3.0",
    "mean(k)",
    "k * 0.5",
    "k / 2",
    "maximum(x > 0, 0.5)",
    "1.0",
    "x.shape[0] * 1.5",
    "one_hot(k, 5)",
    "abs(x) ** 2",
    "clip(x, 0.0, 1.0)",
    "softmax(x)",
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("expression", WEAK)
def test_results_have_the_float_type_that_was_given(expression: str, dtype: str) -> None:
    m = module_of(f"x: Input[N]\nk: Input[N, int64]\nf: Output = {expression}\n", loss=())
    x, k = np.array([0.5, -1, 2], dtype), np.array([0, 1, 2])
    found = call_with(m.f, x=x, k=k)
    want = call_with(m.f, x=x.astype(float), k=k)
    assert np.asarray(found).dtype == (dtype if "x" in arguments(m.f) else "float64")
    np.testing.assert_allclose(found, want, rtol=1e-6)


def arguments(function: Any) -> tuple[str, ...]:
    return function.__code__.co_varnames[: function.__code__.co_argcount]


def call_with(function: Any, **given: Any) -> Any:
    return function(**{name: value for name, value in given.items() if name in arguments(function)})


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_have_the_float_type_that_was_given(dtype: str) -> None:
    m = golden("two_layers")
    params = {name: value.astype(dtype) for name, value in m.init_params(0).items()}
    X, y = np.ones((2, 4), dtype), np.array([0, 2], np.int32)
    outputs, residuals = m.forward(params, X, y)
    found = [*outputs, *m.backward(residuals).values(), *m.value_and_grad(params, X, y)[1].values()]
    assert {value.dtype for value in found} == {np.dtype(dtype)}


def test_mixed_floats_are_computed_in_float64_and_numbers_adapt() -> None:
    m = golden("figure")
    assert m.f(np.float32(1), np.float64(1), 1).dtype == np.float64
    assert m.f(np.float32(1), 1.0, 1).dtype == np.float32
    assert m.f(1, 2, 3).dtype == np.float64
    assert m.f(np.float16(1), [1][0], np.int64(1)).dtype == np.float32


def test_extreme_logits_in_float32() -> None:
    m = golden("two_layers")
    params = {"W1": np.eye(4, 5, dtype=np.float32), "W2": 1e4 * np.eye(5, 3, dtype=np.float32)}
    X = np.eye(4, dtype=np.float32)
    with np.errstate(all="raise", under="ignore"):
        loss, gradients = m.value_and_grad(params, X, [0, 2, 1, 0])
    assert np.isfinite(loss)
    assert all(np.isfinite(value).all() for value in gradients.values())


ALIASING = """
x: Input[N, 2]
w: Param[2] = zeros()
same: Output = x
view: Output = x.T
a = x * w
twice: Output = a
again: Output = a
row: Output = a[0]
wide: Output = broadcast_to(w, (3, 2))
loss: Output = sum(x * w) + sum(w)
"""


def test_results_share_no_memory_and_can_be_changed() -> None:
    m = module_of(ALIASING)
    params, x = {"w": np.array([1.0, 2.0])}, np.array([[3.0, 4.0], [5.0, 6.0]])
    outputs, _ = m.forward(params, x)
    arrays = [np.asarray(value) for value in outputs] + [x, params["w"]]
    for position, array in enumerate(arrays):
        assert array.flags.writeable
        for other in arrays[:position]:
            assert not np.shares_memory(array, other)
    np.testing.assert_array_equal(outputs.view, x.T)
    np.testing.assert_array_equal(outputs.again, x * params["w"])


def test_a_gradient_that_is_an_input_is_a_copy() -> None:
    m = module_of("x: Input[3]\ny: Input[3]\nloss: Output = sum(x * y)\n")
    x, y = np.arange(3.0), np.ones(3)
    _, residuals = m.forward(x, y)
    for gradients in (m.value_and_grad(x, y)[1], m.backward(residuals)):
        gradients["x"] += 7
        gradients["y"] += 7
    np.testing.assert_array_equal(x, np.arange(3.0))
    np.testing.assert_array_equal(y, np.ones(3))


def test_nothing_given_is_changed_and_read_only_is_fine() -> None:
    m = golden("two_layers")
    params = m.init_params(0)
    X = np.asfortranarray(np.random.default_rng(0).normal(size=(4, 8)))[:, ::2]
    for array in (X, *params.values()):
        array.flags.writeable = False
    before = X.copy()
    m.value_and_grad(params, X, [0, 1, 2, 0])
    np.testing.assert_array_equal(X, before)


def test_several_losses_take_a_cotangent_each() -> None:
    m = module_of("x: Input[2]\na: Output = x ** 3\nb: Output = sum(x)\n", loss=("a", "b"))
    _, residuals = m.forward(np.array([1.0, 2.0]))
    np.testing.assert_allclose(m.backward(residuals, d_a=np.array([1.0, 10.0]))["x"], [3, 120])
    np.testing.assert_allclose(m.backward(residuals, d_b=2.0)["x"], [2, 2])
    np.testing.assert_allclose(m.backward(residuals, np.ones(2), 1)["x"], [4, 13])
    with pytest.raises(ValueError, match=r"backward\(\): d_a has shape \(3,\), expected \(2,\)"):
        m.backward(residuals, d_a=np.ones(3))
    with pytest.raises(ValueError, match=r"backward\(\): expected at least one of d_a, d_b, found none"):
        m.backward(residuals)


def test_residuals_carry_a_size_and_the_float_type_when_no_array_tells() -> None:
    m = module_of("x: Input[N]\nloss: Output = sum(x)\n")
    _, residuals = m.forward(np.ones(3, np.float32))
    found = m.backward(residuals)["x"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.ones(3))


def test_constants_and_models_without_arguments() -> None:
    m = built(lambda b: {"f": b.constant(2.5), "n": b.constant(3), "yes": b.constant(True)}, loss=())
    assert (m.f(), m.n(), m.yes()) == (2.5, 3, True)
    assert (m.f().dtype, m.n().dtype, m.yes().dtype) == (np.float64, np.int64, np.bool_)


def test_unused_inputs_keep_their_place() -> None:
    m = module_of("x: Input\nunused: Input[M, 2]\ny: Input\nf: Output = x * y\n")
    assert arguments(m.forward) == ("x", "unused", "y")
    assert m.value_and_grad(2.0, np.ones((1, 2)), 3.0) == (6, {"x": 3, "y": 2})


def test_empty_axes() -> None:
    m = golden("regression")
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="empty"):
        loss, gradients = m.value_and_grad({"w": np.zeros(2), "b": 0.0}, np.ones((0, 2)), np.ones(0))
    assert np.isnan(loss)
    assert gradients["w"].shape == (2,)


def test_arithmetic_sizes_are_solved_and_checked() -> None:
    m = module_of(
        "x: Input[2*N + 1]\ny: Input[N, M]\nz: Input[N*M]\nf: Output = sum(x) * N + sum(y) * sum(z)\n", loss=()
    )
    assert m.f(np.ones(5), np.ones((2, 3)), np.ones(6)) == 46
    with pytest.raises(ValueError, match=r"x has shape \(4,\), expected \(2\*N \+ 1,\).* \[model.gc:1\]"):
        m.f(np.ones(4), np.ones((2, 3)), np.ones(6))
    with pytest.raises(ValueError, match=r"z has shape \(5,\), expected \(M\*N,\) with 6 on axis 0"):
        m.f(np.ones(5), np.ones((2, 3)), np.ones(5))
    alone = module_of("x: Input[2*N + 1]\nf: Output = sum(x) * N\n", loss=())
    assert alone.f(np.ones(7)) == 21
    with pytest.raises(ValueError, match=r"f\(\): x has shape \(4,\), expected \(2\*N \+ 1,\)  \[model.gc:1\]"):
        alone.f(np.ones(4))


def test_checks_of_sizes_are_short_and_compute_a_size_once() -> None:
    text = "x: Input[N]\nlonger_name: Input[N * (N + 1) // 2]\nsize = sum(x)\nf: Output = size + sum(longer_name)"
    model = graphc.compile(text, gradient=False)
    lines = model.source_text.splitlines()
    start = lines.index("    size_2 = (N * N + N) // 2")
    assert lines[start + 1 : start + 6] == [
        "    if longer_name.shape[0] != size_2:",
        "        raise ValueError(",
        '            f"f(): longer_name has shape {longer_name.shape}, "',
        '            f"expected ((N**2 + N)//2,) with {size_2} on axis 0  [<model>:2]"',
        "        )",
    ]
    assert model.module.f(x=np.ones(2), longer_name=np.ones(3)) == 5.0
    with pytest.raises(ValueError, match=r"longer_name has shape \(4,\), expected .* with 3 on axis 0  \[<model>:2\]"):
        model.module.f(x=np.ones(2), longer_name=np.ones(4))


def test_a_size_that_no_shape_tells_is_an_error() -> None:
    with pytest.raises(GraphcError) as raised:
        module_of("x: Input[N*M]\nf: Output = sum(x) * N\n", loss=())
    (diagnostic,) = raised.value.diagnostics
    assert diagnostic.message == "expected a shape that tells the size N, found none: x is float64[M*N]"
    assert diagnostic.span is not None
    assert (diagnostic.code, diagnostic.span.line) == ("GC205", 1)


def test_conditions_on_sizes() -> None:
    m = module_of("x: Input[N]\nf: Output = max(x)\ng: Output = sum(x[2:])\n", loss=())
    assert (m.f([1.0, 5.0]), m.g([1.0, 2.0, 3.0])) == (5, 3)
    with pytest.raises(ValueError, match=r"f\(\): N is 0, expected at least 1  \[model.gc:2\]"):
        m.f([])
    with pytest.raises(ValueError, match=r"g\(\): N is 1, expected at least 2  \[model.gc:3\]"):
        m.g([1.0])


def test_a_function_takes_an_input_for_its_size_alone() -> None:
    m = module_of("x: Input[3]\ny: Input[N]\nf: Output = sum(x) / N\n", loss=())
    assert m.f(np.ones(3), np.zeros(2)) == 1.5


def test_initialisers() -> None:
    values = Array("float64", (2,), np.array([1.5, -2.0]).tobytes())

    def model(b: Builder) -> dict[str, Any]:
        size = named_size("D")
        x = b.input("x", TensorType("float64", (size,)))
        w = b.param("w", TensorType("float64", (size,)), Initializer("normal", 0.0, 2.0, text="normal(2)"))
        u = b.param("u", TensorType("float64", (2,)), Initializer("array", array=values))
        s = b.param("s", F64, Initializer("uniform", -1.0, 1.0))
        t = b.param("t", F64)
        return {"loss": OPS["sum"](x * w) * OPS["sum"](u) * s * t}

    m = built(model)
    params = m.init_params(3, D=4)
    assert list(params) == ["w", "u", "s"]
    np.testing.assert_array_equal(params["u"], [1.5, -2.0])
    np.testing.assert_array_equal(params["w"], m.init_params(np.random.default_rng(3), D=4)["w"])
    assert params["s"].shape == ()
    assert "normal(2)" in emit_source(m)


def emit_source(module: Any) -> str:
    import linecache

    return "".join(linecache.cache[module.__file__][2])


def test_saved_arrays_are_embedded_and_kept() -> None:
    values = Array("float64", (200,), np.arange(200.0).tobytes())

    def model(b: Builder) -> dict[str, Any]:
        saved = b.value(b.make(OPS["array"], (), {"array": values}))
        x = b.input("x", TensorType("float64", (200,)))
        return {"saved": saved, "f": OPS["sum"](saved * x)}

    m = built(model, loss="f")
    m.saved().fill(0)
    x = np.ones(200, np.float32)
    assert m.f(x) == np.arange(200).sum()
    assert m.f(x).dtype == np.float32


def test_long_expressions_are_broken_into_short_lines() -> None:
    terms = " + ".join(f"sin(first_long_name * {i}.0) * exp(second_long_name)" for i in range(1, 12))
    text = emit_module(program_of(f"first_long_name: Input\nsecond_long_name: Input\nf: Output = {terms}\n"))
    body = text.split("_INPUTS = ")[0]
    assert max(map(len, (line for line in body.split("\n")))) <= 100
    m = load_module(text, "long")
    want = sum(np.sin(0.5 * i) * np.exp(0.25) for i in range(1, 12))
    np.testing.assert_allclose(m.f(0.5, 0.25), want)


def test_an_operand_that_a_text_repeats_is_computed_once() -> None:
    odd = elementwise("odd", lambda sp, x: x * sp.tanh(x), "x * np.tanh(x)", coercion="float")
    b = Builder()
    graph = b.finish({"f": odd(OPS["exp"](b.input("a", F64))).node})
    text = emit_module(Program("odd", "By hand.", graph, {"f": graph}))
    assert "exp_1 * np.tanh(exp_1)" in text
    np.testing.assert_allclose(load_module(text, "odd").f(0.5), np.exp(0.5) * np.tanh(np.exp(0.5)))


def test_tuples_and_many_operands() -> None:
    def model(b: Builder) -> dict[str, Any]:
        x = b.input("x", TensorType("float64", (6,)))
        parts = b.value(OPS["split"](x, sections=3).node)
        items = [OPS["item"](parts, index=k) for k in range(3)]
        return {"f": OPS["sum"](items[0] * items[2]), "first": items[0]}

    m = built(model, loss="f")
    x = np.arange(6.0)
    assert m.f(x) == 0 * 4 + 1 * 5
    np.testing.assert_array_equal(m.value_and_grad(x)[1]["x"], [4, 5, 0, 0, 0, 1])
    first = m.first(x)
    first += 9
    assert x[0] == 0


def test_the_text_is_the_same_under_every_hash_seed(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from tests.backends.modules import program_of\n"
        "from tests.backends.test_numpy_module import MODELS\n"
        "from graphc.backends.numpy_module import emit_module\n"
        "for name, text in MODELS.items(): sys.stdout.write(emit_module(program_of(text, name)))"
    )
    root = str(Path(__file__).parent.parent.parent)
    texts = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root},
            cwd=tmp_path,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert texts[0] == texts[1]
    assert texts[0]


NUMPY_ALONE = """
import sys
from importlib.abc import MetaPathFinder

class Only(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in {*sys.stdlib_module_names, "numpy", "two_layers"}:
            raise ImportError(name)

sys.meta_path.insert(0, Only())
import two_layers as m
params = m.init_params(0)
loss, gradients = m.value_and_grad(params, [[1.0, 2.0, 3.0, 4.0]], [1])
print(sorted(gradients), "graphc" in sys.modules)
"""


def test_a_module_needs_numpy_alone() -> None:
    found = subprocess.run(
        [sys.executable, "-c", NUMPY_ALONE], env={"PYTHONPATH": str(GOLDEN)}, capture_output=True, text=True
    )
    assert found.stdout == "['W1', 'W2'] False\n", found.stderr


def test_functions_are_safe_in_threads() -> None:
    m = golden("two_layers")
    params = m.init_params(0)
    found: dict[int, Any] = {}

    def work(size: int) -> None:
        for _ in range(50):
            found[size] = m.value_and_grad(params, np.ones((size, 4)), np.zeros(size, int))[0]

    threads = [threading.Thread(target=work, args=(size,)) for size in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose([found[size] for size in range(1, 5)], [found[1]] * 4)


def test_tracebacks_show_generated_lines() -> None:
    import traceback

    m = golden("figure")
    try:
        m.f([1.0], 2, 3)
    except ValueError as error:
        assert '_checked("f", x=x, y=y, z=z)' in "".join(traceback.format_exception(error))


def test_a_model_text_cannot_break_out_of_the_docstring() -> None:
    b = Builder()
    x = b.input("x", F64)
    graph = b.finish({"f": x.node}, doc='say """ and \\ and "')
    text = emit_module(Program("odd", "from a\\b", graph, {"f": graph}))
    assert load_module(text, "odd").__doc__.startswith('say """ and \\ and "\n')


def test_a_model_text_cannot_break_out_of_a_comment() -> None:
    b = Builder()
    source = Source("a\rraise SystemExit.gc", "f = x * x\rraise SystemExit")
    with b.at([Span(source, 1, 1, 1, 5)]):
        x = b.input("x", F64)
        w = b.param("w", F64, Initializer("constant", text="0\rraise SystemExit"))
        graph = b.finish({"f": (x * w).node})
    text = emit_module(Program("odd", "by hand", graph, {"f": graph}))
    assert "\r" not in text
    assert load_module(text, "odd").f({"w": 2.0}, 3.0) == 6


def test_other_names_of_a_value_stand_beside_it() -> None:
    text = emit_module(program_of("x: Input\na = x * x\nb = a\nf: Output = exp(b) + a\n"))
    assert "    a = x * x  # also b\n" in text


def test_what_a_module_lacks_is_said() -> None:
    model = "x: Input[2]\na: Output = x * 2\nb: Output = sum(x)\n"
    without = emit_module(program_of(model, loss=()))
    assert "\nCompiled without gradient: a function for each output, nothing else.\n" in without
    assert not any(name in without for name in ("def forward", "def backward", "def value_and_grad"))
    several = emit_module(program_of(model, loss=("a", "b")))
    assert "\nThere is no value_and_grad, because what is differentiated is not one scalar.\n" in several
    assert "The gradient of a and b for their cotangents, None for zeros: a dict with keys x." in several
    assert "Compiled without" not in emit_module(program_of(model, loss="b"))


@pytest.mark.parametrize(
    ("expression", "printed"), [("x ** 3", False), ("2.5 ** x", False), ("x ** y", True), ("x ** 0", True)]
)
def test_the_convention_of_powers_is_printed_where_it_matters(expression: str, printed: bool) -> None:
    text = emit_module(program_of(f"x: Input\ny: Input\nf: Output = {expression} + x * y\n"))
    assert ("(x**0)'(0) = 0" in text) is printed


def test_a_part_that_an_elementwise_function_shares_is_computed_once() -> None:
    m = program_of(
        "@elementwise\ndef bump(t):\n    e = exp(t)\n    return e * (1.0 - e)\n\nx: Input\nf: Output = bump(tanh(x))\n"
    )
    functions = emit_module(m).split("_INPUTS")[0]
    f = functions[functions.index("def f(") : functions.index("def forward(")]
    assert f.count("np.exp(") == f.count("np.tanh(") == 1
    want = np.exp(np.tanh(0.3)) * (1 - np.exp(np.tanh(0.3)))
    np.testing.assert_allclose(load_module(emit_module(m), "bump").f(0.3), want)


def test_a_shared_part_of_a_long_expression_is_assigned_once() -> None:
    long = "sin(first_long_name * 2.0) * exp(second_long_name)"
    text = emit_module(
        program_of(
            "@elementwise\ndef bump(t, u):\n    e = exp(t)\n    return e * (1.0 - e) + u\n\n"
            f"first_long_name: Input\nsecond_long_name: Input\nf: Output = bump({long}, cos({long}))\n",
            loss=(),
        )
    )
    f = text[text.index("def f(") : text.index("_INPUTS")]
    assert f.count("bump_") == 3
    assert f.count("    bump_1 = ") == 1


def test_a_saved_array_is_converted_once() -> None:
    values = Array("float64", (2,), np.arange(2.0).tobytes())

    def model(b: Builder) -> dict[str, Any]:
        saved = b.value(b.make(OPS["array"], (), {"array": values}))
        x = b.input("x", TensorType("float64", (2,)))
        return {"f": OPS["sum"](OPS["exp"](saved * x) + OPS["tanh"](saved + x))}

    m = built(model, loss=())
    assert emit_source(m).count(".astype(x.dtype, copy=False)") == 1
    assert m.f(np.zeros(2, np.float32)).dtype == np.float32


def test_a_value_of_two_lines_stands_under_the_one_that_names_it() -> None:
    text = "x: Input[N]\nrow = exp(x)[:, None]\ncolumn = exp(x)\nf: Output = sum(row * column)\n"
    lines = graphc.compile(text, gradient=False).source_text.splitlines()
    assert lines[lines.index("    column = np.exp(x)") - 1] == "    # column = exp(x)  [<model>:3]"
    assert lines[lines.index("    row = column[:, None]") - 1] == "    # row = exp(x)[:, None]  [<model>:2]"


@pytest.mark.parametrize(
    "line", ["a, column = 1, exp(x)", "column: Output = exp(x)", "  column=exp(x)", "column , b = exp(x), 2"]
)
def test_lines_that_name_a_value(line: str) -> None:
    assert "column" in numpy_comments._assigned(line)
    assert "column" not in numpy_comments._assigned(line.replace("column", "columns"))
    assert not numpy_comments._assigned("column == exp(x)") and not numpy_comments._assigned("row * column, 1)")
