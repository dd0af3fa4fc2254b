"""Writes what happens at the server into the log, before anybody is told, and knows what it wrote: the `Recorder`."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from typing import Final, Self

from search.bundle.signature import Signature
from search.errors import SurroundingsError
from search.online import records
from search.online.admin import Order
from search.online.eventlog import EventLog
from search.online.events import Ordered
from search.online.feedback import Asked
from search.online.intake import Decision, commit, decide
from search.online.known import Known
from search.online.recording import full, labelled, remember
from search.online.retention import first_needed
from search.online.tokens import Source
from search.paths import OnlineFolder
from search.pidlock import PidLock
from search.serve.backend import Answer

_LARGE: Final = 65_536
"""Bytes from which on a record is made and written in a thread, while others are answered."""

_DURABLE_S: Final = 1.0
_SMALL_S: Final = 600.0


class Recorder:
    """Writes the log of one model; for one event loop.

    Args:
        log: Open; closed by `close`.
        known: What the log holds.

    Attributes:
        known: Which rows may be labelled.
        unlogged: Rows that were answered without an id, because the log could not be written.
    """

    def __init__(self, log: EventLog, known: Known) -> None:
        self.known, self.unlogged = known, 0
        self._log = log
        self._start = secrets.token_hex(6)  # never the same: a power cut may take back what was shown last
        self._requests = self._given = 0
        self._deciding = asyncio.Lock()
        self._of_run: list[bytes] = []
        self._run: asyncio.Future[None] | None = None

    @classmethod
    def open(cls, folder: OnlineFolder, lock: PidLock, known: Known) -> Self:
        """Open the log of a model, and learn from it what is known.

        Args:
            folder: Of the model.
            lock: From `search.online.lock.hold`; let go of by `close`, or here where the log cannot be opened.
            known: Empty.

        Raises:
            SurroundingsError: The log is damaged, or cannot be written.
        """
        return cls(EventLog.open(folder, seen=lambda record: remember(record, known), lock=lock), known)

    @property
    def trouble(self) -> str:
        """Why the last write failed; "" if it did not."""
        return self._log.trouble

    async def shown(self, body: bytes, answer: Answer) -> bytes:
        """Store what was predicted; return what the client is told: the answer with ids or, unstored, without.

        Args:
            body: Of the request.
            answer: With predictions.
        """
        self._requests += 1
        base, at_s = f"{self._start}-{self._requests}", time.time()
        self.known.show(base, answer.rows, at_s)
        try:
            if len(body) + len(answer.body) > _LARGE:
                return await asyncio.to_thread(self._write, at_s, base, body, answer)
            if answer.batch == answer.rows:
                return self._write(at_s, base, body, answer)
            waiting = self._together(records.shown(at_s, base, answer.rows, body, answer.body))
            await asyncio.shield(waiting)  # one who goes away takes nobody along
        except SurroundingsError:
            self.unlogged += answer.rows
            self.known.hide(base, answer.rows)
            return answer.body
        return _with_ids(answer.body, base, answer.rows)

    async def feedback(self, asked: Asked, source: Source) -> Decision:
        """Store labels; what is told as taken is on the disk, be it by an earlier request.

        Args:
            asked: Read.
            source: Who labels.

        Returns:
            What came of it; with `failed` where only the first parts of a large one could be stored.

        Raises:
            SurroundingsError: Nothing can be stored now; the same request may come again.
        """
        decision = await asyncio.shield(self._decided(asked, source))  # what is stored is remembered, whoever goes away
        if not decision.is_nothing:
            await asyncio.wrap_future(self._log.sync())
        return decision

    async def order(self, order: Order, signature: Signature) -> int:
        """Store what an administrator asks for, and return the number of its record once that is on the disk.

        Raises:
            SurroundingsError: It cannot be stored.
        """
        sequence = self._log.append(records.encode(Ordered(0, time.time(), *order), signature))
        await asyncio.wrap_future(self._log.sync())
        return sequence

    async def keep_durable(self) -> None:
        """Have what was shown put on the disk every second, until cancelled, so that no later sync has much to do."""
        while True:
            await asyncio.sleep(_DURABLE_S)
            with suppress(Exception):  # the log tells of it, and the next one tries again
                await asyncio.wrap_future(self._log.sync())

    async def keep_small(self, folder: OnlineFolder) -> None:
        """Remove what nobody needs any more of the log, now and then, until cancelled."""
        while True:
            await asyncio.sleep(_SMALL_S)
            with suppress(Exception):  # it only takes room, and the next one tries again
                await self.shorten(folder)

    async def shorten(self, folder: OnlineFolder) -> None:
        """Remove the segments of the log that nobody needs any more.

        Raises:
            OSError: One could not be removed.
        """
        now_s = time.time()
        self.known.forget(now_s)
        oldest_s = self.known.oldest_s(now_s)
        await asyncio.to_thread(lambda: self._log.remove_before(first_needed(folder, oldest_s)))

    def close(self) -> None:
        """Put everything on the disk, and let go."""
        self._log.close()

    def _together(self, record: bytes) -> asyncio.Future[None]:
        """Have a record written with those of the same run of the model: their answers come at the same time."""
        if self._run is None:
            loop = asyncio.get_running_loop()
            self._run = loop.create_future()
            loop.call_soon(self._write_run)
        self._of_run.append(record)
        return self._run

    def _write_run(self) -> None:
        found, self._of_run, told, self._run = self._of_run, [], self._run, None
        failed: Exception | None = None
        try:
            self._log.append(*found)
        except Exception as error:  # whatever it is: those who wait hear of it
            failed = error
        if told is None or told.done():  # who waited was ended with the server
            return
        if failed is None:
            told.set_result(None)
        else:
            told.set_exception(failed)

    def _write(self, at_s: float, base: str, body: bytes, answer: Answer) -> bytes:
        self._log.append(records.shown(at_s, base, answer.rows, body, answer.body))
        return _with_ids(answer.body, base, answer.rows)

    async def _decided(self, asked: Asked, source: Source) -> Decision:
        whole = Decision(asked.full, refused=[*asked.refused])
        async with self._deciding:
            for number, part in enumerate(asked.parts()):
                if number:
                    await asyncio.sleep(0)
                decision = decide(part, self.known, self._new_ids, trusted=source.trusted)
                try:
                    if decision.taken:
                        await self._store(decision, source)
                except SurroundingsError as error:
                    if whole.is_nothing:
                        raise
                    whole.failed = error
                    break
                whole.add(decision)
        return whole

    async def _store(self, decision: Decision, source: Source) -> None:
        at_s, items = time.time(), decision.taken

        def write() -> None:
            made = full(at_s, source, items, decision.ids) if decision.full else labelled(at_s, source, items)
            self._log.append(made)

        if sum(len(one.row) + 40 for one in items) < _LARGE:
            write()
        else:
            await asyncio.to_thread(write)
        commit(decision, self.known, at_s)

    def _new_ids(self, count: int) -> list[str]:
        self._given += 1
        return [f"{self._start}r{self._given}.{row}" for row in range(count)]


def _with_ids(body: bytes, base: str, rows: int) -> bytes:
    """Return an answer with the ids of its rows, and of one row also as "id"."""
    if rows == 1:
        name = base.encode()
        return b'%b, "id": "%b.0", "ids": ["%b.0"]}' % (body[:-1], name, name)
    ids = '", "'.join(records.ids_of(base, rows))
    return b'%b, "ids": ["%b"]}' % (body[:-1], ids.encode())
