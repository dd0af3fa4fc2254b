"""Studies of a home that somebody elsewhere looks at: each is followed while it is asked for: the `Onlookers`."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from search.paths import StudyFolder
from search.status import Status

if TYPE_CHECKING:
    from search.records.following import Following

UNWATCHED_S: Final = 30.0
"""A study that nobody has asked for for so long is followed no more."""

_EVERY_DATABASE_S: Final = 2.0
"""Seconds between two looks at a study in a database, which read all of it."""


@dataclass(slots=True, eq=False)
class _One:
    lock: threading.Lock = field(default_factory=threading.Lock)
    following: Following | None = None
    asked_s: float = 0.0
    looked_s: float = 0.0


class Onlookers:
    """What is looked at of the studies in a results folder.

    Args:
        results: The folder.
    """

    def __init__(self, results: Path) -> None:
        self._results = results
        self._all: dict[str, _One] = {}
        self._lock = threading.Lock()

    def status(self, study: str, *, anew: bool = False) -> Status:
        """Return where a study stands.

        Args:
            study: Its name.
            anew: Read all of it: nobody runs it, so what is read now is the last word.

        Raises:
            SweepError: It cannot be read.
        """
        from search.records.following import Following
        from search.records.study import status

        with self._lock:
            one = self._all.setdefault(study, _One())
        with one.lock:
            one.asked_s = now = time.monotonic()
            following = one.following
            if following is not None and following.is_cheap and not anew:
                one.following = None  # if it cannot be read on
                for _ in following.look():
                    pass
                one.following = following
            elif following is None or anew or now - one.looked_s > _EVERY_DATABASE_S:
                one.following = following = Following(StudyFolder.of(self._results, study))
                one.looked_s = time.monotonic()
            return status(following.study)

    def look(self, *, left_s: float = UNWATCHED_S) -> None:
        """Let go of what nobody looks at any more."""
        now = time.monotonic()
        with self._lock:
            for study in [name for name, one in self._all.items() if now - one.asked_s > left_s]:
                del self._all[study]
