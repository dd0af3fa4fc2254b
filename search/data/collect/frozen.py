"""`collected:NAME` as a file: all rows that were acknowledged until now, frozen, while collection goes on."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from search.data.collect import record as records
from search.data.collect.arrow import Table, put, tables, target_of, widened, write_parquet
from search.data.collect.log import read_closed
from search.data.collect.manifest import Manifest, load_manifest
from search.data.collect.place import CollectionFolder, cannot_write, known_collections
from search.data.collect.record import Record
from search.data.collect.schema import Schema
from search.data.collect.versions import load_versions
from search.data.fetch import Fetched, Say
from search.data.reference import Reference
from search.data.web import keep
from search.errors import InputError, SurroundingsError, did_you_mean
from search.lines import size_of
from search.paths import DataFolder


def fetch(reference: Reference, folder: Path, place: DataFolder, *, refresh: bool, say: Say) -> Fetched:
    """Freeze what a collection holds now; a reference with `snapshot=` stays at what it held then.

    It may be written meanwhile: whole records are read, and synced first, so that no crash takes them back. The same
    rows give the same file, whatever of them is compacted.

    Args:
        reference: `collected:NAME`.
        folder: Not used.
        place: Folder of the collection.
        refresh: Not used: what has come is always seen, and a snapshot never changes.
        say: Not used: the notes say how many rows there are.

    Raises:
        InputError: There is no such collection or snapshot, or it has no rows yet.
        SurroundingsError: It is damaged, or the disk is.
        RefusedError: The snapshot was changed.
    """
    reference.accept("snapshot", "task", "drop")
    collection = CollectionFolder.of(place)
    pinned = reference.option("snapshot")
    if pinned is not None:
        hint = f"collected:{place.name} without snapshot= freezes what there is now"
        path = keep.snapshot(reference, place, pinned, hint=hint)
        return Fetched(path, reference.with_options(), target_of(path))
    if not collection.exists():
        known = did_you_mean(place.name, known_collections(place.root.parent))
        hint = "`sweep collect NAME --schema FILE` makes one" if known == "none is known" else known
        raise InputError(f"there is no collection {place.name[:60]!r}", field="data", hint=hint)
    try:
        frozen = _freeze(collection, place)
    except OSError as error:
        raise cannot_write(place.root / "snapshot", error) from error
    if not frozen.rows:
        raise InputError(
            f"collection {place.name!r} has no rows yet", field="data", hint="POST some to its /rows first"
        )
    note = f"{frozen.rows} rows of {place.name} are frozen; what comes later is not among them"
    path = place.snapshot(frozen.digest, ".parquet")
    return Fetched(path, reference.with_options(snapshot=frozen.digest), frozen.target, (note,))


@dataclass(frozen=True, slots=True)
class _Frozen:
    rows: int
    digest: str
    target: str | None


@dataclass(frozen=True, slots=True)
class _Open:
    """A segment as long as it was when it was opened."""

    path: Path
    file: BinaryIO
    size: int

    def records(self, *, closed: bool) -> Iterator[Record]:
        if closed:
            yield from read_closed(self.file, self.path, self.size)
        else:
            for _, record in records.read(self.file, self.path, self.size):
                yield record


def _freeze(collection: CollectionFolder, place: DataFolder) -> _Frozen:
    """Write all rows into one snapshot; without rows there is none."""
    fd, name = tempfile.mkstemp(prefix=".snapshot-", suffix=".tmp", dir=place.root)
    os.close(fd)
    temporary = Path(name)
    try:
        with ExitStack() as files:
            manifest, segments = _open_all(collection, files)
            versions = load_versions(collection)  # not before: each record that was seen has its schema in here
            parts = _tables(collection, manifest, segments, versions)
            rows, digest = write_parquet(temporary, parts, versions[-1])
        if rows:
            put(temporary, place.snapshot(digest, ".parquet"))
        return _Frozen(rows, digest, versions[-1].target)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _open_all(collection: CollectionFolder, files: ExitStack) -> tuple[Manifest, list[_Open]]:
    """Open all segments that the manifest does not name, in an order in which no compaction takes a row away.

    A segment is gone only after the manifest names it: what could not be opened is in the manifest that is read then.
    """
    opened: dict[int, _Open] = {}
    for number in collection.segments():
        with suppress(FileNotFoundError):
            opened[number] = _open(collection.segment(number), files)
    manifest = load_manifest(collection)
    numbers = [number for number in opened if number > manifest.last]
    if numbers != [*range(manifest.last + 1, manifest.last + 1 + len(numbers))]:
        hint = "put back a copy of the folder"
        raise SurroundingsError(f"{collection.log} lacks a segment behind {manifest.last}", field="data", hint=hint)
    return manifest, [opened[number] for number in numbers]


def _open(path: Path, opened: ExitStack) -> _Open:
    file = opened.enter_context(path.open("rb"))
    size = size_of(file)
    os.fsync(file.fileno())
    return _Open(path, file, size)


def _tables(
    collection: CollectionFolder, manifest: Manifest, segments: Sequence[_Open], versions: Sequence[Schema]
) -> Iterator[Table]:
    """Yield all rows in the order in which they came."""
    import pyarrow.parquet as pq

    for part in manifest.parts:
        path = collection.rows(part.number)
        if not path.is_file() or keep.digest_of(path) != part.sha256:
            hint = "put back a copy of it"
            raise SurroundingsError(f"{path} is gone, or not as it was written", field="data", hint=hint)
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield widened(file.read_row_group(group), versions[-1])
    filled = [segment for segment in segments if segment.size]
    for segment in filled:
        found = segment.records(closed=segment is not filled[-1])
        yield from tables(((record.version, record.rows) for record in found), versions)
