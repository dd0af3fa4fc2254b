"""Hears signals though the main thread is deep in native code: a thread of its own reads them from a pipe.

Python runs a signal's handler between two of its instructions, and to start Ray takes native calls of seconds. What
Python notes at once, whatever the main thread does, is a byte in a pipe.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

SIGNALS: Final = (
    signal.SIGINT,
    signal.SIGTERM,
    *[signal.SIGHUP] * (signal.getsignal(signal.SIGHUP) is signal.SIG_DFL),  # a terminal that closes; not under nohup
)

_SETTLE, _STOP = 0, 255  # no signal has these numbers
_SETTLE_S: Final = 5.0
"""How long the main thread waits for what a signal that it has noticed leads to."""


class Hearing(threading.Thread):
    """Takes these signals from `start` to `stop`; made and called in the main thread.

    Args:
        take: Called with each signal, one after the other, in this thread; meanwhile the main thread stands still as
            soon as it is back in Python.
        then: Called by the main thread afterwards; it may raise.
    """

    def __init__(self, take: Callable[[int], None], then: Callable[[], None]) -> None:
        super().__init__(name="sweep-signals", daemon=True)
        self._take, self._then = take, then
        self._out, self._in = os.pipe()
        os.set_blocking(self._in, False)
        self._waiters: queue.SimpleQueue[threading.Event] = queue.SimpleQueue()
        self._calm = threading.Lock()
        self._is_put_off = False
        self._before: dict[int, Any] = {signum: signal.getsignal(signum) for signum in SIGNALS}
        self._pipe_before = signal.set_wakeup_fd(self._in, warn_on_full_buffer=False)
        self.listen()
        self.start()

    def run(self) -> None:
        while True:
            for byte in os.read(self._out, 64):
                if byte == _STOP:
                    return
                if byte == _SETTLE:
                    self._waiters.get().set()
                elif byte in SIGNALS:
                    with self._calm:
                        self._take(byte)

    def listen(self) -> None:
        """Set the handlers, without which no signal is noted."""
        for signum in SIGNALS:
            signal.signal(signum, self._on_signal)

    @contextmanager
    def put_off(self) -> Iterator[None]:
        """Have no signal taken before the end of the block."""
        self._is_put_off = True
        try:
            with self._calm:
                yield
        finally:
            self._is_put_off = False
            self._settle()
        self._then()

    def stop(self) -> None:
        """Let what listened before do so again; whatever came until then has been taken when this returns."""
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        signal.set_wakeup_fd(self._pipe_before)
        self._note(_STOP)
        self.join()
        os.close(self._in)
        os.close(self._out)

    def _on_signal(self, signum: int, _frame: FrameType | None) -> None:
        if signal.set_wakeup_fd(self._in, warn_on_full_buffer=False) != self._in:  # somebody set another pipe
            self._note(signum)
        if not self._is_put_off:
            self._settle()
            self._then()

    def _settle(self) -> None:
        """Wait until all that was noted before has been taken."""
        settled = threading.Event()
        self._waiters.put(settled)
        self._note(_SETTLE)
        settled.wait(_SETTLE_S)

    def _note(self, byte: int) -> None:
        os.write(self._in, bytes([byte]))
