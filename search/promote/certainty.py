"""How sure the measures of some test rows are: the interval of each, by the method that holds for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from search.promote.intervals import (
    DRAWS,
    LEVEL,
    MIN_ROWS,
    Interval,
    Limits,
    area,
    determination,
    exact,
    mean_of,
    studentised,
    wilson,
)
from search.promote.measures import (
    BOUNDS,
    LEAST_PROBABILITY,
    Array,
    Judged,
    Measured,
    areas,
    calibration,
    measured,
    smooth,
)

_LOOKED_AT: Final = 20_000  # rows at most, for what a wrong one costs


def intervals(judged: Judged, *, seed: int = 0, names: Sequence[str] | None = None) -> dict[str, Limits]:
    """Return the interval of every measure of some rows; None where there are too few.

    Rows are taken to be independent of each other.

    Args:
        judged: The rows.
        seed: Of the bootstrap; the same one gives the same intervals.
        names: Of the measures; all if left out.
    """
    known = (*smooth(judged.task), "calibration_error") if judged.task.is_classification else smooth(judged.task)
    made = {}
    for name in known if names is None else [one for one in known if one in names]:
        limits = _calibration(judged, seed) if name == "calibration_error" else _of(judged, name, seed)
        made[name] = limits
    return made


def _of(judged: Judged, name: str, seed: int) -> Limits:
    found = measured(judged, name)
    if found is None:
        return None
    match name:
        case "accuracy":
            limits: Limits = _accuracy(judged)
        case "balanced_accuracy":
            limits = _balanced(judged)
        case "auc":
            limits = _auc(judged)
        case "log_loss" | "brier":
            limits = _allowing(judged, name, found, studentised([found], seed=seed)[0])
        case "rmse":  # the root of the loss's own limits: a root is skewed otherwise
            loss = _of(judged, "loss", seed)
            limits = loss and Interval(*(math.sqrt(one * judged.variance) for one in loss))
        case "r2":
            target = judged.target.astype(np.float64)
            limits = determination(found, (judged.prediction - target) ** 2, target, seed=seed)
        case _:
            limits = studentised([found], seed=seed)[0]
    least, most = BOUNDS[name]
    if name == "brier" and judged.prediction.shape[1] == 2:
        most = 1.0
    return limits and _within(limits, found.value, least, most)


def _within(limits: Interval, value: float, least: float, most: float) -> Interval:
    """Keep an interval within what the measure can be, and the value within its interval."""
    return Interval(min(max(limits.low, least), value), max(min(limits.high, most), value))


def _accuracy(judged: Judged) -> Interval:
    return wilson(float(judged.hit.sum()), len(judged.target))


def _balanced(judged: Judged) -> Limits:
    rows = np.bincount(judged.target)
    hits = np.bincount(judged.target, weights=judged.hit)
    present = np.flatnonzero(rows)
    recall = (hits[present] / rows[present]).tolist()
    return mean_of(recall, [exact(float(hits[one]), int(rows[one])) for one in present])


def _auc(judged: Judged) -> Limits:
    found, rows, each = areas(judged), len(judged.target), []
    for column, one in found.items():
        positive = judged.target == column
        ours = int(positive.sum())
        sides = [(one.influence[side], size) for side, size in ((positive, ours), (~positive, rows - ours))]
        error = math.sqrt(sum(float(side.var(ddof=1)) * size / rows**2 for side, size in sides if size > 1))
        each.append(area(one.value, ours, rows - ours, error))
    return mean_of([one.value for one in found.values()], each, _correlation([*found.values()]))


def _correlation(found: Sequence[Measured]) -> Array:
    """Return how the areas of several classes go together: a row that is taken for another class costs both."""
    influences = np.stack([one.influence for one in found])
    spread = influences.std(axis=1)
    scaled = influences / np.where(spread > 0, spread, 1.0)[:, None]
    kept: Array = scaled @ scaled.T / influences.shape[1]
    np.fill_diagonal(kept, 1.0)
    return kept


def _allowing(judged: Judged, name: str, found: Measured, limits: Limits) -> Limits:
    """Raise an upper limit by what wrong rows would add that a small test part has not happened to show.

    Where no row is wrong, no drawn one ever is. The rule of three says how many might have been (Hanley and
    Lippman-Hand, JAMA 1983; here the lower limit of the accuracy), and the model's own probabilities which rows: the
    less sure it is of one, the more likely.
    """
    if limits is None:
        return None
    rows = np.unique(np.linspace(0, len(judged.target) - 1, _LOOKED_AT).astype(int))
    chance = judged.prediction[rows].astype(np.float64)
    chance[np.arange(len(rows)), judged.label[rows]] = 0.0
    cost = -np.log(np.clip(chance, LEAST_PROBABILITY, 1.0)) if name == "log_loss" else (1 - chance) ** 2
    whole = float(chance.sum())
    each = float((chance * cost).sum()) / whole if whole > 0 else float(cost.max())
    unseen = float(judged.hit.mean()) - _accuracy(judged).low
    return Interval(limits.low, max(limits.high, found.value + unseen * each))


def _calibration(judged: Judged, seed: int) -> Limits:
    """Return the basic bootstrap's interval, which takes off what chance alone adds to a distance.

    A bin's gap is drawn as normal, with its own error. The upper limit allows for the least and the largest accuracy
    as well: the mean distance is at least that of the means.

    Source: Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 5.2.
    """
    if len(judged.target) < MIN_ROWS:
        return None
    (value, gap, error, share), accuracy = calibration(judged), _accuracy(judged)
    random = np.random.Generator(np.random.PCG64(seed))
    drawn = np.abs(gap + error * random.standard_normal((DRAWS, len(gap)))) @ share
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    sure = float(judged.prediction[np.arange(len(judged.target)), judged.label].mean())
    most = max(2 * value - float(low), sure - accuracy.low, accuracy.high - sure, value)
    return Interval(min(max(2 * value - float(high), 0.0), value), most)
