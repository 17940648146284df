"""Matrix products: symbolic batches, dtypes, texts of values and gradients, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from graphc.autodiff import differentiate
from graphc.errors import GraphcError
from graphc.op import OPS
from tests.apply import gradients_of, graph_of, tensor, text_of, type_of, value_of


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (("N", 64), (64, 10), "float64[N, 10]"),
        (("N", "K"), ("K",), "float64[N]"),
        (("K",), ("B", "K", 3), "float64[B, 3]"),
        (("B", 1, "N", 4), ("H", 4, 5), "float64[B, H, N, 5]"),
        (("K",), ("K",), "float64[]"),
    ],
)
def test_symbolic_shapes(left: tuple[int | str, ...], right: tuple[int | str, ...], expected: str) -> None:
    types = tensor(*left), tensor(*right)
    assert type_of(OPS["matmul"], *types) == expected
    sizes = {"N": 3, "K": 4, "B": 2, "H": 5}
    arrays = [np.ones([sizes.get(str(size), size) for size in shape]) for shape in (left, right)]
    for gradient, array in zip(gradients_of(OPS["matmul"], *arrays, types=types), arrays, strict=True):
        assert gradient.shape == array.shape


def test_unequal_inner_sizes_name_both_operands() -> None:
    with pytest.raises(GraphcError) as caught:
        type_of(OPS["matmul"], tensor("N", 128), tensor(64, 10))
    (found,) = caught.value.diagnostics
    assert found.code == "GC201"
    assert found.message == "matmul needs equal inner sizes, got 128 and 64"
    assert found.label == "a has 128 columns, b has 64 rows"


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        ((3,), (4,), "got 3 and 4"),
        (("N",), ("M",), "got N and M"),
        ((), (3,), "needs vectors or matrices, got a scalar as operand 1"),
        (("N", 3), (3, 4, 5), "got 3 and 4"),
        ((2, 4, 3), (3, 3, 5), "GC202"),
    ],
)
def test_refusals(left: tuple[int | str, ...], right: tuple[int | str, ...], message: str) -> None:
    with pytest.raises(GraphcError, match=message):
        type_of(OPS["matmul"], tensor(*left), tensor(*right))


def test_text_of_gradients_is_what_an_expert_writes() -> None:
    graph = graph_of(OPS["matmul"], [tensor("N", 3), tensor(3, 4)])
    joint = differentiate(graph, ["y"], {"a": graph.inputs[0], "b": graph.inputs[1]}).graph
    operations = [node.op.name for node in joint.nodes if node.op.name != "input"]
    assert sorted(operations) == ["matmul", "matmul", "matmul", "transpose", "transpose"]
    # Of one row, @ would be slow.
    assert text_of(lambda x, g: OPS["transpose"](x) @ g, tensor("N", 3), tensor("N", 4)) == "np.dot(a.T, b)"
    assert text_of(lambda x, g: OPS["transpose"](x) @ g, tensor(2, 3), tensor(2, 4)) == "a.T @ b"
    assert text_of(lambda x, g: x @ g, tensor(3, "N"), tensor("N", 4)) == "a @ b"


def test_integers_beside_floats_stay_in_the_float_type() -> None:
    whole, real = np.array([[1, 2], [3, 4]]), np.array([0.5, 1.5])
    found = value_of(OPS["matmul"], whole, real, dtype="float32")
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, whole @ real)
    assert value_of(OPS["matmul"], np.array([True, True]), np.array([True, True])) == 2
