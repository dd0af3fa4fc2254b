"""Compares two models on the same rows: the `Difference`, with an interval that knows that they were the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from search.contract import Task
from search.errors import InputError, did_you_mean
from search.promote.intervals import Interval, Limits, studentised, wilson
from search.promote.means import student
from search.promote.measures import DIRECTIONS, Array, Judged, Measured, measured, smooth


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better one model is than another on the same rows.

    Attributes:
        metric: That was measured.
        ours, theirs: Its value of either.
        gain: Positive where ours is better, whichever way the metric goes.
        low, high: Of the gain, at 95 %; None of fewer than eight rows, but for accuracies and areas, and of an area
            where a class has a single row.
    """

    metric: str
    ours: float
    theirs: float
    gain: float
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Difference:
        """Return what `to_json` described."""
        return cls(**values)


def paired(
    metric: str,
    ours: Array,
    theirs: Array,
    target: Array,
    *,
    task: Task,
    variance: float = 1.0,
    thresholds: tuple[float | None, float | None] = (None, None),
    seed: int = 0,
) -> Difference:
    """Compare two models by a metric on the same rows.

    Most rows are as hard for one model as for the other, so the difference is far surer than either value. The interval
    of a difference of accuracies is Newcombe's (method 10 of "Improved confidence intervals for the difference between
    binomial proportions based on paired data", Statistics in Medicine 1998), that of balanced accuracies the mean of
    those over the classes, that of areas Student's with the error of each class apart; the others are a studentised
    bootstrap of what each row adds to the difference. Two models that predict the same have a gain of 0, from 0 to 0.

    Args:
        metric: Any of `measures.DIRECTIONS` for the task, but the calibration error.
        ours, theirs: (rows, classes) probabilities, or (rows,) values in units of the target.
        target: (rows,) class indices or values.
        task: What is predicted.
        variance: Of a regression's training target, the unit of its `loss`; 0 counts as 1.
        thresholds: Of ours and of theirs, where one of two classes is given by a threshold.
        seed: Of the bootstrap.

    Raises:
        InputError: The metric is none that can be compared, or these rows do not define it.
        RefusedError: A prediction is not finite.
    """
    two = tuple(
        Judged(one, target, task, variance or 1.0, threshold)
        for one, threshold in zip((ours, theirs), thresholds, strict=True)
    )
    return compared(metric, two[0], two[1], seed=seed)


def compared(metric: str, ours: Judged, theirs: Judged, *, seed: int = 0) -> Difference:
    """Compare two models whose predictions stand beside the same targets; as `paired`."""
    if metric not in smooth(ours.task):
        known = smooth(ours.task)
        said = f"{metric[:40]} is no test metric that can be compared; known: {', '.join(known)}"
        raise InputError(said, field="metric", hint=did_you_mean(metric, known) if metric not in DIRECTIONS else "")
    one, other = measured(ours, metric), measured(theirs, metric)
    if one is None or other is None:
        raise InputError(f"{metric} is not defined on these test rows: their target does not vary", field="metric")
    sign = 1.0 if DIRECTIONS[metric] == "maximize" else -1.0
    gain = sign * (one.value - other.value) + 0.0  # which makes -0 a plain 0
    if metric == "accuracy":
        limits: Limits = _shares(ours.hit, theirs.hit)
    elif metric == "balanced_accuracy":
        limits = _balanced(ours, theirs)
    elif metric == "auc":
        limits = _areas(gain, one.influence - other.influence, ours.target)
    else:
        added = sign * (one.influence - other.influence)
        limits = studentised([Measured(gain, added)], seed=seed)[0]
    low, high = (None, None) if limits is None else (limits[0] + 0.0, limits[1] + 0.0)
    return Difference(metric, one.value, other.value, gain, low, high)


def _shares(ours: Array, theirs: Array) -> Interval:
    """Return the interval of a difference of two shares of the same rows."""
    rows = len(ours)
    both, first, second = int((ours & theirs).sum()), int((ours & ~theirs).sum()), int((~ours & theirs).sum())
    if first == second == 0:
        return Interval(0.0, 0.0)
    none = rows - both - first - second
    one, other = (both + first) / rows, (both + second) / rows
    mine, its = wilson(both + first, rows), wilson(both + second, rows)
    product = (both + first) * (second + none) * (both + second) * (first + none)
    shared = float(both * none - first * second)
    if shared > 0:
        shared = max(shared - rows / 2, 0.0)
    together = shared / math.sqrt(product) if product else 0.0
    low = _apart(one - mine.low, its.high - other, together)
    high = _apart(mine.high - one, other - its.low, together)
    return Interval(one - other - low, one - other + high)


def _areas(gain: float, added: Array, target: Array) -> Limits:
    """Return the interval of a difference of areas; None where a class has a single row, which tells of no noise.

    Rows differ within their class alone, and few of one say little however many the other has: the error is DeLong's
    (Biometrics 1988), its degrees of freedom are Satterthwaite's (Biometrics Bulletin 1946).
    """
    sides = [added[target == label] for label in np.unique(target)]
    if min(map(len, sides)) < 2:
        return None
    parts = [float(side.var(ddof=1)) * len(side) / len(added) ** 2 for side in sides]
    whole = sum(parts)
    if whole == 0:
        return Interval(gain, gain)
    shares = [part / whole for part in parts]
    degrees = 1 / sum(share**2 / (len(side) - 1) for share, side in zip(shares, sides, strict=True))
    half = student(degrees) * math.sqrt(whole)
    return Interval(gain - half, gain + half)


def _apart(one: float, other: float, together: float) -> float:
    return math.sqrt(max(one**2 - 2 * together * one * other + other**2, 0.0))


def _balanced(ours: Judged, theirs: Judged) -> Interval:
    one, other, target = ours.hit, theirs.hit, ours.target
    low = high = gain = 0.0
    classes = np.unique(target)
    for each in classes:
        rows = target == each
        found, limits = float(one[rows].mean() - other[rows].mean()), _shares(one[rows], other[rows])
        gain, low, high = gain + found, low + (found - limits.low) ** 2, high + (limits.high - found) ** 2
    count = len(classes)
    return Interval((gain - math.sqrt(low)) / count, (gain + math.sqrt(high)) / count)
