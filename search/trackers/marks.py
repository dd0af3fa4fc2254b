"""What a tracker has been told of a study, kept in the study's folder so that nothing is told twice: the `Marks`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STUDY: Final = -1
"""Stands for the study itself among the numbers of trials."""


@dataclass(slots=True)
class Mark:
    """What was told of one trial.

    Attributes:
        run: What the tracker finds its record by.
        step: The last step of which reports were told.
        ended: Whether its end was; of the study, that of its last run.
    """

    run: str = ""
    step: int = 0
    ended: bool = False


class Marks:
    """The marks of one tracker; lines are appended, of one trial the last one holds, and a torn one is passed over.

    Args:
        path: Their file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[int, Mark] = {}
        self._torn = False
        with suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                self._torn = not line.endswith("\n")
                with suppress(ValueError, TypeError, KeyError):
                    told = json.loads(line)
                    self._known[int(told["trial"])] = Mark(str(told["run"]), int(told["step"]), bool(told["ended"]))

    def of(self, number: int) -> Mark:
        """Return the mark of a trial, to be changed and then kept."""
        return self._known.setdefault(number, Mark())

    def keep(self, numbers: Iterable[int]) -> None:
        """Write the marks of these trials."""
        lines = []
        for number in numbers:
            mark = self._known[number]
            told = {"trial": number, "run": mark.run, "step": mark.step, "ended": mark.ended}
            lines.append(json.dumps(told) + "\n")
        if not lines:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n" * self._torn + "".join(lines))
        self._torn = False
