"""Running a model at a point that was given as text or files: values in, outputs and gradients as text out."""

from __future__ import annotations

import ast
import difflib
import os
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.graph import Graph, Node

if TYPE_CHECKING:
    from graphc.compiled_model import Model
    from graphc.gradient_check import GradientReport

Values = dict[str, Any]
_COUNT_IN_FULL = 24
"""Arrays up to this many elements are printed, larger ones summarised."""

_NEXT_NAME = re.compile(r",(?=\s*[^\W\d]\w*\s*=)")


@dataclass(frozen=True)
class Point:
    """Arguments of a generated function.

    Attributes
    ----------
    params : dict or None
        None for a model without parameters.
    inputs : dict
    """

    params: Values | None
    inputs: Values

    @property
    def arguments(self) -> tuple[Values, ...]:
        """The positional arguments."""
        return () if self.params is None else (self.params,)


@dataclass(frozen=True)
class Result:
    """What a model gives at a point: its outputs, and for each variable the gradient of the loss."""

    outputs: Mapping[str, Any]
    loss: str
    gradients: Mapping[str, Any]


def read_values(texts: Iterable[str]) -> Values:
    """Values by name, from texts such as ``x=2,v=[1,2,3]`` and from ``.npz`` files.

    Raises
    ------
    ValueError
        When a text is neither; the message says what was expected.
    OSError
        When a file cannot be read.

    Examples
    --------
    >>> read_values(["x=2, v=[1, 2.5]", "y=-inf"])
    {'x': 2, 'v': [1, 2.5], 'y': -inf}
    """
    values: Values = {}
    for text in texts:
        values |= read_npz(text) if text.endswith(".npz") and "=" not in text else _read_assignments(text)
    return values


def point_of(model: Model, given: Mapping[str, Any], saved: Mapping[str, Any], seed: int) -> Point:
    """The point that values describe; parameters are among them, are saved ones or come from their initialisers.

    Raises
    ------
    ValueError
        When a value is missing, or belongs to nothing in the model.
    """
    graph = model.graph
    _refuse_unknown(saved, _named(graph.params), "parameter")
    _refuse_unknown(given, _named((*graph.inputs, *graph.params)), "input")
    inputs = {name: _as_declared(given[name], node) for name, node in _present(graph.inputs, given)}
    _refuse_missing("input", [name for name in _named(graph.inputs) if name not in given])
    if not graph.params:
        return Point(None, inputs)
    return Point(_params(model, graph, {**saved, **given}, seed), inputs)


def evaluate(model: Model, point: Point) -> Result:
    """The outputs and, where the model has a loss, the gradients."""
    from graphc.backends.numpy_module import argument_names

    called = argument_names(model.graph)
    inputs = {called[name]: value for name, value in point.inputs.items()}
    if not model.losses:
        return Result({name: _output(model, name, point, called) for name in model.graph.outputs}, "", {})
    # An inf or NaN is printed as such; warnings would name lines that nobody sees.
    with np.errstate(all="ignore"):
        outputs = model.forward(*point.arguments, **inputs)[0]
        _, gradients = model.value_and_grad(*point.arguments, **inputs)
    return Result(dict(zip(model.graph.outputs, outputs, strict=True)), model.losses[0], gradients)


def check_at(model: Model, point: Point) -> GradientReport:
    """The gradient beside differences; where these leave the domain of a function, the report says so, not NumPy."""
    with np.errstate(all="ignore"):
        return model.check_grad(*point.arguments, **point.inputs)


def result_text(result: Result) -> str:
    """A result for people.

    Examples
    --------
    >>> print(result_text(Result({"f": 20.0}, "f", {"x": 4.0, "yy": np.arange(3.0)})))
    f = 20.0
    <BLANKLINE>
    gradient of f
      x  = 4.0
      yy = [0. 1. 2.]
    """
    text = _table(result.outputs, "")
    return f"{text}\n\ngradient of {result.loss}\n{_table(result.gradients, '  ')}" if result.loss else text


def _output(model: Model, name: str, point: Point, called: Mapping[str, str]) -> Any:
    """One output of a model that is not differentiated; its function takes only what it needs."""
    from graphc.backends.numpy_module import function_names

    needed: Graph = model.compiled.outputs[name]
    inputs = {called[key]: point.inputs[key] for key in _named(needed.inputs)}
    function = getattr(model.module, function_names(model.graph.outputs)[name])
    return function(*(point.arguments if needed.params else ()), **inputs)


