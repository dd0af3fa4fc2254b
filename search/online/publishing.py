"""What an engine has others do: register versions, move `production`, write what people read: the `Publisher`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from search.online.buffer import Buffer
from search.online.challenger import Challenger
from search.online.contest import Answering, Registered
from search.online.kept import Row


class Publisher(Protocol):
    """Carries out what is decided. An engine that reads the same events again says the same, with the same numbers.

    `place` says where in the log a decision falls: no other has it.
    """

    def publish(self, challenger: Challenger, place: str, why: str) -> Registered:
        """Make the challenger, as it is, a version in production, and return it.

        Raises:
            SweepError: It cannot be.
        """

    def restore(self, model: Answering, place: str, why: str, *, back: bool) -> Registered:
        """Put a version that there is into production, and return it; `back`: it was there before.

        Raises:
            SweepError: It cannot be.
        """

    def follow(self, champion: Registered, challenger: Challenger) -> Challenger:
        """Return a challenger that learns on from another champion, with the buffer of the one before."""

    def resweep(self, buffer: Buffer, why: str) -> bool:
        """Start a sweep over the newest rows, unless one runs; tell whether one began."""

    def audit(self, number: int, told: Mapping[str, Any]) -> None:
        """Write down what happened."""

    def aside(self, number: int, at_s: float, row: Row, why: str) -> None:
        """Write down a row that is not learnt."""
