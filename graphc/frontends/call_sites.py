"""Where in the user's Python an operation is asked for: the stack from the traced function inwards, as model places."""

from __future__ import annotations

import ast
import linecache
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType

import numpy as np

from graphc.frontends.scopes import unused_name
from graphc.frontends.session import Session
from graphc.frontends.syntax import span_of
from graphc.frontends.values import Call, Frame
from graphc.source import Source
from graphc.value import Value

# Whose frames are not the user's.
_INTERNAL = tuple(str(folder) + os.sep for folder in (Path(__file__).parents[1], Path(np.__file__).parent))
_COMPREHENSIONS = ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>")


@dataclass(frozen=True, slots=True)
class Activation:
    """A running Python function: its calls as the text front end knows them, and its first node's number."""

    call: Call
    first: int


@dataclass(slots=True, eq=False)
class CallSites:
    """The places of one trace.

    Attributes
    ----------
    session : Session
    call : Call
        The top of the model: the body of the traced function.
    root, function : CodeType
        The code that calls the traced function, up to which the stack is read; and the function's, in its wrappers.
    sources : dict
        The texts of the files so far, by path.
    steps : set of CodeType
        The steps of scans: their lines are places of their own, as if they stood in the function around.
    """

    session: Session
    call: Call
    root: CodeType
    function: CodeType
    sources: dict[str, Source] = field(default_factory=dict)
    steps: set[CodeType] = field(default_factory=set)
    _activations: dict[FrameType, Activation] = field(default_factory=dict)
    _positions: dict[CodeType, tuple[tuple[int | None, ...], ...]] = field(default_factory=dict)

    def here(self, operands: Sequence[object]) -> tuple[ast.Call, Frame]:
        """The piece of syntax that runs now, and the frame that it belongs to; operands get the names of variables."""
        call, syntax = self.call, _located(1, 1, 0, 0)
        flat = [item for value in operands for item in (value if isinstance(value, (list, tuple)) else [value])]
        inputs = [value for value in flat if isinstance(value, Value)]
        for frame in self._frames():
            activation = self._activation(frame, call, syntax)
            if inputs and frame.f_code.co_name not in _COMPREHENSIONS:
                self._name(frame, activation, inputs)
            call, syntax = activation.call, self._syntax(frame)
        return syntax, Frame({}, call)

    def name_of(self, value: object) -> str:
        """What the function that runs now calls a value; nothing where it has no name for it."""
        frame = next(iter(self._frames()[-1:]), None)
        names = {} if frame is None else {**frame.f_globals, **frame.f_locals}
        return next((name for name, held in names.items() if held is value), "")

    def source(self, path: str, module: dict[str, object] | None = None) -> Source:
        """The text of a Python file, or of what stands for one in a notebook."""
        if path not in self.sources:
            self.sources[path] = read_source(path, module)
        return self.sources[path]

    def _frames(self) -> list[FrameType]:
        """The user's frames, outermost first."""
        found: list[FrameType] = []
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame.f_code is not self.root:
            if not frame.f_code.co_filename.startswith(_INTERNAL):
                found.append(frame)
            frame = frame.f_back
        found.reverse()
        start = next((position for position, held in enumerate(found) if held.f_code is self.function), 0)
        return found[start:]

    def _activation(self, frame: FrameType, outer: Call, syntax: ast.Call) -> Activation:
        known = self._activations.get(frame)
        if known is None:
            known = self._activations[frame] = self._entered(frame, outer, syntax)
        return known

    def _entered(self, frame: FrameType, outer: Call, syntax: ast.Call) -> Activation:
        name, first = frame.f_code.co_name, len(self.session.builder.spans)
        source = self.source(frame.f_code.co_filename, frame.f_globals)
        if not self._activations:
            return Activation(Call(source, "", (), (), outer.taken), 0)
        if name in _COMPREHENSIONS or frame.f_code in self.steps:
            return Activation(Call(source, outer.function, outer.spans, outer.scope, outer.taken), first)
        spans, label = (*outer.spans, span_of(outer.source, syntax)), name.strip("_<>")
        return Activation(Call(source, label, spans, (*outer.scope, unused_name(outer, label))), first)

    def _syntax(self, frame: FrameType) -> ast.Call:
        code = frame.f_code
        if code not in self._positions:
            self._positions[code] = tuple(code.co_positions())
        line, end_line, column, end_column = self._positions[code][frame.f_lasti // 2]
        if line is None or end_line is None or column is None or end_column is None:
            line = frame.f_lineno or 1
            text = self.source(code.co_filename, frame.f_globals).line(line)
            end_line, column, end_column = line, len(text) - len(text.lstrip()), len(text.encode())
        return _located(line, end_line, column, end_column)

    def _name(self, frame: FrameType, activation: Activation, values: Sequence[Value]) -> None:
        """Give the operands that this function made the names of its variables."""
        free, scope = frame.f_code.co_freevars, activation.call.scope
        for name, held in frame.f_locals.items():
            if isinstance(held, Value) and any(held is value for value in values) and name not in free:
                is_own = held.builder is self.session.builder and held.node.serial >= activation.first
                if is_own and not (name.startswith("_") and scope):
                    self.session.builder.name(held.node, "_".join((*scope, name)))


def read_source(path: str, module: dict[str, object] | None = None) -> Source:
    """The text of a Python file under its name without folders; empty where there is none."""
    return Source(Path(path).name, "".join(linecache.getlines(path, module)))


def _located(line: int, end_line: int, column: int, end_column: int) -> ast.Call:
    place = {"lineno": line, "end_lineno": end_line, "col_offset": column, "end_col_offset": end_column}
    return ast.Call(ast.Name("f", ast.Load(), **place), [], [], **place)
