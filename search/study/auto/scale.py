"""Costs as a process sees them, near the best in detail and alike where they are poor: the `Scale`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from search.study.auto.history import Array

_POOR: Final = 1.5
"""Costs further from the best than so many times the third quartile are alike."""
_SOFT: Final = 0.15
_LEAST: Final = 1e-12
_FAR: Final = 30.0
"""A quartile so many times further from the best than the one before it is of trials that diverged."""
_MOST: Final = 1e300


@dataclass(frozen=True, slots=True)
class Scale:
    """A logarithm of the distance from the best, which neither shift nor scale of the costs changes.

    Attributes:
        best: The lowest cost.
        width: From there to the third quartile; to an earlier one where the third is of trials that diverged.
        center: Mean of the logarithms.
        spread: Their deviation.
    """

    best: float
    width: float
    center: float
    spread: float

    @classmethod
    def of(cls, costs: Array) -> tuple[Self, Array]:
        """Return the scale of some costs, and these on it; what is not finite is as bad as the worst that is."""
        finite = costs[np.isfinite(costs)]
        if not len(finite):
            return cls(0.0, 1.0, 0.0, 1.0), np.zeros(len(costs))
        costs = np.clip(np.where(np.isfinite(costs), costs, finite.max()), -_MOST, _MOST)
        best, width = float(costs.min()), width_of(costs)
        with np.errstate(over="ignore"):
            logs = np.log(np.minimum((costs - best) / width, _POOR) + _SOFT)
        center, spread = float(logs.mean()), float(logs.std())
        spread = spread if spread > _LEAST else 1.0
        return cls(best, width, center, spread), (logs - center) / spread

    def back(self, value: float) -> float:
        """Return the cost at a place of the scale; of one beyond either end, that end."""
        return float(self.costs(np.array(value)))

    def costs(self, values: Array) -> Array:
        """Return the same of several places."""
        logs = np.minimum(self.center + self.spread * values, math.log(_POOR + _SOFT))
        return np.asarray(self.best + self.width * (np.exp(logs) - _SOFT))

    def at(self, costs: Array) -> Array:
        """Return where costs are; what is not finite is where the poor are."""
        shares = np.where(np.isfinite(costs), np.clip(costs, -_MOST, _MOST) - self.best, math.inf) / self.width
        return np.asarray((np.log(np.clip(shares, 0.0, _POOR) + _SOFT) - self.center) / self.spread)

    def is_poor(self, value: float) -> bool:
        """Tell whether a place is where costs are alike, however high."""
        return self.center + self.spread * value >= math.log(_POOR + _SOFT)

    def slope(self, value: float) -> float:
        """Return how much the cost changes with the place there."""
        return self.width * self.spread * math.exp(self.center + self.spread * value)


def width_of(costs: Array) -> float:
    """Return the third quartile's distance from the best; an earlier one's where the third is of trials that diverged.

    Where all are alike up to there it is the worst's, and 1 where nothing differs at all.

    Args:
        costs: Finite ones, one at least.
    """
    best, *places = np.quantile(costs, [0.0, 0.25, 0.5, 0.75, 1.0])
    widths = np.array(places) - best
    differ = widths > _LEAST * np.maximum(np.abs(places), abs(best))
    first, median, third, worst = np.where(differ, widths, 0.0).tolist()
    width = third or worst or 1.0
    for later, earlier in ((third, median), (median, first)):
        if 0 < earlier < later / _FAR:
            width = earlier
    return float(width)
