"""``pack``, ``unpack`` and ``value_and_grad_flat``: what is differentiated as one vector, as optimisers want it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphc.backends.numpy_function import Scope
from graphc.backends.numpy_header import function_docstring
from graphc.backends.numpy_layout import INDENT, WIDTH, joined_lines, quoted
from graphc.backends.numpy_names import Names
from graphc.backends.numpy_sizes import Leaf, linear_in, plain_sizes
from graphc.backends.numpy_statements import Spelling
from graphc.graph import Node
from graphc.numpy_text import literal
from graphc.op import OPS
from graphc.size import Size, size_names

FLAT_NAMES = ("pack", "unpack", "value_and_grad_flat")


def flat_functions(scope: Scope, loss: str, moved: Mapping[str, Node]) -> list[list[str]]:
    """The three functions.

    Parameters
    ----------
    scope : Scope
    loss : str
    moved : mapping of str to Node
        The variables, each with the input or parameter that it is.
    """
    return [_pack(scope, moved), _unpack(scope, moved), _value_and_grad_flat(scope, loss, moved)]


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
        *_joined("", [f"np.ravel({part})" for part in parts]),
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


def _value_and_grad_flat(scope: Scope, loss: str, moved: Mapping[str, Node]) -> list[str]:
    params, inputs = _apart(scope, moved)
    raw = scope.raw
    nodes = _leaves(scope, [*params, *inputs])
    local = Names([*scope.reserved, *FLAT_NAMES, "value", "grads", "point", _theta(scope)])
    others = {str(n.attrs["name"]): n for n in raw.inputs if n.attrs["name"] not in inputs}
    called = {name: local.take(scope.arguments[name]) for name in others}
    fixed = [str(node.attrs["name"]) for node in raw.params if node.attrs["name"] not in params]
    _, asked = _sizes(scope, nodes)
    shapes = plain_sizes([Leaf(called[name], node.tensor.shape) for name, node in others.items()])
    # An input may be a list, which has no shape of its own.
    known = {size: f"np.shape({text.partition('.')[0]}){text.partition('.shape')[2]}" for size, text in shapes.items()}
    untold = [scope.sizes[name] for name in asked if name not in known]
    taken = [_theta(scope), *(["params"] if fixed else []), *called.values(), *(["*", *untold] if untold else [])]
    sizes = [f"{scope.sizes[name]}={known.get(name, scope.sizes[name])}" for name in asked]
    given = [
        *([_params_text(params, fixed, bool(inputs))] if raw.params else []),
        *(called.get(n, f"point[{quoted(n)}]") for n in (str(node.attrs["name"]) for node in raw.inputs)),
    ]
    variable = {str(node.attrs["name"]): name for name, node in moved.items()}
    return [
        *joined_lines("def value_and_grad_flat(", taken, "):", ""),
        INDENT + function_docstring(f"{loss} and its gradient as a vector, for optimisers that take both."),
        *joined_lines("point = unpack(", [_theta(scope), *sizes], ")"),
        *joined_lines("value, grads = value_and_grad(", given, ")"),
        *_joined("value, ", [f"np.ravel(grads[{quoted(variable[name])}])" for name in nodes]),
    ]


def _params_text(params: Sequence[str], fixed: Sequence[str], with_inputs: bool) -> str:
    if not (fixed or with_inputs):
        return "point"
    moved = ", ".join(f"{quoted(name)}: point[{quoted(name)}]" for name in params)
    return f"{{{', '.join([*(['**params'] if fixed else []), *([moved] if moved else [])])}}}"


def _joined(start: str, parts: Sequence[str]) -> list[str]:
    line = f"{INDENT}return {start}np.concatenate([{', '.join(parts)}])"
    return [line] if len(line) <= WIDTH else joined_lines(f"return {start}np.concatenate([", parts, "])")


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


def is_leaf(node: Node) -> bool:
    """Whether a variable is an input or a parameter, which a caller can move."""
    return node.op in (OPS["input"], OPS["param"])
