"""How sure a trial's value is, by its repeats, its folds or the rows that it was measured on: the `Uncertainty`."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from search.evaluation import Measure
from search.records.history import Floats, History
from search.variation import ROUNDING, Z, error_of_folds, measured, scores_of_folds, wilson

LEVEL: Final = 0.95
"""Of every interval."""


class Uncertainty(NamedTuple):
    """A trial's value of the first searched metric, and where it would lie if it were measured again.

    Attributes:
        value: In natural sign.
        low: Of the 95% interval.
        high: The same.
        how: What the interval is reckoned from, in words: `over 3 trainings with different seeds`.
        error: Standard error of the value.
        freedom: Degrees of freedom of that error; infinite of many rows.
    """

    value: float
    low: float
    high: float
    how: str
    error: float
    freedom: float = math.inf


def uncertainty(history: History, number: int | None = None) -> Uncertainty | None:
    """Return how sure the value of a trial is; None where one training on one validation part is all that is known.

    Args:
        history: Of the study.
        number: Of the trial; the best one if left out.
    """
    chosen = history.best if number is None else number
    if chosen is None or not np.isfinite(history.values[chosen, 0]):
        return None
    return _of_replicates(history, chosen) or _of_folds(history, chosen) or _of_rows(history, chosen)


def width(freedom: float) -> float:
    """Return how many standard errors an interval goes to either side."""
    if math.isinf(freedom):
        return Z
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + LEVEL / 2))


def fold_scores(history: History, number: int) -> Floats | None:
    """Return a trial's own score on each of its folds; None where they are not known."""
    count = history.plan.folds
    reported = history.reports.values[history.metrics[0]][history.reports.of(number)]
    if count < 2 or history.plan.replicates > 1 or len(reported) != count or not np.isfinite(reported).all():
        return None
    compared = "wilcoxon" in history.plan.pruner
    return scores_of_folds(reported, float(history.values[number, 0]), compared=compared)


def _of_replicates(history: History, number: int) -> Uncertainty | None:
    count, spread = history.plan.replicates, history.measured.get(f"{history.metrics[0]}_sd")
    if count < 2 or spread is None or not np.isfinite(spread[number]):
        return None
    error = float(spread[number]) / math.sqrt(count)
    return _around(history, number, error, count - 1, f"over {count} trainings with different seeds")


def _of_folds(history: History, number: int) -> Uncertainty | None:
    scores = fold_scores(history, number)
    if scores is None:
        return None
    told = f"over {len(scores)} folds, widened for the training rows that they share"
    return _around(history, number, error_of_folds(scores), len(scores) - 1, told)


def _of_rows(history: History, number: int) -> Uncertainty | None:
    if number != history.best or history.evaluation is None or history.plan.folds or history.plan.replicates > 1:
        return None  # of several trainings the rows say nothing of how these differ
    value = float(history.values[number, 0])
    found = measured(history.evaluation, value)
    if found is None:
        return None
    told = f"over {found.rows:,} validation rows, one training"
    if found.name == "accuracy":
        low, high = wilson(found.measure.value, found.rows)
        low, high = (low, high) if value >= 0 else (-high, -low)
        return Uncertainty(value, low, high, told, found.error)
    around = _around(history, number, found.error, math.inf, told)
    return None if around is None else _within(found.name, found.measure, around)


def _within(name: str, measure: Measure, found: Uncertainty) -> Uncertainty:
    """Keep an interval to what the measure can be."""
    least = 0.0 if name != "r2" and found.value >= 0 and measure.value >= 0 else -math.inf
    most = 1.0 if name in ("balanced_accuracy", "auc", "r2") else math.inf
    return found._replace(low=max(least, found.low), high=min(most, found.high))


def _around(history: History, number: int, error: float, freedom: float, how: str) -> Uncertainty | None:
    """Return the interval of an error; None of 0, which is no certainty: nothing varied in what was repeated."""
    value, half = float(history.values[number, 0]), width(freedom) * error
    if not error > ROUNDING * abs(value):
        return None
    return Uncertainty(value, value - half, value + half, how, error, freedom)
