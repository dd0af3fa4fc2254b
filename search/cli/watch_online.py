"""`sweep watch` of a model that keeps learning: what its learner tells every second, live."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from search.cli import console
from search.errors import InputError, SurroundingsError
from search.paths import OnlineFolder, StudyFolder

if TYPE_CHECKING:
    from search.cli.options import Common
    from search.online.status import Alarm, Status, Swap

_EVERY_S: Final = 0.5
_LINE_EVERY_S: Final = 10.0
"""Seconds between two plain lines, but for what happens."""

_PATIENCE_S: Final = 5.0
"""For so long a file may be unreadable: a results folder that others mount may be away for a moment."""


def meant(results: Path, name: str) -> OnlineFolder | None:
    """Return the model that a name means, in full; None if it means none, or a study has just that name."""
    with suppress(InputError):  # a path, or the start of a name
        folder = OnlineFolder.of(results, name)
        if folder.root.is_dir() and not StudyFolder(results / name).exists():
            return folder
    return None


def refuse_flags(folder: OnlineFolder, *, from_start: bool, web: bool) -> None:
    """Refuse what a model that keeps learning has not.

    Raises:
        InputError: It was asked for.
    """
    name = folder.name
    if web:
        raise InputError(
            f"{name} is a model that keeps learning, and its server has its page: /online",
            field="--web",
            hint=f"open http://HOST:PORT/online of `sweep online {name}`",
        )
    if from_start:
        raise InputError(
            f"--from-start is for the events of a study, and {name} is a model that keeps learning",
            field="--from-start",
        )


def watch(shared: Common, folder: OnlineFolder) -> None:
    """Show how a model stands until Ctrl-C.

    Raises:
        KeyboardInterrupt: Always, in the end.
        SurroundingsError: Its status cannot be read.
    """
    if shared.json:
        _tell(folder)
    elif console.is_live(sys.stderr):
        _redraw(folder)
    else:
        _lines(folder)


def _looks(folder: OnlineFolder) -> Iterator[Status | None]:
    """Yield how the model stands, twice a second."""
    from search.online.status import read

    readable_s = time.monotonic()
    while True:
        try:
            found = read(folder)
        except SurroundingsError:
            if time.monotonic() - readable_s > _PATIENCE_S:
                raise
        else:
            readable_s = time.monotonic()
            yield found
        time.sleep(_EVERY_S)


def _tell(folder: OnlineFolder) -> None:
    """Print a line of JSON whenever something but the time has changed."""
    before: object = None
    for found in _looks(folder):
        running = found is not None and not found.is_silent(time.time())
        status = None if found is None else found.to_json()
        now = (running, status and {**status, "at_s": None})
        if now != before:
            before = now
            console.out_json({"event": "status", "model": folder.name, "running": running, "status": status})
            sys.stdout.flush()


def _redraw(folder: OnlineFolder) -> None:
    from search.cli import words_online

    with _screen() as (draw, size):
        for found in _looks(folder):
            if found is None:
                draw([nothing(folder)])
            else:
                columns, rows = size()
                draw(words_online.live(found, now_s=time.time(), columns=columns, rows=rows))


@contextmanager
def _screen() -> Iterator[tuple[Callable[[list[str]], None], Callable[[], tuple[int, int]]]]:
    """Give what draws lines over those before, and what tells how many there is room for."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    terminal = Console(stderr=True, highlight=False)
    with Live(console=terminal, auto_refresh=False, transient=True) as display:

        def draw(lines: list[str]) -> None:
            text = Text(console.clean("\n".join(lines)), no_wrap=True)
            text.stylize("bold", 0, len(lines[0]))
            display.update(text, refresh=True)

        yield draw, lambda: (terminal.width, terminal.height)


def _lines(folder: OnlineFolder) -> None:
    lines = Lines(folder, console.say)
    for found in _looks(folder):
        lines.update(found, time.time())


class Lines:
    """Plain lines, where there is no terminal: of what happens at once, of rows that came now and then.

    Args:
        folder: Of the model.
        write: Takes a line.
        clock: Monotonic seconds.
    """

    def __init__(
        self, folder: OnlineFolder, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder, self._write, self._clock = folder, write, clock
        self._events: list[Alarm | Swap] | None = None  # that are known; those before the first look are not told
        self._state: object = None
        self._sequence = -1
        self._at_s = -_LINE_EVERY_S

    def update(self, found: Status | None, now_s: float) -> None:
        """Write what is new.

        Args:
            found: How the model stands.
            now_s: Unix time.
        """
        from search.cli import words_online

        if found is None:
            if self._state is None:
                self._write(nothing(self._folder))
            self._state = ""
            return
        events = found.events()
        for one in reversed(events):
            if self._events is not None and one not in self._events:
                self._write(words_online.event(one))
        self._events = events
        state = (found.learning, found.is_silent(now_s), found.champion.label)
        is_due = self._clock() - self._at_s >= _LINE_EVERY_S and found.sequence != self._sequence
        if state != self._state or is_due:
            self._write(words_online.log_line(found, now_s))
            self._state, self._sequence, self._at_s = state, found.sequence, self._clock()


def nothing(folder: OnlineFolder) -> str:
    """Say that a model has no status."""
    return f"{folder.name} has told nothing yet: has `sweep online {folder.name}` begun?"
