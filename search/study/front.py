"""Points in several coordinates, smaller being better in each: non-dominated fronts, and crowding in them.

Fronts are those of non-dominated sorting (Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II",
2002). A new point is sorted in by the update of Li et al., "Efficient non-domination level update" (2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np

_Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
_Points: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

_FIRST_CAPACITY: Final = 64


class Fronts:
    """Points with a label each, in their fronts; the same fronts whatever the order in which they came.

    Args:
        dimensions: Coordinates of a point.
    """

    def __init__(self, dimensions: int) -> None:
        self._points: _Points = np.empty((_FIRST_CAPACITY, dimensions))
        self._front_of: _Numbers = np.empty(_FIRST_CAPACITY, dtype=np.int64)
        self._waits = np.zeros(_FIRST_CAPACITY, dtype=bool)
        self._labels: list[int] = []
        self._index: dict[int, int] = {}
        self._fronts: list[_Numbers] = []  # of indices

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def count(self) -> int:
        """How many fronts there are."""
        return len(self._fronts)

    def fill(self, points: Sequence[tuple[tuple[float, ...], int]]) -> None:
        """Add many points with their labels; sorted first, none pushes another out of its front."""
        for point, label in sorted(points):
            self.add(label, point)

    def add(self, label: int, point: Sequence[float]) -> None:
        """Add a point, which moves those that it dominates further back."""
        index = self._append(label, point)
        entering, level = np.array([index]), self._level(self._points[index])
        while level < len(self._fronts):
            members = self._fronts[level]
            beaten = dominated(self._points[members], self._points[entering])
            if beaten.all():  # then all fronts from here on move by one
                later = np.concatenate(self._fronts[level:])
                self._front_of[later] += 1
                self._fronts.insert(level, entering)
                self._front_of[entering] = level
                return
            self._fronts[level] = np.concatenate([members[~beaten], entering])
            self._front_of[entering] = level
            if not beaten.any():
                return
            entering, level = members[beaten], level + 1
        self._fronts.append(entering)
        self._front_of[entering] = level

    def front_of(self, label: int) -> int:
        """Return the front of a point, 0 for the best."""
        return int(self._front_of[self._index[label]])

    def rank(self, label: int) -> int:
        """Return how many points come before one: all of better fronts, and those less crowded in its own."""
        front = self.front_of(label)
        return self._before(front) + self._in_order(front).index(label)

    def is_among(self, label: int, count: int) -> bool:
        """Tell whether a point is one of the first `count`; only a front that is cut needs its order."""
        front = self.front_of(label)
        before = self._before(front)
        if before + len(self._fronts[front]) <= count:
            return True
        return before < count and label in self._in_order(front)[: count - before]

    def wait(self, label: int) -> None:
        """Let a point wait."""
        self._waits[self._index[label]] = True

    def leave(self, label: int) -> None:
        """Let a point wait no longer."""
        self._waits[self._index[label]] = False

    def first_waiting(self) -> int | None:
        """Return the label that comes first of those that wait; None if there are none."""
        waiting = np.flatnonzero(self._waits[: len(self)])
        if not len(waiting):
            return None
        front = int(self._front_of[waiting].min())
        return next(label for label in self._in_order(front) if self._waits[self._index[label]])

    def _append(self, label: int, point: Sequence[float]) -> int:
        index = len(self._labels)
        if index == len(self._points):
            self._points = np.concatenate([self._points, np.empty_like(self._points)])
            self._front_of = np.concatenate([self._front_of, np.empty_like(self._front_of)])
            self._waits = np.concatenate([self._waits, np.zeros_like(self._waits)])
        self._points[index] = point
        self._labels.append(label)
        self._index[label] = index
        return index

    def _level(self, point: _Points) -> int:
        """Return the first front of which no point dominates this one: none of a later front does, either."""
        low, high = 0, len(self._fronts)
        while low < high:
            middle = (low + high) // 2
            if dominated(point[None], self._points[self._fronts[middle]])[0]:
                low = middle + 1
            else:
                high = middle
        return low

    def _before(self, front: int) -> int:
        return sum(map(len, self._fronts[:front]))

    def _in_order(self, front: int) -> list[int]:
        """Return the labels of a front, those with most room around them first, equals by their labels."""
        labels = sorted(self._labels[index] for index in self._fronts[front])
        crowding = _crowding(self._points[[self._index[label] for label in labels]])
        return [labels[place] for place in np.argsort(-crowding, kind="stable")]


def dominated(points: _Points, others: _Points) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Tell of each point whether one of the others dominates it: is nowhere worse, and somewhere better."""
    if points.shape[1] == 2:
        return _dominated_in_a_plane(points, others)
    nowhere_worse = np.ones((len(points), len(others)), dtype=bool)
    somewhere_better = np.zeros_like(nowhere_worse)
    for mine, theirs in zip(points.T, others.T, strict=True):
        nowhere_worse &= theirs[None, :] <= mine[:, None]
        somewhere_better |= theirs[None, :] < mine[:, None]
    return np.asarray((nowhere_worse & somewhere_better).any(axis=1), dtype=np.bool_)


def _dominated_in_a_plane(points: _Points, others: _Points) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Do the same for two coordinates without comparing each with each: a front may have thousands of points."""
    x, y = others[np.argsort(others[:, 0])].T
    lowest = np.concatenate([[np.inf], np.minimum.accumulate(y)])  # among the first so many by x
    further_left, as_far = (lowest[np.searchsorted(x, points[:, 0], side=side)] for side in ("left", "right"))
    dominated = np.logical_or(further_left <= points[:, 1], as_far < points[:, 1])
    return np.asarray(dominated, dtype=np.bool_)


def _crowding(points: _Points) -> _Points:
    """Return the crowding distance of each point of a front (Deb et al. 2002); infinite at both ends."""
    distance = np.zeros(len(points))
    for values in points.T:
        order = np.argsort(values, kind="stable")
        rising = values[order]
        span = rising[-1] - rising[0]
        distance[order[[0, -1]]] = np.inf
        if span > 0:
            distance[order[1:-1]] += (rising[2:] - rising[:-2]) / span
    return distance
