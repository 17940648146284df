"""Which rules each pass of the pipeline uses."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.rewrite.algebra import ALGEBRA
from graphc.rewrite.differences import DIFFERENCES
from graphc.rewrite.fast_math import FAST_MATH
from graphc.rewrite.pattern import Rule
from graphc.rewrite.reassociate import CANCELLING, REASSOCIATE, ROUNDING
from graphc.rewrite.shapes import SHAPES
from graphc.rewrite.stability import STABILITY

RULE_SETS: Mapping[str, tuple[Rule, ...]] = {
    "SHAPES": SHAPES,
    "ALGEBRA": ALGEBRA,
    "STABILITY": STABILITY,
    "REASSOCIATE": REASSOCIATE,
    "FAST_MATH": FAST_MATH,
}
"""Every rule, by the set whose promise it keeps."""

STABILISE: tuple[Rule, ...] = (*SHAPES, *STABILITY, *ALGEBRA)
"""Before differentiation."""
SIMPLIFY: tuple[Rule, ...] = (*STABILISE, *ROUNDING)
"""After it."""


def stabilising(reassociate: bool = False) -> tuple[Rule, ...]:
    """The rules before differentiation; what is factored there has a gradient that is."""
    return (*DIFFERENCES, *STABILISE) if reassociate else STABILISE


def simplifying(reassociate: bool = False) -> tuple[Rule, ...]:
    """The rules after it."""
    return (*SIMPLIFY, *CANCELLING) if reassociate else SIMPLIFY
