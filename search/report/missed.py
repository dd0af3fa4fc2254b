"""How likely a pruned trial would have won, had it gone on: a regression on the trials that did."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from search.records.history import Floats, Ints

RESAMPLES: Final = 100
LEVEL: Final = 0.9
SURVIVORS: Final = 1_000
"""Completed trials that the regression is made of, at most; evenly spread over all."""

_BINS: Final = 2_048
"""Bins of the residuals, at most."""

_REACH: Final = 4.0
"""Widths after which a kernel ends."""


class Missed(NamedTuple):
    """Winners among pruned trials.

    Attributes:
        chance: Of each pruned trial, of beating the best.
        expected: Pruned trials that would have beaten it, on average.
        low: Lower end of the interval of their number.
        high: Its upper end.
    """

    chance: Floats
    expected: float
    low: int
    high: int


def missed(pruned: Floats, steps: Ints, survivors: Floats, final: Floats, *, log: bool) -> Missed:
    """Estimate how many pruned trials would have beaten the best one.

    At each step at which trials were pruned, the results of those that went on are regressed on where they stood at
    that step. A pruned trial is taken to follow the same line, with the same residuals around it: its chance is the
    share of residuals, smoothed by a normal kernel, that would bring it below the best result. The interval resamples
    the survivors, and draws who wins by the chances.

    It assumes that pruned trials learn as survivors do that stand equally well. Survivors are a selection: the line is
    extrapolated beyond most of them, and they may be those that learn fast, so that it errs towards too many winners.
    Adding survivors' improvements to a pruned trial's standing, without a slope, errs much more: poor trials that go
    on close in on the others.

    Source of the kernel's width: Silverman, "Density Estimation", 1986, equation 3.31; of the resampling: Efron,
    Tibshirani, "An Introduction to the Bootstrap", 1993.

    Args:
        pruned: (pruned,): losses where they stood when they were pruned.
        steps: (pruned,): which of the columns of `survivors` is of that step.
        survivors: (completed, steps): where those that went on stood at each step; NaN where that is not known.
        final: (completed,): their results.
        log: Whether to reckon with logarithms: with losses that are all positive, trials learn by shares.
    """
    scale = max(float(np.nanmax(np.abs(survivors), initial=0.0)), float(np.abs(final).max()), 1e-300)
    change = np.log if log else lambda values: values / scale
    dice = np.random.default_rng(0)
    draws = np.stack([np.arange(len(final)), *dice.integers(len(final), size=(RESAMPLES, len(final)))])
    chance, counts = np.zeros(len(pruned)), np.zeros(len(draws), np.int64)
    goal, results = float(change(final.min())), change(final)
    for column in np.unique(steps):
        there = change(pruned[steps == column])
        standing, known = change(survivors[:, column]), np.isfinite(survivors[:, column])
        for row, drawn in enumerate(draws):
            own = drawn[known[drawn]]
            found = _chances(there, standing[own], results[own], goal)
            if row == 0:  # the survivors themselves
                chance[steps == column] = found
            counts[row] += np.count_nonzero(dice.random(len(found)) < found)
    low, high = np.quantile(counts[1:], ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Missed(chance, float(chance.sum()), int(np.floor(low)), int(np.ceil(high)))


def _chances(pruned: Floats, standing: Floats, results: Floats, goal: float) -> Floats:
    """Return the chance of each pruned trial; 0 where fewer than three others are known."""
    if len(standing) < 3:
        return np.zeros(len(pruned))
    centred = standing - standing.mean()
    spread = float(centred @ centred)
    slope = max(float(centred @ results) / spread, 0.0) if spread > 0 else 1.0
    residuals = np.sort(results - results.mean() - slope * centred)
    width = _width(residuals)
    needed = goal - results.mean() - slope * (pruned - standing.mean())
    if not width > 0:
        below: Floats = np.searchsorted(residuals, needed) / len(residuals)
        return below
    edges, shares = _smoothed(residuals, width)
    found: Floats = np.interp(needed, edges, shares, left=0.0, right=1.0)
    return found


def _smoothed(residuals: Floats, width: float) -> tuple[Floats, Floats]:
    """Return places and the share of residuals below each, smoothed by a normal kernel of this width; binned."""
    first, last = residuals[0] - _REACH * width, residuals[-1] + _REACH * width
    bin_width = max(width / 4, (last - first) / _BINS)
    reach = int(np.ceil(_REACH * width / bin_width))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * bin_width / width) ** 2)
    counts = np.bincount(((residuals - first) / bin_width).astype(np.int64), minlength=reach + 1)
    smooth = np.convolve(counts, kernel / kernel.sum(), mode="full")[reach : reach + len(counts) + reach]
    edges: Floats = first + bin_width * np.arange(len(smooth) + 1)
    return edges, np.concatenate([[0.0], np.cumsum(smooth)]) / len(residuals)


def _width(residuals: NDArray[np.float64]) -> float:
    first, third = np.quantile(residuals, (0.25, 0.75))
    deviations = [float(residuals.std(ddof=1)), float(third - first) / 1.34]
    return float(0.9 * min((one for one in deviations if one > 0), default=0.0) * len(residuals) ** -0.2)
