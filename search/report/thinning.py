"""Which points of a large study are drawn: few enough to be quick, and none left out that a reader would look for."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST: Final = 2_000
"""Points of one figure, at most, beside those that are always kept."""

EVENLY: Final = "of every equal slice of the horizontal axis the lowest and the highest point, of the others every n-th"
"""What is drawn of more where nothing is kept, for people."""

RULE: Final = f"{EVENLY}, and all that are best or on the front"
"""The same where these are kept."""


def thinned(
    x: NDArray[np.float64], y: NDArray[np.float64], *, keep: NDArray[np.bool_] | None = None, most: int = MOST
) -> NDArray[np.int64]:
    """Return the indices of the points to draw, in order.

    Args:
        x: (points,): the horizontal axis, on the scale that is drawn; not finite points are left out.
        y: (points,): the vertical one.
        keep: (points,): which are drawn in any case.
        most: Points beside those.

    Returns:
        All finite points if there are at most `most`; else of each of `most / 4` equal slices of the axis the lowest
        and the highest, evenly spread ones of the others, the first and the last, and what `keep` names. The extremes
        alone would draw a band where there is a cloud.
    """
    finite = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(finite) <= most:
        return finite
    slices = max(most // 4, 1)
    low, high = x[finite].min(), x[finite].max()
    place = np.zeros(len(finite), np.int64)
    if high > low:
        place = np.minimum(((x[finite] - low) / (high - low) * slices).astype(np.int64), slices - 1)
    order = np.lexsort((y[finite], place))
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    ends = np.append(starts[1:], len(order)) - 1
    chosen = np.zeros(len(finite), bool)
    chosen[order[starts]] = chosen[order[ends]] = True
    if keep is not None:
        chosen |= keep[finite]
    rest = np.flatnonzero(~chosen)
    chosen[rest[:: -(-len(rest) // max(most - 2 * slices, 1)) or 1]] = True
    chosen[[0, -1]] = True
    return finite[chosen]


def said(drawn: int, of: int, what: str = "points", rule: str = RULE) -> str:
    """Return the sentence about it; "" if all are drawn."""
    return f"{drawn:,} of {of:,} {what} are drawn: {rule}." if drawn < of else ""
