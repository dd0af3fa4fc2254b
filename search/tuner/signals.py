"""Ctrl-C and SIGTERM while a sweep runs: once asks it to pause, twice ends it now."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

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


@contextmanager
def listening() -> Iterator[Interruption]:
    """Listen for signals; enter after `ray.init`, which sets handlers of its own.

    The second signal ends the process at once, with all that it started and the exit code 128 + signal.
    """
    got = Interruption()

    def on_signal(signum: int, _frame: FrameType | None) -> None:
        if got.asked.is_set():
            end_now(128 + signum)
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
    """Make Tune end its trials and return: it takes SIGUSR1 as a graceful stop."""
    os.kill(os.getpid(), signal.SIGUSR1)


def descendants() -> list[int]:
    """Return the ids of all processes that this one started, and theirs."""
    import psutil

    return [process.pid for process in psutil.Process().children(recursive=True)]


def kill(pids: list[int]) -> None:
    """Kill those of these processes that still run."""
    import psutil

    for pid in pids:
        try:
            psutil.Process(pid).kill()
        except psutil.NoSuchProcess:
            continue


def end_now(code: int) -> None:
    """End this process and all that it started, at once."""
    kill(descendants())
    os._exit(code)
