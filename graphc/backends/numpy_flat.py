"""``pack``, ``unpack`` and ``value_and_grad_flat``: what is differentiated as one vector, as optimisers want it.

Derivatives on request have such a form too, with the columns and rows of matrices in the order of the vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphc.backends.numpy_derivatives import DerivativeFunction, FlatForm, direction_name
from graphc.backends.numpy_function import Scope
from graphc.backends.numpy_header import function_docstring
from graphc.backends.numpy_layout import INDENT, WIDTH, joined_lines, quoted
from graphc.backends.numpy_names import Names
from graphc.backends.numpy_sizes import Leaf, linear_in, plain_sizes
from graphc.backends.numpy_spelling import Spelling
from graphc.graph import Node
from graphc.numpy_text import literal
from graphc.size import Size, size_names

FLAT_NAMES = ("pack", "unpack", "value_and_grad_flat", "residuals_flat")


_VALUE_AND_GRAD = FlatForm(
    (("value", "scalar"), ("grads", "vector")), "{output} and its gradient as a vector, for optimisers that take both."
)


@dataclass(frozen=True)
class Residuals:
    """The function of an output whose Jacobian is asked for, and the inputs of the model that it takes."""

    function: str
    inputs: Sequence[str]


def flat_functions(
    scope: Scope,
    loss: str,
    moved: Mapping[str, Node],
    derivatives: Sequence[DerivativeFunction] = (),
    residuals: Residuals | None = None,
) -> list[list[str]]:
    """The functions of one vector.

    Parameters
    ----------
    scope : Scope
    loss : str
        Empty when the module has no ``value_and_grad``.
    moved : mapping of str to Node
        The variables, each with the input or parameter that it is.
    derivatives : sequence of DerivativeFunction
        Those that the module has.
    residuals : Residuals, optional
    """
    found = [_pack(scope, moved), _unpack(scope, moved)]
    if loss:
        found.append(_flat_function(scope, "value_and_grad", loss, moved, _VALUE_AND_GRAD))
    if residuals is not None:
        found.append(_residuals(scope, residuals, moved))
    for function in derivatives:
        direction = direction_name(scope, function)
        found.append(_flat_function(scope, function.name, function.output, moved, function.form, direction))
    return found


def _pack(scope: Scope, moved: Mapping[str, Node]) -> list[str]:
    params, inputs = _apart(scope, moved)
    taken = ["params"] * bool(params) + [scope.arguments[name] for name in inputs]
    check = "_checked_with_params" if params else "_checked"
    given = ['"pack"', *(["params"] if params else []), *(f"{n}={n}" for n in taken[bool(params) :])]
    parts = [*(f"params[{quoted(name)}]" for name in params), *taken[bool(params) :]]
    return [
        *joined_lines("def pack(", taken, "):", ""),
        INDENT + function_docstring(_listed("One vector of", [*params, *inputs])),
        *joined_lines(f"{f'({taken[0]},)' if len(taken) == 1 else ', '.join(taken)} = {check}(", given, ")"),
        *_returned([("np.concatenate([", [f"np.ravel({part})" for part in parts], "])")]),
    ]


def _unpack(scope: Scope, moved: Mapping[str, Node]) -> list[str]:
    params, inputs = _apart(scope, moved)
    nodes = _leaves(scope, [*params, *inputs])
    spelling = Spelling(scope.sizes, "")
    theta = _theta(scope)
    told, asked = _sizes(scope, nodes)
    arguments = [theta, *(["*"] if asked else []), *(scope.sizes[name] for name in asked)]
    shapes = [f"{quoted(name)}: {spelling(literal(node.tensor.shape))}" for name, node in nodes.items()]
    bound = [f"{INDENT}{scope.sizes[name]} = {_solved(text, theta, spelling)}" for name, text in told.items()]
    return [
        *joined_lines("def unpack(", arguments, "):", ""),
        INDENT + function_docstring(f"What pack made a vector of: a dict with {_keys([*nodes])}, copies."),
        *bound,
        *joined_lines(f"return _parts({theta}, {{", shapes, "})"),
    ]


def _flat_function(
    scope: Scope, name: str, output: str, moved: Mapping[str, Node], form: FlatForm, direction: str = ""
) -> list[str]:
    """A function of the vector; tangents are one like it, a cotangent is an array."""
    locals_ = [local for local, _ in form.parts]
    call = _call(scope, moved, [*locals_, direction])
    tangents = direction if direction and name != "vjp" else ""
    unpacked = joined_lines(f"{direction} = unpack(", [direction, *call.sizes], ")") if tangents else []
    further = [_direction_text(direction, call.variables) if tangents else direction] if direction else []
    texts = [_text(scope, form_, local, output, call.variables) for local, form_ in form.parts]
    arguments = [*call.params, *further, *call.inputs.values()]
    called = joined_lines(f"{', '.join(locals_)} = {name}(", arguments, ")")
    result = [*called, *_returned(texts)] if texts else joined_lines(f"return {name}(", arguments, ")")
    return [
        *joined_lines(f"def {name}_flat(", [call.theta, *([direction] if direction else []), *call.others], "):", ""),
        INDENT + function_docstring(form.doc.format(output=output)),
        *joined_lines("point = unpack(", [call.theta, *call.sizes], ")"),
        *unpacked,
        *result,
    ]


def _residuals(scope: Scope, residuals: Residuals, moved: Mapping[str, Node]) -> list[str]:
    call = _call(scope, moved, [])
    given = [*call.params, *(text for name, text in call.inputs.items() if name in residuals.inputs)]
    doc = f"{residuals.function} as a vector; its arguments are those of the Jacobian, whether it needs them or not."
    return [
        *joined_lines("def residuals_flat(", [call.theta, *call.others], "):", ""),
        INDENT + function_docstring(doc),
        *joined_lines("point = unpack(", [call.theta, *call.sizes], ")"),
        *joined_lines(f"return np.ravel({residuals.function}(", given, "))"),
    ]


@dataclass(frozen=True)
class _Call:
    """How a function of the vector calls one of the model: its own arguments, and texts for those of the other.

    Attributes
    ----------
    theta : str
    others : list of str
        Its arguments after the vector.
    sizes : list of str
        What ``unpack`` needs beside it.
    params : list of str
        The dict of parameters, where there is one.
    inputs : mapping of str to str
        By the names of the inputs.
    variables : mapping of str to str
        For each part of the vector the variable that it is.
    """

    theta: str
    others: list[str]
    sizes: list[str]
    params: list[str]
    inputs: Mapping[str, str]
    variables: Mapping[str, str]


def _call(scope: Scope, moved: Mapping[str, Node], taken: Sequence[str]) -> _Call:
    params, inputs = _apart(scope, moved)
    raw = scope.raw
    nodes = _leaves(scope, [*params, *inputs])
    local = Names([*scope.reserved, *FLAT_NAMES, *taken, "point", _theta(scope)])
    others = {str(n.attrs["name"]): n for n in raw.inputs if n.attrs["name"] not in inputs}
    called = {name: local.take(scope.arguments[name]) for name in others}
    fixed = [str(node.attrs["name"]) for node in raw.params if node.attrs["name"] not in params]
    _, asked = _sizes(scope, nodes)
    shapes = plain_sizes([Leaf(called[name], node.tensor.shape) for name, node in others.items()])
    # An input may be a list, which has no shape of its own.
    known = {size: f"np.shape({text.partition('.')[0]}){text.partition('.shape')[2]}" for size, text in shapes.items()}
    untold = [scope.sizes[name] for name in asked if name not in known]
    given = [str(node.attrs["name"]) for node in raw.inputs]
    variable = {str(node.attrs["name"]): name for name, node in moved.items()}
    return _Call(
        theta=_theta(scope),
        others=[*(["params"] if fixed else []), *called.values(), *(["*", *untold] if untold else [])],
        sizes=[f"{scope.sizes[name]}={known.get(name, scope.sizes[name])}" for name in asked],
        params=[_params_text(params, fixed, bool(inputs))] if raw.params else [],
        inputs={name: called.get(name, f"point[{quoted(name)}]") for name in given},
        variables={name: variable[name] for name in nodes},
    )


def _direction_text(direction: str, variables: Mapping[str, str]) -> str:
    """An unpacked direction by the names of the variables, which are other ones where the model has several."""
    if all(leaf == variable for leaf, variable in variables.items()):
        return direction
    return f"{{{', '.join(f'{quoted(name)}: {direction}[{quoted(leaf)}]' for leaf, name in variables.items())}}}"


def _text(scope: Scope, form: str, local: str, output: str, variables: Mapping[str, str]) -> tuple[str, list[str], str]:
    """A part of a result in some form: the text before, the parts of, and the text after what may be broken."""
    leaves = _leaves(scope, [*variables])
    names = {variable: leaves[leaf].tensor.ndim for leaf, variable in variables.items()}
    if form == "scalar":
        return local, [], ""
    if form == "raveled":
        return f"np.ravel({local})", [], ""
    if form == "vector":
        return "np.concatenate([", [f"np.ravel({local}[{quoted(name)}])" for name in names], "])"
    if form == "matrix":
        ndim = scope.raw.outputs[output].tensor.ndim
        return "_matrix([", [f"{local}[{quoted(name)}]" for name in names], f"], {ndim})"
    rows = [
        f"_matrix([{', '.join(f'{local}[{quoted(row)}][{quoted(name)}]' for name in names)}], {ndim})"
        for row, ndim in names.items()
    ]
    return ("np.concatenate([", rows, "])") if len(rows) > 1 else (rows[0], [], "")


def _returned(texts: Sequence[tuple[str, list[str], str]]) -> list[str]:
    """The return statement: in one line, or what is longest broken, or a line for each part."""
    whole = [f"{start}{', '.join(parts)}{end}" for start, parts, end in texts]
    line = f"{INDENT}return {', '.join(whole)}"
    if len(line) <= WIDTH:
        return [line]
    if len([parts for _, parts, _ in texts if parts]) == 1 and texts[-1][1]:
        start, parts, end = texts[-1]
        return joined_lines(f"return {''.join(f'{text}, ' for text in whole[:-1])}{start}", parts, end)
    broken = [
        joined_lines(start, parts, end, INDENT * 2) if parts else [INDENT * 2 + start] for start, parts, end in texts
    ]
    return [f"{INDENT}return (", *(line for item in broken for line in (*item[:-1], f"{item[-1]},")), f"{INDENT})"]


def _params_text(params: Sequence[str], fixed: Sequence[str], with_inputs: bool) -> str:
    if not (fixed or with_inputs):
        return "point"
    moved = ", ".join(f"{quoted(name)}: point[{quoted(name)}]" for name in params)
    return f"{{{', '.join([*(['**params'] if fixed else []), *([moved] if moved else [])])}}}"


def _apart(scope: Scope, moved: Mapping[str, Node]) -> tuple[list[str], list[str]]:
    """The names of parameters and of inputs among what moves, in the order of the signature."""
    leaves = {node: str(node.attrs["name"]) for node in moved.values()}
    tables = (scope.raw.params, scope.raw.inputs)
    params, inputs = ([leaves[node] for node in table if node in leaves] for table in tables)
    return params, inputs


def _leaves(scope: Scope, names: Sequence[str]) -> dict[str, Node]:
    found = {str(node.attrs["name"]): node for node in (*scope.raw.inputs, *scope.raw.params)}
    return {name: found[name] for name in names}


def _sizes(scope: Scope, nodes: Mapping[str, Node]) -> tuple[dict[str, tuple[int, Size]], list[str]]:
    """Of the sizes in what moves, the one that the length of the vector tells, or else those that are asked for."""
    total: Size = 0
    for node in nodes.values():
        total = total + node.tensor.size
    shapes = [node.tensor.shape for node in nodes.values()]
    names = list(dict.fromkeys(name for shape in shapes for size in shape for name in size_names(size)))
    linear = linear_in(total, names[0]) if len(names) == 1 and not isinstance(total, int) else None
    return ({names[0]: linear}, []) if linear else ({}, names)


def _solved(linear: tuple[int, Size], theta: str, spelling: Spelling) -> str:
    factor, rest = linear
    size = f"np.size({theta})"
    length = size if rest == 0 else f"({size} - {spelling(literal(rest))})"
    return length.strip("()") if factor == 1 and rest != 0 else length if factor == 1 else f"{length} // {factor}"


def _theta(scope: Scope) -> str:
    """The vector's name, which is theta unless the model has another use for it."""
    names = Names([*scope.arguments.values(), *scope.sizes.values(), *scope.reserved])
    return names.take("theta")


def _listed(start: str, names: Sequence[str]) -> str:
    text = f"{start} {', '.join(names)}, each row by row."
    return text if len(text) <= WIDTH - 10 else f"{start} {names[0]} and {len(names) - 1} more, each row by row."


def _keys(names: Sequence[str]) -> str:
    text = ", ".join(names)
    return f"key{'s' * (len(names) > 1)} {text if len(text) <= 30 else f'{names[0]} and {len(names) - 1} more'}"
