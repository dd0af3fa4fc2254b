"""A server of the online page and of a `status.json` that others rewrite, as `sweep online` answers these two paths."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from search.online import page
from search.paths import OnlineFolder
from search.serve.reply import Reply, refusal


@dataclass
class Answering:
    """A server on loopback.

    Attributes:
        server: Its socket and threads.
        folder: Whose `status.json` it answers with.
        token: That it asks for, or "".
    """

    server: ThreadingHTTPServer
    folder: OnlineFolder
    token: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def reply(self, path: str, authorization: str, accepts: str) -> Reply:
        if path == "/online":
            return page.reply({b"accept-encoding": accepts.encode()})
        if path != "/online.json":
            return refusal(404, "there is no such path")
        if self.token and authorization != f"Bearer {self.token}":
            return refusal(401, "a request brings the token of this server", field="Authorization")
        try:
            return Reply(200, self.folder.status.read_bytes())
        except FileNotFoundError:
            return refusal(404, "nobody has told yet how the model learns", hint="ask again in a moment")

    def end(self) -> None:
        """Answer nobody any more."""
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def answering(folder: OnlineFolder, *, token: str = "") -> Iterator[Answering]:
    """Answer until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heads = self.headers
            reply = found.reply(self.path, heads.get("Authorization", ""), heads.get("Accept-Encoding", ""))
            self.send_response(reply.status)
            for name, value in ((b"content-type", reply.kind), *reply.headers):
                self.send_header(name.decode(), value.decode())
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Answering(server, folder, token)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.end()
        thread.join()
