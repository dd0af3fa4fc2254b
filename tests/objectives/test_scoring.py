"""Rules of the metrics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from objectives import scoring
from search.contract import Context, Part, Task

CLASSES = ("a", "b", "c")


def _probabilities(rows: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.dirichlet(np.ones(classes), rows), random.integers(0, classes, rows)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_class_metrics_equal_scikit_learns(classes: int) -> None:
    found, target = _probabilities(200, classes)
    scores = scoring.score_probabilities(found, target)
    area = sk.roc_auc_score(target, found[:, 1] if classes == 2 else found, multi_class="ovr")
    assert scores["val_loss"] == pytest.approx(sk.log_loss(target, found))
    assert scores["val_accuracy"] == pytest.approx(sk.accuracy_score(target, found.argmax(1)))
    assert scores["val_balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(target, found.argmax(1)))
    assert scores["val_auc"] == pytest.approx(area)


def test_ties_count_half_in_the_area() -> None:
    found = np.array([[0.5, 0.5], [0.5, 0.5], [0.2, 0.8], [0.9, 0.1]])
    target = np.array([0, 1, 1, 0])
    assert scoring.score_probabilities(found, target)["val_auc"] == pytest.approx(sk.roc_auc_score(target, found[:, 1]))


def test_value_metrics_equal_scikit_learns() -> None:
    random = np.random.default_rng(0)
    target, found = random.normal(size=50), random.normal(size=50)
    scores = scoring.score_values(found, target, variance=4.0)
    assert scores["val_loss"] == pytest.approx(sk.mean_squared_error(target, found) / 4)
    assert scores["val_rmse"] == pytest.approx(sk.root_mean_squared_error(target, found))
    assert scores["val_mae"] == pytest.approx(sk.mean_absolute_error(target, found))
    assert scores["val_r2"] == pytest.approx(sk.r2_score(target, found))


@pytest.mark.parametrize(
    ("found", "target"),
    [
        pytest.param(np.eye(3)[[1, 2, 0]], np.array([0, 1, 2]), id="sure and wrong"),
        pytest.param(np.eye(3)[[0, 0, 0]], np.array([0, 0, 0]), id="one class only"),
        pytest.param(np.eye(3)[[1]], np.array([0]), id="one row"),
        pytest.param(np.full((2, 2), 0.5), np.array([1, 1]), id="one of two classes only"),
    ],
)
def test_class_metrics_are_always_finite(found: np.ndarray, target: np.ndarray) -> None:
    assert all(math.isfinite(value) for value in scoring.score_probabilities(found, target).values())


def test_a_constant_target_has_finite_scores() -> None:
    train = Part(None, np.full(5, 3.0))
    scores = scoring.naive(train, train, Context(task=Task.REGRESSION))
    assert scores == {"val_loss": 0.0, "val_rmse": 0.0, "val_mae": 0.0, "val_r2": 0.0}


def test_the_naive_prediction_of_a_number_has_a_loss_of_one() -> None:
    train = Part(None, np.random.default_rng(0).normal(10, 3, 1000))
    scores = scoring.naive(train, train, Context(task=Task.REGRESSION))
    assert scores["val_loss"] == pytest.approx(1.0)
    assert scores["val_r2"] == pytest.approx(0.0)


def test_the_naive_prediction_of_a_class_is_its_frequency_in_train() -> None:
    train, validation = Part(None, np.array([0, 0, 0, 1])), Part(None, np.array([0, 1]))
    scores = scoring.naive(train, validation, Context(task=Task.BINARY, classes=("no", "yes")))
    assert scores["val_loss"] == pytest.approx(-(math.log(0.75) + math.log(0.25)) / 2)
    assert scores["val_accuracy"] == 0.5
    assert scores["val_auc"] == 0.5


def test_a_class_without_a_training_row_can_be_scored() -> None:
    train, validation = Part(None, np.array([0, 1, 1])), Part(None, np.array([0, 2]))
    scores = scoring.naive(train, validation, Context(task=Task.MULTICLASS, classes=CLASSES))
    assert all(math.isfinite(value) for value in scores.values())


@pytest.mark.parametrize("task", list(Task))
def test_every_declared_metric_is_measured_and_no_other(task: Task) -> None:
    declared = scoring.REGRESSION if task is Task.REGRESSION else scoring.CLASSIFICATION
    classes = {Task.BINARY: CLASSES[:2], Task.MULTICLASS: CLASSES, Task.REGRESSION: ()}[task]
    target = np.array([0, 1, 1, 0]) if task.is_classification else np.array([0.0, 1.0, 2.0, 3.0])
    part = Part(None, target)
    assert [metric.name for metric in declared] == list(scoring.naive(part, part, Context(task=task, classes=classes)))
