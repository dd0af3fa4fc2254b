"""Serves a model on this machine until a signal comes, and follows its alias meanwhile."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from search.serve.app import App
from search.serve.backend import Served
from search.serve.here import Here
from search.serve.limits import Limits
from search.serve.pool import Pool
from search.serve.swapping import Followed, follow
from search.serving import server
from search.serving.capped import CappedProtocol
from search.serving.connections import Bounds
from search.serving.hosts import Hosts
from search.serving.key import Key

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_GRACE_S: Final = 10
_ANSWER_S: Final = 2.0
"""Beyond the time of a body and of its prediction, so that one that takes too long is told so before it is cut off."""

_IDLE_S: Final = 75
"""Longer than clients and proxies keep a connection, so that they close it, and never send into one that is gone."""


def serve(
    backend: Here | Pool,
    bound: socket.socket,
    *,
    limits: Limits,
    hosts: Hosts,
    key: Key | None,
    followed: Followed | None,
    listening: Callable[[], object],
) -> None:
    """Answer until SIGINT or SIGTERM, which is raised again at the end.

    Args:
        backend: Predicts; opened and closed here.
        bound: From `ports.bind`; it is closed at the end.
        limits: Of what a client may do.
        hosts: The names that the server is known by.
        key: That requests bring; None: nobody needs one.
        followed: Whose alias is followed; None: the model stays.
        listening: Called when it listens.
    """
    listen(App(backend, limits, hosts, key), bound, limits, around=opened(backend, followed), listening=listening)


def listen(
    app: ASGIApp,
    bound: socket.socket,
    limits: Limits,
    *,
    around: AbstractAsyncContextManager[object],
    listening: Callable[[], object],
) -> None:
    """Have an application answer until SIGINT or SIGTERM, which is raised again at the end.

    Args:
        app: Answers.
        bound: From `ports.bind`; it is closed at the end.
        limits: Of what a client may do.
        around: Entered in the event loop before it listens, and left once all has ended.
        listening: Called when it listens.
    """
    timeout_s = limits.timeout_s
    gc.collect()
    gc.freeze()  # what is there stays: the collector need not look at it again and again
    server.serve(
        app,
        bound,
        bounds=Bounds(limits.connections, timeout_s, request_s=2 * timeout_s + _ANSWER_S, body_s=timeout_s),
        grace_s=_GRACE_S,
        listening=listening,
        protocol=CappedProtocol,
        loop="auto",
        idle_s=_IDLE_S,
        around=around,
    )


def backend_of(served: Served, limits: Limits, workers: int, threads: int, say: Callable[[str], object]) -> Here | Pool:
    """Return what predicts: this process, or several of its own, of whose ends `say` hears.

    Raises:
        RefusedError: The model cannot be loaded.
    """
    if workers == 1:
        return Here(served, limits, threads=threads)
    return Pool(served, limits, workers=workers, threads=threads, say=say)


@asynccontextmanager
async def opened(backend: Here | Pool, followed: Followed | None) -> AsyncIterator[None]:
    """Hold a backend open, and follow an alias with it, if there is one."""
    async with backend:
        if followed is None:
            yield
            return
        task = asyncio.create_task(follow(backend, followed))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
