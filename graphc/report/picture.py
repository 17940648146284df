"""The graph of a report: Graphviz's SVG in, a slim one for a page out, whose colours and numbers the page sets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from graphc.autodiff import Joint
from graphc.backends.block import block_dot
from graphc.backends.diagram import diagram_of
from graphc.backends.drawing import layout
from graphc.backends.formulas import Notation
from graphc.backends.layers import with_layers
from graphc.backends.palette import LIGHT, MONO, THEMES, Look, Theme
from graphc.backends.wire import WireText, wire_dot
from graphc.graph import Graph, Node
from graphc.report.timeline import node_id

if TYPE_CHECKING:
    from graphc.evaluated import Evaluated

_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
_KEPT = frozenset(
    {"points", "d", "cx", "cy", "rx", "ry", "x", "y", "text-anchor", "font-size", "font-weight", "font-style"}
    | {"stroke-width", "stroke-dasharray", "text-decoration"}
)
_ABOVE, _BELOW = 3.5, 13.3
"""From the rule of a wire to the baselines of its value and its gradient."""
_OVERLAP = 1.3
"""How far rules reach into the edges beside them, which end a little before."""
_NEVER = 1_000_000
"""After any step: of nodes that nothing needs."""


def svg_of(
    drawn: Graph | Joint,
    notation: Notation,
    title: str,
    wires: Sequence[WireText],
    points: Sequence[Evaluated],
    *,
    known: Mapping[str, int],
    focusable: bool,
) -> tuple[str, dict[int, list[str]]]:
    """The picture as an element for a page, and by step the ids of the edges that it completes.

    Parameters
    ----------
    drawn : Graph or Joint
    notation : Notation
        Its names and formulas.
    title : str
    wires : sequence of WireText
        Of a picture in wire style; none for block style.
    points : sequence of Evaluated
        Whose numbers must fit on the wires.
    known : mapping of str to int
        By id of a node the step that brings it to light, 0 for what is there from the start.
    focusable : bool
        Whether nodes can be reached by the keyboard.
    """
    at = points[0] if points else None
    if wires:
        text = wire_dot(drawn, LIGHT, title, at=at, room=points, legend=False)
    else:
        text = block_dot(with_layers(diagram_of(drawn, "joint")), LIGHT, title)
    root = ElementTree.fromstring(layout(text, "svg"))
    ids = {node_id(node): [node] for node in notation.graph.nodes} | _on_wires(drawn, wires)
    ends = {f"out_{name}": node for name, node in notation.graph.outputs.items()}
    ids |= {id: [node] for id, node in ends.items()}
    known = {**known, **{id: known[node_id(node)] for id, node in ends.items() if node_id(node) in known}}
    page = Element("svg", {"class": "wires" if wires else "blocks", "role": "group", "aria-label": f"graph of {title}"})
    page.attrib |= {"viewBox": root.attrib["viewBox"]} | {
        side: str(round(float(root.attrib[side].removesuffix("pt")))) for side in ("width", "height")
    }
    (graph,) = root.findall(f"{_SVG}g")
    inner = SubElement(page, "g", {"transform": graph.attrib["transform"]})
    edges: dict[int, list[str]] = {}
    for group in graph.findall(f"{_SVG}g[@class]"):
        if group.attrib["class"].startswith("node"):
            _add_node(inner, group, ids, {} if wires else known, focusable)
        elif group.attrib["class"].startswith("cluster"):
            _add_shapes(SubElement(inner, "g", {"class": "band"}), group, None)
        else:
            edge = SubElement(inner, "g", {"class": "edge"})
            _add_shapes(edge, group, None)
            if not wires:
                step = _completed(group, known)
                edge.attrib |= {"id": group.attrib["id"], "class": "edge later" if step else "edge"}
                edges.setdefault(step, []).append(group.attrib["id"])
    return ElementTree.tostring(page, encoding="unicode"), edges


def color_css() -> str:
    """The variables of light and dark, and classes that use them."""
    light, dark = _colors(THEMES["light"]), _colors(THEMES["dark"])
    dark_rule = "".join(f"--{name}:{color};" for name, color in dark.items())
    by_system, by_button = ":root:not([data-theme=light])", ":root[data-theme=dark]"
    rules = [
        f":root{{{''.join(f'--{name}:{color};' for name, color in light.items())}}}",
        f"@media screen and (prefers-color-scheme:dark){{{by_system}{{color-scheme:dark;{dark_rule}}}}}",
        f"@media screen{{{by_button}{{color-scheme:dark;{dark_rule}}}}}",
        ".f-none{fill:none}.s-none{stroke:none}",
        *(f".f-{name}{{fill:var(--{name})}}.s-{name}{{stroke:var(--{name})}}" for name in light),
    ]
    return "\n".join(rules)


def _colors(theme: Theme) -> dict[str, str]:
    """The colours of a theme by name."""
    found = {field.name: value for field in fields(theme) if isinstance(value := getattr(theme, field.name), str)}
    plain = {name: color for name, color in found.items() if color.startswith("#")}
    looks: Mapping[str, Look] = theme.looks
    lines = {f"{role}-line": look.line for role, look in looks.items()}
    return plain | lines | {f"{role}-fill": look.fill for role, look in looks.items() if look.fill}


# The page itself is no shape of the picture, so white is the fill of an output.
_NAMES = {color.lower(): name for name, color in reversed(_colors(LIGHT).items()) if name != "page"}


def _on_wires(drawn: Graph | Joint, wires: Sequence[WireText]) -> dict[str, list[Node]]:
    """The nodes that wires show: the value, and its gradient or what one path adds to it."""
    cotangents = drawn.cotangents if isinstance(drawn, Joint) else {}
    sent = drawn.contributions if isinstance(drawn, Joint) else {}
    found = {}
    for wire in wires:
        below = sent.get(wire.edge) if wire.edge else cotangents.get(wire.node)
        found[wire.id] = [wire.node, *([below] if below else [])]
    return found


def _completed(edge: Element, known: Mapping[str, int]) -> int:
    """The step after which both ends of an edge are there."""
    ends = (edge.findtext(f"{_SVG}title") or "").split("->")
    return max(known.get(end, _NEVER) for end in ends)


def _add_node(
    parent: Element, group: Element, ids: Mapping[str, Sequence[Node]], known: Mapping[str, int], focusable: bool
) -> None:
    """A node of Graphviz's, without what the page says elsewhere: titles, fonts, links that lead nowhere."""
    id, (_, *roles) = group.attrib["id"], group.attrib["class"].split()
    made = SubElement(parent, "g", {"id": id, "class": " ".join(roles)})
    if id in ids:
        made.set("data-nodes", " ".join(node_id(node) for node in ids[id]))
        if focusable and "wire" not in roles:
            made.set("tabindex", "0")
    if known and id in ids and known.get(id, _NEVER):
        made.attrib["class"] += " later"
    tips = (link.get(f"{_XLINK}title") for link in group.iter(f"{_SVG}a"))
    if tip := next((tip for tip in tips if tip), ""):
        made.attrib |= {"role": "img", "aria-label": tip}
    if "wire" in roles:
        _add_wire(made, group)
    else:
        shapes = _shapes(group)
        _add_shapes(made, group, _middle(shapes[0]) if shapes else None)


