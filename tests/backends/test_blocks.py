"""Modules written for speed: the readable module's results, whatever the shapes, and memory that nobody shares."""

from __future__ import annotations

import math
import re
import threading
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import graphc
from graphc.backends.regions import OPTIMIZE, Region, schedule
from graphc.cli import main
from graphc.errors import GraphcError
from graphc.provenance import Options, Provenance, read_provenance
from tests.benchmarks.cases.elementwise import CHAIN

ROWS = """
x: Input[N, 3]
b: Input[3]
one: Input[1, 3]
column: Input[N, 1]
row: Input[N]
s: Input
whole: Input[M, N, 3]
h = tanh(x * b + one) * column - s
centred = (h - mean(h, axis=0)) / sqrt(var(h, axis=0) + 0.1)
p = softmax(centred * b, axis=1)
k = sum(log(p) * p, axis=1) * row
loss: Output = sum(k) + sum(where(h > 0.1, h * s, clip(h, -0.3, 0.2)) * p) + mean(tanh(whole * x + b) ** 3)
"""
STACKED = """
x: Input[N, 3]
a, b, c = x[:, 0] * 2, tanh(x[:, 1]), exp(x[:, 2] / 3)
y = stack([a * b - c, b * c, sin(a)], axis=1) + x
loss: Output = sum(concatenate([y * a[:, None], x[:, :2] / 2], axis=1))
"""
SCANNED = """
x: Input[N]
w: Input[4]
def step(c, e):
    return tanh(c * e), c + e
last, steps = scan(step, 0.5, w)
h = exp(-square(tanh(x * 2 + 1) - 0.3)) * x
loss: Output = sum(h * tanh(h) * x) + last + sum(steps)
"""
MASKS = """
x: Input[N]
n: Input[N, int64]
m: Input[N, bool]
k = (x > 0.1) & m
y = k * tanh(x) * n + where(m | (n > 2), exp(x / 9), x) + (n + 1) * 2 - n // 2
loss: Output = sum(y * y * 0.1) + sum(n * n) + sum(k)
"""
SQUARE = """
x: Input[N, N]
r: Input[N]
t = tanh(x)
down = sum(t * t * x, axis=0)
e = exp(down * r / 9) * r + t[::-1]
q = exp(square(r[::-1]) - r) * r
loss: Output = sum(e * cumsum(e, axis=0) * e[::-1]) + sum(flip(e * 2 * x, axis=0) * t) + sum(t @ (e * x - q))
"""
VIEWED = """
x: Input[N, 3]
r: Input[N]
a = tanh(x * 2)[:, 1]
loss: Output = sum((a + r) * a) + sum(sum(exp(x / 2) * 3 - x, axis=1) * a)
"""
NAMED = """
rows: Input[N]
work: Input
block: Input[N]
_WORK = tanh(rows * work) * block
_BLOCK = exp(_WORK) * rows
loss: Output = sum(_BLOCK * _WORK * rows) + work
"""
MODELS = {
    "chain": CHAIN,
    "stacked": STACKED,
    "scanned": SCANNED,
    "masks": MASKS,
    "square": SQUARE,
    "viewed": VIEWED,
    "named": NAMED,
}


def module_of(text: str, block: int = 5, **options: Any) -> Any:
    """The module for speed, with small blocks; the model has a region."""
    module = graphc.compile(text, optimize="speed", **options).module
    module._BLOCK = block  # type: ignore[attr-defined]
    return module


def arrays(text: str, N: int, dtype: str = "float64", seed: int = 0) -> dict[str, Any]:
    """Inputs of a model."""
    rng = np.random.default_rng(seed)
    found: dict[str, Any] = {}
    for node in graphc.compile(text, gradient=False).graph.inputs:
        shape = tuple({"N": N, "M": 2}.get(str(size), size) for size in node.tensor.shape)
        drawn = rng.normal(size=shape)
        kind = dtype if node.tensor.is_float else node.tensor.dtype
        found[str(node.attrs["name"])] = (drawn > 0) if kind == "bool" else np.asarray(drawn * 2).astype(kind)
    return found


