"""How each role of a node or an edge looks: colour, and a shape that says the same without colour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

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


@dataclass(frozen=True)
class Theme:
    """The colours of a picture.

    Attributes
    ----------
    page, ink, muted : str
        The background; names of ops; shapes and captions.
    wire, thin, kept : str
        Edges of block pictures, wires of wire pictures, and values kept for the backward pass.
    value, gradient : str
        Numbers above and below wires.
    looks : mapping of str to Look
        By role: ``forward``, ``backward`` (an op of the gradient), ``input``, ``param``, ``gradient`` (one that is
        returned), ``output``, ``constant``, ``band`` (a layer).
    backward_style : str
        Of edges that carry gradients: the cue where there is no colour.
    bold_values : bool
        Whether forward values are as bold as gradients.
    """

    page: str
    ink: str
    muted: str
    wire: str
    thin: str
    kept: str
    value: str
    gradient: str
    looks: Mapping[str, Look] = field(repr=False)
    backward_style: str = "solid"
    bold_values: bool = True


def _theme(
    page: str, ink: str, muted: str, wires: tuple[str, str, str], lines: Mapping[str, str], fills: Mapping[str, str]
) -> Theme:
    wire, thin, kept = wires
    looks = {
        "forward": Look(lines["forward"], fills["forward"], ink),
        "backward": Look(lines["gradient"], fills["backward"], lines["gradient"]),
        "input": Look(lines["input"], fills["input"], lines["input"]),
        "param": Look(lines["param"], fills["param"], lines["param"], style="filled"),
        "gradient": Look(lines["gradient"], fills["gradient"], lines["gradient"], style="filled", width=2.0),
        "output": Look(ink, fills["output"], ink, width=2.4),
        "constant": Look(muted, "", muted),
        "band": Look(lines["band"], fills["band"], muted, width=1.0),
    }
    return Theme(page, ink, muted, wire, thin, kept, lines["forward"], lines["gradient"], looks)


LIGHT = _theme(
    page="#FFFFFF",
    ink="#1F2933",
    muted="#5B6776",
    wires=("#52606D", "#7B8794", "#8A96A5"),
    lines={"forward": "#006D5B", "gradient": "#C8400A", "input": "#1D5FA8", "param": "#7A5600", "band": "#D5DBE3"},
    fills={
        "forward": "#F0F9F6",
        "backward": "#FEF4EF",
        "input": "#EAF2FB",
        "param": "#FFF6DB",
        "gradient": "#FCE3D7",
        "output": "#FFFFFF",
        "band": "#F6F8FA",
    },
)
DARK = _theme(
    page="#14181F",
    ink="#E6EAF0",
    muted="#9AA7B8",
    wires=("#93A1B3", "#93A1B3", "#6B778A"),
    lines={"forward": "#4CC9A0", "gradient": "#FF8A5C", "input": "#7DB3F2", "param": "#E8C15A", "band": "#323C4B"},
    fills={
        "forward": "#15292A",
        "backward": "#2E1F1B",
        "input": "#17273A",
        "param": "#2E2814",
        "gradient": "#4A271B",
        "output": "#1E252F",
        "band": "#1A2029",
    },
)
_ROLES = ("forward", "backward", "input", "param", "gradient", "output")
PRINT = replace(
    _theme(
        page="#FFFFFF",
        ink="#000000",
        muted="#444444",
        wires=("#000000", "#000000", "#666666"),
        lines={**dict.fromkeys(("forward", "gradient", "input", "param"), "#000000"), "band": "#999999"},
        fills={**dict.fromkeys(_ROLES, "#FFFFFF"), "band": "#FFFFFF"},
    ),
    backward_style="dashed,bold",
    bold_values=False,
)
LECTURE = _theme(
    page="#FFFFFF",
    ink="#000000",
    muted="#555555",
    wires=("#444444", "#444444", "#888888"),
    lines={"forward": "#008000", "gradient": "#E00000", "input": "#000000", "param": "#000000", "band": "#CCCCCC"},
    fills={**dict.fromkeys(_ROLES, "#FFFFFF"), "band": "#FFFFFF"},
)

THEMES: dict[str, Theme] = {"light": LIGHT, "dark": DARK, "print": PRINT, "lecture": LECTURE}
"""Light and dark pages; black on white for printers; the plain green and red of the blackboard."""
