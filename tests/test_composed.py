"""Features together: random steps of scans, unrolled and not, through every derivative that a module has on request."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphc as gx
from graphc.graph import Graph, subgraphs, verify

PREAMBLE = """
X: Input[3, 3]
k: Input[3, int64]
v: Param[3]
W: Param[3, 3]
a: Param

@elementwise
def kink(x, y): return where(x > y, sin(x), abs(y) * 0.5 + x)
def hyp(x, y):
    return sqrt(x * x + y * y + 0.1)
@gradient_of(hyp)
def hyp_gradient(d, x, y, r):
    return d * x / r, d * y / r
def soft(x):
    return log1p(exp(2.0 * x)) / 2.0
@gradient_of(soft)
def soft_gradient(d, x):
    return d * sigmoid(2.0 * x)
def unrolled(step, init, xs, reverse=False, checkpoint=False):
    carry, ys = init, []
    for t in (reversed(range(3)) if reverse else range(3)):
        carry, y = step(carry, (xs[0][t], xs[1][t]))
        ys = [y] + ys if reverse else ys + [y]
    return carry, stack(ys)
"""
UNARY = (
    *(
        "kink({}, v)",
        "hyp({0}, 0.7 * {0})",
        "soft({})",
        "where({0} > 0, log({0}), {0})",
        "abs({}) ** 1.5",
        "{}[[2, 0, 0]]",
    ),
    *("where({0} > 0.1, sqrt({0} - 0.1), sin({0}))", "log(softmax({}))", "sort(sin({}))", "median({0}) + {0}"),
    *("conv1d(reshape({}, (1, 1, 3)), reshape(v, (1, 1, 3)), padding='same')[0, 0]", "tanh({} @ W)", "cumsum({}) * a"),
    *("max_pool1d(reshape({}, (1, 1, 3)), 2, stride=1, padding=1)[0, 0, :3]", "grad(sum(sin({0}) * {0}), {0})"),
    *("cholesky(outer({0}, {0}) + diag(broadcast_to(1.0, 3)))[2]", "norm({0}) * {0}", "maximum({}, 0.1) * a"),
)
BINARY = ("hyp({}, {})", "kink({}, {})", "maximum({}, {})", "where({0} > 0, log({0}) * {1}, {1})", "{0} - 0.5 * {1}")
OPTIONS = ("", ", reverse=True", ", checkpoint=2", ", checkpoint=True", ", checkpoint=2, reverse=True")
EXTRAS = ["jvp", "jacobian", "hvp", "hessian", "sparse_jacobian", "graph"]


def texts(seed: int) -> tuple[str, str]:
    """A model with a scan, and the same unrolled."""
    rng = np.random.default_rng(seed)
    names, lines = ["h", "x"], []
    for number in range(3):
        forms = UNARY if rng.random() < 0.6 else BINARY
        operands = [names[int(rng.integers(len(names)))], names[-1]]
        lines.append(
            f"t{number} = {forms[int(rng.integers(len(forms)))].format(*operands[: 1 if forms is UNARY else 2])}"
        )
        names.append(f"t{number}")
    step = [
        *("def step(carry, given):", "    h, n = carry", "    x, i = given", *(f"    {line}" for line in lines)),
        f"    return (tanh({names[-1]}) + 0.1 * W[(i + n) % 3], n + 1), sin({names[-2]}) + h * a",
    ]
    call = f"(h, n), ys = SCAN(step, (v * 0.5, 1), (X, k){OPTIONS[seed % len(OPTIONS)]})"
    last = f"r: Output = {UNARY[int(rng.integers(len(UNARY)))].format('h')} + sum(ys * X, axis=0) * a / n"
    text = "\n".join([PREAMBLE, *step, call, last, "loss: Output = sum(sin(r)) + 0.1 * sum(W * W)"])
    return text.replace("SCAN", "scan"), text.replace("SCAN", "unrolled")


def verify_steps(graph: Graph) -> None:
    """The graph and the steps in it."""
    pending = [graph]
    while pending:
        found = pending.pop()
        verify(found)
        pending += [inner for node in found.nodes for inner in subgraphs(node)]


def dot(blocks: dict[str, np.ndarray], direction: dict[str, np.ndarray]) -> np.ndarray:
    """A row of blocks times a direction."""
    return sum(np.tensordot(blocks[name], d, axes=d.ndim) for name, d in direction.items())  # type: ignore[return-value]


@pytest.mark.parametrize("seed", range(2))
def test_composed(seed: int, tmp_path: Path) -> None:
    check(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 130))
def test_composed_more(seed: int, tmp_path: Path) -> None:
    check(seed, tmp_path)


@np.errstate(all="ignore")
def check(seed: int, folder: Path) -> None:
    """Gradients, products and Jacobians agree with each other, the unrolled model and differences."""
    scanned, written_out = texts(seed)
    conventions = ("graphc", "torch", "jax")[seed % 3]
    model = gx.compile(scanned, with_=EXTRAS, of="r", conventions=conventions)  # type: ignore[arg-type]
    plain = gx.compile(written_out, loss="loss", conventions=conventions)  # type: ignore[arg-type]
    assert model.compiled.value_and_grad is not None
    for graph in (model.graph, model.joint.graph, model.compiled.value_and_grad):
        verify_steps(graph)
    assert gx.load(model.write(folder / "composed.py")).source_text == model.source_text
    rng = np.random.default_rng(seed)
    shapes = {"v": 3, "W": (3, 3), "a": ()}
    params, direction = ({name: np.asarray(rng.normal(size=s)) for name, s in shapes.items()} for _ in range(2))
    inputs = {"X": rng.normal(size=(3, 3)), "k": rng.integers(0, 3, 3)}
    loss, gradient = model.value_and_grad(params, **inputs)
    same, expected = plain.value_and_grad(params, **inputs)
    np.testing.assert_allclose(loss, same, rtol=1e-9)
    for name, found in gradient.items():
        np.testing.assert_allclose(found, expected[name], rtol=1e-7, atol=1e-8, err_msg=name)
    assert model.check_grad(params, **inputs).ok
    module, given = model.module, list(inputs.values())
    jacobian, hessian = module.jacobian(params, *given), module.hessian(params, *given)
    np.testing.assert_allclose(module.jvp(params, direction, *given)[1], dot(jacobian, direction), rtol=1e-8, atol=1e-8)
    rows, columns, values = module.sparse_jacobian(params, *given)
    dense = np.zeros((3, 13))
    dense[rows, columns] = values
    wanted = np.concatenate([jacobian[name].reshape(3, -1) for name in shapes], axis=1)
    np.testing.assert_allclose(dense, wanted, rtol=1e-8, atol=1e-8)
    product = module.hvp(params, direction, *given)
    for name, found in product.items():
        np.testing.assert_allclose(found, dot(hessian[name], direction), rtol=1e-6, atol=1e-6, err_msg=name)
    slope = sum(float(np.sum(product[name] * d)) for name, d in direction.items())
    assert min(abs(_curvature(plain, params, inputs, direction, h) - slope) for h in (1e-4, 1e-5, 1e-6)) < 1e-4 * max(
        1.0, abs(slope)
    )
    many = {name: np.stack([x, x[::-1]]) for name, x in inputs.items()}
    each = gx.per_example_grad(model)(params, **many)
    for name in shapes:
        np.testing.assert_allclose(each[name][0], gradient[name], rtol=1e-7, atol=1e-8, err_msg=name)
    narrow = gx.compile(scanned, dtype="float32", with_=EXTRAS, of="r", conventions=conventions)  # type: ignore[arg-type]
    assert narrow.module.hvp


def _curvature(
    model: gx.Model, params: dict[str, np.ndarray], inputs: dict[str, np.ndarray], d: dict[str, np.ndarray], h: float
) -> float:
    """The second derivative of the loss along a direction, from differences of gradients."""
    ahead, behind = (
        model.value_and_grad({n: x + s * h * d[n] for n, x in params.items()}, **inputs)[1] for s in (1, -1)
    )
    return float(sum(np.sum((ahead[name] - behind[name]) * d[name]) for name in d)) / (2 * h)
