"""A study's page, made anew while the study goes on: the `Editions`, which a thread prints for those who read."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from search.errors import SurroundingsError
from search.paths import StudyFolder
from search.records.following import Following
from search.records.history import History
from search.records.study import status
from search.report import page

LEAST_S: Final = 1.0
"""Shortest time between two editions."""

SHARE: Final = 10
"""So many times what making an edition took is waited before the next: at most a tenth of a CPU goes into them."""

_LOOK_S: Final = 0.5
_LOOK_DATABASE_S: Final = 2.0
"""Shortest times between two looks at a journal, of which only what is new is read, and at a database."""

_LEVEL: Final = 1
"""Of gzip: a page of 5 MB takes 0.1 s, and comes to a third."""


class Edition:
    """The page at one moment.

    Args:
        payload: What `page.payload` returned.

    Attributes:
        name: Tells it from others, those of another server too.
        payload: JSON, gzipped.
    """

    def __init__(self, payload: dict[str, Any]) -> None:
        self._payload = payload
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(
            "utf-8", "replace"
        )
        self.name = hashlib.blake2b(text, digest_size=9).hexdigest()
        self.payload = gzip.compress(text, _LEVEL)

    @cached_property
    def html(self) -> bytes:
        """The whole page, gzipped; made when it is first asked for. Its first element tells its name."""
        text = page.html(self._payload, live=True).replace("<html ", f'<html data-edition="{self.name}" ', 1)
        return gzip.compress(text.encode("utf-8", "replace"), _LEVEL)


@dataclass(frozen=True, slots=True)
class News:
    """What open pages are told at once.

    Attributes:
        edition: Name of the newest one.
        state: Of the study.
        trials: By state.
        trouble: Why the study cannot be read any more; "" while it can.
    """

    edition: str
    state: str
    trials: Mapping[str, int]
    trouble: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"edition": self.edition, "state": self.state, "trials": dict(self.trials), "trouble": self.trouble}


class Editions:
    """Editions of one study. Without readers none is made beside the first; `run` is one thread's.

    Args:
        folder: Of the study.
        clock: Monotonic seconds.

    Attributes:
        newest: The last edition.
        news: What is known beside it.

    Raises:
        SurroundingsError: The study cannot be read.
    """

    def __init__(self, folder: StudyFolder, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = folder, clock
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._readers = 0
        self._following = Following(folder)
        self._seen = self._sight()
        self._printed: object = None
        self._due_at = 0.0
        self._is_lost = False  # since the last look
        self._fault = ""  # of the last edition that was to be made
        self.newest = self._print()
        self.news = self._told()

    @property
    def is_due(self) -> bool:
        """Whether a newer edition may be made now, and would show something else."""
        return self._seen != self._printed and self._clock() >= self._due_at

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Have new editions made within the block."""
        with self._lock:
            self._readers += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1

    def run(self, told: Callable[[], object]) -> None:
        """Follow the study until `close`.

        Args:
            told: Called whenever `news` has changed.
        """
        wait_s = 0.0
        while not self._over.wait(wait_s):
            began = self._clock()
            self.step(told)
            took_s = self._clock() - began
            wait_s = _LOOK_S if self._following.is_cheap else max(_LOOK_DATABASE_S, SHARE * took_s)

    def step(self, told: Callable[[], object] = lambda: None) -> None:
        """Look once, and make an edition where one is due and read."""
        trouble = self._look()
        turned = status(self._following.study).state != self.news.state  # a sweep's end is not kept waiting
        if not trouble and self._readers and (self.is_due or turned):
            try:
                self.newest, self._fault = self._print(), ""
            except Exception as fault:  # ours: open pages are told, and left as they are
                self._fault = f"a fault of sweep itself: {type(fault).__name__}: {fault}"
        news = self._told(trouble or self._fault)
        if news != self.news:
            self.news = news
            told()

    def close(self) -> None:
        """Have `run` end after what it is at."""
        self._over.set()

    def _look(self) -> str:
        """Bring what is known up to date; return what kept it from that."""
        try:
            if self._is_lost:  # it may be another study of that name by now
                self._following = Following(self._folder)
            for _ in self._following.look():
                pass
        except SurroundingsError as fault:
            self._is_lost = True
            return fault.message
        self._is_lost = False
        self._seen = self._sight()
        return ""

    def _sight(self) -> object:
        """Return what tells two looks apart: how far the journal goes, or how all trials stand; and who holds it."""
        study = self._following.study
        if study.live is not None:
            return study.live.mark, study.holder
        records = study.records
        return records.by_state, records.epochs, study.attributes, study.holder

    def _print(self) -> Edition:
        began, seen = self._clock(), self._seen
        try:
            made = Edition(page.payload(History.of(self._following.study)))
            self._printed = seen
            return made
        finally:
            ended = self._clock()
            self._due_at = ended + max(LEAST_S, SHARE * (ended - began))

    def _told(self, trouble: str = "") -> News:
        now = status(self._following.study)
        return News(self.newest.name, now.state, now.trials, trouble)
