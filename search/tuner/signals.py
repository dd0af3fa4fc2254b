"""Ctrl-C and SIGTERM from the first moment of a sweep on: once asks it to pause, twice ends it now."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final

from search.ending import end_now
from search.tuner.hearing import Hearing

if TYPE_CHECKING:
    import psutil

    from search.tuner.reaper import Reaper

_END_S: Final = 5.0
"""How long the end of this process may take."""

_GONE_S: Final = 0.5
"""How long what was killed may take to be gone."""


class Family:
    """The processes that this one started since the family was founded, and theirs; those from before are not ours.

    Args:
        reaper: Told of everyone, for the case that this process dies first.
    """

    def __init__(self, reaper: Reaper | None = None) -> None:
        import psutil

        self._reaper = reaper
        self._before = set(psutil.Process().children(recursive=True))
        self._known: set[psutil.Process] = set()
        self._names: dict[psutil.Process, str] = {}

    def meet(self) -> None:
        """Remember who is alive now, by process id and start time: a parent's death hides its children from us."""
        import psutil

        new = set(psutil.Process().children(recursive=True)) - self._before - self._known
        self._known |= new
        if self._reaper is not None:
            with suppress(psutil.Error):
                self._reaper.know(new)

    def members(self) -> set[psutil.Process]:
        """Return all that have been met, and are met now; some may have ended."""
        self.meet()
        return set(self._known)

    def lost(self, names: set[str]) -> set[str]:
        """Return the names of those that were met under one of these names and no longer run."""
        import psutil

        for process in self._known:
            if process not in self._names:
                with suppress(psutil.Error):
                    self._names[process] = process.name()
        return {name for process, name in self._names.items() if name in names and not _runs(process)}

    def kill(self, title: str = "", *, spared: Collection[str] = ()) -> None:
        """Kill all that still run and have this text in their titles, but those whose whole title is spared."""
        import psutil

        for process in self.members():
            with suppress(psutil.Error):
                found = " ".join(process.cmdline()).strip()
                if title in found and found not in spared:
                    process.kill()

    def end(self) -> None:
        """Kill all that still run, and wait until they have let go of what they held."""
        import psutil

        self.kill()
        psutil.wait_procs(self._known, timeout=_GONE_S)


def _runs(process: psutil.Process) -> bool:
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@dataclass(slots=True)
class Interruption:
    """What the user has asked for by signals.

    Attributes:
        asked: Set at the first signal.
        signum: That signal, 0 before.
        since: Monotonic seconds at which it came, 0.0 before.
        can_pause: Whether there is something that could pause: before, and at the second signal, all ends at once.
        embedded: Whether this process is somebody else's program: what would end it is a KeyboardInterrupt then.
        folder: Of the study, once it has one.
        last_acts: Called before all ends at once, the latest first.
    """

    asked: threading.Event = field(default_factory=threading.Event)
    signum: int = 0
    since: float = 0.0
    can_pause: bool = False
    embedded: bool = False
    folder: Path | None = None
    last_acts: list[Callable[[], object]] = field(default_factory=list)
    _hearing: Hearing | None = None
    _ending: threading.Lock = field(default_factory=threading.Lock)
    _due: bool = False

    def listen(self) -> None:
        """Set the handlers again: `ray.init`, whose C++ part sets one that prints a trace, may have got around us."""
        if self._hearing is not None:
            self._hearing.listen()

    def put_off(self) -> AbstractContextManager[None]:
        """Take no signal before the end of the block: what is begun in it is noted in it for the last acts."""
        return self._hearing.put_off() if self._hearing is not None else nullcontext()

    def wait_for_the_end(self) -> None:
        """If another thread is ending this process, let it: that Ray is gone is no news, then."""
        if self._ending.locked():
            time.sleep(_END_S)

    def take(self, signum: int) -> None:
        """Take the first signal as a request to pause, where something could; else, and with the next one, end."""
        if self.embedded and (self.asked.is_set() or not self.can_pause):
            self.signum, self._due = signum, True
            return
        if self.asked.is_set():
            self.end_now(128 + signum, "ended at once; what was reported is stored")
        if not self.can_pause:
            self.end_now(128 + signum, "interrupted before a trial began")
        self.signum, self.since = signum, time.monotonic()
        self.asked.set()

    def raise_if_due(self) -> None:
        """Break off the main thread, which runs somebody else's program, where a signal said so."""
        if self._due:
            self._due = False
            raise KeyboardInterrupt

    def end_now(self, code: int, said: str) -> None:
        """End this process and all that it started, at once; who else comes to that meanwhile does not change how."""
        self._ending.acquire(timeout=_END_S)
        with _silence():  # Ray's native part complains of what is being ended
            for act in reversed(self.last_acts):
                with suppress(Exception):
                    act()
        there = self.folder is not None and self.folder.exists()
        goes_on = f"; `{_resume(self.folder)}` goes on" if self.folder is not None and there else ""
        end_now(code, f"{said}{goes_on}")


def _resume(folder: Path) -> str:
    """Return the command that goes on with the study in a folder."""
    usual = folder.parent.resolve() == Path("results").resolve()
    return f"sweep resume {folder.name}{'' if usual else f' --results {quote(str(folder.parent))}'}"


@contextmanager
def _silence() -> Iterator[None]:
    """Have nothing reach standard error, natively, inside."""
    before, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)


@contextmanager
def listening(*, embedded: bool = False) -> Iterator[Interruption]:
    """Listen for signals from here on; what listened before does so again afterwards.

    Args:
        embedded: Whether this process is somebody else's program, which a signal does not end at once.
    """
    got = Interruption(embedded=embedded)
    if threading.current_thread() is not threading.main_thread():  # a notebook's worker thread gets no signals
        yield got
        got.wait_for_the_end()
        return
    got._hearing = hearing = Hearing(got.take, got.raise_if_due)
    try:
        yield got
    finally:
        got.wait_for_the_end()
        hearing.stop()


def end_tune() -> None:
    """Make Tune end its trials and return: it takes SIGUSR1 as a graceful stop, where it could set a handler for it."""
    if callable(signal.getsignal(signal.SIGUSR1)):
        os.kill(os.getpid(), signal.SIGUSR1)
