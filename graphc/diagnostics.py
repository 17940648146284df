"""One message about one place, as data; `render` writes it for people and for machines."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, TypeAlias

from graphc.source import Source, Span

Paint: TypeAlias = Callable[[str, str], str]

# Longer lines are cropped around what is underlined; longer texts are cut.
LINE_LIMIT = 100
TEXT_LIMIT = 1000

COLORS = {"error": "1;31", "warning": "1;33", "message": "1", "gutter": "1;34", "related": "1;34", "help": "1;36"}


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One message about one place.

    Attributes
    ----------
    code : str
        ``GC`` and three digits; ``graphc explain CODE`` tells more.
    message : str
        A lower-case sentence that says what was expected and what was found.
    span : Span or None
        Where; None only for what has no place in a model (a missing file, a wrong argument).
    label : str
        What is written beside the caret.
    related : tuple of (Span, str)
        Other places that matter, each with its label.
    hint : str
        What to write instead; only when it was checked to work.
    severity : {"error", "warning"}
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    related: tuple[tuple[Span, str], ...] = ()
    hint: str = ""
    severity: Literal["error", "warning"] = "error"


def render(diagnostic: Diagnostic, *, style: str = "full", color: bool = False) -> str:
    """The diagnostic as text, without a line end.

    Parameters
    ----------
    diagnostic : Diagnostic
    style : {"full", "concise", "json", "github"}
        With the lines of the model; one line; one JSON object; an annotation command of GitHub's workflows.
    color : bool
        Whether ``full`` and ``concise`` use ANSI colours.

    Returns
    -------
    str
        Control characters from the model or its name are written as escapes.

    Raises
    ------
    ValueError
        When there is no such style.

    Examples
    --------
    >>> place = Span(Source("mlp.gc", "h = X @ W"), 1, 5, 1, 10)
    >>> print(render(Diagnostic("GC101", "unknown name W", place, "not defined")))
    error[GC101]: unknown name W
      --> mlp.gc:1:5
       |
     1 | h = X @ W
       |     ^^^^^ not defined
    >>> print(render(Diagnostic("GC101", "unknown name W", place), style="concise"))
    mlp.gc:1:5: error[GC101]: unknown name W
    """
    if style not in _STYLES:
        raise ValueError(f"style is one of {', '.join(_STYLES)}, got {style!r}")
    return _STYLES[style](diagnostic, _in_color if color else _plain)


def _plain(text: str, role: str) -> str:
    return text


def _in_color(text: str, role: str) -> str:
    return f"\x1b[{COLORS[role]}m{text}\x1b[0m" if text else ""


def _concise(diagnostic: Diagnostic, paint: Paint) -> str:
    place = f"{_position(diagnostic.span)}: " if diagnostic.span else ""
    return place + _headline(diagnostic, paint)


def _full(diagnostic: Diagnostic, paint: Paint) -> str:
    places = _places(diagnostic)
    width = max((len(str(mark.line)) for _, marks in places for mark in marks), default=1)
    lines = [_headline(diagnostic, paint)]
    for first, marks in places:
        lines += _block(first, marks, width, paint)
    if diagnostic.hint:
        lines += _help(diagnostic.hint, width, paint)
    return "\n".join(lines)


def _json(diagnostic: Diagnostic, paint: Paint) -> str:
    record = {
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "place": _json_place(diagnostic.span),
        "label": diagnostic.label,
        "related": [{"place": _json_place(span), "label": label} for span, label in diagnostic.related],
        "help": diagnostic.hint,
    }
    return json.dumps(record)


def _json_place(span: Span | None) -> dict[str, object] | None:
    if span is None:
        return None
    return {
        "file": span.source.name,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }


def _github(diagnostic: Diagnostic, paint: Paint) -> str:
    span = diagnostic.span
    place = {"file": span.source.name, "line": str(span.line), "col": str(span.column)} if span else {}
    properties = [f"{key}={_github_property(value)}" for key, value in {**place, "title": diagnostic.code}.items()]
    texts = [diagnostic.message, diagnostic.label, diagnostic.hint and f"help: {diagnostic.hint}"]
    message = "%0A".join(_github_text(text) for text in texts if text)
    return f"::{diagnostic.severity} {','.join(properties)}::{message}"


def _github_text(text: str) -> str:
    return "%0A".join(_visible(line).replace("%", "%25") for line in text.split("\n"))


def _github_property(text: str) -> str:
    return _visible(text).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")


_STYLES: dict[str, Callable[[Diagnostic, Paint], str]] = {
    "full": _full,
    "concise": _concise,
    "json": _json,
    "github": _github,
}


@dataclass(frozen=True, slots=True)
class _Mark:
    """An underline in one line: columns from 0, the end exclusive."""

    line: int
    start: int
    end: int
    label: str
    role: str


def _headline(diagnostic: Diagnostic, paint: Paint) -> str:
    head = paint(f"{diagnostic.severity}[{diagnostic.code}]", diagnostic.severity)
    return f"{head}{paint(': ' + _visible(diagnostic.message), 'message')}"


def _position(span: Span) -> str:
    return f"{_visible(span.source.name)}:{span.line}:{span.column}"


def _help(hint: str, width: int, paint: Paint) -> Iterator[str]:
    first, *rest = hint.split("\n")
    margin = " " * (width + 2)
    yield f"{margin}{paint('=', 'gutter')} {paint('help', 'help')}: {_visible(first)}"
    for line in rest:
        yield f"{margin}        {_visible(line)}".rstrip()


def _places(diagnostic: Diagnostic) -> list[tuple[Span, list[_Mark]]]:
    """Per source, the diagnostic's own first: its first span and all its marks."""
    own = [(diagnostic.span, diagnostic.label, diagnostic.severity)] if diagnostic.span else []
    related = [(span, label, "related") for span, label in diagnostic.related]
    blocks: dict[Source, tuple[Span, list[_Mark]]] = {}
    for span, label, role in [*own, *related]:
        _, marks = blocks.setdefault(span.source, (span, []))
        marks += _marks(span, label, role)
    return list(blocks.values())


