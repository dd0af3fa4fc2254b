"""`Body`: what follows the headers of an answer, unpacked, with limits on its size and on how slow it may be."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Iterator
from typing import Final

import httpx

from search.data.web.guard import shown
from search.data.web.retry import Again
from search.errors import SurroundingsError

MAX_RATIO: Final = 100
"""Unpacked bytes for each packed one."""

_FREE: Final = 16 << 20  # bytes that may be packed more tightly
_PIECE: Final = 1 << 20
_LEAST_RATE: Final = 100  # bytes a second


class Body:
    """The body of an open answer.

    Args:
        response: Of which nothing was read.
        place: Where it came from, for messages.
        max_bytes: Unpacked.
        have: Bytes that came before, if this one goes on where another ended.

    Attributes:
        total: Bytes that there will be with those before, or None where the server does not say.
        is_packed: The server packed it for the way.

    Raises:
        SurroundingsError: It is larger than allowed, or packed in an unknown way.
    """

    def __init__(self, response: httpx.Response, place: httpx.URL, max_bytes: int, *, have: int = 0) -> None:
        self._response = response
        self._name = shown(place)
        self._max_bytes = max_bytes
        self._have = have
        coding = response.headers.get("content-encoding", "identity").strip().lower() or "identity"
        if coding not in ("identity", "gzip", "x-gzip"):
            raise SurroundingsError(f"{self._name} is packed by {coding[:30]!r}, which was not asked for", field="data")
        self.is_packed = coding != "identity"
        length = response.headers.get("content-length", "")
        self.total = have + int(length) if length.isdigit() and not self.is_packed else _range(response)[1]
        if self.total is not None and self.total > max_bytes:
            raise self._too_large(f"has {self.total / 1e6:,.0f} MB")

    def chunks(self, *, deadline: float | None = None, patience_s: float = 30) -> Iterator[bytes]:
        """Yield it piece by piece, unpacked.

        Args:
            deadline: On the monotonic clock, for all of it; None for no limit.
            patience_s: How long it may come at less than 100 bytes a second.

        Raises:
            Again: It is cut, damaged or too slow.
            SurroundingsError: It is larger than allowed.
        """
        raw = self._paced(deadline, patience_s)
        size = self._have
        for chunk in _unpacked(raw, self._name) if self.is_packed else raw:
            size += len(chunk)
            if size > self._max_bytes:
                raise self._too_large("is larger")
            came = self._response.num_bytes_downloaded
            if self.is_packed and size > max(_FREE, MAX_RATIO * came):
                raise SurroundingsError(
                    f"{self._name} unpacks to more than {MAX_RATIO} times its size; it is not taken", field="data"
                )
            yield chunk
        if self.total is not None and size != self.total:
            raise Again(f"{self._name} sent {size} of {self.total} bytes")

    def _paced(self, deadline: float | None, patience_s: float) -> Iterator[bytes]:
        since, mark = time.monotonic(), 0
        for chunk in self._response.iter_raw():
            now = time.monotonic()
            if deadline is not None and now > deadline:
                raise Again(f"{self._name} was too slow to send all of it in time")
            came = self._response.num_bytes_downloaded
            if now - since > patience_s:
                if came - mark < _LEAST_RATE * (now - since):
                    raise Again(f"{self._name} sends less than {_LEAST_RATE} bytes a second")
                since, mark = now, came
            yield chunk

    def _too_large(self, what: str) -> SurroundingsError:
        return SurroundingsError(
            f"{self._name} {what}; at most {self._max_bytes / 1e6:,.0f} MB are taken", field="data"
        )


def continues(response: httpx.Response, have: int) -> bool:
    """Tell whether an answer 206 goes on after the first `have` bytes."""
    return _range(response)[0] == have


def _range(response: httpx.Response) -> tuple[int | None, int | None]:
    """Return where a part starts, and the size of the whole."""
    if response.status_code != 206:
        return None, None
    found = re.fullmatch(
        r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", response.headers.get("content-range", "").strip()
    )
    if not found:
        return None, None
    return int(found[1]), None if found[3] == "*" else int(found[3])


def _unpacked(raw: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield what was packed by gzip, never more than a piece at a time."""
    packer = zlib.decompressobj(wbits=31)
    begun = False
    try:
        for chunk in raw:
            waiting = chunk
            while waiting:
                if packer.eof:  # several gzip files after each other are one
                    packer = zlib.decompressobj(wbits=31)
                begun = True
                yield packer.decompress(waiting, _PIECE)
                waiting = packer.unused_data if packer.eof else packer.unconsumed_tail
        while begun and not packer.eof and (rest := packer.decompress(packer.unconsumed_tail, _PIECE)):
            yield rest
    except zlib.error as error:
        raise Again(f"{name} sent a damaged gzip body") from error
    if begun and not packer.eof:
        raise Again(f"{name} sent a gzip body that was cut")
