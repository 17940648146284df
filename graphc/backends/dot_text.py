"""Labels and attributes of DOT text, escaped: a bad HTML label is only a line on Graphviz's stderr, so none is made."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape as escape_html
from typing import TYPE_CHECKING

from graphc.backends.palette import MONO, SANS, Theme
from graphc.backends.picture import shortened

if TYPE_CHECKING:
    import graphviz

LONGEST_LABEL = 40


def canvas(title: str, theme: Theme, **attributes: str) -> graphviz.Digraph:
    """An empty drawing in the fonts and on the page of a theme."""
    import graphviz

    page = {"newrank": "true", "bgcolor": theme.page, "fontname": SANS, "fontcolor": theme.muted}
    page |= {"tooltip": escaped(title), **attributes}
    node = {"fontname": SANS, "fontsize": "12", "fontcolor": theme.ink, "color": theme.ink}
    edge = {"fontname": MONO, "fontsize": "9.5", "arrowsize": "0.65", "penwidth": "1.3", "fontcolor": theme.muted}
    # A graph's name knows no escape for a backslash.
    return graphviz.Digraph(escaped(title.replace("\\", "/")), graph_attr=page, node_attr=node, edge_attr=edge)


def escaped(text: str) -> str:
    """Plain text as an attribute: a kind of str that the graphviz package never takes for HTML."""
    import graphviz

    plain: str = graphviz.escape(text)
    return plain


def styled(
    text: str,
    color: str,
    *,
    bold: bool = False,
    italic: bool = False,
    underline: bool = False,
    strike: bool = False,
    mono: bool = False,
    size: float | None = None,
    longest: int = LONGEST_LABEL,
) -> str:
    """Text for an HTML label."""
    # In HTML labels \N is the node's name, however it is written; a space without width keeps the letters apart.
    plain = escape_html(shortened(text, longest)).replace("\\", "\\\u200b")
    # Graphviz writes to stderr about an empty run.
    marked = plain or "\u00a0"
    for tag, on in (("U", underline), ("S", strike), ("I", italic), ("B", bold)):
        marked = f"<{tag}>{marked}</{tag}>" if on else marked
    face = f' FACE="{MONO}"' if mono else ""
    points = f' POINT-SIZE="{size or 10:g}"' if mono or size else ""
    return f'<FONT COLOR="{color}"{face}{points}>{marked}</FONT>'


def html(lines: Iterable[str]) -> str:
    """Lines of styled text as one label."""
    return f"<{'<BR/>'.join(lines)}>"


def table(rows: Iterable[str]) -> str:
    """Rows of styled text, or of tables, as one label."""
    body = "".join(f"<TR><TD>{row}</TD></TR>" for row in rows)
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{body}</TABLE>>'
