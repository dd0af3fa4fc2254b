"""What an axis of values shows at first: the `Scale`, which a few huge values do not squash."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

DECADES: Final = 1.5
"""Powers of ten that values, all positive, have to span for a logarithmic axis: else the best decade is a thin line."""

FENCE: Final = 3.0
"""Quartile ranges beyond the quartile from which on a value is far out. Source: Tukey, "Exploratory Data Analysis"."""

_LEAST: Final = 8
"""Values below which none is called far out."""

_TICKS: Final = 6
"""Labels of a logarithmic axis, about."""

_MARGIN: Final = 0.05
"""What is left free at both ends, as a share of the axis."""


class Scale(NamedTuple):
    """An axis of measured values.

    Attributes:
        log: Whether it is logarithmic.
        low: The end that is shown at first, in the values' unit; None for what plotly finds.
        high: The same.
        beyond: How many of the values lie outside.
        beside: Whether there is room for the baseline.
    """

    log: bool = False
    low: float | None = None
    high: float | None = None
    beyond: int = 0
    beside: bool = False

    def axis(self) -> dict[str, Any]:
        """Return it as settings of a plotly axis."""
        if self.low is None or self.high is None:
            return {}
        low, high = (float(np.log10(end)) if self.log else end for end in (self.low, self.high))
        margin = (high - low) * _MARGIN
        ticks = {"type": "log", "dtick": max(1, round((high - low) / _TICKS))} if self.log else {}
        return {"range": [low - margin, high + margin], **ticks}

    def said(self, what: str) -> str:
        """Return the sentence about what lies outside; "" if nothing does."""
        if not self.beyond:
            return ""
        are = f"{what} lies" if self.beyond == 1 else f"{what}s lie"
        return f"{self.beyond:,} {are} far beyond what is shown at first; a double click shows all."


def scale_of(values: NDArray[np.float64], *, sign: float, beside: float | None = None) -> Scale:
    """Return the axis for these values.

    The end of the better values is always shown: whoever reads a figure looks for the best.

    Args:
        values: In natural sign; those that are not finite are left out.
        sign: 1 where less is better, -1 where more is.
        beside: A baseline, which gets room if it leaves half of the axis to the values.
    """
    sign = float(sign)  # numpy's own would make its own of all that follows
    known = values[np.isfinite(values)]
    if not known.size:
        return Scale()
    log = bool(known.min() > 0 and _decades(known, sign) > DECADES)
    losses = sign * (np.log10(known) if log else known)
    best, fence = float(losses.min()), _fence(losses)
    beyond = int(np.count_nonzero(losses > fence))
    worst = float(losses[losses <= fence].max())
    fits = False
    if beside is not None and np.isfinite(beside) and not (log and beside <= 0):
        other = sign * float(np.log10(beside) if log else beside)
        fits = 2 * best - worst <= other <= 2 * worst - best
        best, worst = (min(best, other), max(worst, other)) if fits else (best, worst)
    if not beyond and not log:
        return Scale(beside=fits)
    first, last = sorted((sign * best, sign * worst))
    low, high = (10.0**first, 10.0**last) if log else (first, last)
    return Scale(log, low, high, beyond, fits)


def _decades(known: NDArray[np.float64], sign: float) -> float:
    """Return how many powers of ten positive values span, but for the worst twentieth of them."""
    best = known.min() if sign > 0 else known.max()
    most = np.quantile(known, 0.95 if sign > 0 else 0.05, method="nearest")
    return float(abs(np.log10(most) - np.log10(best)))


def _fence(losses: NDArray[np.float64]) -> float:
    """Return the loss above which values are far out; infinite where they are few, or leave half of the axis free."""
    if len(losses) < _LEAST:
        return np.inf
    first, third = np.quantile(losses, (0.25, 0.75))
    if not third > first:
        first, third = np.quantile(losses, (0.05, 0.95))
    fence = third + FENCE * (third - first)
    if not third > first or not np.isfinite(fence):
        return np.inf
    low, inside = losses.min(), losses[losses <= fence].max()
    return float(fence) if losses.max() - inside > inside - low else np.inf
