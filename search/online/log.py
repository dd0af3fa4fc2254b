"""`EventLog`: the log of a model that keeps learning, written by its server; `tail` reads it in another process."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Final

from search import lines
from search.data.collect.place import cannot_write
from search.errors import SurroundingsError, SweepError
from search.online.lock import hold
from search.paths import OnlineFolder, sync_folder
from search.pidlock import PidLock

SEGMENT_BYTES: Final = 32 << 20
"""A segment that is larger is closed."""

_FLAGS: Final = os.O_RDWR | os.O_CLOEXEC
_AGAIN_BYTES: Final = 1 << 20
"""So much later a segment is closed that could not be, because the disk was full say."""

_START: Final = b'{"s":'
_CHUNK: Final = 1 << 20


class EventLog:
    """The one writer of a log, from `open` to `close`; any thread may append.

    `append` leaves a record with the kernel, which a killed process does not take back, but a power cut may; what
    `sync` returned for is on the disk. A record that could not be written whole is undone before the next one.

    Attributes:
        sequence: Of the last record; 0 before the first.
        number: Of the segment that is written.
        trouble: Why the last write or sync failed; "" if it did not.
    """

    def __init__(
        self, folder: OnlineFolder, lock: PidLock, fd: int, end: int, firsts: dict[int, int], segment_bytes: int
    ) -> None:
        self._folder, self._held, self._fd, self._firsts = folder, lock, fd, firsts
        self._segment_bytes = self._close_at = segment_bytes
        self._end = self._synced = end  # bytes of the segment, and those of them that are on the disk
        self._suspect = 0  # bytes up to which a sync has failed: the kernel may have forgotten what it had of them
        self._dirty = self._closing = False
        self.sequence = self.number = 0
        self.trouble = ""
        self._lock = threading.Lock()  # over all of this
        self._syncing = threading.Lock()  # or who syncs second would not hear what the first one heard
        self._work = threading.Condition(self._lock)
        self._waiting: list[Future[None]] = []
        self._thread = threading.Thread(target=self._sync_all, name="log-sync", daemon=True)

    @classmethod
    def open(
        cls,
        folder: OnlineFolder,
        *,
        seen: Callable[[bytes], object],
        lock: PidLock | None = None,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> EventLog:
        """Open the last segment behind its last record, or make the first.

        What a crash left of a record is cut off and kept in a file beside.

        Args:
            folder: Of the model.
            seen: Gets each record that is there, in order, as `search.online.records` reads it.
            lock: From `lock.hold`, if that was called before; let go of by `close`.
            segment_bytes: A segment that is larger is closed.

        Raises:
            RefusedError: Another process writes it.
            SurroundingsError: It is damaged, or the disk is.
        """
        held = lock or hold(folder)
        try:
            log = cls._opened(folder, held, seen, segment_bytes)
        except OSError as error:
            held.release()
            raise cannot_write(folder.log / "segment", error) from error
        except BaseException:
            held.release()
            raise
        log._thread.start()
        return log

    @classmethod
    def _opened(
        cls, folder: OnlineFolder, held: PidLock, seen: Callable[[bytes], object], segment_bytes: int
    ) -> EventLog:
        folder.log.mkdir(mode=0o700, parents=True, exist_ok=True)
        numbers = lines.numbered(folder.log) or [1]
        if numbers != [*range(numbers[0], numbers[-1] + 1)]:
            missing = next(one for one in range(numbers[0], numbers[-1]) if one not in numbers)
            raise lines.damaged(folder.segment(missing), 0, "the segment is missing")
        firsts: dict[int, int] = {}
        order = _Order()

        def take(number: int, text: bytes) -> None:
            firsts.setdefault(number, order.check(text, folder.segment(number)))
            seen(text)

        for number in numbers[:-1]:
            path = folder.segment(number)
            with path.open("rb") as file:
                for text in lines.read_closed(file, path, lines.size_of(file)):
                    take(number, text)
        last = numbers[-1]
        path = folder.segment(last)
        fd = os.open(path, _FLAGS) if path.exists() else lines.create(path, _FLAGS)
        try:
            end = lines.cut_torn(path, fd, lambda text: take(last, text))
        except BaseException:
            os.close(fd)
            raise
        log = cls(folder, held, fd, end, firsts, segment_bytes)
        log.number, log.sequence = last, order.last or 0
        return log

    def append(self, record: bytes) -> int:
        """Number a record and write it, all of it or, with an error, nothing; return its number.

        Args:
            record: A JSON object without line breaks, from `search.online.records`.

        Raises:
            NoSpace: The disk is full; the next call tries again.
            SurroundingsError: It cannot be written for another reason.
        """
        with self._lock:
            if self._end >= self._close_at:
                self._close_segment()
            sequence = self.sequence + 1
            line = lines.sealed(b"%b%d,%b" % (_START, sequence, record[1:]))
            try:
                self._write(line)
            except OSError as error:
                raise self._failed(error) from error
            self._firsts.setdefault(self.number, sequence)
            self.sequence = sequence
            return sequence

    def sync(self) -> Future[None]:
        """Have all that was appended put on the disk; all who wait meanwhile share the next sync.

        The future fails with a `SurroundingsError` where the disk does. The records stay in the log then, and the
        learner may have read them: they are durable once a later sync has come through.
        """
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()  # who waits may go away, but it comes
        with self._work:
            if self._closing:
                future.set_exception(SurroundingsError("the log is closed", field="results"))
            elif self._synced == self._end and not self._suspect:
                future.set_result(None)
            else:
                self._waiting.append(future)
                self._work.notify()
        return future

    def remove_before(self, sequence: int) -> list[int]:
        """Remove the closed segments whose records all come before a number; return those segments' numbers.

        Raises:
            OSError: One could not be removed.
        """
        with self._lock:
            known = {number: first for number, first in self._firsts.items() if number <= self.number}
        removed = []
        for number in sorted(known):
            if known.get(number + 1, sequence + 1) > sequence:
                break
            self._folder.segment(number).unlink(missing_ok=True)
            removed.append(number)
        if removed:
            sync_folder(self._folder.log)
        with self._lock:
            for number in removed:
                del self._firsts[number]
        return removed

    def close(self) -> None:
        """Put everything on the disk, answer all who wait, and let go."""
        with self._work:
            self._waiting.append(Future())
            self._closing = True
            self._work.notify()
        self._thread.join()
        with self._lock:
            os.close(self._fd)
            self._fd = -1
        self._held.release()

    @property
    def _path(self) -> Path:
        return self._folder.segment(self.number)

    def _write(self, line: bytes) -> None:
        if self._dirty:
            self._undo()
        self._dirty = True
        written = 0
        try:
            while written < len(line):
                written += os.pwrite(self._fd, line[written:] if written else line, self._end + written)
        except OSError:
            with suppress(OSError):  # then before the next write
                self._undo()
            raise
        self._end += len(line)
        self._dirty = False
        if not self._suspect:
            self.trouble = ""

    def _undo(self) -> None:
        os.ftruncate(self._fd, self._end)
        self._dirty = False

    def _close_segment(self) -> None:
        """Begin the next segment, once all of this one is on the disk; where that fails, this one goes on."""
        try:
            if self._dirty:
                self._undo()
            with self._syncing:
                self._make_durable(self._fd, self._path, self._synced, self._end)
            fd = lines.create(self._folder.segment(self.number + 1), _FLAGS)
        except (OSError, SweepError):
            self._close_at = self._end + _AGAIN_BYTES
            return
        os.close(self._fd)
        self._fd, self._end, self._synced, self._close_at = fd, 0, 0, self._segment_bytes
        self.number += 1

    def _sync_all(self) -> None:
        while True:
            with self._work:
                while not self._waiting and not self._closing:
                    self._work.wait()
                if not self._waiting:
                    return
                waiting, self._waiting = self._waiting, []
            try:
                self._sync()
                failed = None
            except Exception as error:  # whatever it is: without this thread all would wait for ever
                with self._lock:
                    failed = self._failed(error) if isinstance(error, OSError) else error
                    self.trouble = str(failed)
            for future in waiting:
                if failed is None:
                    future.set_result(None)
                else:
                    future.set_exception(failed)

    def _sync(self) -> None:
        with self._lock:  # another descriptor, for the segment may be closed meanwhile
            fd, number, path, start, end = os.dup(self._fd), self.number, self._path, self._synced, self._end
        try:
            with self._syncing:
                self._make_durable(fd, path, start, end)
        finally:
            os.close(fd)
        with self._lock:
            if number == self.number:
                self._synced = max(self._synced, end)
            self.trouble = ""

    def _make_durable(self, fd: int, path: Path, start: int, end: int) -> None:
        """Put the bytes from `start` to `end` on the disk.

        After a sync that failed, the kernel takes what it could not write for written, and a second sync for done: so
        the lines are written again, which it may have lost by then.
        """
        if self._suspect:
            _write_again(fd, path, start, max(end, self._suspect))
        try:
            os.fdatasync(fd)
        except OSError:
            self._suspect = max(self._suspect, end)
            raise
        self._suspect = 0

    def _failed(self, error: OSError) -> SurroundingsError:
        failed = cannot_write(self._path, error)
        self.trouble = failed.message
        return failed


def tail(folder: OnlineFolder, after: int) -> Iterator[bytes | None]:
    """Yield the records behind number `after`, in order, and None each time that there is no more yet.

    Any process may read while another one writes. Of 0, it begins with the first record that is still there.

    Args:
        folder: Of the model.
        after: The last record that is known already.

    Raises:
        SurroundingsError: The log is damaged before its end, or it does not hold the records around `after` any more.
    """
    order = _Order()
    number = 0
    while not order.count:
        found = _segment_of(folder, after)
        if found is not None:
            with suppress(FileNotFoundError):  # removed just now
                number = found
                yield from _of_segment(folder, number, after, order)
                break
        elif after:
            raise _lacks(folder, after, 0)
        else:
            yield None
    while True:
        number += 1
        yield from _of_segment(folder, number, after, order)


def _of_segment(folder: OnlineFolder, number: int, after: int, order: _Order) -> Iterator[bytes | None]:
    """Yield what `tail` does, of one segment until its last record."""
    path = folder.segment(number)
    offset = 0
    with path.open("rb") as file:
        while True:
            closed = folder.segment(number + 1).exists()  # before it is read: then this is all that it ever holds
            texts, offset = _read_on(file.fileno(), path, offset)
            for text in texts:
                sequence = order.check(text, path)
                if sequence > after:
                    if order.count == 1 and sequence > after + 1 and after:
                        raise _lacks(folder, after, sequence)
                    yield text
            if texts:
                continue
            if closed:
                break
            if (order.last or 0) < after:
                raise _lacks(folder, after, order.last or 0)
            _check_next(folder, number)
            yield None
        if offset < lines.size_of(file):
            raise lines.damaged(path, offset, lines.NO_END)


def newest(folder: OnlineFolder) -> int:
    """Return the number of the last whole record of a log, which may be written just now; 0 where there is none."""
    for number in reversed(lines.numbered(folder.log)):
        with folder.segment(number).open("rb") as file:
            size, chunk = lines.size_of(file), 1 << 16
            while size:
                start = max(0, size - chunk)
                file.seek(start)
                for line in reversed([*io.BytesIO(file.read(size - start))]):
                    if (text := lines.text_of(line)) is not None:
                        return sequence_of(text)
                if not start:
                    break
                chunk *= 8
    return 0


def make_durable(folder: OnlineFolder) -> None:
    """Put all records on the disk that can be read now, so that no power cut takes back what a snapshot has learnt.

    Raises:
        SurroundingsError: The disk does not take them.
    """
    for number in lines.numbered(folder.log)[-1:]:  # those before are
        path = folder.segment(number)
        try:
            fd = os.open(path, _FLAGS)
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise cannot_write(path, error) from error


def sequence_of(record: bytes) -> int:
    """Return the number of a record."""
    return int(record[len(_START) : record.index(b",")])


class _Order:
    """Checks that records are numbered one after the other."""

    def __init__(self) -> None:
        self.last: int | None = None
        self.count = 0

    def check(self, text: bytes, path: Path) -> int:
        sequence = sequence_of(text)
        if self.last is not None and sequence != self.last + 1:
            hint = "put back a copy of the file; nothing was changed"
            said = f"{path} is damaged: record {sequence} follows record {self.last}"
            raise SurroundingsError(said, field="results", hint=hint)
        self.last = sequence
        self.count += 1
        return sequence


def _segment_of(folder: OnlineFolder, after: int) -> int | None:
    """Return the segment that holds the record behind `after`, or the first where none does."""
    numbers = lines.numbered(folder.log)
    for number in reversed(numbers[1:]):
        try:
            with folder.segment(number).open("rb") as file:
                text = lines.text_of(file.readline())
        except FileNotFoundError:  # removed just now, and all before it
            break
        if text is not None and sequence_of(text) <= after + 1:
            return number
    return numbers[0] if numbers else None


def _read_on(fd: int, path: Path, offset: int) -> tuple[list[bytes], int]:
    """Return the whole lines from `offset` on, some of them, and the byte behind; none at the end as it is now.

    Raises:
        SurroundingsError: A line that is not whole stands before one that is.
    """
    size = _CHUNK
    while b"\n" not in (found := os.pread(fd, size, offset)):
        if len(found) < size:
            return [], offset
        size *= 8
    texts: list[bytes] = []
    for line in io.BytesIO(found):
        if (text := lines.text_of(line)) is None:
            break
        texts.append(text)
        offset += len(line)
    if not texts:
        _check_torn(path, offset)
    return texts, offset


def _check_torn(path: Path, start: int) -> None:
    """Make sure that nothing whole stands behind a line that is not, unless its writer took that one back just now."""
    with path.open("rb") as file:
        file.seek(start)
        if lines.text_of(file.readline()) is None:
            file.seek(start)
            lines.check_torn(file, path, start, lines.size_of(file))


def _check_next(folder: OnlineFolder, number: int) -> None:
    """Make sure that behind a segment that seems to be the last there is none."""
    if lines.numbered(folder.log)[-1:] > [number] and not folder.segment(number + 1).exists():
        raise lines.damaged(folder.segment(number + 1), 0, "the segment is missing")


def _write_again(fd: int, path: Path, start: int, end: int) -> None:
    found = b""
    while len(found) < end - start and (more := os.pread(fd, end - start - len(found), start + len(found))):
        found += more
    if len(found) < end - start or any(lines.text_of(line) is None for line in io.BytesIO(found)):
        raise lines.damaged(path, start, "the disk has lost records that it could not write")
    written = 0
    while written < len(found):
        written += os.pwrite(fd, found[written:], start + written)


def _lacks(folder: OnlineFolder, after: int, found: int) -> SurroundingsError:
    said = f"{folder.log} {'ends' if found < after else 'begins'} at record {found}, and {after} was learnt last"
    return SurroundingsError(said, field="results", hint="put back a copy of the folder")
