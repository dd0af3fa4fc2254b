"""The web API of a model, as an ASGI application: `POST /predict`, and what people and programs ask about it: `App`."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from itertools import count
from math import ceil
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from search.serve import page
from search.serve.backend import Answer, Backend, Served
from search.serve.body import Bodies, discard
from search.serve.examples import example_row
from search.serve.limits import Limits
from search.serve.metrics import KIND, Metrics
from search.serve.openapi import describe
from search.serve.rates import Rates
from search.serve.reply import Reply, as_reply, refusal
from search.serving.hosts import Hosts
from search.serving.key import Key

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

Heads: TypeAlias = Mapping[bytes, bytes]
"""Headers of a request, by their names in small letters."""

_ALWAYS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
_CLOSE: Final = (b"connection", b"close")
_ONCE: Final = frozenset((b"host", b"authorization", b"content-type", b"content-length", b"origin", b"x-request-id"))
_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_MOST_HOSTS: Final = 100
_READY_S: Final = 1.0
"""For so long an answer of `/ready` holds; and so long the model has to give one."""

_BEYOND_S: Final = 0.5
"""Beyond `--timeout`: where workers predict, their pool knows better what was late, and tells it sooner."""

NO_TOKEN: Final = refusal(
    401,
    "a request brings the token of this server as Authorization: Bearer TOKEN",
    field="Authorization",
    headers=((b"www-authenticate", b"Bearer"),),
)
_FAULT: Final = refusal(500, "a fault of sweep itself; its terminal shows more", close=True)


class App:
    """Answers for a model; a server that does more for it has more pages and posts (`search.online.app`).

    Args:
        backend: Predicts; opened and closed by who serves the application.
        limits: Of what a client may do.
        hosts: The names that the server is known by.
        key: That requests bring, but those for `/`, `/health` and `/ready`; None: nobody needs one.

    Attributes:
        metrics: What it counts.
    """

    def __init__(self, backend: Backend, limits: Limits, hosts: Hosts, key: Key | None) -> None:
        self.metrics = Metrics()
        self._backend, self._limits, self._hosts, self._key = backend, limits, hosts, key
        self._rates = Rates(limits.rate) if limits.rate else None
        self._known_hosts: dict[bytes, bool] = {}
        start = secrets.token_hex(6)
        self._ids = (f"{start}-{number}".encode() for number in count(1))
        self._bodies = Bodies(limits, self.metrics)
        self._ready: asyncio.Task[tuple[Reply, float]] | None = None
        self._described: tuple[Served, bytes] | None = None
        self._posts: dict[str, Callable[[Scope, Heads, Receive], Awaitable[Reply]]] = {"/predict": self._predict}
        self._pages: dict[str, Callable[[Heads], Awaitable[Reply]]] = {
            "/": self._page,
            "/health": self._health,
            "/ready": self._is_ready,
            "/model": self._model,
            "/metrics": self._metrics,
            "/openapi.json": self._openapi,
        }
        self._open = frozenset(("/", "/health", "/ready"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await _other(scope, receive, send)
            return
        heads: dict[bytes, bytes] = {}
        twice = False
        for name, value in scope["headers"]:
            twice |= name in heads and name in _ONCE
            heads[name] = value
        self.metrics.in_flight += 1
        path = scope["path"]
        try:
            reply = self._refused(scope, heads, twice)
            if reply is not None:
                await discard(heads, receive, self._limits)
            elif (post := self._posts.get(path)) is not None:
                reply = await post(scope, heads, receive)
            else:
                reply = await self._pages[path](heads)
        except ConnectionError:
            return  # nobody hears it
        except Exception:
            await self._send(send, path, heads, _FAULT)
            raise
        finally:
            self.metrics.in_flight -= 1
        await self._send(send, path, heads, reply)

    async def _send(self, send: Send, path: str, heads: Heads, reply: Reply) -> None:
        self.metrics.request(path if path in self._posts or path in self._pages else "other", reply.status)
        given = heads.get(b"x-request-id", b"")
        headers = [
            (b"content-type", reply.kind),
            (b"content-length", b"%d" % len(reply.body)),
            (b"x-request-id", given if _ID.fullmatch(given) else next(self._ids)),
            *_ALWAYS,
            *reply.headers,
        ]
        if reply.close:
            headers.append(_CLOSE)
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    def _refused(self, scope: Scope, heads: Heads, twice: bool) -> Reply | None:
        """Return why a request is not let in, from its head alone."""
        host = heads.get(b"host", b"")
        if twice:
            return refusal(400, "a header that may come once comes twice", close=True)
        if not self._is_known(host):
            said = "this server is not known under that Host; --allow-host NAME lets it be"
            return refusal(421, said, field="Host", close=True)
        if (b"origin" in heads or b"sec-fetch-site" in heads) and _is_foreign(heads, host):
            return refusal(403, "another page may not ask this server", field="Origin", close=True)
        path, method = scope["path"], scope["method"]
        is_post = path in self._posts
        if not is_post and path not in self._pages:
            there = [*(f"POST {one}" for one in self._posts), *(f"GET {one}" for one in self._pages)]
            return refusal(404, "there is no such path", hint=", ".join(there))
        allowed = ("POST",) if is_post else ("GET", "HEAD")
        if method not in allowed:
            told = ", ".join(allowed)
            return refusal(405, f"{path} takes {' and '.join(allowed)}", headers=((b"allow", told.encode()),))
        if path in self._open:
            return None
        if self._rates is not None and (wait_s := self._rates.wait_s((scope["client"] or ("",))[0], time.monotonic())):
            said = f"at most {self._limits.rate:g} requests a second come from one client"
            return refusal(429, said, headers=((b"retry-after", b"%d" % ceil(wait_s)),))
        if (stranger := self._stranger(path, heads.get(b"authorization", b"").decode("latin-1"))) is not None:
            return stranger
        return _unreadable(heads) if is_post else None

    def _stranger(self, path: str, authorization: str) -> Reply | None:  # noqa: ARG002 - for who has several keys
        """Return why whoever sends this header is not let in there."""
        return NO_TOKEN if self._key is not None and not self._key.fits(authorization) else None

    def _is_known(self, host: bytes) -> bool:
        known = self._known_hosts.get(host)
        if known is None:
            known = self._hosts.allow(host.decode("latin-1"))
            if len(self._known_hosts) < _MOST_HOSTS:
                self._known_hosts[host] = known
        return known

    async def _predict(self, scope: Scope, heads: Heads, receive: Receive) -> Reply:  # noqa: ARG002
        body = await self._bodies.read(heads, receive)
        if isinstance(body, Reply):
            return body
        begun_s, timeout_s = time.perf_counter(), self._limits.timeout_s
        try:
            async with asyncio.timeout(timeout_s + _BEYOND_S):
                answer = await self._backend.predict(body)
        except TimeoutError:
            return refusal(504, f"the model took longer than {timeout_s:g} s")
        finally:
            self._bodies.free(body)
        self.metrics.predicted(answer, time.perf_counter() - begun_s)
        return Reply(answer.status, await self._told(body, answer))

    async def _told(self, body: bytes, answer: Answer) -> bytes:  # noqa: ARG002 - for who keeps it
        """Return what a client is told whose body was answered."""
        return answer.body

    async def _page(self, heads: Heads) -> Reply:  # noqa: ARG002
        return page.PAGE

    async def _health(self, heads: Heads) -> Reply:  # noqa: ARG002
        return as_reply(200, {"status": "ok"})

    async def _is_ready(self, heads: Heads) -> Reply:  # noqa: ARG002
        """Have the model predict a usual row, unless it did a moment ago; who asks meanwhile gets the same answer."""
        known = self._ready
        if known is None or (known.done() and time.monotonic() >= known.result()[1]):
            known = self._ready = asyncio.create_task(self._probe_for_all())
        reply, _ = await asyncio.shield(known)
        return reply

    async def _probe_for_all(self) -> tuple[Reply, float]:
        """Return an answer, and until when it holds."""
        return await self._probe(), time.monotonic() + _READY_S

    async def _probe(self) -> Reply:
        served = self._backend.served
        body = json.dumps(example_row(served.bundle.signature)).encode()
        try:
            async with asyncio.timeout(_READY_S):
                answer = await self._backend.predict(body)
        except Exception as error:  # whatever it is, a server that cannot predict is not ready
            return refusal(503, f"{served.label} does not predict: {type(error).__name__}")
        if answer.status != 200:
            return refusal(503, f"{served.label} does not predict")
        return as_reply(200, {"status": "ready", "model": answer.label})

    async def _model(self, heads: Heads) -> Reply:
        served = self._backend.served
        bundle = served.bundle
        if _prefers_text(heads.get(b"accept", b"")):
            return Reply(200, bundle.card.encode(), b"text/markdown; charset=utf-8", ((b"vary", b"accept"),))
        told = {
            "model": served.label,
            "name": served.name,
            "version": served.version,
            "digest": bundle.digest,
            "signature": bundle.signature.to_json(),
            "example": example_row(bundle.signature),
            "manifest": asdict(bundle.manifest),
            "card": bundle.card,
        }
        return as_reply(200, told)._replace(headers=((b"vary", b"accept"),))

    async def _metrics(self, heads: Heads) -> Reply:  # noqa: ARG002
        return Reply(200, self.metrics.text(self._backend.served, self._backend.lost), KIND)

    async def _openapi(self, heads: Heads) -> Reply:  # noqa: ARG002
        served = self._backend.served
        if self._described is None or self._described[0] is not served:
            told = self._description(served)
            self._described = (served, json.dumps(told, ensure_ascii=False).encode())
        return Reply(200, self._described[1])

    def _description(self, served: Served) -> dict[str, Any]:
        return describe(served, self._limits, secured=self._key is not None)


def _is_foreign(heads: Heads, host: bytes) -> bool:
    """Tell whether a page of somebody else's asks; a proxy with TLS may stand between ours and us."""
    if heads.get(b"sec-fetch-mode") != b"navigate" and heads.get(b"sec-fetch-site", b"none") not in (
        b"none",
        b"same-origin",
    ):
        return True
    return heads.get(b"origin", b"http://" + host) not in (b"http://" + host, b"https://" + host)


def _unreadable(heads: Heads) -> Reply | None:
    kind = heads.get(b"content-type", b"")
    if kind != b"application/json" and kind.partition(b";")[0].strip().lower() != b"application/json":
        return refusal(415, "rows are sent as Content-Type: application/json", field="Content-Type")
    if heads.get(b"content-encoding", b"identity").lower() != b"identity":
        return refusal(415, "rows are sent without Content-Encoding", field="Content-Encoding")
    return None


def _prefers_text(accept: bytes) -> bool:
    """Tell whether the first kind that a client names is text, as it is of `curl -H 'Accept: text/markdown'`."""
    return accept.partition(b",")[0].partition(b";")[0].strip().lower() in (b"text/markdown", b"text/plain", b"text/*")


async def _other(scope: Scope, receive: Receive, send: Send) -> None:
    """Go along with the start and end of whoever hosts the application; what is no HTTP is not answered."""
    if scope["type"] != "lifespan":
        return
    while True:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return
