"""The mathematics of each step of a report, as MathML and in words, and the list of all steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from graphc.autodiff import Joint
from graphc.derivation import Line, step_lines
from graphc.graph import Graph
from graphc.report.data import is_large, summary_text
from graphc.report.timeline import Moment, about, node_id

if TYPE_CHECKING:
    from graphc.evaluated import Evaluated


@dataclass(frozen=True)
class Equations:
    """What is to be read about one step.

    Attributes
    ----------
    words, html : str
        The same as plain text and as paragraphs with MathML.
    ids : tuple of str
        Of the nodes that it is about.
    backward : bool
    """

    words: str
    html: str
    ids: tuple[str, ...]
    backward: bool


def equations(drawn: Graph | Joint, moments: Sequence[Moment], at: Evaluated | None) -> list[Equations]:
    """The mathematics of all steps; large results are summed up.

    Examples
    --------
    >>> import graphc
    >>> from graphc.report.timeline import timeline
    >>> joint = graphc.compile("(x + y) * z").joint
    >>> [found.words for found in equations(joint, timeline(joint, ()), None)][3:6]
    ['v₁ = x + y', 'f = v₁ · z', '∂f/∂f = 1']
    """
    lines = step_lines(drawn, at)
    return [_equations(drawn, moment, found, at) for moment, found in zip(moments, lines, strict=True)]


def list_html(found: Sequence[Equations], *, words: bool, hidden: bool) -> str:
    """The steps as an ordered list; in words where MathML would be too much for a page."""
    items = "\n".join(_item(count, step, words) for count, step in enumerate(found, start=1))
    return f'<ol class="steps" aria-label="all steps"{" hidden" if hidden else ""}>\n{items}\n</ol>'


def _equations(drawn: Graph | Joint, moment: Moment, lines: Sequence[Line], at: Evaluated | None) -> Equations:
    words = [f"{line.equation.text} ({line.rule})" if line.rule else line.equation.text for line in lines]
    rows = [_row(line) for line in lines]
    for text in [summary_text(value) for value in _results(moment, at) if is_large(value)] if at else []:
        words.append(text)
        rows.append(f'<p class="rule">{escape(text)}</p>')
    if not rows:
        text = _without_formula(drawn, moment)
        words, rows = [text], [f"<p>{escape(text)}</p>"]
    ids = dict.fromkeys(node_id(node) for node in (moment.step.node, *about(drawn, moment)))
    return Equations("; ".join(words), "".join(rows), tuple(ids), moment.step.backward)


def _without_formula(drawn: Graph | Joint, moment: Moment) -> str:
    """What a step does that has no formula."""
    node, graph = moment.step.node, drawn.graph if isinstance(drawn, Joint) else drawn
    if node.op.name == "item":
        return f"the gradient of this result goes to {graph.operands(node)[0].op.name} as it is"
    return "nothing to send on"


def _results(moment: Moment, at: Evaluated) -> list[np.ndarray]:
    values = [at.values[node] for node in moment.step.values if node in at.values]
    return values + [at.gradients[node] for node in moment.step.gradients if node in at.gradients]


def _row(line: Line) -> str:
    rule = f' <span class="rule">{escape(line.rule)}</span>' if line.rule else ""
    return f'<p><math displaystyle="true">{line.equation.mathml}</math>{rule}</p>'


def _item(count: int, step: Equations, words: bool) -> str:
    said = "" if words else f' data-words="{escape(step.words, quote=True)}"'
    shown = escape(step.words) if words else step.html
    return (
        f'<li class="{"backward" if step.backward else "forward"}"{said}>'
        f'<a href="#step={count}">step {count}</a>'
        f'<div class="maths" data-nodes="{" ".join(step.ids)}">{shown}</div></li>'
    )
