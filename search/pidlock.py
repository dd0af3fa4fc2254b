"""A file that one process at a time holds: an flock, which the kernel lets go of when its holder dies (`PidLock`)."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from search.errors import RefusedError

_WAIT_S: Final = 1.0
"""How long a holder that was just killed may take to be gone."""


class PidLock:
    """A lock with the pid of its holder in its file, until `release` or the end of this process."""

    def __init__(self, path: Path, refusal: Callable[[str], RefusedError]) -> None:
        """Take the lock.

        Args:
            path: Of the file that is locked.
            refusal: Returns what is raised where a living process has it; takes its pid.

        Raises:
            RefusedError: A living process has it.
            OSError: The file cannot be made.
        """
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline_s = time.monotonic() + _WAIT_S
        while not self._taken():
            if time.monotonic() > deadline_s:
                holder = os.pread(self._fd, 20, 0).decode(errors="replace").strip() or "?"
                os.close(self._fd)
                raise refusal(holder)
            time.sleep(0.02)
        os.pwrite(self._fd, f"{os.getpid():<19}\n".encode(), 0)

    def release(self) -> None:
        """Let go; the file stays, so that two who wait never lock two files."""
        os.close(self._fd)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
