"""A drift detector whose state is the numbers it was fed, so that it needs no pickle: `Replayed`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Generic, Protocol, TypeVar

KEPT: Final = 1_000
"""Newest numbers that a detector is built again from when it has taken twice as many.

So its state stays small, and what it compares with is what was of late, not in the first weeks of a model's life.
"""


class Detector(Protocol):
    """What every detector of river's has; one that has found a drift begins anew with the next number."""

    def update(self, x: float) -> object: ...

    @property
    def drift_detected(self) -> bool: ...


D = TypeVar("D", bound=Detector)


class Replayed(Generic[D]):
    """A detector, and the numbers since it last began anew.

    The rebuilding at the cap happens in an undisturbed run, too. So a detector that is fed `values` again is the very
    one that was saved, and its next alarms are the same.

    Args:
        make: Returns a detector that has seen nothing.
        values: What it has to be fed first: those of a saved one.

    Attributes:
        detector: As it is.
        values: The numbers it stands on, the oldest first, at most twice `KEPT`.
    """

    def __init__(self, make: Callable[[], D], values: Iterable[float] = ()) -> None:
        self._make = make
        self.values = list(values)
        self.detector = self._fed()

    def take(self, value: float) -> bool:
        """Feed one number; return whether the detector found a drift with it."""
        if self.detector.drift_detected:
            self.values = []
        self.detector.update(value)
        self.values.append(value)
        if self.detector.drift_detected:
            return True
        if len(self.values) >= 2 * KEPT:
            self.values = self.values[-KEPT:]
            self.detector = self._fed()
        return False

    def _fed(self) -> D:
        detector = self._make()
        for value in self.values:
            detector.update(value)
        return detector
