"""Predictions in sum: counts and measures that are right, that stand a round trip, and that folds put together."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score

from search.contract import Task
from search.evaluating import evaluated
from search.evaluation import BINS, LEVELS, MOST_CLASSES, MOST_PAIRS, Bin, Evaluation, Measure, evaluation_in, together

DICE = np.random.default_rng(3)
TRUE = DICE.integers(0, 2, 400)
ODDS = np.clip(0.5 + 0.3 * (TRUE - 0.5) + 0.25 * DICE.normal(size=400), 0.01, 0.99)
TWO = np.column_stack([1 - ODDS, ODDS])
VALUES = DICE.normal(size=5000)


def three_rows() -> Evaluation:
    odds = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    return evaluated(odds, np.array([0, 0, 1]), Task.BINARY, classes=["no", "yes"])


def test_counts_bins_and_accuracy_of_three_rows() -> None:
    found = three_rows()
    assert (found.task, found.rows, found.classes) == ("binary", 3, ("no", "yes"))
    assert found.confusion == ((1, 1), (0, 1))
    assert found.bins == (Bin(0.6, 0.0, 1), Bin(0.8, 1.0, 1), Bin(0.9, 1.0, 1))
    assert found.measures["accuracy"] == Measure(pytest.approx(2 / 3), pytest.approx(1 / 3))  # type: ignore[arg-type]


def test_measures_of_classes_are_those_of_scikit_learn() -> None:
    measures = evaluated(TWO, TRUE, Task.BINARY).measures
    assert measures["log_loss"].value == pytest.approx(log_loss(TRUE, TWO))
    assert measures["auc"].value == pytest.approx(roc_auc_score(TRUE, ODDS))
    assert measures["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(TRUE, ODDS > 0.5))


def test_standard_errors_are_what_a_bootstrap_finds() -> None:
    target, predicted = VALUES[:400], VALUES[:400] + 0.5 * VALUES[400:800]
    for given in ((TWO, TRUE, Task.BINARY), (predicted, target, Task.REGRESSION)):
        measures = evaluated(*given, variance=2.0).measures
        again = bootstrapped(*given)
        assert {name: one.error for name, one in measures.items()} == pytest.approx(again, rel=0.2)


def bootstrapped(predicted: Any, target: Any, task: Task) -> dict[str, float]:
    """Return the deviation of every measure over draws of the rows."""
    dice = np.random.default_rng(0)
    draws = [dice.integers(0, len(target), len(target)) for _ in range(200)]
    found = [evaluated(predicted[one], target[one], task, variance=2.0).measures for one in draws]
    return {name: float(np.std([one[name].value for one in found])) for name in found[0]}


def test_of_a_regression_rows_are_chosen_evenly_and_the_largest_errors_are_known() -> None:
    predicted = VALUES.copy()
    predicted[7] += 50
    found = evaluated(predicted, VALUES, Task.REGRESSION, variance=4.0)
    assert len(found.target) == len(found.predicted) == MOST_PAIRS
    assert list(found.target) == sorted(found.target)
    assert found.target[0] == pytest.approx(VALUES.min(), rel=1e-6)
    assert found.residuals[LEVELS.index(1.0)] == 50
    assert found.residuals[LEVELS.index(0.5)] == 0
    assert found.measures["share"].value == pytest.approx(found.measures["mse"].value / 4)


def test_classes_without_probabilities_have_counts_and_no_calibration() -> None:
    found = evaluated(np.array([0, 1, 1]), np.array([0, 1, 0]), Task.BINARY, classes=["a", "b"])
    assert found.confusion == ((1, 1), (0, 1))
    assert found.bins == ()
    assert set(found.measures) == {"accuracy", "balanced_accuracy"}


def test_fewer_probabilities_than_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"each of 3 classes was expected, got shape \(2, 2\)"):
        evaluated(np.full((2, 2), 0.5), np.array([0, 1]), Task.MULTICLASS, classes=["a", "b", "c"])


def test_of_very_many_classes_no_matrix_is_kept() -> None:
    count = MOST_CLASSES + 1
    found = evaluated(np.eye(count), np.arange(count), Task.MULTICLASS, classes=[str(one) for one in range(count)])
    assert (found.classes, found.confusion, found.measures["accuracy"].value) == ((), (), 1.0)


@pytest.mark.parametrize(
    ("predicted", "task"),
    [
        (np.ones((2, 2)), Task.BINARY),
        (np.full((3, 2), np.nan), Task.BINARY),
        (np.array([0, -1, 1]), Task.BINARY),
        (np.array([0.1, 0.9, 0.8]), Task.BINARY),
        (np.array([[0.1], [0.9], [0.8]]), Task.BINARY),
        (np.array([[0.5, 0.5], [3.0, -2.0], [0.5, 0.5]]), Task.BINARY),
        (np.array([[0.5, 0.2], [0.5, 0.5], [0.5, 0.5]]), Task.BINARY),
        (np.array([0, 1, 10**13]), Task.BINARY),
        (np.ones((3, 2, 1)), Task.BINARY),
        (np.ones((3, 1)), Task.REGRESSION),
        (np.array([1.0, np.inf, 0.0]), Task.REGRESSION),
    ],
)
def test_predictions_of_another_shape_or_not_finite_are_refused(predicted: Any, task: Task) -> None:
    with pytest.raises(ValueError, match=r"expected|finite|index|sum up to 1"):
        evaluated(predicted, np.array([0, 1, 1]), task)


MADE = {
    "classes": three_rows(),
    "many bins": evaluated(TWO, TRUE, Task.BINARY),
    "values": evaluated(VALUES + 1, VALUES, Task.REGRESSION, variance=1.0),
}


@pytest.mark.parametrize("found", MADE.values(), ids=MADE)
def test_it_stands_a_round_trip_through_json(found: Evaluation) -> None:
    assert Evaluation.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found


@pytest.mark.parametrize(
    "change",
    [
        {"task": "guessing"},
        {"classes": ["a"]},
        {"confusion": [[1, 2], [3]]},
        {"target": [1.0]},
        {"residuals": [1.0]},
        {"bins": [[0.5, float("nan"), 3]]},
        {"measures": {"accuracy": [float("inf"), 0.1]}},
        {"measures": None},
        {"rows": 0},
        {"bins": [[0.5, 0.5, 0]]},
        {"bins": [[0.5, 0.5, 1]] * (BINS + 1)},
        {"target": [0.0] * (MOST_PAIRS + 1), "predicted": [0.0] * (MOST_PAIRS + 1)},
    ],
)
def test_what_describes_no_evaluation_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        Evaluation.from_json({**three_rows().to_json(), **change})
    assert evaluation_in({**three_rows().to_json(), **change}) is None


def test_folds_together_count_every_row_once() -> None:
    parts = [evaluated(TWO[rows], TRUE[rows], Task.BINARY) for rows in (slice(0, 100), slice(100, 400))]
    found, whole = together(parts), evaluated(TWO, TRUE, Task.BINARY)
    assert (found.rows, found.confusion) == (400, whole.confusion)
    assert sum(one.rows for one in found.bins) == 400
    assert len(found.bins) <= BINS
    means = [
        float(np.average([b.accuracy for b in one.bins], weights=[b.rows for b in one.bins])) for one in (found, whole)
    ]
    assert means[0] == pytest.approx(means[1], abs=1e-5)
    assert found.measures["accuracy"].value == pytest.approx(sum(one.measures["accuracy"].value for one in parts) / 2)


def test_folds_of_a_regression_keep_as_many_rows_as_one() -> None:
    parts = [evaluated(VALUES + shift, VALUES, Task.REGRESSION) for shift in (-1.0, 2.0)]
    found = together(parts)
    assert (found.rows, len(found.target)) == (10_000, MOST_PAIRS)
    assert [found.residuals[0], found.residuals[-1]] == pytest.approx([-1, 2])
