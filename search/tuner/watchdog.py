"""Ends a trial that hangs, in native code too, and leaves word of where it hung for the attempt that comes after."""

from __future__ import annotations

import faulthandler
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

LATE_S: Final = 1.0
"""How much later than the engine the watchdog strikes: whoever returns to Python in time gets a better sentence."""


class Watchdog:
    """A timer in a C thread, which no lock of Python's can hold up; it writes every thread's stack and exits.

    Args:
        study: Name of the study's actor, which no other study on this machine has.
        number: Of the trial.
    """

    def __init__(self, study: str, number: int) -> None:
        self._folder = Path(tempfile.gettempdir()) / f"sweep-watchdog-{os.getuid()}"
        self._path = self._folder / f"{study}-{number}"
        self._file: IO[str] | None = None

    def last_words(self) -> str:
        """Return the stacks that an attempt before left on this node, "" if none was ended by its watchdog."""
        try:
            if self._path.is_symlink() or self._path.stat().st_uid != os.getuid():
                return ""
            return self._path.read_text(errors="replace")
        except OSError:
            return ""

    def arm(self, limit_s: float) -> None:
        """End this process `LATE_S` after the limit, unless `disarm` comes first.

        Raises:
            OSError: The temporary folder cannot be written.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self.clear()
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(fd, "w")
        faulthandler.dump_traceback_later(limit_s + LATE_S, exit=True, file=self._file)

    def disarm(self) -> None:
        faulthandler.cancel_dump_traceback_later()
        if self._file is not None:
            self._file.close()
            self._file = None
        self.clear()

    def clear(self) -> None:
        """Take back the words of the attempt before."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
