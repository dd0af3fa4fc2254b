"""Ctrl-C and SIGTERM while a sweep runs: once asks it to pause, twice ends it now."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import psutil

GRACE_S: Final = 8.0
"""How long running trials may take to reach their next report and pause, before they are ended."""


@dataclass(slots=True)
class Interruption:
    """What the user has asked for by signals.

    Attributes:
        asked: Set at the first signal.
        signum: That signal, 0 before.
    """

    asked: threading.Event = field(default_factory=threading.Event)
    signum: int = 0


class Family:
    """The processes that this one started since the family was founded, and theirs; those from before are not ours."""

    def __init__(self) -> None:
        import psutil

        self._before = set(psutil.Process().children(recursive=True))
        self._known: set[psutil.Process] = set()

    def meet(self) -> None:
        """Remember who is alive now, by process id and start time: a parent's death hides its children from us."""
        import psutil

        self._known |= set(psutil.Process().children(recursive=True)) - self._before

    def kill(self) -> None:
        """Kill all of them that still run."""
        import psutil

        self.meet()
        for process in self._known:
            with suppress(psutil.NoSuchProcess):
                process.kill()


@contextmanager
def listening(family: Family | None) -> Iterator[Interruption]:
    """Listen for signals; enter after `ray.init`, which sets handlers of its own.

    The second signal ends the process at once, with all that it started and the exit code 128 + signal.

    Args:
        family: Whom the second signal ends, too.
    """
    got = Interruption()

    def on_signal(signum: int, _frame: FrameType | None) -> None:
        if got.asked.is_set():
            _end_now(128 + signum, family)
        got.signum = signum
        got.asked.set()

    if threading.current_thread() is not threading.main_thread():  # a notebook's worker thread: no signals there
        yield got
        return
    before = {signum: signal.signal(signum, on_signal) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield got
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def end_tune() -> None:
    """Make Tune end its trials and return: it takes SIGUSR1 as a graceful stop, where it could set a handler for it."""
    if callable(signal.getsignal(signal.SIGUSR1)):
        os.kill(os.getpid(), signal.SIGUSR1)


def _end_now(code: int, family: Family | None) -> None:
    """End this process and all that it started, at once; a terminal gets its cursor back."""
    if family is not None:
        family.kill()
    cursor = b"\x1b[?25h" if sys.stderr.isatty() else b""
    with suppress(OSError):
        os.write(2, cursor + b"\nended at once; trials that were running are as they last reported\n")
    os._exit(code)