def same(text: str, given: dict[str, Any], block: int = 5, rtol: float = 1e-12) -> None:
    """The module for speed does what the readable one does, and all of its functions agree."""
    readable, fast = graphc.compile(text), module_of(text, block)
    before = {name: np.copy(value) for name, value in given.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want, wanted = readable.value_and_grad(**given)
        value, found = fast.value_and_grad(**given)
        outputs, residuals = fast.forward(**given)
        again = fast.backward(residuals)
        alone = fast.loss(**given)
    for name, array in given.items():
        np.testing.assert_array_equal(array, before[name])
    np.testing.assert_allclose([value, outputs.loss, alone], want, rtol=rtol)
    assert value.dtype == want.dtype and isinstance(value, np.generic)
    assert found.keys() == wanted.keys()
    scale = max((float(np.nanmax(np.abs(g), initial=0.0)) for g in wanted.values()), default=1.0)
    results = [*found.values(), *again.values()]
    for gradients in (found, again):
        for name, gradient in gradients.items():
            np.testing.assert_allclose(gradient, wanted[name], rtol=rtol, atol=rtol * scale, err_msg=name)
            assert gradient.dtype == wanted[name].dtype and type(gradient) is type(wanted[name])
    for k, result in enumerate(results):
        assert not any(np.shares_memory(result, other) for other in (*given.values(), *results[:k]))


@pytest.mark.parametrize("N", [0, 1, 4, 5, 6, 17])
@pytest.mark.parametrize("text", MODELS.values(), ids=MODELS)
def test_awkward_sizes(text: str, N: int) -> None:
    same(text, arrays(text, N))
    same(text, arrays(text, N, "float32"), rtol=3e-5)


@pytest.mark.parametrize("N", [1, 2, 7])
@pytest.mark.parametrize("block", [1, 6, 1000])
def test_broadcasting_and_several_loops(N: int, block: int) -> None:
    same(ROWS, arrays(ROWS, N), block)


def test_mixed_float_types_adapt() -> None:
    given = arrays(CHAIN, 13, "float32")
    given["y"] = given["y"].astype(np.float64)
    same(CHAIN, given)
    same(CHAIN, {**given, "x": np.arange(13), "z": [0.5] * 13})


def test_strided_and_read_only_arrays() -> None:
    given = {name: np.repeat(value, 3)[::-3] for name, value in arrays(CHAIN, 23).items()}
    for value in given.values():
        value.flags.writeable = False
    same(CHAIN, given)
    fortran = {name: np.array(value, order="F") for name, value in arrays(ROWS, 9).items()}
    same(ROWS, fortran)


def test_nan_and_infinities_get_through() -> None:
    given = arrays(CHAIN, 12)
    for value in (np.nan, np.inf, -np.inf):
        given["z"][7] = value
        same(CHAIN, given)


def test_warnings_are_those_of_the_readable_module() -> None:
    text = "x: Input[N]\nloss: Output = sum(log(x) * tanh(x) + exp(x) * x)"
    given = {"x": np.array([1.0, -1.0, 0.0, 800.0])}
    raised = []
    for module in (graphc.compile(text).module, module_of(text)):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            module.loss(**given)  # type: ignore[attr-defined]
        raised.append({re.sub("scalar ", "", str(warning.message)) for warning in found})
    assert raised[0] == raised[1] and len(raised[0]) >= 3


def test_an_error_in_a_block_leaves_the_module_usable() -> None:
    module, given = module_of(CHAIN), arrays(CHAIN, 20)
    want = module.loss(**given)
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        module.loss(**{**given, "x": np.full(20, 1e200), "y": np.full(20, 1e200)})
    assert module.loss(**given) == want


def test_results_are_kept_from_call_to_call() -> None:
    module = module_of(CHAIN)
    first, second = arrays(CHAIN, 20, seed=1), arrays(CHAIN, 20, seed=2)
    _, gradients = module.value_and_grad(**first)
    _, residuals = module.forward(**first)
    copies = {name: gradient.copy() for name, gradient in gradients.items()}
    module.value_and_grad(**second)
    module.forward(**second)
    for name, gradient in module.backward(residuals).items():
        np.testing.assert_array_equal(gradients[name], copies[name])
        np.testing.assert_allclose(gradient, copies[name], rtol=1e-12)


def test_threads_at_once() -> None:
    module, points = module_of(CHAIN, 50), [arrays(CHAIN, 100 + 37 * k, seed=k) for k in range(6)]
    want = [module.value_and_grad(**point) for point in points]
    wrong: list[int] = []

    def run(k: int) -> None:
        for _ in range(30):
            value, gradients = module.value_and_grad(**points[k])
            equal = all(np.array_equal(gradients[name], want[k][1][name]) for name in gradients)
            if value != want[k][0] or not equal:
                wrong.append(k)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(len(points))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_call_inside_of_a_call() -> None:
    """NumPy calls a function of the user in the middle of a block."""
    module, given = module_of("x: Input[N]\nf: Output = sum(tanh(x) * exp(x) + 1 / x)"), {"x": np.arange(12.0)}
    inner = []

    def called(kind: str, flag: int) -> None:
        inner.append(module.f(x=np.ones(12)))

    before = np.seterrcall(called)
    try:
        with np.errstate(divide="call"):
            outer = module.f(**given)
    finally:
        np.seterrcall(before)
    assert outer == np.inf and inner == [module.f(x=np.ones(12))]


def test_memory_is_that_of_the_results() -> None:
    module, given = graphc.compile(CHAIN, optimize="speed").module, arrays(CHAIN, 800_000)
    tracemalloc.start()
    try:
        _, gradients = module.value_and_grad(**given)  # type: ignore[attr-defined]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Six work arrays of at most 512 kB, and the sums of the blocks.
    assert peak < sum(gradient.nbytes for gradient in gradients.values()) + 3_200_000


@pytest.mark.parametrize("text", [ROWS, *MODELS.values()], ids=["rows", *MODELS])
def test_the_cost_counts_whole_arrays_and_no_work_arrays(text: str) -> None:
    readable, fast = (graphc.compile(text, optimize=style).cost({"N": 9000}) for style in OPTIMIZE)
    assert readable.function("value_and_grad").cost == fast.function("value_and_grad").cost
    if text == CHAIN:
        assert fast.function("value_and_grad").peaks == (3 * 8 * 9000,)


def test_work_arrays_are_those_of_the_last_call() -> None:
    module = module_of(CHAIN)
    for N in range(1, 30):
        module.loss(**arrays(CHAIN, N))
    assert len(module._WORK) == 1


def test_sums_round_no_more_than_those_of_numpy() -> None:
    module = module_of("x: Input[N]\nf: Output = sum(x * x * 0.5 + x)", block=7)
    x = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
    terms = x * x * np.float32(0.5) + x
    exact, size = math.fsum(terms.tolist()), math.fsum(np.abs(terms).tolist())
    assert abs(float(module.f(x=x)) - exact) <= 32 * np.finfo(np.float32).eps * size


@pytest.mark.parametrize("text", [ROWS, *MODELS.values()], ids=["rows", *MODELS])
def test_a_schedule_has_every_node_once_after_its_operands(text: str) -> None:
    graph = graphc.compile(text).compiled.value_and_grad
    assert graph is not None
    order = schedule(graph, (), ("N",))
    nodes = [node for item in order for node in (item.nodes if isinstance(item, Region) else [item])]
    places = {node: place for place, node in enumerate(nodes)}
    assert sorted(places, key=lambda node: node.serial) == [*graph.nodes] and len(nodes) == len(places)
    assert all(places[operand] < places[node] for node in nodes for operand in graph.operands(node))


def test_forward_and_backward_are_one_loop_where_nothing_waits_for_a_sum() -> None:
    text = graphc.compile(CHAIN, optimize="speed").source_text.split("def value_and_grad")[1].split("_INPUTS")[0]
    assert text.count("_blockwise(") == 1 and text.count(" = out[") == 3 and "np.empty(" not in text
    code = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    statements = [line for line in code if "(" in line and line.startswith(" " * 8)]
    assert [line for line in statements if "out=" not in line] == ["        loss_rows = add_2.sum()"]


def test_small_models_stay_as_they_are() -> None:
    text = "X: Input[8, 3]\nw: Param[3] = normal()\nloss: Output = mean(square(X @ w))"
    readable, fast = graphc.compile(text).source_text, graphc.compile(text, optimize="speed").source_text
    plain = re.sub(r"np\.dot\(([^ ]+), ([^ ]+)\)", r"\1 @ \2", _function(fast, "forward"))
    assert _function(readable, "forward") == plain
    assert "_borrowed" not in fast
    assert "Written for speed" in fast and "Written for speed" not in readable


def _function(text: str, name: str) -> str:
    return text.split(f"def {name}(")[1].split("\n\n\n")[0]


def test_a_step_of_training_in_blocks() -> None:
    text = "X: Input[N, 40]\nW: Param[40, 4000] = normal()\nloss: Output = mean(square(X @ W))"
    X = np.random.default_rng(0).normal(size=(6, 40))
    steps = []
    for optimize in ("readable", "speed"):
        model = graphc.compile(text, optimizer="adam", optimize=optimize)  # type: ignore[arg-type]
        params = model.init_params(0)
        steps.append(model.train_step(params, model.init_state(params), X))
    assert "_blockwise(" in model.source_text
    np.testing.assert_array_equal(steps[0][0]["W"], steps[1][0]["W"])


def test_the_header_tells_the_option() -> None:
    origin = Provenance("0.1.0", "a.gc", "0123456789abcdef", Options(optimize="speed"))
    assert str(origin).endswith("Options: --optimize speed")
    assert read_provenance(f"{origin}\n\ninputs   x: float64[]") == origin


def test_the_command_line_writes_for_speed() -> None:
    arguments = ["compile", "-e", CHAIN, "--optimize", "speed"]
    assert CliRunner().invoke(main, arguments).output == graphc.compile(CHAIN, optimize="speed").source_text


def test_other_styles_are_refused() -> None:
    with pytest.raises(GraphcError) as error:
        graphc.compile("x * x", optimize="fast")  # type: ignore[arg-type]
    (found,) = error.value.diagnostics
    assert (found.code, found.message) == ("GC419", "expected to optimize for readable or speed, found fast")
