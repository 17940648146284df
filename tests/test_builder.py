"""The builder: coercion, interning, places."""

from __future__ import annotations

import pytest

from graphc.builder import Builder, attrs_key, rebuild
from graphc.errors import GraphcError
from graphc.graph import verify
from graphc.op import Op
from graphc.ops import OPS
from graphc.size import named_size
from graphc.source import Source, Span
from graphc.tensor_type import TensorType

SCALAR = TensorType("float64")
SOURCE = Source("m.gc", "x: Input[3]\ny: Input[4]\nz: Output = x + y\n")


def test_numbers_take_the_dtype_beside_them() -> None:
    builder = Builder(float_dtype="float32")
    x, k = builder.input("x", TensorType("float32")), builder.input("k", TensorType("int64"))
    assert (x + 1).type.dtype == "float32"
    assert (k + 1).type.dtype == "int64"
    assert (k + 1.5).type.dtype == "float32"
    assert (k / 2).type.dtype == "float32"
    assert (builder.input("i", TensorType("int32")) + 1).type.dtype == "int32"


def test_integer_tensors_beside_floats_are_cast_and_masks_are_not() -> None:
    builder = Builder()
    x, k = builder.input("x", SCALAR), builder.input("k", TensorType("int64"))
    graph = builder.finish({"a": (x * k).node, "b": (x * (x > 0)).node})
    assert [node.op.name for node in graph.nodes].count("cast") == 1


def test_masks_alone_count() -> None:
    builder = Builder()
    x = builder.input("x", SCALAR)
    assert ((x > 0) + (x > 1)).type.dtype == "int64"


def test_sizes_are_values() -> None:
    builder = Builder()
    x = builder.input("x", TensorType("float64", (named_size("N"),)))
    graph = builder.finish({"f": (OPS["sum"](x) / x.shape[0]).node})
    size = next(node for node in graph.nodes if node.op.name == "size")
    assert (str(size.attrs["size"]), size.tensor.dtype) == ("N", "float64")


@pytest.mark.parametrize(("intern", "count"), [(False, 2), (True, 1)])
def test_interning(intern: bool, count: int) -> None:
    builder = Builder(intern=intern)
    x = builder.input("x", SCALAR)
    graph = builder.finish({"f": ((x + 1) * (x + 1)).node})
    assert sum(node.op.name == "add" for node in graph.nodes) == count


def test_interning_tells_constants_apart() -> None:
    builder = Builder(intern=True)
    values = [builder.constant(v, d) for v, d in ((0.0, "float64"), (-0.0, "float64"), (0, "int64"), (False, "bool"))]
    nan = [builder.constant(float("nan")) for _ in range(2)]
    assert len({value.node for value in values}) == 4
    assert nan[0].node is nan[1].node


def test_attrs_key_ignores_order() -> None:
    assert attrs_key({"a": 1, "b": 2}) == attrs_key({"b": 2, "a": 1})


def test_an_interned_node_comes_from_several_places() -> None:
    builder = Builder(intern=True)
    x = builder.input("x", SCALAR)
    spans = [Span(SOURCE, line, 1, line, 2) for line in (1, 2)]
    for name, span in zip("ab", spans, strict=True):
        with builder.at([span], [("layer", name)]):
            node = (x + 1).node
            builder.name(node, name)
    graph = builder.finish({"f": node})
    assert graph.names[node] == ("a", "b")
    assert graph.spans[node] == tuple(spans)
    assert graph.scopes[node] == (("layer", "a"), ("layer", "b"))
    assert graph.name(node) == "a"


def test_a_refusal_names_the_place_and_both_operands() -> None:
    builder = Builder()
    with builder.at([Span(SOURCE, 1, 1, 1, 2)]):
        x = builder.input("x", TensorType("float64", (3,)))
    with builder.at([Span(SOURCE, 2, 1, 2, 2)]):
        y = builder.input("y", TensorType("float64", (4,)))
    with builder.at([Span(SOURCE, 3, 13, 3, 18)]), pytest.raises(GraphcError) as caught:
        x + y
    (found,) = caught.value.diagnostics
    assert found.code == "GC202"
    assert str(found.span) == "m.gc:3:13"
    assert [span.line for span, _ in found.related] == [1, 2]
    assert "3 and 4" in found.message


def test_rebuild_keeps_everything() -> None:
    builder = Builder()
    x = builder.input("x", SCALAR)
    with builder.at([Span(SOURCE, 1, 1, 1, 2)]):
        y = x * x + 2
    builder.name(y.node, "y")
    graph = builder.finish({"y": y.node})
    second = Builder()
    mapping = rebuild(graph, second)
    copied = second.finish({"y": mapping[graph.outputs["y"]]})
    verify(copied)
    assert [repr(node) for node in copied.nodes] == [repr(node) for node in graph.nodes]
    assert copied.name(copied.outputs["y"]) == "y"
    assert list(copied.spans.values()) == list(graph.spans.values())


def test_an_op_may_hold_a_graph() -> None:
    """An op such as a scan has its step as an attribute, and what the step captures as operands."""
    inner = Builder()
    step = inner.finish({"next": (inner.input("carry", SCALAR) * inner.input("w", SCALAR)).node})
    apply = Op("apply", 2, lambda x, w, *, step: step.outputs["next"].type, "x * y", flops=1)
    builder = Builder(intern=True)
    x, w = builder.input("x", SCALAR), builder.param("w", SCALAR)
    first, second = (builder.apply(apply, [x, w], {"step": step}) for _ in range(2))
    graph = builder.finish({"f": first.node})
    verify(graph)
    assert first.node is second.node
    again = Builder(intern=True)
    mapping = rebuild(graph, again)
    assert mapping[first.node].attrs["step"] is step
