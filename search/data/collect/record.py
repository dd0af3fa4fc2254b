"""`Record`: what one request has stored, as a line of the log that tells by itself whether it is whole."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from search.data.collect.rows import Fault, Values
from search.errors import SurroundingsError

_ERRORS: Final = 20
"""How many faults an answer names."""

_MARK: Final = 9
"""Bytes before the JSON of a line: its crc32 in hexadecimal digits, and a blank."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that was put aside.

    Attributes:
        row: Its position in the request, from 0.
        fault: Why.
        content: The row as it came, as JSON text: it may be nested deeper than a reader of the log would stand.
    """

    row: int
    fault: Fault
    content: str

    def to_json(self) -> dict[str, Any]:
        return {"row": self.row, **asdict(self.fault)}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is told.

    Attributes:
        accepted: Rows that were stored.
        rejected: Rows that were put aside.
        errors: The first faults, as JSON.
    """

    accepted: int
    rejected: int
    errors: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """All that one request has stored; it is in the log whole or not at all.

    Attributes:
        at: When, in unix seconds.
        version: Of the schema that `rows` are in the order of, from 1.
        body: A digest of the request.
        key: Its idempotency key, or None.
        rows: Accepted.
        rejected: Put aside.
    """

    at: float
    version: int
    body: str
    key: str | None = None
    rows: list[Values] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    def answer(self) -> Answer:
        """Return what the request is told, the first time and each time that it is repeated."""
        return Answer(len(self.rows), len(self.rejected), tuple(one.to_json() for one in self.rejected[:_ERRORS]))

    def line(self) -> bytes:
        """Return the line of the log that holds it."""
        told: dict[str, Any] = {"at": self.at, "v": self.version, "body": self.body, "rows": self.rows}
        if self.key is not None:
            told["key"] = self.key
        if self.rejected:
            told["rejected"] = [{**one.to_json(), "content": one.content} for one in self.rejected]
        text = json.dumps(told, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        return b"%08x %b\n" % (zlib.crc32(text), text)


def parse(line: bytes) -> Record | None:
    """Return the record that a line holds; None if it is not just as it was written."""
    if not line.endswith(b"\n") or line[8:_MARK] != b" ":
        return None
    text = line[_MARK:-1]
    if b"%08x" % zlib.crc32(text) != line[:8]:
        return None
    told = json.loads(text)
    rejected = [
        Rejected(one["row"], Fault(one["column"], one["expected"], one["got"]), one["content"])
        for one in told.get("rejected", ())
    ]
    return Record(told["at"], told["v"], told["body"], told.get("key"), told["rows"], rejected)


def read(file: BinaryIO, path: Path, size: int) -> Iterator[tuple[int, Record]]:
    """Yield the whole records in the first `size` bytes of a segment, each with the byte behind it.

    Raises:
        SurroundingsError: A line that is no record stands before one that is: that is no torn end, but damage.
    """
    start = 0
    while start < size:
        line = file.readline(size - start)
        if not line:  # its writer has taken a record back that it could not write whole
            return
        record = parse(line)
        if record is None:
            _check_torn(file, path, start + len(line), size, start)
            return
        start += len(line)
        yield start, record


def size_of(file: BinaryIO) -> int:
    """Return how many bytes an open file has."""
    return os.fstat(file.fileno()).st_size


def damaged(path: Path, start: int, why: str) -> SurroundingsError:
    """Return the error for a segment that is not as it was written."""
    hint = "put back a copy of the file; nothing was changed"
    return SurroundingsError(f"{path} is damaged at byte {start}: {why}", field="results", hint=hint)


def _check_torn(file: BinaryIO, path: Path, start: int, size: int, bad: int) -> None:
    while start < size and (line := file.readline(size - start)):
        if parse(line) is not None:
            raise damaged(path, bad, "a line that is no record stands before one that is")
        start += len(line)
