"""`Collection`: takes rows and answers when they are durable; one thread writes and syncs for all who wait."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final

from search.data.collect.keys import KeyWindow, is_over, read_keys
from search.data.collect.lock import WriterLock, hold
from search.data.collect.log import SEGMENT_BYTES, SegmentLog
from search.data.collect.manifest import Manifest, load_manifest
from search.data.collect.place import CollectionFolder, cannot_write
from search.data.collect.record import Answer, Record
from search.data.collect.schema import Schema
from search.data.collect.versions import settle
from search.errors import RefusedError, SweepError

_SHARED: Final = 1000
"""Requests that share one sync, at most."""

_TOLD: Final = 200
"""Characters of a trouble, at most."""

_RETRY_S: Final = 10.0
"""When a compaction that failed is tried again, unless a segment is closed before."""


class KeyReused(RefusedError):
    """An idempotency key came again, with another request."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What a collection holds.

    Attributes:
        rows: Accepted.
        rejected: Put aside.
        bytes: Of log and Parquet.
        keys: Idempotency keys that are remembered.
        segments: That are not Parquet yet, the one that is written included.
        trouble: Why the last write, or else the last compaction, failed; empty if it did not.
    """

    rows: int
    rejected: int
    bytes: int
    keys: int
    segments: int
    trouble: str


class Collection:
    """The one writer of a collection, from `open` to `close`; any thread may submit.

    Attributes:
        versions: Of its schema, the first first.
    """

    def __init__(
        self, folder: CollectionFolder, lock: WriterLock, versions: tuple[Schema, ...], segment_bytes: int, shared: int
    ) -> None:
        self.folder, self.versions = folder, versions
        self._lock, self._shared = lock, shared
        self._manifest = load_manifest(folder)
        self._keys = KeyWindow()
        self._rows = sum(part.rows for part in self._manifest.parts)
        self._rejected = sum(part.rejected for part in self._manifest.parts)
        self._load_keys()
        self._log = SegmentLog.open(folder, self._manifest.last + 1, seen=self._count, segment_bytes=segment_bytes)
        self._waiting: dict[str, tuple[str, Future[Answer]]] = {}
        self._state = threading.Lock()  # over counts, keys and who waits
        self._queue: SimpleQueue[tuple[Record, bytes, Future[Answer]] | None] = SimpleQueue()
        self._trouble = self._compaction_trouble = ""
        self._closed_segments = threading.Semaphore(0)
        self._stopping = False
        self._writer = threading.Thread(target=self._write_all, name="collect-writer", daemon=True)
        self._compactor = threading.Thread(target=self._compact_all, name="collect-compactor", daemon=True)

    @classmethod
    def open(
        cls,
        folder: CollectionFolder,
        schema: Schema | None,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        shared: int = _SHARED,
    ) -> Collection:
        """Open a collection, or make it, and begin to take rows.

        Args:
            folder: Of the collection.
            schema: As the user gives it now; None for the one that is stored.
            segment_bytes: A segment that is larger is closed, and compacted in the background.
            shared: Requests that share one sync, at most.

        Raises:
            InputError: There is no schema.
            RefusedError: Another process writes it, or the schema would not take what is there.
            SurroundingsError: It is damaged, or the disk is.
        """
        if schema is None:
            settle(folder, None)  # or the sentence that there is none
        lock = hold(folder, serving=True)
        try:
            collection = cls(folder, lock, settle(folder, schema), segment_bytes, shared)
        except OSError as error:
            lock.release()
            raise cannot_write(folder.log, error) from error
        except BaseException:
            lock.release()
            raise
        collection._writer.start()
        collection._compactor.start()
        collection._closed_segments.release()  # there may be some from before
        return collection

    @property
    def schema(self) -> Schema:
        """The version that rows are checked against."""
        return self.versions[-1]

    def answered(self, key: str, body: str) -> Answer | None:
        """Return what a request was told that had this key; None if there was none, or it is being stored now.

        Raises:
            KeyReused: That was another request.
        """
        with self._state:
            known = self._keys.find(key)
        if known is None:
            return None
        if known[0] != body:
            raise _reused()
        return known[1]

    def submit(self, record: Record) -> Future[Answer]:
        """Take the rows of a request; the answer comes when they are durable.

        A request whose key is being stored, or was, gets that answer, and stores nothing. The future fails with a
        `SurroundingsError` where the disk did; then nothing was stored. Any other error is a fault of ours.

        Raises:
            KeyReused: Its key came with another request.
        """
        future: Future[Answer] = Future()
        future.set_running_or_notify_cancel()  # who waits may go away, but the answer comes
        line = record.line()
        with self._state:
            if record.key is not None:
                known = self._keys.find(record.key)
                waiting = self._waiting.get(record.key)
                if (known and known[0] != record.body) or (waiting and waiting[0] != record.body):
                    raise _reused()
                if known:
                    future.set_result(known[1])
                    return future
                if waiting:
                    return waiting[1]
                self._waiting[record.key] = record.body, future
        self._queue.put((record, line, future))
        return future

    def stats(self) -> Stats:
        """Return what is there now."""
        with self._state:
            parts, open_bytes = self._manifest.parts, self._log.size
            rows, rejected, keys = self._rows, self._rejected, len(self._keys)
            trouble = self._trouble or self._compaction_trouble
        numbers = self.folder.segments()
        in_log = open_bytes
        for number in numbers[:-1]:
            with suppress(OSError):  # compacted meanwhile
                in_log += self.folder.segment(number).stat().st_size
        return Stats(rows, rejected, in_log + sum(part.size for part in parts), keys, len(numbers), trouble)

    def health(self) -> str:
        """Return what does not work, without a word that only who has the key may read; empty if all does."""
        with self._state:
            if self._trouble:
                return "the last rows could not be stored"
            return "the log could not be compacted; rows are stored" if self._compaction_trouble else ""

    def close(self) -> None:
        """Answer all that was submitted, and let go; what is being compacted is left for the next time."""
        self._queue.put(None)
        self._stopping = True
        self._closed_segments.release()
        self._writer.join()
        self._compactor.join()
        self._log.close()
        self._lock.release()

    def _write_all(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            more = True
            while more and len(batch) < self._shared:
                try:
                    item = self._queue.get_nowait()
                except Empty:
                    break
                more = item is not None
                if item is not None:
                    batch.append(item)
            try:
                self._write(batch)
            except Exception as error:  # whatever it is: without this thread all requests would wait for ever
                fault = RuntimeError(f"the writer failed: {_named(error)}")
                fault.__cause__ = error
                self._fail(batch, fault, str(fault))
            if not more:
                return

    def _fail(self, batch: list[tuple[Record, bytes, Future[Answer]]], error: Exception, trouble: str) -> None:
        """Answer all that wait for a batch with an error."""
        with self._state:
            self._trouble = trouble[:_TOLD]
            for record, _, _ in batch:
                self._waiting.pop(record.key or "", None)
        for _, _, future in batch:
            if not future.done():
                future.set_exception(error)

    def _write(self, batch: list[tuple[Record, bytes, Future[Answer]]]) -> None:
        try:
            if self._log.rotate():
                self._closed_segments.release()
        except OSError:
            pass  # no room for another segment: this one goes on
        try:
            self._log.append(b"".join(line for _, line, _ in batch))
        except OSError as error:
            failed = cannot_write(self.folder.segment(self._log.number), error)
            self._fail(batch, failed, failed.message)
            return
        with self._state:
            self._trouble = ""
            for record, _, _ in batch:
                self._count(record)
                self._waiting.pop(record.key or "", None)
        for record, _, future in batch:
            future.set_result(record.answer())

    def _count(self, record: Record) -> None:
        self._rows += len(record.rows)
        self._rejected += len(record.rejected)
        if record.key is not None:
            self._keys.add(record.key, record.at, record.body, record.answer())

    def _load_keys(self) -> None:
        now = time.time()
        for part in self._manifest.parts:
            if not part.keys:
                continue
            if is_over(part.until, now):
                self.folder.keys(part.number).unlink(missing_ok=True)
                continue
            for key, at, body, answer in read_keys(self.folder, part):
                self._keys.add(key, at, body, answer)

    def _compact_all(self) -> None:
        while not self._stopping:
            self._closed_segments.acquire(timeout=_RETRY_S if self._compaction_trouble else None)
            while not self._stopping and self._manifest.last + 1 < self._log.number:
                try:
                    manifest = self._compact_one()
                except Exception as error:  # of pyarrow, too: the log still has it, and it is tried again
                    said = str(error) if isinstance(error, SweepError | OSError) else _named(error)
                    with self._state:
                        self._compaction_trouble = f"not compacted: {said}"[:_TOLD]
                    break
                if manifest is None:
                    return
                with self._state:
                    self._manifest, self._compaction_trouble = manifest, ""

    def _compact_one(self) -> Manifest | None:
        """Compact the first segment; None if it was asked to stop."""
        from search.data.collect.compact import Stopped, compact_segment  # pyarrow takes a second to import

        try:
            return compact_segment(self.folder, self._manifest, self.versions, stopping=lambda: self._stopping)
        except Stopped:
            return None


def _named(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")


def _reused() -> KeyReused:
    return KeyReused("this Idempotency-Key came with another request", field="Idempotency-Key")
