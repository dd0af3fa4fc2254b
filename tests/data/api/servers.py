"""A real server on loopback whose answers a function gives, and what pulls from it."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyarrow.parquet as pq

from search.data.api import page, pull
from search.data.fetch import Fetched
from search.data.reference import parse_reference
from search.paths import DataFolder


@dataclass(frozen=True, slots=True)
class Asked:
    """A request."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    count: int
    """How many came before it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; `raw` writes it to the connection itself."""

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: Callable[[Any], None] | None = None


Answer = Callable[[Asked], Any]
"""Returns a `Reply`, or what is sent as JSON."""


@dataclass
class Api:
    """A running server, and what it was asked."""

    url: str
    port: int
    asked: list[Asked] = field(default_factory=list)

    def values(self, name: str) -> list[str | None]:
        """Return what each request had for a parameter."""
        return [one.query.get(name) for one in self.asked]


@contextmanager
def serving(answer: Answer) -> Iterator[Api]:
    """Serve on a free port of loopback."""
    api = Api("", 0)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            asked = Asked(
                parts.path, query, {name.lower(): value for name, value in self.headers.items()}, len(api.asked)
            )
            api.asked.append(asked)
            made = answer(asked)
            reply = made if isinstance(made, Reply) else Reply(made)
            if reply.raw is not None:
                reply.raw(self)
                self.close_connection = True
                return
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the client has gone
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api.port = server.server_address[1]
    api.url = f"http://127.0.0.1:{api.port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def rows(start: int, stop: int) -> list[dict[str, Any]]:
    return [{"id": number, "name": f"n{number}", "size": number / 2} for number in range(start, stop)]


def by_page(total: int, size: int) -> Answer:
    """Return an API with pages by number."""

    def answer(asked: Asked) -> Any:
        number = int(asked.query.get("page", 1))
        return {"items": rows((number - 1) * size, min(number * size, total)), "total": total}

    return answer


@dataclass
class Project:
    """A folder with a description, and its results."""

    folder: Path
    said: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def describe(self, text: str, name: str = "x.toml") -> None:
        (self.folder / name).write_text(text)

    @property
    def place(self) -> DataFolder:
        return self.place_of("api:x.toml")

    def place_of(self, reference: str) -> DataFolder:
        return DataFolder.of(self.folder / "results", parse_reference(reference, self.folder).folder_name)

    def fetch(self, reference: str = "api:x.toml", *, refresh: bool = False) -> Fetched:
        fetch = page.fetch if reference.startswith("html:") else pull.fetch
        parsed = parse_reference(reference, self.folder)
        return fetch(
            parsed,
            self.folder,
            self.place_of(reference),
            refresh=refresh,
            say=self.said.append,
            sleep=self.slept.append,
        )

    def rows(self, reference: str = "api:x.toml", *, refresh: bool = False) -> list[dict[str, Any]]:
        return read(self.fetch(reference, refresh=refresh))

    def state(self, reference: str = "api:x.toml") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.place_of(reference).state.read_text())
        return found


def read(found: Fetched) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = pq.read_table(found.path).to_pylist()
    return table


def bomb(size_mb: int) -> Reply:
    """Return an answer that unpacks to many times its size."""
    return Reply(gzip.compress(b" " * (size_mb << 20)), headers={"Content-Encoding": "gzip"})
