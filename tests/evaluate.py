"""A small interpreter of graphs: each node's NumPy text, evaluated in order; independent of the module emitter."""

from __future__ import annotations

import ast
from collections.abc import Mapping

import numpy as np

from graphc.backends import linear_algebra, runtime, special
from graphc.builder import Builder, rebuild
from graphc.graph import Graph, Node
from graphc.numpy_text import FLOAT, SIZE, fill
from graphc.op import OpCall
from graphc.ops.operand_text import is_literal
from graphc.tensor_type import TensorType, TupleType


def evaluate(graph: Graph, values: Mapping[str, object], *, dtype: str = "float64") -> dict[str, object]:
    """The outputs of a graph for the values of its inputs and parameters, computed in a float type."""
    found: dict[Node, object] = {}
    named = {SIZE + name: size for name, size in bound_sizes(graph, values).items()}
    scope = {**vars(runtime), **vars(special), **vars(linear_algebra), "np": np, FLOAT: np.dtype(dtype), **named}
    texts: dict[Node, ast.expr] = {}
    for node in graph.nodes:
        if node.op.name in ("input", "param"):
            texts[node] = ast.Name(f"v{node.serial}", ast.Load())
            kind = dtype if node.tensor.is_float else node.tensor.dtype
            scope[f"v{node.serial}"] = found[node] = np.asarray(values[str(node.attrs["name"])], dtype=kind)[()]
            continue
        operands = graph.operands(node)
        if node.op.name == "scan":
            found[node] = _scan(node, [found[operand] for operand in operands], dtype)
            scope[f"v{node.serial}"], texts[node] = found[node], ast.Name(f"v{node.serial}", ast.Load())
            continue
        text = node_text(node, operands, texts)
        found[node] = _run(text, scope)
        scope[f"v{node.serial}"] = found[node]
        texts[node] = text if node.op.name in ("const", "size") else ast.Name(f"v{node.serial}", ast.Load())
        if operands and all(is_literal(texts[operand]) for operand in operands) and node.tensor.is_float:
            scope[f"v{node.serial}"] = found[node] = np.asarray(found[node], dtype)
    return {name: found[node] for name, node in graph.outputs.items()}


def _scan(node: Node, operands: list[object], dtype: str) -> tuple[object, ...]:
    """The steps one by one, each by this interpreter."""
    step, carries, xs = node.attrs["step"], node.attrs["carries"], node.attrs["xs"]
    assert isinstance(step, Graph) and isinstance(carries, int) and isinstance(xs, int)
    assert isinstance(node.type, TupleType)
    kinds = [dtype if type.is_float else type.dtype for type in node.type.items]
    carried = [np.asarray(x, kind) for x, kind in zip(operands[:carries], kinds, strict=False)]
    over, captured = [np.asarray(x) for x in operands[carries : carries + xs]], operands[carries + xs :]
    length = node.attrs["length"]
    assert isinstance(length, int), "the interpreter knows no free sizes of scans"
    ys = [np.empty((length, *type.shape[1:]), kind) for type, kind in zip(node.type.items, kinds, strict=True)]
    for t in reversed(range(length)) if node.attrs["reverse"] else range(length):
        given = [*carried, *(x[t] for x in over), *captured]
        named = {f"x{position}": value for position, value in enumerate(given)}
        outputs = list(evaluate(_numbered(step), named, dtype=dtype).values())
        for k, value in enumerate([*outputs[carries:], *carried], carries):
            ys[k][t] = value
        carried = [np.asarray(value) for value in outputs[:carries]]
    return (*(value[()] for value in carried), *ys[carries:])


def _numbered(step: Graph) -> Graph:
    """The step with inputs called x0, x1, …; theirs need not differ."""
    builder = Builder()
    numbers = {node: position for position, node in enumerate(step.inputs)}

    def made(node: Node, operands: tuple[Node, ...]) -> Node | None:
        return builder.input(f"x{numbers[node]}", node.tensor).node if node in numbers else None

    mapping = rebuild(step, builder, step=made)
    return builder.finish({name: mapping[node] for name, node in step.outputs.items()})


def node_text(node: Node, operands: tuple[Node, ...], texts: Mapping[Node, ast.expr]) -> ast.expr:
    """The NumPy text of a node in the texts of its operands."""
    given = [texts[operand] for operand in operands]
    if isinstance(node.op.numpy, str):
        return fill(node.op.numpy, dict(zip("xyz", given, strict=False)))
    call = OpCall(node.type, tuple(operand.type for operand in operands))
    return node.op.numpy(call, *given, **node.attrs)


def bound_sizes(graph: Graph, values: Mapping[str, object]) -> dict[str, int]:
    """The named sizes that stand alone as an axis of an input or parameter."""
    sizes: dict[str, int] = {}
    for node in (*graph.inputs, *graph.params):
        shape = np.shape(values[str(node.attrs["name"])])
        assert isinstance(node.type, TensorType)
        sizes.update(
            (str(size), n) for size, n in zip(node.type.shape, shape, strict=True) if not isinstance(size, int)
        )
    return sizes


def _run(text: ast.expr, scope: dict[str, object]) -> object:
    expression = ast.fix_missing_locations(ast.Expression(text))
    return eval(compile(expression, "<node>", "eval"), scope)
