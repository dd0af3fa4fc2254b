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
        open_end: `low` or `high`: the worse end, beyond which the model tells nothing apart; "" where it is none.
    """

    step: int
    value: float
    low: float
    high: float
    open_end: str = ""

    def to_json(self) -> dict[str, Any]:
        found = asdict(self)
        return found if self.open_end else {name: value for name, value in found.items() if name != "open_end"}

    def holds(self, seen: float) -> bool:
        """Tell whether what was seen lies within the interval."""
        return (self.low <= seen or self.open_end == "low") and (seen <= self.high or self.open_end == "high")

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
        open_end = stored.get("open_end", "")
        return cls(step, value, low, high, open_end if open_end in ("low", "high") else "")

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
