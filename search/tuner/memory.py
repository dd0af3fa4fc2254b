"""Measures the memory that a trial takes, and ends one that takes more than it may. Knows Linux; elsewhere silent."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final

from search.blame import speaks_of_gpu_memory
from search.errors import FailReason
from search.parsers import size_text
from search.trial import Outcome

EVERY_S: Final = 0.05
"""How often a trial's memory is looked at."""

PATIENCE_S: Final = 2.0
"""How long a trial may take to end after it was told to, before its process is ended."""

ASIDE: Final = 128 * 2**20
"""Address space that is taken and hardly touched: stacks of new threads, what allocators set aside."""

_PROC: Final = Path("/proc/self")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def forget_peak() -> None:
    """Measure the peak of this process from here on."""
    with suppress(OSError):
        (_PROC / "clear_refs").write_text("5")


def peak_mb() -> float | None:
    """Return the largest memory of this process since `forget_peak`, in MB; None where nobody measures it."""
    with suppress(OSError, ValueError), (_PROC / "status").open() as lines:
        for line in lines:
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    return None


class MemoryLimit:
    """What one trial may take beyond what its process held when it began.

    Two guards. The kernel refuses what leads far beyond the limit (`RLIMIT_DATA`: private memory that can be written,
    so that mapped data does not count), as a `MemoryError` or its like in the code that asked. And a thread looks at
    the memory that is really in use, raises `MemoryError` in the trial when that is above the limit, and ends the
    process if the trial does not end by that. The thread comes first for what grows bit by bit: an interpreter without
    a byte to spare cannot even unwind (CPython 3.11 loops for ever in `exception_unwind`). The limit holds for each
    process that a trial starts by itself, too.

    Enter it around the trial's own code, by the thread that runs it, as often as needed.

    Args:
        limit: In bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._lock = threading.Lock()
        self._inside: int | None = None  # thread that runs the trial
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def said(self) -> str:
        return f"it took more than {size_text(self._limit)} of memory"

    def arm(self) -> None:
        """Begin to hold the process to its limit."""
        _trim()
        taken = _in_use()
        if taken is None:
            return
        self._held, data = taken
        _set_data_limit(data + self._limit + ASIDE)
        self._thread = threading.Thread(target=self._watch, name="sweep-memory", daemon=True)
        self._thread.start()

    def disarm(self) -> None:
        """Let the process take what it likes."""
        _set_data_limit(None)
        self._over.set()

    def __enter__(self) -> None:
        with self._lock:
            self._inside = threading.get_ident()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with self._lock:
            inside, self._inside = self._inside, None
            if inside is not None:
                _raise_in(inside, None)  # one on its way is not for whoever comes after the trial

    def named(self, outcome: Outcome) -> Outcome:
        """Return the outcome of a trial that met the limit with a text that names it."""
        if outcome.reason is not FailReason.OUT_OF_MEMORY or speaks_of_gpu_memory(outcome.text):
            return outcome
        return replace(outcome, text=self.said)

    def _watch(self) -> None:
        since: float | None = None
        while not self._over.wait(EVERY_S):
            taken = _in_use()
            if taken is None or taken[0] - self._held <= self._limit:
                since = None
                continue
            with self._lock:
                if self._inside is None:
                    continue
                if since is None:
                    since = time.monotonic()
                    _raise_in(self._inside, MemoryError)
                elif time.monotonic() - since > PATIENCE_S:
                    os.write(2, f"\nout of memory: {self.said}\n".encode())
                    os._exit(1)


def _in_use() -> tuple[int, int] | None:
    """Return the bytes of this process's own memory that are in use, and those of its data segments."""
    try:
        fields = (_PROC / "statm").read_text().split()
    except OSError:
        return None
    return (int(fields[1]) - int(fields[2])) * _PAGE, int(fields[5]) * _PAGE


def _set_data_limit(limit: int | None) -> None:
    import resource  # not everywhere

    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if limit is None or (hard != resource.RLIM_INFINITY and limit > hard):
        limit = hard
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _trim() -> None:
    """Give back what earlier trials freed, or it would be this one's for nothing."""
    with suppress(OSError, AttributeError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Raise an exception in a thread at its next step in Python; None takes back one that has not been raised."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind) if kind else None)
