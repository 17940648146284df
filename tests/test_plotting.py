"""Plots show what the compiled models compute, in every theme; what does not fit is refused with what was expected."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_hex

import graphc
from graphc.backends.palette import THEMES
from graphc.errors import GraphcError
from graphc.plotting.activation import jumps
from graphc.plotting.axes import fill_color

EXAMPLES = Path(__file__).parents[1] / "examples"
CLASSIFIER = "X: Input[N, 2]\nw: Param[2]\np: Output = sigmoid(X @ w)"
SCORES = "X: Input[N, 2]\nW: Param[2, 3]\nscores: Output = X @ W"
PLANE = "X: Input[N, 2]\nw: Param[2]\nheight: Output = X @ w"
LINE = "x: Input[N]\na: Param\nb: Param\ny: Output = a * x + b"
SQUARES = "x: Input[N]\ny: Input[N]\na: Param\nb: Param\nloss: Output = mean((a * x + b - y) ** 2)"
CORNERS, SIDES = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [0, 1, 0, 1]


@pytest.fixture(autouse=True)
def figures() -> Iterator[None]:
    """No window, and no figure left over, also not from the examples of docstrings."""
    mpl.use("agg")
    pyplot.close("all")
    yield
    pyplot.close("all")


def refused(plot: Callable[[], object], code: str = "GC505") -> str:
    """The message of the error that a plot ends in, which opens no figure."""
    with pytest.raises(GraphcError) as error:
        plot()
    (found,) = error.value.diagnostics
    assert found.code == code
    assert pyplot.get_fignums() == []
    return found.message


def lines(ax: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {line.get_label(): tuple(map(np.asarray, line.get_data())) for line in ax.get_lines()}


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "gelu", "silu", "softplus", "elu", "sin"])
def test_an_activation_and_its_derivative_are_the_compiled_ones(name: str) -> None:
    x, y = lines(graphc.plot_activation(name))[f"{name}(x)"]
    at, slope = lines(graphc.plot_activation(name))["derivative"]
    model = graphc.vmap(graphc.value_and_grad(f"{name}(x)"))
    np.testing.assert_array_equal(y, model(x=x)[0])
    np.testing.assert_array_equal(slope, model(x=at)[1])
    assert (x[0], x[-1], len(x)) == (-5.0, 5.0, 401)


@pytest.mark.parametrize(
    ("f", "places", "slopes"),
    [
        ("relu", [0], [0]),
        ("abs", [0], [0]),
        ("leaky_relu", [0], [0.01]),
        ("hardswish", [-3, 3], [-0.5, 1.5]),
        ("maximum(x, 1 - x)", [0.5], [0]),
        ("relu(x - 0.1234567)", [0.1234567], [0]),
    ],
)
def test_kinks_are_marked_with_the_derivative_used_there(f: str, places: list[float], slopes: list[float]) -> None:
    found = lines(graphc.plot_activation(f))
    np.testing.assert_allclose(found["kink"][0], places, atol=1e-9)
    np.testing.assert_allclose(found["derivative used there"], [places, slopes], atol=1e-9)
    assert np.isnan(found["derivative"][1]).sum() >= len(places)


@pytest.mark.parametrize("f", ["sigmoid", "elu", "sigmoid(1000 * x)", "x ** 3", "exp(x)", "3 * x"])
def test_smooth_functions_have_no_kinks(f: str) -> None:
    assert list(lines(graphc.plot_activation(f))) == [f"{f}(x)" if f.isidentifier() else f, "derivative"]


def test_a_derivative_reaches_up_to_its_kink_on_both_sides() -> None:
    x, slope = lines(graphc.plot_activation("relu"))["derivative"]
    (gap,) = np.flatnonzero(np.isnan(slope))
    assert set(slope[:gap]) == {0.0}
    assert set(slope[gap + 1 :]) == {1.0}
    assert 0 <= x[gap - 1] <= x[gap + 1] < 1e-15


@pytest.mark.parametrize("f", ["sign", "floor(x)", "1 / x", "log(x)", "sqrt(x)", "tan(x)"])
def test_jumps_and_poles_are_gaps_and_no_kinks(f: str) -> None:
    found = lines(graphc.plot_activation(f))
    assert "kink" not in found
    assert any(np.isnan(y).any() for _, y in found.values())


def test_a_jump_is_found_between_neighbouring_floats() -> None:
    ((low, high),) = jumps(lambda x: np.where(x > 1 / 3, 1.0, 0.0), np.linspace(-1, 1, 5))
    assert low <= 1 / 3 < high == np.nextafter(low, 1)


def test_an_activation_may_be_a_model_or_a_python_function() -> None:
    def swish(x):  # type: ignore[no-untyped-def]
        return x * graphc.sigmoid(x)

    traced, written = (lines(graphc.plot_activation(f)) for f in (swish, "x * sigmoid(x)"))
    for (_, first), (_, second) in zip(traced.values(), written.values(), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    "f",
    [
        "x * y",
        "x: Input[N]\ny: Output = relu(x)",
        "x: Input\nw: Param\nloss: Output = x * w",
        "x: Input[int64]\ny: Output = 1.0 * x",
    ],
)
def test_an_activation_takes_one_number(f: str) -> None:
    assert "expected a function of one number, found the inputs x: " in refused(lambda: graphc.plot_activation(f))


@pytest.mark.parametrize(("name", "hint"), [("rleu", "did you mean relu?"), ("qqqq", "")])
def test_a_name_that_is_no_function_is_refused(name: str, hint: str) -> None:
    with pytest.raises(GraphcError) as error:
        graphc.plot_activation(name)
    (found,) = error.value.diagnostics
    assert (found.code, found.hint) == ("GC101", hint)
    assert found.message == f"expected the name of a function or an expression, found {name}"
    assert "x" in lines(graphc.plot_activation("x"))


@pytest.mark.parametrize("xlim", [(1, 1), (-1e308, 1e308), (2, 1), (0, np.inf), (0,), "ab", (np.nan, 1)])
def test_limits_are_two_numbers_in_order(xlim: Any) -> None:
    assert "for xlim" in refused(lambda: graphc.plot_activation("tanh", xlim=xlim))


def test_losses_are_those_of_the_history() -> None:
    found = lines(graphc.plot_losses({"training": [3, 2, 1], "hold-out": [3, np.nan, 2.5]}))
    np.testing.assert_array_equal(found["training"], [[1, 2, 3], [3, 2, 1]])
    np.testing.assert_array_equal(found["hold-out"], [[1, 3], [3, 2.5]])
    np.testing.assert_array_equal(found["lowest: 2.5 at epoch 3"], [[3], [2.5]])


def test_the_curve_of_the_lowest_point_can_be_chosen() -> None:
    found = lines(graphc.plot_losses({"a": [2.0, 1.0], "b": [5.0, 6.0]}, best="a"))
    assert "lowest: 1 at epoch 2" in found


def test_the_history_of_a_training_is_a_file_of_losses(tmp_path: Path) -> None:
    path = tmp_path / "h.csv"
    path.write_text("epoch,steps,loss,holdout_loss,accuracy\n1,10,3,4,\n2,20,2,5,\n")
    ax = graphc.plot_losses(path)
    assert list(lines(ax)) == ["loss", "holdout_loss", "lowest: 4 at epoch 1"]
    assert len(ax.figure.axes) == 1
    path.write_text("epoch,steps,loss,holdout_loss,accuracy\n1,10,3,4,0.5\n2,20,2,5,0.75\n")
    ax = graphc.plot_losses(path)
    assert list(lines(ax)) == ["loss", "holdout_loss", "accuracy", "lowest: 4 at epoch 1"]
    shares = ax.figure.axes[1]
    assert lines(shares)["accuracy"][1].tolist() == [0.5, 0.75]
    assert shares.get_ylim() == (0, 1)


def test_an_accuracy_alone_is_a_curve() -> None:
    assert "accuracy" in lines(graphc.plot_losses({"accuracy": [0.5, 0.75]}))


def test_a_lowest_point_of_no_curve_is_refused() -> None:
    message = refused(lambda: graphc.plot_losses({"a": [2.0], "b": [5.0]}, best="c"))
    assert message == "expected one of the curves a, b for best, found 'c'"


def test_losses_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("\ufeffepoch, training ,hold-out\n0,1.5,2\n5,1,\n10,0.5,1.75\n", encoding="utf-8")
    ax = graphc.plot_losses(path, log=True)
    found = lines(ax)
    np.testing.assert_array_equal(found["training"], [[0, 5, 10], [1.5, 1, 0.5]])
    np.testing.assert_array_equal(found["hold-out"], [[0, 10], [2, 1.75]])
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel() == "epoch"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found 0 lines"),
        ("training\n", "found 1 lines"),
        ("training,test\n1\n", "expected 2 cells in each line"),
        ("training\nlow\n", "expected numbers in column training"),
        ("epoch\n1\n", "expected at least one loss, found epoch"),
        ("epoch,training\n1,\n2,\n", "expected at least one loss, found epoch"),
    ],
)
def test_files_that_are_no_tables_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(text, encoding="utf-8")
    assert message in refused(lambda: graphc.plot_losses(str(tmp_path / "history.csv")))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert "found none: " in refused(lambda: graphc.plot_losses(tmp_path / "none.csv"), "GC402")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    assert "in UTF-8" in refused(lambda: graphc.plot_losses(tmp_path / "bytes.csv"))


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ({}, "found none"),
        ({"training": []}, "in training"),
        ({"training": [[1.0]]}, "found the shape (1, 1)"),
        ({"training": ["x"]}, "expected numbers for training"),
        ({"training": 1.0}, "found the shape ()"),
        ([1.0, 2.0], "expected losses by name or a CSV file, found a list"),
        ({"training": [1.0, 2.0], "step": [1]}, "expected 2 values in step, found 1"),
        ({"training": [1.0, -2.0]}, "found -2 in training"),
    ],
)
def test_histories_that_are_no_tables_are_refused(history: Any, message: str) -> None:
    assert message in refused(lambda: graphc.plot_losses(history, log=True))


def test_names_of_losses_are_no_mathematics() -> None:
    graphc.plot_losses({"$\\frac$": [1.0]}).figure.canvas.draw()


def test_a_history_that_diverges_is_drawn() -> None:
    assert "lowest: 1 at epoch 1" in lines(graphc.plot_losses({"training": [1.0, np.inf, np.nan]}))
    graphc.plot_losses({"training": [np.inf, np.inf]})


def test_a_fitted_curve_is_the_compiled_one() -> None:
    model = graphc.compile(EXAMPLES / "regression_network.gc")
    params = model.init_params(0)
    data = np.array([-1.0, 0.5, 2.0]), np.array([0.0, 1.0, 0.0])
    found = lines(graphc.plot_fit(model, params, *data, xlim=(-3, 3)))
    x, curve = found["curve"]
    np.testing.assert_array_equal(curve, model.module.curve(params, x))
    np.testing.assert_array_equal(found["data"], data)
    assert (x[0], x[-1]) == (-3, 3)


@pytest.mark.parametrize(
    "model",
    [
        "X: Input[N, 2]\nw: Param[2]\nh: Output = X @ w",
        "X: Input[N, d]\nw: Param[d]\nh: Output = X @ w",
        "x: Input[2]\nw: Param[2]\nh: Output = x @ w",
        "a: Input[N]\nb: Input[N]\nw: Param[2]\nh: Output = w[0] * a + w[1] * b",
        "a: Input\nb: Input\nw: Param[2]\nh: Output = w[0] * a + w[1] * b",
        "X: Input[N, 2]\nw: Param[2]\nh: Output = (X @ w)[:, None]",
    ],
)
def test_contours_of_a_fit_lie_where_the_function_has_their_level(model: str) -> None:
    ax = graphc.plot_fit(model, {"w": [2.0, -1.0]}, CORNERS, SIDES)
    filled = ax.collections[0]
    for level, upper, path in zip(filled.levels, filled.levels[1:], filled.get_paths(), strict=False):
        heights = path.vertices @ [2.0, -1.0]
        assert not len(heights) or (level - 1e-9 <= heights.min() and heights.max() <= upper + 1e-9)
    (points,) = [found for found in ax.collections if found.get_label() == "data"]
    np.testing.assert_array_equal(points.get_offsets(), CORNERS)
    np.testing.assert_array_equal(points.get_array(), SIDES)


def test_a_fit_in_space() -> None:
    axes = pyplot.figure().add_subplot(projection="3d")
    ax = graphc.plot_fit(PLANE, {"w": [2.0, -1.0]}, CORNERS, SIDES, ax=axes)
    assert [ax.get_xlabel(), ax.get_ylabel(), ax.get_zlabel()] == ["X[0]", "X[1]", "height"]
    low, high = ax.get_zlim()
    assert low <= -1.0
    assert high >= 2.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: graphc.plot_fit(LINE, {"a": 1.0, "b": 0.0}, [[1.0, 2.0, 3.0]], [1.0]), "(n,) or (n, 2)"),
        (lambda: graphc.plot_fit(LINE, {"a": 1.0, "b": 0.0}, [], []), "n at least 1, found (0,)"),
        (lambda: graphc.plot_fit(LINE, {"a": 1.0, "b": 0.0}, [1.0, 2.0], [1.0]), "expected y of shape (2,)"),
        (lambda: graphc.plot_fit(LINE, {"a": 1.0, "b": 0.0}, [1.0, np.nan], [1.0, 2.0]), "finite numbers for x"),
        (lambda: graphc.plot_fit(LINE, {"a": 1.0, "b": 0.0}, CORNERS, SIDES), "2 coordinates, as in X: Input[N, 2]"),
        (lambda: graphc.plot_fit(PLANE, {"w": [1.0, 2.0]}, [1.0], [1.0]), "found X: float64[N, 2]"),
        (lambda: graphc.plot_fit(PLANE, {"w": [1.0, 2.0]}, CORNERS, SIDES, grid_resolution=1), "found 1"),
        (lambda: graphc.plot_fit(LINE, {}, [1.0], [1.0], output="z"), "expected one of the outputs y, found 'z'"),
        (lambda: graphc.plot_fit("x: Input[N]\na: Output = x\nb: Output = 2 * x", None, [1.0], [1.0]), "found a, b"),
        (lambda: graphc.plot_fit("x: Input[N]\ns: Output = sum(x)", None, [1.0], [1.0]), "one value for each point"),
        (lambda: graphc.plot_fit("x: Input[N, int64]\ns: Output = 1.0 * x", None, [1.0], [1.0]), "found x: int64[N]"),
        (
            lambda: graphc.plot_fit("x: Input[4, 2]\ns: Output = x[:, 0]", None, CORNERS, SIDES),
            "found x: float64[4, 2]",
        ),
    ],
)
def test_data_that_does_not_fit_a_model_is_refused(call: Callable[[], object], message: str) -> None:
    assert message in refused(call)


def test_one_point_has_room_around_it() -> None:
    assert lines(graphc.plot_fit(LINE, {"a": 1.0, "b": 0.0}, [3.0], [3.0]))["y"][0][[0, -1]].tolist() == [2.0, 4.0]


def boundary(ax: Any) -> np.ndarray:
    """The points of the line where classes meet."""
    ink = THEMES["light"].ink.lower()
    drawn = [found for found in ax.collections if [to_hex(color) for color in found.get_edgecolor()] == [ink]]
    return np.concatenate([path.vertices for found in drawn for path in found.get_paths()])


@pytest.mark.parametrize(
    ("model", "params", "options", "y"),
    [
        (CLASSIFIER, {"w": [1.0, -1.0]}, {}, SIDES),
        # A sure classifier makes a step, and a coarse grid no staircase of it.
        (CLASSIFIER, {"w": [100.0, -100.0]}, {"grid_resolution": 12, "xlim": (-0.3, 1.1)}, SIDES),
        ("X: Input[N, 2]\nw: Param[2]\nz: Output = X @ w", {"w": [1.0, -1.0]}, {"threshold": 0.0}, [-1, 1, -1, 1]),
        ("a: Input\nb: Input\nz: Output = sigmoid(a - b)", None, {}, SIDES),
        ("X: Input[N, 2]\nW: Param[2, 2]\nz: Output = X @ W", {"W": [[0.0, 1.0], [0.0, -1.0]]}, {}, SIDES),
    ],
)
def test_a_boundary_is_where_the_classes_are_equal(model: str, params: Any, options: Any, y: list[int]) -> None:
    ax = graphc.plot_decision_boundary(model, params, CORNERS, y, **options)
    found = boundary(ax)
    assert len(found) > 10
    np.testing.assert_allclose(found[:, 0], found[:, 1], atol=1e-9)


def test_each_class_has_its_own_side_of_the_boundary() -> None:
    model = "X: Input[N, 2]\nw: Param[2]\nz: Output = X @ w"
    ax = graphc.plot_decision_boundary(model, {"w": [1.0, -1.0]}, CORNERS, SIDES, threshold=0.0)
    for number, inside in ((0, (0.1, 0.9)), (1, (0.9, 0.1))):
        color = fill_color(THEMES["light"], number)
        (region,) = [
            found for found in ax.collections if [to_hex(face) for face in found.get_facecolor()] == [color.lower()]
        ]
        assert region.get_paths()[0].contains_point(inside)
        assert not region.get_paths()[0].contains_point(inside[::-1])


def test_each_class_has_a_shape_of_its_own() -> None:
    ax = graphc.plot_decision_boundary(SCORES, {"W": np.eye(2, 3)}, CORNERS, [0, 1, 2, 1])
    points = [found for found in ax.collections if str(found.get_label()).startswith("class")]
    assert [found.get_label() for found in points] == ["class 0", "class 1", "class 2"]
    assert [len(found.get_offsets()) for found in points] == [1, 2, 1]
    assert len({found.get_paths()[0].vertices.tobytes() for found in points}) == 3


def test_a_probability_is_shaded_with_a_scale_and_a_score_is_not() -> None:
    shaded = graphc.plot_decision_boundary(CLASSIFIER, {"w": [1.0, -1.0]}, CORNERS, SIDES)
    assert [axes.get_ylabel() for axes in shaded.figure.axes] == ["X[1]", "probability of class 1"]
    scale = shaded.figure.axes[1]
    assert [label.get_text() for label in scale.get_yticklabels()] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    scored = graphc.plot_decision_boundary(SCORES, {"W": np.eye(2, 3)}, CORNERS, SIDES)
    assert len(scored.figure.axes) == 1


def test_classes_that_a_model_computes_as_integers() -> None:
    model = "X: Input[N, 2]\nW: Param[2, 3]\nk: Output = argmax(X @ W, axis=1)"
    ax = graphc.plot_decision_boundary(model, {"W": np.eye(2, 3)}, CORNERS, SIDES)
    assert len(boundary(ax)) > 10


def test_a_classifier_that_is_always_sure_has_no_boundary() -> None:
    ax = graphc.plot_decision_boundary(CLASSIFIER, {"w": [0.0, 0.0]}, CORNERS, SIDES, threshold=0.9)
    assert len(ax.collections) > 2
    graphc.plot_decision_boundary("X: Input[N, 2]\nz: Output = 0 * X[:, :1]", None, CORNERS, [0, 0, 0, 0])


@pytest.mark.parametrize(
    ("model", "y", "message"),
    [
        (CLASSIFIER, [0, 1, 2, 0], "expected two classes in y, found 3: 0, 1, 2"),
        (CLASSIFIER, [0, 1], "expected y of shape (4,), one for each point, found (2,)"),
        (CLASSIFIER, np.eye(4), "found (4, 4)"),
        (SCORES, [0, 1, 3, 0], "expected classes from 0 to 2 in y, one for each column of scores, found 3"),
        ("X: Input[N, 2]\nz: Output = X[:, :, None]", SIDES, "found the shape (2, 1)"),
    ],
)
def test_labels_that_do_not_fit_a_classifier_are_refused(model: str, y: Any, message: str) -> None:
    params = {"w": [1.0, 1.0]} if model is CLASSIFIER else {"W": np.eye(2, 3)}
    assert message in refused(lambda: graphc.plot_decision_boundary(model, params, CORNERS, y))


def test_a_path_lies_on_its_curve() -> None:
    found = lines(graphc.plot_surface("(w - 2)**2", path=[0.0, 1.0, 3.0], xlim=(-1, 4)))
    x, curve = next(iter(found.values()))
    np.testing.assert_allclose(curve, (x - 2) ** 2)
    np.testing.assert_array_equal(found["path"], [[0, 1, 3], [4, 1, 1]])
    np.testing.assert_array_equal(found["start"], [[0], [4]])
    np.testing.assert_array_equal(found["end"], [[3], [1]])


def test_a_loss_over_two_parameters_with_its_path() -> None:
    data = {"x": np.array([0.0, 1.0]), "y": np.array([1.0, 3.0])}
    path = [[0.0, 0.0], [1.0, 0.5], [2.0, 1.0]]
    ax = graphc.plot_surface(SQUARES, at=data, path=path)
    np.testing.assert_array_equal(np.transpose(lines(ax)["path"]), path)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a", "b")
    model, filled = graphc.compile(SQUARES), ax.collections[0]
    for level, upper, shape in zip(filled.levels, filled.levels[1:], filled.get_paths(), strict=False):
        losses = [model.module.loss({"a": a, "b": b}, **data) for a, b in shape.vertices]
        assert not losses or (level - 0.05 <= min(losses) and max(losses) <= upper + 0.05)


def test_a_surface_is_that_of_the_loss_that_the_model_was_compiled_for() -> None:
    model = graphc.compile("w: Param\ngain: Output = 3 * w\nloss: Output = -gain", loss="gain")
    ax = graphc.plot_surface(model, xlim=(0, 1))
    assert ax.get_ylabel() == "gain"
    assert ax.get_lines()[0].get_ydata()[-1] == 3.0


def test_a_path_in_space_has_the_height_of_the_surface() -> None:
    axes = pyplot.figure().add_subplot(projection="3d")
    ax = graphc.plot_surface("sigmoid(-5*x1 + 5*x2 + 1)", path=[[0.0, 0.0], [0.0, 0.2]], ax=axes)
    _, _, heights = ax.get_lines()[0].get_data_3d()
    np.testing.assert_allclose(heights, 1 / (1 + np.exp([-1.0, -2.0])))
    assert ax.get_zlabel() == "f"


def test_a_vector_of_free_size_gets_it_from_the_data() -> None:
    perceptron = graphc.compile(EXAMPLES / "perceptron.gc")
    ax = graphc.plot_surface(perceptron, at={"X": np.array(CORNERS), "y": np.array([1.0, -1.0, 1.0, -1.0])})
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("w[0]", "w[1]")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: graphc.plot_surface("x * y * z"), "expected one or two free numbers, found x: float64[], y: "),
        (lambda: graphc.plot_surface("x * y", at={"x": 1.0, "y": 2.0}), "found none"),
        (lambda: graphc.plot_surface("x * y", at={"t": 1.0}), "in at (x, y), found t"),
        (lambda: graphc.plot_surface("x * y", path=[1.0, 2.0]), "expected path of shape (n, 2)"),
        (lambda: graphc.plot_surface("x * y", path=[[1.0, np.inf]]), "finite numbers for path, found inf"),
        (lambda: graphc.plot_surface("x ** 2", path=[[1.0, 2.0]]), "expected path of shape (n,)"),
        (lambda: graphc.plot_surface("x * y", grid_resolution=10**6), "from 2 to 2000, found 1000000"),
        (lambda: graphc.plot_surface("x * y", ylim=(1, 0)), "for ylim"),
    ],
)
def test_what_is_no_curve_and_no_surface_is_refused(call: Callable[[], object], message: str) -> None:
    assert message in refused(call)


def test_a_surface_of_one_height_is_drawn() -> None:
    graphc.plot_surface("0 * x + 0 * y + 1.0").figure.canvas.draw()
    graphc.plot_fit(PLANE, {"w": [0.0, 0.0]}, CORNERS, [0.0] * 4).figure.canvas.draw()
    graphc.plot_surface("log(x) + y", xlim=(-2, -1)).figure.canvas.draw()


PLOTS: dict[str, Callable[..., Any]] = {
    "activation": lambda **options: graphc.plot_activation("relu", **options),
    "losses": lambda **options: graphc.plot_losses({"training": [2.0, 1.0], "hold-out": [2.0, 3.0]}, **options),
    "curve": lambda **options: graphc.plot_fit(LINE, {"a": 1.0, "b": 0.0}, [1.0, 2.0], [1.0, 2.0], **options),
    "contours": lambda **options: graphc.plot_fit(PLANE, {"w": [1.0, 2.0]}, CORNERS, SIDES, **options),
    "probability": lambda **options: graphc.plot_decision_boundary(
        CLASSIFIER, {"w": [1.0, -1.0]}, CORNERS, SIDES, **options
    ),
    "regions": lambda **options: graphc.plot_decision_boundary(SCORES, {"W": np.eye(2, 3)}, CORNERS, SIDES, **options),
    "loss surface": lambda **options: graphc.plot_surface("x**2 + y**2", path=[[1.0, 1.0], [0.5, 0.5]], **options),
}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_plots_are_drawn_in_every_theme(plot: Callable[..., Any], theme: str, tmp_path: Path) -> None:
    ax = plot(theme=theme)
    page, ink = (color.lower() for color in (THEMES[theme].page, THEMES[theme].ink))
    assert to_hex(ax.get_facecolor()) == to_hex(ax.figure.get_facecolor()) == page
    assert {to_hex(label.get_color()) for label in (ax.xaxis.label, ax.yaxis.label, ax.title)} == {ink}
    ax.figure.savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_plots_are_drawn_on_the_axes_that_are_given(plot: Callable[..., Any]) -> None:
    figure, (first, second) = pyplot.subplots(1, 2)
    assert plot(ax=second) is second
    assert not first.has_data()
    assert pyplot.get_fignums() == [figure.number]


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_legends_and_scales_can_be_left_out(plot: Callable[..., Any]) -> None:
    shown, bare = plot(ax=pyplot.figure().subplots()), plot(ax=pyplot.figure().subplots(), legend=False)
    assert shown.get_legend() is not None or len(shown.figure.axes) == 2
    assert bare.get_legend() is None and bare.figure.axes == [bare]


@pytest.mark.parametrize("ax", [3, np.array([None, None])])
def test_what_is_no_axes_is_refused(ax: Any) -> None:
    assert "expected Matplotlib axes for ax, found a " in refused(lambda: graphc.plot_activation("relu", ax=ax))


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_an_unknown_theme_is_refused(plot: Callable[..., Any]) -> None:
    message = refused(lambda: plot(theme="neon"), "GC403")
    assert message == "expected one of the themes light, dark, print, lecture, found 'neon'"


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_without_matplotlib_the_error_says_how_to_get_it(
    plot: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(GraphcError) as error:
        plot()
    (found,) = error.value.diagnostics
    assert (found.code, found.message) == ("GC404", "expected Matplotlib 3.8 or later for plots, found none")
    assert found.hint == '`pip install "matplotlib>=3.8"`'


def test_an_old_matplotlib_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpl, "__version_info__", (3, 5, 1))
    assert refused(PLOTS["losses"], "GC404") == "expected Matplotlib 3.8 or later for plots, found 3.5"


def test_matplotlib_is_imported_when_something_is_plotted() -> None:
    script = "import sys, graphc; graphc.plot_fit; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
