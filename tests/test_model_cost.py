"""What models cost: lines and functions against formulas by hand, the cost of gradients, and how it is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import graphc
from graphc.cli import main
from graphc.cost import Cost
from graphc.free_sizes import free_sizes
from graphc.model_cost import ModelCost
from graphc.size import named_size, substitute

EXAMPLES = Path(__file__).parents[1] / "examples"
N, T, D = map(named_size, "NTD")

NETWORK = """\
X: Input[N, 784]
y: Input[N, int64]
W: Param[784, 512]
V: Param[512, 10]
a = X @ W
h = relu(a)
s = h @ V
loss: Output = mean(cross_entropy(s, y))
"""
ATTENTION = """\
Q: Input[N, D]
K: Input[N, D]
V: Input[N, D]
scores = Q @ K.T
weights = softmax(scores)
mixed = weights @ V
loss: Output = sum(mixed)
"""
CONVOLUTION = """\
X: Input[N, 3, 32, 32]
W: Param[8, 3, 5, 5]
a = conv2d(X, W)
loss: Output = sum(a ** 2)
"""
RECURRENT = """\
X: Input[T, N, 4]
W: Param[4, 6]
U: Param[6, 6]
def step(h, x):
    h = tanh(x @ W + h @ U)
    return h, h
h, hs = scan(step, broadcast_to(0.0, (N, 6)), X)
loss: Output = sum(h)
"""


def lines(text: str) -> dict[str, tuple[Cost, Cost]]:
    """The costs of lines, forward and backward, by what is assigned."""
    return {x.code.split(" =")[0]: (x.forward, x.backward) for x in graphc.compile(text).cost().lines}


def test_products_of_a_network() -> None:
    found = {name: (forward.flops, backward.flops) for name, (forward, backward) in lines(NETWORK).items()}
    # The inputs need no cotangent: backward there is one product, of as many flops as the one forward.
    assert found["a"] == (2 * 784 * 512 * N, 2 * 784 * 512 * N)
    assert found["h"] == (512 * N, 2 * 512 * N)
    assert found["s"] == (2 * 512 * 10 * N, 2 * 2 * 512 * 10 * N)


def test_bytes_of_a_network() -> None:
    forward, backward = lines(NETWORK)["a"]
    assert (forward.read, forward.written) == (8 * (784 * N + 784 * 512), 8 * 512 * N)
    assert (backward.read, backward.written) == (8 * (784 * N + 512 * N), 8 * 784 * 512)


def test_attention_costs_two_products_of_each_pair() -> None:
    found = {name: (forward.flops, backward.flops) for name, (forward, backward) in lines(ATTENTION).items()}
    assert found["scores"] == (2 * D * N * N, 4 * D * N * N)
    assert found["mixed"][0] == 2 * D * N * N
    assert found["weights"][0] == 14 * N * N


def test_a_convolution_costs_its_window_for_each_place() -> None:
    forward, backward = lines(CONVOLUTION)["a"]
    assert forward.flops == 2 * (3 * 5 * 5) * (8 * 28 * 28) * N == backward.flops


def test_a_scan_costs_its_steps() -> None:
    found = lines(RECURRENT)
    products, sums = 2 * 4 * 6 * N + 2 * 6 * 6 * N, 6 * N
    # What is computed for all steps at once is in the line of the step that says so.
    assert found["h, hs"][0].flops + found["h"][0].flops == T * (products + sums + 12 * 6 * N)


NETWORKS = ("convnet", "linear_regressor", "logistic_classifier", "mlp", "perceptron", "regression_network", "rnn")
MORE_NETWORKS = (
    "classification_network",
    "deep_network",
    "gaussian_network",
    "learned_features",
    "linear_layers",
    "multiclass_classifier",
    "noisy_digits",
    "one_hidden_layer",
    "own_layer",
    "parity_learner",
)


@pytest.mark.parametrize("name", MORE_NETWORKS)
def test_a_gradient_costs_at_most_two_and_a_half_times_the_network(name: str) -> None:
    model = graphc.compile(EXAMPLES / f"{name}.gc")
    ratio = model.cost(dict.fromkeys(free_sizes(model.graph), 256)).ratio
    assert ratio is not None and 0 < ratio <= 2.5


@pytest.mark.parametrize("name", [*NETWORKS, "softmax_regression", "two_class_softmax", "two_layer_network"])
def test_gradients_of_networks_are_cheap(name: str) -> None:
    model = graphc.compile(EXAMPLES / f"{name}.gc")
    found = model.cost(dict.fromkeys(free_sizes(model.graph), 256))
    assert found.ratio is not None and found.ratio <= 2.5
    total, *halves = (found.function(name).cost.flops for name in ("value_and_grad", "forward", "backward"))
    # In one pass nothing is computed again, and no output that the loss does not need; with a seed of 1 some elements
    # are divided that backward multiplies by a quotient.
    assert isinstance(total, int) and total <= 1.01 * sum(halves)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.gc")), ids=lambda path: path.stem)
def test_lines_add_up_and_numbers_may_be_put_in_later(path: Path) -> None:
    model = graphc.compile(path)
    found = model.cost()
    parts = [found.function("forward").cost, found.function("backward").cost]
    assert sum((line.forward for line in found.lines), Cost()) == parts[0]
    assert sum((line.backward for line in found.lines), Cost()) == parts[1]
    sizes = {name: 7 + k for k, name in enumerate(free_sizes(model.graph))}
    for named, numbered in zip(found.functions, model.cost(sizes).functions, strict=True):
        assert named.cost.at(sizes) == numbered.cost
        assert all(isinstance(peak, int) for peak in numbered.peaks)
    assert str(found) and json.dumps(found.data())


def test_a_model_without_gradient_has_one_function() -> None:
    found = graphc.compile(NETWORK, gradient=False).cost({"N": 10})
    assert [function.name for function in found.functions] == ["evaluate"]
    assert found.ratio is None and found.function("evaluate").cost.flops == 8028160 + 5120 + 102400 + 1410 + 1
    assert found.arguments == 8 * (784 * 10 + 10 + 784 * 512 + 512 * 10)


def test_some_sizes_may_stay() -> None:
    found = graphc.compile(ATTENTION).cost({"D": 3}).function("forward")
    assert found.cost.flops == 2 * 6 * N * N + 14 * N * N + 3 * N
    assert [substitute(peak, {"N": 2}) for peak in found.peaks]


@pytest.mark.parametrize(
    ("sizes", "code", "message"),
    [
        ({"M": 3}, "GC101", "expected one of the model's free sizes, found no M; there are N"),
        ({"N": 3, "h": 3}, "GC101", "expected one of the model's free sizes, found no h; there are N"),
        ({"N": -1}, "GC204", "expected a whole number for the size N, found -1"),
        ({"N": 2.5}, "GC204", "expected a whole number for the size N, found 2.5"),
        ({"N": True}, "GC204", "expected a whole number for the size N, found True"),
    ],
)
def test_wrong_sizes_are_refused(sizes: dict[str, int], code: str, message: str) -> None:
    with pytest.raises(graphc.GraphcError) as caught:
        graphc.compile(NETWORK).cost(sizes)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.message) == (code, message)
    assert diagnostic.span is None


def test_models_of_scalars_and_of_nothing() -> None:
    scalar = graphc.compile("(x + y) * z").cost()
    assert [function.cost for function in scalar.functions[:1]] == [Cost(flops=2)]
    assert scalar.ratio == 1.5 and scalar.function("forward").peak == 0
    empty = graphc.compile("x: Input[N]; loss: Output = sum(x)").cost({"N": 0})
    assert empty.function("forward").cost == Cost() and empty.ratio is None


def test_unknown_functions_are_refused() -> None:
    with pytest.raises(KeyError):
        graphc.compile("x * y").cost().function("evaluate")


def shown(*arguments: str) -> tuple[int, str]:
    """Exit status and output of ``graphc show``."""
    result = CliRunner().invoke(main, ["show", *arguments])
    return result.exit_code, result.output


def test_the_command_line_prints_a_table() -> None:
    status, text = shown("-e", NETWORK, "--cost", "--sizes", "N=1000")
    assert status == 0
    assert "<model>:5  a = X @ W" in text and "803 M" in text
    assert "backward is 1.0" in text and "value_and_grad" in text


def test_the_command_line_prints_names_of_sizes() -> None:
    status, text = shown("-e", NETWORK, "--cost")
    assert status == 0 and "802816*N" in text and "where sizes are 256" in text


def test_the_command_line_prints_json() -> None:
    status, text = shown("-e", NETWORK, "--cost", "--json", "--size", "N=10")
    data = json.loads(text)
    assert status == 0 and data["sizes"] == {"N": 10}
    assert data["lines"][0]["forward"] == {"flops": 8028160, "read": 3273984, "written": 40960}
    assert set(data["functions"]) == {"forward", "backward", "value_and_grad"}


def test_the_command_line_needs_no_gradient() -> None:
    status, text = shown("-e", NETWORK, "--cost", "--no-gradient")
    assert status == 0 and "evaluate" in text and "times" not in text


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--cost", "--sizes", "M=3"], 2, "error[GC101]: expected one of the model's free sizes, found no M"),
        (["--cost", "--sizes", "N=x"], 2, "expected a size such as N=10 for --size, found N=x"),
        (["--sizes", "N=3"], 2, "--sizes are of a cost, expected them with --cost"),
    ],
)
def test_the_command_line_refuses(arguments: list[str], status: int, message: str) -> None:
    found, text = shown("-e", NETWORK, *arguments)
    assert found == status and message in text


def test_costs_are_values() -> None:
    found = graphc.compile("x: Input[N]; loss: Output = sum(x * x)").cost()
    assert isinstance(found, ModelCost) and found.lines[0].place == "<model>:1"
    with pytest.raises(AttributeError):
        found.arguments = 3  # type: ignore[misc]
