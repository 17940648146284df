"""Random models end to end: value, gradient, dtype, purity and text of the generated module are what they should be."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc.backends import blockwise, entry, linear_algebra, runtime, special
from graphc.backends.regions import OPTIMIZE, Optimize
from graphc.graph import Graph, verify
from tests.backends.modules import FORCED, force
from tests.evaluate import evaluate
from tests.random_models import Arrays, RandomModel, random_model

COPIED = {
    line
    for module in (blockwise, runtime, special, linear_algebra, entry)
    for line in inspect.getsource(module).splitlines()
}
"""Lines of runtime functions, which are as wide as the project's own."""

FAST = range(25)
FOR_SPEED = range(25, 33)
MANY = range(100, 250)


@pytest.mark.parametrize("seed", FAST)
def test_random_model(seed: int) -> None:
    check(seed)


@pytest.mark.parametrize("seed", FOR_SPEED)
def test_random_model_for_speed(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever can be is computed by blocks, of one row or of several, or in work arrays."""
    check(seed, optimize=force(FORCED[seed % 2], monkeypatch))


@pytest.mark.slow
@pytest.mark.parametrize("style", ["readable", *FORCED])
@pytest.mark.parametrize("seed", MANY)
def test_many_random_models(seed: int, style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check(seed, optimize=force(style, monkeypatch))


def test_modules_are_clean(tmp_path: Path) -> None:
    """No unused or undefined name, in the eyes of pyflakes."""
    if importlib.util.find_spec("ruff") is None:
        pytest.skip("ruff is not installed")
    for seed in FAST:
        for optimize in OPTIMIZE:
            text = compiled(random_model(seed), optimize=optimize).source_text
            (tmp_path / f"{optimize}{seed}.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F", "."]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def compiled(model: RandomModel, **options: object) -> graphc.Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", graphc.GraphcWarning)
        return graphc.compile(model.text, **options)  # type: ignore[arg-type]


def check(seed: int, optimize: Optimize = "readable") -> None:
    """All that must hold of the model of a seed, at several sizes."""
    random = random_model(seed)
    rng = np.random.default_rng(seed)
    wrt = ["X", "Z", "v", "s", "W", "b", "u", "t"] if seed % 2 else None
    model = compiled(random, wrt=wrt, optimize=optimize)
    assert model.source_text == compiled(random, wrt=wrt, optimize=optimize).source_text
    model.module._BLOCK = 5 + seed % 3  # type: ignore[attr-defined]
    ast.parse(model.source_text)
    # Comments are as long in the function of a block.
    width = 104 if optimize == "speed" else 100
    assert all(len(line) <= (120 if line in COPIED else width) for line in model.source_text.splitlines())
    for graph in graphs(model):
        verify(graph)
    sizes = [(4, 2), (1, 1), *([(0, 2), (3, 0), (0, 0)] if random.empty_fine else [])]
    for N, M in sizes:
        params, inputs = random.point(rng, N, M)
        with np.errstate(all="ignore"):
            gradients = hold(model, params, inputs)
            differences(model, params, inputs, gradients, rng)
            single_precision(model, params, inputs, gradients)


def graphs(model: graphc.Model) -> Iterator[Graph]:
    yield model.graph
    yield model.joint.graph
    yield from model.compiled.outputs.values()
    assert model.compiled.split is not None and model.compiled.value_and_grad is not None
    yield from (model.compiled.split.forward, model.compiled.split.backward, model.compiled.value_and_grad)


def hold(model: graphc.Model, params: Arrays, inputs: Arrays) -> Arrays:
    """Value and gradient are the interpreter's of the graph as written, and nothing is changed or shared."""
    before = {name: value.copy() for name, value in {**params, **inputs}.items()}
    value, gradients = model.value_and_grad(params, **inputs)
    outputs, residuals = model.forward(params, **inputs)
    again = model.backward(residuals)
    twice = model.backward(residuals, d_loss=np.float64(2.0))
    for name, array in {**params, **inputs}.items():
        np.testing.assert_array_equal(array, before[name])
    results = [*outputs, value, *gradients.values(), *again.values()]
    for k, result in enumerate(results):
        others = [*params.values(), *inputs.values(), *results[:k]]
        assert not any(np.shares_memory(result, other) for other in others), k
    want = evaluate(model.graph, {**params, **inputs})
    for name, found in zip(outputs._fields, outputs, strict=True):
        close(found, want[name], name)
    close(value, want["loss"], "loss")
    raw = evaluate(model.joint.graph, {**params, **inputs, "d_loss": np.float64(1.0)})
    for name, gradient in gradients.items():
        # The stable form may have a gradient where the formula as written has none; then the differences decide.
        known = ~np.isnan(raw[f"d_{name}"])  # type: ignore[call-overload]
        close(gradient[known], np.asarray(raw[f"d_{name}"])[known], f"d_{name}", scale=magnitude(raw.values()))
        close(again[name], gradient, f"backward {name}", scale=magnitude(raw.values()))
        close(twice[name], 2 * gradient, f"scaled {name}", scale=magnitude(raw.values()))
        assert gradient.shape == np.shape({**params, **inputs}[name]) and gradient.dtype == np.float64
    return dict(gradients)


def magnitude(values: object) -> float:
    finite = [np.abs(v)[np.isfinite(v)] for v in values if np.asarray(v).dtype.kind == "f"]  # type: ignore[attr-defined]
    return max((float(v.max(initial=0.0)) for v in finite), default=1.0)


def close(found: object, wanted: object, name: str, *, scale: float = 1.0, rtol: float = 1e-8) -> None:
    assert np.shape(found) == np.shape(wanted), name
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol * 1e-2 * max(scale, 1.0), err_msg=name)


