"""The exceptions: what stops the work (`GraphcError`), what does not (`GraphcWarning`), and a type rule's refusal.

`graphc.error_codes` explains the codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphc.diagnostics import Diagnostic, render


class GraphcError(Exception):
    """One or several diagnostics that stop the work; ``diagnostics`` holds them in source order."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        self.diagnostics = diagnostics
        super().__init__(*diagnostics)

    def __str__(self) -> str:
        return "\n\n".join(render(diagnostic) for diagnostic in self.diagnostics)


class GraphcWarning(UserWarning):
    """A diagnostic that does not stop the work, as Python's ``warnings`` carry it."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        self.diagnostic = diagnostic
        super().__init__(diagnostic)

    def __str__(self) -> str:
        return render(self.diagnostic)


@dataclass(eq=False)
class TypeRuleError(Exception):
    """A type rule's refusal of its operands; the builder adds the places.

    ``message`` and ``label`` may contain ``{0}``, ``{1}``, … for the operands' names;
    ``operands`` maps an operand's position to what is said at its own place, without its name
    (``{1: "is 64×10"}``); positions left out are described by their types.
    """

    code: str
    message: str
    label: str = ""
    operands: Mapping[int, str] = field(default_factory=dict)
    hint: str = ""
