"""Serves a collection: binds its port, answers until a signal comes, and lets requests that have begun end."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any, Final

import uvicorn

from search.data.collect.app import make_app
from search.data.collect.collection import Collection
from search.data.collect.connections import bounded
from search.data.collect.key import Key
from search.data.collect.limits import Hosts, Limits
from search.errors import InputError, SurroundingsError

_GRACE_S: Final = 5
_IDLE_S: Final = 5
_HEAD_BYTES: Final = 16_384


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound, and does not listen yet.

    Raises:
        InputError: There is no such host.
        SurroundingsError: The port is in use, or may not be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise InputError(f"--host {host[:100]!r} is no address of this machine", field="--host") from error
    bound = socket.socket(family, kind, protocol)  # asyncio sends small answers at once only where it is told TCP
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            hint = f"try --port {port + 1}" if port < 65_535 else "try another --port"
            raise SurroundingsError(f"port {port} is in use", field="--port", hint=hint) from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise InputError(f"--host {host[:100]!r} is no address of this machine", field="--host") from error
        raise SurroundingsError(f"port {port} cannot be used: {error.strerror}", field="--port") from error
    return bound


def url_of(bound: socket.socket, host: str) -> str:
    """Return the URL of a bound socket, under the host that the user named."""
    port = bound.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    collection: Collection,
    key: Key,
    bound: socket.socket,
    *,
    limits: Limits,
    hosts: Hosts,
    listening: Callable[[], object],
) -> None:
    """Answer until SIGINT or SIGTERM, which is raised again at the end.

    Args:
        collection: Open; it stays so.
        key: That requests bring.
        bound: From `bind`; it is closed at the end.
        limits: Of what a client may do.
        hosts: The names that the server is known by.
        listening: Called when it listens.
    """
    config = uvicorn.Config(
        make_app(collection, key, limits, hosts),
        http=bounded(limits),
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=_GRACE_S,
        h11_max_incomplete_event_size=_HEAD_BYTES,
        backlog=limits.connections,
    )
    _Server(config, listening).run(sockets=[bound])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, listening: Callable[[], object]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self._listening()
