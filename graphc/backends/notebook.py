"""What notebooks show of a graph: its listing as text and, where Graphviz is there, its picture."""

from __future__ import annotations

import base64
from collections.abc import Callable

from graphc.autodiff import Joint
from graphc.backends.dot import Drawn, dot, subject
from graphc.backends.drawing import layout
from graphc.backends.listing import listing
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.graph import Graph

_MOST_LISTED, _MOST_IN_PIXELS, _MOST_DRAWN = 40, 80, 1500
"""Nodes up to which there are a listing, a PNG (slow to make, large) and a picture at all."""
_LONGEST = 600_000
"""Of the DOT text of a picture: some graphs have no layers by which to fold them."""


def mime_bundle(head: str, graph: Graph, drawn: Callable[[], Drawn], title: str) -> dict[str, str]:
    """The forms of a graph by MIME type; what cannot be drawn is text that says why, never an error.

    Parameters
    ----------
    head : str
        One line about it, before the listing.
    graph : Graph
        What is listed.
    drawn : callable
        Gives what the picture is of: asked for only where it is not too large.
    title : str
    """
    text = f"{head}\n{listing(graph)}" if len(graph.nodes) <= _MOST_LISTED else head
    try:
        if len(graph.nodes) > _MOST_DRAWN:
            raise _too_large()
        return {"text/plain": text, **_pictures(drawn(), title)}
    except Exception as fault:
        # A notebook shows a value after the work is done: that must not end in a traceback, whatever fails.
        return {"text/plain": f"{text}\nno picture: {_reason(fault)}"}


def _pictures(drawn: Drawn, title: str) -> dict[str, str]:
    text, shown = dot(drawn, title=title), subject(drawn)
    if len(text) > _LONGEST:
        raise _too_large()
    svg = layout(text, "svg").decode()
    # Without the declarations of a file: it becomes part of a page.
    pictures = {"image/svg+xml": svg[svg.index("<svg ") :]}
    nodes = (shown.graph if isinstance(shown, Joint) else shown).nodes
    if len(nodes) <= _MOST_IN_PIXELS:
        pictures["image/png"] = base64.b64encode(layout(text, "png")).decode()
    return pictures


def _too_large() -> GraphcError:
    return GraphcError(Diagnostic("GC401", "the graph is too large for a notebook", hint="draw() writes it to a file"))


def _reason(fault: Exception) -> str:
    """An error in one line."""
    if isinstance(fault, GraphcError):
        (found, *_) = fault.diagnostics
        return f"{found.message}; {found.hint}" if found.hint else found.message
    return " ".join(f"{type(fault).__name__}: {fault}".split())
