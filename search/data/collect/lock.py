"""One writer per collection: an flock, which the kernel lets go of when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from search.data.collect.place import CollectionFolder, cannot_write
from search.errors import RefusedError

_WAIT_S: Final = 1.0
"""How long a holder that was just killed may take to be gone."""


def hold(folder: CollectionFolder) -> WriterLock:
    """Become the one writer of a collection, whose folder is made if it is missing.

    Raises:
        RefusedError: A living process is.
        SurroundingsError: The folder cannot be written.
    """
    try:
        folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return WriterLock(folder.lock)
    except OSError as error:
        raise cannot_write(folder.lock, error) from error


class WriterLock:
    """The right to write one collection, until `release` or the end of this process."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

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
                name = path.parent.name
                raise RefusedError(
                    f"collection {name!r} is being written by pid {holder}",
                    field="NAME",
                    hint="stop that one first; it compacts by itself, and `collected:` reads while it runs",
                )
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
