"""What a search expects of a trial at a later step: the `Predicted`, a median with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Predicted:
    """The searched metric of a trial, as it was expected before the trial was trained so far.

    Attributes:
        step: At which it is expected, on the sweep's scale.
        value: The median, in natural sign.
        low: Lower end of the 95 % interval of what is seen there.
        high: Its upper end.
    """

    step: int
    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: object) -> Self | None:
        """Read a prediction back; None where there is none, or none that means anything.

        Args:
            stored: What `to_json` returned, or whatever else an attribute holds.
        """
        if not isinstance(stored, Mapping):
            return None
        step, numbers = stored.get("step"), [stored.get(name) for name in ("value", "low", "high")]
        if type(step) is not int or step < 1 or not all(type(one) in (int, float) for one in numbers):
            return None
        value, low, high = (float(one) for one in numbers if one is not None)
        if not (math.isfinite(high - low) and low <= value <= high):
            return None
        return cls(step, value, low, high)

    def seen(self, reports: Mapping[int, float]) -> float | None:
        """Return what was seen of it: the last report up to its step, of a trial that was trained so far; else None.

        Where several families are searched, not every trial reports at every step of the scale.

        Args:
            reports: Of the metric, by step.
        """
        if max(reports, default=0) < self.step:
            return None
        value = reports.get(max((step for step in reports if step <= self.step), default=0))
        return value if value is not None and math.isfinite(value) else None
