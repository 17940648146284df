"""`fit`: batches, hold-out sets, early stopping, resuming, divergence, and the same numbers for the same seed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.errors import GraphcError
from graphc.training import checkpoint
from graphc.training.fit import Fit
from graphc.training.history import Epoch

ROOT = Path(__file__).parents[2]
LINE = "X: Input[N, 2]\ny: Input[N]\nw: Param[2] = normal()\nloss: Output = mse(X @ w, y)\n"
CLASSES = """
X: Input[N, 2]
y: Input[N, int64]
seed: Input[int64]
h = dropout(tanh(dense(X, 8)), 0.3, seed=seed)
z = dense(h, 3)
loss: Output = mean(cross_entropy(z, y))
probs: Output = softmax(z)
"""
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))
Y = X @ [1.5, -0.5]
KINDS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)


def same(one: Fit, other: Fit) -> bool:
    params = all(np.array_equal(one.params[name], other.params[name]) for name in one.params)
    return params and repr(one.history) == repr(other.history)


def test_what_only_measures_needs_no_gradient() -> None:
    text = "X: Input[N, 2]\nw: Param[2] = zeros()\nloss: Output = mean((X @ w - 1) ** 2) if training else mean(X)\n"
    found = graphc.fit(text, {"X": np.full((10, 2), 3.0)}, epochs=1, holdout=0.5)
    assert found.history[0].holdout_loss == 3


@pytest.mark.parametrize("batch", [1, 7, 60, 1000, None])
def test_a_line_is_found_whatever_the_batches(batch: int | None) -> None:
    found = graphc.fit(LINE, {"X": X, "y": Y}, epochs=300, batch=batch, optimizer="gradient_descent(lr=0.05)")
    np.testing.assert_allclose(found.params["w"], [1.5, -0.5], atol=1e-6)
    assert found.epoch == 300
    assert found.history[0].steps == (-(-60 // batch) if batch else 1)


def test_steps_are_those_of_the_module_on_the_batches() -> None:
    model = graphc.compile(LINE, optimizer="momentum(lr=0.05)")
    found = graphc.fit(model, {"X": X, "y": Y}, epochs=1, batch=None, seed=4)
    params = model.init_params(4)
    params, _, loss = model.train_step(params, model.init_state(params), X, Y)
    np.testing.assert_array_equal(found.params["w"], params["w"])
    assert repr(found.history) == repr((Epoch(1, 1, float(loss)),))


def test_every_example_is_seen_once_in_each_epoch() -> None:
    model = graphc.compile("x: Input[N]\nw: Param = 0\nloss: Output = -w * sum(x)", optimizer="gradient_descent(lr=1)")
    found = graphc.fit(model, {"x": 2.0 ** np.arange(10)}, epochs=3, batch=3)
    assert found.params["w"] == 3 * 1023


@pytest.mark.parametrize("batch", [1, 16, None], ids=["stochastic", "mini-batch", "batch"])
def test_a_seed_gives_the_same_numbers_and_another_one_others(batch: int | None) -> None:
    def trained(seed: int) -> Fit:
        return graphc.fit(CLASSES, {"X": X, "y": KINDS}, epochs=3, batch=batch, holdout=0.2, seed=seed)

    assert same(trained(1), trained(1))
    assert not same(trained(1), trained(2))


def test_what_is_held_out_is_not_learned_from_and_measured_without_dropout() -> None:
    found = graphc.fit(CLASSES, {"X": X, "y": KINDS}, epochs=60, batch=10, holdout=0.25, optimizer="adam(lr=0.03)")
    last = found.history[-1]
    assert last.steps == 60 * 5
    assert last.accuracy > 0.7
    assert last.holdout_loss < found.history[0].holdout_loss
    with pytest.warns(graphc.GraphcWarning, match="seed is not used"):
        measured = graphc.compile(CLASSES, training=False)
    losses = {float(measured(found.params, X=X, y=KINDS, seed=seed)["loss"]) for seed in range(3)}
    assert len(losses) == 1


def test_the_seed_is_also_that_of_the_order() -> None:
    start = {"w": np.zeros(2)}
    one, other = (graphc.fit(LINE, {"X": X, "y": Y}, epochs=1, batch=7, params=start, seed=seed) for seed in (1, 2))
    assert not np.array_equal(one.params["w"], other.params["w"])


def test_all_examples_are_learned_from_or_measured() -> None:
    data = {"X": X, "y": Y}
    found = graphc.fit(LINE, data, epochs=1, batch=7, holdout=0.2, optimizer="gradient_descent(lr=1e-300)")
    whole = graphc.compile(LINE)(found.params, **data)
    epoch = found.history[0]
    np.testing.assert_allclose(0.8 * epoch.loss + 0.2 * epoch.holdout_loss, whole, rtol=1e-12)


def test_training_stops_when_the_hold_out_loss_rises_and_the_best_is_kept() -> None:
    data = {"X": RNG.normal(size=(20, 2)), "y": RNG.normal(size=20)}
    text = "X: Input[N, 2]\ny: Input[N]\nloss: Output = mse(dense(tanh(dense(X, 40)), 1)[:, 0], y)"
    found = graphc.fit(text, data, epochs=500, batch=None, optimizer="adam(lr=0.05)", holdout=0.5, patience=5)
    losses = [epoch.holdout_loss for epoch in found.history]
    assert len(losses) < 500
    assert found.epoch == int(np.argmin(losses)) + 1 == len(losses) - 5
    again = graphc.fit(text, data, epochs=found.epoch, batch=None, optimizer="adam(lr=0.05)", holdout=0.5)
    assert all(np.array_equal(found.params[name], again.params[name]) for name in found.params)


def options(path: Path) -> dict[str, Any]:
    return {"epochs": 6, "batch": 16, "holdout": 0.2, "seed": 5, "checkpoint": path}


@pytest.mark.parametrize("batch", [1, 16, None], ids=["stochastic", "mini-batch", "batch"])
@pytest.mark.parametrize("stop", [1, 3, 6])
def test_a_training_that_goes_on_is_the_unbroken_one(tmp_path: Path, stop: int, batch: int | None) -> None:
    data, usual = {"X": X, "y": KINDS}, {**options(tmp_path / "c.npz"), "batch": batch}
    whole = graphc.fit(CLASSES, data, **{**usual, "checkpoint": tmp_path / "whole.npz"})
    graphc.fit(CLASSES, data, **{**usual, "epochs": stop})
    assert same(graphc.fit(CLASSES, data, **usual, resume=True), whole)


@pytest.mark.parametrize("ending", ["csv", "parquet", "npz"])
def test_the_numbers_are_the_same_wherever_the_data_are_from(tmp_path: Path, ending: str) -> None:
    data, path = {"X": X, "y": KINDS}, tmp_path / f"d.{ending}"
    if ending == "npz":
        np.savez(path, **data)
    elif ending == "csv":
        rows = [f"{x!r},{y!r},{kind}" for (x, y), kind in zip(X.tolist(), KINDS.tolist(), strict=True)]
        path.write_text("\n".join(["X0,X1,y", *rows]))
    else:
        pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pa.table({"X0": X[:, 0], "X1": X[:, 1], "y": KINDS}), path)
    # The checkpoint of one is that of the other: it is the numbers that count.
    graphc.fit(CLASSES, data, **{**options(tmp_path / "c.npz"), "epochs": 2})
    resumed = graphc.fit(CLASSES, path, **options(tmp_path / "c.npz"), resume=True)
    assert same(resumed, graphc.fit(CLASSES, data, **options(tmp_path / "whole.npz")))


def test_steps_are_told_before_the_first_and_after_each(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    data, path = {"X": X, "y": Y}, tmp_path / "c.npz"
    for epochs, expected in ((2, range(7)), (3, range(6, 10))):
        told.clear()
        graphc.fit(
            LINE, data, epochs=epochs, batch=25, checkpoint=path, resume=True, watch_steps=lambda *two: told.append(two)
        )
        assert told == [(step, 3 * epochs) for step in expected]


def test_curves_of_a_training() -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    found = graphc.fit(CLASSES, {"X": X, "y": KINDS}, epochs=4, holdout=0.2)
    ax = found.plot(ax=Figure().subplots(), log=True)
    training, held_out, *_ = ax.get_lines()
    np.testing.assert_array_equal(training.get_ydata(), [epoch.loss for epoch in found.history])
    np.testing.assert_array_equal(held_out.get_ydata(), [epoch.holdout_loss for epoch in found.history])
    (accuracy,) = ax.figure.axes[1].get_lines()
    np.testing.assert_array_equal(accuracy.get_ydata(), [epoch.accuracy for epoch in found.history])
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown[:3] == ["training", "held out", "accuracy"]
    alone = graphc.fit(LINE, {"X": X, "y": Y}, epochs=2).plot(ax=Figure().subplots())
    assert [line.get_label().split(":")[0] for line in alone.get_lines()] == ["training", "lowest"]


def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import sys, time, numpy as np
        from pathlib import Path
        import graphc
        from tests.training.test_fit import CLASSES, KINDS, X, options
        graphc.fit(CLASSES, {{"X": X, "y": KINDS}}, **options(Path({str(tmp_path / "c.npz")!r})),
                   watch=lambda epoch: (print(epoch.epoch, flush=True), time.sleep(0.2)))
    """)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        assert process.stdout.readline() == "2\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    resumed = graphc.fit(CLASSES, {"X": X, "y": KINDS}, **options(tmp_path / "c.npz"), resume=True)
    assert same(resumed, graphc.fit(CLASSES, {"X": X, "y": KINDS}, **options(tmp_path / "whole.npz")))


