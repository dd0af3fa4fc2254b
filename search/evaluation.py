"""How a model does on the validation rows, in counts small enough to keep: the `Evaluation`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from search.contract import Task

Array: TypeAlias = "np.ndarray[Any, Any]"

MOST_CLASSES: Final = 100
"""Classes of a confusion matrix; of more none is kept."""

MOST_PAIRS: Final = 2_000
"""Rows of a regression that are kept, target and prediction."""

BINS: Final = 15
"""Parts of equal size, by confidence, at most; each has `BIN_ROWS` rows if that leaves five of them.

Source: Guo et al., "On Calibration of Modern Neural Networks", 2017."""

BIN_ROWS: Final = 20

LEVELS: Final = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Of the residuals' quantiles."""


class Bin(NamedTuple):
    """Rows whose predicted class has about the same probability.

    Attributes:
        confidence: Mean probability of the predicted class.
        accuracy: Share of rows that are of it.
        rows: How many.
    """

    confidence: float
    accuracy: float
    rows: int


class Measure(NamedTuple):
    """A mean over rows, with its standard error: what it would vary by on other rows of the same kind."""

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Predictions of validation rows, in sum.

    Attributes:
        task: What is predicted.
        rows: How many there are.
        classes: Their names; of more than `MOST_CLASSES` (), as of a regression.
        confusion: (classes, classes): rows by their class and then by the one that was predicted.
        bins: Of the calibration, by rising confidence; () where there are no probabilities.
        target: Of a regression: of at most `MOST_PAIRS` rows, evenly chosen by rising target.
        predicted: Of the same rows.
        residuals: Quantiles at `LEVELS` of prediction less target, over all rows.
        measures: By name: `accuracy`, `balanced_accuracy`, `log_loss`, `auc` of two classes; or `mse`, `share` (of the
            variance of the training target), `rmse`, `mae`, `r2`.
    """

    task: str
    rows: int
    classes: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    bins: tuple[Bin, ...] = ()
    target: tuple[float, ...] = ()
    predicted: tuple[float, ...] = ()
    residuals: tuple[float, ...] = ()
    measures: Mapping[str, Measure] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {
            "task": self.task,
            "rows": self.rows,
            "classes": [*self.classes],
            "confusion": [[*row] for row in self.confusion],
            "bins": [[*one] for one in self.bins],
            "target": [*self.target],
            "predicted": [*self.predicted],
            "residuals": [*self.residuals],
            "measures": {name: [*one] for name, one in self.measures.items()},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Evaluation:
        """Return what `to_json` described.

        Raises:
            ValueError, TypeError, KeyError, OverflowError, AttributeError: It described none.
        """
        classes = tuple(map(str, values["classes"]))
        confusion = tuple(tuple(map(int, row)) for row in values["confusion"])
        target, predicted = _floats(values["target"]), _floats(values["predicted"])
        residuals = _floats(values["residuals"])
        if {len(confusion), *map(len, confusion)} != {len(classes)} or len(classes) > MOST_CLASSES:
            raise ValueError("a confusion matrix has a row and a column for each class")
        if len(target) != len(predicted) or len(residuals) not in (0, len(LEVELS)):
            raise ValueError("there is a prediction for each target, and a residual for each level")
        rows, bins = int(values["rows"]), tuple(Bin(_float(a), _float(b), int(c)) for a, b, c in values["bins"])
        if min([rows, *(one.rows for one in bins)]) < 1 or len(target) > MOST_PAIRS or len(bins) > BINS:
            raise ValueError("there are rows, in each bin as well, and no more bins and pairs than are kept")
        return cls(
            task=Task(values["task"]).value,
            rows=rows,
            classes=classes,
            confusion=confusion,
            bins=bins,
            target=target,
            predicted=predicted,
            residuals=residuals,
            measures={str(name): Measure(_float(one), _float(two)) for name, (one, two) in values["measures"].items()},
        )


def evaluation_in(values: Any) -> Evaluation | None:
    """Return what `to_json` described; None where it described none: figures are drawn from it, and nothing depends."""
    try:
        return Evaluation.from_json(values)
    except (ValueError, TypeError, KeyError, OverflowError, AttributeError):
        return None


def together(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Return the evaluations of several folds as one; each row is in one of them.

    Args:
        evaluations: At least one, all of the same task and classes.
    """
    first, count = evaluations[0], len(evaluations)
    if count == 1:
        return first
    target = np.concatenate([one.target for one in evaluations])
    predicted = np.concatenate([one.predicted for one in evaluations])
    kept = pairs(target, predicted)
    confusion: Array = np.array([one.confusion for one in evaluations], np.int64).sum(axis=0)
    shared = [name for name in first.measures if all(name in one.measures for one in evaluations)]
    return Evaluation(
        task=first.task,
        rows=sum(one.rows for one in evaluations),
        classes=first.classes,
        confusion=counts(confusion),
        bins=_rebinned([one for each in evaluations for one in each.bins]),
        target=kept[0],
        predicted=kept[1],
        residuals=_joined_residuals(evaluations, predicted - target),
        measures={
            name: Measure(
                math.fsum(one.measures[name].value for one in evaluations) / count,
                math.sqrt(math.fsum(one.measures[name].error ** 2 for one in evaluations)) / count,
            )
            for name in shared
        },
    )


def pairs(target: Array, predicted: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return targets and predictions of at most `MOST_PAIRS` rows, evenly chosen by rising target."""
    order = np.argsort(target, kind="stable")
    if len(order) > MOST_PAIRS:
        order = order[np.linspace(0, len(order) - 1, MOST_PAIRS).round().astype(int)]
    return rounded(target[order]), rounded(predicted[order])


def rounded(values: Array) -> tuple[float, ...]:
    """Return values with the seven digits that a figure could use."""
    return tuple(float(f"{value:.7g}") for value in values.tolist())


def counts(matrix: Array) -> tuple[tuple[int, ...], ...]:
    """Return a matrix of whole numbers as tuples."""
    return tuple(tuple(row) for row in matrix.tolist())


def _rebinned(bins: Sequence[Bin]) -> tuple[Bin, ...]:
    """Put bins of about the same confidence together until there are `BINS` of about the same size."""
    if not bins:
        return ()
    found = np.array(sorted(bins), float)
    rows = found[:, 2]
    place = ((np.cumsum(rows) - rows / 2) / rows.sum() * BINS).astype(int)
    made = []
    for one in np.unique(place):
        part = found[place == one]
        mean = np.average(part[:, :2], axis=0, weights=part[:, 2])
        made.append(Bin(round(float(mean[0]), 6), round(float(mean[1]), 6), int(part[:, 2].sum())))
    return tuple(made)


def _joined_residuals(evaluations: Sequence[Evaluation], sample: Array) -> tuple[float, ...]:
    """Return the quantiles over all folds: the outermost are known, those between are of the rows that were kept."""
    if not len(sample):
        return ()
    found = np.quantile(sample, LEVELS)
    found[0] = min(one.residuals[0] for one in evaluations)
    found[-1] = max(one.residuals[-1] for one in evaluations)
    return rounded(found)


def _floats(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(map(_float, values))


def _float(value: Any) -> float:
    found = float(value)
    if not math.isfinite(found):
        raise ValueError(f"a finite number was expected, got {found}")
    return found
