"""What a name means: the innermost binding, then the library, the ops and the language's own words."""

from __future__ import annotations

import ast
import difflib
import math
from collections.abc import Iterable, Mapping

from graphc.frontends.library import library, public_library
from graphc.frontends.primitives import PRIMITIVES
from graphc.frontends.session import Session, failure
from graphc.frontends.values import Frame, Poison, Poisoned
from graphc.op import OPS, Op
from graphc.tensor_type import DTYPES

INTERNAL = (
    *("input", "param", "const", "size", "array", "item", "index", "gather"),
    *("scatter_slice", "scatter_add", "scatter_along_axis", "scan"),
)
"""Ops that the language reaches by declarations, brackets and derivatives, not by name."""

DECLARING = ("Input", "Param", "Output")
CONSTANTS: Mapping[str, object] = {
    "pi": math.pi,
    "inf": math.inf,
    "nan": math.nan,
    **{str(dtype): dtype for dtype in DTYPES},
}


def look_up(session: Session, node: ast.Name, frame: Frame) -> object:
    """What a name stands for here.

    Raises
    ------
    GraphcError
        GC101 when nothing has the name.
    Poisoned
        When its statement had an error.
    """
    name = node.id
    holder = frame.find(name)
    if holder is not None:
        value = holder.names[name]
        if isinstance(value, Poison):
            raise Poisoned
        return value
    tables: tuple[Mapping[str, object], ...] = (session.fans, session.static, CONSTANTS, library(), PRIMITIVES)
    for table in tables:
        if name in table:
            return table[name]
    op = operation(name)
    if op is not None:
        return op
    close = suggestion(name, _known(frame))
    raise failure(
        "GC101",
        f"unknown name {name}",
        node,
        frame,
        f"declared with a colon: `x: {name}[N]`" if name in DECLARING else "not defined before this line",
        hint=close and f"did you mean `{close}`?",
    )


def operation(name: str) -> Op | None:
    """The op of this name, if models may call it."""
    return None if name in INTERNAL else OPS.get(name)


def suggestion(name: str, known: Iterable[str]) -> str:
    """The known name that is closest, or nothing."""
    if len(name) > 60:
        return ""
    candidates = list(dict.fromkeys(known))
    by_lower = {candidate.lower(): candidate for candidate in reversed(candidates)}
    close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.7)
    return close[0] if close else by_lower.get(name.lower(), "")


def _known(frame: Frame) -> list[str]:
    names: list[str] = []
    scope: Frame | None = frame
    while scope is not None:
        names += [name for name, value in scope.names.items() if not isinstance(value, Poison) and len(name) <= 60]
        scope = scope.parent
    return [*names[:2000], *public_library(), *PRIMITIVES, *(op for op in OPS if op not in INTERNAL), *CONSTANTS]
