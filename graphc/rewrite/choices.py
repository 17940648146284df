"""What `where` selects twice is selected once: the form that gradients through branches take; part of SHAPES."""

from __future__ import annotations

from graphc.ops import OPS
from graphc.rewrite.pattern import FLOAT, MASK, NUMBER, Rule, attr, once, var
from graphc.value import Value

__all__ = ["CHOICES"]

a, b, n, mask, dtype = var("a", FLOAT), var("b", FLOAT), var("n", NUMBER), var("mask", MASK), attr("dtype")
cast, where, logical_not = OPS["cast"], OPS["where"], OPS["logical_not"]


def _taken(x: Value) -> Value:
    return where(mask, x, 0.0)


def _otherwise(x: Value) -> Value:
    return where(mask, 0.0, x)


_AGAIN = tuple(
    rule
    for side, select in (("taken", _taken), ("otherwise", _otherwise))
    for rule in (
        Rule(f"{side}_twice", select(select(a)), select(a)),
        Rule(f"product_of_{side}", select(select(a) * b), select(a * b)),
        Rule(f"multiple_of_{side}", select((select(a) * b) * n), select((a * b) * n)),
        Rule(f"quotient_of_{side}", select(select(a) / b), select(a / b)),
        Rule(f"sum_of_{side}", once(select(a)) + once(select(b)), select(a + b)),
        Rule(f"negative_of_{side}", select(-select(a)), select(-a)),
        Rule(f"negative_product_of_{side}", select(-(select(a) * b)), select(-(a * b))),
        Rule(f"negative_quotient_of_{side}", select(-(select(a) / b)), select(-(a / b))),
    )
)

_EXAMPLE = {"dtype": "float64"}
_MASKS = (
    Rule("choice_of_one", where(mask, 1.0, 0.0), lambda mask, result: cast(mask, dtype=result.dtype)),
    Rule("choice_of_zero", where(mask, 0.0, 1.0), lambda mask, result: cast(logical_not(mask), dtype=result.dtype)),
    Rule("masked_product", _taken(a * mask), _taken(a)),
    Rule("masked_quotient", _taken(cast(mask, dtype=dtype) / a), _taken(1 / a), example=_EXAMPLE),
    Rule("product_masked_otherwise", _otherwise(a * logical_not(mask)), _otherwise(a)),
    Rule(
        "quotient_masked_otherwise",
        _otherwise(cast(logical_not(mask), dtype=dtype) / a),
        _otherwise(1 / a),
        example=_EXAMPLE,
    ),
)

_SAME = (
    Rule("both_of_same", OPS["logical_and"](mask, mask), mask),
    Rule("either_of_same", OPS["logical_or"](mask, mask), mask),
)

CHOICES: tuple[Rule, ...] = (*_AGAIN, *_MASKS, *_SAME)
