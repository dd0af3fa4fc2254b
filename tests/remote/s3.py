"""A small server of S3's own protocol, for one bucket, that can be told to fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "bucket"


class Server(ThreadingHTTPServer):
    """Holds the objects.

    Attributes:
        objects: By key.
        busy: How many of the next requests are answered with 503.
        gone: Whether every connection is closed without an answer.
        conditional: Whether `If-None-Match` is honoured.
        writes: Keys, in the order in which they were written.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.busy, self.gone, self.conditional = 0, False, True
        self.writes: list[str] = []
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", headers.get("length", str(len(body))))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _fail(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def _handle(self) -> None:
        body = self._body()
        with self.server.lock:
            if self.server.gone:
                self.close_connection = True
                self.connection.close()
                return
            if self.server.busy:
                self.server.busy -= 1
                self._fail(503, "SlowDown")
                return
            parts = urlsplit(self.path)
            bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
            if bucket != BUCKET:
                self._fail(404, "NoSuchBucket")
            elif self.command == "GET" and not key:
                self._list({name: values[0] for name, values in parse_qs(parts.query).items()})
            else:
                self._object(key, body)

    do_GET = do_PUT = do_HEAD = do_DELETE = _handle  # noqa: N815

    def _object(self, key: str, body: bytes) -> None:
        objects = self.server.objects
        if self.command == "PUT":
            if self.server.conditional and self.headers.get("If-None-Match") == "*" and key in objects:
                self._fail(412, "PreconditionFailed")
                return
            objects[key] = body
            self.server.writes.append(key)
            self._answer(200, ETag='"0"')
        elif self.command == "DELETE":
            objects.pop(key, None)
            self._answer(204)
        elif key not in objects:
            self._fail(404, "NoSuchKey")
        else:
            self._answer(200, objects[key], ETag='"0"', Last_Modified="Thu, 01 Jan 2026 00:00:00 GMT")

    def _list(self, asked: dict[str, str]) -> None:
        prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter", "")
        found, folders = list[str](), set[str]()
        for key in sorted(self.server.objects):
            if key.startswith(prefix):
                rest = key[len(prefix) :]
                if delimiter and delimiter in rest:
                    folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
                else:
                    found.append(key)
        coded = asked.get("encoding-type") == "url"

        def text(key: str) -> str:
            return quote(key) if coded else escape(key)

        lines = [
            f"<Contents><Key>{text(key)}</Key><Size>{len(self.server.objects[key])}</Size>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>0</ETag>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for key in found
        ]
        lines += [f"<CommonPrefixes><Prefix>{text(one)}</Prefix></CommonPrefixes>" for one in sorted(folders)]
        told = f"<Name>{BUCKET}</Name><Prefix>{text(prefix)}</Prefix><IsTruncated>false</IsTruncated>"
        self._answer(200, f"<ListBucketResult>{told}{''.join(lines)}</ListBucketResult>".encode())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b"".join(self._chunks())
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            plain = b""
            while body:
                size, _, rest = body.partition(b"\r\n")
                count = int(size.partition(b";")[0], 16)
                if not count:
                    break
                plain, body = plain + rest[:count], rest[count + 2 :]
            return plain
        return body

    def _chunks(self) -> Iterator[bytes]:
        while count := int(self.rfile.readline().strip() or b"0", 16):
            yield self.rfile.read(count)
            self.rfile.readline()
        self.rfile.readline()


@contextmanager
def served() -> Iterator[Server]:
    """Have a server on a free port."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
