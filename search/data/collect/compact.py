"""A closed segment becomes Parquet: the segment counts until the manifest names its Parquet file, which counts then."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

from search.data.collect.arrow import put, tables, write_parquet
from search.data.collect.lock import hold
from search.data.collect.log import SegmentLog, read_segment
from search.data.collect.manifest import Manifest, Part, load_manifest
from search.data.collect.place import CollectionFolder, cannot_write
from search.data.collect.record import Record
from search.data.collect.rows import Values
from search.data.collect.schema import Schema
from search.data.collect.versions import settle
from search.paths import sync_folder, write_atomic


class Stopped(Exception):
    """The compaction was asked to stop; what it had begun will be begun again."""


def compact_segment(
    folder: CollectionFolder,
    manifest: Manifest,
    versions: Sequence[Schema],
    *,
    stopping: Callable[[], bool] = lambda: False,
) -> Manifest:
    """Compact the first segment of the log, which has to be closed, and return the manifest that names it.

    Killed anywhere, it is just done again: the files get the same names and content, and before the manifest is there
    the segment counts. A segment that the manifest names is deleted, here or by the next who opens the log.

    Args:
        folder: Of the collection, whose writer this is.
        manifest: As it is.
        versions: All schemas.
        stopping: Asked at each record whether to give up.

    Raises:
        Stopped: It was.
        SurroundingsError: The segment is damaged.
        OSError: Something cannot be written; nothing has changed.
    """
    number = manifest.last + 1
    seen = _Seen(stopping)
    path = folder.rows(number)
    temporary = path.with_name(f".{path.name}.tmp")
    rows, sha256 = write_parquet(temporary, tables(seen.rows(read_segment(folder, number)), versions), versions[-1])
    size = temporary.stat().st_size
    put(temporary, path)
    if seen.rejected:
        write_atomic(folder.rejected(number), "".join(seen.rejected))
    if seen.keys:
        write_atomic(folder.keys(number), "".join(seen.keys))
    part = Part(number, rows, len(seen.rejected), len(seen.keys), seen.until, size, sha256)
    manifest = Manifest((*manifest.parts, part))
    manifest.save(folder)
    folder.segment(number).unlink()
    sync_folder(folder.log)
    return manifest


def compact(folder: CollectionFolder) -> Manifest:
    """Compact all that is there, the segment that was written last included.

    Raises:
        InputError: There is no such collection.
        RefusedError: It is being written; its writer compacts by itself.
        SurroundingsError: It is damaged, or the disk is.
    """
    versions = settle(folder, None)
    lock = hold(folder)
    try:
        manifest = load_manifest(folder)
        log = SegmentLog.open(folder, manifest.last + 1, seen=_ignore)
        try:
            log.close_segment()
            while manifest.last + 1 < log.number:
                manifest = compact_segment(folder, manifest, versions)
            return manifest
        finally:
            log.close()
    except OSError as error:
        raise cannot_write(folder.log, error) from error
    finally:
        lock.release()


def _ignore(record: Record) -> None:
    """Count nothing: the compaction reads it again."""


class _Seen:
    """What is noted of a segment while its rows pass by."""

    def __init__(self, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping
        self.rejected: list[str] = []
        self.keys: list[str] = []
        self.until = 0.0

    def rows(self, records: Iterator[Record]) -> Iterator[tuple[int, list[Values]]]:
        for record in records:
            if self._stopping():
                raise Stopped
            self.until = max(self.until, record.at)
            for one in record.rejected:
                told = {"at": record.at, **one.to_json(), "content": one.content}
                self.rejected.append(json.dumps(told, ensure_ascii=False) + "\n")
            if record.key is not None:
                answer = asdict(record.answer())
                told = {"at": record.at, "body": record.body, "key": record.key, **answer}
                self.keys.append(json.dumps(told, ensure_ascii=False) + "\n")
            yield record.version, record.rows
