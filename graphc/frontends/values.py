"""What names of a model stand for while it is read, beside graph values: functions, layers, frames, and nothing."""

from __future__ import annotations

import ast
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from graphc.graph import Graph, Scope
from graphc.op import Op
from graphc.ops.leaves import Array, Initializer
from graphc.size import SizeExpr
from graphc.source import Source, Span
from graphc.value import Value

if TYPE_CHECKING:
    from graphc.frontends.session import Session

Names: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """The place of the statements that run: the stack of calls around them.

    Attributes
    ----------
    source : Source
        Whose text the statements are.
    function : str
        The innermost function; empty at the top of a model.
    spans : tuple of Span
        The places of the calls, outermost first.
    scope : tuple of str
        The names of the calls, outermost first.
    taken : dict
        The names of the calls made so far from here, and how often each was asked for.
    shared : dict or None
        The parameters of the instance around; None when each call has its own.
    named : bool
        Whether names bound here are the user's; those of the library are not.
    """

    source: Source
    function: str = ""
    spans: tuple[Span, ...] = ()
    scope: Scope = ()
    taken: dict[str, int] = field(default_factory=dict)
    shared: dict[str, Value] | None = None
    named: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Names in reach: this frame's own, then its parent's; and the call that its statements belong to."""

    names: Names
    call: Call
    parent: Frame | None = None

    def find(self, name: str) -> Frame | None:
        """The innermost frame that has the name."""
        frame: Frame | None = self
        while frame is not None and name not in frame.names:
            frame = frame.parent
        return frame


class Task(NamedTuple):
    """A piece of syntax to be run in a frame; handlers yield tasks and are sent their results."""

    node: ast.AST | list[ast.stmt]
    frame: Frame


Steps: TypeAlias = Generator[Task, object, object]
"""A running handler."""


@dataclass(slots=True, eq=False)
class Function:
    """A ``def``, the frame that it sees (None in the library), and the values of its defaults.

    ``gradient`` is the rule that a later ``@gradient_of`` gives it.
    """

    definition: ast.FunctionDef
    source: Source
    frame: Frame | None
    defaults: Mapping[str, object]
    gradient: Function | None = None

    @property
    def name(self) -> str:
        """As it was defined."""
        return self.definition.name

    @property
    def parameters(self) -> list[str]:
        """The names of its parameters, in order."""
        arguments = self.definition.args
        return [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


@dataclass(slots=True, eq=False)
class Instance:
    """A layer whose calls share their parameters; its scope is settled when it is bound or first called."""

    function: Function | Instance
    arguments: tuple[object, ...]
    keywords: Mapping[str, object]
    params: dict[str, Value]
    scope: Scope = ()

    @property
    def base(self) -> str:
        """What it is called when nothing names it."""
        function = self.function
        while isinstance(function, Instance):
            function = function.function
        return function.name


@dataclass(slots=True, eq=False)
class UsedModel:
    """Another model as a layer; its scope is settled when it is bound or first called."""

    file: str
    graph: Graph
    arrays: Mapping[str, Array] | None
    frozen: bool
    params: dict[str, Value]
    scope: Scope = ()

    @property
    def base(self) -> str:
        """What it is called when nothing names it."""
        return "".join(c if c.isalnum() else "_" for c in self.file.rpartition("/")[2].removesuffix(".gc"))


@dataclass(frozen=True, slots=True, eq=False)
class Arguments:
    """The arguments of a call to a `Primitive`, and the call's syntax."""

    node: ast.Call
    frame: Frame
    values: tuple[object, ...]
    keywords: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Primitive:
    """A function of the language that is not written in it; ``takes`` says its arguments, for errors."""

    name: str
    takes: str
    run: Callable[[Session, Arguments], object]


class Poison:
    """What a name stands for after its statement had an error."""


POISON = Poison()


class Poisoned(Exception):  # noqa: N818 it is no error: that was reported already
    """A statement uses a poisoned name: it is skipped."""


@dataclass(frozen=True, slots=True)
class Returned:
    """The result of a block that met ``return``."""

    value: object


def describe(value: object) -> str:
    """What a value is, in a few words; lists are never walked.

    Examples
    --------
    >>> describe(3), describe([1, 2]), describe("mean")
    ('the number 3', 'a list of 2', "the text 'mean'")
    """
    for kind, text in _DESCRIPTIONS:
        if isinstance(value, kind):
            return text(value)
    return "None" if value is None else f"a {type(value).__name__}"


_DESCRIPTIONS: tuple[tuple[type | tuple[type, ...], Callable[..., str]], ...] = (
    (Value, lambda v: f"a tensor {v.node.type}"),
    (bool, lambda v: f"the truth value {v}"),
    ((int, float), lambda v: f"the number {v}"),
    (str, lambda v: f"the text {v[:40]!r}"),
    (SizeExpr, lambda v: f"the size {v}"),
    (list, lambda v: f"a list of {len(v)}"),
    (tuple, lambda v: f"a tuple of {len(v)}"),
    (range, lambda v: f"a range of {len(v)}"),
    (Initializer, lambda v: "an initialiser"),
    ((Function, Primitive, Op), lambda v: f"the function {v.name}"),
    (Instance, lambda v: "a layer"),
    (UsedModel, lambda v: f"the model {v.file}"),
    (type(...), lambda v: "..."),
    (slice, lambda v: "a slice"),
)
