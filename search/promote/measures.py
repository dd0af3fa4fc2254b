"""Measures of predictions on rows that no training saw, each with what every row adds to it: the `Measured`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from search.contract import Direction, Task
from search.errors import RefusedError
from search.evaluation import BIN_ROWS, BINS
from search.ranks import ranks

Array: TypeAlias = "np.ndarray[Any, Any]"

LEAST_PROBABILITY: Final = 1e-7
"""That a log loss reckons with, as the search's own loss does: one wrong row costs 16.1 nats at most."""

DIRECTIONS: Final[Mapping[str, Direction]] = {
    "accuracy": "maximize",
    "balanced_accuracy": "maximize",
    "auc": "maximize",
    "log_loss": "minimize",
    "brier": "minimize",
    "calibration_error": "minimize",
    "loss": "minimize",
    "rmse": "minimize",
    "mae": "minimize",
    "r2": "maximize",
}
"""Every measure, and which way is better."""

UNITS: Final[Mapping[str, str]] = {
    "log_loss": "nats",
    "loss": "share of the training target's variance",
    "rmse": "units of the target",
    "mae": "units of the target",
}

BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    "accuracy": (0.0, 1.0),
    "balanced_accuracy": (0.0, 1.0),
    "auc": (0.0, 1.0),
    "log_loss": (0.0, -math.log(LEAST_PROBABILITY)),
    "brier": (0.0, 2.0),  # of two classes 1
    "calibration_error": (0.0, 1.0),
    "loss": (0.0, math.inf),
    "rmse": (0.0, math.inf),
    "mae": (0.0, math.inf),
    "r2": (-math.inf, 1.0),
}


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A measure of some rows.

    Attributes:
        value: Of all rows.
        influence: (rows,): what each row adds to it, of mean 0: the value on other rows of the same kind has the
            standard error of their mean. Of a mean over rows, the row's own value less the mean.
    """

    value: float
    influence: Array


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Predictions of some rows beside the truth, checked.

    Attributes:
        prediction: (rows, classes) probabilities, or (rows,) values in units of the target.
        target: (rows,) class indices or values.
        task: What is predicted.
        variance: Of a regression's training target, the unit of its loss.
        threshold: Of two classes: probability from which on the second one is given; None: the likelier one.
        kept: What was measured before.
    """

    prediction: Array
    target: Array
    task: Task
    variance: float = 1.0
    threshold: float | None = None
    kept: dict[str, Measured | None] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        expected = 2 if self.task.is_classification else 1
        if self.prediction.ndim != expected or len(self.prediction) != len(self.target) or not len(self.target):
            shape = self.prediction.shape
            raise ValueError(f"a prediction for each of {len(self.target)} rows was expected, got shape {shape}")
        wrong = ~np.isfinite(self.prediction)
        if wrong.any():
            count = int((wrong.any(axis=1) if expected == 2 else wrong).sum())
            said = f"the model predicts NaN or infinity for {count:,} of {len(self.target):,} test rows"
            raise RefusedError(said, field="trial")
        if expected == 2 and not 0 <= int(self.target.min()) <= int(self.target.max()) < self.prediction.shape[1]:
            raise ValueError(f"a class is an index below {self.prediction.shape[1]}, got {int(self.target.max())}")

    @property
    def label(self) -> Array:
        """(rows,): the class that is given."""
        if self.threshold is not None:
            return (self.prediction[:, 1] >= self.threshold).astype(np.int64)
        label: Array = np.argmax(self.prediction, axis=1)
        return label

    @property
    def hit(self) -> Array:
        """(rows,): whether it is the right one."""
        hit: Array = self.label == self.target
        return hit

    def of(self, rows: Array) -> Judged:
        """Return some of the rows, by a mask or by their numbers."""
        return Judged(self.prediction[rows], self.target[rows], self.task, self.variance, self.threshold)


def measure(
    prediction: Array, target: Array, task: Task, *, variance: float = 1.0, threshold: float | None = None
) -> dict[str, float]:
    """Measure predictions.

    Classification: `accuracy`, `balanced_accuracy` (mean over the classes that occur of the share found), `auc` (of
    two classes the usual area, of more the mean of one class against the rest over the classes that occur),
    `log_loss`, `brier` (of two classes the squared error of the second one's probability, of more the sum over the
    classes, as scikit-learn has it) and `calibration_error` (at most 15 bins of equal size by the probability of the
    class that is given, each of 20 rows if that leaves five bins: the mean distance of a bin's accuracy from its mean
    probability). Regression: `loss` (squared error in units of the training target's variance), `rmse`, `mae`, `r2`.

    What the rows do not define is left out: `auc` where one class occurs, `r2` where the target is constant.

    Args:
        prediction: (rows, classes) probabilities, or (rows,) values in units of the target.
        target: (rows,) class indices or values.
        task: What is predicted.
        variance: Of a regression's training target; 0 counts as 1.
        threshold: Of two classes: probability from which on the second one is given.

    Raises:
        RefusedError: A prediction is not finite.
        ValueError: The shapes do not fit.
    """
    return values(Judged(prediction, target, task, variance or 1.0, threshold))


def values(judged: Judged) -> dict[str, float]:
    """Return all measures of some rows, as `measure` does."""
    found = {name: one.value for name in smooth(judged.task) if (one := measured(judged, name)) is not None}
    if judged.task.is_classification:
        found["calibration_error"] = calibration(judged)[0]
    return found


def smooth(task: Task) -> tuple[str, ...]:
    """Return the measures to which each row adds its part: all but the calibration error."""
    return tuple(_OF_CLASSES if task.is_classification else _OF_VALUES)


