"""Keeps the derived tables of a long study near its journal, in a process of its own beside the sweep."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from search.errors import SweepError
from search.paths import StudyFolder

LOOK_EVERY_S: Final = 10.0
LEAST_BYTES: Final = 8 << 20
"""Journal that a reader goes through in half a second."""

SHARE: Final = 0.1
"""How much of the journal may be missing from the tables: each new table costs as much as all of them."""


_OURS: Final = Path(__file__).resolve().parents[2]


class Tables:
    """Starts a refresh when the tables are far behind; one at a time, and with the lowest priority.

    Args:
        folder: The study's.
    """

    def __init__(self, folder: StudyFolder) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._looked = time.monotonic()

    def keep_near(self) -> None:
        """Start a refresh if one is due."""
        if time.monotonic() - self._looked < LOOK_EVERY_S or (self._process and self._process.poll() is None):
            return
        self._looked = time.monotonic()
        if self._is_far_behind():
            self._process = subprocess.Popen(
                ["nice", "-n", "19", sys.executable, "-m", "search.records.derived", str(self._folder.root)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=_OURS,  # or a folder of the user's that is called `search` could be taken for us
            )

    def _is_far_behind(self) -> bool:
        from search.records.derived import tail_bytes

        try:
            size = self._folder.journal.stat().st_size
        except OSError:  # a database holds the study
            return False
        return size > LEAST_BYTES and tail_bytes(self._folder) > max(LEAST_BYTES, SHARE * size)


def finish(folder: StudyFolder) -> None:
    """Bring the tables up to the end of the study; trouble with what can be made again is none of the sweep's."""
    from search.records.derived import refresh

    with suppress(SweepError, OSError):
        refresh(folder)
