"""The generated function ``backward``, from residuals and cotangents to gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphc.backends.numpy_comments import model_lines
from graphc.backends.numpy_function import Scope, array_texts, leaf_texts
from graphc.backends.numpy_layout import INDENT, WIDTH, filled_lines, joined_lines, quoted
from graphc.backends.numpy_lines import dict_lines, statement_lines
from graphc.backends.numpy_sizes import Leaf, plain_sizes
from graphc.backends.numpy_spelling import Spelling
from graphc.backends.numpy_statements import Body
from graphc.numpy_text import float_dtype, literal
from graphc.partition import Split


@dataclass(frozen=True)
class BackwardFunction:
    """The text of ``backward``, and what residuals must hold beside the arrays of the split: sizes, and the dtype."""

    lines: list[str]
    sizes: tuple[str, ...]
    dtype: bool


def backward_function(
    scope: Scope, split: Split, residuals: Mapping[str, str], gradients: Mapping[str, str], doc: str
) -> BackwardFunction:
    """``backward(residuals, d_loss=1.0)``.

    Parameters
    ----------
    scope : Scope
    split : Split
    residuals : mapping of str to str
        What the residuals are called in ``forward``.
    gradients : mapping of str to str
        From variables to the outputs that are their gradients.
    doc : str
    """
    graph = split.backward
    given = {str(node.attrs["name"]): node for node in graph.inputs}
    computed = backward_body(scope, split, residuals)
    locals_, arguments = computed.residuals, computed.cotangents
    seeds = [*arguments]
    floats = [locals_[name] for name in residuals if given[name].tensor.is_float]
    spelling = Spelling(scope.sizes, f"{floats[0]}.dtype" if floats else "dtype")
    results = computed.body.results({name: graph.outputs[output] for name, output in gradients.items()})
    statements = statement_lines(computed.body.statements, spelling)
    returned = dict_lines("return {", results, spelling)
    single = len(seeds) == 1 and not given[seeds[0]].tensor.shape
    checks = [
        f"{INDENT}{arguments[name]} = _cotangent({quoted(name)}, {arguments[name]}, "
        f"{spelling(literal(given[name].tensor.shape))}, {spelling(float_dtype())})"
        for name in seeds
    ]
    plain = plain_sizes([Leaf(locals_[name], given[name].tensor.shape) for name in residuals])
    found = [n for n in spelling.used_sizes if n in plain]
    sizes = tuple(n for n in spelling.used_sizes if n not in plain)
    carried = [*locals_.values(), *(scope.sizes[n] for n in sizes), *(["dtype"] if not floats and seeds else [])]
    default = "=1.0" if single else "=None" if len(seeds) > 1 else ""
    lines = [
        *joined_lines("def backward(", ["residuals", *(f"{arguments[s]}{default}" for s in seeds)], "):", ""),
        f"{INDENT}{doc}",
        *(joined_lines(f"{_target(carried)} = residuals", [], "") if carried else []),
        *(f"{INDENT}{scope.sizes[n]} = {plain[n]}" for n in found),
        *(_needs_one([arguments[s] for s in seeds]) if len(seeds) > 1 else []),
        *checks,
        *([""] if statements else []),
        *statements,
        *returned,
    ]
    return BackwardFunction(lines, sizes, not floats and bool(seeds))


@dataclass(frozen=True)
class BackwardBody:
    """The statements of ``backward``, and what residuals and cotangents are called in it."""

    body: Body
    residuals: Mapping[str, str]
    cotangents: Mapping[str, str]


def backward_body(scope: Scope, split: Split, residuals: Mapping[str, str]) -> BackwardBody:
    """The statements of ``backward``, for residuals of these names."""
    graph = split.backward
    names = scope.names()
    locals_ = {name: names.take(local) for name, local in residuals.items()}
    seeds = [name for node in graph.inputs if (name := str(node.attrs["name"])) not in residuals]
    arguments = {name: names.take(name) for name in seeds}
    leaves = {**leaf_texts(graph, {**locals_, **arguments}), **array_texts(graph, scope.arrays)}
    comment = model_lines(graph, set(), scope.user_names)
    body = Body(
        graph, leaves, names, user_names=scope.user_names, comment=comment, room=scope.room("backward"), forget=True
    )
    return BackwardBody(body, locals_, arguments)


def _needs_one(seeds: Sequence[str]) -> list[str]:
    """Without any cotangent all gradients would be zeros, and nobody wants those."""
    expected = f"backward(): expected at least one of {', '.join(seeds)}, found none"
    return [
        *joined_lines("if all(seed is None for seed in (", seeds, ")):"),
        f"{INDENT * 2}raise ValueError({quoted(expected)})",
    ]


def _target(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"({names[0]},)"
    rows = filled_lines([f"{name}," for name in names], " ", WIDTH - 2 * len(INDENT))
    if len(rows) == 1:
        return ", ".join(names)
    return "\n".join(["(", *(f"{INDENT}{INDENT}{row}" for row in rows), f"{INDENT})"])
