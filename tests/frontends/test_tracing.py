"""Traced Python: the same graph as the text's, errors at the user's line and column."""

# Sizes in annotations are texts, and initialisers stand where defaults do.
# ruff: noqa: B008, F821

import functools
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import graphc as gx
from graphc.backends.listing import listing
from graphc.functions import FUNCTIONS


def rows(graph: gx.Graph) -> str:
    """A listing without the places."""
    return re.sub(r" *#.*", "", listing(graph))


def refusal(function: Callable[..., Any], **options: Any) -> tuple[str, int, str]:
    """Code, line after the function's first one, and the text underlined, of what tracing a function says."""
    with pytest.raises(gx.GraphcError) as caught:
        gx.compile(function, **options)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.span is not None and diagnostic.span.source.name == "test_tracing.py"
    first = inspect.unwrap(function).__code__.co_firstlineno
    return diagnostic.code, diagnostic.span.line - first, diagnostic.span.text


def regression(X: gx.f64["N", 3], w: gx.param[3] = gx.normal(0, 0.1), b: gx.param = 0.5):
    """A line through points."""
    h = X @ w + b
    return gx.mean((h - 1) ** 2)


REGRESSION = '''"""A line through points."""
X: Input[N, 3]
w: Param[3] = normal(0, 0.1)
b: Param = 0.5
h = X @ w + b
regression: Output = mean((h - 1) ** 2)
'''


def network(X: gx.f64["N", 8], y: gx.i64["N"], depth=2):
    h = X
    for _ in range(depth):
        h = gx.relu(gx.dense(h, 4, weights=gx.glorot_uniform))
    logits = gx.dense(h, 3, name="head")
    return {"loss": gx.mean(gx.cross_entropy(logits, y)), "probs": gx.softmax(logits)}


NETWORK = """
X: Input[N, 8]
y: Input[N, int64]
h = X
for i in range(2):
    h = relu(dense(h, 4, weights=glorot_uniform))
logits = dense(h, 3, name="head")
loss: Output = mean(cross_entropy(logits, y))
probs: Output = softmax(logits)
"""


def slices(X: gx.f64["2*N", 3], k: gx.i64["N"], w: gx.param["N"]):
    n = X.shape[0] // 2
    left, right = X[:n], X[n:, None, -1]
    picked = X[k]
    both = abs(left) % 2.0 // 0.5 + picked * (left[..., 0:1] >= 0)
    return gx.sum(both.T @ w) + gx.sum(right)


SLICES = """
X: Input[2*N, 3]
k: Input[N, int64]
w: Param[N]
n = X.shape[0] // 2
left = X[:n]
right = X[n:, None, -1]
picked = X[k]
both = abs(left) % 2.0 // 0.5 + picked * (left[..., 0:1] >= 0)
slices: Output = sum(both.T @ w) + sum(right)
"""


@pytest.mark.parametrize(
    ("function", "text"), [(regression, REGRESSION), (network, NETWORK), (slices, SLICES)], ids=lambda x: ""
)
def test_the_graph_is_the_texts(function: Callable[..., Any], text: str) -> None:
    traced, read = gx.compile(function), gx.compile(text)
    assert rows(traced.graph) == rows(read.graph)
    assert traced.graph.doc == read.graph.doc


def test_values_and_gradients_are_the_texts() -> None:
    traced, read = gx.compile(regression), gx.compile(REGRESSION)
    X, params = np.arange(12.0).reshape(4, 3), read.init_params(3)
    (value, gradients), (expected, others) = traced.value_and_grad(params, X=X), read.value_and_grad(params, X=X)
    assert value == expected
    assert all(np.array_equal(gradients[name], others[name]) for name in ("w", "b"))
    assert np.array_equal(traced.init_params(7)["w"], read.init_params(7)["w"])


def test_the_decorator_gives_a_model_and_compile_gives_it_back() -> None:
    @gx.model
    def f(x, y):
        return x * y

    @gx.model(wrt=["x"])
    def g(x, y):
        return x * y

    assert isinstance(f, gx.Model) and gx.compile(f) is f
    assert g.variables == ("x",)
    value, gradients = f.value_and_grad(x=2.0, y=3.0)
    assert (value, gradients["x"], gradients["y"]) == (6.0, 3.0, 2.0)


