"""graphc: models compiled to NumPy functions and their gradients.

>>> import graphc as gx
>>> value, grads = gx.compile("(x + y) * z").value_and_grad(x=2, y=3, z=4)
>>> print(value, *grads.values())
20.0 4.0 4.0 5.0
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphc.calculus import check_grad, gauss_newton, grad, hvp, jvp, together, value_and_grad, vjp
    from graphc.compiled_model import Model
    from graphc.compiler import compile, model
    from graphc.diagnostics import Diagnostic
    from graphc.errors import GraphcError, GraphcWarning
    from graphc.frontends.annotations import bool_, f32, f64, i32, i64, param
    from graphc.frontends.traced_definitions import custom_gradient, elementwise
    from graphc.generated import load
    from graphc.graph import Graph, Node, verify
    from graphc.matrices import hessian, jacobian, jacobian_sparsity, sparse_jacobian
    from graphc.optimizer import Optimizer
    from graphc.plotting import plot_activation, plot_decision_boundary, plot_fit, plot_losses, plot_surface
    from graphc.training.estimators import GraphClassifier, GraphRegressor
    from graphc.training.fit import fit
    from graphc.vectorised import per_example_grad, vmap

_HOMES = {
    "calculus": ("check_grad", "gauss_newton", "grad", "hvp", "jvp", "together", "value_and_grad", "vjp"),
    "compiled_model": ("Model",),
    "compiler": ("compile", "model"),
    "diagnostics": ("Diagnostic",),
    "errors": ("GraphcError", "GraphcWarning"),
    "frontends.annotations": ("bool_", "f32", "f64", "i32", "i64", "param"),
    "frontends.traced_definitions": ("custom_gradient", "elementwise"),
    "generated": ("load",),
    "graph": ("Graph", "Node", "verify"),
    "matrices": ("hessian", "jacobian", "jacobian_sparsity", "sparse_jacobian"),
    "optimizer": ("Optimizer",),
    "plotting": ("plot_activation", "plot_decision_boundary", "plot_fit", "plot_losses", "plot_surface"),
    "training.estimators": ("GraphClassifier", "GraphRegressor"),
    "training.fit": ("fit",),
    "vectorised": ("per_example_grad", "vmap"),
}

__all__ = [
    "Diagnostic",
    "Graph",
    "GraphClassifier",
    "GraphRegressor",
    "GraphcError",
    "GraphcWarning",
    "Model",
    "Node",
    "Optimizer",
    "bool_",
    "check_grad",
    "compile",
    "custom_gradient",
    "elementwise",
    "f32",
    "f64",
    "fit",
    "gauss_newton",
    "grad",
    "hessian",
    "hvp",
    "i32",
    "i64",
    "jacobian",
    "jacobian_sparsity",
    "jvp",
    "load",
    "model",
    "param",
    "per_example_grad",
    "plot_activation",
    "plot_decision_boundary",
    "plot_fit",
    "plot_losses",
    "plot_surface",
    "sparse_jacobian",
    "together",
    "value_and_grad",
    "verify",
    "vjp",
    "vmap",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: importing graphc, and ``graphc --help``, stay quick.

    Any other name is a function for traced Python, an operation or one of the library (`graphc.functions`).
    """
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"graphc.{module}"), name)
    functions = {} if name.startswith("_") else import_module("graphc.functions").FUNCTIONS
    if name in functions:
        return functions[name]
    raise AttributeError(f"graphc has no {name}; it has {', '.join(__all__)} and what `graphc.functions` lists")
