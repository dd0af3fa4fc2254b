"""A real server on loopback that follows a script: what it answers, how slowly, and where it cuts the line."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked."""

    target: str
    headers: Mapping[str, str]


@dataclass
class Server:
    """Where the server is, and what it was asked; `script` has for each path its answers, the last of which repeats."""

    url: str
    port: int
    script: dict[str, list[object]]
    asked: list[Request] = field(default_factory=list)

    def times(self, path: str) -> int:
        """Return how often a path was asked for."""
        return sum(request.target.partition("?")[0] == path for request in self.asked)


def reply(status: int = 200, body: bytes = b"", **headers: Any) -> bytes:
    """Return an answer; a header named a_b is A-B."""
    fields = {"content_length": len(body), "connection": "close", **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items() if value is not None)
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body


def reset(connection: socket.socket, request: Request) -> None:
    """Cut the connection at once."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def slowly(
    answer: bytes, *, piece: int = 1, pause_s: float = 0.05, headers: bool = False
) -> Callable[[socket.socket, Request], None]:
    """Send an answer in small pieces, its headers too if so asked."""

    def send(connection: socket.socket, request: Request) -> None:
        body = 0 if headers else answer.index(b"\r\n\r\n") + 4
        connection.sendall(answer[:body])
        for start in range(body, len(answer), piece):
            connection.sendall(answer[start : start + piece])
            time.sleep(pause_s)

    return send


def file_of(
    content: bytes, *, etag: str | None = '"v1"', cut_at: Sequence[int] = (), ranges: bool = True, **headers: Any
) -> Callable[[socket.socket, Request], None]:
    """Serve a file with ranges and conditions; the n-th answer is cut after `cut_at[n]` bytes of its body."""
    cuts = list(cut_at)

    def send(connection: socket.socket, request: Request) -> None:
        fields: dict[str, Any] = {"etag": etag, **headers}
        if etag and request.headers.get("if-none-match") == etag:
            connection.sendall(reply(304, b"", **fields))
            return
        wanted = request.headers.get("range", "")
        same = request.headers.get("if-range") in (etag, headers.get("last_modified"))
        if ranges and wanted.startswith("bytes=") and same:
            start = int(wanted[6:].partition("-")[0])
            if start >= len(content):
                connection.sendall(reply(416, b"", **fields))
                return
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            answer = reply(206, content[start:], content_range=span, **fields)
        else:
            answer = reply(200, content, **fields)
        head = answer.index(b"\r\n\r\n") + 4
        connection.sendall(answer[: head + cuts.pop(0)] if cuts else answer)

    return send


@contextmanager
def serve(**script: object) -> Iterator[Server]:
    """Run a server; `serve(a=reply())` answers at /a; `rest` answers all else, or 404."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    server = Server(f"http://127.0.0.1:{listener.getsockname()[1]}", listener.getsockname()[1], {})
    for name, answers in script.items():
        server.script[f"/{name}"] = list(answers) if isinstance(answers, list) else [answers]
    stopping = threading.Event()

    def accept() -> None:
        while not stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_answer, args=(connection, server), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        stopping.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def _answer(connection: socket.socket, server: Server) -> None:
    with connection:
        try:
            data = b""
            while b"\r\n\r\n" not in data:
                piece = connection.recv(65536)
                if not piece:
                    return
                data += piece
            first, *lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            request = Request(first.split(" ")[1], headers)
            server.asked.append(request)
            answers = server.script.get(request.target.partition("?")[0]) or server.script.get("/rest") or [reply(404)]
            step = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(step, bytes):
                connection.sendall(step)
            elif callable(step):
                step(connection, request)
        except OSError:  # the client has enough
            pass
