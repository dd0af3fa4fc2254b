"""The bytes of a journal: one JSON record a line; which of them are intact, and where they are damaged."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from shlex import quote
from typing import Any, BinaryIO, Final

from search.errors import SurroundingsError
from search.study import checksum
from search.study.checksum import Checkpoint

_MOST_TORN: Final = 16 << 10
"""Synced bytes, if they are not half of all, that may go with a torn end; more was taken by something else."""

_TAIL: Final = 16 << 20
"""Bytes at the end in which the last complete record must lie."""


@dataclass(frozen=True, slots=True)
class Intact:
    """The beginning of a journal that ends with its last complete record.

    Attributes:
        end: Its length in bytes; what follows is torn.
        records: How many records it holds.
        crc32: Of these bytes.
    """

    end: int
    records: int
    crc32: int


@dataclass(frozen=True, slots=True)
class Vouched:
    """How far a journal is as its checksum says.

    Attributes:
        fit: The longest prefix that is.
        records: How many it holds.
        misfit: The next prefix, in which something has changed; None if the checksum says no more.
    """

    fit: Checkpoint
    records: int
    misfit: Checkpoint | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One record, its number (from 0), and the bytes from `start` to `end` that it stands in."""

    record: dict[str, Any]
    number: int
    start: int
    end: int


def examine(path: Path, checkpoints: Sequence[Checkpoint]) -> Intact:
    """Find the intact beginning of a journal.

    Args:
        path: Of the journal.
        checkpoints: What its prefixes must add up to; those longer than the file say nothing.

    Raises:
        SurroundingsError: Bytes that a checkpoint vouches for have changed.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        known = vouched(file, checkpoints, size)
        if known.misfit is not None:
            raise _changed(path, known.fit.offset, known.misfit.offset)
        start = known.fit.offset
        end = _last_end(path, file, start, size)
        crc32, lines = checksum.digest(file, start, end, known.fit.crc32)
    return Intact(end, known.records + lines, crc32)


def vouched(file: BinaryIO, checkpoints: Sequence[Checkpoint], size: int) -> Vouched:
    """Compare the first `size` bytes of a journal with its checkpoints; one that fits proves all that stands before."""
    lasting = [Checkpoint(0, 0), *(one for one in checkpoints if 0 < one.offset <= size)]
    last, crc32, lines, records = 0, 0, 0, 0
    for index, (before, one) in enumerate(pairwise(lasting), 1):
        crc32, more = checksum.digest(file, before.offset, one.offset, crc32)
        lines += more
        if crc32 == one.crc32:
            last, records = index, lines
    return Vouched(lasting[last], records, lasting[last + 1] if last + 1 < len(lasting) else None)


def entries(path: Path, *, number: int = 0, start: int = 0) -> Iterator[Entry]:
    """Read complete records, beginning with record `number` at byte `start`; a torn end is left out.

    Raises:
        SurroundingsError: A line that is no record is followed by one that is.
    """
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            record = parse(line)
            if record is None:
                if goes_on(line, file):
                    raise damaged(path, number, start, "not a JSON record")
                return
            yield Entry(record, number, start, start + len(line))
            number, start = number + 1, start + len(line)


def refuse_cut(path: Path) -> None:
    """Refuse a journal of which more is gone than a torn end could be: its checksum tells how long it was.

    Raises:
        SurroundingsError: It says how much is gone.
    """
    synced = max((one.offset for one in checksum.load(path)), default=0)
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        size = 0
    missing = lost_of(synced, size)
    if missing:
        raise SurroundingsError(
            f"{path} lost its end: {missing} of the {synced} bytes that were synced are gone",
            field="storage",
            hint=f"restore a copy; `sweep doctor {path.parent.name} --repair` goes on with what is left",
        )


def lost_of(synced: int, size: int) -> int:
    """Return how many synced bytes are gone, 0 where that may be an end that was torn."""
    missing = max(0, synced - size)
    return missing if missing > min(_MOST_TORN, synced // 2) else 0


def goes_on(line: bytes, rest: Iterable[bytes]) -> bool:
    """Tell whether a line that is no record stands before one that is, so that it is not just the torn end.

    A line without an end is the last of what was there when it was read: its writer may be about to end it.
    """
    return line.endswith(b"\n") and any(parse(later) is not None for later in rest)


def split(data: bytes) -> list[bytes]:
    """Split at newlines only, which are kept."""
    return io.BytesIO(data).readlines()


def loads(line: bytes) -> Any:
    """Parse a record; equal words are one object, since they stay in memory with every trial that holds them."""
    return json.loads(line, object_pairs_hook=_shared)


def _shared(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {sys.intern(key): sys.intern(value) if type(value) is str else value for key, value in pairs}


def parse(line: bytes) -> dict[str, Any] | None:
    """Return the record that a line holds, None if it is not complete."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and "op_code" in record else None


def damaged(path: Path, number: int, start: int, why: str) -> SurroundingsError:
    """Return the error that names the record `number`, which stands at byte `start`."""
    return SurroundingsError(
        f"{path} is damaged in line {number + 1} (byte {start}): {why}",
        field="storage",
        hint=f"`sweep doctor {quote(path.parent.name)} --repair` keeps what stands before and puts the rest aside",
    )


def _changed(path: Path, start: int, end: int) -> SurroundingsError:
    """Return the error for a part of the file in which some byte has changed."""
    with path.open("rb") as file:
        _, number = checksum.digest(file, 0, start, 0)
        file.seek(start)
        at, line_number = start, number
        while at < end and (line := file.readline()):
            if parse(line) is None:
                return damaged(path, line_number, at, "not a JSON record")
            at, line_number = at + len(line), line_number + 1
    why = f"it or one of the {line_number - number - 1} lines after it is not as written"
    return damaged(path, number, start, why)


def _last_end(path: Path, file: BinaryIO, start: int, size: int) -> int:
    """Return where the last complete record ends; `start` if there is none behind it.

    Args:
        path: Of the journal, for the error.
        file: The journal.
        start: Beginning of a line.
        size: Of the file.
    """
    window = max(start, size - _TAIL)
    file.seek(window)
    lines = split(file.read(size - window))
    end = size
    for line in reversed(lines[1:] if window > start else lines):  # the window may begin inside a line
        if parse(line) is not None:
            return end
        end -= len(line)
    if window > start:
        _, number = checksum.digest(file, 0, window, 0)
        raise damaged(path, number, window, f"there is no record in the last {_TAIL >> 20} MiB")
    return start