def helper(x: Any, w: Any) -> Any:
    product = x @ w
    return product + 1


def test_functions_of_python_are_scopes_and_their_variables_have_names() -> None:
    def f(X: gx.f64["N", 3], w: gx.param[3]):
        h = helper(X, w)
        return gx.sum(h * helper(X, w))

    model = gx.compile(f)
    text = "def helper(x, w):\n    product = x @ w\n    return product + 1\n\n\nX: Input[N, 3]\nw: Param[3]\n"
    read = gx.compile(text + "h = helper(X, w)\nf: Output = sum(h * helper(X, w))\n")
    assert rows(model.graph) == rows(read.graph)
    scopes = [model.graph.scopes.get(node) for node in model.graph.nodes]
    assert scopes == [read.graph.scopes.get(node) for node in read.graph.nodes]


def test_places_are_those_of_the_file() -> None:
    model = gx.compile(regression)
    (span,) = {span for node in model.graph.nodes if node.op.name == "matmul" for span in model.graph.spans[node]}
    assert (span.source.name, span.text) == ("test_tracing.py", "X @ w")
    assert span.line == regression.__code__.co_firstlineno + 2
    assert "regression" in model.source_text


def test_a_shape_error_points_at_the_users_text() -> None:
    def f(X: gx.f64["N", 3], w: gx.param[4]):
        return gx.mean((X @ w) ** 2)

    assert refusal(f) == ("GC201", 1, "X @ w")
    with pytest.raises(gx.GraphcError) as caught:
        gx.compile(f)
    (found,) = caught.value.diagnostics
    assert found.span is not None and found.span.column == 25
    assert [(span.text, said) for span, said in found.related] == [
        ('X: gx.f64["N", 3]', "X is N×3"),
        ("w: gx.param[4]", "w has 4 elements"),
    ]


def test_an_error_in_a_helper_points_at_the_call_and_the_line_in_it() -> None:
    def f(X: gx.f64["N", 3], w: gx.param[4]):
        h = helper(X, w)
        return gx.sum(h)

    assert refusal(f) == ("GC201", 1, "helper(X, w)")
    with pytest.raises(gx.GraphcError) as caught:
        gx.compile(f)
    assert (caught.value.diagnostics[0].related[-1][0].text) == "x @ w"


def _while(x):
    while x > 0:
        x = x - 1
    return x


def _if(x):
    return x if x > 0 else -x


def _loop(x: gx.f64["N"]):
    return sum(row for row in x)


def _number(x):
    return float(x)


def _numpy(x):
    return 1 + np.sinc(x)


def _array(x):
    return np.asarray(x)


def _attribute(x: gx.f64[3]):
    return x.tolist()


def _argument(x: gx.f64[3]):
    return gx.mean(x, axes=0)


def _index(x: gx.f64[3]):
    return x[3]


def _size(x: gx.f64["N"]):
    return x if x.shape[0] > 3 else -x


def _annotated(x, y: int):
    return x + y


def _sizes(x: gx.f64[1.5]):
    return x


def _many(*x):
    return x[0]


def _nothing(x):
    x = x + 1


def _not_a_tensor(x):
    return "x"


def _operand(x):
    return x + "one"


def _option(x: gx.f64[3]):
    return np.sum(x, dtype=np.float32)


def _in_place(x: gx.f64[3]):
    x[0] = 1.0
    return x


def _into_array(x: gx.f64[3]):
    out = np.zeros(3)
    out[0] = x[0]
    return out


def _initial(w: gx.param[3] = "zeros"):
    return gx.sum(w)


def _given(x: gx.f64[3] = 2.0):
    return gx.sum(x)


def _free(w: gx.param["N"] = gx.zeros()):
    return gx.sum(w)


