"""The listing: alignment, names, places, and the same facts as data."""

from __future__ import annotations

import json

from graphc.backends.listing import listing, listing_data
from graphc.builder import Builder
from graphc.graph import Graph
from graphc.op import OPS
from graphc.ops.leaves import Initializer
from graphc.size import named_size
from graphc.source import Source, Span
from graphc.tensor_type import TensorType

N = named_size("N")


def dense() -> Graph:
    """`h = sum(relu(X @ W))` with a place for each line."""
    source = Source("net.gc", "X: Input[N, 4]\nW: Param[4, 3] = ones()\nh: Output = sum(relu(X @ W), axis=1)")
    b = Builder()
    with b.at([Span(source, 1, 1, 1, 15)]):
        x = b.input("X", TensorType("float64", (N, 4)))
    with b.at([Span(source, 2, 1, 2, 24)]):
        w = b.param("W", TensorType("float64", (4, 3)), Initializer("constant", 1.0, 1.0, text="ones()"))
    with b.at([Span(source, 3, 13, 3, 37)], [("dense",)]):
        h = OPS["sum"](OPS["relu"](x @ w), axis=1)
    b.name(h.node, "h", "again")
    return b.finish({"h": h.node}, doc="A layer.")


def test_each_line_has_number_names_operation_type_and_place() -> None:
    assert listing(dense()).splitlines() == [
        "%0  X        = input               : float64[N, 4]  # net.gc:1",
        "%1  W        = param ones()        : float64[4, 3]  # net.gc:2",
        "%2           = matmul(%0, %1)      : float64[N, 3]  # net.gc:3",
        "%3           = relu(%2)            : float64[N, 3]  # net.gc:3",
        "%4  h, again = sum(%3, axis=(1,))  : float64[N]     # net.gc:3",
        "h = %4",
    ]


def test_a_long_line_does_not_push_the_others_apart() -> None:
    b = Builder()
    x = b.input("x" * 200, TensorType("float64"))
    y = b.input("y", TensorType("float64"))
    lines = listing(b.finish({"f": (x + y).node})).splitlines()
    assert max(len(line) for line in lines[1:]) < 120


def test_data_is_json_and_says_the_same() -> None:
    graph = dense()
    data = json.loads(json.dumps(listing_data(graph), allow_nan=False))
    assert data["doc"] == "A layer."
    assert (data["inputs"], data["params"], data["outputs"]) == ([0], [1], {"h": 4})
    assert [node["op"] for node in data["nodes"]] == [node.op.name for node in graph.nodes]
    assert data["nodes"][4] == {
        "id": 4,
        "op": "sum",
        "operands": [3],
        "attrs": {"axis": [1], "keepdims": False},
        "dtype": "float64",
        "shape": ["N"],
        "names": ["h", "again"],
        "places": [["net.gc", 3, 13]],
        "scopes": [["dense"]],
    }


def test_infinite_constants_are_written_as_text() -> None:
    b = Builder()
    x = b.input("x", TensorType("float64"))
    data = listing_data(b.finish({"f": (x + float("inf")).node}))
    assert '"value": "inf"' in json.dumps(data, allow_nan=False)


def test_an_empty_graph_of_one_output() -> None:
    b = Builder()
    x = b.input("x", TensorType("float64"))
    assert listing(b.finish({"f": x.node})) == "%0  x = input  : float64[]\nf = %0"
