"""Lines of JSON for people, each with a number, so that one that is told again is written once: the `Written`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_LAST: Final = 65_536
"""Bytes at the end of a file in which its last whole line is looked for."""


class Written:
    """A file that is only appended to.

    Args:
        path: Its folder is made, too.

    Raises:
        OSError: It cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._last = self._mend()

    def add(self, number: int, told: Mapping[str, Any]) -> None:
        """Append a line, unless one with this number, or a later one, is there.

        Raises:
            OSError: It cannot be written.
        """
        if number <= self._last:
            return
        line = json.dumps({"number": number, **told}, ensure_ascii=False, allow_nan=False) + "\n"
        with self._path.open("ab") as file:
            file.write(line.encode())
        self._last = number

    def _mend(self) -> int:
        """Cut off what a kill left of a line, and return the number of the last whole one; 0 of none."""
        if not self._path.exists():
            return 0
        with self._path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            start = file.seek(max(0, size - _LAST))
            end = file.read()
            whole = end.rfind(b"\n") + 1
            file.truncate(start + whole)
        for line in reversed(end[:whole].splitlines()):
            try:
                return int(json.loads(line)["number"])
            except (ValueError, KeyError, TypeError):
                continue
        return 0
