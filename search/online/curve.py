"""How champion and challenger did over the labelled rows, thinned out as it grows: the `Curve`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from search.online.prequential import Prequential

_MOST: Final = 500
_FIRST: Final = 25
_FEWEST: Final = 50


@dataclass(slots=True)
class Curve:
    """Points at most.

    Attributes:
        points: `row`, `at_s`, `champion` and `challenger` of each; a score is null where there is none.
        every: Labelled rows between two points.
    """

    points: list[dict[str, Any]] = field(default_factory=list)
    every: int = _FIRST

    def is_due(self, row: int) -> bool:
        return row % self.every == 0

    def add(self, row: int, at_s: float, champion: Prequential, challenger: Prequential) -> None:
        """Add a point; where there are too many, every other one goes."""
        self.points.append({"row": row, "at_s": at_s, "champion": score(champion), "challenger": score(challenger)})
        if len(self.points) > _MOST:
            self.every *= 2
            self.points = [one for one in self.points if one["row"] % self.every == 0]

    def to_json(self) -> dict[str, Any]:
        return {"points": self.points, "every": self.every}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the curve that `to_json` described."""
        return cls([*values["points"]], values["every"])


def score(measured: Prequential) -> float | None:
    """Return the rolling accuracy, or mean absolute error; None where there are too few rows to tell."""
    if measured.rows < _FEWEST:
        return None
    rolling = measured.summary()["rolling"]
    found = rolling["accuracy"] if "accuracy" in rolling else rolling["mae"]
    return None if found is None else float(found)
