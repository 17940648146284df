"""Functions with which generated modules check what they are given, copied into them like those of `runtime`.

``_INPUTS``, ``_PARAMS`` and ``_STATE`` are the module's own tables: from a name to its dtype, its shape (ints, and
names of sizes), its place in the model and, for labels and indices, the sizes that they stay below. ``_PASSED`` is its
memory: which layouts of arrays fitted the model as they were, so that the next arrays of such a layout do too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_INPUTS: dict[str, Any] = {}
_PARAMS: dict[str, Any] = {}
_STATE: dict[str, Any] = {}
_PASSED: dict[Any, list[tuple[str, float, str]]] = {}


def _checked(function: str, /, **inputs: Any) -> list[Any]:
    """Inputs as arrays: all floats in one type; what does not fit the model is one clear error."""
    layout = _layout(function, inputs)
    if _passed(layout, inputs):
        return list(inputs.values())
    return list(_arrays(function, _INPUTS, inputs, layout).values())


def _checked_with_params(function: str, params: Any, /, **inputs: Any) -> list[Any]:
    """The parameters, then the inputs, as arrays: all floats in one type; what does not fit is one clear error."""
    layout = _layout(function, params, inputs)
    if _passed(layout, inputs):
        return [params, *inputs.values()]
    if not hasattr(params, "keys"):
        raise TypeError(f"{function}(): params is a {type(params).__name__}, expected a dict of arrays")
    if params.keys() != _PARAMS.keys():
        lacking = [f"lacks {name}" for name in _PARAMS if name not in params]
        unknown = [f"has {name}, which is not of the model" for name in params if name not in _PARAMS]
        raise ValueError(f"{function}(): params {', '.join(lacking + unknown)}; expected {', '.join(_PARAMS)}")
    arrays = _arrays(function, {**_PARAMS, **_INPUTS}, {**params, **inputs}, layout)
    return [{name: arrays[name] for name in _PARAMS}, *(arrays[name] for name in inputs)]


def _checked_with_state(function: str, params: Any, state: Any, /, **inputs: Any) -> list[Any]:
    """The parameters, what the optimiser remembers, then the inputs, as arrays: all floats in one type."""
    layout = _layout(function, params, state, inputs)
    if _passed(layout, inputs):
        return [params, state, *inputs.values()]
    if not hasattr(params, "keys") or params.keys() != _PARAMS.keys():
        # It says what is wrong; what is right is checked below, with all the rest.
        _checked_with_params(function, params)
    if not hasattr(state, "keys") or state.keys() != _STATE.keys():
        found = ", ".join(map(str, state)) if hasattr(state, "keys") else f"a {type(state).__name__}"
        expected = f"what init_state(params) gives: {', '.join(_STATE)}"
        raise ValueError(f"{function}(): state has {found or 'nothing'}, expected {expected}")
    # Apart from inputs of the same name.
    entries = {f"state[{name!r}]": name for name in _STATE}
    table = {**_PARAMS, **_INPUTS, **{entry: _STATE[name] for entry, name in entries.items()}}
    given = {**params, **inputs, **{entry: state[name] for entry, name in entries.items()}}
    arrays = _arrays(function, table, given, layout)
    remembered = {name: arrays[entry] for entry, name in entries.items()}
    return [{name: arrays[name] for name in _PARAMS}, remembered, *(arrays[name] for name in inputs)]


def _layout(function: str, *given: Any) -> Any:
    """What decides whether dicts of arrays fit: names, classes, dtypes and shapes; None if they hold anything else."""
    layout: list[Any] = [function]
    try:
        for group in given:
            if type(group) is not dict:
                return None
            layout += group
            for array in group.values():
                layout += type(array), array.dtype, array.shape
    except AttributeError:
        return None
    return tuple(layout)


def _passed(layout: Any, inputs: dict[str, Any]) -> bool:
    """Whether arrays of this layout fitted before, as they were: then nothing but labels can be wrong."""
    try:
        limits = _PASSED.get(layout)
    except TypeError:
        # Of something that is like an array, but has a list for its shape.
        return False
    for name, below, place in limits or ():
        _in_range(layout[0], name, inputs[name], below, place)
    return limits is not None


def _arrays(function: str, table: dict[str, Any], given: dict[str, Any], layout: Any) -> dict[str, Any]:
    """Floats take the widest type among the arrays given, float32 or float64; Python numbers and integers adapt."""
    kinds = {value.dtype for value in given.values() if isinstance(value, (np.ndarray, np.generic))}
    widths = [dtype.itemsize for dtype in kinds if dtype.kind == "f" and dtype.itemsize <= 8]
    floats = np.dtype("float64" if max(widths) == 8 else "float32") if widths else None
    arrays: dict[str, Any] = {}
    sizes: dict[str, int] = {}
    limited = []
    for name, value in given.items():
        row = table[name]
        dtype = floats if floats is not None and row[0][0] == "f" else np.dtype(row[0])
        plain = type(value) is np.ndarray or isinstance(value, np.generic)
        array = value if plain else _array_of(function, table, name, value)
        if array.dtype != dtype:
            array = _converted(function, table, name, array, dtype)
        found, shape = array.shape, row[1]
        arrays[name] = array if found else array[()]
        if found != shape and not _fits(found, shape, sizes):
            raise ValueError(f"{function}(): {_misfit(table, arrays, name)}{_at(row[2])}")
        if len(row) > 3:
            limited.append(name)
    limits = [
        (name, sizes.get(limit, np.inf) if isinstance(limit, str) else limit, table[name][2])
        for name in limited
        for limit in table[name][3:]
    ]
    for name, below, place in limits:
        _in_range(function, name, arrays[name], below, place)
    if layout and all(type(x) is type(arrays[n]) and x.dtype == arrays[n].dtype for n, x in given.items()):
        # Few layouts come again and again; of many different ones only some are kept.
        if len(_PASSED) >= 256:
            _PASSED.clear()
        _PASSED[layout] = limits
    return arrays


def _in_range(function: str, name: str, index: Any, below: float, place: str) -> Any:
    """Labels or indices, when none of them is negative and all are below a size."""
    # Read as unsigned, a negative number is beyond all others: one pass finds what is wrong at either end.
    if index.size and not 0 <= index.item(index.view(f"u{index.itemsize}").argmax()) < below:
        wrong = index.min() if index.min() < 0 else index.max()
        expected = f"0 to {below - 1}" if below < np.inf else "at least 0"
        raise ValueError(f"{function}(): {name} holds {wrong}, expected {expected}{_at(place)}")
    return index


def _fits(found: tuple[int, ...], shape: tuple[Any, ...], sizes: dict[str, int]) -> bool:
    """Whether a shape is the expected one; named sizes are bound by the first array that has them."""
    if len(found) != len(shape):
        return False
    for n, size in zip(found, shape, strict=True):
        if n != size and (isinstance(size, int) or n != sizes.setdefault(size, n)):
            return False
    return True


def _at(place: str) -> str:
    return f"  [{place}]" if place else ""


def _array_of(function: str, table: dict[str, Any], name: str, value: Any) -> Any:
    if np.ma.is_masked(value):
        raise TypeError(f"{function}(): {name} has masked elements, expected none{_at(table[name][2])}")
    try:
        return np.asarray(value)
    except ValueError as error:
        reason = f"{name} is no array of {table[name][0]}: {error}"
        raise TypeError(f"{function}(): {reason}{_at(table[name][2])}") from None


def _converted(function: str, table: dict[str, Any], name: str, array: Any, dtype: Any) -> Any:
    """Integers and narrower floats become floats, integers of other widths keep their values; nothing else changes."""
    takes = {"f": "fiub", "i": "iub", "b": "b"}[dtype.kind]
    if not array.size or (array.dtype.kind in takes and (array.dtype.kind != "f" or array.dtype.itemsize <= 8)):
        converted = array.astype(dtype)
        if dtype.kind != "i" or np.can_cast(array.dtype, dtype) or (converted == array).all():
            return converted
    expected = {"f": "float32 or float64", "i": "integers", "b": "bool"}[dtype.kind]
    if dtype.kind == "i" and array.dtype.kind in takes:
        expected = f"numbers that {dtype} can hold"
    raise TypeError(f"{function}(): {name} is {array.dtype}, expected {expected}{_at(table[name][2])}")


def _misfit(table: dict[str, Any], arrays: dict[str, Any], name: str) -> str:
    """Why an array does not fit: its own shape, or a size that another array has otherwise."""
    found, shape = arrays[name].shape, table[name][1]
    shown = f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
    own = len(found) == len(shape) and all(isinstance(s, str) or s == n for n, s in zip(found, shape, strict=False))
    bound: dict[str, Any] = {}
    for other, array in arrays.items() if own else ():
        for n, size in zip(array.shape, table[other][1], strict=False):
            first, where = bound.setdefault(size, (n, other))
            if other == name and isinstance(size, str) and n != first:
                return f"{size} is {first} in {where} and {n} in {name}"
    return f"{name} has shape {found}, expected {shown}"


def _cotangent(name: str, value: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """A cotangent in the type that its output was computed in; None stands for zeros."""
    return _shaped("backward", name, np.zeros(shape) if value is None else value, shape, dtype)


def _directions(function: str, v: Any, shapes: dict[str, tuple[int, ...]], dtype: Any) -> list[Any]:
    """The arrays of a direction: a dict of them, in the shapes of what they move."""
    if not hasattr(v, "keys"):
        raise TypeError(f"{function}(): v is a {type(v).__name__}, expected a dict of arrays")
    if v.keys() != shapes.keys():
        raise ValueError(f"{function}(): v has {', '.join(v) or 'nothing'}, expected {', '.join(shapes)}")
    return [_shaped(function, f"{name} of v", v[name], shape, dtype) for name, shape in shapes.items()]


def _shaped(function: str, name: str, value: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """An array of floats of a shape, in a type."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{function}(): {name} is {array.dtype}, expected floats")
    if array.shape != shape:
        raise ValueError(f"{function}(): {name} has shape {array.shape}, expected {shape}")
    return array.astype(dtype, copy=False)[()]
