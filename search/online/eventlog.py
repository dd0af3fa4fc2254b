"""The log of a model that keeps learning, as its server writes it: the `EventLog`; `search.online.log` reads it."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future
from itertools import accumulate
from typing import Final

from search import lines
from search.data.collect.place import cannot_write
from search.errors import SurroundingsError, SweepError
from search.online.lock import hold
from search.online.log import START, Order
from search.online.segment import FLAGS, Segment
from search.paths import OnlineFolder, sync_folder, write_atomic
from search.pidlock import PidLock

SEGMENT_BYTES: Final = 32 << 20
"""A segment that is larger is closed."""

_AGAIN_BYTES: Final = 1 << 20
"""So much later a segment is closed that could not be, because the disk was full say."""


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
        self, folder: OnlineFolder, lock: PidLock, segment: Segment, firsts: dict[int, int], segment_bytes: int
    ) -> None:
        self._folder, self._held, self._segment, self._firsts = folder, lock, segment, firsts
        self._segment_bytes = self._close_at = segment_bytes
        self._closing = False
        self.sequence = self.number = 0
        self.trouble = ""
        self._lock = threading.Lock()  # over all of this
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
        numbers = lines.numbered(folder.log)
        if not numbers:
            write_atomic(folder.log_identity, secrets.token_hex(8))
            numbers = [1]
        if numbers != [*range(numbers[0], numbers[-1] + 1)]:
            missing = next(one for one in range(numbers[0], numbers[-1]) if one not in numbers)
            raise lines.damaged(folder.segment(missing), 0, "the segment is missing")
        firsts: dict[int, int] = {}
        order = Order()

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
        fd = os.open(path, FLAGS) if path.exists() else lines.create(path, FLAGS)
        try:
            end = lines.cut_torn(path, fd, lambda text: take(last, text))
        except BaseException:
            os.close(fd)
            raise
        log = cls(folder, held, Segment(path, fd, end), firsts, segment_bytes)
        log.number, log.sequence = last, order.last or 0
        return log

    def append(self, *found: bytes) -> int:
        """Number records and write them, all of them or, with an error, the first ones; return the number of the last.

        Of one, that means nothing; of several, who is told of the error takes none of them for written.

        Args:
            found: JSON objects without line breaks, from `search.online.records`; one at least.

        Raises:
            NoSpace: The disk is full; the next call tries again.
            SurroundingsError: It cannot be written for another reason.
        """
        with self._lock:
            if self._segment.end >= self._close_at:
                self._close_segment()
            first = self.sequence + 1
            sealed = [lines.sealed(b"%b%d,%b" % (START, at, one[1:])) for at, one in enumerate(found, first)]
            start = self._segment.end
            try:
                self._segment.write(b"".join(sealed) if len(sealed) > 1 else sealed[0])
            except OSError as error:
                ends = [*accumulate(map(len, sealed), initial=start)]
                self._count(first, ends.index(self._segment.end))
                raise self._failed(error) from error
            if self.trouble and not self._segment.is_suspect:
                self.trouble = ""
            self._count(first, len(sealed))
            return self.sequence

    def _count(self, first: int, written: int) -> None:
        if written:
            self._firsts.setdefault(self.number, first)
            self.sequence += written

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
            elif self._segment.is_durable:
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
            self._segment.close()
        self._held.release()

    def _close_segment(self) -> None:
        """Begin the next segment, once all of this one is on the disk; where that fails, this one goes on."""
        path = self._folder.segment(self.number + 1)
        try:
            self._segment.undo()
            self._segment.sync()
            fd = lines.create(path, FLAGS)
        except (OSError, SweepError):
            self._close_at = self._segment.end + _AGAIN_BYTES
            return
        self._segment.close()
        self._segment = Segment(path, fd, 0)
        self._close_at = self._segment_bytes
        self.number += 1

    def _sync_all(self) -> None:
        while True:
            with self._work:
                while not self._waiting and not self._closing:
                    self._work.wait()
                if not self._waiting:
                    return
                waiting, self._waiting = self._waiting, []
            failed = self._sync()
            for future in waiting:
                if failed is None:
                    future.set_result(None)
                else:
                    future.set_exception(failed)

    def _sync(self) -> Exception | None:
        """Sync the segment that is written, those before it are; return what went wrong."""
        segment = self._segment
        try:
            segment.sync()
        except Exception as error:  # whatever it is: without this thread all would wait for ever
            if segment is not self._segment:  # it was closed meanwhile, for which it was synced
                return self._sync()
            if isinstance(error, OSError):
                return self._failed(error)
            self.trouble = str(error)
            return error
        self.trouble = ""
        return None

    def _failed(self, error: OSError) -> SurroundingsError:
        failed = cannot_write(self._segment.path, error)
        self.trouble = failed.message
        return failed
