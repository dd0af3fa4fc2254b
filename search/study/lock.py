"""One writer per study: an flock on `study.lock`, which holds the record of its holder.

The kernel lets go of the lock when its holder dies, so a dead process never blocks a living one; the record only
says who it is. A child process does not inherit the lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
import weakref
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Final

from search.errors import RefusedError
from search.study.disk import cannot_write
from search.study.holder import Holder, parsed, start_of

FILE_NAME: Final = "study.lock"
_DEAD_HOLDER_WAIT_S: Final = 1.0
"""How long to wait for a lock whose recorded holder is dead: a child of it is between fork and exec."""
_ORPHAN_WAIT_S: Final = 35.0
"""How long to wait for a holder whose sweep is dead: it is ended within 30 s."""


_VISIT_S: Final = 20.0
"""How long a sweep waits for a command that has the study open for a moment: enqueue, retry, doctor, rm."""


class StudyLock:
    """The right to write one study, from `acquire` until `release` or the end of this process.

    Attributes:
        predecessor: The holder that died without letting go, if there was one.
    """

    def __init__(self, path: Path, fd: int, predecessor: Holder | None) -> None:
        self._path = path
        self._fd: int | None = fd
        self.predecessor = predecessor
        _held.add(self)

    def __enter__(self) -> StudyLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let go of the lock and take its file away; harmless when repeated."""
        if self._fd is None:
            return
        self._path.unlink(missing_ok=True)  # while it is ours: whoever waits looks the file up again
        os.close(self._fd)
        self._fd = None

    def forget(self) -> None:
        """Close the descriptor and leave the file: in a forked child, whose parent keeps the lock by its own."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def acquire(folder: Path, *, study: str, driver: int = 0) -> StudyLock:
    """Become the one writer of the study in `folder`.

    Args:
        folder: Of the study; made if it is missing.
        study: Its name, for the sentence.
        driver: Process that people know as the sweep, if it is another one than this.

    Raises:
        RefusedError: A living process holds it.
        SurroundingsError: The folder cannot be written.
    """
    path = folder.absolute() / FILE_NAME
    begun = time.monotonic()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if _lock(fd) and _is_still(path, fd):
                break
            os.close(fd)
            holder = read_holder(folder)
            if time.monotonic() - begun > _patience_s(holder, driver):
                raise _refused(study, holder)
            time.sleep(0.01)
    except OSError as error:
        raise cannot_write(path, error) from error
    predecessor = parsed(os.pread(fd, 4096, 0))
    if predecessor is not None and not _is_ours(predecessor, driver) and predecessor.is_at_work():
        os.close(fd)  # a sweep whose study server is on its way, for the first time or again
        raise _refused(study, predecessor)
    try:
        me = _me(driver)
        record = json.dumps(asdict(me)).encode() + b"\n"
        os.pwrite(fd, record, 0)
        os.ftruncate(fd, len(record))
    except OSError as error:
        os.close(fd)
        raise cannot_write(path, error) from error
    return StudyLock(path, fd, predecessor)


def announce(folder: Path, *, study: str) -> None:
    """Say that this process begins to run the study: until its study server has the lock, others are refused, too.

    Raises:
        RefusedError: A living process runs it, or begins to.
        SurroundingsError: The folder cannot be written.
    """
    acquire(folder, study=study, driver=os.getpid()).forget()


def withdraw(folder: Path) -> None:
    """Take back an announcement of this process whose study server never came."""
    path = folder.absolute() / FILE_NAME
    with suppress(OSError):
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            holder = parsed(os.pread(fd, 4096, 0))
            if holder is not None and holder.known_as == os.getpid() and _lock(fd) and _is_still(path, fd):
                path.unlink()
        finally:
            with suppress(OSError):
                os.close(fd)


def refuse_running(folder: Path, *, study: str) -> None:
    """Refuse early what `acquire` would refuse anyway: a study that somebody else runs.

    Raises:
        RefusedError: Naming who, and since when.
    """
    holder = living_holder(folder)
    if holder is not None and not holder.is_orphan():
        raise _refused(study, holder)


def wait_for_orphan(folder: Path) -> None:
    """Wait for a holder whose sweep is dead to be gone, too; the acquiring itself would wait as long."""
    deadline_s = time.monotonic() + _ORPHAN_WAIT_S
    while time.monotonic() < deadline_s:
        holder = read_holder(folder)
        if holder is None or not holder.is_orphan() or not holder.is_alive():
            return
        time.sleep(0.05)


def read_holder(folder: Path) -> Holder | None:
    """Return who the lock file in `folder` names, dead or alive; None without a file or a readable record."""
    try:
        return parsed((folder / FILE_NAME).read_bytes())
    except OSError:
        return None


def living_holder(folder: Path) -> Holder | None:
    """Return who writes the study in `folder` now, None if nobody does. Changes nothing."""
    holder = read_holder(folder)
    if holder is None:
        return None
    at_work = holder.is_at_work()
    if at_work is not None:
        return holder if at_work else None
    try:  # another machine's: only the lock itself can tell
        fd = os.open(folder / FILE_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return holder
    finally:
        os.close(fd)
    return None


def _me(driver: int) -> Holder:
    me, driver_started = os.getpid(), start_of(driver) if driver else None
    known = driver_started is not None
    host, started = socket.gethostname(), start_of(me) or 0.0
    return Holder(host, me, started, time.time(), driver if known else 0, driver_started or 0.0)


def _is_ours(holder: Holder, driver: int) -> bool:
    """Tell whether this process, or the sweep that it works for, is the holder, or the holder's sweep."""
    ours = {os.getpid(), driver} - {0}
    return holder.pid in ours or holder.driver in ours


def _patience_s(holder: Holder | None, driver: int) -> float:
    """Return how long to wait for a lock that this holder has; `driver` is the sweep that wants it, or 0."""
    if holder is None or holder.is_alive() is False:
        return _DEAD_HOLDER_WAIT_S
    if driver and not holder.driver:
        return _VISIT_S
    return _ORPHAN_WAIT_S if holder.is_orphan() else 0.0


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        os.close(fd)
        raise
    return True


def _is_still(path: Path, fd: int) -> bool:
    """Tell whether `path` names the file that was locked, and not one that came after it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False


def _refused(study: str, holder: Holder | None) -> RefusedError:
    if holder is None:
        who = "another process"
    else:
        since = datetime.fromtimestamp(holder.since)
        shape = "%H:%M" if since.date() == datetime.now().date() else "%Y-%m-%d %H:%M"
        who = f"pid {holder.known_as} on {holder.host} since {since.strftime(shape)}"
    return RefusedError(f"study {study!r} is being run by {who}", field="study", hint=f"`sweep watch {study}` shows it")


_held: weakref.WeakSet[StudyLock] = weakref.WeakSet()


def _forget_in_child() -> None:
    for lock in list(_held):
        lock.forget()


os.register_at_fork(after_in_child=_forget_in_child)
