"""Lines of JSON for people, each with a number, so that one that is told again is written once: the `Written`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from search.data.collect.place import cannot_write

MOST_BYTES: Final = 50_000_000
"""Of a file that may not grow for ever; the one before it has as many."""

_CHUNK: Final = 65_536


class Written:
    """A file that is only appended to.

    Lines are numbered from 1 in each life of a model: one that begins anew, since what it knew was moved away, has
    another identity, and its first lines are no repeats.

    Args:
        path: Its folder is made, too.
        identity: Of the life whose lines are added.
        older: Where a file goes that has become too large, in place of the one there; None: it may grow.
        most_bytes: From which on it is too large.

    Raises:
        SurroundingsError: It cannot be read or written.
    """

    def __init__(self, path: Path, identity: str, *, older: Path | None = None, most_bytes: int = MOST_BYTES) -> None:
        self._path, self._identity, self._older, self._most = path, identity, older, most_bytes
        self._last: int | None = None  # of this life; None: the file has to be looked at
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._last = self._look()
        except OSError as error:
            raise cannot_write(path, error) from error

    def add(self, number: int, told: Mapping[str, Any]) -> None:
        """Append a line, unless one of this life with this number, or a later one, is there.

        Raises:
            SurroundingsError: It cannot be written; the next call tries again.
        """
        said = {"number": number, "life": self._identity, **told}
        text = json.dumps(said, ensure_ascii=False, allow_nan=False)
        line = text.encode(errors="backslashreplace") + b"\n"  # half of a character is so in JSON, too
        try:
            last = self._look() if self._last is None else self._last
            self._last = None  # until the line is there, whole
            if number > last:
                self._append(line)
            self._last = max(number, last)
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def _append(self, line: bytes) -> None:
        if self._older is not None and 0 < _size(self._path) > self._most - len(line):
            self._path.replace(self._older)
        with self._path.open("ab") as file:
            file.write(line)

    def _look(self) -> int:
        """Cut off what a kill, or a full disk, left of a line, and return the last number of this life; 0 of none."""
        torn = next(_backwards(self._path), b"")
        if torn:
            os.truncate(self._path, _size(self._path) - len(torn))
        return self._last_in(self._path) or (0 if self._older is None else self._last_in(self._older))

    def _last_in(self, path: Path) -> int:
        mark = json.dumps(self._identity).encode()
        for line in _backwards(path):
            if mark in line:
                try:
                    told = json.loads(line)
                    if told["life"] == self._identity:
                        return int(told["number"])
                except (ValueError, KeyError, TypeError):
                    continue
        return 0


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _backwards(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file from its end, first what stands behind the last line break; none of no file."""
    if not path.exists():
        return
    with path.open("rb") as file:
        start, size, rest = file.seek(0, os.SEEK_END), _CHUNK, b""
        while start:
            begin = max(0, start - size)
            file.seek(begin)
            rest, *lines = (file.read(start - begin) + rest).split(b"\n")
            yield from reversed(lines)
            start = begin
            size = _CHUNK if lines else 2 * size  # so that a long line is not put together again and again
        yield rest
