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


def hold(folder: CollectionFolder, *, serving: bool = False) -> WriterLock:
    """Become the one writer of a collection, whose folder is made if it is missing.

    Args:
        folder: Of the collection.
        serving: It is to take rows, and not only to be compacted.

    Raises:
        RefusedError: A living process is.
        SurroundingsError: The folder cannot be written.
    """
    try:
        folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return WriterLock(folder.lock, serving=serving)
    except OSError as error:
        raise cannot_write(folder.lock, error) from error


def refuse_second(folder: CollectionFolder) -> None:
    """Make sure that a collection has no writer yet, before anything else is tried for it; nothing is made.

    Raises:
        RefusedError: A living process writes it.
    """
    if folder.lock.exists():
        hold(folder, serving=True).release()


class WriterLock:
    """The right to write one collection, until `release` or the end of this process."""

    def __init__(self, path: Path, *, serving: bool = False) -> None:
        """Take the lock.

        Args:
            path: Of the file that is locked.
            serving: As for `hold`.

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
                raise _refusal(path.parent.name, holder, serving=serving)
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


def _refusal(name: str, holder: str, *, serving: bool) -> RefusedError:
    said = f"collection {name!r} is being written by pid {holder}"
    hint = "stop that one first; it compacts by itself, and `collected:` reads while it runs"
    if serving:
        said = f"{name} is being collected by pid {holder}"
        hint = "send rows there, stop that one first, or collect under another NAME"
    return RefusedError(said, field="NAME", hint=hint)
