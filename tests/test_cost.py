"""Costs of ops and graphs: every op has one, it is what arithmetic on counting numbers counts, and it adds up."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pytest

import graphc.ops  # noqa: F401
from graphc.builder import Builder
from graphc.cost import Cost, graph_cost, is_copied, node_cost, op_cost, scratch
from graphc.op import OPS, Op, Sample
from graphc.size import SizeExpr, named_size
from graphc.tensor_type import TensorType, TupleType, Type
from tests.evaluate import evaluate
from tests.ops.checks import cases

TRIED = tuple(op for op in OPS.values() if op.samples or op.elementwise is not None)
N = named_size("N")


def _name(value: object) -> str:
    return value.name if isinstance(value, Op) else ""


@pytest.mark.parametrize("op", TRIED, ids=_name)
def test_every_op_has_a_cost(op: Op) -> None:
    for case in cases(op):
        for node in case.graph.nodes:
            if node.op is not op:
                continue
            cost = node_cost(case.graph, node)
            types = [operand.type for operand in case.graph.operands(node)]
            needed = scratch(op, node.type, types, node.attrs)
            assert all(isinstance(part, int) and part >= 0 for part in (cost.flops, cost.read, cost.written, needed))
            if op.view:
                assert (cost == Cost()) is not is_copied(case.graph, node)
            elif op.repeats is None:
                results = node.type.items if isinstance(node.type, TupleType) else (node.type,)
                assert cost.written == sum(result.nbytes for result in results if result.shape)


def test_an_op_without_a_cost_is_refused() -> None:
    with pytest.raises(TypeError, match="flops"):
        Op("strange", 1, lambda x: x, "x")  # type: ignore[call-arg]


class Counting:
    """A number that counts the arithmetic done with it and its results."""

    done = 0

    def _counted(self, *_: object) -> Counting:
        Counting.done += 1
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __neg__ = _counted


ARITHMETIC = ("add", "sub", "mul", "neg", "matmul", "einsum", "tensordot", "sum", "prod", "cumsum", "cumprod", "cross")
COUNTED = (*ARITHMETIC, "linear_recurrence", "overlap_add", "scatter_add")
SUMS_FIRST = np.lib.NumpyVersion(np.__version__) >= "2.4.0"
"""Whether einsum sums each operand over what it alone has before it multiplies."""


@pytest.mark.parametrize("name", COUNTED)
def test_flops_are_those_that_numpy_does(name: str) -> None:
    if name == "einsum" and not SUMS_FIRST:
        pytest.skip("NumPy 2.4 or later is what is counted")
    op = OPS[name]
    for sample in op.samples or (Sample((TensorType("float64", (4,)),) * int(op.arity or 0)),):
        builder = Builder()
        types = [x if isinstance(x, TensorType) else TensorType("int64", np.shape(x)) for x in sample.operands]
        given = [builder.input(f"x{p}", type) for p, type in enumerate(types)]
        node = builder.apply(op, given, dict(sample.attrs)).node
        cost = op_cost(op, node.type, types, node.attrs)
        counted = _counted(op, node.type, types, sample, dict(node.attrs))
        # A sum of n numbers is n - 1 additions, also those between the steps of several operands; or it begins at 0.
        sums = node.tensor.size * (len(types) if len(types) > 2 else 1)
        # An axis of size 1 einsum takes out by summing.
        sums += sum(int(type.size) for type in types if name == "einsum" and 1 in type.shape)  # type: ignore[call-overload]
        assert isinstance(cost.flops, int) and abs(cost.flops - counted) <= sums, (sample, counted)


def _counted(op: Op, result: Type, types: list[TensorType], sample: Sample, attrs: dict[str, Any]) -> int:
    """The arithmetic that the NumPy text does."""
    from graphc.backends import runtime, special
    from graphc.numpy_text import FLOAT, fill
    from graphc.op import OpCall

    names = [ast.Name(f"x{p}", ast.Load()) for p in range(len(types))]
    is_text = isinstance(op.numpy, str)
    text = fill(str(op.numpy), dict(zip("xyz", names, strict=False))) if is_text else None
    text = text or op.numpy(OpCall(result, tuple(types)), *names, **attrs)  # type: ignore[operator]
    # A sum is counted as one, also where it is computed as a product.
    scope: dict[str, Any] = {**vars(runtime), **vars(special), "np": np, FLOAT: np.dtype(object), "_sum": np.sum}
    for position, (type, operand) in enumerate(zip(types, sample.operands, strict=True)):
        array = np.array(operand) if type.is_int else np.full(type.shape, Counting(), dtype=object)
        scope[f"x{position}"] = array
    Counting.done = 0
    eval(compile(ast.fix_missing_locations(ast.Expression(text)), "<text>", "eval"), scope)
    return Counting.done


def _square(n: SizeExpr | int) -> TensorType:
    return TensorType("float64", (n, n))


@pytest.mark.parametrize(
    ("name", "operands", "flops"),
    [
        ("solve", (_square(30), TensorType("float64", (30, 2))), 2 * 30**3 // 3 + 2 * 30 * 30 * 2),
        ("inv", (_square(30),), 2 * 30**3),
        ("det", (_square(30),), 2 * 30**3 // 3),
        ("cholesky", (_square(30),), 30**3 // 3),
        ("eigh", (_square(30),), 9 * 30**3),
        ("qr", (TensorType("float64", (40, 30)),), 4 * 40 * 30**2 - 4 * 30**3 // 3),
        ("svd", (TensorType("float64", (40, 30)),), 14 * 40 * 30**2 + 8 * 30**3),
        ("svd", (TensorType("float64", (30, 40)),), 14 * 40 * 30**2 + 8 * 30**3),
        ("inv", (TensorType("float64", (5, 30, 30)),), 5 * 2 * 30**3),
    ],
)
def test_decompositions_cost_what_textbooks_say(name: str, operands: tuple[TensorType, ...], flops: int) -> None:
    assert op_cost(OPS[name], OPS[name].infer(*operands), operands, {}).flops == flops


def test_a_chain_of_products_is_costed_in_the_order_of_numpy() -> None:
    builder = Builder()
    x, y, z = (builder.input(name, TensorType("float64", shape)) for name, shape in zip("xyz", _CHAIN, strict=True))
    whole = builder.finish({"f": OPS["einsum"](x, y, z, spec="ij,jk,k->i").node})
    # First y z, then x (y z): two products of a matrix and a vector.
    assert graph_cost(whole).flops == 2 * N * N + 2 * 5 * N


_CHAIN = ((5, N), (N, N), (N,))


def test_selecting_reads_what_it_takes() -> None:
    table, index = TensorType("float64", (N, 8)), TensorType("int64", (10,))
    builder = Builder()
    taken = OPS["gather"](builder.input("t", table), builder.input("i", index))
    assert graph_cost(builder.finish({"f": taken.node})) == Cost(0, read=8 * 80 + 8 * 10, written=8 * 80)


def test_a_scan_costs_its_steps() -> None:
    (case, *_) = cases(OPS["scan"])
    (node,) = (node for node in case.graph.nodes if node.op is OPS["scan"])
    step, length = node.attrs["step"], node.attrs["length"]
    assert node_cost(case.graph, node).flops == length * graph_cost(step).flops  # type: ignore[arg-type]
    assert evaluate(case.graph, case.values)


def test_a_reshape_of_what_is_out_of_order_is_a_copy() -> None:
    builder = Builder()
    x = builder.input("x", TensorType("float64", (N, 4)))
    straight = OPS["reshape"](OPS["expand_dims"](x, axis=0), shape=(4 * N,))
    turned = OPS["reshape"](OPS["expand_dims"](OPS["transpose"](x), axis=0), shape=(4 * N,))
    graph = builder.finish({"f": straight.node, "g": turned.node})
    assert not is_copied(graph, straight.node) and node_cost(graph, straight.node) == Cost()
    assert is_copied(graph, turned.node) and node_cost(graph, turned.node) == Cost(0, 32 * N, 32 * N)