def test_a_checkpoint_that_is_cut_off_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, path = {"X": X, "y": Y}, tmp_path / "c.npz"
    graphc.fit(LINE, data, epochs=2, checkpoint=path)
    before = path.read_bytes()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        graphc.fit(LINE, data, epochs=3, checkpoint=path, resume=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [{"seed": 6}, {"batch": 15}, {"holdout": 0.1}, {"optimizer": "adam(lr=0.1)"}, {"data": {"X": X, "y": Y + 1}}],
)
def test_the_checkpoint_of_another_training_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    data = {"X": X, "y": Y}
    graphc.fit(LINE, data, **options(tmp_path / "c.npz"))
    changed = {"data": data, **options(tmp_path / "c.npz"), **change}
    with pytest.raises(GraphcError) as caught:
        graphc.fit(LINE, **changed, resume=True)
    assert caught.value.diagnostics[0].code == "GC515"


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", w=np.zeros(2))
    (tmp_path / "d.npz").write_bytes(b"PK")
    for name in ("c.npz", "d.npz"):
        with pytest.raises(GraphcError, match="expected a checkpoint of graphc"):
            graphc.fit(LINE, {"X": X, "y": Y}, checkpoint=tmp_path / name, resume=True)


def test_a_checkpoint_holds_what_was_put_in(tmp_path: Path) -> None:
    found = graphc.fit(LINE, {"X": X, "y": Y}, epochs=2, checkpoint=tmp_path / "c.npz")
    with np.load(tmp_path / "c.npz") as arrays:
        mark = str(arrays["fingerprint"])
    progress = checkpoint.read_checkpoint(tmp_path / "c.npz", mark)
    assert repr(progress.history) == repr(found.history)
    np.testing.assert_array_equal(progress.params["w"], found.params["w"])


