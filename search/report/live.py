"""A study's page served while it is open in browsers: `GET /`, `/payload.json`, and `/events`, which tells of editions.

It only reads, and answers this machine alone. A web page of somebody else's reaches it neither under a name of its own
(`Host`), nor by a request (`Origin`, `Sec-Fetch-Site`), nor in a frame.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search.report.editions import Editions, News
from search.serving import server
from search.serving.connections import Bounds
from search.serving.hosts import Hosts
from search.serving.ports import LOCAL

BOUNDS: Final = Bounds(most=64, head_s=10.0, request_s=None)
"""Of connections; `/events` goes on for as long as the page is open."""

MOST_STREAMS: Final = 48
"""Pages at once; the other connections are for what they fetch."""

_BEAT_S: Final = 15.0
"""A word at least so often, so that a page knows that its server is there."""

_RETRY_MS: Final = 1000
"""After which a page whose server has gone looks for it again."""

_FRESH_S: Final = 3.0
"""How long somebody who opens the page waits for what is new."""

_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'"),
)


def serve(
    editions: Editions,
    bound: socket.socket,
    *,
    listening: Callable[[], object],
    told: Callable[[News], object] = lambda _: None,
) -> None:
    """Serve until SIGINT or SIGTERM, which is raised again at the end.

    Args:
        editions: Of the study; followed meanwhile, and closed at the end.
        bound: From `ports.bind`; it is closed at the end.
        listening: Called when it listens.
        told: Called with all news, in another thread.
    """
    app = _Live(editions)

    def began() -> None:
        loop = asyncio.get_running_loop()

        def changed() -> None:
            with suppress(RuntimeError):  # the server has ended meanwhile
                loop.call_soon_threadsafe(app.ring)
            told(editions.news)

        # a daemon: what it is at need not come to an end
        threading.Thread(target=editions.run, args=(changed,), name="editions", daemon=True).start()
        listening()

    try:
        guarded = Guard(app.starlette, Hosts.of(LOCAL, LOCAL))
        server.serve(guarded, bound, bounds=BOUNDS, grace_s=0, listening=began, ending=editions.close)
    finally:
        editions.close()


class Guard:
    """Lets through what only reads, and comes from this server's own pages or from a person."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        refused = self._refused(scope)
        await (refused or self._app)(scope, receive, send_marked)

    def _refused(self, scope: Scope) -> Response | None:
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:  # several of one name are none that is known
            key = name.decode("latin-1")
            headers[key] = f"{headers[key]},{value.decode('latin-1')}" if key in headers else value.decode("latin-1")
        refusal = self._hosts.refusal(headers)
        if refusal is not None:
            return _error(*refusal)
        if scope["method"] not in ("GET", "HEAD"):
            return _error(405, "this server is only read", Allow="GET, HEAD")
        return None


class _Live:
    """Answers with the newest edition."""

    def __init__(self, editions: Editions) -> None:
        self._editions = editions
        self._bell = asyncio.Event()
        self._streams = 0
        routes = [
            Route("/", self.page),
            Route("/payload.json", self.payload),
            Route("/events", self.events),
        ]
        self.starlette = Starlette(routes=routes)
        self.starlette.router.redirect_slashes = False

    def ring(self) -> None:
        """Wake whoever waits for news."""
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    async def page(self, request: Request) -> Response:
        """Return the page; where the study has gone on, and it may, a new edition."""
        with self._editions.reading():
            try:
                async with asyncio.timeout(_FRESH_S):
                    while self._editions.is_due:
                        await self._bell.wait()
            except TimeoutError:
                pass
        edition = self._editions.newest
        return _packed(request, await asyncio.to_thread(lambda: edition.html), "text/html; charset=utf-8")

    async def payload(self, request: Request) -> Response:
        """Return what the page shows."""
        edition = self._editions.newest
        return _packed(request, edition.payload, "application/json", ETag=f'"{edition.name}"')

    async def events(self, request: Request) -> Response:
        """Return a stream of news, the first at once."""
        if self._streams >= MOST_STREAMS:
            return _error(503, "too many pages are open", **{"Retry-After": "5"})
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        return _Stream(self._news(), self._reader())

    @contextmanager
    def _reader(self) -> Iterator[None]:
        self._streams += 1
        try:
            with self._editions.reading():
                yield
        finally:
            self._streams -= 1

    async def _news(self) -> AsyncIterator[bytes]:
        told = None
        yield f"retry: {_RETRY_MS}\n\n".encode()
        while True:
            bell, news = self._bell, self._editions.news
            yield b": beat\n\n" if news == told else f"data: {json.dumps(news.to_json())}\n\n".encode()
            told = news
            try:
                async with asyncio.timeout(_BEAT_S):
                    await bell.wait()
            except TimeoutError:
                pass


class _Stream(StreamingResponse):
    """A stream of events with a block around all of it: its body may be asked for late, or never."""

    def __init__(self, content: AsyncIterator[bytes], block: AbstractContextManager[None]) -> None:
        super().__init__(content, media_type="text/event-stream")
        self._block = block

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._block:
            await super().__call__(scope, receive, send)


def _packed(request: Request, packed: bytes, kind: str, **headers: str) -> Response:
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=kind)
    return Response(gzip.decompress(packed), headers=headers, media_type=kind)


def _error(status: int, said: str, **headers: str) -> Response:
    return PlainTextResponse(f"{said}\n", status, {"Connection": "close", **headers})
