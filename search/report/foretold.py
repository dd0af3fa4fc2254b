"""How good a search's predictions were: the `Foretold`, beside what guesses would have been."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from search.ranks import ranks
from search.records.history import Floats, Ints
from search.records.predictions import Predictions
from search.variation import wilson

LEVEL: Final = 0.95
"""Of the predictions' own intervals, and of those around what is said of them."""

_RESAMPLES: Final = 1_000
_CELLS: Final = 4_000_000
"""Draws of the resampling, at most."""


class Foretold(NamedTuple):
    """What became of predictions.

    Attributes:
        seen: How many were seen.
        inside: Share of them within their intervals; NaN without any.
        inside_low: Of that share's 95% interval, as if each stood for itself.
        inside_high: The same.
        rank: Rank correlation of the medians and of what was seen; NaN where one of both is all the same.
        compared: How many were seen and have a guess.
        error: How far off these were, on average; NaN without any.
        guess_error: How far off the guesses were.
        ratio_low: Of the 95% interval of `error / guess_error`; NaN where no guess was off.
        ratio_high: The same.
    """

    seen: int = 0
    inside: float = math.nan
    inside_low: float = math.nan
    inside_high: float = math.nan
    rank: float = math.nan
    compared: int = 0
    error: float = math.nan
    guess_error: float = math.nan
    ratio_low: float = math.nan
    ratio_high: float = math.nan


def foretold(made: Predictions) -> Foretold:
    """Judge the predictions that were seen."""
    there = made.was_seen
    if not there.any():
        return Foretold()
    value, seen, guess = made.value[there], made.seen[there], made.guess[there]
    share = float(np.mean(made.held[there]))
    low, high = wilson(share, len(seen))
    found = Foretold(len(seen), share, low, high, _correlation(ranks(value), ranks(seen)))
    known = np.isfinite(guess)
    return _beside_guesses(found, made.trial[there][known], value[known], seen[known], guess[known])


def _beside_guesses(found: Foretold, trial: Ints, value: Floats, seen: Floats, guess: Floats) -> Foretold:
    """Add how far off predictions and guesses were; the interval resamples trials, each of which is one curve."""
    if not len(trial):
        return found
    size = max(float(np.abs(np.concatenate([value, seen, guess])).max()), 1e-300)  # so that nothing overflows
    _, owner = np.unique(trial, return_inverse=True)
    own, others = (np.bincount(owner, np.abs(one / size - seen / size)) for one in (value, guess))
    mean, guessed = (size * (float(one.sum()) / len(seen)) for one in (own, others))
    found = found._replace(compared=len(seen), error=mean, guess_error=guessed)
    if not others.any():
        return found
    times = min(_RESAMPLES, _CELLS // len(own))
    drawn = np.random.default_rng(0).integers(len(own), size=(times, len(own)))
    below = others[drawn].sum(axis=1)
    ratios = own[drawn].sum(axis=1)[below > 0] / below[below > 0]
    low, high = np.quantile(ratios, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return found._replace(ratio_low=float(low), ratio_high=float(high))


def _correlation(one: Floats, other: Floats) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return math.nan
    return float(np.corrcoef(one, other)[0, 1])
