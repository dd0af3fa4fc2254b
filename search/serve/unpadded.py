"""A text file without the blanks before its cells, which training does not read either: the `Unpadded`."""

from __future__ import annotations

import io
import re
from typing import Any, Final

_AT_ONCE: Final = 1 << 20
_MOST_CELL: Final = 8 << 20
_BOM: Final = b"\xef\xbb\xbf"


class Unpadded(io.RawIOBase):
    """Passes on what a stream holds, but for a byte-order mark and the blanks between a separator and a cell.

    A quote begins a quoted cell only where the cell begins, and blanks within one stay: ` "a, b"` becomes `"a, b"`.

    Args:
        stream: Of bytes, as UTF-8; it is closed with this one.
        separator: Of cells.
    """

    def __init__(self, stream: Any, separator: str) -> None:
        super().__init__()
        self._stream = stream
        ends = re.escape(separator.encode()) + rb"\r\n"
        # Each repeat takes one whole cell with what ends it, and gives nothing back: one pass, however long the row.
        quoted = rb'"(?:[^"]++|"")*+"[^%b]*+[%b]' % (ends, ends)
        plain = rb'[^ "%b][^%b]*+[%b]' % (ends, ends, ends)
        self._cells = re.compile(rb"(?:%b|%b|[%b])*+" % (plain, quoted, ends))
        self._blanks = re.compile(rb"(?<=[%b]) +" % ends)
        self._ends = (separator.encode(), b"\r", b"\n")
        self._begun = self._ended = False
        self._rest = b""  # of a cell whose end has not come
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and not self._ended:
            self._ready = memoryview(self._next())
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()

    def _next(self) -> bytes:
        read = bytes(self._stream.read(_AT_ONCE))
        data = self._rest + read
        if not self._begun:
            data = data.removeprefix(_BOM)
            self._begun = True
        passed, self._rest = self._whole(data)
        if not read or len(self._rest) > _MOST_CELL:  # the reader refuses a cell of that size
            passed += self._rest
            self._rest, self._ended = b"", not read
        return passed

    def _whole(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the cells that have come whole, without their blanks, and what follows; a cell begins at both."""
        if b'"' not in data:  # every blank behind a separator is one before a cell
            end = max(map(data.rfind, self._ends)) + 1
            return self._blanks.sub(b"", data[:end].lstrip(b" ")), data[end:].lstrip(b" ")
        parts, at = [], 0
        while True:
            end = self._cells.match(data, at).end()  # type: ignore[union-attr]  # it matches nothing, too
            parts.append(data[at:end])
            at = end
            while data.startswith(b" ", at):
                at += 1
            if at == end:
                break
        return b"".join(parts), data[at:]
