"""Optuna's journal with one writer: what a reader sees is whole, and a failed write leaves no trace.

The format is Optuna's own, so plain Optuna and optuna-dashboard open the file. What differs is how it is written: no
lock per record (the study's lock is held for the writer's whole life), one write call per append, an fsync only when
asked for, a torn end cut at every open and after every failed write, and a checksum of what was synced.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from optuna.exceptions import OptunaError
from optuna.storages.journal import BaseJournalBackend, JournalStorage

from search.errors import RefusedError, SurroundingsError
from search.study import checksum, journal_file
from search.study.checksum import Checkpoint
from search.study.disk import cannot_read, cannot_write
from search.study.repair import open_file, repair

_STRUCTURE_ERRORS: Final = (KeyError, ValueError, TypeError, AttributeError, AssertionError, IndexError, OptunaError)
"""What Optuna's replay raises on a record whose fields are missing or of a wrong kind."""

_ATTRIBUTE_RECORDS: Final = {2, 3, 8, 9}
"""Operations that set an attribute of a study or trial: their order among others changes nothing."""


class JournalWriter(BaseJournalBackend):
    """The one writer of a journal; whoever makes it holds the study's lock. One thread calls it.

    Attributes:
        notes: What was repaired when it was opened, one sentence each.
    """

    def __init__(self, path: Path) -> None:
        """Open the journal, or make it.

        Raises:
            SurroundingsError: It cannot be written, or is damaged.
        """
        self._path = path.absolute()
        self._failed: str | None = None  # why nothing more may be read or written
        self._batch_depth = 0
        self._buffer: list[bytes] = []  # applied by the replay, not yet written
        self._records: list[dict[str, Any]] = []  # written, perhaps not yet read
        self._position = (0, 0)  # number and offset of the record being replayed from the file
        journal_file.refuse_cut(self._path)
        try:
            self._fd = open_file(self._path)
            intact, self.notes = repair(self._path, self._fd)
        except OSError as error:
            raise cannot_write(self._path, error) from error
        self._size, self._crc32, self._first = intact.end, intact.crc32, intact.records
        self._dirty = True

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write records with one call, or none of them.

        Raises:
            SurroundingsError: They could not be written, and were not applied.
        """
        self._check_usable()
        lines = [json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs]
        if self._batch_depth:
            self._buffer.extend(lines)
        else:
            self._adopt()
            self._write(b"".join(lines))
        # Parsed anew, so that memory holds exactly what a reload would find.
        self._records.extend(map(journal_file.loads, lines))

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Return the records from `log_number_from` on; those that were read before are no longer in memory."""
        self._check_usable()
        if log_number_from < self._first:
            return self._read_again(log_number_from)
        if log_number_from > self._first:
            del self._records[: log_number_from - self._first]
            self._first = log_number_from
        return iter(self._records)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Make everything appended inside one write, at the end.

        An exception inside does not undo what was appended before it: Optuna has applied it, so it is written. If the
        write itself fails, Optuna's memory is ahead of the file: nothing more can be read or written, and the study
        must be opened again.
        """
        if not self._batch_depth:
            self._check_usable()
            self._adopt()
        self._batch_depth += 1
        try:
            yield
        finally:
            self._batch_depth -= 1
            if not self._batch_depth:
                self._flush()

    def sync(self) -> None:
        """Put everything written on the disk, and vouch for it by a checksum."""
        self._check_usable()
        self._flush()
        if not self._dirty:
            return
        if not self._is_still_there():
            self._failed = "it was removed or replaced while the study ran"
            self._check_usable()
        try:
            os.fsync(self._fd)
        except OSError as error:  # the kernel may have dropped the pages: what is on disk is unknown
            self._failed = f"its last sync failed ({error.strerror})"
            raise cannot_write(self._path, error) from error
        self._dirty = False
        try:
            checksum.add(self._path, Checkpoint(self._size, self._crc32))
        except OSError:
            return  # it vouches for less, which is allowed; a full disk shows at the next record

    def close(self) -> None:
        """Sync and let go of the file; harmless when repeated."""
        if self._fd < 0:
            return
        try:
            if self._failed is None:
                self.sync()
        finally:
            os.close(self._fd)
            self._fd, self._failed = -1, "it has been closed"

    def __getstate__(self) -> object:
        raise TypeError("a journal has one writer: it stays in its process")

    @property
    def position(self) -> tuple[int, int]:
        """Number and offset of the record that was last handed out from the file."""
        return self._position

    def _check_usable(self) -> None:
        if self._failed is not None:
            raise SurroundingsError(
                f"{self._path} cannot be used: {self._failed}", field="storage", hint="open the study again"
            )

    def _is_still_there(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._fd))
        except FileNotFoundError:
            return False

    def _flush(self) -> None:
        if not self._buffer:
            return
        data = b"".join(self._buffer)
        self._buffer.clear()
        self._failed = "its last batch was not written"  # holds if anything below raises
        for record in self._adopt():
            if record["op_code"] not in _ATTRIBUTE_RECORDS:
                self._failed = "another program added trials to it at the same moment"
                raise SurroundingsError(
                    f"{self._path} cannot be used: {self._failed}", field="storage", hint="open the study again"
                )
        self._write(data)
        self._failed = None

    def _write(self, data: bytes) -> None:
        written = 0
        try:
            while written < len(data):  # a second call only finds out why the first fell short
                written += os.write(self._fd, data[written:])
        except OSError as error:
            self._cut_back()
            raise cannot_write(self._path, error) from error
        self._size += len(data)
        self._crc32 = zlib.crc32(data, self._crc32)
        self._dirty = True

    def _cut_back(self) -> None:
        """Take away the beginning of a record whose write failed."""
        try:
            os.ftruncate(self._fd, self._size)
        except OSError as error:
            self._failed = f"a record was written in part and cannot be cut off ({error.strerror})"

    def _adopt(self) -> list[dict[str, Any]]:
        """Take in complete records that another program (a dashboard) appended meanwhile, and return them."""
        size = os.fstat(self._fd).st_size
        if size == self._size:
            return []
        added = os.pread(self._fd, size - self._size, self._size) if size > self._size else b""
        records = [journal_file.parse(line) for line in journal_file.split(added)]
        whole = [record for record in records if record is not None]
        if not added or len(whole) < len(records):
            raise SurroundingsError(
                f"{self._path} was changed by another program: expected {self._size} bytes, found {size}",
                field="storage",
                hint="open the study again",
            )
        self._records.extend(whole)
        self._size = size
        self._crc32 = zlib.crc32(added, self._crc32)
        self._dirty = True
        return whole

    def _read_again(self, number: int) -> Iterator[dict[str, Any]]:
        for entry in journal_file.entries(self._path):
            self._position = (entry.number, entry.start)
            if entry.number >= number:
                yield entry.record
        yield from map(journal_file.loads, self._buffer)


class JournalReader(BaseJournalBackend):
    """Reads a journal, also while another process writes it: complete records only, nothing is changed."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._next = (0, 0)  # number and offset of the first record not yet read
        self._position = (0, 0)
        journal_file.refuse_cut(self._path)
        try:
            journal_file.examine(self._path, checksum.load(self._path))
        except OSError as error:
            raise cannot_read(self._path, error) from error

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the complete records from `log_number_from` on."""
        number, start = self._next if log_number_from >= self._next[0] else (0, 0)
        for entry in journal_file.entries(self._path, number=number, start=start):
            self._position = (entry.number, entry.start)
            self._next = (entry.number + 1, entry.end)
            if entry.number >= log_number_from:
                yield entry.record

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refuse."""
        raise RefusedError(f"{self._path} is open for reading only, {len(logs)} records were not written")

    @property
    def position(self) -> tuple[int, int]:
        """Number and offset of the record that was last handed out."""
        return self._position


def replay(path: Path, backend: JournalWriter | JournalReader) -> JournalStorage:
    """Return Optuna's storage on `backend`, with every record applied.

    Raises:
        SurroundingsError: A record is not what Optuna writes.
    """
    try:
        return JournalStorage(backend)
    except _STRUCTURE_ERRORS as error:
        number, start = backend.position
        raise journal_file.damaged(path, number, start, f"no record of a study ({type(error).__name__})") from error
