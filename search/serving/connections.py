"""Connections that end: each has so long for the head of a request, and there are only so many at once."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal, TypeAlias

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_BYTES: Final = 16_384
"""Of a request line and its headers."""


def refused(status: HTTPStatus, message: str, *, headers: str = "", hint: str = "") -> bytes:
    """Return the whole of an answer that comes before any application: JSON, in the form that all errors have.

    Args:
        status: Of HTTP.
        message: One sentence.
        headers: More of them, each with its line end.
        hint: What to try.
    """
    told = {"error": {"code": status.value, "field": "", "message": message, "hint": hint}}
    body = json.dumps(told)
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return f"{head}{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode()


_TOO_SLOW: Final = refused(HTTPStatus.REQUEST_TIMEOUT, "the request came too slowly")
_TOO_MANY: Final = refused(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "there are too many connections",
    headers="Retry-After: 1\r\n",
    hint="send it again in a moment",
)

_Awaited: TypeAlias = Literal["head", "next", "answer"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What connections may take.

    Attributes:
        most: At once; the one that has waited longest without a request goes first.
        head_s: Seconds that the head of a request may take to come, from its first byte on; of the first one of a
            connection, from the connection on. For how long a connection waits for a next one, uvicorn is told.
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
        _awaited: _Awaited | None = None
        since_s = 0.0

        def connection_made(self, transport: Any) -> None:
            refused = len(self.connections) >= bounds.most and not _evict(self.connections)
            super().connection_made(transport)
            if refused:
                transport.write(_TOO_MANY)
                transport.close()
            self._watch("head")

        def connection_lost(self, exc: Exception | None) -> None:
            self._let_be()
            self._unstick()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            try:
                super().data_received(data)
            except h11.LocalProtocolError:  # an answer to a broken request that had its answer already
                self.transport.abort()
            self._watch("head")

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._watch("head" if self._is_more_there() else "next")

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

        def _is_more_there(self) -> bool:
            """Tell whether some of a body that nobody read, or of the next head, is to come."""
            begun = self.conn.trailing_data[0] if hasattr(self, "conn") else getattr(self, "is_head", False)
            return bool(begun or self.cycle.more_body)

        def _watch(self, where_waiting: _Awaited) -> None:
            awaited = where_waiting if self.is_waiting() else "answer"
            if awaited == self._awaited:
                return
            self._let_be()
            self._awaited, self.since_s = awaited, self.loop.time()
            after_s = {"head": bounds.head_s, "next": None, "answer": bounds.body_s or bounds.request_s}[awaited]
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