def _shapes(group: Element) -> list[Element]:
    return [shape for shape in group.iter() if shape.tag.removeprefix(_SVG) not in ("g", "a", "title")]


def _add_shapes(made: Element, group: Element, middle: float | None) -> None:
    """Lines of text around the middle; those of several pieces, such as a name and its shape, as they are laid out."""
    shapes = _shapes(group)
    pieces = Counter(shape.attrib["y"] for shape in shapes if "y" in shape.attrib)
    for shape in shapes:
        _add_shape(made, shape, middle if pieces[shape.get("y", "")] == 1 else None)


def _add_wire(made: Element, group: Element) -> None:
    """The rule with an empty text above and one below, which the page fills."""
    rule = next(group.iter(f"{_SVG}polygon"))
    points = _numbers(rule.attrib["points"])
    left, right, y = min(points[::2]) - _OVERLAP, max(points[::2]) + _OVERLAP, sum(points[1:8:2]) / 4
    x = (left + right) / 2
    line = {"class": " ".join(_classes(rule)), "d": f"M{left:.2f},{y - 1:.2f}H{right:.2f}v2H{left:.2f}z"}
    SubElement(made, "path", line)
    for kind, baseline in (("value", y - _ABOVE), ("gradient", y + _BELOW)):
        place = {"x": f"{x:.2f}", "y": f"{baseline:.2f}", "text-anchor": "middle", "class": f"{kind} later"}
        SubElement(made, "text", place)


def _add_shape(made: Element, shape: Element, middle: float | None) -> None:
    """A shape whose colours are classes: a policy against foreign styles forbids styles on elements too."""
    name = shape.tag.removeprefix(_SVG)
    found = {key: value for key, value in shape.attrib.items() if key in _KEPT}
    classes = list(_classes(shape))
    if name == "text":
        # Fonts of browsers are of other widths than those that the layout knew.
        found |= {"text-anchor": "middle", "x": f"{middle:.2f}"} if middle is not None else {}
        classes += ["mono"] if shape.attrib.get("font-family") == MONO else []
    copied = SubElement(made, name, found | ({"class": " ".join(classes)} if classes else {}))
    copied.text = shape.text if name == "text" else None


def _classes(shape: Element) -> Iterator[str]:
    for attribute in ("fill", "stroke"):
        color = shape.attrib.get(attribute, "")
        if color:
            yield f"{attribute[0]}-{_NAMES.get(color, 'none')}"


def _middle(shape: Element) -> float | None:
    """Where the middle of a node's outline is."""
    if "cx" in shape.attrib:
        return float(shape.attrib["cx"])
    columns = _numbers(shape.attrib.get("points") or shape.attrib.get("d", ""))[::2]
    return (min(columns) + max(columns)) / 2 if columns else None


def _numbers(text: str) -> list[float]:
    return [float(found) for found in re.findall(r"-?\d+(?:\.\d+)?", text)]
