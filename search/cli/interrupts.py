"""Ctrl-C and SIGTERM of a command, from before its first import to after its last word: it ends, quietly.

`sweep run` and `sweep resume` hold nothing until their sweep begins, and a library that is being imported is no place
to raise an exception in: they end at once. Other commands get a KeyboardInterrupt, and clean up behind it. A sweep that
runs listens itself (`search.tuner.signals`).
"""

from __future__ import annotations

import signal
import sys

from search.ending import end_now, leave

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_got: list[int] = []
_raising = False


def listen() -> None:
    """Take both signals from here on; they end the process at once."""
    for signum in _SIGNALS:
        signal.signal(signum, _on_signal)
    sys.unraisablehook = _on_unraisable


def raise_from_here() -> None:
    """Let the first signal raise a KeyboardInterrupt, so that what is open is closed; the second ends all at once."""
    global _raising
    _raising = True


def ignore() -> None:
    """Take no signal any more: all is said, and a process that is on its way out needs no other end."""
    for signum in _SIGNALS:
        signal.signal(signum, signal.SIG_IGN)


def leave_if_got() -> None:
    """End the process with the code of a signal that has interrupted its command.

    A KeyboardInterrupt on its way through an `exec`, of a dataclass that is being made say, has Python end itself by
    SIGINT at the exit of a `python -m`, whatever is returned.
    """
    if _got:
        leave(128 + _got[0])


def _on_signal(signum: int, _frame: FrameType | None) -> None:
    if _got or not _raising:
        end_now(128 + signum, "interrupted")
    _got.append(signum)
    raise KeyboardInterrupt


def _on_unraisable(lost: Any) -> None:
    """End what a signal was to end, where its KeyboardInterrupt came up in a place that swallows all exceptions."""
    if isinstance(lost.exc_value, KeyboardInterrupt):
        end_now(128 + (_got or [signal.SIGINT])[0], "interrupted")
    sys.__unraisablehook__(lost)
