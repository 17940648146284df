"""Reports to test: read back as a parser finds them, and one of a network with thousands of nodes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

FIGURE = "((x + y) + (x * y)) * z"
POINTS = ({"x": 2, "y": 3, "z": 4}, {"x": -1, "y": 0.5, "z": 123.456})


@dataclass
class Parsed(HTMLParser):
    """The elements of a page: tag, attributes and, of scripts and styles, the text."""

    html: str
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    _raw: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        self._raw = found.get("id", tag) if tag in ("script", "style") else ""

    def handle_data(self, data: str) -> None:
        if self._raw:
            self.texts[self._raw] = self.texts.get(self._raw, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._raw = ""

    @property
    def data(self) -> Any:
        """What the script reads."""
        return json.loads(self.texts["r-data"])

    def with_nodes(self) -> Iterator[str]:
        """The node ids that elements carry."""
        for _, attributes in self.elements:
            yield from attributes.get("data-nodes", "").split()


def deep_network(layers: int) -> str:
    """A model with about thirteen nodes of the joint graph to a layer."""
    params = "".join(f"W{k}: Param[4, 4] = glorot_uniform()\nb{k}: Param[4] = zeros()\n" for k in range(layers))
    steps = "".join(f"h{k + 1} = tanh(h{k} @ W{k} + b{k})\n" for k in range(layers))
    return f"X: Input[N, 4]\n{params}h0 = X\n{steps}loss: Output = mean(h{layers} ** 2)\n"


def grid_layout(text: str, format: str) -> bytes:
    """In place of Graphviz, which takes minutes for thousands of nodes: the same elements, in rows of twenty."""
    assert format == "svg"
    nodes = re.findall(r"^\t(n\d+) \[.*?class=(\w+)", text, re.MULTILINE)
    places = {name: (150 * (k % 20), 80 * (k // 20)) for k, (name, _) in enumerate(nodes)}
    parts = [_box(name, role, *places[name]) for name, role in nodes]
    for k, (tail, head) in enumerate(re.findall(r"^\t(n\d+) -> (n\d+)", text, re.MULTILINE)):
        (x, y), (u, v) = places[tail], places[head]
        parts.append(
            f'<g id="edge{k}" class="edge"><title>{tail}-&gt;{head}</title><path fill="none" stroke="#52606d"'
            f' d="M{x},{y}C{x},{y + 20} {u},{v - 20} {u},{v}"/><polygon fill="#52606d" stroke="#52606d"'
            f' points="{u},{v} {u + 3},{v - 6} {u - 3},{v - 6}"/><text x="{x}" y="{y}" fill="#5b6776">4×4</text></g>'
        )
    size = f'width="3000pt" height="{4 * len(nodes)}pt" viewBox="0 0 3000 {4 * len(nodes)}"'
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {size} {names}><g class="graph" transform="translate(60 10)">{"".join(parts)}</g></svg>'.encode()


def _box(name: str, role: str, x: int, y: int) -> str:
    outline = f"M{x - 50},{y}C{x - 50},{y} {x + 50},{y} {x + 50},{y} {x + 56},{y} {x + 56},{y + 36} {x - 50},{y + 36}"
    texts = "".join(f'<text x="{x}" y="{y + down}" fill="#1f2933">h @ W</text>' for down in (12, 26))
    return (
        f'<g id="{name}" class="node {role}"><title>{name}</title><g><a xlink:title="{name}">'
        f'<path fill="#f0f9f6" stroke="#006d5b" d="{outline}"/>{texts}</a></g></g>'
    )
