"""Named sizes at the entry of a generated function: bound from shapes, solved where an axis is arithmetic, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from graphc.backends.numpy_layout import INDENT, WIDTH, quoted
from graphc.graph import Graph, Node
from graphc.op import Condition
from graphc.size import Size, SizeExpr, named_size, size_names, substitute
from graphc.source import Span
from graphc.tensor_type import Shape

SizeText = Callable[[Size], str]


class Leaf(NamedTuple):
    """An array that a generated function is given: what it is called there, its shape, its place in the model."""

    name: str
    shape: Shape
    place: str = ""


@dataclass(frozen=True)
class Binding:
    """Lines that bind and check sizes, and the names of those that no shape tells."""

    lines: tuple[str, ...]
    missing: tuple[str, ...]


def place_text(span: Span | None) -> str:
    """A place in the model as generated modules say it: ``digits.gc:12``."""
    return f"{span.source.name}:{span.line}" if span else ""


def shape_tuple(shape: Shape) -> str:
    """A shape as errors show it: ``(N, 64)``."""
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def error_lines(test: str, function: str, found: str, expected: str, place: str) -> list[str]:
    """``if test: raise ValueError(…)``; what is found and expected may hold replacement fields."""
    end = f"  [{_literal(place)}]" if place else ""
    parts = [f"{function}(): {found}, ", f"expected {expected}{end}"]
    line = f"{INDENT}raise ValueError({_text(''.join(parts))})"
    if len(INDENT + line) <= WIDTH:
        return [f"if {test}:", line]
    return [f"if {test}:", f"{INDENT}raise ValueError(", *(INDENT * 2 + _text(part) for part in parts), f"{INDENT})"]


def bind_sizes(
    function: str, needed: Iterable[str], leaves: Sequence[Leaf], sizes: Mapping[str, str], text: SizeText, local: str
) -> Binding:
    """How a function finds the sizes that it needs, and checks every axis whose size is arithmetic.

    Parameters
    ----------
    function : str
        For the messages.
    needed : iterable of str
    leaves : sequence of Leaf
    sizes : mapping of str to str
        What sizes are called in the function.
    text : callable
        A size as Python text.
    local : str
        A variable for a size that is arithmetic.
    """
    plain = plain_sizes(leaves)
    derived = [entry for entry in _axes(leaves) if not _is_name(entry[2])]
    solved, solutions = _solved(function, derived, plain, sizes, text)
    known = {*plain, *solved}
    checks = [entry for entry in derived if known.issuperset(size_names(entry[2])) and entry not in solved.values()]
    wanted = dict.fromkeys(needed)
    for _, _, size in (*checks, *solved.values()):
        wanted.update(dict.fromkeys(size_names(size)))
    lines = [f"{sizes[name]} = {extent}" for name, extent in plain.items() if name in wanted]
    lines += [line for name in solved for line in solutions[name]]
    lines += [line for leaf, axis, size in checks for line in _check(function, leaf, axis, text(size), local)]
    return Binding(tuple(lines), tuple(name for name in wanted if name not in known))


def plain_sizes(leaves: Sequence[Leaf]) -> dict[str, str]:
    """The named sizes that stand alone on an axis, with the text of the first such axis."""
    found: dict[str, str] = {}
    for leaf, axis, size in _axes(leaves):
        if _is_name(size):
            found.setdefault(str(size), f"{leaf.name}.shape[{axis}]")
    return found


def conditions_of(graph: Graph, nodes: Iterable[Node]) -> dict[Condition, str]:
    """What some nodes ask of sizes, each with the place of the first that does."""
    found: dict[Condition, str] = {}
    for node in nodes:
        if node.op.conditions is not None:
            types = (operand.type for operand in graph.operands(node))
            spans = graph.spans.get(node, ())
            for condition in node.op.conditions(*types, **node.attrs):
                found.setdefault(condition, place_text(spans[0] if spans else None))
    return found


def condition_lines(function: str, condition: Condition, place: str, text: SizeText, local: str) -> list[str]:
    """The check of a condition; ``local`` is a variable for a size that is arithmetic."""
    value, bound = _bound(text(condition.size), local)
    number = condition.number
    test, expected = {
        "at_least": (f"{value} < {number}", f"at least {number}"),
        "divisible_by": (f"{value} % {number}", f"a multiple of {number}"),
    }[condition.relation]
    return [*bound, *error_lines(test, function, f"{condition.size} is {{{value}}}", expected, place)]


_Axis = tuple[Leaf, int, SizeExpr]


def _axes(leaves: Sequence[Leaf]) -> list[_Axis]:
    return [(leaf, axis, size) for leaf in leaves for axis, size in enumerate(leaf.shape) if isinstance(size, SizeExpr)]


def _is_name(size: SizeExpr) -> bool:
    return size.names != () and size == named_size(size.names[0])


def _solved(
    function: str, derived: Sequence[_Axis], known: Iterable[str], sizes: Mapping[str, str], text: SizeText
) -> tuple[dict[str, _Axis], dict[str, list[str]]]:
    """Sizes that stand alone on no axis, from axes that are linear in them."""
    found: dict[str, _Axis] = {}
    lines: dict[str, list[str]] = {}
    settled = set(known)
    progress = True
    while progress:
        progress = False
        for entry in derived:
            leaf, axis, size = entry
            unknown = [name for name in size.names if name not in settled]
            linear = linear_in(size, unknown[0]) if len(unknown) == 1 else None
            if linear is not None:
                (name,) = unknown
                found[name], lines[name] = entry, _solution(function, leaf, axis, sizes[name], linear, text)
                settled.add(name)
                progress = True
    return found, lines


def linear_in(size: SizeExpr, name: str) -> tuple[int, Size] | None:
    """``(a, b)`` with ``size = a * name + b``, where b is free of the name."""
    rest = substitute(size, {name: 0})
    factor = substitute(size, {name: 1}) - rest
    if not isinstance(factor, int) or factor == 0 or size != named_size(name) * factor + rest:
        return None
    return factor, rest


def _solution(function: str, leaf: Leaf, axis: int, name: str, linear: tuple[int, Size], text: SizeText) -> list[str]:
    factor, rest = linear
    extent = f"{leaf.name}.shape[{axis}]"
    if rest != 0:
        extent = f"{extent} - {_factor(text(rest))}" if factor > 0 else f"{text(rest)} - {extent}"
    elif factor < 0:
        extent = f"-{extent}"
    found, expected = _shape_texts(leaf)
    if abs(factor) == 1:
        return [f"{name} = {extent}", *error_lines(f"{name} < 0", function, found, expected, leaf.place)]
    bound = f"{name}, rest = divmod({extent}, {abs(factor)})"
    return [bound, *error_lines(f"rest or {name} < 0", function, found, expected, leaf.place)]


def _check(function: str, leaf: Leaf, axis: int, size: str, local: str) -> list[str]:
    value, bound = _bound(size, local)
    found, expected = _shape_texts(leaf)
    test = f"{leaf.name}.shape[{axis}] != {value}"
    return [*bound, *error_lines(test, function, found, f"{expected} with {{{value}}} on axis {axis}", leaf.place)]


def _shape_texts(leaf: Leaf) -> tuple[str, str]:
    """What an error says that the shape of an array is, and should be."""
    return f"{_literal(leaf.name)} has shape {{{leaf.name}.shape}}", shape_tuple(leaf.shape)


def _bound(size: str, local: str) -> tuple[str, list[str]]:
    """A size as it is written in a check: arithmetic is done once, before it."""
    return (size, []) if size.isidentifier() else (local, [f"{local} = {size}"])


def _factor(text: str) -> str:
    return text if text.isalnum() else f"({text})"


def _text(content: str) -> str:
    """A string, with its replacement fields."""
    return f'{"f" if "{" in content else ""}"{content}"'


def _literal(text: str) -> str:
    """A text inside an f-string in double quotes."""
    return quoted(text)[1:-1].replace("{", "{{").replace("}", "}}")
