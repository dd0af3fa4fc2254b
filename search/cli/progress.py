"""A sweep while it runs, on stderr: redrawn on a terminal, plain lines elsewhere, silent when asked to be."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from search.cli import console, words
from search.durations import duration
from search.status import LostNode, Status

LINE_EVERY_S: Final = 1.0
"""Shortest time between two plain lines."""


@contextmanager
def view(*, quiet: bool) -> Iterator[Callable[[Status], None]]:
    """Show a sweep while the block runs; the terminal is restored at its end.

    Yields:
        What takes each new status.
    """
    if quiet:
        yield lambda _: None
    elif console.is_live(sys.stderr):
        with _redrawn() as update:
            yield update
    else:
        yield Lines(console.say).update


class Lines:
    """Plain lines: one when a trial ends, comes to rest or is the best, at most one a second, and always the last one.

    Args:
        write: Takes a line.
        clock: Monotonic seconds.
    """

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._told: object = None
        self._lost: tuple[LostNode, ...] = ()
        self._at = -LINE_EVERY_S

    def update(self, status: Status) -> None:
        """Write a line if there is something new to tell."""
        if status.lost_nodes != self._lost:
            for node in status.lost_nodes:
                if node not in self._lost:
                    self._write(f"[{duration(status.seconds)}] {words.lost_node(node)}")
            self._lost = status.lost_nodes
        waits_for = status.queued.partition(",")[0]
        counts = words.ended(status), status.trials.get("paused")
        news = (counts, status.best and status.best.number, status.state, waits_for)
        over = status.state != "running"
        if news == self._told or (self._clock() - self._at < LINE_EVERY_S and not over):
            return
        if self._told is None and not words.ended(status) and not status.running and not over and not waits_for:
            return  # nothing has begun yet
        self._told, self._at = news, self._clock()
        self._write(words.log_line(status))


@contextmanager
def _redrawn() -> Iterator[Callable[[Status], None]]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    terminal = Console(stderr=True, highlight=False)
    with Live(console=terminal, auto_refresh=False, transient=True) as display:

        def update(status: Status) -> None:
            lines = words.live(status, columns=terminal.width, rows=terminal.height)
            text = Text(console.clean("\n".join(lines)), no_wrap=True)
            text.stylize("bold", 0, len(lines[0]))
            display.update(text, refresh=True)

        yield update