def _plain(x):
    return gx.sin("x")


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (_while, ("GC106", 1, "x > 0")),
        (_if, ("GC106", 1, "x > 0")),
        (_loop, ("GC106", 1, "(row for row in x)")),
        (_number, ("GC106", 1, "float(x)")),
        (_numpy, ("GC101", 1, "np.sinc(x)")),
        (_array, ("GC106", 1, "np.asarray(x)")),
        (_attribute, ("GC101", 1, "x.tolist")),
        (_argument, ("GC103", 1, "gx.mean(x, axes=0)")),
        (_index, ("GC203", 1, "x[3]")),
        (_size, ("GC106", 1, "x.shape[0] > 3")),
        (_annotated, ("GC106", 0, "y: int")),
        (_sizes, ("GC106", 0, "x: gx.f64[1.5]")),
        (_many, ("GC106", 0, "x")),
        (_nothing, ("GC104", 0, "def _nothing(x):")),
        (_not_a_tensor, ("GC106", 1, '"x"')),
        (_operand, ("GC106", 1, 'x + "one"')),
        (_option, ("GC103", 1, "np.sum(x, dtype=np.float32)")),
        (_in_place, ("GC106", 1, "x[0]")),
        (_into_array, ("GC106", 2, "out[0]")),
        (_initial, ("GC106", 0, '"zeros"')),
        (_given, ("GC002", 0, "2.0")),
        (_free, ("GC106", 0, 'w: gx.param["N"]')),
        (_plain, ("GC103", 1, 'gx.sin("x")')),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_errors_are_at_the_users_line(function: Callable[..., Any], expected: tuple[str, int, str]) -> None:
    assert refusal(function) == expected


def test_an_unknown_function_has_a_hint_when_there_is_a_near_one() -> None:
    with pytest.raises(gx.GraphcError, match="did you mean `sin`"):
        gx.compile(_numpy)


NUMPY: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (lambda x: np.exp(x) + np.sqrt(np.abs(x)), lambda x: np.exp(x) + np.sqrt(np.abs(x))),
    (lambda x: np.sum(x, axis=0), lambda x: np.sum(x, axis=0)),
    (lambda x: np.add.reduce(x), lambda x: np.add.reduce(x)),
    (lambda x: np.where(x > 0, x, 0), lambda x: np.where(x > 0, x, 0)),
    (lambda x: np.concatenate([x, 2 * x], axis=1), lambda x: np.concatenate([x, 2 * x], axis=1)),
    (lambda x: np.stack([x, x]), lambda x: np.stack([x, x])),
    (lambda x: np.maximum(x, 0.5) - np.minimum(x, 0), lambda x: np.maximum(x, 0.5) - np.minimum(x, 0)),
    (lambda x: np.clip(x, -1, 1), lambda x: np.clip(x, -1, 1)),
    (lambda x: np.dot(x, x.T), lambda x: np.dot(x, x.T)),
    (lambda x: np.swapaxes(x, 0, 1), lambda x: np.swapaxes(x, 0, 1)),
    (lambda x: np.moveaxis(x, 0, -1), lambda x: np.moveaxis(x, 0, -1)),
    (lambda x: np.reshape(x, (2, -1)), lambda x: np.reshape(x, (2, -1))),
    (lambda x: np.arctan2(x, 2.0) * np.hypot(3.0, 4.0), lambda x: np.arctan2(x, 2.0) * 5.0),
    (lambda x: np.hstack([x, x]) + np.vstack([x, x])[0, 0], lambda x: np.hstack([x, x]) + x[0, 0]),
    (lambda x: np.zeros_like(x) + np.ones_like(x) * x, lambda x: x),
    (lambda x: np.linspace(0, 1, 4) * x, lambda x: np.linspace(0, 1, 4) * x),
    (lambda x: np.eye(3) @ x - x, lambda x: np.eye(3) @ x - x),
    (lambda x: np.float64(2) ** x / np.float64(3), lambda x: 2**x / 3),
    (lambda x: [[1.0], [2.0], [3.0]] * x, lambda x: [[1.0], [2.0], [3.0]] * x),
    (lambda x: x.mean(axis=1).reshape(3, 1), lambda x: x.mean(axis=1).reshape(3, 1)),
    (lambda x: x.max() + x.std(axis=0), lambda x: x.max() + x.std(axis=0)),
    (lambda x: np.shape(x)[1] * x + np.size(x) + x.ndim, lambda x: 4 * x + 12 + 2),
    (lambda x: np.power(np.square(x) + 1, 0.5), lambda x: np.power(np.square(x) + 1, 0.5)),
    (lambda x: np.var(x, axis=(0, 1), ddof=1), lambda x: np.var(x, axis=(0, 1), ddof=1)),
    (lambda x: (x == 0) | ~(x < 1) & (x != 2) ^ (x >= 0), lambda x: (x == 0) | ~(x < 1) & (x != 2) ^ (x >= 0)),
]


