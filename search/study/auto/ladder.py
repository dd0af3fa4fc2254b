"""The steps at which trials are weighed against each other: the `Ladder`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

_FINEST: Final = 81
"""The first rung is at the last step over this."""

_CHECKS: Final = (0.11, 0.22, 0.33, 0.48, 0.67, 0.81)
"""Where a trial that is trained to its end is looked at on the way, as shares of the last step."""


class Ladder:
    """Rungs of one length of training.

    Args:
        last: The last step of a trial.

    Attributes:
        steps: That are told apart, rising, each about 1.44 times the one before; the last step is one.
        halving: The rungs of successive halving by three, below the last step.
    """

    def __init__(self, last: int) -> None:
        self.last = last
        self.first = max(1, round(last / _FINEST))
        self.steps = sorted({*self._spaced(1 / 3), last})
        self.halving = sorted({*self._spaced(1)})
        self._doubling = sorted({*self._spaced(2 / 3), last})
        self._checks = sorted({*(max(self.first, round(share * last)) for share in _CHECKS), last})

    def rung_of(self, step: int) -> int:
        """Return the place in `steps` of the highest that a step has come to; of one before the first, 0."""
        return max(bisect_right(self.steps, step) - 1, 0)

    def next_rung(self, step: int) -> int:
        """Return up to which step a trial is trained next, to be weighed again: about twice as far."""
        return self._doubling[min(bisect_right(self._doubling, step), len(self._doubling) - 1)]

    def next_halving(self, step: int) -> int:
        """Return the same where successive halving decides."""
        return next((one for one in self.halving if one > step), self.last)

    def next_check(self, step: int) -> int:
        """Return the same of a trial that is to be trained to its end."""
        return self._checks[min(bisect_right(self._checks, step), len(self._checks) - 1)]

    def _spaced(self, power: float) -> Iterator[int]:
        place = 0
        while (step := round(self.first * 3.0 ** (power * place))) < self.last:
            yield step
            place += 1