def read_npz(path: str | os.PathLike[str]) -> Values:
    """The arrays of a file by name, read without pickle; raises as `read_values`."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if isinstance(arrays, np.lib.npyio.NpzFile):
                return {name: arrays[name] for name in arrays.files}
    except OSError as fault:
        # A damaged archive has no number of an error.
        reason = (fault.strerror or "it cannot be read").lower()
        raise ValueError(f"expected a file of arrays at {path}, found none: {reason}") from None
    except (ValueError, EOFError, zipfile.BadZipFile, NotImplementedError, MemoryError):
        raise ValueError(f"expected arrays of numbers saved by numpy.savez in {path}, found something else") from None
    raise ValueError(f"expected named arrays in {path}, found one array without a name")


def _read_assignments(text: str) -> Values:
    values: Values = {}
    for assignment in _NEXT_NAME.split(text):
        name, equals, value = assignment.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ValueError(f"expected NAME=VALUE or a .npz file, found {assignment.strip()!r}")
        if name.strip() in values:
            raise ValueError(f"expected one value for {name.strip()}, found two in {text[:40]!r}")
        values[name.strip()] = _read_value(name.strip(), value.strip())
    return values


def _read_value(name: str, text: str) -> object:
    try:
        return float(text) if text.lstrip("+-") in ("inf", "nan") else _literal(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise ValueError(f"expected a number or a list of numbers for {name}, found {text[:40]!r}") from None


def _literal(text: str) -> object:
    value = ast.literal_eval(text)
    if np.asarray(value).dtype.kind not in "bif":
        raise ValueError
    return value


def _as_declared(value: Any, node: Node) -> Any:
    """Integers become floats where the model wants these; nothing else is converted, so wrong data stays an error."""
    array = np.asarray(value)
    declared = node.tensor
    read = not isinstance(value, np.ndarray)
    if declared.is_float and (array.dtype.kind in "iu" or (read and array.dtype.kind == "f")):
        return array.astype(declared.dtype)
    return array


def _params(model: Model, graph: Graph, given: Values, seed: int) -> Values:
    names = _named(graph.params)
    if all(name in given for name in names):
        initial: Values = {}
    else:
        initial = model.init_params(seed)
    _refuse_missing("parameter", [name for name in names if name not in given and name not in initial])
    found = {name: given.get(name, initial.get(name)) for name in names}
    return {name: _as_declared(found[name], node) for name, node in names.items()}


def _named(nodes: Iterable[Node]) -> dict[str, Node]:
    return {str(node.attrs["name"]): node for node in nodes}


def _present(nodes: Iterable[Node], given: Mapping[str, object]) -> list[tuple[str, Node]]:
    return [(name, node) for name, node in _named(nodes).items() if name in given]


def _refuse_unknown(given: Mapping[str, object], known: Mapping[str, Node], kind: str) -> None:
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ValueError(f"the model has no {kind} {name}, it has {', '.join(known) or 'none'}{hint}")


def _refuse_missing(kind: str, missing: Sequence[str]) -> None:
    if missing:
        names = ", ".join(missing)
        raise ValueError(f"no value for {kind}{'s' if len(missing) > 1 else ''} {names}, expected {missing[0]}=…")


def _table(values: Mapping[str, Any], indent: str) -> str:
    width = max(map(len, values), default=0)
    rows = [(f"{indent}{name:<{width}} = ", _value_text(value)) for name, value in values.items()]
    return "\n".join(head + text.replace("\n", "\n" + " " * len(head)) for head, text in rows)


def _value_text(value: Any) -> str:
    array = np.asarray(value)
    if not array.ndim:
        return str(array.item())
    if array.size <= _COUNT_IN_FULL or array.dtype.kind not in "iuf":
        return np.array2string(array, threshold=_COUNT_IN_FULL, precision=6)
    shape = ", ".join(map(str, array.shape))
    return f"{array.dtype}[{shape}]  min {array.min():.4g}  mean {array.mean():.4g}  max {array.max():.4g}"
