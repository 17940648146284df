"""Gradients of models, and products with their derivatives, as models: called, drawn, written, differentiated again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from graphc import products
from graphc.compiled_model import Model
from graphc.functions import FUNCTIONS
from graphc.gradient_check import GradientReport
from graphc.opened import Source, derived, differentiated, differentiated_by, model_of
from graphc.products import joined, whole_layout


def grad(f: Any, x: Any = None, /, *, wrt: str | Sequence[str] | None = None, loss: str | None = None) -> Any:
    """The gradient of a scalar.

    Parameters
    ----------
    f : Model, str or path
        A model, or what `compile` takes. In a traced function, ``grad(loss, x)`` is the language's own, on values.
    x : graph value, optional
        There, what to differentiate with respect to.
    wrt : str or sequence of str, optional
        What to differentiate with respect to: by default the parameters, or the float inputs of a model without any.
    loss : str, optional
        The scalar output: by default the one called ``loss``, else the only scalar output.

    Returns
    -------
    Model
        With an output ``d_<variable>`` for each variable. A call gives the gradient of one variable, of several a dict.

    Raises
    ------
    GraphcError
        GC301, GC302 when no gradient reaches a variable; GC303, GC304 when there is no telling what is differentiated.

    Examples
    --------
    >>> print(grad("x**3")(x=2.0), grad(grad("x**3"))(x=2.0))
    12.0 12.0
    >>> print(grad(grad("x * y**2", wrt="x"), wrt="y")(x=5.0, y=3.0))
    6.0
    """
    if x is not None:
        return FUNCTIONS["grad"](f, x)
    return differentiated_by(products.grad, f, wrt, loss, scalar=True)


def value_and_grad(f: Source, *, wrt: str | Sequence[str] | None = None, loss: str | None = None) -> Model:
    """A scalar and its gradient in one pass; see `grad`. A call gives ``(value, gradient)``.

    Examples
    --------
    >>> value, slope = value_and_grad("x**3")(x=2.0)
    >>> print(value, slope)
    8.0 12.0
    """
    return differentiated_by(products.value_and_grad, f, wrt, loss, scalar=True)


def vjp(f: Source, *, wrt: str | Sequence[str] | None = None, output: str | None = None) -> Model:
    """The product of a cotangent, a further input ``d_<output>``, with the Jacobian of an output of any shape.

    A call gives ``(value, product)``.

    Examples
    --------
    >>> m = vjp("x: Input[2]\\ny: Output = x ** 2")
    >>> value, product = m(x=[1.0, 2.0], d_y=[1.0, 10.0])
    >>> print(value, product)
    [1. 4.] [ 2. 40.]
    """
    return differentiated_by(products.vjp, f, wrt, output)


def jvp(f: Source, *, wrt: str | Sequence[str] | None = None, output: str | None = None) -> Model:
    """The product of the Jacobian of an output with tangents, further inputs ``<variable>_dot``.

    A call gives ``(value, product)``.

    Examples
    --------
    >>> value, product = jvp("sin(x) * y")(x=0.0, y=3.0, x_dot=1.0, y_dot=0.0)
    >>> print(value, product)
    0.0 3.0
    """
    return differentiated_by(products.jvp, f, wrt, output)


def hvp(f: Source, *, wrt: str | Sequence[str] | None = None, loss: str | None = None) -> Model:
    """The product of the Hessian of a scalar with a direction, further inputs ``<variable>_dot``; forward over reverse.

    Examples
    --------
    >>> print(hvp("x**3")(x=2.0, x_dot=1.0))
    12.0
    """
    return differentiated_by(products.hvp, f, wrt, loss, scalar=True)


def gauss_newton(f: Source, residual: str, *, wrt: str | Sequence[str] | None = None, loss: str | None = None) -> Model:
    """The Gauss-Newton product ``Jᵀ H J v`` with a direction, further inputs ``<variable>_dot``.

    Parameters
    ----------
    f : Model, str or path
    residual : str
        The output whose Jacobian is J.
    wrt : str or sequence of str, optional
    loss : str, optional
        A scalar output computed from the residual, whose second derivatives by it are H; without one H is the identity,
        as for half the sum of squares.

    Examples
    --------
    >>> text = "x: Input[2]\\nr: Output = x ** 2"
    >>> print(gauss_newton(text, "r")(x=[1.0, 3.0], x_dot=[1.0, 1.0]))
    [ 4. 36.]
    """
    make = partial(products.gauss_newton, loss=loss)
    return differentiated_by(make, f, wrt, residual, protected=[residual])


def together(*functions: Source) -> Model:
    """Several models as one that computes what they share only once: a function beside its derivatives of any order.

    Parameters
    ----------
    *functions : Model, str or path
        Inputs and parameters of one name are one, and have one type.

    Returns
    -------
    Model
        A call takes what any of them takes, those of the first one first, and gives a tuple of what each gives.

    Raises
    ------
    GraphcError
        GC205 when inputs of one name have different types.

    Examples
    --------
    >>> f = "x: Input[2]\\nloss: Output = sum(exp(x))"
    >>> (value, slope), curvature = together(value_and_grad(f), hvp(f))(x=[0.0, 1.0], x_dot=[1.0, 0.0])
    >>> print(value.round(3), slope.round(3), curvature)
    3.718 [1.    2.718] [1. 0.]
    """
    models = [model_of(function) for function in functions]
    if not models:
        raise ValueError("together() expected a model, found none")
    graph, layouts = joined([(model.graph, model.layout or whole_layout(model.graph)) for model in models])
    return derived(models[0], graph, tuple(layouts))


def check_grad(f: Source, /, *args: Any, wrt: str | Sequence[str] | None = None, **inputs: Any) -> GradientReport:
    """Compare the gradient of a scalar at a point with central differences, in float64; see `Model.check_grad`.

    Examples
    --------
    >>> check_grad("sin(x) * y", x=0.3, y=2.0).ok
    True
    """
    model = f if isinstance(f, Model) and f.losses and wrt is None else differentiated(f, wrt)
    return model.check_grad(*args, **inputs)
