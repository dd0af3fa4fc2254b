"""`SegmentLog`: the append-only files of a collection; what `append` returned for is on the disk, whatever dies."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from search import lines
from search.data.collect import record as records
from search.data.collect.place import CollectionFolder
from search.data.collect.record import Record
from search.lines import damaged, size_of

SEGMENT_BYTES: Final = 32 << 20
"""A segment that is larger is closed."""

_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC


class SegmentLog:
    """The segment that is written, and those before it; only one thread may use it.

    A write that fails, because the disk is full say, is undone before the next one: the segment ends with the last
    record that was acknowledged.

    Attributes:
        number: Of the segment that is written.
    """

    def __init__(self, folder: CollectionFolder, number: int, fd: int, *, segment_bytes: int) -> None:
        self._folder, self._fd, self._segment_bytes = folder, fd, segment_bytes
        self._end = os.fstat(fd).st_size
        self._dirty = False
        self.number = number

    @classmethod
    def open(
        cls,
        folder: CollectionFolder,
        first: int,
        *,
        seen: Callable[[Record], object],
        segment_bytes: int = SEGMENT_BYTES,
    ) -> SegmentLog:
        """Open the last segment behind its last record, or make the first.

        What a crash left of a record is cut off and kept in a file beside; only its writer calls this.

        Args:
            folder: Of the collection.
            first: The first segment that is not compacted.
            seen: Gets each record of all segments from there on.
            segment_bytes: A segment that is larger is closed.

        Raises:
            SurroundingsError: The log is damaged.
            OSError: It cannot be written.
        """
        folder.log.mkdir(parents=True, exist_ok=True)
        numbers = _uncompacted(folder, first)
        for number in numbers[:-1]:
            for record in read_segment(folder, number):
                seen(record)
        last = numbers[-1] if numbers else first
        path = folder.segment(last)
        fd = os.open(path, _FLAGS) if numbers else lines.create(path, _FLAGS)
        try:
            lines.cut_torn(path, fd, lambda text: seen(records.parse(text)))
            return cls(folder, last, fd, segment_bytes=segment_bytes)
        except BaseException:
            os.close(fd)
            raise

    @property
    def size(self) -> int:
        """Bytes of the segment that is written."""
        return self._end

    def append(self, data: bytes) -> None:
        """Write records and sync them: all of them or, with an error, none.

        Raises:
            OSError: They could not be written; the next call tries again.
        """
        if self._dirty:
            self._undo()
        self._dirty = True
        written = 0
        try:
            while written < len(data):
                written += os.write(self._fd, data[written:] if written else data)
            os.fdatasync(self._fd)
        except OSError:
            with suppress(OSError):  # then before the next write
                self._undo()
            raise
        self._end += len(data)
        self._dirty = False

    def rotate(self) -> bool:
        """Close a segment that is large enough and begin the next; tell whether it did.

        Raises:
            OSError: The next could not be made; this one goes on.
        """
        return self._end >= self._segment_bytes and self.close_segment()

    def close_segment(self) -> bool:
        """Begin the next segment, unless this one is empty; tell whether it did.

        Raises:
            OSError: The next could not be made; this one goes on.
        """
        if not self._end:
            return False
        fd = lines.create(self._folder.segment(self.number + 1), _FLAGS)
        os.close(self._fd)
        self._fd, self._end, self.number = fd, 0, self.number + 1
        return True

    def close(self) -> None:
        os.close(self._fd)

    def _undo(self) -> None:
        os.ftruncate(self._fd, self._end)
        os.fsync(self._fd)
        self._dirty = False


def read_segment(folder: CollectionFolder, number: int) -> Iterator[Record]:
    """Yield the records of a closed segment.

    Raises:
        SurroundingsError: It is damaged.
        OSError: It cannot be read.
    """
    with folder.segment(number).open("rb") as file:
        yield from read_closed(file, folder.segment(number), size_of(file))


def read_closed(file: BinaryIO, path: Path, size: int) -> Iterator[Record]:
    """Yield the records in the first `size` bytes, which have to be records to their end.

    Raises:
        SurroundingsError: They are not.
    """
    yield from map(records.parse, lines.read_closed(file, path, size))


def _uncompacted(folder: CollectionFolder, first: int) -> list[int]:
    """Return the segments from `first` on, without what a crash left: compacted ones, and an empty one at the end.

    Raises:
        SurroundingsError: One is missing.
    """
    numbers = folder.segments()
    for number in [number for number in numbers if number < first]:
        folder.segment(number).unlink()
    numbers = [number for number in numbers if number >= first]
    if numbers != [*range(first, first + len(numbers))]:
        raise damaged(folder.segment(first + len(numbers) - 1), 0, "a segment is missing")
    while len(numbers) > 1 and not folder.segment(numbers[-1]).stat().st_size:
        folder.segment(numbers.pop()).unlink()  # the one before may end in a record that was torn
    return numbers
