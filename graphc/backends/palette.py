"""How each role of a node or an edge looks: colour, and a shape that says the same without colour."""

from __future__ import annotations

from dataclasses import dataclass

PAGE, INK, MUTED, WIRE, KEPT = "#FFFFFF", "#1F2933", "#5B6776", "#52606D", "#8A96A5"
SANS, MONO = "Helvetica,Arial,sans-serif", "DejaVu Sans Mono,Menlo,Consolas,monospace"


@dataclass(frozen=True)
class Look:
    """How a role is drawn.

    Attributes
    ----------
    line, fill : str
        Colours; an empty fill is plain text without a border.
    text : str
        The colour of the first line of the label.
    style : str
        Graphviz's node style: the corners are the cue without colour.
    width : float
        Of the border, in points.
    """

    line: str
    fill: str
    text: str
    style: str = "rounded,filled"
    width: float = 1.2


PALETTE: dict[str, Look] = {
    "forward": Look("#006D5B", "#F0F9F6", INK),
    "backward": Look("#C8400A", "#FEF4EF", "#C8400A"),
    "input": Look("#1D5FA8", "#EAF2FB", "#1D5FA8"),
    "param": Look("#7A5600", "#FFF6DB", "#7A5600", style="filled"),
    "gradient": Look("#C8400A", "#FCE3D7", "#C8400A", style="filled", width=2.0),
    "output": Look(INK, PAGE, INK, width=2.4),
    "constant": Look(MUTED, "", MUTED),
}
"""The light theme, by role: ``backward`` is an op of the gradient, ``gradient`` one that is returned."""
