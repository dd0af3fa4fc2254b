"""The body of a request, read with a cap on its bytes, on its time, and on what all requests hold together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.requests import ClientDisconnect, Request

from search.data.collect.limits import Limits
from search.errors import InputError, SurroundingsError

_LISTENS: Final = 4
"""Times the cap: so much of a body is read, and thrown away, so that its client gets to read why."""

_DISCARD_S: Final = 2.0


class BodyTooLarge(InputError):
    """A body is above the cap."""


class Busy(SurroundingsError):
    """All requests together hold as much as they may."""


class InFlight:
    """The bytes that all requests hold."""

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0

    @asynccontextmanager
    async def share(self) -> AsyncIterator[Share]:
        """Give one request a share, which is free again behind it."""
        share = Share(self)
        try:
            yield share
        finally:
            self._held -= share.held

    def take(self, size: int) -> None:
        if self._held + size > self._most:
            raise Busy("too much is being stored at once", hint="send it again in a moment")
        self._held += size


class Share:
    """The bytes that one request holds."""

    def __init__(self, of: InFlight) -> None:
        self._of, self.held = of, 0

    def take(self, size: int) -> None:
        """Hold more.

        Raises:
            Busy: There is no more.
        """
        self._of.take(size)
        self.held += size


async def read_body(request: Request, limits: Limits, share: Share) -> bytes:
    """Return the body of a request.

    Raises:
        BodyTooLarge: It is above the cap.
        Busy: Others hold all there is.
        TimeoutError: It came too slowly.
        ClientDisconnect: It will not come.
    """
    most = limits.request_bytes
    too_large = BodyTooLarge(f"a request has at most {most / 1e6:g} MB; send fewer rows at once")
    declared = request.headers.get("content-length", "")
    if (
        declared.isdigit()
        and int(declared[:20]) > most
        and (_asks_first(request) or int(declared[:20]) > _LISTENS * most)
    ):
        raise too_large
    body = bytearray()
    total = 0
    async with asyncio.timeout(limits.read_s):
        async for chunk in request.stream():
            total += len(chunk)
            if total > most:
                body.clear()
                if total > _LISTENS * most:
                    break
                continue
            share.take(len(chunk))
            body += chunk
    if total > most:
        raise too_large
    return bytes(body)


async def discard(request: Request, limits: Limits) -> None:
    """Read what comes of a body that is refused, so that its client gets to read why."""
    if _asks_first(request):
        return
    total = 0
    try:
        async with asyncio.timeout(min(limits.read_s, _DISCARD_S)):
            async for chunk in request.stream():
                total += len(chunk)
                if total > _LISTENS * limits.request_bytes:
                    return
    except (TimeoutError, ClientDisconnect):
        return


def _asks_first(request: Request) -> bool:
    return request.headers.get("expect", "").lower() == "100-continue"
