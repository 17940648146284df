"""Graphs of one function in one line, for tests: types, texts, values, gradients and conditions."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

import numpy as np

from graphc.autodiff import differentiate
from graphc.builder import Builder
from graphc.graph import Graph, verify
from graphc.op import OPS, Condition
from graphc.size import Size, named_size
from graphc.tensor_type import DType, TensorType
from graphc.value import Value
from tests.evaluate import evaluate, node_text

NAMES = "abcdef"
Function = Callable[..., Value]


def tensor(*shape: int | str | Size, dtype: DType = "float64") -> TensorType:
    """A type; sizes given as strings are named."""
    return TensorType(dtype, tuple(named_size(size) if isinstance(size, str) else size for size in shape))


def graph_of(function: Function, types: Sequence[TensorType], *, intern: bool = False) -> Graph:
    """The graph of a function of inputs ``a``, ``b``, … of these types; its output is ``y``."""
    builder = Builder(intern=intern)
    result = function(*(builder.input(name, type) for name, type in zip(NAMES, types, strict=False)))
    graph = builder.finish({"y": result.node})
    verify(graph)
    return graph


def type_of(function: Function, *types: TensorType) -> str:
    """The type of the result, as text."""
    return str(graph_of(function, types).outputs["y"].type)


def text_of(function: Function, *types: TensorType) -> str:
    """The NumPy text of the result, all in one expression; ``float:`` and ``size:N`` are placeholders."""
    graph = graph_of(function, types)
    texts: dict[object, ast.expr] = {}
    for node in graph.nodes:
        if node.op.name == "input":
            texts[node] = ast.Name(str(node.attrs["name"]), ast.Load())
        else:
            texts[node] = node_text(node, graph.operands(node), texts)
    return ast.unparse(ast.fix_missing_locations(texts[graph.outputs["y"]])).replace("size:", "")


def value_of(
    function: Function, *arrays: object, types: Sequence[TensorType] = (), dtype: str = "float64"
) -> np.ndarray:
    """The result for these operands; their types are their own unless given."""
    graph = graph_of(function, types or [_type(array) for array in arrays])
    found = evaluate(graph, dict(zip(NAMES, arrays, strict=False)), dtype=dtype)["y"]
    return np.asarray(found)


def gradients_of(
    function: Function, *arrays: object, types: Sequence[TensorType] = (), dtype: str = "float64"
) -> list[np.ndarray]:
    """The gradient of the sum of the result with respect to the float operands that it depends on."""
    graph = graph_of(lambda *operands: OPS["sum"](function(*operands)), types or [_type(array) for array in arrays])
    variables = {str(node.attrs["name"]): node for node in graph.inputs if node.tensor.is_float}
    joint = differentiate(graph, ["y"], variables).graph
    verify(joint)
    values = dict(zip(NAMES, map(np.asarray, arrays), strict=False))
    with np.errstate(all="ignore"):
        found = evaluate(joint, {**values, "d_y": np.asarray(1.0)}, dtype=dtype)
    return [np.asarray(found[f"d_{name}"]) for name in variables]


def conditions_of(function: Function, *types: TensorType) -> list[Condition]:
    """What a graph asks of named sizes at entry."""
    graph = graph_of(function, types)
    found = []
    for node in graph.nodes:
        if node.op.conditions is not None:
            found += node.op.conditions(*(operand.type for operand in graph.operands(node)), **node.attrs)
    return found


def _type(array: object) -> TensorType:
    kind: dict[str, DType] = {"f": "float64", "i": "int64", "b": "bool"}
    found = np.asarray(array)
    return TensorType(kind[found.dtype.kind], found.shape)
