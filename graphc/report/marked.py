"""Text as HTML: coloured by Pygments, with the ids of nodes on the stretches that belong to them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Any

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError

GET_PYGMENTS = 'pip install "pygments>=2.17"'
"""The one command that brings what colours code."""


@dataclass(frozen=True)
class Stretch:
    """Characters of a text, from ``start`` up to ``end``, and the ids that they carry."""

    start: int
    end: int
    ids: tuple[str, ...]
    kind: str = "part"


def marked(text: str, stretches: Iterable[Stretch], *, focusable: bool) -> str:
    """Python text as HTML; a stretch that runs out of the one around it ends with that.

    Parameters
    ----------
    text : str
    stretches : iterable of Stretch
    focusable : bool
        Whether those with ids can be reached by the keyboard.

    Raises
    ------
    GraphcError
        GC416 when Pygments is not installed.

    Examples
    --------
    >>> print(marked("a + 1", [Stretch(0, 5, ("n2",)), Stretch(0, 1, ("n0",))], focusable=False))
    <span class="part" data-nodes="n2"><span class="part" data-nodes="n0">a</span> + <b class="m">1</b></span>
    """
    nested = sorted(stretches, key=lambda stretch: (stretch.start, -stretch.end))
    edges = sorted({edge for stretch in nested for edge in (stretch.start, stretch.end)})
    tokens = list(_tokens(text))
    starts = [start for start, _, _ in tokens]
    pieces: list[str] = []
    open_ends: list[int] = []
    position = 0

    def write(end: int) -> None:
        nonlocal position
        if end > position:
            pieces.extend(_colored(text, tokens, starts, position, end))
            position = end

    for edge in edges:
        write(edge)
        while open_ends and open_ends[-1] <= edge:
            open_ends.pop()
            pieces.append("</span>")
        for stretch in nested[bisect_left(nested, edge, key=_start) : bisect_right(nested, edge, key=_start)]:
            end = min(stretch.end, *open_ends) if open_ends else stretch.end
            if end > edge:
                pieces.append(_opening(stretch, focusable))
                open_ends.append(end)
    write(len(text))
    return "".join((*pieces, *("</span>" for _ in open_ends)))


def _start(stretch: Stretch) -> int:
    return stretch.start


def _opening(stretch: Stretch, focusable: bool) -> str:
    if not stretch.ids:
        return f'<span class="{stretch.kind}">'
    focus = ' tabindex="0"' if focusable else ""
    return f'<span class="{stretch.kind}" data-nodes="{" ".join(stretch.ids)}"{focus}>'


_Token = tuple[int, int, str]


def _colored(text: str, tokens: Sequence[_Token], starts: Sequence[int], start: int, end: int) -> Iterator[str]:
    """A piece of the text with its tokens, which may begin before and end after it."""
    for token_start, token_end, kind in tokens[max(bisect_right(starts, start) - 1, 0) :]:
        if token_start >= end:
            return
        part = escape(text[max(token_start, start) : min(token_end, end)])
        yield f'<b class="{kind}">{part}</b>' if kind and part.strip() else part


def _tokens(text: str) -> Iterator[_Token]:
    """Start, end and class of each token, neighbours of one class as one; together they are the text."""
    try:
        from pygments.lexers.python import PythonLexer
        from pygments.token import Comment, Keyword, Name, Number, String
    except ImportError:
        message = "expected pygments 2.17 or later to colour the code of a report, found none"
        raise GraphcError(Diagnostic("GC416", message, hint=f"`{GET_PYGMENTS}`")) from None
    kinds = {Keyword: "k", Comment: "c", String: "s", Number: "m", Name.Function: "nf"}

    def kind_of(found: tuple[Any, str]) -> str:
        return next((name for parent, name in kinds.items() if found[0] in parent), "")

    position = 0
    for kind, run in groupby(PythonLexer(stripnl=False, ensurenl=False).get_tokens(text), kind_of):
        length = sum(len(value) for _, value in run)
        yield position, position + length, kind
        position += length
