"""Models as estimators of scikit-learn, for its pipelines and searches: `GraphClassifier` and `GraphRegressor`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphc.compiled_model import Model
from graphc.compiler import compile
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError, GraphcWarning
from graphc.optimizer import Optimizer
from graphc.size import size_names
from graphc.training.fit import fit
from graphc.training.roles import PROBABILITIES, SCORES, check_classifier, regression_output

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as fault:
    raise GraphcError(
        Diagnostic(
            "GC519",
            f"GraphClassifier and GraphRegressor need scikit-learn 1.6 or later, found none or an older one: {fault}",
            hint="`pip install 'scikit-learn>=1.6'`",
        )
    ) from None

Array = NDArray[Any]
Definition: TypeAlias = "str | os.PathLike[str] | Callable[..., Any] | Model"

SAMPLE_WEIGHT = "sample_weight"
"""The input that scikit-learn has a name for: how much each example counts, 1 unless it is given."""

WEIGHTS = f"{SAMPLE_WEIGHT}: Input[N]"

HIDDEN = (32,)
"""The hidden layers of a network that nobody has described."""


class _Compiled(NamedTuple):
    """A model that predicts, and what `fit` takes for the one that learns."""

    predicts: Model
    source: Definition
    options: Mapping[str, Any]


class _GraphEstimator(BaseEstimator):  # type: ignore[misc]
    """What classifiers and regressors share: the parameters, and how they are learned."""

    model_: Model
    params_: dict[str, Array]

    def __init__(
        self,
        model: Definition | None = None,
        *,
        hidden: Sequence[int] | None = None,
        sizes: Mapping[str, int] | None = None,
        epochs: int = 200,
        batch: int | None = 32,
        optimizer: str | Optimizer | None = None,
        holdout: float = 0.0,
        patience: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.model = model
        self.hidden = hidden
        self.sizes = sizes
        self.epochs = epochs
        self.batch = batch
        self.optimizer = optimizer
        self.holdout = holdout
        self.patience = patience
        self.random_state = random_state

    def _compile(self, default: Callable[[str, bool], str], numbers: Mapping[str, int], weighted: bool) -> _Compiled:
        if self.model is not None and self.hidden is not None:
            raise ValueError(f"hidden is for the model that there is without one, found both, hidden={self.hidden!r}")
        lines = [*([WEIGHTS] if weighted else []), _layers(HIDDEN if self.hidden is None else self.hidden)]
        definition = default("\n".join(lines), weighted) if self.model is None else self.model
        if isinstance(definition, Model):
            if self.sizes:
                raise ValueError(f"expected no sizes for a compiled model, found {self.sizes!r}")
            return _Compiled(definition, definition, {})
        sizes = _sizes(definition, numbers, self.sizes or {})
        with warnings.catch_warnings():
            # Labels, for instance, are not needed to predict; of all else, training warns.
            warnings.simplefilter("ignore", GraphcWarning)
            predicts = compile(definition, gradient=False, training=False, sizes=sizes)
        return _Compiled(predicts, definition, {"sizes": sizes})

    def _learn(self, compiled: _Compiled, data: Mapping[str, Any], sample_weight: Any) -> None:
        given = {name: value for name, value in data.items() if value is not None}
        declared = [str(node.attrs["name"]) for node in compiled.predicts.graph.inputs]
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, given["X"])
        if SAMPLE_WEIGHT in declared:
            given[SAMPLE_WEIGHT] = np.ones(len(given["X"])) if weights is None else self._scaled(weights)
        elif weights is not None:
            given = _repeated(given, weights)
        if unknown := [name for name in given if name not in declared]:
            listed = ", ".join(declared)
            raise TypeError(f"fit() got an unexpected keyword argument {unknown[0]!r}, the model takes {listed}")
        found = fit(
            compiled.source,
            given,
            epochs=self.epochs,
            batch=self.batch,
            optimizer=self.optimizer,
            holdout=self.holdout,
            patience=self.patience,
            seed=_seed(self.random_state),
            **compiled.options,
        )
        self.model_ = compiled.predicts
        self.params_ = found.params
        self.history_ = found.history
        self.loss_curve_ = [epoch.loss for epoch in found.history]
        self.n_iter_ = len(found.history)

    def _scaled(self, weights: Array) -> Array:
        """Weights as the loss takes them: the model's own is given them as they are, else their mean is 1."""
        if self.model is not None:
            return weights
        if not weights.mean() > 0:
            raise ValueError(f"expected weights with a positive mean for sample_weight, found {weights.mean()}")
        scaled: Array = weights / weights.mean()
        return scaled

    def _output(self, name: str, X: Any) -> Array:
        """An output of the model for some examples."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        found: Array = getattr(self.model_.module, name)(self.params_, X)
        return found

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there are parameters: a training may have failed after the data were looked at."""
        return hasattr(self, "params_")


