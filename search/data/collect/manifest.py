"""`Manifest`: which segments of a collection are Parquet by now; they count from the moment it names them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from search.data.collect.place import CollectionFolder
from search.errors import SurroundingsError
from search.paths import write_atomic


@dataclass(frozen=True, slots=True)
class Part:
    """One compacted segment.

    Attributes:
        number: Of the segment.
        rows: Accepted.
        rejected: Rows that were put aside.
        keys: Idempotency keys.
        until: When its newest record was written, in unix seconds.
        size: Of its Parquet file, in bytes.
        sha256: Of its Parquet file.
    """

    number: int
    rows: int
    rejected: int
    keys: int
    until: float
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """All compacted segments: the first ones, without a gap."""

    parts: tuple[Part, ...] = ()

    @property
    def last(self) -> int:
        """The number of the last compacted segment; 0 without one."""
        return len(self.parts)

    def save(self, folder: CollectionFolder) -> None:
        write_atomic(folder.manifest, json.dumps({"format": 1, "parts": [asdict(part) for part in self.parts]}))


def load_manifest(folder: CollectionFolder) -> Manifest:
    """Return the manifest of a collection; an empty one where nothing is compacted yet.

    Raises:
        SurroundingsError: It cannot be read.
    """
    path: Path = folder.manifest
    try:
        parts = tuple(Part(**part) for part in json.loads(path.read_bytes())["parts"])
    except FileNotFoundError:
        return Manifest()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _unreadable(path, str(error)[:80]) from error
    if [part.number for part in parts] != list(range(1, len(parts) + 1)):
        raise _unreadable(path, "a segment is left out")
    return Manifest(parts)


def _unreadable(path: Path, why: str) -> SurroundingsError:
    return SurroundingsError(f"{path} cannot be read: {why}", field="results", hint="put back a copy of it")
