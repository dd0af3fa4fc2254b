"""How much a Pareto front is worth, in one number: the `Hypervolume` between it and a reference point."""

from __future__ import annotations

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
    """Return the volume between some points and a reference point that they are better than.

    Exact for any number of coordinates, by slices of the last one: n points in d coordinates take about n**(d-1) steps
    times a logarithm, which is for fronts. A point that is not better than the reference everywhere adds nothing.

    Args:
        points: Smaller is better in every coordinate.
        reference: As many coordinates.
    """
    within = sorted({tuple(one) for one in points if all(a < b for a, b in zip(one, reference, strict=True))})
    if not within:
        return 0.0
    if len(reference) == 1:
        return reference[0] - within[0][0]
    if len(reference) == 2:
        return _area(within, reference)
    by_last = sorted(within, key=lambda one: one[-1])
    ends = [one[-1] for one in by_last[1:]] + [reference[-1]]
    volume, below = 0.0, list[tuple[float, ...]]()
    for point, end in zip(by_last, ends, strict=True):
        if not any(all(a <= b for a, b in zip(old, point[:-1], strict=True)) for old in below):
            below = [old for old in below if not all(a <= b for a, b in zip(point[:-1], old, strict=True))]
            below.append(point[:-1])
        if end > point[-1]:
            volume += (end - point[-1]) * hypervolume(below, reference[:-1])
    return volume


def _area(rising: Sequence[tuple[float, ...]], reference: Sequence[float]) -> float:
    area, lowest = 0.0, reference[1]
    for x, y in rising:
        if y < lowest:
            area += (reference[0] - x) * (lowest - y)
            lowest = y
    return area
