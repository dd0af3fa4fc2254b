"""How far apart the bests of two studies are when both have as many trials: the `Difference`, with its interval.

The interval is a bootstrap over trials: the best of n trials drawn with replacement from all that ended, again and
again, n being the smaller study's count. It takes trials as drawn independently, which a sampler that learns does not,
and no draw is better than the best that was seen. Source: Dodge, Gururangan, Card, Schwartz, Smith, "Show Your Work:
Improved Reporting of Experimental Results", EMNLP 2019.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from search.records.anytime import in_order
from search.records.history import Floats, History

DRAWS: Final = 20_000
LEAST: Final = 5
"""Ended trials of each study below which no interval is given."""

_SEED: Final = 20191103
_INTERVAL: Final = (0.025, 0.975)


@dataclass(frozen=True, slots=True)
class Difference:
    """How much worse the best of one study is than another's, both with as many trials.

    Attributes:
        better: Place of the study that is ahead among those compared.
        worse: Place of the other.
        trials: How many each is given.
        value: The median difference in the metric's unit; above 0 `better` is ahead.
        low: Lower end of the 95% interval; -inf where `better` may have no best at all.
        high: Upper end; inf where `worse` may have none.
        noise: Standard deviation of the measurement of the two bests that it includes; 0 where it is not known.
    """

    better: int
    worse: int
    trials: int
    value: float
    low: float
    high: float
    noise: float = 0.0

    @property
    def apart(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0

    @property
    def is_open(self) -> bool:
        """Whether an end of it, or the difference itself, is not a number: one of the studies may have no best."""
        return not all(map(math.isfinite, (self.low, self.value, self.high)))

    def to_json(self) -> dict[str, Any]:
        ends = [end if math.isfinite(end) else None for end in (self.value, self.low, self.high)]
        told = {"better": self.better, "worse": self.worse, "trials": self.trials, "apart": self.apart}
        return {**told, "value": ends[0], "interval": ends[1:], "noise": self.noise}


def losses_of(history: History) -> Floats:
    """(ended trials,): what each came to so that less is better; inf of one that cannot be the best.

    Those that took another's result are left out, for they were not drawn anew.
    """
    ended = in_order(history)
    ended = ended[history.same_as[ended] < 0]
    losses: Floats = np.where(history.candidates[ended], history.losses[ended], np.inf)
    return losses


def difference(
    places: tuple[int, int], losses: tuple[Floats, Floats], noise: tuple[float, float] = (0.0, 0.0)
) -> Difference | None:
    """Return how far apart two studies are at as many trials; None if one has too few, or no best at all.

    Args:
        places: Of the study that is ahead, and of the other.
        losses: Of the ended trials of each, as `losses_of` gives them.
        noise: Standard deviation of the measurement of each one's best, 0 where it is not known.
    """
    count = min(len(one) for one in losses)
    if count < LEAST or any(np.isinf(one).all() for one in losses):
        return None
    dice = np.random.default_rng(_SEED)
    ahead, behind = (_bests(one, count, dice) for one in losses)
    both = math.hypot(*noise)
    with np.errstate(invalid="ignore"):
        drawn = behind - ahead + both * dice.standard_normal(DRAWS)
    drawn = drawn[~np.isnan(drawn)]  # where neither has a best
    if not len(drawn):
        return None
    low, middle, high = (float(one) for one in np.quantile(drawn, [_INTERVAL[0], 0.5, _INTERVAL[1]], method="nearest"))
    return Difference(*places, count, middle, low, high, both)


def _bests(losses: Floats, count: int, dice: np.random.Generator) -> Floats:
    """Return the best of `count` losses drawn with replacement, `DRAWS` times.

    The smallest of n uniform numbers is 1 - u**(1/n), so that each draw takes one number and not n.
    """
    lowest = -np.expm1(np.log(dice.random(DRAWS)) / count)
    ordered = np.sort(losses)
    drawn: Floats = ordered[np.minimum((lowest * len(ordered)).astype(np.int64), len(ordered) - 1)]
    return drawn
