"""The graph: its DAG is networkx's, frozen, and `verify` finds what passes must not do."""

from __future__ import annotations

import dataclasses

import networkx as nx
import pytest

from graphc.builder import Builder
from graphc.graph import Graph, verify
from graphc.ops import OPS
from graphc.tensor_type import TensorType

SCALAR = TensorType("float64")


def figure_2() -> Graph:
    builder = Builder()
    x, y, z = (builder.input(name, SCALAR) for name in "xyz")
    f = ((x + y) + (x * y)) * z
    builder.name(f.node, "f")
    return builder.finish({"f": f.node})


def test_dag_is_a_frozen_multidigraph_of_nodes() -> None:
    graph = figure_2()
    assert isinstance(graph.dag, nx.MultiDiGraph)
    assert nx.is_frozen(graph.dag)
    assert tuple(graph.dag.nodes) == graph.nodes
    assert list(nx.topological_sort(graph.dag))
    with pytest.raises(nx.NetworkXError):
        graph.dag.remove_node(graph.nodes[0])


def test_raw_graph_is_the_tree_of_the_source() -> None:
    graph = figure_2()
    x = graph.inputs[0]
    assert sum(node.op.name == "add" for node in graph.nodes) == 2
    assert len({user for user, _ in graph.users(x)}) == 2


def test_an_operand_used_twice_is_two_parallel_edges() -> None:
    builder = Builder()
    x = builder.input("x", SCALAR)
    graph = builder.finish({"y": (x * x).node})
    (x_node, y_node) = graph.nodes
    assert sorted(graph.dag[x_node][y_node]) == [0, 1]
    assert graph.operands(y_node) == (x_node, x_node)
    assert list(graph.users(x_node)) == [(y_node, 0), (y_node, 1)]


def test_nodes_are_frozen_records() -> None:
    node = figure_2().nodes[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        node.serial = 7  # type: ignore[misc]
    with pytest.raises(TypeError):
        node.attrs["name"] = "q"  # type: ignore[index]


def test_verify_accepts_a_built_graph() -> None:
    verify(figure_2())


def test_verify_refuses_a_wrong_type() -> None:
    graph = figure_2()
    wrong = dataclasses.replace(graph.nodes[-1], type=TensorType("float64", (3,)))
    table = {**{n: graph.operands(n) for n in graph.nodes[:-1]}, wrong: graph.operands(graph.nodes[-1])}
    with pytest.raises(AssertionError, match="should have type float64"):
        verify(dataclasses.replace(graph, operand_table=table, outputs={"f": wrong}, names={}))


def test_verify_refuses_a_node_before_its_operand() -> None:
    graph = figure_2()
    table = dict(reversed([(node, graph.operands(node)) for node in graph.nodes]))
    with pytest.raises(AssertionError, match="out of order"):
        verify(dataclasses.replace(graph, operand_table=table))


def test_verify_refuses_a_table_with_a_stranger() -> None:
    graph, other = figure_2(), figure_2()
    builder = Builder()
    stranger = builder.input("q", TensorType("float64", (2,))).node
    assert other is not graph
    with pytest.raises(AssertionError, match="not in the DAG"):
        verify(dataclasses.replace(graph, names={stranger: ("q",)}))


def test_unused_inputs_stay_and_unreached_nodes_go() -> None:
    builder = Builder()
    x, y = builder.input("x", SCALAR), builder.input("y", SCALAR)
    OPS["neg"](y)
    graph = builder.finish({"f": (x + 1).node})
    assert [node.attrs["name"] for node in graph.inputs] == ["x", "y"]
    assert [node.op.name for node in graph.nodes] == ["input", "input", "const", "add"]
