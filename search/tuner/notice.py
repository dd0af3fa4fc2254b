"""Hears in a worker that its machine is about to be taken away: the `Notice`, which is a SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class Notice:
    """Takes SIGTERM while a trial is in hand, so that it can save a checkpoint; else, and the second time, it ends us.

    Attributes:
        given: Whether it has come.
        is_busy: Tells whether a trial is in hand.
    """

    def __init__(self) -> None:
        self.given = False
        self.is_busy: Callable[[], bool] = lambda: False
        self._before: Any = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._take)

    def _take(self, signum: int, frame: FrameType | None) -> None:
        if self.is_busy() and not self.given:
            self.given = True
        elif callable(self._before):
            self._before(signum, frame)  # Ray's own, which leaves this process
        else:
            raise SystemExit(128 + signum)
