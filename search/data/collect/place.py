"""`CollectionFolder`: the file names of one collection, and trouble with its disk as one sentence."""

from __future__ import annotations

import errno
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from search.errors import SurroundingsError
from search.lines import numbered
from search.paths import DataFolder

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class CollectionFolder:
    """The folder of one collection: `results/data/<name>/`; segments are numbered from 1."""

    root: Path

    @classmethod
    def of(cls, place: DataFolder) -> CollectionFolder:
        return cls(place.root)

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def schema(self) -> Path:
        """Every version of its schema: JSON. A folder with this file is a collection."""
        return self.root / "schema.json"

    @property
    def key(self) -> Path:
        """The key that was made for it."""
        return self.root / "key"

    @property
    def lock(self) -> Path:
        """Locked by its one writer."""
        return self.root / "collect.lock"

    @property
    def manifest(self) -> Path:
        """Which segments are Parquet by now."""
        return self.root / "manifest.json"

    @property
    def log(self) -> Path:
        """The segments that are not Parquet yet."""
        return self.root / "log"

    def segment(self, number: int) -> Path:
        return self.log / f"{number:08d}.log"

    def rows(self, number: int) -> Path:
        """Return where the accepted rows of a compacted segment lie."""
        return self.root / "rows" / f"{number:08d}.parquet"

    def rejected(self, number: int) -> Path:
        """Return where its rejected rows lie, each with the reason; there is none without such rows."""
        return self.root / "rejected" / f"{number:08d}.jsonl"

    def keys(self, number: int) -> Path:
        """Return where its idempotency keys lie, as long as they count."""
        return self.root / "keys" / f"{number:08d}.jsonl"

    def segments(self) -> list[int]:
        """Return the numbers of the segments in the log, in order."""
        return numbered(self.log)

    def exists(self) -> bool:
        return self.schema.exists()


class NoSpace(SurroundingsError):
    """The disk is full; what was to be written was not."""


def known_collections(data: Path) -> list[str]:
    """Return the names of all collections under `results/data/`."""
    try:
        return sorted(entry.name for entry in data.iterdir() if CollectionFolder(entry).exists())
    except OSError:
        return []


def is_full(error: OSError) -> bool:
    """Tell whether a write failed for want of space."""
    return error.errno in _FULL


def cannot_write(path: Path, error: OSError) -> SurroundingsError:
    """Return the error that says why a file could not be written."""
    if not is_full(error):
        return SurroundingsError(f"{path} cannot be written: {error.strerror or error}", field="results")
    try:
        left = f"{shutil.disk_usage(path.parent).free / 1e6:.1f} MB free"
    except OSError:
        left = "? MB free"
    return NoSpace(f"no space left on {path.parent}: {left}", field="results", hint="free some and try again")