def measured(judged: Judged, name: str) -> Measured | None:
    """Return one of the `smooth` measures; None where the rows do not define it."""
    if name not in judged.kept:
        judged.kept[name] = (_OF_CLASSES if judged.task.is_classification else _OF_VALUES)[name](judged)
    return judged.kept[name]


def areas(judged: Judged) -> dict[int, Measured]:
    """Return the area under the ROC curve of each class that has rows on both sides; of two classes that of the second.

    The influences are the placements of DeLong, DeLong and Clarke-Pearson, Biometrics 1988, by ranks as in Sun and Xu,
    IEEE Signal Processing Letters 2014.
    """
    count = judged.prediction.shape[1]
    found = {}
    for column in [1] if count == 2 else range(count):
        positive = judged.target == column
        rows, ours = len(positive), int(positive.sum())
        if ours in (0, rows):
            continue
        score = judged.prediction[:, column]
        over = ranks(score)
        influence = np.empty(rows)
        influence[positive] = (over[positive] - ranks(score[positive])) / (rows - ours)
        influence[~positive] = 1 - (over[~positive] - ranks(score[~positive])) / ours
        area = float(influence[positive].mean())
        influence -= area
        influence[positive] *= rows / ours
        influence[~positive] *= rows / (rows - ours)
        found[column] = Measured(area, influence)
    return found


def calibration(judged: Judged) -> tuple[float, Array, Array, Array]:
    """Return the calibration error and its bins: gap, standard error of the gap, share of the rows.

    A gap is the bin's mean probability of the class that is given, less the share of rows where it is right. Its
    error is the larger one of what the rows show and of what they would show if the probabilities were right.
    """
    label, rows = judged.label, np.arange(len(judged.target))
    sure = judged.prediction[rows, label].astype(np.float64)
    gap = sure - (label == judged.target)
    order = np.argsort(sure, kind="stable")
    count = min(len(order), max(5, min(BINS, len(order) // BIN_ROWS)))
    edges = np.linspace(0, len(order), count + 1).round().astype(int)[:-1]
    sizes = np.diff([*edges, len(order)])
    mean, square = (np.add.reduceat(part[order], edges) / sizes for part in (gap, gap**2))
    chance = np.add.reduceat((sure * (1 - sure)).clip(0)[order], edges) / sizes
    error = np.sqrt(np.maximum(np.maximum(square - mean**2, 0.0), chance) / sizes)
    share = sizes / len(order)
    return float(share @ np.abs(mean)), mean, error, share


def _accuracy(judged: Judged) -> Measured:
    return _mean(judged.hit.astype(np.float64))


def _balanced(judged: Judged) -> Measured:
    target, hit, count = judged.target, judged.hit, judged.prediction.shape[1]
    seen = np.bincount(target, minlength=count)
    present = seen > 0
    recall = np.bincount(target, weights=hit, minlength=count) / np.maximum(seen, 1)
    weight = len(target) / (np.maximum(seen, 1) * int(present.sum()))
    return Measured(float(recall[present].mean()), (hit - recall[target]) * weight[target])


def _auc(judged: Judged) -> Measured | None:
    each = [*areas(judged).values()]
    if not each:
        return None
    influence: Array = np.zeros(len(judged.target))
    for one in each:
        influence += one.influence / len(each)
    return Measured(float(np.mean([one.value for one in each])), influence)


def _log_loss(judged: Judged) -> Measured:
    own = judged.prediction[np.arange(len(judged.target)), judged.target].astype(np.float64)
    return _mean(-np.log(np.clip(own, LEAST_PROBABILITY, 1.0)))


def _brier(judged: Judged) -> Measured:
    """Sum over the classes without a table of them all."""
    prediction = judged.prediction
    own = prediction[np.arange(len(judged.target)), judged.target].astype(np.float64)
    if prediction.shape[1] == 2:
        return _mean((1 - own) ** 2)
    return _mean(np.einsum("ij,ij->i", prediction, prediction, dtype=np.float64) - own**2 + (1 - own) ** 2)


def _loss(judged: Judged) -> Measured:
    squared = _mean(_errors(judged) ** 2)
    return Measured(squared.value / judged.variance, squared.influence / judged.variance)


def _rmse(judged: Judged) -> Measured:
    squared = _mean(_errors(judged) ** 2)
    root = math.sqrt(squared.value)
    return Measured(root, squared.influence / (2 * root) if root > 0 else squared.influence)


def _mae(judged: Judged) -> Measured:
    return _mean(np.abs(_errors(judged)))


def _r2(judged: Judged) -> Measured | None:
    target, squares = judged.target.astype(np.float64), _errors(judged) ** 2
    around = (target - target.mean()) ** 2
    spread = float(around.mean())
    if spread <= 0:
        return None
    left = float(squares.mean()) / spread
    return Measured(1 - left, (left * around - squares) / spread)


def _errors(judged: Judged) -> Array:
    return judged.prediction.astype(np.float64) - judged.target


def _mean(rows: Array) -> Measured:
    value = float(rows.mean())
    return Measured(value, rows - value)


_OF_CLASSES: Final[Mapping[str, Callable[[Judged], Measured | None]]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced,
    "auc": _auc,
    "log_loss": _log_loss,
    "brier": _brier,
}
_OF_VALUES: Final[Mapping[str, Callable[[Judged], Measured | None]]] = {
    "loss": _loss,
    "rmse": _rmse,
    "mae": _mae,
    "r2": _r2,
}
