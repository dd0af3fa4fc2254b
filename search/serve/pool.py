"""Predicts in several processes, of which any may die without a request being lost: the backend `Pool`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from search.errors import RefusedError, SurroundingsError, SweepError
from search.serve.backend import Answer, Served
from search.serve.begun import Begun
from search.serve.limits import Limits
from search.serve.process import BusyError, LostError, Process
from search.serve.rows import BadRows

_TRIES: Final = 3
"""How many workers a request may see die: one that kills each of them is not to take down all."""

_STARTS: Final = 3
"""Attempts to start a worker when the server starts; later they have no end."""

_LONGEST_REST_S: Final = 5.0
_LOOK_S: Final = 0.25

_PATIENCE_S: Final = 10.0
"""For so long a request waits for a worker, where none is ready."""

_START_S: Final = 120.0
"""That starting a worker may take, its model included."""


class Pool:
    """A backend of worker processes. This one keeps the clients; bodies go to whoever has least to do.

    A worker that ends is replaced, and what it has not answered is asked again: predicting has no side effects.
    One that answers nothing for as long as an answer may take is killed.

    Args:
        served: The first model.
        limits: Of bodies, and of the time that an answer may take.
        workers: Processes.
        threads: That one run of the model may use.
        say: Takes a sentence for people: of each worker that is lost, and why none takes its place.

    Attributes:
        lost: How many workers have ended that nobody told to.
    """

    def __init__(
        self,
        served: Served,
        limits: Limits,
        *,
        workers: int,
        threads: int = 1,
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._served, self._limits, self._count, self._threads = served, limits, workers, threads
        self._ready: list[Process] = []
        self._there: set[Process] = set()  # the ready ones, those that start, and those that nobody has waited for yet
        self._is_any_ready = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._swapping = asyncio.Lock()
        self._is_closing = False
        self._begun = Begun()
        self._say = say
        self.lost = 0

    async def __aenter__(self) -> Self:
        """Start the workers.

        Raises:
            RefusedError: The model cannot be loaded.
            SurroundingsError: A worker does not start.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._count):
                    group.create_task(self._begin())
        except BaseExceptionGroup as group_error:
            await self.close()
            raise group_error.exceptions[0] from None
        self._keep(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def served(self) -> Served:
        return self._served

    async def predict(self, body: bytes) -> Answer:
        """Have a worker answer a body; 503 if each one that tries it dies, or is too busy; 504 if it hangs.

        Raises:
            FailedError: A worker failed by a fault of ours.
        """
        with self._begun:
            return await self._asked(body)

    async def swap(self, served: Served) -> None:
        """Have another model answer, once every worker has loaded it: from one moment on, in all of them.

        Raises:
            RefusedError: It cannot be loaded; the one before goes on.
        """
        async with self._swapping:
            try:
                async with asyncio.timeout(_START_S):
                    await self._prepare(served)
            except TimeoutError as error:
                raise RefusedError(f"{served.label} is not loaded after {_START_S:g} s", field="model") from error
            self._served = served  # who is being started sees it before it answers
            for one in self._ready:
                one.use()

    async def _prepare(self, served: Served) -> None:
        prepared: set[Process] = set()
        while fresh := await self._not_in(prepared):
            for found in await asyncio.gather(*(one.prepare(served) for one in fresh), return_exceptions=True):
                if isinstance(found, BaseException) and not isinstance(found, LostError):
                    raise found
            prepared.update(fresh)

    async def close(self) -> None:
        """End the workers, once the requests that have begun are answered."""
        await self._begun.ended()
        self._is_closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(one.end() for one in self._there))

    async def _asked(self, body: bytes) -> Answer:
        for _ in range(_TRIES):
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await self._is_any_ready.wait()
            except TimeoutError:
                return self._trouble(503, "no worker is there to predict; try again")
            process = min(self._ready, key=_load)
            try:
                return await process.ask(body)
            except LostError:
                continue
            except BusyError:
                return self._trouble(503, f"too much is asked at once: no answer in {self._limits.timeout_s:g} s")
            except TimeoutError:
                return self._trouble(504, f"the model took longer than {self._limits.timeout_s:g} s")
        return self._trouble(503, f"{_TRIES} workers ended while they predicted this")

    def _trouble(self, status: int, message: str) -> Answer:
        return Answer(status, BadRows(status, message, "").answer(), 0, self._served.label)

    async def _not_in(self, prepared: set[Process]) -> list[Process]:
        await self._is_any_ready.wait()
        return [one for one in self._ready if one not in prepared]

    async def _begin(self) -> None:
        for _ in range(_STARTS):
            with suppress(LostError, TimeoutError):
                await self._hire()
                return
        raise SurroundingsError(f"a worker process ended as it started, {_STARTS} times", field="--workers")

    async def _replace(self) -> None:
        rest_s, told = 0.1, ""
        while not self._is_closing:
            try:
                await self._hire()
                return
            except (LostError, TimeoutError):  # `_bury` tells of it
                pass
            except (OSError, SweepError) as error:  # a machine that is full may have room later
                if str(error) != told:
                    told = str(error)
                    self._tell(f"no worker can be started: {told}; it is tried again")
            await asyncio.sleep(rest_s)
            rest_s = min(2 * rest_s, _LONGEST_REST_S)

    async def _hire(self) -> None:
        """Start a worker, and let it answer once it has loaded the model that answers by then."""
        process = await Process.start(self._limits, self._threads, self._lose)
        self._there.add(process)
        served = None
        try:
            async with asyncio.timeout(_START_S):
                while served is not self._served:
                    served = self._served
                    await process.prepare(served)
                    process.use()
        except BaseException as error:
            late = f"its model was not loaded after {_START_S:g} s"
            process.kill(late if isinstance(error, TimeoutError) else "")  # `_lose` hears of it
            raise
        self._ready.append(process)
        self._is_any_ready.set()

    def _lose(self, process: Process) -> None:
        if self._is_closing:
            return
        self._keep(self._bury(process))
        if process in self._ready:  # else `_hire` hears of it
            self._ready.remove(process)
            self._keep(self._replace())
        if not self._ready:
            self._is_any_ready.clear()

    async def _bury(self, process: Process) -> None:
        await process.end()
        self._there.discard(process)
        if why := process.how():
            self.lost += 1
            self._tell(f"worker {process.pid} is lost: {why}")

    def _tell(self, sentence: str) -> None:
        with suppress(OSError):  # of a log on a full disk
            self._say(sentence)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            for process in [*self._ready]:
                process.fail_late(self._limits.timeout_s)

    def _keep(self, doing: Coroutine[None, None, None]) -> None:
        """Run something beside the requests; the loop itself holds no task."""
        task = asyncio.get_running_loop().create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _load(process: Process) -> int:
    return process.load
