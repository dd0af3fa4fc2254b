"""Temporary folders that end with their process; what one that was killed has left goes when the next is made.

A process holds a file in its folder locked for its life: nothing else tells for sure whether it is there, in another
container that shares the folder, say.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = "sweep-"

_HELD: Final = ".held"

_files: Final[dict[Path, int]] = {}
"""The file that this process holds in each of its folders."""


@contextmanager
def folder() -> Iterator[Path]:
    """Have a folder."""
    made = make()
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        let_go(made)


def make(prefix: str = _PREFIX) -> Path:
    """Return a new folder that this process holds; whose processes are gone are removed."""
    _remove_left()
    made = Path(tempfile.mkdtemp(prefix=prefix))
    hold(made)
    return made


def hold(place: Path) -> None:
    """Hold a folder from here on, until `let_go` or the end of this process."""
    let_go(place)
    made = place / f"{_HELD}.new"  # it gets its name when it is locked: nobody takes it for one that was left
    file = os.open(made, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with suppress(OSError):  # a file system without locks: it is not removed by others then, either
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        made.rename(place / _HELD)
    _files[place] = file


def let_go(place: Path) -> None:
    """Hold a folder no more; harmless if it is not held."""
    file = _files.pop(place, None)
    if file is not None:
        os.close(file)


def _remove_left() -> None:
    for one in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if one.lstat().st_uid == os.getuid() and not one.is_symlink() and _is_left(one):
                shutil.rmtree(one, ignore_errors=True)


def _is_left(place: Path) -> bool:
    """Tell whether a folder was held by a process that is gone."""
    try:
        file = os.open(place / _HELD, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # not one of these
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(file)
    return True
