"""The model pane of a report: the text, every place of which carries what comes from it."""

from __future__ import annotations

from graphc.graph import Graph, Node
from graphc.report.marked import Stretch, marked
from graphc.report.timeline import node_id
from graphc.source import Source, Span


def source_html(source: Source, graph: Graph, *, focusable: bool) -> str:
    """The model's text, or the lines of a longer file that belong to it; every place carries what comes from it.

    Parameters
    ----------
    source : Source
    graph : Graph
        Whose nodes have the ids; those of a joint graph too.
    focusable : bool
    """
    places: dict[Span, list[Node]] = {}
    for node in graph.nodes:
        for span in graph.spans.get(node, ()):
            if span.source.name == source.name and span.end_line <= len(source.lines):
                places.setdefault(span, []).append(node)
    first, last = 1, len(source.lines)
    if source.name.endswith(".py") and places:
        first = min(span.line for span in places)
        last = max(span.end_line for span in places)
    lines = source.lines[first - 1 : last]
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)

    def offset(line: int, column: int) -> int:
        return starts[line - first] + min(column - 1, len(lines[line - first]))

    stretches: dict[tuple[int, int], list[str]] = {}
    for span, nodes in places.items():
        ends = offset(span.line, span.column), offset(span.end_line, span.end_column)
        stretches.setdefault(ends, []).extend(node_id(node) for node in nodes)
    found = [Stretch(start, end, tuple(dict.fromkeys(ids))) for (start, end), ids in stretches.items()]
    return marked("\n".join(lines).rstrip(), found, focusable=focusable)
