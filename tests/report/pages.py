"""Reports to test: read back as a parser finds them, and one of a network with thousands of nodes."""

from __future__ import annotations

import json
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
