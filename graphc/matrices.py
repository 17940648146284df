"""Jacobians and Hessians of models in one vectorised pass, and where Jacobians may differ from zero."""

from __future__ import annotations

from collections.abc import Sequence

from graphc import blocks, extras
from graphc.compiled_model import Model
from graphc.opened import Source, differentiated_by, model_of, opened_model
from graphc.sparsity import Pattern


def jacobian(f: Source, *, wrt: str | Sequence[str] | None = None, output: str | None = None) -> Model:
    """The Jacobian of an output of any shape, without a loop over rows.

    Rows are found together by reverse mode where the output has fewer elements than the variable, else columns by
    forward mode; a named size counts as 256.

    Parameters
    ----------
    f : Model, str or path
    wrt : str or sequence of str, optional
        By default the parameters, or the float inputs of a model without any.
    output : str, optional
        By default the only output, else the one called ``loss``.

    Returns
    -------
    Model
        With an output ``jacobian_<variable>`` of shape ``(*output, *variable)`` for each variable. A call gives the
        Jacobian by one variable, by several a dict.

    Raises
    ------
    GraphcError
        GC301, GC302 when no derivative reaches a variable; GC305 when an op on the way has no batching rule.

    Examples
    --------
    >>> print(jacobian("x: Input[2]\\ny: Output = stack([x[0] * x[1], x[0] ** 2])")(x=[2.0, 3.0]))
    [[3. 2.]
     [4. 0.]]
    """
    return differentiated_by(blocks.jacobian, f, wrt, output)


def hessian(f: Source, *, wrt: str | Sequence[str] | None = None, loss: str | None = None) -> Model:
    """The Hessian of a scalar, forward over reverse, all columns at once.

    Parameters
    ----------
    f, wrt, loss
        As in `graphc.calculus.grad`.

    Returns
    -------
    Model
        With an output ``hessian_<x>_<y>`` of shape ``(*x, *y)`` for each pair of variables. A call gives the Hessian by
        one variable, by several a dict of dicts.

    Examples
    --------
    >>> print(hessian("x: Input[2]\\nloss: Output = x[0] ** 2 * x[1]")(x=[2.0, 3.0]))
    [[6. 4.]
     [4. 0.]]
    """
    return differentiated_by(blocks.hessian, f, wrt, loss, scalar=True)


def sparse_jacobian(f: Source, *, wrt: str | Sequence[str] | None = None, output: str | None = None) -> Model:
    """The elements of a Jacobian that may differ from zero, with one tangent for all columns of a colour.

    Parameters
    ----------
    f, wrt, output
        As in `jacobian`; all sizes are numbers.

    Returns
    -------
    Model
        A call gives ``(rows, columns, values)``; ``scipy.sparse.coo_array((values, (rows, columns)), shape=…)`` is the
        matrix. Variables stand side by side, parameters first.

    Raises
    ------
    GraphcError
        GC308 when a size is free, and as `jacobian`.

    Examples
    --------
    >>> rows, columns, values = sparse_jacobian("x: Input[3]\\nr: Output = x[1:] ** 2 - x[:-1]")(x=[1.0, 2.0, 3.0])
    >>> print(rows, columns, values)
    [0 0 1 1] [0 1 1 2] [-1.  4. -1.  6.]
    """
    return differentiated_by(extras.sparse_jacobian, f, wrt, output, ordered=True)


def jacobian_sparsity(f: Source, *, wrt: str | Sequence[str] | None = None, output: str | None = None) -> Pattern:
    """Where a Jacobian may differ from zero, from the graph alone: everywhere else it is zero at every point.

    Elements are followed through elementwise operations, slices, joins, reshapes, reductions and products with saved
    matrices; through other operations every element depends on all.

    Parameters
    ----------
    f, wrt, output
        As in `jacobian`; all sizes are numbers.

    Returns
    -------
    Pattern
        With ``rows`` and ``columns``, the ``matrix`` (``jac_sparsity=`` of ``scipy.optimize.least_squares`` takes it)
        and the ``colors`` of the columns, of which no row has two alike.

    Raises
    ------
    GraphcError
        GC308 when a size is free, and as `jacobian`.

    Examples
    --------
    >>> pattern = jacobian_sparsity("x: Input[5]\\nr: Output = x[:-2] - 2 * x[1:-1] + x[2:]")
    >>> pattern
    <pattern 3×5: 9 places, 3 colours>
    >>> print(pattern.matrix.astype(int))
    [[1 1 1 0 0]
     [0 1 1 1 0]
     [0 0 1 1 1]]
    """
    return extras.opened_pattern(opened_model(model_of(f), wrt, output, ordered=True))
