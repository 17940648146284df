"""Every op in a generated module: values, gradients and dtypes are the interpreter's, and no argument is returned."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import graphc.ops  # noqa: F401
from graphc.backends.numpy_module import Program, emit_module, load_module
from graphc.backends.regions import Optimize
from graphc.builder import Builder, rebuild
from graphc.errors import GraphcError
from graphc.graph import Node
from graphc.op import OPS
from graphc.source import Source
from graphc.tensor_type import TensorType
from tests.backends.modules import FORCED, built, compiled, force
from tests.evaluate import evaluate
from tests.ops.checks import Case, cases

TESTED = [op for name, op in OPS.items() if name not in ("input", "param", "grad")]


@pytest.mark.parametrize("style", ["readable", *FORCED])
@pytest.mark.parametrize("op", TESTED, ids=lambda op: op.name)
def test_op_in_a_module(op: Any, style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For speed, whatever can be is computed by blocks of one or two rows, or in work arrays."""
    optimize = force(style, monkeypatch)
    for case in cases(op):
        module = _module(case, optimize)
        module._BLOCK = 5
        for dtype in ("float64", "float32"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _check(module, case, dtype)


def _module(case: Case, optimize: Optimize) -> Any:
    source = Source("op.gc", "")
    try:
        program = compiled(case.graph, source, "op", "loss" if case.variables else ())
    except GraphcError:
        # No float that is used is differentiable.
        program = compiled(case.graph, source, "op", ())
    return load_module(emit_module(replace(program, optimize=optimize)), "op")


def _check(module: Any, case: Case, dtype: str) -> None:
    given = {n: v.astype(dtype) if v.dtype.kind == "f" else v for n, v in case.values.items()}
    want = evaluate(case.graph, given, dtype=dtype if _has_floats(given.values()) else "float64")
    for name, node in case.graph.outputs.items():
        function = getattr(module, name)
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        found = function(**{name: given[name] for name in names})
        kind = (
            (dtype if _has_floats(given[name] for name in names) else "float64")
            if node.tensor.is_float
            else node.tensor.dtype
        )
        _equal(found, want[name], node.tensor.shape, kind, given)
    if hasattr(module, "forward"):
        outputs, residuals = module.forward(**given)
        loss, gradients = module.value_and_grad(**given)
        again = module.backward(residuals)
        np.testing.assert_allclose(loss, want["loss"], rtol=1e-4, atol=1e-4)
        for name, value in gradients.items():
            _equal(value, again[name], given[name].shape, dtype, given)
            _equal(again[name], value, given[name].shape, dtype, given)
        for name, node in case.graph.outputs.items():
            kind = dtype if node.tensor.is_float else node.tensor.dtype
            _equal(getattr(outputs, name), want[name], node.tensor.shape, kind, given)


ELEMENTWISE = [op for op in TESTED if op.elementwise and op.elementwise.coercion in ("number", "float", "where")]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.name)
def test_scalars_are_numpy_scalars(op: Any, dtype: str) -> None:
    """Values and gradients, also those that are constant."""

    def model(b: Builder) -> dict[str, Any]:
        kinds = ["bool" if k < op.arity - 2 and op.name == "where" else "float64" for k in range(op.arity)]
        operands = [b.input(f"x{k}", TensorType(kind)) for k, kind in enumerate(kinds)]
        result = b.apply(op, operands)
        return {"y": result, "loss": result + operands[-1]}

    m = built(model, loss="loss")
    point = {f"x{k}": np.dtype(dtype).type((low + 2 * high) / 3) for k, (low, high) in enumerate(op.elementwise.domain)}
    if op.name == "where":
        point["x0"] = np.True_
    outputs, residuals = m.forward(**point)
    loss, gradients = m.value_and_grad(**point)
    found = [*outputs, loss, *gradients.values(), *m.backward(residuals).values()]
    assert {type(value) for value in found if value.dtype.kind == "f"} == {np.dtype(dtype).type}
    assert all(isinstance(value, np.generic) for value in found)


@pytest.mark.parametrize("op", TESTED, ids=lambda op: op.name)
def test_no_operand_is_computed_twice(op: Any) -> None:
    """Operands are calls; what the module computes is not written again for an op that repeats them."""
    for case in cases(op):
        operands = [node for node in case.graph.inputs if str(node.attrs["name"]).startswith("x")]
        if not operands or not all(node.tensor.is_float for node in operands):
            continue
        builder = Builder()

        def step(node: Node, given: tuple[Node, ...], builder: Builder = builder) -> Node | None:
            if node.op.name != "input":
                return None
            return OPS["erf"](builder.input(str(node.attrs["name"]), node.tensor)).node

        mapping = rebuild(case.graph, builder, step=step)
        graph = builder.finish({"y0": mapping[case.graph.outputs["y0"]]})
        text = emit_module(Program("op", "", graph, {"y0": graph})).split("_INPUTS")[0]
        assert text.count("_erf(") == len({node for node in graph.nodes if node.op.name == "erf"})


def _has_floats(arrays: Iterable[np.ndarray]) -> bool:
    return any(array.dtype.kind == "f" for array in arrays)


def _equal(found: Any, want: Any, shape: tuple[object, ...], dtype: str, given: dict[str, np.ndarray]) -> None:
    assert np.asarray(found).dtype == dtype
    assert np.shape(found) == shape
    assert isinstance(found, np.ndarray if shape else np.generic)
    assert not shape or found.flags.writeable
    assert not any(np.shares_memory(found, value) for value in given.values())
    np.testing.assert_allclose(found, want, rtol=2e-4, atol=1e-5)
