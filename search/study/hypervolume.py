"""How much a Pareto front is worth, in one number: the `Hypervolume` between it and a reference point."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

MOST_METRICS: Final = 3
"""With more the time that it takes grows too fast for a front of hundreds."""


@dataclass(frozen=True, slots=True)
class Hypervolume:
    """The volume that a front dominates, as far as a reference point.

    Attributes:
        value: In the product of the metrics' units.
        reference: By metric, in natural sign.
        naive: Metrics whose reference is the naive baseline; that of the others is the worst of all COMPLETE trials.
    """

    value: float
    reference: Mapping[str, float]
    naive: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"value": self.value, "reference": dict(self.reference), "naive": list(self.naive)}


def hypervolume_of(
    front: Sequence[Sequence[float]],
    *,
    metrics: Sequence[str],
    directions: Sequence[str],
    baseline: Mapping[str, float],
    worst: Sequence[float],
) -> Hypervolume | None:
    """Return the hypervolume of a front; None where there is none, or where there are more than three metrics.

    Args:
        front: Searched values of its trials, in natural sign.
        metrics: Names of the searched metrics.
        directions: `minimize` or `maximize`, of each.
        baseline: Metrics of a naive prediction.
        worst: The worst value of each metric over all COMPLETE trials.
    """
    if not front or not 1 < len(metrics) <= MOST_METRICS or len(worst) != len(metrics):
        return None
    signs = [-1.0 if direction == "maximize" else 1.0 for direction in directions]
    reference = {name: baseline.get(name, value) for name, value in zip(metrics, worst, strict=True)}
    costs = [[sign * value for sign, value in zip(signs, values, strict=True)] for values in front]
    value = hypervolume(costs, [sign * one for sign, one in zip(signs, reference.values(), strict=True)])
    return Hypervolume(value, reference, tuple(name for name in metrics if name in baseline))


def hypervolume(points: Sequence[Sequence[float]], reference: Sequence[float]) -> float:
    """Return the volume between some points and a reference point, exactly, for two or three coordinates.

    Of three by a sweep over the last one, with the front of the others kept in order: n points take n log n steps and,
    where points go, as many moves. Source: Fonseca, Paquete, Lopez-Ibanez, "An improved dimension-sweep algorithm for
    the hypervolume indicator", 2006.

    Args:
        points: Smaller is better in every coordinate; one that is not better than the reference everywhere adds
            nothing.
        reference: As many coordinates.
    """
    within = [one for one in points if all(a < b for a, b in zip(one, reference, strict=True))]
    stairs = Stairs(reference[0], reference[1])
    if len(reference) == 2:
        return math.fsum(stairs.add(x, y) for x, y in within)
    whole, area, last = 0.0, 0.0, 0.0
    for x, y, z in sorted(within, key=lambda one: one[2]):
        whole += area * (z - last) if area else 0.0
        last = z
        area += stairs.add(x, y)
    return whole + area * (reference[2] - last) if area else 0.0


class Stairs:
    """A front in a plane, and the area between it and a corner."""

    def __init__(self, right: float, top: float) -> None:
        self._x, self._y = [-math.inf, right], [top, -math.inf]  # x rising, y falling, between two walls

    def add(self, x: float, y: float) -> float:
        """Add a point and return by how much the area grows."""
        place = bisect_left(self._x, x)
        if self._y[place - 1] <= y or (self._x[place] == x and self._y[place] <= y):
            return 0.0
        end, grown, left, ceiling = place, 0.0, x, self._y[place - 1]
        while self._y[end] >= y:
            grown += (self._x[end] - left) * (ceiling - y)
            left, ceiling = self._x[end], self._y[end]
            end += 1
        grown += (self._x[end] - left) * (ceiling - y)
        self._x[place:end], self._y[place:end] = [x], [y]
        return grown