def _has(output: str) -> Callable[[_GraphEstimator], bool]:
    """Whether a model has an output; before it is compiled, it may."""

    def check(estimator: _GraphEstimator) -> bool:
        if hasattr(estimator, "model_") and output not in estimator.model_.graph.outputs:
            listed = ", ".join(estimator.model_.graph.outputs)
            raise AttributeError(f"expected a model with an output {output}, found {listed}")
        return True

    return check


class GraphClassifier(ClassifierMixin, _GraphEstimator):  # type: ignore[misc]
    """A model as a classifier of scikit-learn.

    Parameters
    ----------
    model : model text, path, callable or Model, optional
        What `compile` takes, with the inputs ``X: Input[N, features]``, a row for each example, and
        ``y: Input[N, int64]``, the number of its class; ``y: Input[N]``, 0 or 1, will do for two classes. Its outputs
        are a loss and ``probs``, ``logits`` or both: a column for each class, or of two classes the second. The names
        ``features`` and ``classes`` stand for how many there are. By default a network.
    hidden : sequence of int, optional
        The hidden layers of this network, how many units each has: ``(32,)``; none of them is softmax regression.
    sizes : mapping of str to int, optional
        Numbers for other free sizes of the model.
    epochs, batch, optimizer, holdout, patience
        As of `fit`.
    random_state : int, RandomState or None
        What settles the initial parameters, what is held out and the order of examples.

    Attributes
    ----------
    classes_ : array
        The labels, sorted.
    model_ : Model
        The model that predicts.
    params_ : dict
        Its parameters.
    history_ : tuple of Epoch
        How training went.
    loss_curve_ : list of float
        The loss of each epoch.
    n_iter_ : int
        How many epochs there were.
    n_features_in_ : int
    feature_names_in_ : array of str
        Where the data have names for their columns.

    Raises
    ------
    GraphcError
        GC519 at the import, without scikit-learn, and in `fit`, for a model that is no classifier; what
        `graphc.fit` raises.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> bool(GraphClassifier(optimizer="lbfgs", epochs=50, random_state=0).fit(X, y).score(X, y) > 0.9)
    True
    """

    classes_: Array

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **inputs: Any) -> GraphClassifier:
        """Learn from examples, their labels and how much each counts; other inputs of the model are given by name."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"expected at least two classes in y, found one class, {classes[0]}")
        sizes = {"features": X.shape[1], "classes": len(classes)}
        compiled = self._compile(_classifier_text, sizes, sample_weight is not None)
        check_classifier(compiled.predicts, len(classes))
        declared = next(node.tensor for node in compiled.predicts.graph.inputs if node.attrs["name"] == "y")
        self._learn(compiled, {"X": X, "y": labels.astype(declared.dtype), **inputs}, sample_weight)
        self.classes_ = classes
        return self

    def predict(self, X: Any) -> Array:
        """The label of each example: that with the greatest score."""
        check_is_fitted(self)
        if SCORES in self.model_.graph.outputs:
            scores = self._output(SCORES, X)
            chosen = scores > 0 if scores.ndim == 1 else scores.argmax(axis=1)
        else:
            chosen = self.predict_proba(X).argmax(axis=1)
        found: Array = self.classes_[np.asarray(chosen, np.intp)]
        return found

    @available_if(_has(PROBABILITIES))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, a row for each example: the output ``probs``."""
        probs = self._output(PROBABILITIES, X)
        return np.stack([1 - probs, probs], axis=1) if probs.ndim == 1 else probs

    @available_if(_has(SCORES))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> Array:
        """The output ``logits``: a score for each class; of two classes, by how much the second is ahead."""
        scores = self._output(SCORES, X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1:] == (2,) else scores


