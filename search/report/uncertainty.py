"""How sure a trial's value is, by its repeats, its folds or the rows that it was measured on: the `Uncertainty`."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from search.evaluation import Measure
from search.records.history import Floats, History

LEVEL: Final = 0.95
"""Of every interval."""

_Z: Final = 1.959964  # of a normal distribution, at that level
_ROUNDING: Final = 1e-12  # of a value: an error below that is one of reckoning
_SAME: Final = 1e-6  # two ways of reckoning one number differ by no more, relatively


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
        return _Z
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + LEVEL / 2))


def fold_scores(history: History, number: int) -> Floats | None:
    """Return a trial's own score on each of its folds; None where they are not known.

    What is reported is these for a pruner that compares trials fold by fold, and the means so far for any other. A
    study's pruner may have been changed, so that whichever comes to the trial's value is taken.
    """
    count = history.plan.folds
    reported = history.reports.values[history.metrics[0]][history.reports.of(number)]
    if count < 2 or history.plan.replicates > 1 or len(reported) != count or not np.isfinite(reported).all():
        return None
    undone = np.diff(np.arange(1, count + 1) * reported, prepend=0.0)
    order = (reported, undone) if "wilcoxon" in history.plan.pruner else (undone, reported)
    return next((one for one in order if math.isclose(one.mean(), history.values[number, 0], rel_tol=_SAME)), None)


def error_of_folds(scores: Floats) -> float:
    """Return the standard error of a mean over folds, or over the differences of two trials on the same folds.

    Folds share most of their training rows, so that the plain error is too small; the second term makes up for it.
    Source: Nadeau, Bengio, "Inference for the Generalization Error", Machine Learning 2003.
    """
    count = len(scores)
    return float(scores.std(ddof=1)) * math.sqrt(1 / count + 1 / (count - 1))


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
    value, rows = float(history.values[number, 0]), history.evaluation.rows
    for name, measure in history.evaluation.measures.items():
        if not math.isclose(abs(measure.value), abs(value), rel_tol=_SAME, abs_tol=1e-12):
            continue
        told = f"over {rows:,} validation rows, one training"
        if name == "accuracy":
            low, high = wilson(measure.value, rows)
            low, high = (low, high) if value >= 0 else (-high, -low)
            return Uncertainty(value, low, high, told, measure.error or (high - low) / (2 * _Z))
        found = _around(history, number, measure.error, math.inf, told)
        return None if found is None else _within(name, measure, found)
    return None


def wilson(share: float, rows: float) -> tuple[float, float]:
    """Return the 95% interval of a share. Source: Wilson, Journal of the American Statistical Association 1927."""
    z = _Z**2 / rows
    middle = (share + z / 2) / (1 + z)
    half = _Z / (1 + z) * math.sqrt(share * (1 - share) / rows + z / (4 * rows))
    return max(0.0, middle - half), min(1.0, middle + half)


def _within(name: str, measure: Measure, found: Uncertainty) -> Uncertainty:
    """Keep an interval to what the measure can be."""
    least = 0.0 if name != "r2" and found.value >= 0 and measure.value >= 0 else -math.inf
    most = 1.0 if name in ("balanced_accuracy", "auc", "r2") else math.inf
    return found._replace(low=max(least, found.low), high=min(most, found.high))


def _around(history: History, number: int, error: float, freedom: float, how: str) -> Uncertainty | None:
    """Return the interval of an error; None of 0, which is no certainty: nothing varied in what was repeated."""
    value, half = float(history.values[number, 0]), width(freedom) * error
    if not error > _ROUNDING * abs(value):
        return None
    return Uncertainty(value, value - half, value + half, how, error, freedom)
