"""The docstrings of the language's functions, from their records: signature, what they compute, conventions."""

from __future__ import annotations

import ast
import inspect

from graphc.frontends.calls import op_signature
from graphc.frontends.primitives import PRIMITIVES
from graphc.frontends.values import Function
from graphc.op import OPS, Op


def function_doc(name: str, target: object) -> str:
    """The docstring of a function of the language.

    Examples
    --------
    >>> print(function_doc("relu", OPS["relu"]))
    relu(x)
    <BLANKLINE>
    max(x, 0)
    <BLANKLINE>
    In NumPy: np.maximum(x, 0.0)
    Convention: relu'(0) = 0
    """
    if primitive := PRIMITIVES.get(name):
        doc = OPS[name].doc if name in OPS else inspect.getdoc(primitive.run) or ""
        return _joined(f"{name}({primitive.takes})", doc)
    if isinstance(target, Op):
        return _joined(f"{name}({op_signature(target)})", target.doc, "\n".join(_notes(target)))
    if isinstance(target, Function):
        definition = target.definition
        return _joined(f"{name}({ast.unparse(definition.args)})", ast.get_docstring(definition) or "")
    return name


def _notes(op: Op) -> list[str]:
    notes: list[str] = []
    if isinstance(op.numpy, str) and not op.numpy.startswith("_"):
        notes.append(f"In NumPy: {op.numpy}")
    if op.convention:
        notes.append(f"Convention: {op.convention}")
    notes += [f"with conventions={key!r}: {other.convention}" for key, other in op.alternatives.items()]
    return notes


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
