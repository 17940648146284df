"""Models as estimators: scikit-learn's own checks, its pipelines and searches, and models that do not fit."""

# Annotations of traced functions are values.
# ruff: noqa: B008, F821

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import graphc as gx
from graphc.errors import GraphcError
from tests.training.models import LINE, LOGISTIC

# The checks fit a hundred times; they also pass with 200 epochs, which is what there is unless told.
QUICK = {"epochs": 40, "optimizer": "adam(lr=0.01)"}
SOFTMAX = """\
X: Input[N, features]
y: Input[N, int64]
logits: Output = dense(X, classes)
loss: Output = mean(cross_entropy(logits, y)) + 0.01 * l2(logits) / features
probs: Output = softmax(logits)
"""
IRIS, KIND = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[KIND]
RNG = np.random.default_rng(0)


@parametrize_with_checks([gx.GraphClassifier(**QUICK), gx.GraphRegressor(**QUICK)])
def test_the_checks_of_scikit_learn(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


def quick(model: Any = None, **options: Any) -> gx.GraphClassifier:
    return gx.GraphClassifier(model, random_state=0, **{**QUICK, **options})


def test_what_a_training_leaves() -> None:
    found = quick(holdout=0.2).fit(IRIS, NAMES)
    assert list(found.classes_) == ["setosa", "versicolor", "virginica"]
    assert found.n_features_in_ == 4
    assert found.n_iter_ == len(found.loss_curve_) == len(found.history_) == 40
    assert found.loss_curve_[-1] < found.loss_curve_[0] / 2
    assert found.history_[-1].accuracy >= 0.9
    assert set(found.params_) == {"dense_W", "dense_b", "dense_2_W", "dense_2_b"}
    assert found.params_["dense_W"].shape == (4, 32)
    assert found.score(IRIS, NAMES) >= 0.95


def test_the_numbers_are_those_of_fit() -> None:
    one = quick(SOFTMAX, batch=16).fit(IRIS, NAMES)
    sizes = {"features": 4, "classes": 3}
    other = gx.fit(SOFTMAX, {"X": IRIS, "y": KIND}, batch=16, seed=0, sizes=sizes, **QUICK)
    np.testing.assert_array_equal(one.params_["dense_W"], other.params["dense_W"])
    assert one.history_ == other.history or repr(one.history_) == repr(other.history)
    probs = one.predict_proba(IRIS)
    np.testing.assert_array_equal(probs, one.model_.module.probs(one.params_, IRIS))
    np.testing.assert_array_equal(one.predict(IRIS), one.classes_[probs.argmax(axis=1)])


def test_the_state_may_be_a_generator() -> None:
    one, two, three = (
        gx.GraphClassifier(random_state=state, **QUICK).fit(IRIS, KIND)
        for state in (np.random.RandomState(5), np.random.RandomState(5), np.random.RandomState(6))
    )
    np.testing.assert_array_equal(one.predict_proba(IRIS), two.predict_proba(IRIS))
    assert not np.array_equal(one.predict_proba(IRIS), three.predict_proba(IRIS))


def test_patience_ends_a_training() -> None:
    found = quick(epochs=2000, optimizer="adam(lr=0.1)", holdout=0.3, patience=5).fit(IRIS, KIND)
    assert found.n_iter_ < 1000


def test_hidden_layers_and_other_sizes() -> None:
    deep = quick(hidden=(5, 6), epochs=1).fit(IRIS, KIND)
    assert [deep.params_[f"{name}_W"].shape for name in ("dense", "dense_2", "dense_3")] == [(4, 5), (5, 6), (6, 3)]
    assert set(quick(hidden=(), epochs=1).fit(IRIS, KIND).params_) == {"dense_W", "dense_b"}
    wide = SOFTMAX.replace("dense(X, classes)", "dense(tanh(dense(X, width)), classes)")
    assert quick(wide, sizes={"width": 7}, epochs=1).fit(IRIS, KIND).params_["dense_W"].shape == (4, 7)
    assert quick(hidden=[np.int64(3)], epochs=1).fit(IRIS, KIND).params_["dense_W"].shape == (4, 3)
    for wrong in (32, "32", (8, 0), (2.5,)):
        with pytest.raises(ValueError, match="expected a sequence of positive whole numbers for hidden, found"):
            quick(hidden=wrong).fit(IRIS, KIND)
    with pytest.raises(ValueError, match=r"hidden is for the model that there is without one.*hidden=\(3,\)"):
        quick(SOFTMAX, hidden=(3,)).fit(IRIS, KIND)


def test_what_predicts_has_no_dropout() -> None:
    text = SOFTMAX.replace("dense(X, classes)", "dense(dropout(X, 0.5, seed=seed), classes)")
    found = quick(f"seed: Input[int64]\n{text}").fit(IRIS, KIND)
    logits = IRIS @ found.params_["dense_W"] + found.params_["dense_b"]
    np.testing.assert_allclose(found.decision_function(IRIS), logits)
    compiled = gx.compile(f"seed: Input[int64]\n{text}", sizes={"features": 4, "classes": 3})
    with pytest.raises(GraphcError, match="expected probs to be computed from X alone, found that it takes seed"):
        quick(compiled).fit(IRIS, KIND)


def test_two_classes_by_one_score() -> None:
    X, y = IRIS[KIND > 0], NAMES[KIND > 0]
    found = quick(LOGISTIC, optimizer="lbfgs").fit(X, y)
    scores, probs = found.decision_function(X), found.predict_proba(X)
    assert scores.shape == (100,) and probs.shape == (100, 2)
    np.testing.assert_allclose(probs[:, 1], 1 / (1 + np.exp(-scores)))
    np.testing.assert_array_equal(found.predict(X), np.where(scores > 0, "virginica", "versicolor"))
    assert found.score(X, y) > 0.95
    only = quick(LOGISTIC.replace("logits: Output", "logits"), optimizer="lbfgs").fit(X, y)
    np.testing.assert_array_equal(only.predict(X), found.predict(X))
    two = quick(SOFTMAX).fit(X, y)
    scores = two.model_.module.logits(two.params_, X)
    np.testing.assert_array_equal(two.decision_function(X), scores[:, 1] - scores[:, 0])


def test_a_model_without_probabilities_has_no_method_for_them() -> None:
    X, y = IRIS[:100], NAMES[:100]
    perceptron = (
        LOGISTIC.replace("probs: Output = sigmoid(logits)\n", "")
        .replace("binary_cross_entropy_with_logits(logits, y)", "perceptron_loss(logits, 2 * y - 1)")
        .replace("w: Param[features] = zeros()", "w: Param[features] = normal()")
    )
    found = quick(perceptron)
    assert hasattr(found, "predict_proba")
    assert found.fit(X, y).score(X, y) == 1
    assert not hasattr(found, "predict_proba")
    with pytest.raises(AttributeError) as caught:
        found.predict_proba(X)
    assert "expected a model with an output probs, found logits, loss" in str(caught.value.__cause__)
    probs = quick(SOFTMAX.replace("logits: Output", "logits")).fit(X, y)
    assert not hasattr(probs, "decision_function") and probs.score(X, y) == 1


def traced(X: gx.f64["N", "features"], y: gx.f64["N"], w: gx.param["features"] = gx.zeros(), b: gx.param = 0.0) -> Any:
    prediction = X @ w + b
    return {"loss": gx.mse(prediction, y), "prediction": prediction}


@pytest.mark.parametrize("kind", ["text", "path", "function", "model"])
def test_models_of_every_kind_are_cloned_and_pickled(kind: str, tmp_path: Path) -> None:
    (tmp_path / "line.gc").write_text(LINE)
    model: Any = {
        "text": LINE,
        "path": tmp_path / "line.gc",
        "function": traced,
        "model": gx.compile(LINE, sizes={"features": 4}),
    }[kind]
    y = IRIS @ [1.0, 2.0, 3.0, 4.0] + 5
    found = clone(gx.GraphRegressor(model, optimizer="lbfgs")).fit(IRIS, y)
    np.testing.assert_allclose(found.params_["w"], [1, 2, 3, 4], atol=1e-2)
    saved = pickle.dumps(found)
    (tmp_path / "line.gc").unlink()
    np.testing.assert_array_equal(pickle.loads(saved).predict(IRIS), found.predict(IRIS))


def test_a_pickled_model_is_the_same_model() -> None:
    model = gx.compile(SOFTMAX, sizes={"features": 4, "classes": 3}, with_=["flat"], optimizer="adam(lr=0.1)")
    again = pickle.loads(pickle.dumps(model))
    assert again.source_text == model.source_text and again.provenance == model.provenance
    derived = pickle.loads(pickle.dumps(gx.grad("x ** 3")))
    assert derived(2.0) == 12


def test_a_pipeline_is_searched_by_several_processes() -> None:
    pipeline = make_pipeline(StandardScaler(), quick(epochs=8))
    grid = {"graphclassifier__hidden": [(), (8,)], "graphclassifier__optimizer": ["adam(lr=1e-7)", "adam(lr=0.05)"]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2, scoring="neg_log_loss").fit(IRIS, NAMES)
    assert search.best_params_["graphclassifier__optimizer"] == "adam(lr=0.05)"
    assert search.best_estimator_.score(IRIS, NAMES) > 0.9
    scores = cross_val_score(search.best_estimator_, IRIS, NAMES, cv=2)
    assert scores.min() > 0.85


WEIGHTED = LINE.replace("mse(prediction, y)", "mean(sample_weight * (prediction - y) ** 2)").replace(
    "y: Input[N]", "y: Input[N]\nsample_weight: Input[N]"
)


def test_weights_are_an_input() -> None:
    y, weights = RNG.normal(size=150), RNG.integers(0, 3, 150)
    options = {"optimizer": "lbfgs", "epochs": 1000}
    one = gx.GraphRegressor(WEIGHTED, **options).fit(IRIS, y, sample_weight=weights)
    other = gx.GraphRegressor(LINE, **options).fit(np.repeat(IRIS, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(one.predict(IRIS), other.predict(IRIS), atol=2e-3)
    even = gx.GraphRegressor(LINE, **options).fit(IRIS, y)
    assert np.abs(even.predict(IRIS) - one.predict(IRIS)).max() > 0.05
    with pytest.raises(TypeError, match=r"fit\(\) got an unexpected keyword argument 'weights', the model takes X, y"):
        gx.GraphRegressor(LINE).fit(IRIS, y, weights=weights)
    ones, without = (
        gx.GraphRegressor(WEIGHTED, **options).fit(IRIS, y, **given)
        for given in ({"sample_weight": np.ones(len(y))}, {})
    )
    np.testing.assert_array_equal(ones.params_["w"], without.params_["w"])


def test_the_network_there_is_without_a_model_takes_weights() -> None:
    weights, options = RNG.integers(0, 3, 150), {"batch": None, "hidden": (5,), **QUICK}
    for y, kind in ((NAMES, gx.GraphClassifier), (IRIS[:, 0], gx.GraphRegressor)):
        one, scaled, without = (
            kind(random_state=0, **options).fit(IRIS, y, sample_weight=given) for given in (weights, weights / 7, None)
        )
        repeated = kind(random_state=0, **options).fit(np.repeat(IRIS, weights, axis=0), np.repeat(y, weights))
        for other, same in ((scaled, True), (repeated, True), (without, False)):
            near = np.allclose(one.params_["dense_W"], other.params_["dense_W"], rtol=1e-6, atol=1e-9)
            assert near == same
        with pytest.raises(ValueError, match=r"expected weights with a positive mean for sample_weight, found -1\.0"):
            one.fit(IRIS, y, sample_weight=-np.ones(150))
        with pytest.raises(ValueError, match="weight"):
            one.fit(IRIS, y, sample_weight=np.zeros(150))


def test_of_a_model_without_weights_whole_ones_repeat_examples() -> None:
    y, weights = RNG.normal(size=150), RNG.integers(0, 3, 150)
    one = gx.GraphRegressor(LINE, optimizer="lbfgs").fit(IRIS, y, sample_weight=weights.astype(float))
    other = gx.GraphRegressor(LINE, optimizer="lbfgs").fit(np.repeat(IRIS, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_array_equal(one.params_["w"], other.params_["w"])
    for wrong in (weights + 0.5, -weights):
        with pytest.raises(ValueError, match="expected a model with an input `sample_weight: Input"):
            gx.GraphRegressor(LINE).fit(IRIS, y, sample_weight=wrong)


def test_ensembles_weight_their_members() -> None:
    member = quick(hidden=(), epochs=20, optimizer="adam(lr=0.1)")
    bagged = quick(SOFTMAX, optimizer="lbfgs")
    assert AdaBoostClassifier(member, n_estimators=3, random_state=0).fit(IRIS, NAMES).score(IRIS, NAMES) > 0.9
    assert BaggingClassifier(bagged, n_estimators=2, random_state=0).fit(IRIS, NAMES).score(IRIS, NAMES) > 0.8


def test_weights_are_passed_on_when_they_are_requested() -> None:
    y, model = IRIS @ [1.0, 2.0, -1.0, 0.0], gx.GraphRegressor(WEIGHTED, epochs=3, optimizer="lbfgs")
    weights = np.where(np.arange(len(y)) % 2, 1.0, np.nan)
    with sklearn.config_context(enable_metadata_routing=True):
        model.set_fit_request(sample_weight=True)
        with pytest.raises(ValueError, match="Input sample_weight contains NaN"):
            cross_val_score(model, IRIS, y, params={"sample_weight": weights}, error_score="raise")


def test_several_targets_are_refused() -> None:
    with pytest.raises(ValueError, match="y should be a 1d array, got an array of shape"):
        gx.GraphRegressor().fit(IRIS, np.ones((len(IRIS), 2)))


# A model that is no classifier of iris, what is said of it, and where.
NO_CLASSIFIER = {
    "no X": (SOFTMAX.replace("X", "Z"), "expected the inputs X and y, found no X among Z, y", (1, 1)),
    "no y": (
        SOFTMAX.replace("y", "t").replace("cross_entropt", "cross_entropy"),
        "expected the inputs X and y, found no y among X, t",
        (1, 1),
    ),
    "a vector X": (
        SOFTMAX.replace("X: Input[N, features]", "X: Input[N]").replace("dense(X,", "dense(X[:, None],"),
        "expected X: Input[N, features], any number of rows, found float64[N]",
        (1, 1),
    ),
    "no scores": (
        SOFTMAX.replace("probs", "p").replace("logits: Output", "logits"),
        "expected an output probs or logits with a column for each class, found loss, p",
        (1, 1),
    ),
    "four classes": (
        SOFTMAX.replace("dense(X, classes)", "dense(X, 4)"),
        "expected float64[N, 3] for probs, found float64[N, 4]",
        (5, 17),
    ),
    "two classes": (LOGISTIC, "expected y: int64[N] for 3 classes, found y: float64[N]", (2, 1)),
    "labels to predict": (
        SOFTMAX.replace("softmax(logits)", "softmax(logits + y[:, None])"),
        "expected probs to be computed from X alone, found that it takes y",
        (5, 17),
    ),
}
NO_REGRESSOR = {
    "a column": (
        LINE.replace("= X @ w + b", "= (X @ w + b)[:, None]").replace("mse(prediction, y)", "mse(prediction[:, 0], y)"),
        "expected float64[N] for prediction, found float64[N, 1]",
        (5, 22),
    ),
    "two of them": (
        LINE.replace("prediction", "found") + "error: Output = found - y\n",
        "expected an output prediction, or only one with a number for each example, found found, error",
        (1, 1),
    ),
    "none": (
        LINE.replace("prediction: Output", "prediction"),
        "expected an output prediction, or only one with a number for each example, found loss",
        (1, 1),
    ),
    "the answer to predict": (
        LINE.replace("X @ w + b", "X @ w + b + 0 * y"),
        "expected prediction to be computed from X alone, found that it takes y",
        (5, 22),
    ),
}


@pytest.mark.parametrize(("text", "message", "place"), NO_CLASSIFIER.values(), ids=NO_CLASSIFIER)
def test_a_model_that_is_no_classifier(text: str, message: str, place: tuple[int, int]) -> None:
    check_misfit(quick(text), KIND, message, place)


@pytest.mark.parametrize(("text", "message", "place"), NO_REGRESSOR.values(), ids=NO_REGRESSOR)
def test_a_model_that_is_no_regressor(text: str, message: str, place: tuple[int, int]) -> None:
    check_misfit(gx.GraphRegressor(text), IRIS[:, 0], message, place)


def check_misfit(estimator: Any, y: Any, message: str, place: tuple[int, int]) -> None:
    with pytest.raises(GraphcError) as caught:
        estimator.fit(IRIS, y)
    (found,) = caught.value.diagnostics
    assert (found.code, found.message) == ("GC519", message)
    assert found.span is not None and (found.span.line, found.span.column) == place
    with pytest.raises(NotFittedError):
        estimator.predict(IRIS)


def test_a_prediction_of_any_name_will_do() -> None:
    found = gx.GraphRegressor(LINE.replace("prediction", "guess"), optimizer="lbfgs").fit(IRIS[:, :3], IRIS[:, 3])
    np.testing.assert_allclose(found.predict(IRIS[:, :3]), IRIS[:, :3] @ found.params_["w"] + found.params_["b"])
    assert found.score(IRIS[:, :3], IRIS[:, 3]) > 0.9


def test_data_that_do_not_fit_the_model() -> None:
    with pytest.raises(GraphcError, match=r"expected the shape \(N, 5\) for X, found \(150, 4\)"):
        quick(SOFTMAX.replace("features", "5")).fit(IRIS, KIND)
    with pytest.raises(ValueError, match="X has 3 features, but GraphClassifier is expecting 4 features"):
        quick(epochs=1).fit(IRIS, KIND).predict(IRIS[:, :3])
    with pytest.raises(ValueError, match="expected at least two classes in y, found one class, 1"):
        quick().fit(IRIS, np.ones(150, int))
    with pytest.raises(ValueError, match=r"expected no sizes for a compiled model, found \{'width': 3\}"):
        quick(gx.compile(SOFTMAX, sizes={"features": 4, "classes": 3}), sizes={"width": 3}).fit(IRIS, KIND)
    with pytest.raises(GraphcError, match="GC417"):
        quick(optimizer="adan").fit(IRIS, KIND)
    with pytest.raises(GraphcError, match=r"GC101.*unknown name Z"):
        quick("X: Input[N, features]\nloss: Output = mean(Z)").fit(IRIS, KIND)


def test_a_training_that_fails_leaves_the_one_before() -> None:
    found = quick(SOFTMAX).fit(IRIS, KIND)
    before = found.predict_proba(IRIS)
    with pytest.raises(GraphcError, match="GC514"):
        found.set_params(model=None, optimizer="gradient_descent(lr=1e300)").fit(IRIS, KIND)
    np.testing.assert_array_equal(found.predict_proba(IRIS), before)


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_scikit_learn_is_imported_by_its_estimators_alone() -> None:
    code = "import sys, graphc; graphc.fit; print('sklearn' in sys.modules)"
    assert python(code) == "False\n"


def test_without_scikit_learn_the_error_says_what_to_install() -> None:
    code = (
        "import sys, graphc; sys.modules['sklearn'] = None\n"
        "try: graphc.GraphClassifier\n"
        "except graphc.GraphcError as error: print(error)"
    )
    said = python(code)
    assert "error[GC519]: GraphClassifier and GraphRegressor need scikit-learn 1.6 or later, found none" in said
    assert "pip install 'scikit-learn>=1.6'" in said
