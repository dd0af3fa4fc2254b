"""The bodies of requests, read with a cap on the bytes of each and on what all hold together: the `Bodies`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from search.serve.limits import Limits
from search.serve.metrics import Metrics
from search.serve.reply import Reply, refusal

if TYPE_CHECKING:
    from starlette.types import Message, Receive

_LISTENS: Final = 4
"""Times the cap: so much of a body is read, and thrown away, so that its client gets to read why."""

_SMALL: Final = 65_536
"""Bytes of a body that always has room."""

_DISCARD_S: Final = 2.0

BUSY: Final = refusal(503, "too much is being predicted at once", hint="send it again in a moment", close=True)


@dataclass(slots=True, eq=False)
class _Coming:
    """A body, as far as it has come."""

    found: bytearray = field(default_factory=bytearray)


class Bodies:
    """The bodies of requests, from their first byte until they are answered.

    A small one always has room: there are only so many connections. A larger one that finds none has those thrown away
    that are still coming, the one that has said nothing for longest first, so that nobody keeps others out by standing
    still.

    Args:
        limits: Of bodies.
        metrics: Counts the bytes that they hold.
    """

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits, self._metrics = limits, metrics
        self._coming: dict[_Coming, None] = {}  # the one that has said nothing for longest comes first

    async def read(self, heads: Mapping[bytes, bytes], receive: Receive) -> bytes | Reply:
        """Return the body of a request, or why it is not read; one that is returned holds its bytes until `free`.

        Args:
            heads: Headers of the request.
            receive: Of ASGI.

        Raises:
            ConnectionError: The client has gone.
        """
        limits = self._limits
        declared = heads.get(b"content-length", b"")
        if declared.isdigit():
            size = int(declared[:20])
            if size > limits.body_bytes and (_asks_first(heads) or size > _LISTENS * limits.body_bytes):
                return _too_large(limits)
        message = await receive()
        body: bytes = message.get("body", b"")
        if not message.get("more_body") and message["type"] == "http.request" and len(body) <= limits.body_bytes:
            return body if self._hold(len(body), len(body)) else BUSY
        coming = _Coming()
        try:
            return await self._whole(coming, message, receive)
        except BaseException:
            self._throw_away(coming)
            raise

    def free(self, body: bytes) -> None:
        """Let go of a body that was read."""
        self._metrics.held_bytes -= len(body)

    async def _whole(self, coming: _Coming, message: Message, receive: Receive) -> bytes | Reply:
        """Return a body that comes in parts, of which the first has come."""
        most, total = self._limits.body_bytes, 0
        while True:
            if message["type"] == "http.disconnect":
                raise ConnectionError
            chunk = message.get("body", b"")
            total += len(chunk)
            if total > most:
                self._throw_away(coming)
            elif self._hold(len(chunk), total):
                coming.found += chunk
            else:
                self._throw_away(coming)
                return BUSY
            if not message.get("more_body") or total > _LISTENS * most:
                return bytes(coming.found) if total <= most else _too_large(self._limits)
            self._coming[coming] = None
            message = await receive()
            if total <= most and coming not in self._coming:
                return BUSY
            self._coming.pop(coming, None)

    def _hold(self, more: int, size: int) -> bool:
        """Count bytes as held, if there is room for them; `size` is that of all of their body so far."""
        metrics = self._metrics
        while size > _SMALL and metrics.held_bytes + more > self._limits.held_bytes:
            slowest = next((one for one in self._coming if len(one.found) > _SMALL), None)
            if slowest is None:
                return False
            self._throw_away(slowest)
        metrics.held_bytes += more
        return True

    def _throw_away(self, coming: _Coming) -> None:
        self._coming.pop(coming, None)
        self._metrics.held_bytes -= len(coming.found)
        coming.found = bytearray()


async def discard(heads: Mapping[bytes, bytes], receive: Receive, limits: Limits) -> None:
    """Read what comes of a body that is refused, so that its client gets to read why."""
    if _asks_first(heads) or (b"content-length" not in heads and b"transfer-encoding" not in heads):
        return
    total = 0
    try:
        async with asyncio.timeout(_DISCARD_S):
            while total <= _LISTENS * limits.body_bytes:
                message = await receive()
                total += len(message.get("body", b""))
                if not message.get("more_body"):
                    return
    except TimeoutError:
        return


def _asks_first(heads: Mapping[bytes, bytes]) -> bool:
    return heads.get(b"expect", b"").lower() == b"100-continue"


def _too_large(limits: Limits) -> Reply:
    return refusal(
        413, f"a request has at most {limits.body_bytes / 1e6:g} MB; send fewer rows at once", field="body", close=True
    )
