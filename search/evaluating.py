"""Sums predictions up: from what a learner predicted of its validation rows to an `Evaluation`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from search.contract import Task
from search.evaluation import (
    BIN_ROWS,
    BINS,
    LEVELS,
    MOST_CLASSES,
    Array,
    Bin,
    Evaluation,
    Measure,
    counts,
    pairs,
    rounded,
)
from search.ranks import ranks

_LEAST: Final = 1e-7  # probability that a loss reckons with, as the shipped objectives do
_ROUGH: Final = 0.01  # by which probabilities of half precision may miss


def evaluated(
    predicted: Array, target: Array, task: Task, *, classes: Sequence[str] = (), variance: float = 0.0
) -> Evaluation:
    """Sum up predictions.

    Args:
        predicted: (rows, classes) probabilities of all classes, (rows,) indices of classes, or (rows,) values.
        target: (rows,): class indices or values.
        task: What is predicted.
        classes: Their names, by index.
        variance: Of the training target, the unit of a regression's loss; 0 where it is not known.

    Raises:
        ValueError: The predictions are not of this shape, not finite, no probabilities, or of no such class.
    """
    predicted, target = np.asarray(predicted), np.asarray(target)
    if predicted.ndim not in (1, 2) or len(predicted) != len(target) or len(target) == 0:
        raise ValueError(f"one prediction for each of {len(target)} rows was expected, got shape {predicted.shape}")
    if not np.isfinite(predicted).all():
        raise ValueError("a prediction is not finite")
    if task.is_classification:
        return _of_classes(predicted, target.astype(np.int64), task, classes)
    if predicted.ndim != 1:
        raise ValueError(f"one value for each row was expected, got shape {predicted.shape}")
    return _of_values(predicted.astype(float), target.astype(float), task, variance)


def _of_classes(predicted: Array, target: Array, task: Task, names: Sequence[str]) -> Evaluation:
    has_odds = predicted.ndim == 2
    count = max(int(target.max()) + 1, len(names))
    if target.min() < 0:
        raise ValueError("a class is an index from 0")
    if has_odds:
        _check_odds(predicted, count)
        count = predicted.shape[1]
    elif (predicted != np.rint(predicted)).any() or predicted.min() < 0 or predicted.max() >= count:
        raise ValueError(f"a class is an index from 0 to {count - 1}; probabilities are of the shape (rows, classes)")
    chosen = predicted.argmax(axis=1) if has_odds else predicted.astype(np.int64)
    hit = chosen == target
    seen = np.bincount(target, minlength=count)
    measures = {"accuracy": _mean(hit), "balanced_accuracy": _balanced(hit, target, seen)}
    bins: tuple[Bin, ...] = ()
    if has_odds:
        measures["log_loss"] = _mean(-np.log(np.maximum(predicted[np.arange(len(target)), target], _LEAST)))
        if count == 2 and seen.all():
            measures["auc"] = _auc(predicted[:, 1], target == 1)
        bins = _bins(predicted[np.arange(len(target)), chosen], hit)
    if count > MOST_CLASSES:
        return Evaluation(task.value, len(target), bins=bins, measures=measures)
    confusion = np.bincount(target * count + chosen, minlength=count * count).reshape(count, count)
    named = tuple(str(name) for name in names) + tuple(str(one) for one in range(len(names), count))
    return Evaluation(task.value, len(target), named, counts(confusion), bins, measures=measures)


def _check_odds(odds: Array, count: int) -> None:
    if odds.shape[1] < max(count, 2):
        raise ValueError(f"a probability of each of {max(count, 2)} classes was expected, got shape {odds.shape}")
    if odds.min() < -_ROUGH or np.abs(odds.sum(axis=1, dtype=float) - 1).max() > _ROUGH:
        raise ValueError("probabilities of a row lie from 0 to 1 and sum up to 1; are they logits?")


def _of_values(predicted: Array, target: Array, task: Task, variance: float) -> Evaluation:
    residual = predicted - target
    squared = _mean(residual**2)
    root = math.sqrt(squared.value)
    measures = {
        "mse": squared,
        "rmse": Measure(root, squared.error / (2 * root) if root > 0 else 0.0),  # the delta method, as below
        "mae": _mean(np.abs(residual)),
    }
    if variance > 0:
        measures["share"] = Measure(squared.value / variance, squared.error / variance)
    around = (target - target.mean()) ** 2
    if around.any():
        left = squared.value / float(around.mean())
        measures["r2"] = Measure(1 - left, _mean((residual**2 - left * around) / around.mean()).error)
    kept = pairs(target, predicted)
    return Evaluation(
        task.value,
        len(target),
        target=kept[0],
        predicted=kept[1],
        residuals=rounded(np.quantile(residual, LEVELS)),
        measures=measures,
    )


def _mean(values: Array) -> Measure:
    values = np.asarray(values, float)
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return Measure(float(values.mean()), spread / math.sqrt(len(values)))


def _balanced(hit: Array, target: Array, seen: Array) -> Measure:
    """Return the mean over the classes of the share that was found, each class a sample of its own."""
    present = seen > 0
    recall = np.bincount(target, weights=hit, minlength=len(seen))[present] / seen[present]
    variance = float((recall * (1 - recall) / seen[present]).sum())
    return Measure(float(recall.mean()), math.sqrt(variance) / int(present.sum()))


def _auc(score: Array, positive: Array) -> Measure:
    """Return the area under the ROC curve with its standard error.

    Source: DeLong, DeLong, Clarke-Pearson, "Comparing the Areas under Two or More Correlated Receiver Operating
    Characteristic Curves", Biometrics 1988; by ranks as in Sun, Xu, IEEE Signal Processing Letters 2014.
    """
    ours, theirs = score[positive], score[~positive]
    over = ranks(score)
    first = (over[positive] - ranks(ours)) / len(theirs)
    second = 1 - (over[~positive] - ranks(theirs)) / len(ours)
    area = float(first.mean())
    error = sum(float(one.var(ddof=1)) / len(one) for one in (first, second) if len(one) > 1)
    return Measure(area, math.sqrt(error))


def _bins(confidence: Array, hit: Array) -> tuple[Bin, ...]:
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(len(order), max(5, min(BINS, len(order) // BIN_ROWS))))
    return tuple(
        Bin(round(float(confidence[part].mean()), 6), round(float(hit[part].mean()), 6), len(part)) for part in parts
    )
