"""Ends a trial that hangs, in native code too; what a process says on its way down is kept for the attempt after it."""

from __future__ import annotations

import faulthandler
import glob
import os
import re
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final, Literal

from search.blame import speaks_of_memory

LATE_S: Final = 1.0
"""How much later than the engine the watchdog strikes: whoever returns to Python in time gets a better sentence."""

_STDERR: Final = 2
_READ_BYTES: Final = 20_000  # of its beginning, where C++ says what it died of, and of its end, where stacks are
_BEFORE: Final = re.compile(r"(\d+) processes killed")
_KILLS: Final = re.compile(rb"^oom_kill (\d+)", re.MULTILINE)
_OVER_TIME: Final = re.compile(r"^Timeout \(", re.MULTILINE)  # as `faulthandler` begins

Cause = Literal["", "time", "limit", "memory"]
"""What ended an attempt: its time-out, memory that was refused to it, the kernel for want of memory, or who knows."""


def forget(study: str) -> None:
    """Remove what is left on this node of the last words of a study's trials."""
    for path in _folder().glob(f"{glob.escape(study)}-*"):
        with suppress(OSError):
            path.unlink()


class LastWords:
    """What a process writes to its standard error while it runs a trial, natively, kept in a file on its node.

    Args:
        study: Name of the study's actor, which no other study on this machine has.
        number: Of the trial.
    """

    def __init__(self, study: str, number: int) -> None:
        self._folder = _folder()
        self._path = self._folder / f"{study}-{number}"
        self._before: int | None = None

    def read(self) -> str:
        """Return what the attempt before wrote on this node, "" if it did not end in the middle of the trial."""
        return self._whole().partition("\n")[2]

    def _whole(self) -> str:
        try:
            if self._path.is_symlink() or self._path.stat().st_uid != os.getuid():
                return ""
            with self._path.open("rb") as file:
                begins = file.read(_READ_BYTES)
                file.seek(max(len(begins), self._path.stat().st_size - _READ_BYTES))
                return (begins + file.read(_READ_BYTES)).decode(errors="replace")
        except OSError:
            return ""

    def cause(self) -> Cause:
        """Tell what ended that attempt."""
        words = self._whole()
        if _OVER_TIME.search(words):
            return "time"
        if speaks_of_memory(words):
            return "limit"
        before = _BEFORE.match(words)
        silent = not words.partition("\n")[2].strip()  # whom the kernel kills has no last words; a crash has
        return "memory" if before is not None and silent and _kernel_kills() > int(before[1]) else ""

    def catch(self) -> None:
        """Have standard error written to the file until `release`.

        Raises:
            OSError: The temporary folder cannot be written.
        """
        fd = self._open()
        self._before = os.dup(_STDERR)
        os.dup2(fd, _STDERR)
        os.write(fd, f"{_kernel_kills()} processes killed by this machine's kernel before\n".encode())
        os.close(fd)

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        with suppress(FileExistsError, FileNotFoundError):
            return os.open(self._path, flags, 0o600)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self.clear()
        return os.open(self._path, flags, 0o600)

    def release(self) -> None:
        """Give standard error back, and forget what was written."""
        if self._before is not None:
            os.dup2(self._before, _STDERR)
            os.close(self._before)
            self._before = None
        self.clear()

    def clear(self) -> None:
        """Forget the words of the attempt before."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


@cache
def _folder() -> Path:
    """Return where last words are kept: in memory where that is possible, since a file is made for each trial."""
    name = f"sweep-watchdog-{os.getuid()}"
    places = [Path("/dev/shm") / name, Path(tempfile.gettempdir()) / name]
    return next((place for place in places if _is_ours(place)), places[-1])


def _is_ours(folder: Path) -> bool:
    """Tell whether a folder is there, or can be made, that is nobody else's: its name is known to everybody."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _kernel_kills() -> int:
    """Return how many processes the kernel has killed for want of memory; 0 where it does not say."""
    with suppress(OSError):
        found = _KILLS.search(Path("/proc/vmstat").read_bytes())
        return int(found[1]) if found is not None else 0
    return 0


class Watchdog:
    """A timer in a C thread, which no lock of Python's can hold up; it writes every thread's stack and exits."""

    def arm(self, limit_s: float) -> None:
        """End this process `LATE_S` after the limit, unless `disarm` comes first."""
        faulthandler.dump_traceback_later(limit_s + LATE_S, exit=True, file=_STDERR)

    def disarm(self) -> None:
        faulthandler.cancel_dump_traceback_later()
