"""Measure predictions: the metrics that the tabular and image objectives declare, all of them always finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from search.contract import Context, Metric, Part, Task

CLASSIFICATION: Final = (
    Metric("val_loss", "minimize", "nats"),
    Metric("val_accuracy", "maximize"),
    Metric("val_balanced_accuracy", "maximize"),
    Metric("val_auc", "maximize"),
)
REGRESSION: Final = (
    Metric("val_loss", "minimize", "share of the target's variance"),
    Metric("val_rmse", "minimize", "units of the target"),
    Metric("val_mae", "minimize", "units of the target"),
    Metric("val_r2", "maximize"),
)

# One wrong prediction at probability 0 costs 16 nats, not infinity; the step of float32 below 1.
_LEAST_PROBABILITY: Final = 1e-7

Array = np.ndarray[Any, Any]


class Shown:
    """What a learner shows of its validation rows: the prediction that its `evaluate` kept in `_predicted`."""

    _predicted: Array | None = None

    def predicted(self) -> Array:
        """Return what the last `evaluate` predicted.

        Raises:
            RuntimeError: There was none.
        """
        if self._predicted is None:
            raise RuntimeError("there is a prediction to show only after `evaluate`")
        return self._predicted


def class_count(train: Part, context: Context) -> int:
    """Return how many classes there are; train rows may lack some of them."""
    return max(len(context.classes), int(train.target.max()) + 1)


def score(prediction: Array, validation: Part, train: Part, context: Context) -> Mapping[str, float]:
    """Measure a prediction of the validation rows.

    Args:
        prediction: (rows, classes) probabilities, or (rows,) values in units of the target.
        validation: The true values.
        train: Gives the unit of a regression's loss where `context` has none: the variance of its target.
        context: Says what is predicted, and in which unit a loss is.
    """
    if context.task is Task.REGRESSION:
        return score_values(prediction, validation.target, variance=context.target_variance or target_variance(train))
    return score_probabilities(prediction, validation.target)


def target_variance(train: Part) -> float:
    """Return the variance of the training target, or 1 if it is constant."""
    variance = float(np.var(train.target))
    return variance if variance > 0 else 1.0


def score_probabilities(probabilities: Array, target: Array) -> Mapping[str, float]:
    """Measure class probabilities: log loss, accuracy, balanced accuracy and area under the ROC curve.

    Balanced accuracy and AUC are means over the classes that occur in `target`; of two classes the AUC is the usual
    one, of more it is one class against the rest.

    Args:
        probabilities: (rows, classes); rows sum to 1.
        target: (rows,) class indices.
    """
    rows = np.arange(len(target))
    hit = np.argmax(probabilities, axis=1) == target
    counts = np.bincount(target, minlength=probabilities.shape[1])
    present = counts > 0
    recall = np.bincount(target, weights=hit, minlength=probabilities.shape[1])[present] / counts[present]
    certain = np.maximum(probabilities[rows, target].astype(np.float64), _LEAST_PROBABILITY)
    return {
        "val_loss": float(-np.log(certain).mean()),
        "val_accuracy": float(hit.mean()),
        "val_balanced_accuracy": float(recall.mean()),
        "val_auc": _auc(probabilities, target, counts),
    }


def score_values(prediction: Array, target: Array, *, variance: float) -> Mapping[str, float]:
    """Measure predicted values.

    Args:
        prediction: (rows,) in units of the target.
        target: (rows,).
        variance: What 1 means in `val_loss`, so that 1 is about the loss of always predicting the mean.
    """
    error = np.asarray(prediction, dtype=np.float64) - target
    squared = float(np.mean(error**2))
    spread = float(np.var(target))
    return {
        "val_loss": squared / variance,
        "val_rmse": squared**0.5,
        "val_mae": float(np.mean(np.abs(error))),
        "val_r2": 1.0 - squared / spread if spread > 0 else 0.0,
    }


def naive(train: Part, validation: Part, context: Context) -> Mapping[str, float]:
    """Measure the prediction that ignores all features: the frequencies of the classes in train, or the mean."""
    rows = len(validation.target)
    if context.task is Task.REGRESSION:
        return score(np.full(rows, train.target.mean()), validation, train, context)
    frequencies = np.bincount(train.target, minlength=class_count(train, context)) / len(train.target)
    return score(np.tile(frequencies, (rows, 1)), validation, train, context)


def _auc(probabilities: Array, target: Array, counts: Array) -> float:
    """Return the mean over the classes of how often a row of the class outranks a row of another (ties: half)."""
    from scipy.stats import rankdata

    # The second column alone gives the area of two classes; the first would only repeat it.
    columns = [1] if len(counts) == 2 else range(len(counts))
    areas = []
    for column in columns:
        positives = int(counts[column])
        negatives = len(target) - positives
        if positives == 0 or negatives == 0:
            continue
        ranks = rankdata(probabilities[:, column])[target == column]
        areas.append((ranks.sum() - positives * (positives + 1) / 2) / (positives * negatives))
    return float(np.mean(areas)) if areas else 0.5
