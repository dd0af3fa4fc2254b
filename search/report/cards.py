"""What a trial's card tells beside its columns and its curve: its origin, its end, log, error and command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import numpy as np

from search.records.history import History, Ints
from search.report.chosen import ranked
from search.report.commands import Commands
from search.report.ends import end, origin

_TAIL_BYTES: Final = 4_096
_BEST: Final = 10
_FAILED: Final = 50
_RUNNING: Final = 20

LOGS: Final = (
    f"Logs and errors of the best {_BEST}, the first {_FAILED} that failed and {_RUNNING} that run are in the page."
)


def cards(history: History, numbers: Ints) -> dict[str, Any]:
    """Return by number of a trial the sentences of its `origin`, if that is known, and of its `end`.

    For some there are the ends of its `log` and its `error`, too.
    """
    of = {str(number): _words(history, number) for number in numbers.tolist()}
    for number in _with_logs(history):
        folder = history.folder.trial(number)
        told = of.setdefault(str(number), _words(history, number))
        told |= {name: text for name, path in (("log", folder.log), ("error", folder.error)) if (text := _tail(path))}
    commands = Commands.of(history)
    return {
        "of": of,
        "repeat": commands.repeat("{}"),
        "show": commands.show("{}"),
        "logs": commands.logs("{}"),
        "note": LOGS,
    }


def _words(history: History, number: int) -> dict[str, Any]:
    begun = origin(history, number)
    return {"end": end(history, number), **({"origin": begun} if begun else {})}


def _with_logs(history: History) -> list[int]:
    failed = np.flatnonzero(history.are("fail"))[:_FAILED]
    running = np.flatnonzero(history.are("running"))[:_RUNNING]
    best = [*history.front[:_BEST], *ranked(history)[:_BEST].tolist()][: 2 * _BEST]
    return sorted({*best, *failed.tolist(), *running.tolist()})


def _tail(path: Path) -> str:
    """Return the end of a file, from the beginning of a line; "" if there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            found = file.read().decode(errors="replace")
    except OSError:
        return ""
    if size > _TAIL_BYTES:
        found = "…\n" + found.partition("\n")[2]
    return found.rstrip()
