"""What a study was told of a trial before its training went on, or began again: the `Told`."""

from __future__ import annotations

import math
from collections.abc import Mapping


class Told:
    """The metrics of each step that was reported before.

    Args:
        metrics: By step; None where that is not known.

    Attributes:
        last: The last of these steps; infinite where that is not known.
    """

    def __init__(self, metrics: Mapping[int, Mapping[str, float]] | None) -> None:
        self._metrics = metrics or {}
        self._differs = False
        self.last = math.inf if metrics is None else max(metrics, default=0)

    def difference(self, step: int, metrics: Mapping[str, float]) -> str:
        """Say where a repeated training comes to something else than before, at the first such step; "" if not."""
        before = self._metrics.get(step)
        if before is None or self._differs:
            return ""
        for name, value in before.items():
            if name in metrics and metrics[name] != value:
                self._differs = True
                return f"repeated training differs at step {step}: {name} {metrics[name]}, was {value}"
        return ""
