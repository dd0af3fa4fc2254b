"""`Watch`: ends a connection on which headers come so slowly that no time-out of a single read sees it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any


class Watch:
    """The connections of one client, told by its transport."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of a new connection: the `trace` extension of a request."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._sockets = [one for one in self._sockets if one.fileno() >= 0]
            self._sockets.append(info["return_value"].get_extra_info("socket"))

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cut all connections if what is done in here takes longer; the one who reads then sees the end."""
        timer = threading.Timer(max(0.0, seconds), self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        for one in self._sockets:
            with contextlib.suppress(OSError):  # it was closed meanwhile
                one.shutdown(socket.SHUT_RDWR)
