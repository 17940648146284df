"""The NumPy text of one op as an expression: its operands put in, Python numbers made strong, repeated parts found."""

from __future__ import annotations

import ast
from collections.abc import Collection

from graphc.backends.expression_text import expression_text
from graphc.backends.numpy_sizes import place_text
from graphc.graph import Graph, Node
from graphc.numpy_text import call, fill, float_dtype, float_scalar
from graphc.op import OpCall
from graphc.ops.operand_text import is_literal
from graphc.tensor_type import TensorType


def op_text(graph: Graph, node: Node, given: list[ast.expr]) -> ast.expr:
    """The NumPy text of a node, from those of its operands."""
    value = _filled(graph, node, given)
    if node.op.elementwise is not None and all(map(is_literal, given)) and node.tensor.is_float:
        return _of_numbers(graph, node, given, value)
    return value


def shared_parts(value: ast.expr, known: Collection[ast.expr] = ()) -> list[ast.expr]:
    """What an expression would compute several times: parts that stand in it as one object; inner ones first.

    Parameters
    ----------
    value : ast.expr
    known : collection of ast.expr
        Parts inside which nothing is shared.

    Examples
    --------
    >>> part = ast.parse("f(a)", mode="eval").body
    >>> [ast.unparse(shared) for shared in shared_parts(fill("x * x + y", {"x": part, "y": ast.Name("b")}))]
    ['f(a)']
    """
    inside = {id(part) for part in known}
    seen: set[int] = set()
    found: dict[int, ast.expr] = {}
    stack: list[ast.AST] = [value]
    while stack:
        part = stack.pop()
        key = id(part)
        if key in seen:
            if isinstance(part, ast.expr) and type(part) in _COMPUTING and not is_literal(part):
                found[key] = part
            continue
        seen.add(key)
        for child in () if key in inside else vars(part).values():
            if type(child) in _COMPOUND:
                stack.append(child)
            elif type(child) is list:
                stack += [item for item in child if type(item) in _COMPOUND]
    return sorted(found.values(), key=lambda part: len(expression_text(part)))


_COMPUTING = frozenset([ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.Subscript])
_COMPOUND = _COMPUTING | {ast.Attribute, ast.Tuple, ast.List, ast.Slice, ast.keyword}


def _filled(graph: Graph, node: Node, given: list[ast.expr]) -> ast.expr:
    if isinstance(node.op.numpy, str):
        return fill(node.op.numpy, dict(zip(("x", "y", "z"), given, strict=False)))
    types = tuple([operand.type for operand in graph.operands(node)])
    place = place_text(next(iter(graph.spans.get(node, ())), None))
    return node.op.numpy(OpCall(node.type, types, place), *given, **node.attrs)


def _of_numbers(graph: Graph, node: Node, given: list[ast.expr], value: ast.expr) -> ast.expr:
    """An elementwise op of Python numbers and sizes only, which alone would become float64 or raise."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Div) and not _is_nonzero(value.right):
        return call("np.divide", value.left, value.right, dtype=float_dtype())
    if is_literal(value) and not any(isinstance(part, _RAISING) for part in ast.walk(value)):
        return value
    position = next((p for p, operand in enumerate(graph.operands(node)) if _is_float(operand)), 0)
    strong = [float_scalar(x) if p == position else x for p, x in enumerate(given)]
    return _filled(graph, node, strong)


_RAISING = (ast.Pow, ast.FloorDiv, ast.Mod)


def as_strong(node: Node, text: ast.expr) -> ast.expr:
    """The text of a node as NumPy's, also where it is a Python number."""
    if not is_literal(text):
        return text
    if node.tensor.is_float:
        return float_scalar(text)
    return call("np.bool_" if node.tensor.dtype == "bool" else f"np.{node.tensor.dtype}", text)


def is_array(text: ast.expr) -> bool:
    """Whether the text of a scalar makes an array without axes, as some functions of NumPy do."""
    if isinstance(text, ast.Call) and isinstance(text.func, ast.Attribute):
        made = text.func.attr in (
            "where",
            "reshape",
            "squeeze",
            "broadcast_to",
            "standard_normal",
            "random",
            "einsum",
            "tensordot",
        )
        return made or (text.func.attr == "astype" and is_array(text.func.value))
    return False


def _is_nonzero(text: ast.expr) -> bool:
    return isinstance(text, ast.Constant) and text.value != 0


def _is_float(node: Node) -> bool:
    return isinstance(node.type, TensorType) and node.type.is_float
