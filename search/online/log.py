"""The log of a model that keeps learning, read by any process while its server writes it (`search.online.eventlog`).

It is a folder of segments of lines: `{"s": number, ...}`, numbered one after the other, the first of which are removed
in time.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from search import lines
from search.data.collect.place import cannot_write
from search.errors import SurroundingsError
from search.online.segment import FLAGS
from search.paths import OnlineFolder

START: Final = b'{"s":'
"""Before the number of a record."""

_CHUNK: Final = 1 << 20


def tail(folder: OnlineFolder, after: int) -> Iterator[bytes | None]:
    """Yield the records behind number `after`, in order, and None each time that there is no more yet.

    Any process may read while another one writes. Of 0, it begins with the first record that is still there.

    Args:
        folder: Of the model.
        after: The last record that is known already.

    Raises:
        SurroundingsError: The log is damaged before its end, or it does not hold the records around `after` any more.
    """
    order = Order()
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


def _of_segment(folder: OnlineFolder, number: int, after: int, order: Order) -> Iterator[bytes | None]:
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


def identity(folder: OnlineFolder) -> str:
    """Return what tells a log from any that was in its place before; "" of one that has nothing of the kind.

    Raises:
        SurroundingsError: It cannot be read.
    """
    path = folder.log_identity
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SurroundingsError(f"{path} cannot be read: {error.strerror or error}", field="results") from error


def make_durable(folder: OnlineFolder) -> None:
    """Put all records on the disk that can be read now, so that no power cut takes back what a snapshot has learnt.

    Raises:
        SurroundingsError: The disk does not take them.
    """
    for number in lines.numbered(folder.log)[-1:]:  # those before are
        path = folder.segment(number)
        try:
            fd = os.open(path, FLAGS)
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise cannot_write(path, error) from error


def sequence_of(record: bytes) -> int:
    """Return the number of a record."""
    return int(record[len(START) : record.index(b",")])


class Order:
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


def _lacks(folder: OnlineFolder, after: int, found: int) -> SurroundingsError:
    said = f"{folder.log} {'ends' if found < after else 'begins'} at record {found}, and {after} was learnt last"
    return SurroundingsError(said, field="results", hint="put back a copy of the folder")
