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


@dataclass(frozen=True, slots=True)
class Scale:
    """A logarithm of the distance from the best, which neither shift nor scale of the costs changes.

    Attributes:
        best: The lowest cost.
        width: From there to the third quartile.
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
        costs = np.where(np.isfinite(costs), costs, finite.max())
        best = float(costs.min())
        width = float(np.quantile(costs, 0.75)) - best
        least = _LEAST * float(np.abs(costs).max())
        width = width if width > least else float(costs.max()) - best
        width = width if width > least else 1.0  # all are alike
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

    def slope(self, value: float) -> float:
        """Return how much the cost changes with the place there."""
        return self.width * self.spread * math.exp(self.center + self.spread * value)
