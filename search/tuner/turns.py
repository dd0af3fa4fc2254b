"""Which homes live on a results folder: each holds a file there locked, and they take up what is left in turns."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def locked(path: Path) -> int | None:
    """Return a file that is locked until it is closed: at the end of this process; None if another one has it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except OSError:  # a file system without locks
        pass
    return fd


def is_locked(path: Path) -> bool:
    """Tell whether a home holds this file."""
    try:
        with path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def turn(path: Path) -> Iterator[None]:
    """Let one home after the other take up what is held."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