def test_files_of_arrays_are_those_of_numpy_whatever_the_names(tmp_path: Path) -> None:
    data: dict[str, Any] = {"w": X.T, "b": 2.0, "n/of": np.arange(3, dtype=np.int32), "none": np.zeros((0, 2))}
    np.savez(tmp_path / "c.npz", **data)
    assert checkpoint.npz_bytes(data) == (tmp_path / "c.npz").read_bytes()
    names = ("file", "allow_pickle", "self")
    (tmp_path / "d.npz").write_bytes(checkpoint.npz_bytes({name: np.ones(2) for name in names}))
    with np.load(tmp_path / "d.npz") as arrays:
        assert sorted(arrays) == sorted(names)
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        checkpoint.npz_bytes({"x": np.array([{}], dtype=object)})


def test_divergence_names_the_first_node_and_the_step() -> None:
    text = "x: Input[N]\nw: Param = 1.0\na = log(w)\nb = a * x\nloss: Output = mean(b)\n"
    with pytest.raises(GraphcError) as caught:
        graphc.fit(text, {"x": np.ones(4)}, batch=2, optimizer="gradient_descent(lr=0.6)")
    (found,) = caught.value.diagnostics
    assert (found.code, str(found.span)) == ("GC514", "<model>:3:5")
    assert found.message == "expected finite numbers, found nan in a at step 3, in epoch 2"


