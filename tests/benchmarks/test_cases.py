"""What is compared computes the same: each case by hand and by the generated module. Nothing here is timed."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.contenders import CONTENDERS, takes_part
from tests.benchmarks.families import CASES
from tests.benchmarks.rounds import Settings, Times, agree
from tests.benchmarks.table import absolute, rows, section, text

SMALL = [name for name in CASES if "million" not in name and "batch-2048" not in name and "mixture" not in name]


@pytest.mark.parametrize("name", SMALL)
def test_the_version_by_hand_is_the_model(name: str) -> None:
    case = CASES[name]
    variables, data = case.drawn()
    expected, by_hand = CONTENDERS["numpy"].call(case, variables, data)()
    for who in (who for who in ("graphc", "graphc for speed", "graphc reassociated") if takes_part(who, case)):
        loss, found = CONTENDERS[who].call(case, variables, data)()
        assert agree(np.asarray(loss), np.asarray(expected))
        assert found.keys() == by_hand.keys()
        assert all(agree(np.asarray(found[key]), np.asarray(x)) for key, x in by_hand.items())


def test_a_missing_library_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.contenders.util.find_spec", lambda name: None if name == "jax" else object())
    (case,) = (case for name, case in CASES.items() if name == "k-means")
    assert [name for name in ("graphc", "numpy", "products", "jax") if takes_part(name, case)] == ["graphc", "numpy"]
    times = {"graphc": Times([2.0, 4.0, 3.0], [2.0]), "numpy": Times([1.0, 1.0, 1.0], [1.0])}
    header, row = rows(CASES, {"k-means": times}, ["graphc", "numpy", "jax"])
    assert dict(zip(header, row, strict=True)) == {
        "case": "k-means",
        "graphc": "3 s",
        "of numpy": "3.00",
        "of jax": "",
        "aim": "",
        "": "",
    }
    shown = section(CASES, {"k-means": times}, ["graphc", "numpy", "jax"], Settings())
    assert "| k-means | 3 s | 3.00 |  |  |  |" in shown and text(absolute({"k-means": times})) != ""


def test_ratios_are_of_the_same_round() -> None:
    own, other = Times([1.0, 10.0, 3.0]), Times([2.0, 20.0, 3.0])
    assert own.ratio(other) == 0.5
