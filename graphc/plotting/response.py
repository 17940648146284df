"""Outputs of models as functions of points: a model in; a function from points, as rows, to values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.backends.numpy_module import argument_names, function_names
from graphc.compiled_model import Model
from graphc.compiler import compile
from graphc.graph import Node
from graphc.plotting.points import Array, misfit
from graphc.size import Size, size_names, substitute
from graphc.targets import losses_of
from graphc.vectorised import vmap

_AT_ONCE = 4096
"""A grid is computed in pieces of so many points, so that no large model fills the memory."""


@dataclass(frozen=True)
class Coordinates:
    """The inputs and parameters that a point moves, each with the number of its elements and whether it is a vector."""

    names: tuple[str, ...]
    widths: tuple[int, ...]
    vectors: tuple[bool, ...]

    @property
    def labels(self) -> list[str]:
        """What each coordinate is called."""
        return [
            f"{name}[{i}]" if vector else name
            for name, width, vector in zip(self.names, self.widths, self.vectors, strict=True)
            for i in range(width)
        ]

    def values(self, points: Array) -> dict[str, Array]:
        """What the inputs and parameters are at points."""
        pieces = np.split(points, np.cumsum(self.widths)[:-1], axis=1)
        found = zip(self.names, self.vectors, pieces, strict=True)
        return {name: piece if vector else piece[:, 0] for name, vector, piece in found}


@dataclass(frozen=True)
class Response:
    """An output of a model as a function of points.

    Attributes
    ----------
    model : Model
        Takes a batch of points.
    name : str
        The output.
    coordinates : Coordinates
    params, inputs : mapping
        The values of the others.
    """

    model: Model
    name: str
    coordinates: Coordinates
    params: Mapping[str, Any]
    inputs: Mapping[str, Any]

    def at(self, points: Array) -> Array:
        """One value, or row of values, for each point."""
        pieces = [self._piece(points[start : start + _AT_ONCE]) for start in range(0, len(points), _AT_ONCE)]
        return np.concatenate(pieces)

    def _piece(self, points: Array) -> Array:
        needed = self.model.compiled.outputs[self.name]
        function = getattr(self.model.module, function_names(self.model.graph.outputs)[self.name])
        called = argument_names(self.model.graph)
        moved = self.coordinates.values(points)
        params = {**self.params, **{name: value for name, value in moved.items() if name not in called}}
        inputs = {called[name]: {**self.inputs, **moved}[name] for name in _names(needed.inputs)}
        # An inf or NaN is a gap in a picture and needs no warning.
        with np.errstate(all="ignore"):
            found = np.asarray(function(*([params] if needed.params else []), **inputs))
        if found.shape[:1] != (len(points),):
            raise misfit(f"expected one value for each point from {self.name}, found the shape {found.shape}")
        return found


def as_model(f: Any) -> Model:
    """A model, or what `compile` makes one of."""
    return f if isinstance(f, Model) else compile(f, gradient=False)


def of_inputs(f: Any, params: Mapping[str, Any] | None, output: str | None, dimension: int) -> Response:
    """A model's output as a function of its inputs, which take a batch of points, or one that the model is mapped over.

    Raises
    ------
    GraphcError
        GC505 when it is not clear which output, or the inputs take no points with so many coordinates.
    """
    model = as_model(f)
    name = _prediction(model, output)
    inputs = model.compiled.outputs[name].inputs
    batched = bool(inputs) and all(node.tensor.shape and not isinstance(node.tensor.shape[0], int) for node in inputs)
    shapes = [node.tensor.shape[1:] if batched else node.tensor.shape for node in inputs]
    if len(shapes) == 1 and len(shapes[0]) == 1 and not isinstance(shapes[0][0], int):
        shapes = [(dimension,)]
    coordinates = _coordinates(inputs, shapes)
    if coordinates is None or sum(coordinates.widths) != dimension:
        found = ", ".join(map(_declared, inputs)) or "none"
        wanted = "X: Input[N, 2]" if dimension == 2 else "x: Input[N]"
        message = f"expected inputs of {name} for points with {dimension} coordinates, as in {wanted}, found {found}"
        raise misfit(message)
    return Response(model if batched else vmap(model), name, coordinates, params or {}, {})


def of_free(f: Any, at: Mapping[str, Any], output: str | None) -> Response:
    """A model's scalar as a function of the inputs and parameters that have no value in ``at``.

    Raises
    ------
    GraphcError
        GC303, GC304 when there is no telling which scalar; GC505 when not one or two numbers are free.
    """
    model = as_model(f)
    asked = model.provenance.options.loss
    (name,) = losses_of(model.graph, model.source, asked if output is None and isinstance(asked, str) else output)
    leaves = {str(node.attrs["name"]): node for node in (*model.graph.inputs, *model.graph.params)}
    if unknown := [key for key in at if key not in leaves]:
        raise misfit(f"expected inputs and parameters of the model in at ({', '.join(leaves)}), found {unknown[0]}")
    needed = model.compiled.outputs[name]
    moved = [node for node in (*needed.inputs, *needed.params) if node.attrs["name"] not in at]
    sizes = _sizes(leaves, at)
    shapes = [tuple(substitute(size, sizes) for size in node.tensor.shape) for node in moved]
    coordinates = _coordinates(moved, shapes)
    if coordinates is None or sum(coordinates.widths) not in (1, 2):
        found = ", ".join(map(_declared, moved)) or "none"
        raise misfit(f"expected one or two free numbers, found {found}", hint="`at={…}` fixes inputs and parameters")
    mapped = vmap(model, in_axes={key: 0 if key in coordinates.names else None for key in leaves})
    params = {key: at[key] for key in _names(model.graph.params) if key in at}
    inputs = {key: at[key] for key in _names(model.graph.inputs) if key in at}
    return Response(mapped, name, coordinates, params, inputs)


def _prediction(model: Model, output: str | None) -> str:
    """The output that was asked for, else the only one that is not the loss."""
    names = list(model.graph.outputs)
    if output is not None and output not in names:
        raise misfit(f"expected one of the outputs {', '.join(names)}, found {output!r}")
    others = [name for name in names if name != "loss" and name not in model.losses] or names
    if output is None and len(others) != 1:
        raise misfit(f"expected one output besides the loss, found {', '.join(others)}", hint="`output=` chooses one")
    return output or others[0]


def _coordinates(nodes: Sequence[Node], shapes: Sequence[tuple[Size, ...]]) -> Coordinates | None:
    """The coordinates of scalars and vectors of floats; None for anything else."""
    widths = [shape[0] if shape else 1 for shape in shapes if len(shape) <= 1]
    known = [width for width in widths if isinstance(width, int)]
    if not nodes or len(known) != len(nodes) or not all(node.tensor.is_float for node in nodes):
        return None
    names = tuple(str(node.attrs["name"]) for node in nodes)
    return Coordinates(names, tuple(known), tuple(bool(shape) for shape in shapes))


def _sizes(leaves: Mapping[str, Node], values: Mapping[str, Any]) -> dict[str, Size]:
    """What free sizes are, by the shapes of values."""
    pairs = [pair for name, value in values.items() for pair in zip(leaves[name].tensor.shape, np.shape(value))]  # noqa: B905 the module says what does not fit
    return {name: found for size, found in pairs for name in size_names(size) if str(size) == name}


def _names(nodes: Sequence[Node]) -> list[str]:
    return [str(node.attrs["name"]) for node in nodes]


def _declared(node: Node) -> str:
    return f"{node.attrs['name']}: {node.type}"
