"""The state of one reading: the graph under construction, what is declared, errors so far, and the bounds."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from graphc.builder import Builder, Place
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError, TypeRuleError
from graphc.frontends.syntax import span_of
from graphc.frontends.values import Call, Frame, Function, Names, UsedModel
from graphc.graph import Graph, Node
from graphc.op import Op
from graphc.size import SizeExpr
from graphc.source import Source, Span
from graphc.tensor_type import DType
from graphc.value import Operand, Value

MAX_TEXT = 1_000_000
MAX_DEPTH = 2_000
MAX_STEPS = 1_000_000
MAX_CALLS = 200
MAX_ITEMS = 100_000
MAX_STRING = 1_000
MAX_ERRORS = 20


@dataclass(slots=True)
class Budget:
    """The work done so far, over a model and the models that it uses."""

    steps: int = 0
    sites: int = 0
    models: dict[Path, Graph | GraphcError] = field(default_factory=dict)
    """What was read of the models in use, so that each is read once however often it is used."""

    def next_site(self) -> int:
        """The number of a call that draws random numbers: no two draw the same."""
        self.sites += 1
        return self.sites - 1


@dataclass(slots=True, eq=False)
class Session:
    """One reading of one model.

    Attributes
    ----------
    source : Source
    folder : Path or None
        Where ``use`` looks; None for text without a file.
    builder : Builder
    declared : dict of str to Span
        Inputs, parameters and outputs, by name.
    outputs : dict of str to Node
    static : dict
        Names that the caller of the reading sets, such as ``training``.
    fans : dict
        ``fan_in`` and ``fan_out`` while an initialiser is read.
    path : tuple of Path
        The files around: those that use this one, and this one.
    scans : int
        How many scans are around what is read now.
    sizes : dict of str to Span
        The free sizes, and where they were bound.
    repairs : list of (Diagnostic, operands)
        Matrix products that do not fit.
    pure : str
        The elementwise function whose body is read, or nothing.
    called : dict of Function to Span
        The functions without a gradient rule that were called, and where first.
    layers : dict of object to UsedModel
        The compiled models that a traced function calls.
    ruled : set
        The functions whose gradient rules are read.
    read_model : callable
        Reads a model that this one uses, from its text and path.
    """

    source: Source
    folder: Path | None
    builder: Builder
    static: Names
    budget: Budget = field(default_factory=Budget)
    path: tuple[Path, ...] = ()
    declared: dict[str, Span] = field(default_factory=dict)
    outputs: dict[str, Node] = field(default_factory=dict)
    fans: Names = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    repairs: list[tuple[Diagnostic, tuple[Node, ...]]] = field(default_factory=list)
    sizes: dict[str, Span] = field(default_factory=dict)
    pure: str = ""
    scans: int = 0
    called: dict[Function, Span] = field(default_factory=dict)
    layers: dict[object, UsedModel] = field(default_factory=dict)
    ruled: set[object] = field(default_factory=set)
    read_model: Callable[[Source, Path, Session], Graph] | None = None
    found_output: bool = False

    @property
    def float_dtype(self) -> DType:
        """The model's float type."""
        return self.builder.float_dtype

    def step(self, node: ast.AST | list[ast.stmt], frame: Frame, cost: int = 1) -> None:
        """Count one step of the reading, or several for what takes longer."""
        self.budget.steps += cost
        if self.budget.steps > MAX_STEPS:
            where = node if isinstance(node, ast.AST) else node[0]
            raise failure(
                "GC401",
                f"a model takes at most {MAX_STEPS} steps to read, with loops unrolled; this one takes more",
                where,
                frame,
            )

    def apply(self, node: ast.AST, frame: Frame, op: Op, operands: Sequence[Operand], **attrs: object) -> Value:
        """Apply an op on behalf of a piece of syntax."""
        self.check_own(operands, node, frame)
        self.builder.place = place = place_of(node, frame)
        try:
            return self.builder.apply(op, operands, attrs)
        except GraphcError as error:
            found = tuple(_with_inner_place(d, place, frame.call) for d in error.diagnostics)
            if found[0].code == "GC201":
                self.repairs.append((found[0], tuple(o.node for o in operands if isinstance(o, Value))))
            raise GraphcError(*found) from None

    def check_own(self, values: Sequence[object], node: ast.AST, frame: Frame) -> None:
        """An elementwise function sees no tensors of the model around it."""
        if any(isinstance(value, Value) and value.builder is not self.builder for value in values):
            message = f"{self.pure} is elementwise: expected only its own arguments in it, found a tensor of the model"
            raise failure("GC106", message, node, frame)

    def check_free(self, name: str, node: ast.AST, frame: Frame) -> None:
        """A name that stands for a free size cannot stand for anything else at the top of the model."""
        if name in self.sizes and not frame.call.function:
            related = ((self.sizes[name], f"{name} is a free size here"),)
            raise failure(
                "GC205", f"{name} is a free size and cannot be bound to something else", node, frame, related=related
            )

    def size_value(self, node: ast.AST, frame: Frame, value: object) -> Value | None:
        """A tensor, number or size as a graph value; None for anything else."""
        self.check_own([value], node, frame)
        if isinstance(value, Value):
            return value
        self.builder.place = place_of(node, frame)
        if isinstance(value, (bool, float)):
            return self.builder.constant(value)
        return self.builder.size(value) if is_size(value) else None  # type: ignore[arg-type]


def is_size(value: object) -> bool:
    """Whether a static value is an int or a symbolic size."""
    return isinstance(value, (int, SizeExpr)) and not isinstance(value, bool)


def place_of(node: ast.AST, frame: Frame) -> Place:
    """Where nodes of a piece of syntax come from: the calls around it, outermost first, then its own text."""
    call = frame.call
    return Place((*call.spans, span_of(call.source, node)), (call.scope,) if call.scope else ())


def failure(
    code: str,
    message: str,
    node: ast.AST,
    frame: Frame,
    label: str = "",
    *,
    related: tuple[tuple[Span, str], ...] = (),
    hint: str = "",
) -> GraphcError:
    """An error at a piece of syntax: in a function's body, at the outermost call, with the body's line beside it."""
    place = place_of(node, frame)
    diagnostic = Diagnostic(code, message, place.spans[0], label, related, hint)
    return GraphcError(_with_inner_place(diagnostic, place, frame.call))


def settled(node: ast.AST, frame: Frame, compute: Callable[[], object]) -> object:
    """A static result; its refusal becomes an error at the syntax."""
    try:
        return compute()
    except TypeRuleError as refusal:
        raise failure(refusal.code, refusal.message, node, frame) from None


def _with_inner_place(diagnostic: Diagnostic, place: Place, call: Call) -> Diagnostic:
    if len(place.spans) < 2 or diagnostic.span != place.spans[0]:
        return diagnostic
    related = (*diagnostic.related, (place.spans[-1], f"in {call.function}"))
    return Diagnostic(diagnostic.code, diagnostic.message, diagnostic.span, diagnostic.label, related, diagnostic.hint)
