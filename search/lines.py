"""Logs of lines that tell by themselves whether they are whole: how a line is sealed, read, and cut when it is torn."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from search.errors import SurroundingsError
from search.paths import sync_folder, write_atomic

NO_END: Final = "the segment is closed, but its end is no record"

_MARK: Final = re.compile(rb"[0-9a-f]{8} ")
"""What stands before the text of a line: its crc32."""

_SEGMENT: Final = re.compile(r"(\d{8})\.log")


def sealed(text: bytes) -> bytes:
    """Return the line that holds a text, which has no line break."""
    return b"%08x %b\n" % (zlib.crc32(text), text)


def text_of(line: bytes) -> bytes | None:
    """Return the text that a line holds; None if it is not just as it was sealed."""
    if line[-1:] != b"\n" or line[8:9] != b" ":
        return None
    text = line[9:-1]
    return text if b"%08x" % zlib.crc32(text) == line[:8] else None


def read(file: BinaryIO, path: Path, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the texts of the whole lines in the first `size` bytes of a segment, each with the byte behind its line.

    Raises:
        SurroundingsError: A line that is not whole stands before one that is: that is no torn end, but damage.
    """
    start = 0
    while start < size:
        line = file.readline(size - start)
        if not line:  # its writer has taken a record back that it could not write whole
            return
        text = text_of(line)
        if text is None:
            file.seek(start)
            check_torn(file, path, start, size)
            return
        start += len(line)
        yield start, text


def read_closed(file: BinaryIO, path: Path, size: int) -> Iterator[bytes]:
    """Yield the texts in the first `size` bytes of a segment, which have to be whole lines to their end.

    Raises:
        SurroundingsError: They are not.
    """
    end = 0
    for behind, text in read(file, path, size):
        yield text
        end = behind
    if end < size:
        raise damaged(path, end, NO_END)


def size_of(file: BinaryIO) -> int:
    """Return how many bytes an open file has."""
    return os.fstat(file.fileno()).st_size


def numbered(folder: Path) -> list[int]:
    """Return the numbers of the segments in a folder, in order: `00000001.log` is the first."""
    try:
        names = [_SEGMENT.fullmatch(entry.name) for entry in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(found[1]) for found in names if found)


def create(path: Path, flags: int) -> int:
    """Make an empty segment that stays; return its descriptor."""
    fd = os.open(path, flags | os.O_CREAT, 0o600)
    try:
        sync_folder(path.parent)
    except BaseException:
        os.close(fd)
        raise
    return fd


def cut_torn(path: Path, fd: int, seen: Callable[[bytes], object]) -> int:
    """Cut off what a crash left behind the last whole line of a segment, and keep it in a file beside.

    Args:
        path: Of the segment.
        fd: Of the same file, open for writing.
        seen: Gets the text of each whole line.

    Returns:
        The bytes that are left, which are on the disk by now.

    Raises:
        SurroundingsError: The segment is damaged before its end.
    """
    with path.open("rb") as file:
        size = size_of(file)
        end = 0
        for behind, text in read(file, path, size):
            seen(text)
            end = behind
        if end < size:
            file.seek(end)
            write_atomic(_torn(path), file.read())
            os.ftruncate(fd, end)
    os.fsync(fd)  # a line that the last writer had not synced counts from now on
    return end


def check_torn(file: BinaryIO, path: Path, start: int, size: int) -> None:
    """Make sure that no whole line stands behind the start of one that is not: then it is the end that a crash left.

    Args:
        file: At byte `start`.
        path: Of the file.
        start: Where the line begins that is not whole.
        size: Bytes that are looked at.

    Raises:
        SurroundingsError: One does; in the same line too, where it is a line break that was damaged.
    """
    at = start
    while at < size and (line := file.readline(size - at)):
        if line.endswith(b"\n") and any(text_of(line[found.start() :]) is not None for found in _MARK.finditer(line)):
            raise damaged(path, start, "a line that is no record stands before one that is")
        at += len(line)


def damaged(path: Path, start: int, why: str) -> SurroundingsError:
    """Return the error for a segment that is not as it was written."""
    hint = "put back a copy of the file; nothing was changed"
    return SurroundingsError(f"{path} is damaged at byte {start}: {why}", field="results", hint=hint)


def _torn(path: Path) -> Path:
    """Return a new name for what a crash left behind the last whole line of a segment."""
    taken = sum(1 for _ in path.parent.glob(f"{path.stem}.torn-*"))
    return path.with_name(f"{path.stem}.torn-{taken + 1}")
