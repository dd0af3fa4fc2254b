"""Serves a collection: answers until a signal comes, and lets requests that have begun end."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

from search.data.collect.app import make_app
from search.data.collect.collection import Collection
from search.data.collect.limits import Limits
from search.serving import server
from search.serving.connections import Bounds
from search.serving.hosts import Hosts
from search.serving.key import Key

_GRACE_S: Final = 5

_STORING_S: Final = 60.0
"""How long a request may take in all, besides being read; then its client is not listening."""


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
        bound: From `ports.bind`; it is closed at the end.
        limits: Of what a client may do.
        hosts: The names that the server is known by.
        listening: Called when it listens.
    """
    bounds = Bounds(limits.connections, limits.read_s, limits.read_s + _STORING_S)
    app = make_app(collection, key, limits, hosts)
    server.serve(app, bound, bounds=bounds, grace_s=_GRACE_S, listening=listening)
