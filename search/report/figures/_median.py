"""Medians and how sure they are: `resampled`, the medians of resamples of some values."""

from __future__ import annotations

import numpy as np

from search.records.history import Floats


def resampled(ordered: Floats, dice: np.random.Generator, draws: int) -> Floats:
    """Return medians of resamples with replacement, in time that does not depend on how many values there are.

    A resample's middle values are those whose places are the middle ones of as many uniform numbers, and such an order
    statistic has a beta distribution; so its place is drawn at once. Source: David, Nagaraja, "Order Statistics", 2003.

    Args:
        ordered: (values,): ascending; at least one.
        dice: Where chance comes from.
        draws: Resamples.
    """
    count = len(ordered)
    upper = count // 2 + 1  # the upper of both middle values, from 1; the only one of an odd count
    place = dice.beta(upper, count + 1 - upper, draws)
    high = ordered[np.minimum((place * count).astype(np.int64), count - 1)]
    if count % 2:
        return high
    place *= dice.beta(upper - 1, 1, draws)  # given the upper one, the lower one is the largest of those below it
    low = ordered[np.minimum((place * count).astype(np.int64), count - 1)]
    middle: Floats = low / 2 + high / 2  # a sum of both could overflow
    return middle
