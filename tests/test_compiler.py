"""The compiler end to end: model text in, numbers and modules out."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc.autodiff import differentiate
from graphc.graph import verify
from graphc.targets import named_variables

TWO_LAYERS = """
X: Input[N, 8]
y: Input[N, int64]
W1: Param[8, 16] = he_normal()
W2: Param[16, 5] = glorot_uniform()
h = relu(X @ W1)
p = softmax(h @ W2)
loss: Output = mean(-log(p[arange(N), y]))
"""


def batch(n: int = 6, dtype: str = "float64") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {"X": rng.normal(size=(n, 8)).astype(dtype), "y": rng.integers(0, 5, n)}


@pytest.mark.parametrize(
    ("text", "at", "value", "gradient"),
    [
        ("(x + y) * z", {"x": 2, "y": 3, "z": 4}, 20, {"x": 4, "y": 4, "z": 5}),
        ("((x + y) + (x * y)) * z", {"x": 2, "y": 3, "z": 4}, 44, {"x": 16, "y": 12, "z": 11}),
        ("w1**3 * w2 + 3*w1", {"w1": 2, "w2": 3}, 30, {"w1": 39, "w2": 8}),
    ],
)
def test_the_figures_of_the_lectures(text: str, at: dict[str, float], value: float, gradient: dict[str, float]) -> None:
    found, grads = graphc.compile(text).value_and_grad(**at)
    assert found == value
    assert {name: float(grad) for name, grad in grads.items()} == gradient


def test_the_graph_is_the_tree_of_the_source() -> None:
    model = graphc.compile("((x + y) + (x * y)) * z")
    (x, *_) = model.graph.inputs
    assert sum(node.op.name == "add" for node in model.graph.dag) == 2
    assert model.graph.dag.out_degree(x) == 2


def test_softmax_cross_entropy_by_hand() -> None:
    model = graphc.compile(TWO_LAYERS)
    params = model.init_params(0)
    data = batch()
    loss, grads = model.value_and_grad(params, **data)
    X, y, W1, W2 = data["X"], data["y"], params["W1"], params["W2"]
    h = np.maximum(X @ W1, 0)
    s = h @ W2
    p = np.exp(s - s.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    g = (p - np.eye(5)[y]) / len(y)
    np.testing.assert_allclose(loss, -np.log(p[np.arange(6), y]).mean(), rtol=1e-12)
    np.testing.assert_allclose(grads["W2"], h.T @ g, rtol=1e-10)
    np.testing.assert_allclose(grads["W1"], X.T @ ((g @ W2.T) * (h > 0)), rtol=1e-10)


def test_softmax_cross_entropy_never_overflows() -> None:
    model = graphc.compile(TWO_LAYERS)
    params = {name: value.astype("float32") for name, value in model.init_params(0).items()}
    data = batch(dtype="float32")
    scale = 1e4 / np.abs(np.maximum(data["X"] @ params["W1"], 0) @ params["W2"]).max()
    params["W2"] = params["W2"] * np.float32(scale)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        loss, grads = model.value_and_grad(params, **data)
    assert np.isfinite(loss) and loss.dtype == np.float32
    assert all(np.isfinite(grad).all() and grad.dtype == np.float32 for grad in grads.values())


def test_backward_is_as_short_as_by_hand() -> None:
    import ast

    tree = ast.parse(graphc.compile(TWO_LAYERS).source_text)
    (backward,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "backward")
    statements = [node for node in backward.body if not isinstance(node, (ast.Return, ast.Expr))]
    assert len(statements) <= 7


@pytest.mark.parametrize(
    ("text", "at", "value", "gradient"),
    [
        ("log(1 - sigmoid(z))", {"z": 800.0}, -800.0, {"z": -1.0}),
        ("log(sigmoid(z))", {"z": -800.0}, -800.0, {"z": 1.0}),
        ("z: Input[3]\nf: Output = log(sum(exp(z)))", {"z": [1e4, 0.0, 0.0]}, 1e4, {"z": [1.0, 0.0, 0.0]}),
        ("p: Input[400]\nf: Output = log(prod(p))", {"p": [0.1] * 400}, 400 * np.log(0.1), {"p": [10.0] * 400}),
    ],
)
def test_plain_formulas_are_stable(text: str, at: dict[str, object], value: float, gradient: dict[str, object]) -> None:
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found, grads = graphc.compile(text).value_and_grad(**at)
    assert found == pytest.approx(value, rel=1e-12)
    for name, expected in gradient.items():
        assert grads[name] == pytest.approx(np.array(expected), rel=1e-12)


def test_gradient_of_what_a_rule_goes_round() -> None:
    """log(softmax) becomes log_softmax, and the derivative with respect to the softmax is still found."""
    model = graphc.compile(TWO_LAYERS, wrt=["p"])
    data = batch()
    params = model.init_params(0)
    _, grads = model.value_and_grad(params, **data)
    s = np.maximum(data["X"] @ params["W1"], 0) @ params["W2"]
    p = np.exp(s) / np.exp(s).sum(1, keepdims=True)
    expected = np.zeros_like(p)
    expected[np.arange(6), data["y"]] = -1 / (6 * p[np.arange(6), data["y"]])
    np.testing.assert_allclose(grads["p"], expected, rtol=1e-10)


def test_grad_in_a_model_of_what_a_rule_goes_round() -> None:
    text = TWO_LAYERS + "d: Output = grad(loss, p)\n"
    model, plain = graphc.compile(text), graphc.compile(TWO_LAYERS, wrt=["p"])
    params, data = model.init_params(0), batch()
    np.testing.assert_allclose(model.module.d(params, **data), plain.value_and_grad(params, **data)[1]["p"])


def test_a_loss_of_derivatives() -> None:
    text = "x: Input\nu = x**3\nloss: Output = grad(u, x)**2"
    loss, grads = graphc.compile(text).value_and_grad(x=2.0)
    assert (loss, grads["x"]) == (144.0, 288.0)  # (3x²)² = 9x⁴, 36x³


EDGES = {
    "tied weights": ("W: Param[3, 3]\nx: Input[3]\nloss: Output = sum(W.T @ tanh(W @ x))", True),
    "an output that is an input": ("x: Input[3]\nloss: Output = sum(x)\nsame: Output = x", False),
    "a constant output": ("x: Input[3]\nloss: Output = sum(x)\none: Output = 1.0", False),
    "two outputs that are one node": ("x: Input[3]\nloss: Output = sum(x * x)\nagain: Output = loss", False),
    "a parameter used twice": ("w: Param[3]\nx: Input[3]\nloss: Output = sum(w * x * w)", True),
    "an unused input": ("x: Input[3]\nq: Input[3]\nloss: Output = sum(x * x)", False),
    "two names of one value": ("x: Input[3]\na = x * x\nb = x * x\nloss: Output = sum(a + b)", False),
    "a gradient that is an input": ("w: Param[3]\nx: Input[3]\nloss: Output = sum(w * x)", True),
    "names of Python and NumPy": (
        "np: Input[3]\nsum_1: Input[3]\nparams: Input[3]\nloss: Output = sum(np * sum_1 * params)",
        False,
    ),
    "an empty axis": ("x: Input[0, 3]\nloss: Output = sum(x * x)", False),
    "axes of one": ("x: Input[1, 3]\ny: Input[3, 1]\nloss: Output = sum(x * y)", False),
    "a scalar": ("x: Input\nloss: Output = x * x * x", False),
}


@pytest.mark.parametrize(("text", "has_params"), EDGES.values(), ids=EDGES.keys())
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_edges(text: str, has_params: bool, dtype: str) -> None:
    model = graphc.compile(text)
    rng = np.random.default_rng(0)
    values = {
        str(node.attrs["name"]): rng.normal(size=node.tensor.shape).astype(dtype)
        for node in (*model.graph.params, *model.graph.inputs)
    }
    params = {str(node.attrs["name"]): values.pop(str(node.attrs["name"])) for node in model.graph.params}
    assert has_params == bool(params)
    before = {name: value.copy() for name, value in {**params, **values}.items()}
    given = [params] if params else []
    loss, grads = model.value_and_grad(*given, **values)
    assert np.asarray(loss).dtype == dtype
    assert all(grad.dtype == dtype and grad.shape == before[name].shape for name, grad in grads.items())
    assert model.check_grad(*given, **values).ok
    outputs, residuals = model.forward(*given, **values)
    again = model.backward(residuals)
    for name, grad in grads.items():
        np.testing.assert_allclose(again[name], grad, rtol=1e-6)
    returned = [np.asarray(value) for value in (*outputs, *grads.values(), *again.values())]
    for value in returned:
        assert not any(np.shares_memory(value, argument) for argument in (*params.values(), *values.values()))
        value.flags.writeable and value.fill(7)
    for name, value in {**params, **values}.items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize(
    ("text", "at", "gradient"),
    [("x**0", {"x": 0.0}, {"x": 0.0}), ("x**3", {"x": -2.0}, {"x": 12.0}), ("x**2", {"x": 0.0}, {"x": 0.0})],
)
def test_powers(text: str, at: dict[str, float], gradient: dict[str, float]) -> None:
    assert graphc.compile(text).value_and_grad(**at)[1] == gradient


def test_every_pass_keeps_a_valid_graph() -> None:
    model = graphc.compile(TWO_LAYERS)
    joint = differentiate(model.graph, ["loss"], named_variables(model.graph, ["W1", "W2"]))
    assert model.compiled.split is not None and model.compiled.value_and_grad is not None
    for graph in (
        model.graph,
        joint.graph,
        model.compiled.split.forward,
        model.compiled.split.backward,
        model.compiled.value_and_grad,
        *model.compiled.outputs.values(),
    ):
        verify(graph)


def run_python(code: str, cwd: Path, **environment: str) -> str:
    path = str(Path(graphc.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_same_bytes_everywhere(tmp_path: Path) -> None:
    (tmp_path / "m.gc").write_text(TWO_LAYERS)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code = f"import graphc; print(graphc.compile({str(tmp_path / 'm.gc')!r}).source_text)"
    here = run_python(code, tmp_path, PYTHONHASHSEED="1")
    assert here == run_python(code, elsewhere, PYTHONHASHSEED="2")
    assert str(tmp_path) not in here


def test_a_module_needs_numpy_alone(tmp_path: Path) -> None:
    graphc.compile(TWO_LAYERS).write(tmp_path / "net.py")
    code = """
