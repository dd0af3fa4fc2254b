"""When test rows were looked at, by whom and what for: lines that are added and never changed, each an `Opening`."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from search.errors import SurroundingsError
from search.paths import sync_folder
from search.promote.rowprint import Rowprint
from search.registry.lock import wait
from search.study.disk import cannot_read, cannot_write

FILE_NAME: Final = "openings.jsonl"
_OPENED: Final = "opened"
_ENDED: Final = "ended"
_GIVEN: Final = ("when", "by", "study", "model", "reason", "data_hash")


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """Test rows that came out once.

    Attributes:
        number: From 0, in the order of the openings.
        when: In UTC, as `registry.stamp` writes it.
        by: Whom, as user@host.
        study: Whose winner was tested.
        model: That it was to become.
        reason: Why.
        data_hash: Fingerprint of the whole data set.
        rows: Which rows.
        version: Of the model, that came of it; None: nothing did, or not yet.
        outcome: What else became of it, a few words; "" where nobody has said so.
    """

    number: int
    when: str
    by: str
    study: str
    model: str
    reason: str
    data_hash: str
    rows: Rowprint
    version: int | None = None
    outcome: str = ""

    @property
    def text(self) -> str:
        """Return it for the middle of a sentence: `on 2 Nov 2026 by version 3 of churn (study a)`."""
        when, model, study = datetime.fromisoformat(self.when), _short(self.model), _short(self.study)
        day = f"{when.day} {when:%b %Y}"
        if self.version is not None:
            return f"on {day} by version {self.version} of {model} (study {study})"
        return f"on {day} for {model} (study {study}), {_short(self.outcome) or 'which did not come to an end'}"

    def to_json(self) -> dict[str, Any]:
        """Return it as a card or a command shows it, without its rows."""
        names = ("when", "by", "study", "model", "reason", "version", "outcome")
        return {"rows": self.rows.rows, **{name: getattr(self, name) for name in names}}


class Ledger:
    """The file of a results folder, while this process has its lock.

    Attributes:
        openings: All so far, in their order.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self._path, self._fd = path, fd
        content = os.pread(fd, os.fstat(fd).st_size, 0)
        self.openings, self._lines, self._size = _read(path, content)
        if self._size < len(content):  # a line that was never whole let no row out
            _keep(path, content[self._size :])
            os.ftruncate(fd, self._size)
            os.fsync(fd)

    def add(self, opening: Opening) -> Opening:
        """Write an opening to the disk, and return it with its number.

        Raises:
            SurroundingsError: It cannot be written; nothing of it stays.
        """
        opening = replace(opening, number=len(self.openings))
        given = {name: getattr(opening, name) for name in _GIVEN}
        self._append({"kind": _OPENED, **given, "rows": opening.rows.to_json()})
        self.openings = (*self.openings, opening)
        return opening

    def end(self, number: int, version: int | None, outcome: str, when: str) -> None:
        """Write what became of an opening.

        Raises:
            SurroundingsError: It cannot be written.
        """
        self._append({"kind": _ENDED, "opening": number, "when": when, "version": version, "outcome": outcome})

    def _append(self, record: dict[str, Any]) -> None:
        line = _line({"line": self._lines, **record})
        try:
            written = 0
            while written < len(line):
                written += os.write(self._fd, line[written:])
            os.fsync(self._fd)
        except OSError as error:
            with suppress(OSError):  # then the next one who has the lock cuts it off
                os.ftruncate(self._fd, self._size)
            raise cannot_write(self._path, error) from error
        self._lines, self._size = self._lines + 1, self._size + len(line)


def ledger_file(results: Path) -> Path:
    """Return where a results folder keeps its openings."""
    return results / "models" / FILE_NAME


@contextmanager
def locked(results: Path) -> Iterator[Ledger]:
    """Hold the ledger of a results folder, which is made if it is not there; others wait meanwhile.

    Raises:
        SurroundingsError: It is damaged, or cannot be written.
    """
    path = ledger_file(results.absolute())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        try:
            wait(fd, path, field="results")
            sync_folder(path.parent)  # or a power cut could take the name away
            ledger = Ledger(path, fd)
        except OSError as error:
            raise cannot_write(path, error) from error
        yield ledger
    finally:
        os.close(fd)


def openings_of(results: Path, *, study: str | None = None, model: str | None = None) -> tuple[Opening, ...]:
    """Return the openings that a results folder knows of, in their order; it changes nothing and waits for nobody.

    Args:
        results: The folder.
        study: Of these alone; all if left out.
        model: Likewise.

    Raises:
        SurroundingsError: The ledger is damaged, or cannot be read.
    """
    path = ledger_file(results)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise cannot_read(path, error) from error
    found, _, _ = _read(path, content)
    return tuple(one for one in found if study in (None, one.study) and model in (None, one.model))


def _read(path: Path, content: bytes) -> tuple[tuple[Opening, ...], int, int]:
    """Return the openings of a ledger with what became of each, how many lines there are, and how many bytes they take.

    What follows the last line is torn, if it was no whole line whose end was damaged.
    """
    found: list[Opening] = []
    lines = content.splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n") and not _was_whole(lines[-1], len(lines) - 1):
        lines.pop()
    for number, line in enumerate(lines):
        try:
            record = _checked(line, number)
            if record["kind"] == _OPENED:
                found.append(_opening(record, len(found)))
            else:
                ended = record["opening"]
                found[ended] = replace(found[ended], version=record["version"], outcome=record["outcome"])
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
            raise SurroundingsError(
                f"{path} is damaged at line {number + 1}, so nobody knows what test rows were seen",
                field="results",
                hint="put it back from a copy",
            ) from error
    return tuple(found), len(lines), sum(map(len, lines))


def _opening(record: dict[str, Any], number: int) -> Opening:
    datetime.fromisoformat(record["when"])
    return Opening(number, rows=Rowprint.from_json(record["rows"]), **{name: record[name] for name in _GIVEN})


def _line(record: dict[str, Any]) -> bytes:
    """Return a record as a line that shows a flipped byte."""
    crc32 = zlib.crc32(json.dumps(record, sort_keys=True).encode())
    return json.dumps({**record, "crc32": crc32}, sort_keys=True).encode() + b"\n"


def _checked(line: bytes, number: int) -> dict[str, Any]:
    record = json.loads(line)
    record.pop("crc32")
    if _line(record) != line or record.pop("line") != number:
        raise ValueError("not as it was written")
    return dict(record)


def _was_whole(line: bytes, number: int) -> bool:
    try:
        return bool(_checked(line[:-1] + b"\n", number))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def _keep(path: Path, torn: bytes) -> None:
    number = 1
    while (kept := path.with_name(f"{path.name}.torn-{number}")).exists():
        number += 1
    kept.write_bytes(torn)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