def differences(
    model: graphc.Model, params: Arrays, inputs: Arrays, gradients: Arrays, rng: np.random.Generator
) -> None:
    """The gradient is the slope along a random direction: at some step, since kinks and jumps spoil large ones."""
    for name, gradient in gradients.items():
        direction = rng.normal(size=gradient.shape)
        slope = float(np.sum(gradient * direction))
        found = [_slope(model, params, inputs, name, direction * step) / step for step in (1e-4, 1e-5, 1e-6, 1e-7)]
        error = min(abs(slope - other) for other in found)
        assert error <= 1e-5 * max(1.0, abs(slope), float(np.abs(gradient).max(initial=0.0))), (name, slope, found)


def _slope(model: graphc.Model, params: Arrays, inputs: Arrays, name: str, step: np.ndarray) -> float:
    def loss(sign: float) -> float:
        moved = {k: v + sign * step if k == name else v for k, v in {**params, **inputs}.items()}
        return float(model.module.loss({k: moved[k] for k in params}, **_taken(model, moved)))

    return (loss(1.0) - loss(-1.0)) / 2


def _taken(model: graphc.Model, values: Mapping[str, np.ndarray]) -> Arrays:
    code = model.module.loss.__code__
    return {name: values[name] for name in code.co_varnames[1 : code.co_argcount]}


def single_precision(model: graphc.Model, params: Arrays, inputs: Arrays, gradients: Arrays) -> None:
    """float32 in, float32 out, close to float64 where the model is not ill-conditioned."""
    small = {name: np.asarray(value, np.float32) for name, value in params.items()}
    given = {n: np.asarray(v, np.float32) if v.dtype.kind == "f" else v for n, v in inputs.items()}
    exact, reference = model.value_and_grad(
        {name: value.astype(np.float64) for name, value in small.items()},
        **{n: v.astype(np.float64) if v.dtype.kind == "f" else v for n, v in given.items()},
    )
    value, found = model.value_and_grad(small, **given)
    outputs, residuals = model.forward(small, **given)
    again = model.backward(residuals)
    assert value.dtype == np.float32
    assert {output.dtype for output in outputs} == {np.dtype(np.float32)}
    assert {r.dtype for r in residuals if getattr(r, "dtype", np.dtype(bool)).kind == "f"} <= {np.dtype(np.float32)}
    np.testing.assert_allclose(value, exact, rtol=2e-3, atol=1e-3)
    scale = max(1.0, magnitude(reference.values()))
    for name, gradient in found.items():
        assert gradient.dtype == again[name].dtype == np.float32, name
        np.testing.assert_allclose(gradient, reference[name], rtol=1e-2, atol=2e-3 * scale, err_msg=name)