import sys
class Only:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"graphc", "networkx", "sympy", "click", "graphviz", "scipy"}:
            raise ImportError(name)
sys.meta_path.insert(0, Only())
import numpy as np, net
params = net.init_params(0)
loss, grads = net.value_and_grad(params, X=np.ones((2, 8)), y=np.array([0, 1]))
print(sorted(grads), float(loss) > 0)
"""
    assert run_python(code, tmp_path).strip() == "['W1', 'W2'] True"


def test_write_and_import(tmp_path: Path) -> None:
    model = graphc.compile(TWO_LAYERS)
    path = model.write(tmp_path / "net.py")
    spec = importlib.util.spec_from_file_location("net", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    params = module.init_params(3)
    np.testing.assert_array_equal(params["W1"], model.init_params(3)["W1"])
    assert module.value_and_grad(params, **batch())[0] == model.value_and_grad(params, **batch())[0]


def test_inputs_called_like_python_s_own_arguments() -> None:
    with pytest.warns(graphc.GraphcWarning, match="not used"):
        model = graphc.compile(
            "self: Input\nseed: Input[int64]\nrng: Input[int64]\nfunction: Input\nf: Output = self * function"
        )
    assert model.value_and_grad(self=2.0, seed=1, rng=1, function=3.0)[0] == 6
    assert model.check_grad(self=2.0, seed=1, rng=1, function=3.0).ok


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        graphc.compile("x * y").write(tmp_path / "none" / "m.py")
    assert str(caught.value).endswith(f"'{tmp_path / 'none' / 'm.py'}'")


def test_check_grad_takes_arguments_as_calls_do() -> None:
    model = graphc.compile("x: Input\ny: Input\nw: Param\nf: Output = sin(w * x) * y")
    assert model.check_grad({"w": 0.5}, 1.0, y=2.0).ok
    assert model.check_grad(params={"w": 0.5}, x=1.0, y=2.0).ok
    for arguments in ((), ({"w": 0.5}, 1.0), ({"w": 0.5}, 1.0, 2.0, 3.0), ([0.5], 1.0, 2.0)):
        with pytest.raises(TypeError, match=r"missing|takes|params is a list"):
            model.check_grad(*arguments)


def test_check_grad_moves_leaves_only() -> None:
    with pytest.raises(ValueError, match="p is computed"):
        graphc.compile("x: Input[3]\np = x * x\nf: Output = sum(p)", wrt=["p"]).check_grad(x=np.ones(3))
