"""A worker process, as the server sees it: the `Process`."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final, Self

import search
from search.errors import RefusedError
from search.serve.backend import Answer, Served
from search.serve.frames import Channel, Kind, pack_order, unpack_answer
from search.serve.limits import Limits

_WEIGHT_BYTES: Final = 65_536
"""A body of so many bytes counts as one more request."""

_END_S: Final = 5.0
"""What a worker that was told to end gets before it is killed."""

_SECRETS: Final = ("SWEEP_TOKEN", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
"""Variables that a worker has no need of."""


class LostError(Exception):
    """The process has ended; what it had not answered is to be asked again."""


class FailedError(Exception):
    """The worker failed at a request, by a fault of ours."""


class BusyError(Exception):
    """The request has waited too long behind others."""


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    future: asyncio.Future[Any]
    weight: int
    since_s: float


class Process:
    """One worker. It ends when the socket to it is closed, so with this process at the latest.

    Attributes:
        pid: Of the process.
        load: Of what it has not answered: requests, and bytes by `_WEIGHT_BYTES`.
        is_lost: Whether it has ended.
    """

    def __init__(self, limits: Limits, threads: int, lost: Callable[[Process], object]) -> None:
        self._limits, self._threads, self._lost = limits, threads, lost
        self._asked: dict[int, _Asked] = {}
        self._numbers = count(1)
        self._heard_s = 0.0
        self.load = 0
        self.is_lost = False
        ours, theirs = socket.socketpair()
        with theirs:
            self._popen = subprocess.Popen(
                [sys.executable, "-P", "-m", "search.serve.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # what it says of its faults goes where ours goes
                env=_environment(),
            )
        self.pid = self._popen.pid
        self._killed_for: str | None = None
        self._socket = ours
        self._channel = Channel(self._take, self._lose)

    @classmethod
    async def start(cls, limits: Limits, threads: int, lost: Callable[[Process], object]) -> Self:
        """Start a worker, which has no model yet.

        Args:
            limits: Of bodies.
            threads: That one run of the model may use.
            lost: Called when it has ended, whatever the reason.
        """
        self = cls(limits, threads, lost)
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: self._channel, sock=self._socket)
        except BaseException:  # the server ends meanwhile
            self._socket.close()
            self.kill()
            self._popen.wait()
            raise
        return self

    def ask(self, body: bytes) -> asyncio.Future[Answer]:
        """Have a body answered; the future raises why that does not come about.

        `LostError`, `FailedError`, `BusyError`, or `TimeoutError` if the worker hangs. Who cancels it takes it back.
        """
        return self._send(Kind.PREDICT, 1 + len(body) // _WEIGHT_BYTES, body)

    async def prepare(self, served: Served) -> None:
        """Load a model beside the one that answers.

        Raises:
            RefusedError: It cannot be loaded.
            LostError: The process has ended.
        """
        try:
            await self._send(Kind.LOAD, 0, pack_order(served, self._limits, self._threads))
        except FailedError as error:
            raise RefusedError(f"{served.label} cannot be loaded: {error}", field="model") from error

    def use(self) -> None:
        """Have the model that was loaded last answer what is asked from now on."""
        self._channel.send(Kind.USE, 0)

    def fail_late(self, after_s: float) -> None:
        """Give up requests that have waited for so long; kill the worker if it has answered none in that time.

        Args:
            after_s: Seconds.
        """
        now_s = asyncio.get_running_loop().time()
        late = [one for one in self._asked.values() if one.weight and now_s - one.since_s > after_s]
        hangs = now_s - self._heard_s > after_s
        for one in late:
            _fail(one.future, TimeoutError() if hangs else BusyError())
        if late and hangs:
            self.kill(f"it answered nothing for {after_s:g} s")

    def kill(self, why: str = "") -> None:
        """End it at once; the loop hears of it like of any other end.

        Args:
            why: What people are to hear; "" where it is to end.
        """
        if not self.is_lost:
            self._killed_for = why
        self._popen.kill()

    def how(self) -> str:
        """Return how it has ended, in words; "" where it was to end."""
        if self._killed_for is not None:
            return self._killed_for
        code = self._popen.returncode
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    async def end(self) -> None:
        """Let it end, and wait for that."""
        self._channel.close()
        await asyncio.to_thread(self._reap)

    def _reap(self) -> None:
        try:
            self._popen.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def _send(self, kind: Kind, weight: int, content: bytes) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        if self.is_lost:
            future.set_exception(LostError())
            return future
        number = next(self._numbers)
        if not self.load:
            self._heard_s = loop.time()
        self._asked[number] = _Asked(future, weight, loop.time())
        self.load += weight
        self._channel.send(kind, number, content)
        future.add_done_callback(lambda _: self._drop(number))
        return future

    def _drop(self, number: int) -> None:
        if number in self._asked:  # it is given up, and the worker need not begin it
            self._channel.send(Kind.DROP, number)

    def _take(self, kind: int, number: int, content: bytes) -> None:
        asked = self._asked.pop(number)
        self.load -= asked.weight
        if kind == Kind.ANSWER:
            self._heard_s = asyncio.get_running_loop().time()
        if asked.future.done():  # who asked has gone
            return
        if kind == Kind.ANSWER:
            asked.future.set_result(unpack_answer(content))
        elif kind == Kind.LOADED:
            asked.future.set_result(None)
        elif kind == Kind.REFUSED:
            asked.future.set_exception(RefusedError(**json.loads(content)))
        else:
            asked.future.set_exception(FailedError(content.decode()))

    def _lose(self) -> None:
        self.is_lost = True
        self.kill()  # whatever it still does, nobody hears of it
        left, self._asked, self.load = self._asked, {}, 0
        for one in left.values():
            _fail(one.future, LostError())
        self._lost(self)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _environment() -> dict[str, str]:
    """Return ours without secrets, and with this very package first on the path, wherever that was found."""
    ours = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    paths = [str(Path(search.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**ours, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
