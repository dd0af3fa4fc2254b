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
    return math.fsum(value / len(values) for value in values)  # so that no sum is too large


def deviation(values: Sequence[float]) -> float | None:
    """Return the standard deviation between values; None of a single one, or where it is too large for a number."""
    if len(values) < 2:
        return None
    middle = mean(values)
    spread = math.hypot(*(value - middle for value in values)) / math.sqrt(len(values) - 1)
    return spread if math.isfinite(spread) else None


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95% interval of a mean; None of a single value, or where an end is too large for a number."""
    spread = deviation(values)
    if spread is None:
        return None
    middle = mean(values)
    half = student(len(values) - 1) * spread / math.sqrt(len(values))
    low, high = middle - half, middle + half
    return (low, high) if math.isfinite(high - low) else None


def welch(one: Sequence[float], other: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95% interval of the other mean less the one; None where either has no `deviation`."""
    mine, theirs = deviation(one), deviation(other)
    if mine is None or theirs is None:
        return None
    difference = mean(other) - mean(one)
    a, b = mine / math.sqrt(len(one)), theirs / math.sqrt(len(other))
    both = math.hypot(a, b)
    if both == 0:
        return difference, difference
    share = (a / both) ** 2  # not the squares of tiny numbers, or of huge ones
    degrees = 1 / (share**2 / (len(one) - 1) + (1 - share) ** 2 / (len(other) - 1))
    half = student(degrees) * both
    return difference - half, difference + half


def student(degrees: float) -> float:
    """Return the two-sided 95% quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + _COVERED) / 2))
