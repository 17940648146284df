"""From nodes to the comments above their statements: the model lines that they come from."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

from graphc.backends.numpy_layout import COMMENT_WIDTH, INDENT, printable
from graphc.backends.numpy_scan import Comment
from graphc.graph import Graph, Node
from graphc.source import Source, Span

_TARGETS = re.compile(r"\s*((?:\w+\s*,\s*)*\w+)\s*(?::|=(?!=))")


@dataclass(frozen=True)
class ModelLines:
    """From nodes to the model lines that they come from, as comments; see `model_lines`."""

    graph: Graph
    plain: Collection[Node] | None
    own_names: Collection[str]
    derivative: str = "grad"

    def __call__(self, node: Node) -> Comment:
        """The comment of a node."""
        spans = self.graph.spans.get(node, ())
        if not spans:
            return ()
        names = [name for name in self.graph.names.get(node, ()) if name in self.own_names]
        what = "# " if self._is_plain(node) or names else f"# {self.derivative} of "
        place = _naming(names, spans) if names and len(spans) > 1 else spans[0]
        return (_model_line(what, place.source, place.line),)

    def inside(self, node: Node, step: Graph) -> ModelLines:
        """Those of a step: of a gradient where the scan is one's."""
        return ModelLines(step, None if self._is_plain(node) else (), self.own_names, self.derivative)

    def _is_plain(self, node: Node) -> bool:
        return self.plain is None or node in self.plain


def model_lines(
    graph: Graph, plain: Collection[Node] | None, user_names: Collection[str] = (), derivative: str = "grad"
) -> ModelLines:
    """From a node to the model line that it comes from; it is a gradient's where the node is not among the plain.

    A value of the model that only the gradient needs, because a rule went round it, has the user's own name, which
    is not that of another value's gradient.
    """
    own_names = {name for name in user_names if not (name.startswith("d_") and name[2:] in user_names)}
    return ModelLines(graph, plain, own_names, derivative)


def _naming(names: Collection[str], spans: Sequence[Span]) -> Span:
    """Of the places that one value comes from, the one whose line gives it its name; else the first."""
    return next((span for span in spans if not _assigned(span.source.line(span.line)).isdisjoint(names)), spans[0])


def _assigned(line: str) -> frozenset[str]:
    """The names that a line assigns: ``a, b = …`` or ``a: Output = …``."""
    found = _TARGETS.match(line)
    return frozenset(re.findall(r"\w+", found[1])) if found else frozenset()


@lru_cache(maxsize=64)
def _model_line(what: str, source: Source, line: int) -> str:
    where = f"  [{source.name}:{line}]"
    code = without_comment(source.line(line))
    room = COMMENT_WIDTH - len(INDENT) - len(what) - len(where)
    return printable(what + (code if len(code) <= room else code[: room - 2] + " …") + where)


def without_comment(line: str) -> str:
    """A line of a model as it is shown."""
    quote = ""
    for position, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#":
            return line[:position].strip()
    return line.strip()
