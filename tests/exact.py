"""Graphs in mpmath numbers: elementwise ops by their mathematics, the others by their NumPy text on object arrays."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

import mpmath
import numpy as np

from graphc.backends import runtime
from graphc.graph import Graph, Node
from graphc.numpy_text import FLOAT
from graphc.op import Op
from tests.evaluate import node_text
from tests.ops.checks import reference

Array = np.ndarray


def exact_outputs(graph: Graph, values: Mapping[str, np.ndarray], digits: int = 1500) -> dict[str, np.ndarray]:
    """The outputs of a graph, rounded to floats; NaN where there is no number."""
    found: dict[Node, object] = {}
    with mpmath.workdps(digits), np.errstate(all="ignore"):
        for node in graph.nodes:
            operands = graph.operands(node)
            given = [found[operand] for operand in operands]
            if node.op.name == "input":
                found[node] = _numbers(values[str(node.attrs["name"])])
            elif node.op.elementwise is not None:
                found[node] = _elementwise(node.op, given)
            else:
                found[node] = _structural(node, operands, given)
        return {name: np.vectorize(float, otypes=[float])(found[node]) for name, node in graph.outputs.items()}


def _numbers(array: np.ndarray) -> Array:
    if array.dtype.kind != "f":
        return array
    return np.frompyfunc(lambda x: mpmath.mpf(float(x)), 1, 1)(array)


def _elementwise(op: Op, operands: list[object]) -> object:
    function = AT_LIMITS.get(op.name) or reference(op)

    def applied(*numbers: object) -> object:
        try:
            found = function(*numbers)
        except (ZeroDivisionError, ValueError):
            return mpmath.nan
        return found if mpmath.im(found) == 0 else mpmath.nan

    result = np.frompyfunc(applied, op.arity or 0, 1)(*operands)
    assert op.elementwise is not None
    return np.asarray(result, bool) if op.elementwise.coercion in ("compare", "logical") else result


def _quotient(x: mpmath.mpf, y: mpmath.mpf) -> mpmath.mpf:
    return mpmath.mpf(x) / y if y else mpmath.sign(x) * mpmath.inf if x else mpmath.nan


AT_LIMITS: dict[str, Callable[..., object]] = {
    "div": _quotient,
    "xlogy": lambda x, y: x * mpmath.log(y) if x else mpmath.mpf(0),
    "where": lambda condition, x, y: x if condition else y,
    # SymPy's expression is NaN where the larger operand is infinitely larger.
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
}


def _structural(node: Node, operands: tuple[Node, ...], given: list[object]) -> object:
    names = {operand: ast.Name(f"v{k}", ast.Load()) for k, operand in enumerate(operands)}
    text = ast.fix_missing_locations(ast.Expression(node_text(node, operands, names)))
    named = {f"v{k}": value for k, value in enumerate(given)}
    own = {"_softmax": _softmax, "_log_softmax": _log_softmax, "_logsumexp": _logsumexp}
    return eval(compile(text, "<node>", "eval"), {**vars(runtime), **own, **named, FLOAT: np.dtype(object)})


_exp = np.frompyfunc(mpmath.exp, 1, 1)
_log = np.frompyfunc(mpmath.log, 1, 1)


def _logsumexp(x: Array, axis: object, keepdims: bool = False) -> Array:
    return _log(np.sum(_exp(x), axis=axis, keepdims=keepdims))


def _softmax(x: Array, axis: object) -> Array:
    return _exp(_log_softmax(x, axis))


def _log_softmax(x: Array, axis: object) -> Array:
    return x - _logsumexp(x, axis, keepdims=True)
