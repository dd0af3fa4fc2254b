"""When trials were in workers' hands: the `Spans`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Spans(NamedTuple):
    """Attempts at trials, each from when its worker began to when it let go, (spans,) each.

    Attributes:
        trial: Numbers.
        worker: Index into the workers of the study.
        begin_s: Second of the study's life.
        end_s: The same.
    """

    trial: Ints
    worker: Ints
    begin_s: Floats
    end_s: Floats

    def beside(self, other: Spans) -> Spans:
        """Return these and others."""
        return Spans(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

    def only(self, chosen: NDArray[Any]) -> Spans:
        return Spans(*(column[chosen] for column in self))

    @property
    def at_once(self) -> int:
        """How many there were at the same time, at most."""
        if not len(self.trial):
            return 0
        # an end comes before a begin of the same second
        order = np.argsort(np.concatenate([self.end_s, self.begin_s]), kind="stable")
        steps = np.concatenate([np.full(len(self.end_s), -1), np.full(len(self.begin_s), 1)])[order]
        return int(np.cumsum(steps).max())


NO_SPANS = Spans(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
