"""A small interpreter of graphs: each node's NumPy text, evaluated in order; independent of the module emitter."""

from __future__ import annotations

import ast
from collections.abc import Mapping

import numpy as np

from graphc.backends import runtime, special
from graphc.graph import Graph, Node
from graphc.numpy_text import FLOAT, SIZE, fill
from graphc.op import OpCall
from graphc.ops.operand_text import is_literal
from graphc.tensor_type import TensorType


def evaluate(graph: Graph, values: Mapping[str, object], *, dtype: str = "float64") -> dict[str, object]:
    """The outputs of a graph for the values of its inputs and parameters, computed in a float type."""
    found: dict[Node, object] = {}
    named = {SIZE + name: size for name, size in bound_sizes(graph, values).items()}
    scope = {**vars(runtime), **vars(special), "np": np, FLOAT: np.dtype(dtype), **named}
    texts: dict[Node, ast.expr] = {}
    for node in graph.nodes:
        if node.op.name in ("input", "param"):
            texts[node] = ast.Name(f"v{node.serial}", ast.Load())
            kind = dtype if node.tensor.is_float else node.tensor.dtype
            scope[f"v{node.serial}"] = found[node] = np.asarray(values[str(node.attrs["name"])], dtype=kind)[()]
            continue
        operands = graph.operands(node)
        text = node_text(node, operands, texts)
        found[node] = _run(text, scope)
        scope[f"v{node.serial}"] = found[node]
        texts[node] = text if node.op.name in ("const", "size") else ast.Name(f"v{node.serial}", ast.Load())
        if operands and all(is_literal(texts[operand]) for operand in operands) and node.tensor.is_float:
            scope[f"v{node.serial}"] = found[node] = np.asarray(found[node], dtype)
    return {name: found[node] for name, node in graph.outputs.items()}


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
