"""Points in several coordinates, smaller being better in each: which are on the front, and how its worth grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from search.records.history import Floats, Ints
from search.study.hypervolume import Stairs, hypervolume

MOST: Final = 120
"""Moments at which the hypervolume of three metrics is reckoned, at most."""

_STEPS: Final = 200_000
"""Points of fronts that are gone through for them, about."""

_BLOCK: Final = 256


def entering(losses: Floats) -> Ints:
    """Return the places of the points that were on the front when they came: none before was as good everywhere.

    Args:
        losses: (points, metrics): in the order in which they came.
    """
    found = [np.array([], np.int64)]
    front = losses[:0]
    for begin in range(0, len(losses), _BLOCK):
        block = losses[begin : begin + _BLOCK]
        new = np.flatnonzero(~_covers(front, block).any(axis=0))
        within = np.triu(_covers(block[new], block[new]), k=1)  # by one that came earlier
        new = new[~within.any(axis=0)]
        found.append(begin + new)
        front = np.vstack([front[~_covers(block[new], front).any(axis=0)], block[new]])
    return np.concatenate(found)


def growth(losses: Floats, reference: Sequence[float]) -> tuple[Ints, Floats, int]:
    """Return the places of points with which the hypervolume grew, what it was from each one on, and their number.

    Args:
        losses: (points, metrics): in the order in which they came, of two or three metrics.
        reference: (metrics,): points that are not better than it everywhere add nothing.

    Returns:
        All places with two metrics; with three `MOST` of them at most, evenly spread over all, with the last one.
    """
    inside = np.flatnonzero((losses < np.array(reference)).all(axis=1))
    if losses.shape[1] == 2:
        stairs = Stairs(float(reference[0]), float(reference[1]))
        grown = np.array([stairs.add(x, y) for x, y in losses[inside].tolist()])
        return inside[grown > 0], np.cumsum(grown[grown > 0]), int(np.count_nonzero(grown > 0))
    places = inside[entering(losses[inside])]
    most = int(np.clip(_STEPS // max(len(places), 1), MOST // 6, MOST))
    chosen = np.unique(np.linspace(0, len(places) - 1, min(len(places), most)).astype(np.int64))
    volumes = np.array([hypervolume(losses[places[: last + 1]].tolist(), reference) for last in chosen.tolist()])
    return places[chosen], volumes, len(places)


def knee(losses: Floats) -> int | None:
    """Return the place of the point of a front that bulges most: the furthest below the plane through its ends.

    Each coordinate is scaled to the front's own range, so that the plane is where their sum is 1. Source: Das, "On
    characterizing the 'knee' of the Pareto curve based on normal-boundary intersection", 1999.

    Args:
        losses: (points, metrics): of the front.

    Returns:
        None where there are fewer than three points, or none bulges.
    """
    if len(losses) < 3:
        return None
    quarters = losses / 4  # so that no difference of huge values overflows
    low, span = quarters.min(axis=0), np.ptp(quarters, axis=0)
    if not (span > 0).all():
        return None
    below = ((quarters - low) / span).sum(axis=1)
    place = int(np.argmin(below))
    return place if below[place] < 1 else None


def _covers(points: Floats, others: Floats) -> np.ndarray:
    """(points, others): whether a point is at least as good as another one everywhere."""
    covers = np.ones((len(points), len(others)), bool)
    for mine, theirs in zip(points.T, others.T, strict=True):
        covers &= mine[:, None] <= theirs[None, :]
    return covers
