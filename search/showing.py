"""A sweep while a Python program runs it: as on the command line, or in a notebook as one line that is written over."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from search.cli import progress, words
from search.status import Status

if TYPE_CHECKING:
    from search.launch import Launch

_EVERY_S: Final = 1.0
_COLUMNS: Final = 120


@contextmanager
def shown(launch: Launch, show: bool | None) -> Iterator[Callable[[Status], None]]:
    """Show a sweep while the block runs.

    Args:
        launch: What runs.
        show: Whether to; None for where somebody looks on.

    Yields:
        What takes each new status.
    """
    notebook = in_notebook()
    if show is False or (show is None and not (notebook or sys.stderr.isatty())):
        yield lambda _: None
        return
    for note in (f"study {launch.folder.name}: {launch.plan.objective}", *launch.notes):
        sys.stderr.write(f"{note}\n")
    if not notebook:
        with progress.view(quiet=False) as update:
            yield update
        return
    line = Line(sys.stderr.write)
    try:
        yield line.update
    finally:
        line.end()


class Line:
    """One line of plain text, written over at most once a second, and always with the last state.

    Args:
        write: Takes text.
        clock: Monotonic seconds.
    """

    def __init__(self, write: Callable[[str], Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self._at, self._wide = -_EVERY_S, 0

    def update(self, status: Status) -> None:
        """Write where the sweep stands over what was written before."""
        if self._clock() - self._at < _EVERY_S and status.state == "running":
            return
        self._at = self._clock()
        text = words.log_line(status)[:_COLUMNS]
        self._write(f"\r{text.ljust(self._wide)}")
        self._wide = len(text)

    def end(self) -> None:
        """Leave the line."""
        if self._wide:
            self._write("\n")


def in_notebook() -> bool:
    """Tell whether this process is a notebook's kernel; nothing is imported for it."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and hasattr(shell, "kernel")
