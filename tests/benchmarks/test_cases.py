"""What is compared computes the same: each case by hand and by the generated module. Nothing here is timed."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.case import Result
from tests.benchmarks.contenders import CONTENDERS, takes_part
from tests.benchmarks.families import CASES
from tests.benchmarks.memory import traced
from tests.benchmarks.rounds import Settings, Times, agree
from tests.benchmarks.table import absolute, aims, memory, rows, section, text

SMALL = [name for name in CASES if "million" not in name and "batch-2048" not in name and "mixture" not in name]


@pytest.mark.parametrize("name", SMALL)
def test_the_version_by_hand_is_the_model(name: str) -> None:
    case = CASES[name]
    variables, data = case.drawn()
    expected, by_hand = CONTENDERS["numpy"].call(case, variables, data)()
    names = ("graphc", "graphc for speed", "graphc reassociated", "plain numpy")
    for who in (who for who in names if takes_part(who, case)):
        loss, found = CONTENDERS[who].call(case, variables, data)()
        assert agree(np.asarray(loss), np.asarray(expected))
        assert found.keys() == by_hand.keys()
        assert all(agree(np.asarray(found[key]), np.asarray(x)) for key, x in by_hand.items())


def test_a_missing_library_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.contenders.util.find_spec", lambda name: None if name == "jax" else object())
    names = ("graphc", "numpy", "plain numpy", "products", "jax")
    assert [name for name in names if takes_part(name, CASES["k-means"])] == ["graphc", "numpy"]
    times = {"graphc": Times([2.0, 4.0, 3.0], [2.0], memory=2_500_000), "numpy": Times([1.0, 1.0, 1.0], [1.0])}
    header, row = rows({"k-means": times}, ["graphc", "numpy", "jax"])
    assert dict(zip(header, row, strict=True)) == {"case": "k-means", "graphc": "3 s", "of numpy": "3.00", "of jax": ""}
    assert aims(CASES, {"k-means": times}, ["graphc", "numpy", "jax"])[1:] == [["k-means", "1 of jax", ""]]
    assert memory({"k-means": times}, ["graphc", "numpy", "jax"]) == [["case", "graphc"], ["k-means", "2.5 MB"]]
    shown = section(CASES, {"k-means": times}, ["graphc", "numpy", "jax"], Settings())
    assert "| k-means | 3 s | 3.00 |  |" in shown and text(absolute({"k-means": times})) != ""


def test_each_style_has_its_aim() -> None:
    times = {
        "graphc": Times([6.0]),
        "graphc for speed": Times([4.0]),
        "plain numpy": Times([10.0]),
        "jax": Times([5.0]),
    }
    found = aims(CASES, {"chain-4-million": times, "k-means": times}, [*times])
    assert found == [
        ["case", "aim", "graphc", "graphc for speed"],
        ["chain-4-million", "0.6 of plain numpy", "0.60 met", ""],
        ["chain-4-million", "0.33 of plain numpy", "", "0.40 missed"],
        ["k-means", "1 of jax", "1.20 missed", "0.80 met"],
    ]


def test_memory_is_that_of_arrays_and_of_what_is_kept() -> None:
    kept: list[np.ndarray] = []

    def call() -> Result:
        if not kept:
            kept.append(np.ones(50_000))
        temporary = np.ones(100_000)
        return np.sum(temporary), {"x": np.exp(temporary)}

    assert 0 <= traced(call) - 8 * 250_000 < 10_000


def test_aims_are_of_contenders() -> None:
    aimed = [aim for case in CASES.values() for aim in case.aims]
    assert all(aim.of in CONTENDERS and CONTENDERS.keys() >= {*aim.by} for aim in aimed)
    assert all(takes_part(aim.of, case) for case in CASES.values() for aim in case.aims if aim.of != "jax")


def test_ratios_are_of_the_same_round() -> None:
    own, other = Times([1.0, 10.0, 3.0]), Times([2.0, 20.0, 3.0])
    assert own.ratio(other) == 0.5
