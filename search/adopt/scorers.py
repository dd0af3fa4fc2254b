"""scikit-learn's scorers as metrics of ours: by name, in their natural sign, checked against a target: `Scorer`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import check_scoring, get_scorer, get_scorer_names, make_scorer

from search.adopt.all_classes import with_all_classes
from search.contract import Dataset, Direction, Metric, Task
from search.errors import InputError, did_you_mean

_CLASSIFICATION: Final = ("accuracy", "neg_log_loss")
_REGRESSION: Final = ("r2", "neg_root_mean_squared_error")
_SAMPLE: Final = 200  # rows that a check needs, beside one of each class


@dataclass(frozen=True, slots=True)
class Scorer:
    """A scorer of scikit-learn's.

    Attributes:
        name: scikit-learn's, such as `neg_log_loss`.
        direction: Of the natural sign, unless the user says another.
    """

    name: str
    direction: Direction

    @property
    def metric(self) -> Metric:
        """What it measures, in its natural sign: `val_log_loss`, to be minimized."""
        return Metric(f"val_{self.name.removeprefix('neg_')}", self.direction)

    @property
    def sign(self) -> int:
        """What makes the natural sign of what the scorer returns."""
        return -1 if self.name.startswith("neg_") else 1

    def function(self, classes: int) -> Any:
        """Return scikit-learn's function of (estimator, features, target); `classes` is how many there are."""
        own = get_scorer(self.name)
        response = getattr(own, "_response_method", None)
        if response != "predict_proba" and self.name != "top_k_accuracy":
            return own
        return make_scorer(  # of rows among which a class may be missing
            own._score_func,
            greater_is_better=own._sign > 0,
            response_method=response,
            labels=np.arange(classes),
            **own._kwargs,
        )


def scorer_of(name: str) -> Scorer:
    """Return the scorer of a name: scikit-learn's own, or a metric's (`val_log_loss`).

    Raises:
        InputError: There is none.
    """
    known, plain = get_scorer_names(), name.removeprefix("val_")
    for found in (plain, f"neg_{plain}"):
        if found in known:
            return Scorer(found, "minimize" if found.startswith("neg_") else "maximize")
    hint = did_you_mean(plain, known)
    raise InputError(
        f"unknown metric {name!r}: scikit-learn has no scorer {plain!r}",
        field="--metric",
        hint=hint if hint.startswith("did") else "try accuracy, roc_auc, neg_log_loss or r2",
    )


def defaults_for(task: Task, estimator: Any) -> list[Scorer]:
    """Return what is measured of an estimator in any case."""
    names = _CLASSIFICATION if task.is_classification else _REGRESSION
    return [one for one in map(scorer_of, names) if not lacking(one, estimator)]


def lacking(scorer: Scorer, estimator: Any) -> str:
    """Return the method that a scorer needs and an estimator lacks; "" if it lacks none."""
    needed = getattr(get_scorer(scorer.name), "_response_method", None) or "predict"
    methods = (needed,) if isinstance(needed, str) else tuple(needed)
    return "" if any(hasattr(estimator, method) for method in methods) else " or ".join(methods)


def check(scorer: Scorer, estimator: Any, dataset: Dataset) -> None:
    """Check that a scorer can score this kind of target, and this estimator, on a guess of a few rows.

    Raises:
        InputError: It cannot.
    """
    missing = lacking(scorer, estimator)
    if missing:
        hint = "use SVC(probability=True)" if type(estimator).__name__ == "SVC" else "try --metric accuracy"
        raise InputError(
            f"{scorer.name} needs {missing}, which {type(estimator).__name__} lacks", field="--metric", hint=hint
        )
    some = np.arange(min(_SAMPLE, len(dataset.target)))
    if dataset.task.is_classification:
        some = np.union1d(some, np.unique(dataset.target, return_index=True)[1])
    target = dataset.target[some]
    try:
        measure([scorer], guess(dataset.task, target), np.zeros((len(target), 1)), target, len(dataset.classes))
    except ValueError as error:
        finer = [name for name in get_scorer_names() if name.startswith(f"{scorer.name}_")]
        raise InputError(
            f"{scorer.name} cannot score this target ({' '.join(str(error).split())[:80]})",
            field="--metric",
            hint=f"try --metric {finer[0]}" if finer else "",
        ) from error


def guess(task: Task, target: np.ndarray[Any, Any]) -> Any:
    """Return an estimator that predicts the frequencies of the classes, or the mean, whatever the features."""
    naive = DummyClassifier(strategy="prior") if task.is_classification else DummyRegressor()
    return naive.fit(np.zeros((len(target), 1)), target)


def measure(
    scorers: Sequence[Scorer],
    estimator: Any,
    features: Any,
    target: np.ndarray[Any, Any],
    classes: int,
    *,
    shown: Callable[[np.ndarray[Any, Any]], None] | None = None,
) -> Mapping[str, float]:
    """Measure a fitted estimator; what several scorers need is predicted once.

    Args:
        scorers: Of the metrics.
        estimator: Fitted.
        features: (rows, ...).
        target: (rows,).
        classes: How many there are; 0 of numbers.
        shown: Is given what was predicted: probabilities, of an estimator without them classes; or numbers.
    """
    functions = {one.metric.name: one.function(classes) for one in scorers}
    if shown is not None:
        functions["shown"] = _showing(shown, "predict_proba" if classes and hasattr(estimator, "predict_proba") else "")
    together = check_scoring(estimator, functions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is not defined: the metric is then nan, which ends the trial
        found = together(with_all_classes(estimator, classes), features, target)
    return {one.metric.name: one.sign * float(found[one.metric.name]) for one in scorers}


def _showing(shown: Callable[[np.ndarray[Any, Any]], None], method: str) -> Any:
    """Return a scorer that only passes on what was predicted: scikit-learn predicts once for all that score it."""

    def score(_: Any, predicted: np.ndarray[Any, Any], **__: Any) -> float:
        is_second_class = method and predicted.ndim == 1  # of two, scikit-learn hands on the probability of one
        shown(np.column_stack([1 - predicted, predicted]) if is_second_class else predicted)
        return 0.0

    return make_scorer(score, response_method=method or "predict")
