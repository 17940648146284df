"""Expressions as text, with the names that sizes and the float type have in one function."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from graphc.backends.expression_text import expression_text
from graphc.backends.numpy_layout import quoted
from graphc.numpy_text import FLOAT, SIZE

_TEXT = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_PLACEHOLDER = re.compile(rf"(?P<text>{_TEXT})|{SIZE}(?P<size>\w+)|{FLOAT}(?P<type>\.type\b)?")


@dataclass
class Spelling:
    """Expressions as text: placeholders of sizes and of the float type get what they are called in one function.

    ``used_sizes`` and ``used_float`` tell afterwards what the text needs.
    """

    sizes: Mapping[str, str]
    float_text: str
    used_sizes: dict[str, None] = field(default_factory=dict)
    used_float: bool = False

    def __call__(self, value: ast.expr) -> str:
        """The text of an expression."""
        return self.filled(expression_text(value))

    def filled(self, text: str) -> str:
        """The text of an expression, from a text with placeholders."""
        return _PLACEHOLDER.sub(self._spelled, text)

    def _spelled(self, match: re.Match[str]) -> str:
        if match["text"]:
            # In double quotes as everywhere else in the module; what it says is no placeholder.
            return quoted(ast.literal_eval(match["text"]))
        if match["size"] is None:
            self.used_float = True
            # np.float64 makes scalars itself.
            return self.float_text + (match["type"] or "" if self.float_text.endswith("dtype") else "")
        self.used_sizes[match["size"]] = None
        return self.sizes[match["size"]]
