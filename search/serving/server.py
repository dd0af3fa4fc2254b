"""Serves an ASGI application: answers until a signal comes, and lets requests that have begun end."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Literal

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from search.serving.connections import HEAD_BYTES, Bounds, bounded

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_IDLE_S: Final = 5


def serve(
    app: ASGIApp,
    bound: socket.socket,
    *,
    bounds: Bounds,
    grace_s: int,
    listening: Callable[[], object],
    ending: Callable[[], object] = lambda: None,
    protocol: Any = H11Protocol,
    loop: Literal["asyncio", "auto"] = "asyncio",
    idle_s: int = _IDLE_S,
    around: AbstractAsyncContextManager[object] | None = None,
) -> None:
    """Answer until SIGINT or SIGTERM, which is raised again at the end.

    Args:
        app: Answers.
        bound: From `ports.bind`; it is closed at the end.
        bounds: Of connections.
        grace_s: Seconds that answers which have begun get to end; 0: they are broken off.
        listening: Called when it listens.
        ending: Called when a signal has come, before the grace begins.
        protocol: Of uvicorn's, or `capped.CappedProtocol`.
        loop: "auto": uvloop, where it is installed.
        idle_s: Seconds for which a connection is kept for a next request.
        around: Entered in the event loop before it listens, and left once all has ended.
    """
    config = uvicorn.Config(
        app,
        http=bounded(bounds, protocol),
        loop=loop,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=idle_s,
        timeout_graceful_shutdown=grace_s or 1,  # 0 would be told as a fault
        h11_max_incomplete_event_size=HEAD_BYTES,
        backlog=bounds.most,
    )
    _Server(config, listening, ending, around or nullcontext(), at_once=not grace_s).run(sockets=[bound])


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        listening: Callable[[], object],
        ending: Callable[[], object],
        around: AbstractAsyncContextManager[object],
        *,
        at_once: bool,
    ) -> None:
        super().__init__(config)
        self._listening, self._ending, self._around, self._at_once = listening, ending, around, at_once

    async def serve(self, sockets: Any = None) -> None:
        async with self._around:
            await super().serve(sockets)

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self._listening()

    async def shutdown(self, sockets: Any = None) -> None:
        self._ending()
        if self._at_once:
            self.force_exit = True
            for connection in [*self.server_state.connections]:
                connection.transport.abort()
        await super().shutdown(sockets)