def test_divergence_of_a_gradient_is_found_in_the_step_before_its_loss() -> None:
    text = "x: Input[N]\nw: Param = 0.0\nr = sqrt(w)\nloss: Output = mean(r * x)\n"
    with pytest.raises(GraphcError) as caught:
        graphc.fit(text, {"x": np.ones(4)}, batch=2, epochs=2, optimizer="gradient_descent")
    (found,) = caught.value.diagnostics
    assert found.code == "GC514"
    assert found.message.endswith("at step 1, in epoch 1")
    assert str(found.span) == "<model>:3:5"


def test_an_update_that_overflows_is_told_as_such() -> None:
    with pytest.raises(GraphcError, match="found others after the update at step 1"):
        graphc.fit(
            "x: Input[N]\nw: Param = 1.0\nloss: Output = w * 1e9 * sum(x)",
            {"x": [1.0]},
            epochs=1,
            optimizer="gradient_descent(lr=1e300)",
        )


def test_lbfgs_is_scipys() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    text = LINE + "scale: Output = sum(X)\n"
    found = graphc.fit(text, {"X": X, "y": Y + 0.1 * X[:, 0] ** 2}, epochs=50, optimizer="lbfgs", seed=2)

    def by_hand(w: Any) -> Any:
        error = X @ w - Y - 0.1 * X[:, 0] ** 2
        return np.mean(error**2), 2 * X.T @ error / len(X)

    start, exact = graphc.compile(LINE).init_params(2)["w"], {"ftol": 1e-15, "gtol": 1e-10}
    want = optimize.minimize(by_hand, start, jac=True, method="L-BFGS-B", options=exact)
    np.testing.assert_allclose(found.params["w"], want.x, rtol=1e-7)
    assert len(found.history) == want.nit
    assert found.history[-1].loss == pytest.approx(want.fun, rel=1e-9)


def test_lbfgs_takes_free_sizes_from_the_parameters_to_start_from() -> None:
    text = "x: Input[N, d]\ny: Input[N, K]\nW: Param[d, K]\nb: Param[K]\nloss: Output = mse(x @ W + b, y)"
    x = np.random.default_rng(0).normal(size=(30, 2))
    W, b = np.array([[1.0, -2.0, 0.5], [3.0, 0.0, 4.0]]), np.array([0.5, -1.0, 2.0])
    start = {"W": np.zeros((2, 3)), "b": np.zeros(3)}
    found = graphc.fit(text, {"x": x, "y": x @ W + b}, params=start, epochs=50, optimizer="lbfgs")
    np.testing.assert_allclose(found.params["W"], W, atol=1e-4)
    np.testing.assert_allclose(found.params["b"], b, atol=1e-4)
    assert not start["W"].any()


def test_lbfgs_stops_early_and_leaves_frozen_parameters() -> None:
    pytest.importorskip("scipy.optimize")
    text = "c: Param = 0.25\n" + LINE.replace("y)", "y + c)")
    data = {"X": RNG.normal(size=(8, 2)), "y": RNG.normal(size=8)}
    found = graphc.fit(text, data, epochs=50, optimizer="lbfgs", holdout=0.5, patience=1, wrt=["w"])
    assert found.params["c"] == 0.25
    assert found.epoch <= len(found.history) < 50


def test_lbfgs_keeps_float32_and_makes_floats_of_integers() -> None:
    pytest.importorskip("scipy.optimize")
    data = {"X": X, "y": Y}
    found = graphc.fit(LINE, data, dtype="float32", epochs=3, optimizer="lbfgs")
    assert found.params["w"].dtype == np.float32
    found = graphc.fit(LINE, data, params={"w": [1, 2]}, epochs=50, optimizer="lbfgs")
    assert found.params["w"].dtype == np.float64
    assert found.history[-1].loss < 1e-8
    with pytest.raises(TypeError, match=r"w is <U.*, expected float32 or float64"):
        graphc.fit(LINE, data, params={"w": "text"}, epochs=1, optimizer="lbfgs")


