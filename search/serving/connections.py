"""Connections that end: each has so long for the head of a request, and there are only so many at once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_TOO_MANY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What connections may take.

    Attributes:
        most: At once; the one that has waited longest without a request goes first.
        head_s: Seconds that the head of a request may take to come.
        request_s: Seconds that a request may take in all, its answer included; None: an answer may go on for ever.
        body_s: Seconds that the body of a request may take to come; None: as many as the request.
        stuck_s: Seconds for which a reader may take in nothing of an answer that is larger than what is buffered.
    """

    most: int
    head_s: float
    request_s: float | None
    body_s: float | None = None
    stuck_s: float = 30.0


def bounded(bounds: Bounds, protocol: Any = H11Protocol) -> Any:
    """Return a protocol of uvicorn's within these bounds; by itself it waits for a head without end.

    Args:
        bounds: Of connections.
        protocol: On h11, or `capped.CappedProtocol` on httptools.
    """

    class Bounded(protocol):  # type: ignore[misc]  # one of two
        _timer: asyncio.TimerHandle | None = None
        _stuck: asyncio.TimerHandle | None = None
        _was_waiting: bool | None = None
        since_s = 0.0

        def connection_made(self, transport: Any) -> None:
            refused = len(self.connections) >= bounds.most and not _evict(self.connections)
            super().connection_made(transport)
            if refused:
                transport.write(_TOO_MANY)
                transport.close()
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._let_be()
            self._unstick()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            try:
                super().data_received(data)
            except h11.LocalProtocolError:  # an answer to a broken request that had its answer already
                self.transport.abort()
            self._watch()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._watch()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._stuck = self.loop.call_later(bounds.stuck_s, self.transport.abort)

        def resume_writing(self) -> None:
            self._unstick()
            super().resume_writing()

        def is_waiting(self) -> bool:
            """Tell whether the next request has not begun."""
            return self.cycle is None or self.cycle.response_complete

        def is_reading(self) -> bool:
            """Tell whether the body of a request is still coming."""
            return not self.is_waiting() and self.cycle.more_body

        def _watch(self) -> None:
            waiting = self.is_waiting()
            if waiting == self._was_waiting:
                return
            self._let_be()
            self._was_waiting, self.since_s = waiting, self.loop.time()
            after_s = bounds.head_s if waiting else bounds.body_s or bounds.request_s
            if after_s is not None:
                self._timer = self.loop.call_later(after_s, self._end)

        def _let_be(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _unstick(self) -> None:
            if self._stuck is not None:
                self._stuck.cancel()
                self._stuck = None

        def _end(self) -> None:
            if not self.is_waiting():
                self._end_request()
                return
            with suppress(RuntimeError):  # closing already
                if self.cycle is None:
                    self.transport.write(_TOO_SLOW)
            self.transport.close()

        def _end_request(self) -> None:
            if bounds.body_s is not None and self.is_reading() and not self.cycle.response_started:
                self.transport.write(_TOO_SLOW)
                self.transport.close()
                return
            left_s = (bounds.request_s or 0) - (self.loop.time() - self.since_s)
            if bounds.body_s is None or left_s <= 0 or self.is_reading():
                self.transport.abort()
                return
            self._timer = self.loop.call_later(left_s, self._end)

    return Bounded


def _evict(connections: set[Any]) -> bool:
    """Close the connection that has waited longest for a request, or for the rest of one; tell whether it did."""
    for kind in ("is_waiting", "is_reading"):
        found = [one for one in connections if getattr(one, kind)()]
        if found:
            oldest = min(found, key=lambda one: one.since_s)
            connections.discard(oldest)
            oldest.transport.abort()
            return True
    return False
