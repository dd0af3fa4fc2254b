"""Connections that end: each has so long for the head of a request, and there are only so many at once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from search.data.collect.limits import Limits

_STORING_S: Final = 60.0
"""How long a request may take in all, besides being read; then its client is not listening."""

_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_TOO_MANY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
)


def bounded(limits: Limits) -> type[H11Protocol]:
    """Return uvicorn's protocol with these limits; by itself it waits for a head without end."""

    class Bounded(H11Protocol):
        _timer: asyncio.TimerHandle | None = None
        _was_waiting = False
        since_s = 0.0

        def connection_made(self, transport: Any) -> None:
            refused = len(self.connections) >= limits.connections and not _evict(self.connections)
            super().connection_made(transport)
            if refused:
                transport.write(_TOO_MANY)
                transport.close()
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            if self._timer is not None:
                self._timer.cancel()
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

        def is_waiting(self) -> bool:
            """Tell whether the next request has not begun."""
            return self.cycle is None or self.cycle.response_complete

        def is_reading(self) -> bool:
            """Tell whether the body of a request is still coming."""
            return not self.is_waiting() and self.cycle.more_body

        def _watch(self) -> None:
            waiting = self.is_waiting()
            if self._timer is not None:
                if waiting == self._was_waiting:
                    return
                self._timer.cancel()
            self._was_waiting, self.since_s = waiting, self.loop.time()
            after_s = limits.read_s if waiting else limits.read_s + _STORING_S
            self._timer = self.loop.call_later(after_s, self._end)

        def _end(self) -> None:
            if not self.is_waiting():
                self.transport.abort()
                return
            with suppress(RuntimeError):  # closing already
                if self.cycle is None:
                    self.transport.write(_TOO_SLOW)
            self.transport.close()

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
