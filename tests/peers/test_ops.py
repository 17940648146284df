"""Each differentiable op of the table, on its samples, in JAX, PyTorch and autograd."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import graphc
from graphc.compiler import compile_graph
from graphc.ops import OPS
from graphc.provenance import Options
from graphc.source import Source
from tests.ops.checks import cases
from tests.peers.compared import check_against
from tests.peers.installed import NAMES, installed, marks, peer
from tests.peers.peer import Arrays

DEGREES = "one_hot(arange(3), 3) * (4 * arange(3) + 4)"
VECTORS = {
    "eigh": f"x: Input[3, 3]\nw, v = eigh((x + x.T) / 4 + {DEGREES})\nloss: Output = sum(sin(w)) + sum(sin(square(v)))",
    "svd": f"""x: Input[4, 3]
u, s, vh = svd(x / 4 + pad({DEGREES}, pad_width=((0, 1), (0, 0))))
loss: Output = sum(sin(square(u))) + sum(sin(s)) + sum(sin(square(vh)))""",
}
"""Each library has its own signs of these vectors, which have to be squared before they are compared."""


@cache
def models(name: str) -> tuple[list[graphc.Model], list[Arrays]]:
    """An op on its samples, and the points to try it at."""
    if name in VECTORS:
        model = graphc.compile(VECTORS[name])
        shape = model.graph.inputs[0].tensor.shape
        return [model], [{"x": np.random.default_rng(0).uniform(-1, 1, shape)}]
    tried = [case for case in cases(OPS[name]) if case.variables]
    options = [Options(loss="loss", wrt=case.variables) for case in tried]
    compiled = [compile_graph(c.graph, Source(name, name), o, "") for c, o in zip(tried, options, strict=True)]
    return compiled, [case.values for case in tried]


LEAVES = ("input", "param", "const", "size", "array", "item", "grad")
DIFFERENTIABLE = tuple(
    name
    for name, op in OPS.items()
    if name not in LEAVES and any(case.variables for case in cases(op)) and op.name != "stop_gradient"
)
TRIED = [pytest.param(p, op, id=f"{p}-{op}") for p in NAMES if not marks(p) for op in DIFFERENTIABLE]
MISSING = [pytest.param(p, "", id=p, marks=marks(p)) for p in NAMES if marks(p)]


@pytest.mark.parametrize(("name", "op"), [*TRIED, *MISSING])
def test_op(name: str, op: str) -> None:
    other = peer(name)
    if op in other.none:
        pytest.skip(f"{name}: {other.none[op]}")
    check_against(other, *models(op))


@pytest.mark.parametrize("name", installed(NAMES))
def test_a_table_has_every_op_or_says_why_not(name: str) -> None:
    other = peer(name)
    needed = set(OPS) - {"input", "param", "const", "size", "array", "arange", "grad", "scan", "resolution"}
    assert needed - set(other.table) == set(other.none)
    assert [op for op in (*other.table, *other.none, *other.rough) if op not in OPS] == []


@pytest.mark.parametrize("name", installed(NAMES))
def test_a_wrong_op_is_found(name: str) -> None:
    """Of which the eighth digit is wrong."""
    other = peer(name)
    wrong = replace(other, table={**other.table, "square": lambda x: (1 + 1e-8) * x * x})
    model, at = (
        graphc.compile("x: Input\ny: Input\nloss: Output = square(x) / y"),
        {"x": np.asarray(0.3), "y": np.asarray(0.7)},
    )
    check_against(other, [model], [at])
    with pytest.raises(AssertionError):
        check_against(wrong, [model], [at])
