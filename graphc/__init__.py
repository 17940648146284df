"""graphc: models compiled to NumPy functions and their gradients.

>>> import graphc as gx
>>> value, grads = gx.compile("(x + y) * z").value_and_grad(x=2, y=3, z=4)
>>> print(value, *grads.values())
20.0 4.0 4.0 5.0
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphc.calculus import check_grad, gauss_newton, grad, hvp, jvp, value_and_grad, vjp
    from graphc.compiler import Model, compile
    from graphc.diagnostics import Diagnostic
    from graphc.errors import GraphcError, GraphcWarning
    from graphc.graph import Graph, Node, verify
    from graphc.matrices import hessian, jacobian
    from graphc.vectorised import per_example_grad, vmap

__all__ = [
    "Diagnostic",
    "Graph",
    "GraphcError",
    "GraphcWarning",
    "Model",
    "Node",
    "check_grad",
    "compile",
    "gauss_newton",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "per_example_grad",
    "value_and_grad",
    "verify",
    "vjp",
    "vmap",
]

_HOMES = {
    "calculus": ("check_grad", "gauss_newton", "grad", "hvp", "jvp", "value_and_grad", "vjp"),
    "compiler": ("Model", "compile"),
    "diagnostics": ("Diagnostic",),
    "errors": ("GraphcError", "GraphcWarning"),
    "graph": ("Graph", "Node", "verify"),
    "matrices": ("hessian", "jacobian"),
    "vectorised": ("per_example_grad", "vmap"),
}


def __getattr__(name: str) -> object:
    """Import a public name at its first use: importing graphc, and ``graphc --help``, stay quick."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"graphc.{module}"), name)
    raise AttributeError(f"graphc has no {name}; it has {', '.join(__all__)}")
