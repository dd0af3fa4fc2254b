"""Numbers that are printed with how sure they are: the `Estimate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Estimate:
    """What some rows say of a measure, and where it is likely to be on all rows of their kind.

    Attributes:
        value: Of these rows.
        low, high: Its interval of 95 %; None where there are too few rows.
    """

    value: float
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return asdict(self)

    def holds(self, value: float) -> bool:
        """Tell whether a value lies in the interval; without one every value does."""
        return self.low is None or self.high is None or self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class ClassScore:
    """How well a class is found.

    Attributes:
        name: Of the class.
        rows: That are of it.
        given: Rows that the model takes for it.
        recall: Share of its rows that are found; None where there are none.
        precision: Share of the rows taken for it that are; None where there are none.
    """

    name: str
    rows: int
    given: int
    recall: Estimate | None
    precision: Estimate | None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ClassScore:
        """Return what `to_json` described."""
        two = {name: None if values[name] is None else Estimate(**values[name]) for name in ("recall", "precision")}
        return cls(**{**values, **two})
