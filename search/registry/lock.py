"""One process at a time changes a registry: an flock, which the kernel lets go of when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from search.errors import SurroundingsError
from search.paths import ModelFolder

_WAIT_S: Final = 60.0
"""A change takes milliseconds; some tens of them may wait for each other."""


@contextmanager
def changing(folder: ModelFolder) -> Iterator[None]:
    """Be the one that changes a registry.

    The lock's file stays, so that two who wait never lock two files.

    Raises:
        SurroundingsError: Somebody else is for a minute, or the folder cannot be written.
    """
    try:
        folder.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise SurroundingsError(f"{folder.root} cannot be written: {error.strerror}", field="model") from error
    try:
        wait(descriptor, folder.registry, field="model")
        yield
    finally:
        os.close(descriptor)


def wait(descriptor: int, path: Path, *, field: str) -> None:
    """Get the kernel's lock of an open file.

    Args:
        descriptor: Of the file.
        path: That is changed under the lock, for people.
        field: Of the error.

    Raises:
        SurroundingsError: Somebody else has it for a minute.
    """
    deadline_s = time.monotonic() + _WAIT_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                said = f"another process has been changing {path} for {_WAIT_S:.0f} s"
                raise SurroundingsError(said, field=field, hint="see what it does, and try again") from None
            time.sleep(0.01)