def test_a_model_that_takes_its_data_as_a_whole() -> None:
    found = graphc.fit(
        "x: Input[3]\nw: Param = 0\nloss: Output = mse(w, x)",
        {"x": [1.0, 2, 3]},
        epochs=200,
        optimizer="gradient_descent(lr=0.1)",
    )
    assert found.params["w"] == pytest.approx(2)
    assert found.history[-1].steps == 200


def test_float32_models_stay_so() -> None:
    found = graphc.fit(LINE, {"X": X, "y": Y}, dtype="float32", epochs=1)
    assert found.params["w"].dtype == np.float32


def test_history_and_parameters_are_saved(tmp_path: Path) -> None:
    found = graphc.fit(LINE, {"X": X, "y": Y}, epochs=2)
    assert (
        found.write_history(tmp_path / "h.csv").read_text().startswith("epoch,steps,loss,holdout_loss,accuracy\n1,2,")
    )
    with np.load(found.save(tmp_path / "p.npz")) as arrays:
        np.testing.assert_array_equal(arrays["w"], found.params["w"])
    assert repr(found).startswith("<graphc fit of model, 2 epochs: loss ")


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch": 0},
        {"holdout": 1.0},
        {"holdout": -0.1},
        {"patience": 2},
        {"resume": True},
        {"holdout": 0.5, "patience": 0},
        {"optimizer": "lbfgs", "checkpoint": "c.npz"},
        {"epochs": 1.5},
        {"epochs": True},
        {"batch": "all"},
        {"batch": 1.5},
        {"holdout": "0.2"},
        {"holdout": 0.5, "patience": 1.5},
        {"seed": -1},
        {"seed": None},
    ],
)
def test_arguments_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        graphc.fit(LINE, {"X": X, "y": Y}, **wrong)


def test_a_place_where_no_checkpoint_can_be_is_refused_before_the_first_step(tmp_path: Path) -> None:
    for place, error in [(tmp_path / "none" / "c.npz", FileNotFoundError), (tmp_path, IsADirectoryError)]:
        with pytest.raises(error):
            graphc.fit(LINE, {"X": X, "y": Y}, checkpoint=place, watch_steps=pytest.fail)


def test_the_loss_of_an_epoch_is_that_of_its_steps_by_their_examples() -> None:
    text = "x: Input[N]\nw: Param = 1.0\nloss: Output = {}(w * x)"
    given: Any = {"batch": 2, "epochs": 1, "optimizer": "gradient_descent(lr=0)"}
    losses = [graphc.fit(text.format(f), {"x": np.ones(5)}, **given).history[0].loss for f in ("mean", "sum")]
    assert losses == pytest.approx([1, (2 * 2 + 2 * 2 + 1 * 1) / 5])


def test_a_hold_out_set_needs_examples() -> None:
    with pytest.raises(GraphcError, match="expected examples to hold out and to learn from, found 1"):
        graphc.fit(LINE, {"X": X[:1], "y": Y[:1]}, holdout=0.5)


def test_options_of_a_compiled_model_are_settled() -> None:
    with pytest.raises(ValueError, match="the model is compiled, expected no options for that, found dtype"):
        graphc.fit(graphc.compile(LINE), {"X": X, "y": Y}, dtype="float32")


@pytest.mark.slow
def test_training_costs_little_more_than_its_steps() -> None:
    model = graphc.compile(CLASSES, optimizer="adam")
    data = {"X": RNG.normal(size=(2_000, 2)), "y": RNG.integers(0, 3, 2_000)}
    graphc.fit(model, data, epochs=1)
    params = model.init_params(0)
    state = model.init_state(params)

    def steps() -> None:
        nonlocal params, state
        for place in list(range(0, 2_000, 32)) * 3:
            batch = slice(place, place + 32)
            params, state, _ = model.train_step(params, state, X=data["X"][batch], y=data["y"][batch], seed=place)

    assert calls(lambda: graphc.fit(model, data, epochs=3)) < 1.75 * calls(steps)


