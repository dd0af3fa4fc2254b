"""`Reader`: what makes rows of an answer, be it JSON or a page; and `Pace`, which keeps requests apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

from search.data.api.answers import Flat
from search.data.api.paging import Ask, Said
from search.data.web.client import Answer


@dataclass(frozen=True, slots=True)
class Read:
    """What a reader made of an answer.

    Attributes:
        flat: The rows.
        following: What to ask next, or None.
        said: What the answer says about the whole.
        notes: One sentence each.
    """

    flat: Flat
    following: Ask | None = None
    said: Said = field(default_factory=Said)
    notes: tuple[str, ...] = ()


class Reader(Protocol):
    """Makes rows of an answer."""

    def __call__(self, answer: Answer, ask: Ask, number: int, where: str) -> Read:
        """Return rows, and what to ask next.

        Args:
            answer: Of the other side.
            ask: What was asked.
            number: Of the page, from 1.
            where: `page 3 of https://...`, for people.
        """


class Pace:
    """Keeps requests apart.

    Args:
        requests_per_s: At most.
        sleep: Waits a number of seconds.
        now: The time in seconds, from any start.
    """

    def __init__(
        self, requests_per_s: float, sleep: Callable[[float], object], now: Callable[[], float] = monotonic
    ) -> None:
        self._gap_s = 1 / requests_per_s
        self._sleep = sleep
        self._now = now
        self._free = float("-inf")

    def wait(self) -> None:
        """Wait until the next request may go out."""
        early_s = self._free - self._now()
        if early_s > 0:
            self._sleep(early_s)
        self._free = max(self._free, self._now()) + self._gap_s
