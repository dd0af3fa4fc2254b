"""Who writes a study, as the record in its lock says: the `Holder`."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Holder:
    """Who writes a study.

    Attributes:
        host: Name of its machine.
        pid: Of its process.
        started: When that process started, as `start_of` tells it, so that a reused pid is not taken for it.
        since: When it took the lock, in unix seconds.
        driver: The process that people know as the sweep; itself, where nothing else is said.
        driver_started: When that one started.
    """

    host: str
    pid: int
    started: float
    since: float
    driver: int = 0
    driver_started: float = 0.0

    @property
    def known_as(self) -> int:
        """The process id that a person would look for."""
        return self.driver or self.pid

    def is_alive(self) -> bool | None:
        """Tell whether the process still exists; None if it belongs to another machine."""
        return self._is_there(self.pid, self.started)

    def is_at_work(self) -> bool | None:
        """Tell whether the process exists, or the sweep that it works for and that will start another one.

        None if they belong to another machine.
        """
        return self.is_alive() or (self._is_there(self.driver, self.driver_started) if self.driver else self.is_alive())

    def is_orphan(self) -> bool:
        """Tell whether the sweep that it worked for is gone: then it will be, too, in seconds."""
        return bool(self.driver) and self._is_there(self.driver, self.driver_started) is False

    def _is_there(self, pid: int, started: float) -> bool | None:
        if self.host != socket.gethostname():
            return None
        return start_of(pid) == started


def start_of(pid: int) -> float | None:
    """Return when a process started, on a clock that nobody sets; None if there is none that runs.

    Clock ticks since the machine booted, where the kernel tells them: a time of day would move with the clock.
    """
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        after_name = []
    if after_name:
        return None if after_name[0] in "ZX" else float(after_name[19])
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def parsed(record: bytes) -> Holder | None:
    """Return the holder that a record names; None if it is none."""
    try:
        return Holder(**json.loads(record))
    except (ValueError, TypeError):
        return None
