"""Parameters as rows of numbers from 0 to 1, for what learns from trials: the `Encoding`."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.trial import ParamValue

Array: TypeAlias = np.ndarray[Any, Any]

INACTIVE: Final = 0.5
"""What stands for a number that a trial does not have."""


class Encoding:
    """One column for each number, on its own scale, and one for each choice of a category.

    Args:
        distributions: By parameter.
        optional: Parameters with a column more, which says whether a point has them.
        choice: What stands in the column of a point's choice.

    Attributes:
        groups: For each parameter, the columns that it takes.
        numeric: Which columns are numbers.
    """

    def __init__(
        self, distributions: Mapping[str, BaseDistribution], *, optional: Collection[str] = (), choice: float = 1.0
    ) -> None:
        self._distributions = dict(distributions)
        self._optional, self._choice = optional, choice
        self.groups: list[list[int]] = []
        numeric: list[bool] = []
        for name, one in self._distributions.items():
            width = (len(one.choices) if isinstance(one, CategoricalDistribution) else 1) + (name in optional)
            self.groups.append([*range(len(numeric), len(numeric) + width)])
            numeric += [not isinstance(one, CategoricalDistribution)] * (width - (name in optional))
            numeric += [False] * (name in optional)
        self.numeric = np.array(numeric, dtype=bool)

    def rows(self, points: Iterable[Mapping[str, ParamValue]]) -> Array:
        """Return one row per point, shape (points, columns); a choice that is not known is none of the known ones."""
        points, columns = [*points], []
        for name, one in self._distributions.items():
            values = [point.get(name, _NOTHING) for point in points]
            if isinstance(one, CategoricalDistribution):
                places: dict[tuple[type, Any], int] = {
                    (type(choice), choice): place for place, choice in enumerate(one.choices)
                }
                taken = np.array([places.get((type(value), value), -1) for value in values])
                columns += [self._choice * (taken == place) for place in range(len(one.choices))]
            else:
                columns.append(_units(values, one))
            if name in self._optional:
                columns.append(np.array([value is not _NOTHING for value in values], dtype=float))
        return np.stack(columns, axis=1) if columns else np.zeros((len(points), 0))

    def active(self, points: Iterable[Mapping[str, ParamValue]]) -> Array:
        """Return which columns are of parameters that each point has, shape (points, columns)."""
        widths = [len(columns) for columns in self.groups]
        has = [[name in point for name in self._distributions] for point in points]
        return np.repeat(np.array(has, dtype=bool).reshape(-1, len(widths)), widths, axis=1)

    def columns_of(self, names: Collection[str]) -> Array:
        """Return which columns are of these parameters."""
        widths = [len(columns) for columns in self.groups]
        return np.repeat(np.array([name in names for name in self._distributions], dtype=bool), widths)


_NOTHING: Final = object()


def _units(values: Sequence[Any], one: BaseDistribution) -> Array:
    """Return numbers as shares of their range, as `to_unit` does; what is no number is in its middle."""
    assert isinstance(one, FloatDistribution | IntDistribution)
    low, high = float(one.low), float(one.high)
    numbers = np.array([float(value) if isinstance(value, int | float) else math.nan for value in values])
    if one.log:
        low, high, numbers = math.log(low), math.log(high), np.log(np.maximum(numbers, 1e-300))
    shares = (numbers - low) / (high - low) if high > low else np.full(len(numbers), math.nan)
    return np.where(np.isnan(shares), INACTIVE, shares)


def to_unit(value: float, distribution: BaseDistribution) -> float:
    """Return where a number is in its range, 0 to 1, in log scale where the range is."""
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = float(distribution.low), float(distribution.high)
    if distribution.log:
        low, high, value = math.log(low), math.log(high), math.log(max(value, 1e-300))
    return (value - low) / (high - low) if high > low else INACTIVE


def from_unit(share: float, distribution: BaseDistribution) -> float | int:
    """Return the number at a place of its range, on the range's steps."""
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high, share = float(distribution.low), float(distribution.high), min(1.0, max(0.0, share))
    if distribution.log:
        value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    else:
        value = low + share * (high - low)
    if distribution.step is not None:
        value = low + distribution.step * round((value - low) / distribution.step)
    value = min(high, max(low, value))
    return round(value) if isinstance(distribution, IntDistribution) else value


def widest(distributions: Iterable[Mapping[str, BaseDistribution]]) -> dict[str, BaseDistribution]:
    """Return by parameter the range that holds all that trials had; choices are those of the first."""
    found: dict[str, BaseDistribution] = {}
    for several in distributions:
        for name, one in several.items():
            before = found.get(name)
            if before is None:
                found[name] = one
            elif isinstance(before, FloatDistribution) and isinstance(one, FloatDistribution):
                low, high = min(before.low, one.low), max(before.high, one.high)
                if (low, high) != (before.low, before.high):
                    found[name] = FloatDistribution(low, high, log=before.log and low > 0)
            elif isinstance(before, IntDistribution) and isinstance(one, IntDistribution):
                low, high = min(before.low, one.low), max(before.high, one.high)
                if (low, high) != (before.low, before.high):
                    found[name] = IntDistribution(int(low), int(high), log=before.log and low > 0)
    return found
