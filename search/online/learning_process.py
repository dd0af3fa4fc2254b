"""The process that learns, beside the server: started, started again when it ends, and ended with the server."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Final

from search.online.tokens import ADMIN, LABEL, PREDICT

MODULE: Final = "search.online.learner"

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_LIVES_S: Final = 60.0
_GRACE_S: Final = 10.0
"""Seconds in which it writes its last snapshot."""

_LOG_BYTES: Final = 10_000_000


class LearningProcess:
    """Keeps a process running; it ends when its stdin closes, as it does with the server, however that ends.

    Args:
        arguments: Behind `python -m search.online.learner`.
        log: File for what it prints.
        say: Called with a sentence when it has ended by itself.
        module: That is run.
        pause_s: Before it is started again, the first time; then ever longer.
        lives_s: Seconds after which one has not ended for a reason that was there at its start.

    Attributes:
        is_up: Whether it runs now.
        ends: How often it has ended by itself.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        say: Callable[[str], object],
        *,
        module: str = MODULE,
        pause_s: float = _FIRST_PAUSE_S,
        lives_s: float = _LIVES_S,
    ) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._log, self._say, self._pause_s, self._lives_s = log, say, pause_s, lives_s
        self._process: asyncio.subprocess.Process | None = None
        self._begun_s, self._said = 0.0, ""
        self.is_up, self.ends = False, 0

    @property
    def trouble(self) -> str:
        """Why it has ended, until one lives on; "" of one that never did."""
        return "" if self.is_up and self._has_lived() else self._said

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep it running until the end of the block, and end it then."""
        task = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self._end()

    async def _keep(self) -> None:
        pause_s = self._pause_s
        while True:
            self._begun_s = time.monotonic()
            last, self._said = self._said, await self._run()
            self.ends += 1
            if self._said != last:
                with suppress(Exception):  # nobody reads it: a terminal that is gone, a disk that is full
                    self._say(self._said)
            pause_s = self._pause_s if self._has_lived() else pause_s
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _has_lived(self) -> bool:
        return time.monotonic() - self._begun_s > self._lives_s

    async def _run(self) -> str:
        """Run it until it ends by itself, and return why that was."""
        try:
            with _opened(self._log) as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env={name: value for name, value in os.environ.items() if name not in (PREDICT, LABEL, ADMIN)},
                    start_new_session=True,  # Ctrl-C is for the server, which ends it when all is told
                )
            self.is_up = True
            code = await self._process.wait()
        except OSError as error:
            return f"the process that learns cannot be started: {error.strerror}; predictions go on"
        finally:
            self.is_up = False
        words = _last_words(self._log) if code > 0 else ""
        return f"the process that learns has ended ({_ended(code)}){words}; predictions go on"

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None
        process.stdin.close()
        for end in (process.terminate, process.kill):
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _GRACE_S)
                return
            with suppress(ProcessLookupError):
                end()
        await process.wait()


def _opened(path: Path) -> IO[bytes]:
    """Return a file to append to, which begins anew where it has become long."""
    with suppress(OSError):
        if path.stat().st_size > _LOG_BYTES:
            path.unlink()
    return path.open("ab")


def _ended(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit {code}"


def _last_words(log: Path) -> str:
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 2000))
        lines = file.read().decode(errors="replace").split("\n")
        words = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f": {words[:200]}" if words else ""
    return ""
