"""The records of a journal behind a known point, the `Mark`; read while another process writes it, never changed."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from search.study import checksum, journal_file
from search.study.internal import UnsupportedError


@dataclass(frozen=True, slots=True)
class Mark:
    """A beginning of a journal that is known: its bytes, their crc32, the records in it."""

    offset: int = 0
    crc32: int = 0
    records: int = 0


class Tail:
    """Reads on from a mark, again and again.

    Attributes:
        mark: How far it has read.
    """

    def __init__(self, path: Path, mark: Mark) -> None:
        """Check that the journal still begins with what the mark stands for.

        Raises:
            UnsupportedError: It does not, or is not what its checksums say.
            OSError: It cannot be read.
        """
        self._path, self.mark = path, mark
        checkpoints = checksum.load(path)
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            self._identity = (found.st_dev, found.st_ino)
            if journal_file.lost_of(max((one.offset for one in checkpoints), default=0), found.st_size):
                raise UnsupportedError("the journal lost its end")
            vouched = [one for one in checkpoints if 0 < one.offset <= found.st_size]
            self._vouched = vouched[-1] if vouched else checksum.Checkpoint(0, 0)
            self._check_beginning(file, found.st_size)

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield the complete records that have come since; a torn end is left out.

        Raises:
            UnsupportedError: The journal is damaged, was cut, or is another file by now.
            OSError: It cannot be read.
        """
        with self._path.open("rb") as file:
            found = os.fstat(file.fileno())
            if (found.st_dev, found.st_ino) != self._identity or found.st_size < self.mark.offset:
                raise UnsupportedError("the journal was cut or replaced")
            file.seek(self.mark.offset)
            offset, crc32, records = self.mark.offset, self.mark.crc32, self.mark.records
            for line in file:
                record = journal_file.parse(line)
                if record is None:
                    if journal_file.goes_on(line, file):
                        raise UnsupportedError("the journal is damaged")
                    break
                offset, crc32, records = offset + len(line), zlib.crc32(line, crc32), records + 1
                if offset == self._vouched.offset and crc32 != self._vouched.crc32:
                    raise UnsupportedError("the journal is not as it was written")
                self.mark = Mark(offset, crc32, records)
                yield record
        if self.mark.offset < self._vouched.offset:
            raise UnsupportedError("a part of the journal that was whole is torn")

    def _check_beginning(self, file: BinaryIO, size: int) -> None:
        if self.mark.offset > size:
            raise UnsupportedError("the journal is shorter than it was")
        known = [self._vouched, checksum.Checkpoint(self.mark.offset, self.mark.crc32)]
        crc32, start = 0, 0
        for one in sorted(known, key=lambda one: one.offset):
            if one.offset > self.mark.offset:
                break
            crc32, _ = checksum.digest(file, start, one.offset, crc32)
            if crc32 != one.crc32:
                raise UnsupportedError("the journal does not begin as it did")
            start = one.offset
