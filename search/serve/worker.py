"""A process that predicts for a server: `python -m search.serve.worker DESCRIPTOR`, started by `process.py`.

It ends when the server does, by whatever way: the socket between them is closed then.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import traceback
from typing import NoReturn

import uvloop

from search.errors import SweepError
from search.serve.frames import Channel, Kind, pack_answer, unpack_order
from search.serve.here import Here, Loaded


class _Worker:
    def __init__(self, ours: socket.socket) -> None:
        self._socket = ours
        self._channel = Channel(self._take, _end)
        self._here: Here | None = None
        self._next: Loaded | None = None
        self._ordered = 0
        self._tasks: dict[int, asyncio.Task[None]] = {}  # the loop itself holds none of them

    async def work(self) -> None:
        await asyncio.get_running_loop().create_unix_connection(lambda: self._channel, sock=self._socket)
        await asyncio.Event().wait()

    def _take(self, kind: int, number: int, content: bytes) -> None:
        if kind == Kind.USE:
            self._use()
        elif kind == Kind.DROP:
            if number in self._tasks:
                self._tasks[number].cancel()
        else:
            doing = self._predict(number, content) if kind == Kind.PREDICT else self._load(number, content)
            task = asyncio.get_running_loop().create_task(doing)
            self._tasks[number] = task
            task.add_done_callback(lambda _: self._end(number))

    async def _predict(self, number: int, body: bytes) -> None:
        assert self._here is not None
        try:
            answer = await self._here.predict(body)
        except Exception as error:  # a fault of ours: the server answers for it, and this process goes on
            traceback.print_exception(error)
            self._fail(number, error)
            return
        self._channel.send(Kind.ANSWER, number, pack_answer(answer))

    async def _load(self, number: int, content: bytes) -> None:
        self._ordered = number
        try:
            served, limits, threads = unpack_order(content)
            if self._here is None:
                self._here = Here(served, limits, threads=threads)
            else:
                loaded = await self._here.load(served)
                if self._ordered == number:  # else another one was asked for meanwhile
                    self._next = loaded
        except SweepError as error:
            told = {"message": error.message, "field": error.field, "hint": error.hint}
            self._channel.send(Kind.REFUSED, number, json.dumps(told).encode())
        except Exception as error:  # of whatever kind: who waits for it hears of it
            self._fail(number, error)
        else:
            self._channel.send(Kind.LOADED, number)

    def _end(self, number: int) -> None:
        if self._tasks.pop(number).cancelled():
            self._channel.send(Kind.FAILED, number)

    def _fail(self, number: int, error: Exception) -> None:
        self._channel.send(Kind.FAILED, number, f"{type(error).__name__}: {error}"[:500].encode(errors="replace"))

    def _use(self) -> None:
        if self._here is not None and self._next is not None:
            self._here.use(self._next)
        self._next = None


def _end() -> NoReturn:
    os._exit(0)  # there is nothing to keep, and no thread to wait for


def main() -> None:
    """Work until the server is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):  # of the whole group: the server's grace is for its workers as well
        signal.signal(number, signal.SIG_IGN)
    uvloop.run(_Worker(socket.socket(fileno=int(sys.argv[1]))).work())


if __name__ == "__main__":
    main()