class GraphRegressor(RegressorMixin, _GraphEstimator):  # type: ignore[misc]
    """A model as a regressor of scikit-learn.

    Parameters
    ----------
    model : model text, path, callable or Model, optional
        What `compile` takes, with the inputs ``X: Input[N, features]``, a row for each example, and ``y: Input[N]``.
        Its outputs are a loss and ``prediction``, which may have another name where there is no third. The name
        ``features`` stands for how many there are. By default a network.
    hidden : sequence of int, optional
        The hidden layers of this network, how many units each has: ``(32,)``; none of them is linear regression.
    sizes : mapping of str to int, optional
        Numbers for other free sizes of the model.
    epochs, batch, optimizer, holdout, patience
        As of `fit`.
    random_state : int, RandomState or None
        What settles the initial parameters, what is held out and the order of examples.

    Attributes
    ----------
    model_, params_, history_, loss_curve_, n_iter_, n_features_in_, feature_names_in_
        As of `GraphClassifier`.

    Raises
    ------
    GraphcError
        As `GraphClassifier`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> bool(GraphRegressor(hidden=(), optimizer="lbfgs", random_state=0).fit(X, y).score(X, y) > 0.5)
    True
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **inputs: Any) -> GraphRegressor:
        """Learn from examples, their numbers and how much each counts; other inputs of the model are given by name."""
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        compiled = self._compile(_regressor_text, {"features": X.shape[1]}, sample_weight is not None)
        regression_output(compiled.predicts)
        self._learn(compiled, {"X": X, "y": y, **inputs}, sample_weight)
        return self

    def predict(self, X: Any) -> Array:
        """The number that the model predicts for each example."""
        check_is_fitted(self)
        return self._output(regression_output(self.model_), X)


def _classifier_text(layers: str, weighted: bool) -> str:
    return f"""\
X: Input[N, features]
y: Input[N, int64]
{layers}
logits: Output = dense(h, classes)
loss: Output = mean({f"{SAMPLE_WEIGHT} * " if weighted else ""}cross_entropy(logits, y))
probs: Output = softmax(logits)
"""


def _regressor_text(layers: str, weighted: bool) -> str:
    return f"""\
X: Input[N, features]
y: Input[N]
{layers}
prediction: Output = dense(h, 1)[:, 0]
loss: Output = {f"mean({SAMPLE_WEIGHT} * square(prediction - y))" if weighted else "mse(prediction, y)"}
"""


def _layers(hidden: object) -> str:
    if not isinstance(hidden, Sequence) or not all(isinstance(n, (int, np.integer)) and n > 0 for n in hidden):
        raise ValueError(f"expected a sequence of positive whole numbers for hidden, found {hidden!r}")
    return "\n".join(["h = X", *(f"h = relu(dense(h, {units}))" for units in hidden)])


def _repeated(given: Mapping[str, Any], weights: Array) -> dict[str, Any]:
    """Examples for a model that takes no weights: each as often as its weight says."""
    counts = weights.astype(np.intp)
    if (counts != weights).any() or (counts < 0).any() or {*given} != {"X", "y"}:
        message = f"expected a model with an input `{WEIGHTS}`, which its loss uses, or whole numbers as weights"
        raise ValueError(f"{message} of X and y alone, found neither")
    return {name: np.repeat(array, counts, axis=0) for name, array in given.items()}


def _sizes(definition: Definition, numbers: Mapping[str, int], given: Mapping[str, int]) -> dict[str, int]:
    """The numbers for a model's free sizes: those that are given, and those of the data where it has such sizes."""
    try:
        graph = compile(definition, gradient=False, sizes=given).graph
    except GraphcError:
        # It cannot be read without them, or not at all, which reading it with them will tell.
        return {**numbers, **given}
    leaves = (*graph.inputs, *graph.params)
    free = {name for node in leaves for size in node.tensor.shape for name in size_names(size)}
    return {**{name: number for name, number in numbers.items() if name in free}, **given}


def _seed(random_state: Any) -> int:
    """The seed of a training, itself where it is a number."""
    generator = check_random_state(random_state)
    return int(random_state) if isinstance(random_state, Integral) else int(generator.randint(2**31 - 1))
