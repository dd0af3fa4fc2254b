"""Keeps what an object store has of a study near its folder while it runs: the `Mirror`."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from search.data.fetch import Say
from search.errors import RefusedError, SurroundingsError, SweepError
from search.paths import StudyFolder
from search.remote.copies import send
from search.remote.lease import Lease
from search.remote.place import Place

EVERY_S: Final = 30.0
"""Seconds between two sendings; a machine that is lost takes no more than this, and one sending, with it."""


class Mirror(threading.Thread):
    """A thread that sends a study's files from time to time, and renews the lease.

    Args:
        place: Where to.
        folder: The study's.
        lease: Taken.
        say: Hears that the place is out of reach, and that it is back.
        every_s: Seconds between two sendings.
    """

    def __init__(self, place: Place, folder: StudyFolder, lease: Lease, say: Say, every_s: float = EVERY_S) -> None:
        super().__init__(name="sweep-mirror", daemon=True)
        self._place, self._folder, self._lease, self._say, self._every_s = place, folder, lease, say, every_s
        self._over = threading.Event()
        self._away = False
        self._lost: RefusedError | None = None

    def run(self) -> None:
        while not self._over.wait(self._every_s) and self._lost is None:
            try:
                self._send()
            except SurroundingsError as error:
                if not self._away:
                    self._say(f"{error.message}; the sweep goes on, and what it does is sent later")
                self._away = True
            except RefusedError as error:
                self._lost = error
                self._say(error.sentence())
                os.kill(os.getpid(), signal.SIGTERM)  # trials pause: the study is another machine's now
            else:
                if self._away:
                    self._say(f"{self._place.url} is back")
                self._away = False

    def finish(self) -> None:
        """Send what is there at the end, and give the lease back.

        Raises:
            RefusedError: Another machine has the study now.
            SurroundingsError: The place does not answer.
        """
        self._over.set()
        self.join()
        if self._lost is not None:
            raise self._lost
        self._send()
        self._lease.release()

    def _send(self) -> None:
        self._lease.renew()
        send(self._place, self._folder, self._lease.beat)


@contextmanager
def mirrored(place: Place, folder: StudyFolder, say: Say, *, every_s: float = EVERY_S) -> Iterator[None]:
    """Have a place know of a study while it runs, and at its end.

    Raises:
        RefusedError: Another machine runs it, or has gone on with it.
        SurroundingsError: The place does not answer: at the beginning, before anything runs; or at the end.
    """
    lease = Lease(place, folder.name, os.getpid())
    lease.take()
    try:
        send(place, folder, lease.beat)  # who cannot write there learns it now
    except BaseException:
        with suppress(SweepError):
            lease.release()
        raise
    mirror = Mirror(place, folder, lease, say, every_s)
    mirror.start()
    try:
        yield
    except BaseException:
        with suppress(SweepError):
            mirror.finish()
        raise
    try:
        mirror.finish()
    except SurroundingsError as error:
        said = f"{error.message}; the study is whole in {folder.root}"
        raise SurroundingsError(said, field="--results", hint=f"`sweep resume {folder.name}` sends it") from error
