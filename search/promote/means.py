"""Means of a few trainings with their 95% intervals, and of the difference of two: pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

_COVERED: Final = 0.95


def mean(values: Sequence[float]) -> float:
    """Return the mean, of equal values exactly theirs."""
    if len({*values}) == 1:
        return values[0]  # which rounding might miss
    return math.fsum(values) / len(values)


def deviation(values: Sequence[float]) -> float | None:
    """Return the standard deviation between values; None of a single one."""
    if len(values) < 2:
        return None
    middle = mean(values)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1))


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95% interval of a mean; None of a single value."""
    spread = deviation(values)
    if spread is None:
        return None
    middle = mean(values)
    half = _quantile(len(values) - 1) * spread / math.sqrt(len(values))
    return middle - half, middle + half


def welch(one: Sequence[float], other: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95% interval of the other mean less the one; None where a single value tells of no noise."""
    mine, theirs = deviation(one), deviation(other)
    if mine is None or theirs is None:
        return None
    difference = mean(other) - mean(one)
    a, b = mine**2 / len(one), theirs**2 / len(other)
    if a + b == 0:
        return difference, difference
    share = a / (a + b)  # not the squares of tiny numbers
    degrees = 1 / (share**2 / (len(one) - 1) + (1 - share) ** 2 / (len(other) - 1))
    half = _quantile(degrees) * math.sqrt(a + b)
    return difference - half, difference + half


def _quantile(degrees: float) -> float:
    """Return the two-sided 95% quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + _COVERED) / 2))
