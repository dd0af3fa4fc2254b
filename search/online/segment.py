"""The file of a log that is written: what it holds, what of that is on the disk, what has to be undone: `Segment`."""

from __future__ import annotations

import io
import os
import threading
from contextlib import suppress
from pathlib import Path

from search import lines

FLAGS = os.O_RDWR | os.O_CLOEXEC


class Segment:
    """One segment, open for writing; one thread may write while another one syncs.

    Args:
        path: Of the file.
        fd: Of the same file; closed by `close`.
        end: Bytes of it, all of them on the disk.

    Attributes:
        path: As given.
        end: Bytes of whole lines.
    """

    def __init__(self, path: Path, fd: int, end: int) -> None:
        self.path, self.end = path, end
        self._fd, self._synced = fd, end
        self._suspect = 0  # bytes up to which a sync has failed: the kernel may have forgotten what it had of them
        self._dirty = False
        self._syncing = threading.Lock()  # or who syncs second would not hear what the first one heard

    @property
    def is_durable(self) -> bool:
        """Whether all of it is on the disk."""
        return self._synced == self.end and not self._suspect

    @property
    def is_suspect(self) -> bool:
        """Whether a sync has failed, and none has come through since."""
        return self._suspect > 0

    def write(self, line: bytes) -> None:
        """Write a line, or several; of what cannot be written those stay that are whole, and the rest is undone.

        Raises:
            OSError: Not all could be written; `end` tells how much was.
        """
        if self._dirty:
            self.undo()
        self._dirty = True
        written = 0
        try:
            while written < len(line):
                written += os.pwrite(self._fd, line[written:] if written else line, self.end + written)
        except OSError:
            self.end += line.rfind(b"\n", 0, written) + 1  # a reader may have them already
            with suppress(OSError):  # then before the next write
                self.undo()
            raise
        self.end += len(line)
        self._dirty = False

    def undo(self) -> None:
        """Take back what of a line was written.

        Raises:
            OSError: It stays; no line may be written behind it.
        """
        if self._dirty:
            os.ftruncate(self._fd, self.end)
            self._dirty = False

    def sync(self) -> None:
        """Put all that is written by now on the disk.

        After a sync that failed, the kernel takes what it could not write for written, and a second sync for done: so
        the lines are written again, which it may have lost by then.

        Raises:
            OSError: The disk does not take it.
            SurroundingsError: It has lost lines.
        """
        with self._syncing:
            end = self.end
            if self._suspect:
                self._write_again(max(end, self._suspect))
            try:
                os.fdatasync(self._fd)
            except OSError:
                self._suspect = max(self._suspect, end)
                raise
            self._suspect = 0
            self._synced = end

    def close(self) -> None:
        """Let go of the file; no sync is going on then, and none begins."""
        with self._syncing:
            os.close(self._fd)
            self._fd = -1

    def _write_again(self, end: int) -> None:
        start, found = self._synced, b""
        while len(found) < end - start and (more := os.pread(self._fd, end - start - len(found), start + len(found))):
            found += more
        if len(found) < end - start or any(lines.text_of(line) is None for line in io.BytesIO(found)):
            raise lines.damaged(self.path, start, "the disk has lost records that it could not write")
        written = 0
        while written < len(found):
            written += os.pwrite(self._fd, found[written:], start + written)
