"""Trials that were drawn before a slot asked for them, so that their rows are prepared meanwhile: the `Aheads`.

Whoever prepares asks as a slot does, under a name of its own kind, and releases what it asked for once the rows are
there. Its trial is stored as one that was asked for and not begun, so that whatever happens a slot gets it.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = "ahead-"
"""Names of those who prepare rows begin with it; no slot's does."""


def is_ahead(request: str) -> bool:
    """Tell whether who asks prepares rows, and runs no trial."""
    return request.startswith(PREFIX)


class Aheads:
    """The numbers of the trials that no slot has taken yet, oldest first.

    Attributes:
        points: Those among them that were enqueued: they come before others.
    """

    def __init__(self) -> None:
        self._requests: dict[int, str] = {}  # that they are being prepared for; "" once they are ready
        self.points: set[int] = set()

    def __len__(self) -> int:
        return len(self._requests)

    def __contains__(self, number: int) -> bool:
        return number in self._requests

    def add(self, number: int, request: str, *, point: bool = False) -> None:
        """Take in a trial whose rows are about to be prepared for this request, and whether it was enqueued."""
        self._requests[number] = request
        if point:
            self.points.add(number)

    def number_of(self, request: str) -> int | None:
        """Return the trial that is being prepared for a request."""
        return next((number for number, one in self._requests.items() if one == request), None)

    def settle(self, name: str) -> None:
        """Take what is being prepared under a name for ready: its rows are there, or will not be from there."""
        for number, request in self._requests.items():
            if request.rpartition(":")[0] == name:
                self._requests[number] = ""

    @property
    def next(self) -> int | None:
        """Who comes next: the oldest that is ready, else the oldest, whose rows its worker then waits for or makes.

        As long as there are points that were enqueued, one of those.
        """
        turns = {n: request for n, request in self._requests.items() if n in self.points} or self._requests
        ready = (number for number, request in turns.items() if not request)
        return next(ready, next(iter(turns), None))

    def drop(self, number: int) -> None:
        """Forget a trial that a slot has taken."""
        self._requests.pop(number, None)
        self.points.discard(number)
