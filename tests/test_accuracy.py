"""What docs/accuracy.md promises of every elementwise op, measured against mpmath."""

from __future__ import annotations

from dataclasses import replace

import pytest

from docs.accuracy_page import CLAIMS, COSTS, Claim, bound, claim, claims
from graphc.op import OPS
from tests.accuracy import Worst, worst_errors

MANY = {"polygamma": 20}
"""Fewer where the truth takes long to compute."""

CASES = [pytest.param(c, id=f"{c.op} {c.where}".strip()) for c in claims()]


def beyond(found: list[Worst]) -> list[Worst]:
    return [worst for worst in found if not worst.ulp <= worst.allowed]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("c", CASES)
def test_claim(c: Claim, dtype: str) -> None:
    assert beyond(worst_errors(c, dtype, 6)) == []


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("c", CASES)
def test_claim_at_many_points(c: Claim, dtype: str) -> None:
    assert beyond(worst_errors(c, dtype, MANY.get(c.op, 100))) == []


def test_what_is_listed_exists() -> None:
    assert {c.op for c in CLAIMS} | set(COSTS) <= set(OPS)


def test_a_wrong_claim_is_found() -> None:
    wrong = {
        "exp": claim("exp", 0.4, 1),
        "erf": claim("erf", 4, 4),
        "tanh": claim("tanh", 4, 8),
        "logaddexp": claim("logaddexp", 4, 1000, 1000),
    }
    assert all(beyond(worst_errors(c, "float64", 40)) for c in wrong.values())
    whole = replace(wrong["tanh"], partials=(bound(8),), holds=lambda x: abs(x) < 0.5)
    assert beyond(worst_errors(whole, "float64", 40)) == []
