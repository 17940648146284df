"""The cost of compiling is linear: nodes made, rules tried and functions called per node stay as they are.

What a compilation leaves behind is let go at once: what only the collector finds, it looks for among all there is.
"""

from __future__ import annotations

import ast
import gc
from cProfile import Profile
from functools import cache

import pytest

import graphc
from graphc.autodiff import differentiate
from graphc.backends.regions import Optimize
from graphc.builder import Builder
from graphc.collector import collector_paused
from graphc.graph import Graph, Node
from graphc.ops import OPS
from graphc.partition import partition
from graphc.rewrite.engine import rewrite
from graphc.rewrite.sets import SIMPLIFY, STABILISE
from graphc.tensor_type import TensorType
from tests.benchmarks.deep_network import deep_network


def chain(layers: int) -> Graph:
    """A deep network: layers of x·w + w through tanh, and every tenth one skipped over."""
    builder = Builder()
    h = builder.input("x", TensorType("float64", (3,)))
    for layer in range(layers):
        w = builder.param(f"w{layer}", TensorType("float64", (3,)))
        h = OPS["tanh"](h * w + w) + h if layer % 10 == 0 else OPS["tanh"](h * w + w)
    return builder.finish({"loss": OPS["sum"](h).node})


@cache
def per_node(layers: int) -> dict[str, float]:
    """What is done for each node of the joint graph."""
    raw = chain(layers)
    with collector_paused(), Profile(builtins=False) as profile:
        stable = rewrite(raw, STABILISE)
        joint = differentiate(stable.graph, ["loss"], {str(node.attrs["name"]): node for node in stable.graph.params})
        whole = rewrite(joint.graph, SIMPLIFY)
        partition(whole.graph, ["loss"], ["d_loss"])
    calls = {row.code: row.callcount for row in profile.getstats()}
    counts = {
        "made": calls[Builder._new.__code__],
        "tried": stable.tried + whole.tried,
        "called": sum(calls.values()),
    }
    return {what: count / len(whole.graph.nodes) for what, count in counts.items()}


@pytest.mark.parametrize("nodes", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_the_cost_of_a_node_does_not_depend_on_the_others(nodes: int) -> None:
    per_node(10)  # what is imported at first need is counted here
    small, large = per_node(100), per_node(nodes // 10)
    for what, cost in small.items():
        assert large[what] == pytest.approx(cost, rel=0.05), what


@pytest.mark.parametrize("optimize", ["readable", "speed"])
def test_no_node_is_left_for_the_collector(optimize: Optimize) -> None:
    gc.collect()
    with collector_paused():
        assert graphc.compile(deep_network(10), optimize=optimize).source_text
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            gc.collect()
            found = [thing for thing in gc.garbage if isinstance(thing, (Node, ast.AST))]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
    assert found == []