@pytest.mark.parametrize(("function", "plain"), NUMPY)
def test_numpy_on_graph_values(function: Callable[..., Any], plain: Callable[..., Any]) -> None:
    def f(x: gx.f64[3, 4]):
        return function(x)

    x = np.linspace(-2, 3, 12).reshape(3, 4)
    found = gx.compile(f, gradient=False).module.f(x=x)
    assert np.allclose(found, plain(x), rtol=1e-12, atol=0)


def test_control_flow_on_static_values_is_pythons() -> None:
    rates = [0.5, 2.0]

    def f(x, n: int = 3, *, squared=True, training=True):
        total = 0.0
        for k in range(n):
            total = total + rates[k % 2] * x**k
        while n > 2:
            n, total = n - 1, -total
        return total**2 if squared and not training else total

    assert gx.compile(f).value_and_grad(x=3.0)[0] == -(0.5 + 6.0 + 4.5)
    assert gx.compile(f, training=False).value_and_grad(x=3.0)[0] == (0.5 + 6.0 + 4.5) ** 2


def test_training_is_off_when_the_function_or_the_option_says_so() -> None:
    def f(X: gx.f64["N", 4], seed: gx.i64, training=False):
        assert not training
        return gx.mean(gx.dropout(X, 0.5, seed=seed))

    def g(X: gx.f64["N", 4], seed: gx.i64):
        return gx.mean(gx.dropout(X, 0.5, seed=seed))

    drawing = [
        any(node.op.name == "random_uniform" for node in gx.compile(function, training=training).graph.nodes)
        for function in (f, g)
        for training in (True, False)
    ]
    assert drawing == [False, False, True, False]


def test_static_arguments_may_be_sizes() -> None:
    def f(X: gx.f64["N", "3 * H"], H=2):
        return gx.sum(X)

    assert str(gx.compile(f).graph.inputs[0].type) == "float64[N, 6]"


def test_free_sizes_compute_and_never_guess() -> None:
    def f(X: gx.f64["N", 2]):
        n = X.shape[0]
        assert n == n and n + 1 > n and n != n + 1 and 2 * n - n == n
        return gx.sum(X.reshape(2 * n)) / n + 1 / n

    assert gx.compile(f).value_and_grad(X=np.ones((4, 2)))[0] == 2.25


class Both(NamedTuple):
    loss: Any
    h: Any


@pytest.mark.parametrize(
    ("returned", "names"),
    [
        (lambda x: x, ["f"]),
        (lambda x: (x, 2 * x), ["f_1", "f_2"]),
        (lambda x: {"loss": x, "double": 2 * x}, ["loss", "double"]),
        (lambda x: Both(x, 2 * x), ["loss", "h"]),
        (lambda x: (x, 1.0), ["f_1", "f_2"]),
    ],
)
def test_outputs(returned: Callable[..., Any], names: list[str]) -> None:
    def f(x):
        return returned(x * 3)

    assert list(gx.compile(f, gradient=False).graph.outputs) == names


def test_one_output_is_called_as_the_function() -> None:
    def loss(w: gx.param[3]):
        return {"h": gx.sum(w), "loss": gx.sum(w**2)}

    assert gx.compile(loss).losses == ("loss",)
    assert list(gx.compile(lambda x, y: x * y).graph.outputs) == ["f"]


