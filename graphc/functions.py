"""The functions of the language for traced Python: operations, the library, layers; ``graphc.mean`` is one.

>>> from graphc.functions import FUNCTIONS
>>> FUNCTIONS["mean"], FUNCTIONS["dense"]
(<graphc function mean>, <graphc function dense>)
"""

from __future__ import annotations

from collections.abc import Mapping

import graphc.ops  # noqa: F401 fills the table
from graphc.frontends.library import public_library
from graphc.frontends.names import operation
from graphc.frontends.primitives import PRIMITIVES
from graphc.frontends.traced_calls import GraphFunction
from graphc.op import OPS


def _functions() -> dict[str, GraphFunction]:
    found: dict[str, GraphFunction] = {name: GraphFunction(name, OPS[name]) for name in OPS if operation(name)}
    found |= {name: GraphFunction(name, PRIMITIVES[name]) for name in ("instance", "scan", "use")}
    return found | {name: GraphFunction(name, function) for name, function in public_library().items()}


FUNCTIONS: Mapping[str, GraphFunction] = _functions()
"""By name."""


def __getattr__(name: str) -> GraphFunction:
    """``from graphc.functions import mean``."""
    try:
        return FUNCTIONS[name]
    except KeyError:
        raise AttributeError(f"graphc.functions has no {name}") from None
