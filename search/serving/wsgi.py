"""Serves a WSGI application of somebody else's to this machine alone, a thread for each connection."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from search.serving.hosts import Hosts
from search.serving.ports import LOCAL

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_IDLE_S: Final = 30
"""How long a client may say nothing, or take in nothing."""


def serve(app: WSGIApplication, bound: socket.socket, *, listening: Callable[[], object]) -> None:
    """Answer until an exception, such as that of a signal, ends it; requests that have begun are broken off.

    Args:
        app: Answers; what other web pages ask never comes to it.
        bound: From `ports.bind`; it is closed at the end.
        listening: Called when it listens.
    """
    with _Server(bound) as server:
        server.set_app(_guarded(app, Hosts.of(LOCAL, LOCAL)))
        listening()
        server.serve_forever(poll_interval=0.1)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # nobody waits for them at the end
    request_queue_size = 64

    def __init__(self, bound: socket.socket) -> None:
        super().__init__(bound.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = bound
        self.server_name, self.server_port = bound.getsockname()[:2]
        self.setup_environ()
        self.server_activate()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""


class _Handler(WSGIRequestHandler):
    timeout = _IDLE_S

    def log_message(self, format: str, *args: Any) -> None:
        """Keep no log of requests."""


def _guarded(app: WSGIApplication, hosts: Hosts) -> WSGIApplication:
    def guarded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        headers = {
            key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")
        }
        refusal = hosts.refusal(headers)
        if refusal is None:
            return app(environ, start_response)
        start_response(f"{refusal[0]} Refused", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{refusal[1]}\n".encode()]

    return guarded