def calls(work: Callable[[], object]) -> int:
    """How many functions are called, Python's own and others."""
    count = 0

    def counted(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


LIKELIHOOD = """
X: Input[N, 2]
y: Input[N]
w: Param[2] = normal()
z = X @ w
loss: Output = mean(-binary_cross_entropy_with_logits(z, y))
"""


def test_early_stopping_of_ascent_keeps_the_greatest_likelihood() -> None:
    rng = np.random.default_rng(2)
    examples = rng.normal(size=(24, 2))
    data = {"X": examples, "y": (examples[:, 0] + rng.normal(size=24) > 0).astype(float)}
    given: Any = {"batch": None, "epochs": 400, "holdout": 0.5, "patience": 3}
    start = {"w": np.array([0.0, -1.0])}
    up = graphc.fit(LIKELIHOOD, data, optimizer="gradient_ascent(lr=0.5)", params=start, **given)
    losses = [epoch.holdout_loss for epoch in up.history]
    assert 1 < up.epoch == int(np.argmax(losses)) + 1 == len(losses) - 3
    down = LIKELIHOOD.replace("mean(", "-mean(")
    other = graphc.fit(down, data, optimizer="gradient_descent(lr=0.5)", params=start, **given)
    np.testing.assert_allclose(up.params["w"], other.params["w"], rtol=1e-13)
    assert up.epoch == other.epoch


def test_averages_are_measured_and_given() -> None:
    given: Any = {"epochs": 5, "batch": 16, "holdout": 0.2, "seed": 5}
    found = graphc.fit(CLASSES, {"X": X, "y": KINDS}, optimizer="adam(lr=0.1, average=0.8)", **given)
    model = graphc.compile(CLASSES, optimizer="adam(lr=0.1, average=0.8)")
    plain = graphc.fit(CLASSES, {"X": X, "y": KINDS}, optimizer="adam(lr=0.1)", **given)
    # The steps are the same, and so are the losses before each of them.
    assert [epoch.loss for epoch in found.history] == [epoch.loss for epoch in plain.history]
    assert [epoch.holdout_loss for epoch in found.history] != [epoch.holdout_loss for epoch in plain.history]
    held_out = np.sort(np.random.default_rng([5, 0]).permutation(60)[:12])
    with pytest.warns(graphc.GraphcWarning, match="seed is not used"):
        measured = graphc.compile(CLASSES, training=False)
    loss = measured(found.params, X=X[held_out], y=KINDS[held_out], seed=0)["loss"]
    assert found.history[-1].holdout_loss == loss
    assert set(found.params) == set(model.init_params(0))


def test_early_stopping_keeps_the_average_that_was_measured() -> None:
    data = {"X": RNG.normal(size=(20, 2)), "y": RNG.normal(size=20)}
    text = "X: Input[N, 2]\ny: Input[N]\nloss: Output = mse(dense(tanh(dense(X, 40)), 1)[:, 0], y)"
    given: Any = {"batch": None, "optimizer": "adam(lr=0.05, average=0.5)", "holdout": 0.5}
    found = graphc.fit(text, data, epochs=500, patience=5, **given)
    assert len(found.history) < 500
    again = graphc.fit(text, data, epochs=found.epoch, **given)
    assert all(np.array_equal(found.params[name], again.params[name]) for name in found.params)


def test_parameters_to_begin_with_are_those_of_the_model() -> None:
    text = "X: Input[N, 3]\nw: Param[3]\nb: Param = zeros()\nloss: Output = mean(square(X @ w + b - 1))"
    w = np.zeros(3)
    for params, message in (
        (None, "expected params, because there is no initialiser for w, found none"),
        ({"w": w}, "expected params w, b, found w"),
        ({"w": w, "b": 0.0, "c": 1.0}, "expected params w, b, found w, b, c"),
    ):
        with pytest.raises(ValueError, match=message):
            graphc.fit(text, {"X": np.eye(3)}, epochs=1, params=params)
    with pytest.raises(TypeError, match="expected a dict of arrays for params, found a int"):
        graphc.fit(text, {"X": np.eye(3)}, epochs=1, params=3)  # type: ignore[arg-type]
    assert graphc.fit(text, {"X": np.eye(3)}, epochs=1, params={"w": w, "b": 0.0}).params.keys() == {"w", "b"}


def test_the_memory_of_steps_is_not_kept() -> None:
    text = "X: Input[N, 2]\ny: Input[N]\nloss: Output = mse(dense(tanh(dense(X, 40)), 1)[:, 0], y)"
    found = graphc.fit(text, {"X": np.ones((500, 2)), "y": np.ones(500)}, batch=None, epochs=1)
    assert found.model.for_speed.module._WORK == {}  # type: ignore[attr-defined]
