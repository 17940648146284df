"""Augmentation in `fit`: reproducible, resumable, checked, and not for what is held out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.errors import GraphcError
from tests.training.test_fit import CLASSES, KINDS, LINE, X, Y, options, same

Batch = dict[str, Any]
DATA = {"X": X, "y": KINDS}


def shifted(batch: Batch, rng: np.random.Generator) -> Batch:
    return {**batch, "X": batch["X"] + rng.normal(size=batch["X"].shape)}


def test_what_changes_nothing_changes_nothing() -> None:
    one, other = (graphc.fit(CLASSES, DATA, epochs=2, holdout=0.2, augment=a) for a in (None, lambda batch, rng: batch))
    assert same(one, other)


def test_a_seed_gives_the_same_numbers_and_another_one_others() -> None:
    def trained(seed: int) -> Any:
        return graphc.fit(LINE, {"X": X, "y": Y}, epochs=2, params={"w": np.zeros(2)}, batch=None, seed=seed,
                          augment=shifted)  # fmt: skip

    assert same(trained(1), trained(1))
    assert not same(trained(1), trained(2))


@pytest.mark.parametrize(("stop", "optimizer"), [(1, "adam"), (4, "adam(average=0.9)")])
def test_a_training_that_goes_on_is_the_unbroken_one(tmp_path: Path, stop: int, optimizer: str) -> None:
    given: Any = {"augment": shifted, "optimizer": optimizer}
    whole = graphc.fit(CLASSES, DATA, **options(tmp_path / "whole.npz"), **given)
    settings = options(tmp_path / "c.npz")
    graphc.fit(CLASSES, DATA, **{**settings, "epochs": stop}, **given)
    assert same(graphc.fit(CLASSES, DATA, **settings, resume=True, **given), whole)
    with pytest.raises(GraphcError) as caught:
        graphc.fit(CLASSES, DATA, **settings, resume=True, optimizer=optimizer)
    assert caught.value.diagnostics[0].code == "GC515"


def test_each_step_has_numbers_of_its_own_and_each_example_is_augmented_once_in_an_epoch() -> None:
    seen: list[Any] = []

    def watched(batch: Batch, rng: np.random.Generator) -> Batch:
        seen.append((batch["X"].copy(), rng.normal()))
        return batch

    graphc.fit(LINE, {"X": X, "y": Y}, epochs=2, batch=25, augment=watched)
    assert [len(rows) for rows, _ in seen] == [25, 25, 10] * 2
    assert len({drawn for _, drawn in seen}) == 6
    for epoch in (seen[:3], seen[3:]):
        rows = np.concatenate([rows for rows, _ in epoch])
        np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(X, axis=0))


def test_what_is_held_out_is_left_alone() -> None:
    seen: list[Any] = []

    def ruined(batch: Batch, rng: np.random.Generator) -> Batch:
        seen.append(batch["X"].copy())
        batch["X"][:] = 0
        batch["y"][:] = 0
        return batch

    before = X.copy(), Y.copy()
    given: Any = {"epochs": 2, "holdout": 0.5, "batch": None, "optimizer": "gradient_descent(lr=0.01)"}
    found = graphc.fit(LINE, {"X": X, "y": Y}, augment=ruined, **given)
    np.testing.assert_array_equal((X, Y)[0], before[0])
    np.testing.assert_array_equal(Y, before[1])
    assert found.history[-1].loss == 0
    # Of zeros nothing is learned: the parameters are still those of the start.
    kept = [row for row in X.tolist() if row not in seen[0].tolist()]
    held_out = np.array([X.tolist().index(row) for row in kept])
    loss = graphc.compile(LINE)(found.params, X=X[held_out], y=Y[held_out])
    np.testing.assert_allclose(found.history[-1].holdout_loss, loss, rtol=1e-12)
    assert len(held_out) == 30


def test_a_model_that_takes_its_data_as_a_whole() -> None:
    text = "x: Input[3]\nw: Param = 0\nloss: Output = mse(w, x)"
    rate: Any = {"epochs": 200, "optimizer": "gradient_descent(lr=0.1)"}
    found = graphc.fit(text, {"x": [1.0, 2, 3]}, augment=lambda batch, rng: {"x": batch["x"] + 1}, **rate)
    assert found.params["w"] == pytest.approx(3)


def test_numbers_become_those_of_the_model() -> None:
    found = graphc.fit(LINE, {"X": X, "y": Y}, dtype="float32", epochs=1, augment=shifted)
    assert found.params["w"].dtype == np.float32
    graphc.fit(CLASSES, DATA, epochs=1, augment=lambda batch, rng: {"X": batch["X"].tolist(), "y": batch["y"].tolist()})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda batch: None, "expected a dict with X, y from augment, found a NoneType"),
        (lambda batch: [batch["X"]], "expected a dict with X, y from augment, found a list"),
        (lambda batch: {"X": batch["X"]}, "expected an array for y from augment, found only X"),
        (lambda batch: {}, "expected an array for X from augment, found only none"),
        (lambda batch: {**batch, "seed": 1}, "expected arrays for X, y from augment, found one for seed"),
        (lambda batch: {**batch, "X": batch["X"].T}, "expected the shape (16, 2) for X from augment, found (2, 16)"),
        (lambda batch: {**batch, "X": batch["X"][:3]}, "expected the shape (16, 2) for X from augment, found (3, 2)"),
        (lambda batch: {**batch, "y": batch["y"] + 0.5}, "expected int64 for y from augment, found float64"),
        (lambda batch: {**batch, "X": batch["X"].astype(str)}, "expected float64 for X from augment, found <U"),
        (lambda batch: {**batch, "X": batch["X"] + 1j}, "expected float64 for X from augment, found complex128"),
        (lambda batch: {**batch, "X": [[1.0], [1.0, 2.0]]}, "expected an array for X from augment, found none: "),
    ],
)
def test_what_is_no_such_batch_is_refused(change: Any, message: str) -> None:
    with pytest.raises(GraphcError) as caught:
        graphc.fit(CLASSES, DATA, batch=16, augment=lambda batch, rng: change(batch))
    (found,) = caught.value.diagnostics
    assert found.code == "GC516"
    assert found.message.startswith(message)


def test_a_number_that_is_not_finite_is_found_in_the_input() -> None:
    with pytest.raises(GraphcError, match="expected finite numbers, found nan in X at step 1, in epoch 1"):
        graphc.fit(CLASSES, DATA, augment=lambda batch, rng: {**batch, "X": batch["X"] * np.nan})


def test_labels_out_of_range_are_told_by_the_step() -> None:
    with pytest.raises(ValueError, match="y holds 12, expected 0 to 2"):
        graphc.fit(CLASSES, DATA, augment=lambda batch, rng: {**batch, "y": batch["y"] * 0 + 12})


def test_an_error_in_it_is_its_own() -> None:
    with pytest.raises(ZeroDivisionError):
        graphc.fit(LINE, {"X": X, "y": Y}, augment=lambda batch, rng: 1 / 0)


def test_lbfgs_has_no_steps_to_augment() -> None:
    with pytest.raises(ValueError, match="expected no augment, found one"):
        graphc.fit(LINE, {"X": X, "y": Y}, optimizer="lbfgs", augment=shifted)