class Scaled:
    """An object that can be called."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, x, n=2):
        return self.factor * x**n


def wrapper(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*values: Any, **options: Any) -> Any:
        return function(*values, **options)

    return wrapped


def test_methods_objects_partial_applications_and_wrappers() -> None:
    assert gx.compile(Scaled(3.0)).value_and_grad(x=2.0)[0] == 12.0
    assert gx.compile(Scaled(3.0).__call__).value_and_grad(x=2.0)[0] == 12.0
    assert gx.compile(functools.partial(Scaled(3.0).__call__, n=3)).value_and_grad(x=2.0)[0] == 24.0
    assert rows(gx.compile(wrapper(regression)).graph) == rows(gx.compile(regression).graph)


def test_an_output_keeps_clear_of_the_inputs() -> None:
    def f(f):
        return f * 2

    assert list(gx.compile(f).graph.outputs) == ["value"]


def test_float32_by_the_inputs_or_by_the_option() -> None:
    def f(x: gx.f32["N"], w: gx.param = 2.0):
        return gx.sum(x * w + np.ones(1))

    def g(x):
        return x * 0.5

    assert {node.tensor.dtype for node in gx.compile(f).graph.nodes} == {"float32"}
    assert {node.tensor.dtype for node in gx.compile(g, dtype="float32").graph.nodes} == {"float32"}
    value, gradients = gx.compile(f).value_and_grad({"w": np.float32(2)}, x=np.ones(3, np.float32))
    assert value.dtype == gradients["w"].dtype == np.float32


def test_layers_share_their_parameters_and_models_are_used(tmp_path: Path) -> None:
    (tmp_path / "half.gc").write_text("x: Input[N]\ny: Output = x / 2\n")
    program = tmp_path / "program.py"
    program.write_text(
        "import graphc as gx\n\n\ndef f(X: gx.f64['N', 4]):\n    layer = gx.instance(gx.dense, 4)\n"
        "    half = gx.use('half.gc')\n    return half(gx.sum(layer(layer(X)), axis=1)).sum()\n"
    )
    names: dict[str, Any] = {}
    exec(compile(program.read_text(), program, "exec"), names)
    model = gx.compile(names["f"])
    assert [str(node.attrs["name"]) for node in model.graph.params] == ["dense_W", "dense_b"]
    assert model.value_and_grad(model.init_params(), X=np.zeros((2, 4)))[0] == 0


def test_a_value_does_not_leave_its_model() -> None:
    kept: list[Any] = []

    def keeps(x):
        kept.append(x)
        return x * 2

    def uses(x):
        return x + kept[0]

    gx.compile(keeps)
    assert refusal(uses) == ("GC106", 1, "x + kept[0]")
    with pytest.raises(gx.GraphcError, match="expected it in a function that is traced"):
        kept[0] + 1
    with pytest.raises(gx.GraphcError, match="mean is for graph values"):
        gx.mean(kept[0])


def test_text_annotations_are_evaluated() -> None:
    source = "from __future__ import annotations\n\nimport graphc as gx\n\n\ndef f(x: gx.i64[3]):\n    return x * 2\n"
    names: dict[str, Any] = {}
    exec(source, names)
    assert str(gx.compile(names["f"], gradient=False).graph.outputs["f"].type) == "int64[3]"


def test_without_a_text_errors_still_have_lines() -> None:
    names: dict[str, Any] = {"gx": gx}
    exec("def f(x: gx.f64[3], y: gx.f64[4]):\n    return x + y\n", names)
    with pytest.raises(gx.GraphcError) as caught:
        gx.compile(names["f"])
    span = caught.value.diagnostics[0].span
    assert span is not None and (span.line, span.column) == (2, 12)


def test_every_function_of_the_language_is_an_attribute() -> None:
    assert gx.mean is FUNCTIONS["mean"] and gx.dense is FUNCTIONS["dense"]
    with pytest.raises(AttributeError, match="nosuch"):
        _ = gx.nosuch


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(gx.GraphcError, match="expected a model, an expression or a Python function"):
        gx.compile(3)  # type: ignore[arg-type]


def test_of_lambdas_on_one_line_the_right_one_is_shown() -> None:
    several = (lambda x: -x, lambda x: None, lambda x: 1)
    with pytest.raises(gx.GraphcError) as caught:
        gx.compile(several[1])
    (found,) = caught.value.diagnostics
    assert found.span is not None and found.span.text == "None"
