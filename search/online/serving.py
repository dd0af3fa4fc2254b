"""Serves a model that keeps learning: answers until a signal comes, and has a process beside it learn meanwhile."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from search.online.app import OnlineApp
from search.online.known import Known
from search.online.learning_process import LearningProcess
from search.online.recorder import Recorder
from search.online.tokens import Tokens
from search.paths import OnlineFolder
from search.pidlock import PidLock
from search.serve.backend import Served
from search.serve.here import Here
from search.serve.limits import Limits
from search.serve.serving import listen, opened
from search.serve.swapping import Followed
from search.serving.hosts import Hosts

_SWITCH_S: Final = 0.0005
"""After which a thread that reads a large request lets others on: Python's 5 ms add up, several times a prediction."""


@dataclass(frozen=True, slots=True)
class Site:
    """How a server is set up.

    Attributes:
        limits: Of what a client may do.
        hosts: The names that the server is known by.
        tokens: That requests bring.
        threads: That one run of the model may use.
        wait_s: Seconds for which the label of a row may come.
        most_waiting: Rows whose labels may come; the oldest are forgotten first.
        source_rate: Labelled rows a minute of one source; 0: any number.
    """

    limits: Limits
    hosts: Hosts
    tokens: Tokens
    threads: int = 1
    wait_s: float = 7 * 86_400.0
    most_waiting: int = 200_000
    source_rate: float = 0.0


def serve(
    served: Served,
    folder: OnlineFolder,
    lock: PidLock,
    bound: socket.socket,
    site: Site,
    followed: Followed,
    *,
    learner: Sequence[str] | None,
    listening: Callable[[Known], object],
) -> None:
    """Answer until SIGINT or SIGTERM, which is raised again at the end.

    Args:
        served: The first model.
        folder: Where its log lies.
        lock: From `search.online.lock.hold`; let go of at the end.
        bound: From `ports.bind`; it is closed at the end.
        site: How.
        followed: Whose alias is followed.
        learner: Arguments of the process that learns; None: nothing is learnt.
        listening: Called when it listens, with what the log holds.

    Raises:
        RefusedError: The model cannot be loaded.
        SurroundingsError: The log is damaged, or cannot be written.
    """
    sys.setswitchinterval(_SWITCH_S)
    try:
        backend = Here(served, site.limits, threads=site.threads)
    except BaseException:
        lock.release()
        raise
    known = Known(site.wait_s, site.most_waiting)
    recorder = Recorder.open(folder, lock, known)
    learning = None if learner is None else LearningProcess(learner, folder.learner_log, followed.told)
    try:
        app = OnlineApp(backend, site.limits, site.hosts, site.tokens, folder, recorder, learning, site.source_rate)
        around = _open(backend, followed, folder, recorder, learning)
        listen(app, bound, site.limits, around=around, listening=lambda: listening(known))
    finally:
        recorder.close()


@asynccontextmanager
async def _open(
    backend: Here, followed: Followed, folder: OnlineFolder, recorder: Recorder, learning: LearningProcess | None
) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(opened(backend, followed))
        if learning is not None:
            await stack.enter_async_context(learning.running())
        for keeping in (recorder.keep_durable(), recorder.keep_small(folder)):
            await stack.enter_async_context(_beside(keeping))
        yield


@asynccontextmanager
async def _beside(doing: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(doing)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
