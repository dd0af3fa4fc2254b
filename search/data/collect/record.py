"""`Record`: what one request has stored, as a line of the log that tells by itself whether it is whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from search import lines
from search.data.collect.rows import Fault, Values

_ERRORS: Final = 20
"""How many faults an answer names."""


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
        return lines.sealed(text)


def parse(text: bytes) -> Record:
    """Return the record that the text of a line holds."""
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
    for end, text in lines.read(file, path, size):
        yield end, parse(text)
