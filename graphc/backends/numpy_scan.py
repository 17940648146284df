"""``scan`` as a ``for`` loop: carries are variables, what is stacked is written into arrays made before.

A carry gets its next value where that is computed, under its own name, when nobody reads the old one after that;
otherwise all are assigned together at the end of the step.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from graphc.backends.expression_text import expression_text
from graphc.graph import Graph, Node
from graphc.numpy_text import call, fill, float_dtype, subscript, with_names
from graphc.size import Size
from graphc.tensor_type import TensorType

Comment = tuple[str, ...]


@dataclass(frozen=True)
class Scan:
    """The attributes of a scan."""

    step: Graph
    carries: int
    xs: int
    length: Size
    reverse: bool

    @classmethod
    def of(cls, node: Node) -> Scan:
        """Those of a node."""
        return cls(**node.attrs)  # type: ignore[arg-type]

    @property
    def carried(self) -> tuple[Node, ...]:
        """The inputs of the step that are carries."""
        return self.step.inputs[: self.carries]

    @property
    def scanned(self) -> tuple[Node, ...]:
        """The inputs of the step that are slices."""
        return self.step.inputs[self.carries : self.carries + self.xs]


@dataclass(frozen=True)
class Statement:
    """An assignment, with its text, the model lines that it comes from, and other names that the model has for it.

    With another ``operator`` it changes its target; without any, the value is a call that does. ``node`` is what the
    target is, where the statement makes a new array for it.
    """

    target: str
    value: ast.expr
    text: str
    comment: Comment
    also: tuple[str, ...] = ()
    operator: str = "="
    node: Node | None = None

    @property
    def start(self) -> str:
        """What stands before the value."""
        return f"{self.target} {self.operator} " if self.operator else ""


@dataclass(frozen=True)
class Loop:
    """A ``for`` statement: its first line, with placeholders, and what it repeats."""

    text: str
    body: tuple[Statement | Loop, ...]
    comment: Comment


@dataclass(frozen=True)
class Function(Loop):
    """A function in a function: its first line, its statements, and what it returns."""

    returned: tuple[ast.expr, ...] = ()


Written = Statement | Loop


def assignment(target: str, value: ast.expr, comment: Comment, also: tuple[str, ...] = ()) -> Statement:
    """An assignment of an expression."""
    return Statement(target, value, expression_text(value), comment, also)


def range_text(variable: str, length: Size, *, reverse: bool) -> str:
    """The first line of a loop over the steps."""
    steps = call("range", length)
    return f"for {variable} in {expression_text(call('reversed', steps) if reverse else steps)}:"


def empty(type: TensorType) -> ast.expr:
    """An array to be filled."""
    return call("np.empty", type.shape[0] if type.ndim == 1 else type.shape, dtype=dtype_text(type.dtype))


def dtype_text(dtype: str) -> ast.expr:
    """What NumPy calls a type of the model; of floats it is that of the function."""
    return float_dtype() if dtype.startswith("float") else fill("bool" if dtype == "bool" else f"np.{dtype}", {})


def element(array: ast.expr, variable: str) -> ast.expr:
    """What an array holds for a step."""
    return subscript(array, ast.Name(variable, ast.Load()))


def stores(arrays: Mapping[str, ast.expr], variable: str, comment: Comment) -> list[Statement]:
    """Each value written into its array, in the place of the step."""
    return [assignment(f"{array}[{variable}]", value, comment) for array, value in arrays.items()]


def updates(
    body: Sequence[Written], carries: Mapping[str, ast.expr], arrays: Mapping[str, ast.expr], variable: str
) -> list[Written]:
    """The end of a step: what is stacked is stored, and the carries get their next values.

    Parameters
    ----------
    body : sequence of Statement or Loop
        What computes the next values, in the names of this step.
    carries : mapping of str to expression
        From the variables of carries to their next values.
    arrays : mapping of str to expression
        From arrays to what is stored in them.
    variable : str
        The variable that counts the steps.
    """
    written = list(body)
    rest = {name: value for name, value in carries.items() if not _is_name(value, name)}
    kept = dict(arrays)
    for name, value in list(rest.items()):
        place = _in_place(written, name, value, rest, kept)
        if place is not None:
            assert isinstance(value, ast.Name)
            old = value.id
            del rest[name]
            written[place:] = [_renamed(statement, old, name) for statement in written[place:]]
            kept = {key: with_names(x, {old: ast.Name(name, ast.Load())}) for key, x in kept.items()}
    comment = next((statement.comment for statement in reversed(written)), ())
    written += stores(kept, variable, comment)
    if len(rest) == 1:
        ((name, value),) = rest.items()
        written.append(assignment(name, value, comment))
    elif rest:
        together = ast.Tuple(list(rest.values()), ast.Load())
        written.append(Statement(", ".join(rest), together, _text(together), comment))
    return written


def _in_place(
    body: Sequence[Written], name: str, value: ast.expr, rest: Mapping[str, ast.expr], kept: Mapping[str, ast.expr]
) -> int | None:
    """The statement that may assign a carry's next value to the carry itself: nobody reads the old one after it."""
    if not isinstance(value, ast.Name):
        return None
    found = [p for p, statement in enumerate(body) if _writes(statement, value.id)]
    if len(found) != 1 or not isinstance(body[found[0]], Statement):
        return None
    others = [*(x for key, x in rest.items() if key != name), *kept.values()]
    shared = any(_mentions(x, value.id) for key, x in rest.items() if key != name)
    late = any(_reads(statement, name) for statement in body[found[0] + 1 :])
    return None if shared or late or any(_mentions(x, name) for x in others) else found[0]


def _is_name(value: ast.expr, name: str) -> bool:
    return isinstance(value, ast.Name) and value.id == name


def _mentions(value: ast.expr, name: str) -> bool:
    return any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(value))


def _reads(statement: Written, name: str) -> bool:
    if isinstance(statement, Loop):
        return any(_reads(inner, name) for inner in statement.body)
    return _mentions(statement.value, name) or (statement.operator != "=" and _writes(statement, name))


def _writes(statement: Written, name: str) -> bool:
    if isinstance(statement, Loop):
        return any(_writes(inner, name) for inner in statement.body)
    return name in statement.target.split(", ")


def _renamed(statement: Written, old: str, new: str) -> Written:
    if isinstance(statement, Loop):
        return replace(statement, body=tuple(_renamed(inner, old, new) for inner in statement.body))
    target = new if statement.target == old else statement.target
    if not _mentions(statement.value, old):
        return replace(statement, target=target)
    value = with_names(statement.value, {old: ast.Name(new, ast.Load())})
    return replace(statement, target=target, value=value, text=_text(value))


def _text(value: ast.expr) -> str:
    """An expression as the right side of an assignment."""
    return ", ".join(map(expression_text, value.elts)) if isinstance(value, ast.Tuple) else expression_text(value)
