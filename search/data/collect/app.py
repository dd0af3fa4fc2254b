"""The ingest API: `POST /rows` stores rows and answers when they are durable, `GET /stats` counts, `GET /health`."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import Any, Final

from fastapi import FastAPI, Request, Response, Security
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search.data.collect.body import TooManyRows, parse_rows
from search.data.collect.collection import Collection, KeyReused
from search.data.collect.intake import BodyTooLarge, Busy, InFlight, discard, read_body
from search.data.collect.keys import digest
from search.data.collect.limits import Limits
from search.data.collect.place import NoSpace
from search.data.collect.record import Answer, Record, Rejected
from search.data.collect.rows import Fault, RowCheck
from search.data.collect.shape import rows_shape
from search.errors import InputError, SweepError
from search.serving.hosts import Hosts
from search.serving.key import Key

_SMALL: Final = 32_768
"""A body up to here is parsed where it is; a larger one in a thread, while others are answered."""

_LONGEST_KEY: Final = 255
_HEADERS: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


def make_app(collection: Collection, key: Key, limits: Limits, hosts: Hosts) -> ASGIApp:
    """Return the web application of a collection.

    Args:
        collection: Open.
        key: That all requests bring, but those for `/health`.
        limits: Of what a client may do.
        hosts: The names it is known by; where only this machine can connect, `/docs` describes it.
    """
    docs = hosts.loopback
    app = FastAPI(
        title=f"sweep collect {collection.folder.name}",
        docs_url="/docs" if docs else None,
        redoc_url=None,
        openapi_url="/openapi.json" if docs else None,
        redirect_slashes=False,
    )
    intake = _Intake(collection, key, limits)
    secured = [Security(HTTPBearer(auto_error=False))]
    extra = {"requestBody": rows_shape(collection.schema, limits.rows)}
    app.post("/rows", dependencies=secured, openapi_extra=extra)(intake.rows)
    app.get("/stats", dependencies=secured)(intake.stats)
    app.get("/health")(intake.health)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(Exception)(_own_fault)
    return _Guard(app, hosts)


class _Intake:
    def __init__(self, collection: Collection, key: Key, limits: Limits) -> None:
        self._collection, self._key, self._limits = collection, key, limits
        self._check = RowCheck(collection.schema)
        self._in_flight = InFlight(limits.bodies_bytes)
        self._parser = ThreadPoolExecutor(1, thread_name_prefix="collect-parser")

    async def rows(self, request: Request) -> Response:
        """Store one row, or `{"rows": [...]}`; the answer comes when they are durable."""
        refused = self._refused(request)
        if refused is not None:
            await discard(request, self._limits)
            return refused
        try:
            async with self._in_flight.share() as share:
                body = await read_body(request, self._limits, share)
                return await self._store(body, request.headers.get("idempotency-key"))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody hears it
        except TimeoutError:
            return _error(408, f"the body took more than {self._limits.read_s:g} s to come", close=True)
        except BodyTooLarge as fault:
            return _error(413, fault.message, field="body", close=True)
        except Busy as fault:
            return _error(503, fault.message, close=True, headers={"Retry-After": "1"})
        except TooManyRows as fault:
            return _fault(413, fault)
        except KeyReused as fault:
            return _fault(422, fault)
        except InputError as fault:
            return _fault(400, fault)
        except NoSpace:
            return _error(507, "the disk is full; nothing of this request is stored", hint="send it again later")
        except SweepError:
            return _error(503, "the rows cannot be stored now; nothing of them is", hint="send them again later")

    async def stats(self, request: Request) -> Response:
        """Count what is there."""
        if not self._key.fits(request.headers.get("authorization")):
            return _no_key()
        stats = await asyncio.to_thread(self._collection.stats)
        return _answer(200, asdict(stats))

    async def health(self) -> Response:
        """Tell whether it answers, and what does not work; `/stats` says why."""
        trouble = self._collection.health()
        return _answer(200, {"status": "trouble", "trouble": trouble} if trouble else {"status": "ok"})

    def _refused(self, request: Request) -> Response | None:
        headers = request.headers
        if not self._key.fits(headers.get("authorization")):
            return _no_key()
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return _error(415, "rows are sent as Content-Type: application/json", field="Content-Type", close=True)
        if headers.get("content-encoding", "identity").lower() != "identity":
            return _error(415, "rows are sent without Content-Encoding", field="Content-Encoding", close=True)
        key = headers.get("idempotency-key")
        if key is not None and not (0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable()):
            said = f"an Idempotency-Key is 1 to {_LONGEST_KEY} printable ASCII characters"
            return _error(400, said, field="Idempotency-Key", close=True)
        return None

    async def _store(self, body: bytes, key: str | None) -> Response:
        name = digest(body).hex()
        if key is not None and (known := self._collection.answered(key, name)) is not None:
            return _told(known)
        make = partial(self._record, body, name, key)
        if len(body) <= _SMALL:
            record = make()
        else:
            record = await asyncio.get_running_loop().run_in_executor(self._parser, make)
        if not record.rows and not record.rejected:
            return _told(Answer(0, 0))
        return _told(await asyncio.wrap_future(self._collection.submit(record)))

    def _record(self, body: bytes, name: str, key: str | None) -> Record:
        record = Record(time.time(), len(self._collection.versions), name, key)
        for position, row in enumerate(parse_rows(body, most=self._limits.rows)):
            found = self._check(row)
            if isinstance(found, Fault):
                record.rejected.append(Rejected(position, found, _text(row)))
            else:
                record.rows.append(found)
        return record


class _Guard:
    """Lets through what calls the server by one of its names, and marks all answers as not to be kept."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        named = [value for name, value in scope["headers"] if name == b"host"]
        if len(named) != 1 or not self._hosts.allow(named[0].decode("latin-1")):
            said = "this server is not known under that Host"
            answer = _error(400, said, field="Host", hint="--allow-host NAME lets it be", close=True)
            await answer(scope, receive, send_marked)
            return
        await self._app(scope, receive, send_marked)


def _text(row: object) -> str:
    try:
        return json.dumps(row, ensure_ascii=False)
    except RecursionError as error:
        raise InputError("the body is nested too deep", field="body") from error


def _told(answer: Answer) -> Response:
    return _answer(422 if answer.rejected and not answer.accepted else 200, asdict(answer))


def _answer(status: int, told: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(told, ensure_ascii=False), status, headers, "application/json")


def _error(
    status: int, message: str, *, field: str = "", hint: str = "", close: bool = False, headers: Any = None
) -> Response:
    told = {"error": {"code": status, "field": field, "message": message, "hint": hint}}
    return _answer(status, told, {**(headers or {}), **({"Connection": "close"} if close else {})})


def _fault(status: int, fault: SweepError) -> Response:
    return _error(status, fault.message, field=fault.field, hint=fault.hint)


def _no_key() -> Response:
    said = "a request brings the key of the collection as Authorization: Bearer KEY"
    return _error(401, said, field="Authorization", close=True, headers={"WWW-Authenticate": "Bearer"})


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    hint = "POST /rows, GET /stats, GET /health"
    return _error(error.status_code, str(error.detail), hint=hint, headers=error.headers)


async def _own_fault(request: Request, error: Exception) -> Response:
    return _error(500, "a fault of sweep itself; its terminal shows more", close=True)