def _marks(span: Span, label: str, role: str) -> Iterator[_Mark]:
    """A mark for each line of the span that is not blank; of a long span only the first and last two."""
    last = max(span.line, span.end_line)
    lines = range(span.line, last + 1)
    for number in lines if len(lines) <= 5 else (*lines[:2], *lines[-2:]):
        text = span.source.line(number).rstrip()
        start = span.column - 1 if number == span.line else len(text) - len(text.lstrip())
        end = span.end_column - 1 if number == last else len(text)
        if text or number in (span.line, last):
            yield _Mark(number, max(start, 0), end, label if number == last else "", role)


def _block(first: Span, marks: Iterable[_Mark], width: int, paint: Paint) -> Iterator[str]:
    bar = paint("|", "gutter")
    yield f"{' ' * (width + 1)}{paint('-->', 'gutter')} {_position(first)}"
    yield f"{' ' * (width + 2)}{bar}"
    ordered = sorted(marks, key=lambda mark: (mark.line, mark.start))
    for number, group in groupby(ordered, key=lambda mark: mark.line):
        text, *underlines = _shown_line(first.source.line(number).removesuffix("\r"), list(group), paint)
        yield f" {paint(f'{number:>{width}}', 'gutter')} {bar} {text}".rstrip()
        yield from (f"{' ' * (width + 2)}{bar} {underline}" for underline in underlines)


def _shown_line(line: str, marks: list[_Mark], paint: Paint) -> Iterator[str]:
    """The line, cropped around its first mark of the highest rank, and an underline per mark."""
    focus = next((mark for mark in marks if mark.role != "related"), marks[0])
    start = max(0, min(focus.start - LINE_LIMIT // 4, len(line) - LINE_LIMIT))
    shown = line[start : start + LINE_LIMIT]
    end = start + len(shown)
    before, after = "…" * (start > 0), "…" * (end < len(line))
    yield f"{before}{_visible(shown)}{after}"
    for mark in marks:
        left, right = (min(max(column, start), end) - start for column in (mark.start, mark.end))
        indent = len(before) + _columns(shown[:left])
        underline = ("-" if mark.role == "related" else "^") * max(1, _columns(shown[left:right]))
        yield " " * indent + paint(f"{underline} {_visible(mark.label)}".rstrip(), mark.role)


def _visible(text: str) -> str:
    """The text in one line that is safe to print: tabs as four spaces, what is not printable as an escape."""
    cut = text if len(text) <= TEXT_LIMIT else text[:TEXT_LIMIT] + "…"
    return "".join(map(_visible_character, cut))


def _visible_character(character: str) -> str:
    if character == "\t":
        return "    "
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _columns(text: str) -> int:
    """How many columns of a terminal the visible text takes."""
    return sum(_character_columns(character) for character in _visible(text))


def _character_columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
