"""The examples that a model learns from: arrays that were checked before anything starts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphc.backends.numpy_indices import entry_limits
from graphc.compiled_model import Model
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.graph import Node
from graphc.point import read_npz
from graphc.size import Size
from graphc.training.conversion import Labels, converted
from graphc.training.csv_table import csv_table
from graphc.training.parquet_table import parquet_table

Array = NDArray[Any]
Data: TypeAlias = "Mapping[str, Any] | str | os.PathLike[str]"


@dataclass(frozen=True)
class Dataset:
    """Arrays for the inputs of a model.

    Attributes
    ----------
    arrays : mapping of str to array
        By input; in the order of the model.
    examples : sequence of str
        The inputs with an entry for each example, along their first axis.
    count : int
        How many examples there are; 1 for a model that takes its data as a whole.
    seeds : sequence of str
        Integer scalars that are not among the data: they get new numbers in each step.
    columns : mapping of str to sequence of str
        Of a table, the columns of each input.
    labels : Labels
    """

    arrays: Mapping[str, Array]
    examples: Sequence[str]
    count: int
    seeds: Sequence[str] = ()
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    labels: Labels = field(default_factory=dict)

    def inputs(self, rows: Array | None, rng: np.random.Generator | None = None) -> dict[str, Any]:
        """The inputs for some examples, or all; seeds are 0 without a generator."""
        taken = {n: a if rows is None or n not in self.examples else a[rows] for n, a in self.arrays.items()}
        return {**taken, **{name: 0 if rng is None else int(rng.integers(2**31)) for name in self.seeds}}


def dataset_of(
    model: Model, data: Data, columns: Mapping[str, Sequence[str]] | None = None, labels: Labels | None = None
) -> Dataset:
    """Data as a model takes them.

    Parameters
    ----------
    model : Model
    data : mapping, or path of a ``.csv``, ``.parquet`` or ``.npz`` file
        Arrays by input, or a table.
    columns : mapping of str to sequence of str, optional
        The columns of a table for each input.
    labels : Labels, optional
        What the texts of labels stand for, as an earlier training has found.

    Raises
    ------
    GraphcError
        GC511 to GC513, each with the row and the column that are to blame.
    """
    if not isinstance(data, (Mapping, str, os.PathLike)):
        message = (
            f"expected a mapping with an array for each input, or the path of a table, found a {type(data).__name__}"
        )
        raise GraphcError(Diagnostic("GC513", message))
    nodes = {str(node.attrs["name"]): node for node in model.graph.inputs}
    axis = _axis(nodes)
    examples = [name for name, node in nodes.items() if axis is not None and node.tensor.shape[:1] == (axis,)]
    limits = _limits(model)
    if isinstance(data, Mapping) or Path(data).suffix == ".npz":
        if columns:
            raise GraphcError(Diagnostic("GC511", "columns are of tables, expected a .csv or .parquet file for them"))
        found = _checked(nodes, data if isinstance(data, Mapping) else _arrays(data))
        _check_limits(limits, found)
        return Dataset(found, examples, _count(found, examples), _absent(nodes, found), {}, labels or {})
    if axis is None:
        declared = ", ".join(f"{name}: {node.tensor}" for name, node in nodes.items()) or "no input"
        message = (
            f"expected an input whose first size is free, such as Input[N], for the rows of a table, found {declared}"
        )
        raise GraphcError(Diagnostic("GC511", message))
    opened = parquet_table(data) if Path(data).suffix == ".parquet" else csv_table(data)
    with opened as table:
        inputs = [nodes[name] for name in examples]
        made = converted(table, inputs, columns or {}, labels or {}, limits)
    _check_shapes(nodes, made.arrays)
    seeds = _absent(nodes, made.arrays)
    return Dataset(made.arrays, examples, _count(made.arrays, examples), seeds, made.columns, made.labels)


def _axis(nodes: Mapping[str, Node]) -> Size | None:
    """The free size that counts examples: the first one that a first axis has."""
    sizes = (node.tensor.shape[0] for node in nodes.values() if node.tensor.shape)
    return next((size for size in sizes if not isinstance(size, int)), None)


def _arrays(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        return read_npz(path)
    except (ValueError, OSError) as fault:
        raise GraphcError(Diagnostic("GC513", str(fault))) from None


def _checked(nodes: Mapping[str, Node], given: Mapping[str, Any]) -> dict[str, Array]:
    if unknown := [name for name in given if name not in nodes]:
        message = f"expected arrays for {', '.join(nodes) or 'no input'}, found one for {unknown[0]}"
        raise GraphcError(Diagnostic("GC511", message))
    arrays = {name: _array(name, node, given[name]) for name, node in nodes.items() if name in given}
    _check_shapes(nodes, arrays)
    return {name: _converted(name, nodes[name], array) for name, array in arrays.items()}


def _array(name: str, node: Node, value: Any) -> Array:
    try:
        array = np.asarray(value)
    except ValueError as fault:
        raise GraphcError(Diagnostic("GC512", f"expected an array for {name}, found none: {fault}")) from None
    if np.ma.is_masked(value):
        raise GraphcError(Diagnostic("GC512", f"expected an array without a mask for {name}, found a masked one"))
    declared = node.tensor
    kinds = "fiub" if declared.is_float else "iub" if declared.dtype != "bool" else "b"
    if array.dtype.kind not in kinds:
        expected = "numbers" if declared.is_float else "integers" if declared.dtype != "bool" else "bools"
        hint = _as_labels(name, array) if expected == "integers" else ""
        raise GraphcError(Diagnostic("GC512", f"expected {expected} for {name}, found {array.dtype}", hint=hint))
    return array


def _as_labels(name: str, array: Array) -> str:
    """How labels that are texts, or whole numbers as floats, become integers."""
    if array.dtype.kind in "US":
        return f"`texts, {name} = numpy.unique({name}, return_inverse=True)` counts them from 0"
    whole = array.dtype.kind == "f" and bool(np.isfinite(array).all() and (array == np.round(array)).all())
    return f"`{name}.astype(int)`" if whole else ""


def _check_shapes(nodes: Mapping[str, Node], arrays: Mapping[str, Array]) -> None:
    """Whether arrays have the shapes that are declared, and the same size wherever one is named."""
    bound: dict[str, tuple[int, str]] = {}
    for name, array in arrays.items():
        shape = nodes[name].tensor.shape
        fits = len(array.shape) == len(shape)
        for size, found in zip(shape, array.shape, strict=False):
            if isinstance(size, int):
                fits = fits and size == found
            elif str(size).isidentifier():
                first, other = bound.setdefault(str(size), (found, name))
                if first != found:
                    message = f"expected as many in {name} as in {other}, found {found} and {first} for {size}"
                    raise GraphcError(Diagnostic("GC511", message))
        if not fits:
            shown = ", ".join(map(str, shape))
            raise GraphcError(Diagnostic("GC511", f"expected the shape ({shown}) for {name}, found {array.shape}"))


def _converted(name: str, node: Node, array: Array) -> Array:
    """An array of the declared dtype, which has its numbers; the array itself where it is of that."""
    dtype = node.tensor.dtype
    with np.errstate(over="ignore", invalid="ignore"):
        found = array.astype(dtype, copy=False)
    # The least and the greatest element show an inf or a NaN, and nothing as large as the data is made for that.
    if found.dtype.kind == "f" and not np.isfinite(_bounds(found)).all():
        wrong = ~np.isfinite(found)
        message = f"expected finite numbers for {name}, found {array[wrong][0]}{_place(wrong)}"
        raise GraphcError(Diagnostic("GC512", message))
    if found.dtype.kind == "i" and found is not array and (_bounds(found) != _bounds(array)).any():
        wrong = found != array
        message = f"expected integers of {dtype} for {name}, found {array[wrong][0]}{_place(wrong)}"
        raise GraphcError(Diagnostic("GC512", message))
    return found


def _bounds(array: Array) -> Array:
    return np.array([array.min(), array.max()] if array.size else [])


def _place(wrong: Array) -> str:
    """Where the first of some elements is."""
    place = np.argwhere(wrong)[0]
    return f" at [{', '.join(map(str, place))}]" if len(place) else ""


def _absent(nodes: Mapping[str, Node], arrays: Mapping[str, Array]) -> list[str]:
    """The inputs without data, which must be seeds."""
    absent = [name for name in nodes if name not in arrays]
    for name in absent:
        type = nodes[name].tensor
        if type.shape or type.dtype not in ("int64", "int32"):
            raise GraphcError(Diagnostic("GC511", f"expected data for {name}: {type}, found none"))
    return absent


def _count(arrays: Mapping[str, Array], examples: Sequence[str]) -> int:
    count = len(arrays[examples[0]]) if examples else 1
    if not count:
        raise GraphcError(Diagnostic("GC513", f"expected examples, found none in {examples[0]}"))
    return count


def _limits(model: Model) -> dict[str, int]:
    """What labels and indices stay below, where that is known."""
    known = {
        str(node.attrs["name"]): [limit for limit in limits if isinstance(limit, int)]
        for node, limits in entry_limits(model.graph).items()
    }
    return {name: min(limits) for name, limits in known.items() if limits}


def _check_limits(limits: Mapping[str, int], arrays: Mapping[str, Array]) -> None:
    """Whether labels and indices are below what they index."""
    for name, limit in limits.items():
        array = arrays.get(name, np.zeros(0))
        if array.size and (array.min() < 0 or array.max() >= limit):
            wrong = (array < 0) | (array >= limit)
            message = f"expected labels from 0 to {limit - 1} for {name}, found {array[wrong][0]}{_place(wrong)}"
            hint = f"labels count from 0: `{name} - 1`" if array.min() == 1 and array.max() == limit else ""
            raise GraphcError(Diagnostic("GC512", message, hint=hint))
