"""The cost of compiling is linear: nodes made, rules tried and operands read per node stay as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from graphc.autodiff import differentiate
from graphc.builder import Builder
from graphc.graph import Graph, Node
from graphc.ops import OPS
from graphc.partition import partition
from graphc.rewrite.engine import rewrite
from graphc.rewrite.sets import SIMPLIFY, STABILISE
from graphc.tensor_type import TensorType

Counts = Counter[str]


def chain(nodes: int) -> Graph:
    """A deep network of about so many nodes: layers of x·w + w through tanh, and every tenth one skipped over."""
    builder = Builder()
    h = builder.input("x", TensorType("float64", (3,)))
    for layer in range(nodes // 4):
        w = builder.param(f"w{layer}", TensorType("float64", (3,)))
        h = OPS["tanh"](h * w + w) + h if layer % 10 == 0 else OPS["tanh"](h * w + w)
    return builder.finish({"loss": OPS["sum"](h).node})


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counts]:
    """Count nodes made and operands read, wherever they are."""
    counts: Counts = Counter()
    make, of_graph, of_builder = Builder._new, Graph.operands, Builder.operands

    def new(self: Builder, *arguments: object) -> Node:
        counts["made"] += 1
        return make(self, *arguments)  # type: ignore[arg-type]

    def read(original: object) -> object:
        def operands(self: object, node: Node) -> tuple[Node, ...]:
            found: tuple[Node, ...] = original(self, node)  # type: ignore[operator]
            counts["read"] += len(found) + 1
            return found

        return operands

    with monkeypatch.context() as patch:
        patch.setattr(Builder, "_new", new)
        patch.setattr(Graph, "operands", read(of_graph))
        patch.setattr(Builder, "operands", read(of_builder))
        yield counts


def per_node(nodes: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    raw = chain(nodes)
    with counted(monkeypatch) as counts:
        stable = rewrite(raw, STABILISE)
        joint = differentiate(stable.graph, ["loss"], {str(node.attrs["name"]): node for node in stable.graph.params})
        whole = rewrite(joint.graph, SIMPLIFY)
        partition(whole.graph, ["loss"], ["d_loss"])
    counts["tried"] = stable.tried + whole.tried
    return {what: count / len(raw.nodes) for what, count in counts.items()}


@pytest.mark.parametrize("nodes", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_the_cost_of_a_node_does_not_depend_on_the_others(nodes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = per_node(1_000, monkeypatch), per_node(nodes, monkeypatch)
    assert small.keys() == {"made", "read", "tried"}
    for what, cost in small.items():
        assert large[what] == pytest.approx(cost, rel=0.05), what
