"""What trials had of each parameter that was searched: the `Parameter`, a column of values with its range."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from search.study.record import TrialRecord
from search.trial import ParamValue

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """One parameter over all trials.

    Attributes:
        name: In full, such as `train.lr`.
        kind: `float`, `int` or `choice`; one that has been of several kinds is a choice of all its values.
        low: Of its widest range; of a choice 0.
        high: The same; of a choice the last index.
        log: Whether its scale is logarithmic.
        choices: Of a choice, in order of their indices; else ().
        values: (trials,): of a choice the index; NaN where a trial does not have it.
        is_mixed: Whether it has been both a number and a choice.
    """

    name: str
    kind: Literal["float", "int", "choice"]
    low: float
    high: float
    log: bool
    choices: tuple[ParamValue, ...]
    values: Floats
    is_mixed: bool = False

    @property
    def active(self) -> NDArray[np.bool_]:
        """(trials,): which trials have it."""
        return ~np.isnan(self.values)

    @property
    def is_choice(self) -> bool:
        return self.kind == "choice"

    @property
    def varies(self) -> bool:
        """Whether trials had at least two values of it."""
        known = self.values[self.active]
        return bool(known.size) and bool(known.min() < known.max())

    def unit(self) -> Floats:
        """Return the values on a scale from 0, the lower end of the range, to 1; (trials,), NaN where it is absent."""
        return scaled(self.values, self.low, self.high, log=self.log)

    def value(self, number: int) -> ParamValue:
        """Return the value of a trial, in the parameter's own type; None where the trial does not have it."""
        found = self.values[number]
        if np.isnan(found):
            return None
        if self.is_choice:
            return self.choices[int(found)]
        return int(found) if self.kind == "int" else float(found)


def scaled(values: Floats, low: float, high: float, *, log: bool) -> Floats:
    """Return values on a scale from 0, the lower end of a range, to 1; NaN stays.

    Args:
        values: Within the range, or NaN.
        low: End of the range.
        high: The same; not below `low`.
        log: Whether the scale is logarithmic.
    """
    if log:
        low, high, values = math.log(low), math.log(high), np.log(values)
    if not high > low:
        return np.where(np.isnan(values), np.nan, 0.5)
    return (values / 4 - low / 4) / (high / 4 - low / 4)  # so that no difference of huge ends overflows


def parameters_of(records: Sequence[TrialRecord]) -> tuple[Parameter, ...]:
    """Return the parameters of some trials alone; row n of their values is the n-th of these trials."""
    readings = Readings()
    for row, record in enumerate(records):
        readings.take(row, record)
    return readings.parameters(len(records))


class Readings:
    """Gathers parameters from trials, one after the other."""

    def __init__(self) -> None:
        self._found: dict[str, _Reading] = {}

    def take(self, row: int, record: TrialRecord) -> None:
        """Read a trial, whose values come to that row."""
        for name, value in record.params.items():
            reading = self._found.setdefault(name, _Reading())
            reading.texts.add(record.distributions[name])
            reading.rows.append(row)
            reading.values.append(value)

    def parameters(self, count: int) -> tuple[Parameter, ...]:
        """Return them, over so many rows, in the order in which they first appeared."""
        return tuple(_parameter(name, one, count) for name, one in self._found.items())


@dataclass(slots=True)
class _Reading:
    """What is known of one parameter while trials are read."""

    texts: set[str] = field(default_factory=set)
    rows: list[int] = field(default_factory=list)
    values: list[ParamValue] = field(default_factory=list)


def _parameter(name: str, reading: _Reading, count: int) -> Parameter:
    """Return a parameter over all trials, in the widest of the ranges that it has had."""
    known = [_attributes(text) for text in reading.texts]
    values = np.full(count, np.nan)
    if all("choices" not in one for _, one in known):
        values[reading.rows] = reading.values
        whole = all(kind == "IntDistribution" for kind, _ in known)
        low, high = min(one["low"] for _, one in known), max(one["high"] for _, one in known)
        log = low > 0 and all(one["log"] for _, one in known)
        return Parameter(name, "int" if whole else "float", float(low), float(high), log, (), values)
    listed = [choice for _, one in sorted(known, key=str) for choice in one.get("choices", ())]
    choices = {_key(choice): choice for choice in [*listed, *reading.values]}
    places = {key: place for place, key in enumerate(choices)}
    values[reading.rows] = [places[_key(value)] for value in reading.values]
    mixed = any("choices" not in one for _, one in known)
    return Parameter(name, "choice", 0.0, float(len(choices) - 1), False, tuple(choices.values()), values, mixed)


def _key(value: ParamValue) -> tuple[str, str]:
    """Return what tells choices apart: True is not 1 here, and NaN is itself."""
    return type(value).__name__, repr(value)


@lru_cache(maxsize=4096)
def _attributes(text: str) -> tuple[str, Mapping[str, Any]]:
    found = json.loads(text)
    return str(found["name"]), dict(found["attributes"])
