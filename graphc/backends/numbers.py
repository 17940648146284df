"""Numbers as pictures and derivations write them: four digits, a real minus sign."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def number(value: float | np.ndarray, digits: int = 4) -> str:
    """A number as people write it.

    Examples
    --------
    >>> print(number(2.0), number(-0.25), number(1234567.0), number(1e-9))
    2 −0.25 1.235e6 1e−9
    """
    text = f"{float(value):.{digits}g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    return text.replace("-", "−")


def sum_of(parts: Sequence[float | np.ndarray], whole: float | np.ndarray) -> str:
    """A sum written out.

    Examples
    --------
    >>> print(sum_of([4.0, 12.0], 16.0), "|", sum_of([4.0, -1.5, 2.0], 4.5))
    4 + 12 = 16 | 4 − 1.5 + 2 = 4.5
    """
    first, *rest = [number(part) for part in parts]
    signed = [f" − {text[1:]}" if text.startswith("−") else f" + {text}" for text in rest]
    return f"{first}{''.join(signed)} = {number(whole)}"
