"""Names that options such as ``loss=`` give, among those that a model has."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError


def known_name(name: str, table: Iterable[str], wanted: str) -> None:
    """Refuse a name that an option gives and the model has not; it stands in the option, so no line is to blame.

    Raises
    ------
    GraphcError
        GC101.
    """
    known = list(table)
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else ""
        listed = ", ".join(known) or "none"
        message = f"expected one of the model's {wanted}, found no {name}; there are {listed}"
        raise GraphcError(Diagnostic("GC101", message, hint=hint))
