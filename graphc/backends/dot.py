"""Pictures as DOT text: a graph, or a joint graph with its gradient, in; Graphviz source out, always the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict, Unpack

from graphc.autodiff import Joint
from graphc.backends.block import block_dot
from graphc.backends.diagram import diagram_of
from graphc.backends.difference import diff_dot
from graphc.backends.folding import Depth, folded
from graphc.backends.layers import with_layers
from graphc.backends.palette import THEMES
from graphc.backends.picture import View
from graphc.backends.readings import Readings
from graphc.backends.wire import is_small_scalar, wire_dot
from graphc.changes import Change
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError
from graphc.graph import Graph
from graphc.steps import steps_of

if TYPE_CHECKING:
    from graphc.evaluated import Evaluated

Drawn: TypeAlias = "Graph | Joint | Evaluated | Change"
Style = Literal["wire", "block"]
STYLES: tuple[Style, ...] = ("wire", "block")


class Look(TypedDict, total=False):
    """What a picture shows and how; see `dot`."""

    view: View
    style: Style | None
    theme: str
    step: int | None
    depth: Depth


def dot(drawn: Drawn, *, title: str = "graphc", **look: Unpack[Look]) -> str:
    """The DOT text of a picture.

    Parameters
    ----------
    drawn : Graph, Joint, Evaluated or Change
        A graph has a forward view only, whichever is asked for; values are shown with the numbers, a change as a diff.
    title : str
        The name of the DOT graph, which is the title of an SVG.
    view : {"joint", "forward", "gradient", "diff"}
        The model and its gradient, the model alone, the gradient with the values that it needs, or a change.
    style : {"wire", "block"}, optional
        Wires carry values and gradients of scalars, blocks are for tensors; by default, wires where all is scalar.
    theme : {"light", "dark", "print", "lecture"}
    step : int, optional
        How many steps of the two passes are shown, see `graphc.steps`; all by default.
    depth : int or "all", optional
        How many levels of layer calls stay open in a block picture; by default it is folded beyond 120 boxes.

    Raises
    ------
    GraphcError
        GC403 for a step beyond the last.

    Examples
    --------
    >>> from graphc.builder import Builder
    >>> from graphc.tensor_type import TensorType
    >>> b = Builder()
    >>> x, y = b.input("x", TensorType("float64")), b.input("y", TensorType("float64"))
    >>> 'n0 -> n2 [' in dot(b.finish({"f": (x * y).node}), style="block")
    True
    """
    view, theme = look.get("view", "joint"), THEMES[look.get("theme", "light")]
    if isinstance(drawn, Change):
        return diff_dot(drawn, theme, title)
    graph = subject(drawn)
    _check_step(look.get("step"), step_count(graph, view))
    style = look.get("style") or ("wire" if view != "gradient" and is_small_scalar(graph) else "block")
    at, step = None if isinstance(drawn, (Graph, Joint)) else drawn, look.get("step")
    if style == "wire":
        return wire_dot(graph, theme, title, at=at, step=step, gradient=view != "forward")
    whole = with_layers(diagram_of(graph, view))
    nodes = graph.graph if isinstance(graph, Joint) else graph
    readings = None if at is None and step is None else Readings(graph, at, step)
    return block_dot(folded(whole, nodes, look.get("depth")), theme, title, readings)


def step_count(graph: Graph | Joint, view: View | None) -> int:
    """How many steps a view has: those of the gradient are not in the forward view."""
    return sum(not step.backward or view != "forward" for step in steps_of(graph))


def _check_step(step: int | None, count: int) -> None:
    if step is not None and not 0 <= step <= count:
        raise GraphcError(Diagnostic("GC403", f"expected a step from 0 to {count}, found {step}"))


def subject(drawn: Drawn) -> Graph | Joint:
    """What is drawn, without its numbers; of a change, what came out of it."""
    if isinstance(drawn, Change):
        return drawn.after
    if isinstance(drawn, (Graph, Joint)):
        return drawn
    return drawn.graph if drawn.joint is None else drawn.joint
