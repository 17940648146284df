"""The report put together: a model at some points in, one HTML file that needs nothing else out."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from graphc.atomic import write_atomic
from graphc.autodiff import Joint
from graphc.backends.drawing import check_size
from graphc.backends.formulas import notation_of
from graphc.backends.wire import is_small_scalar, wire_texts
from graphc.graph import Graph
from graphc.report.code_pane import code_html
from graphc.report.data import Case, page_data, script_json
from graphc.report.equations import equations, list_html
from graphc.report.model_pane import source_html
from graphc.report.picture import color_css, svg_of
from graphc.report.timeline import known_from, node_id, timeline

if TYPE_CHECKING:
    from graphc.evaluated import Evaluated
    from graphc.source import Source

_MOST_IN_FULL = 200
"""Nodes up to which the list of steps has MathML with the numbers put in, and nodes can be reached by the Tab key. More
would keep a browser busy for seconds: it gets formulas, the numbers of the current step, and search."""
_LONGEST_TITLE, _LONGEST_NAME = 60, 80


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes
    ----------
    html : str
        The whole page.
    """

    html: str = field(repr=False)

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the page; the file is replaced in one step or not at all."""
        write_atomic(path, self.html)
        return Path(path)

    def _repr_html_(self) -> str:
        """For notebooks: a frame of its own, which may run the page's script and nothing else."""
        look = 'width="100%" height="720" style="border:0" title="step-through report"'
        return f'<iframe sandbox="allow-scripts" {look} srcdoc="{escape(self.html, quote=True)}"></iframe>'


def page_of(source: Source, name: str, drawn: Graph | Joint, module: str, points: Sequence[Evaluated] = ()) -> Page:
    """The report of a model.

    Parameters
    ----------
    source : Source
        The model's text.
    name : str
        What to call the model, unless it is one short line, which is its own title.
    drawn : Graph or Joint
        The graph as written, or with its gradient.
    module : str
        The text of the generated module.
    points : sequence of Evaluated
        Of the same graph; the page has a choice of them. Without any, it has names in place of numbers.

    Raises
    ------
    GraphcError
        GC401 for a graph that is too large, GC404, GC416 when nothing is installed that lays out pictures, that colours
        code.
    """
    check_size(drawn)
    notation = notation_of(drawn)
    title = _title(source, name)
    small = len(notation.graph.nodes) <= _MOST_IN_FULL
    wires = wire_texts(drawn, points[0] if points else None) if is_small_scalar(drawn) else ()
    moments = timeline(drawn, wires)
    cases = _cases(points)
    known = {node_id(node): step for node, step in known_from(drawn, moments).items()}
    svg, edges = svg_of(drawn, notation, title, wires, points, known=known, focusable=small)
    found = [equations(drawn, moments, case.at) for case in cases] if small else [equations(drawn, moments, None)]
    maths = () if small else [step.html for step in found[0]]
    data = page_data(drawn, notation, moments, cases, edges, wires=bool(wires), maths=maths)
    style, script = f"{color_css()}\n{_part('report.css')}", _part("report.js")
    return Page(
        _filled(
            {
                "policy": _policy(style, script),
                "title": escape(title),
                "style": style,
                "script": script,
                "data": script_json(data),
                "count": str(len(moments)),
                "tabs": "" if isinstance(drawn, Joint) else " hidden",
                "cases": _choices(cases),
                "only": " hidden" if len(cases) == 1 else "",
                "legend": _legend(drawn, bool(wires)),
                "source": source_html(source, notation.graph, focusable=small),
                "code": code_html(module, drawn, focusable=small),
                "picture": svg,
                "steps": "\n".join(
                    list_html(steps, words=not small, hidden=count > 0) for count, steps in enumerate(found)
                ),
            }
        )
    )


def _title(source: Source, name: str) -> str:
    text = source.text.strip()
    return text if text and "\n" not in text and len(text) <= _LONGEST_TITLE else name


def _cases(points: Sequence[Evaluated]) -> list[Case]:
    names = [_shortened(at.point_text) for at in points]
    return [Case(f"{count}: {name}", at) for count, (name, at) in enumerate(zip(names, points, strict=True), 1)] or [
        Case("no numbers", None)
    ]


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"


def _choices(cases: Sequence[Case]) -> str:
    return "".join(f'<option value="{count}">{escape(case.name)}</option>' for count, case in enumerate(cases))


def _legend(drawn: Graph | Joint, wires: bool) -> str:
    if not wires:
        return _BLOCK_LEGEND if isinstance(drawn, Joint) else ""
    above = 'above the wire: <b class="value">value</b>'
    if not isinstance(drawn, Joint):
        return above
    of = escape(next(iter(drawn.seeds)))
    below = f'below the wire: <b class="gradient">gradient</b> of {of} with respect to that wire'
    return f"{above} · {below} · at a junction ● the path gradients add"


_BLOCK_LEGEND = (
    '<b class="value">forward</b> runs down, its <b class="gradient">gradient</b> stands beside it and comes back up'
    " · dashed: kept for the backward pass"
)


def _policy(style: str, script: str) -> str:
    """Forbids everything but this style and this script; pictures only from the page itself."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _part(name: str) -> str:
    return files("graphc.report").joinpath(name).read_text(encoding="utf-8")


def _filled(parts: Mapping[str, str]) -> str:
    """The template with its places filled, in one go: what is filled in is not looked at again."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _part("report.html"))
