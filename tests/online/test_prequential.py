"""Metrics of answers that were given before the label was known, against what scikit-learn finds of the same rows.

Mutations that turn these red: measure more rows than the window, or all rows alike where they fade; count classes that
do not occur; give 0 where a metric is undefined; let one answer that is not finite spoil what comes after; drop a sum
in JSON.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn import metrics

from search.online.prequential import Prequential

CLASSES = ("calm", "rain", "snow")


def classified(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.dirichlet([0.5, 1.0, 2.0], rows).astype(np.float32), random.choice(3, rows, p=[0.1, 0.3, 0.6])


def measured(answers: np.ndarray, targets: np.ndarray, **given: int | float) -> Prequential:
    found = Prequential(CLASSES if answers.ndim == 2 else (), **given)  # type: ignore[arg-type]
    for answer, target in zip(answers, targets, strict=True):
        found.update(answer, float(target))
    return found


def weights(rows: int, fading: float) -> np.ndarray:
    return fading ** np.arange(rows)[::-1]


def test_rolling_metrics_of_classes_are_those_of_the_newest_rows() -> None:
    answers, targets = classified(500)
    told = measured(answers, targets, window=200).summary()
    newest, truth = answers[-200:].astype(float), targets[-200:]
    found = newest.argmax(axis=1)
    recall = metrics.recall_score(truth, found, average=None)
    precision = metrics.precision_score(truth, found, average=None)
    log_loss = -np.log(np.maximum(newest[np.arange(200), truth], 1e-7)).mean()
    assert told["rows"] == 500
    rolling = told["rolling"]
    assert rolling["accuracy"] == pytest.approx(metrics.accuracy_score(truth, found))
    assert rolling["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, found))
    assert rolling["log_loss"] == pytest.approx(log_loss)
    assert [one["rows"] for one in rolling["classes"].values()] == np.bincount(truth).tolist()
    assert [one["recall"] for one in rolling["classes"].values()] == pytest.approx(recall.tolist())
    assert [one["precision"] for one in rolling["classes"].values()] == pytest.approx(precision.tolist())


def test_fading_metrics_of_classes_weigh_rows_by_their_age() -> None:
    answers, targets = classified(500)
    told = measured(answers, targets, fading=0.99).summary()["fading"]
    weight, found = weights(500, 0.99), answers.argmax(axis=1)
    log_losses = -np.log(np.maximum(answers[np.arange(500), targets].astype(float), 1e-7))
    assert told == {
        "accuracy": pytest.approx(np.average(found == targets, weights=weight)),
        "log_loss": pytest.approx(np.average(log_losses, weights=weight)),
        "balanced_accuracy": pytest.approx(metrics.balanced_accuracy_score(targets, found, sample_weight=weight)),
    }


def test_metrics_of_values_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(1)
    targets = random.normal(5, 2, 600)
    answers = targets + random.normal(0, 1, 600)
    told = measured(answers, targets, window=150, fading=0.99).summary()
    for name, truth, answer, weight in (
        ("rolling", targets[-150:], answers[-150:], None),
        ("fading", targets, answers, weights(600, 0.99)),
    ):
        assert told[name] == {
            "mae": pytest.approx(metrics.mean_absolute_error(truth, answer, sample_weight=weight)),
            "rmse": pytest.approx(metrics.root_mean_squared_error(truth, answer, sample_weight=weight)),
            "r2": pytest.approx(metrics.r2_score(truth, answer, sample_weight=weight)),
        }


def test_what_no_row_defines_is_none() -> None:
    nothing = {"rows": 0, "recall": None, "precision": None}
    undefined = {"accuracy": None, "log_loss": None, "balanced_accuracy": None}
    assert Prequential(("a",)).summary() == {
        "rows": 0,
        "rolling": {**undefined, "classes": {"a": nothing}},
        "fading": undefined,
    }
    undefined = {"mae": None, "rmse": None, "r2": None}
    assert Prequential(()).summary() == {"rows": 0, "rolling": undefined, "fading": undefined}
    one = measured(np.array([2.0]), np.array([3.0])).summary()
    assert one["rolling"] == one["fading"] == {"mae": 1.0, "rmse": 1.0, "r2": None}


def test_classes_that_do_not_occur_have_no_part_in_the_balanced_accuracy() -> None:
    told = measured(np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]]), np.array([0, 0])).summary()
    assert told["rolling"]["balanced_accuracy"] == 0.5
    assert told["fading"]["balanced_accuracy"] == pytest.approx(0.5, abs=1e-3)
    assert told["rolling"]["classes"]["rain"] == {"rows": 0, "recall": None, "precision": 0.0}
    assert told["rolling"]["classes"]["snow"] == {"rows": 0, "recall": None, "precision": None}


def test_a_class_gone_for_long_leaves_the_fading_balanced_accuracy() -> None:
    answers = np.array([[0.9, 0.1, 0.0]] * 400)
    told = measured(answers, np.array([1] + [0] * 399), fading=0.99).summary()
    assert told["fading"]["balanced_accuracy"] == 1.0


def test_a_threshold_gives_the_second_class() -> None:
    found = Prequential(("no", "yes"), threshold=0.3)
    found.update(np.array([0.6, 0.4]), 1)
    assert found.summary()["rolling"]["accuracy"] == 1.0


def test_probabilities_that_are_not_finite_are_a_wrong_class() -> None:
    told = measured(np.array([[math.nan, 0.5, 0.5], [0.1, 0.9, 0.0]]), np.array([0, 1])).summary()
    assert told["rolling"]["accuracy"] == 0.5
    assert told["rolling"]["log_loss"] == pytest.approx((-math.log(1e-7) - math.log(0.9)) / 2)
    assert [one["precision"] for one in told["rolling"]["classes"].values()] == [None, 1.0, None]


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_undefines_the_newest_and_passes_by(wrong: float) -> None:
    answers = np.array([1.0, wrong, 1.0])
    told = measured(answers, np.array([0.0, 0.0, 0.0]), window=2).summary()
    assert told["rolling"]["mae"] is None
    assert told["fading"]["mae"] == 1.0
    told = measured(np.array([wrong, 1.0, 3.0]), np.array([0.0, 0.0, 1.0]), window=2).summary()
    assert told["rolling"]["mae"] == 1.5


def test_huge_values_give_finite_metrics_or_none() -> None:
    told = measured(np.array([1e300, -1e300, 0.0] * 400), np.array([-1e300, 1e300, 1.0] * 400)).summary()
    numbers = [*told["rolling"].values(), *told["fading"].values()]
    assert all(one is None or math.isfinite(one) for one in numbers)
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize("classes", [CLASSES, ()])
@pytest.mark.parametrize("rows", [0, 1, 130])
def test_kept_as_json_it_goes_on_as_if_nothing_had_been(classes: tuple[str, ...], rows: int) -> None:
    answers, targets = classified(rows + 120) if classes else (np.random.default_rng(2).normal(size=rows + 120),) * 2
    answers[rows // 2] = math.nan
    found = Prequential(classes, window=100, fading=0.95)
    for at in range(rows):
        found.update(answers[at], targets[at])
    again = Prequential.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False)))
    assert again.summary() == found.summary()
    for at in range(rows, rows + 120):
        found.update(answers[at], 0.5 if not classes else targets[at])
        again.update(answers[at], 0.5 if not classes else targets[at])
    assert again.summary() == found.summary()
    assert again.to_json() == found.to_json()
