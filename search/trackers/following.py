"""A tracker at work: a thread that follows the study's own record and tells the tracker what is new: the `Tracking`.

The study is the queue. A slow tracker reads it later, and nothing is kept in memory for it; one that raises, or hangs,
is told of once and let go. What it has been told is marked in the study's folder, so that a resume can tell the rest.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from search.data import secrets
from search.errors import SweepError
from search.paths import StudyFolder
from search.records import events
from search.records.events import Event
from search.records.following import Following
from search.records.study import StoredStudy
from search.status import Status
from search.study.record import TrialRecord
from search.trackers.chosen import Chosen
from search.trackers.marks import STUDY, Marks
from search.trackers.tracker import Report, Tracked, Tracker

HANGS_S: Final = 60.0
"""How long one call of a tracker may take while the sweep runs."""

FLUSH_S: Final = 10.0
"""How long all trackers together may take once the sweep has ended."""

_EVERY_S: Final = 0.5
_EVERY_DATABASE_S: Final = 5.0
_ENDS: Final = ("pruned", "completed", "failed")
_SECRETS: Final = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "WANDB_API_KEY")

Say = Callable[[str], object]


class Tracking(threading.Thread):
    """One tracker of one study.

    Args:
        chosen: Which.
        folder: Of the study, which is there.
        say: Hears, once, that the tracker is off.
        made: The tracker itself; made here if it is left out.
        hangs_s: How long one call of it may take while the sweep runs.
    """

    def __init__(
        self, chosen: Chosen, folder: StudyFolder, say: Say, made: Tracker | None = None, *, hangs_s: float = HANGS_S
    ) -> None:
        super().__init__(name=f"sweep-tracker-{chosen.kind}", daemon=True)
        self._chosen, self._folder, self._say, self._made = chosen, folder, say, made
        self._over, self._off = threading.Event(), threading.Event()
        self._letting_go = threading.Lock()
        self._hangs_s = hangs_s
        self._last: Status | None = None
        self._busy_since: float | None = None

    def run(self) -> None:
        try:
            self._follow()
        except Exception as error:  # of a foreign library, which may raise anything
            said = error.sentence() if isinstance(error, SweepError) else f"{type(error).__name__} {error}"
            self._let_go(" ".join(_safe(said).split())[:150].rstrip(" .;"))

    def look_after(self) -> None:
        """Let the tracker go if one of its calls hangs."""
        since = self._busy_since
        if since is not None and time.monotonic() - since > self._hangs_s and self.is_alive():
            self._let_go(f"it has not answered for {self._hangs_s:.0f} s")

    def is_at_work(self) -> bool:
        """Tell whether it is still told something, and has not been let go."""
        return self.is_alive() and not self._off.is_set()

    def finish(self, status: Status) -> None:
        """Have it told the rest, and close."""
        self._last = status
        self._over.set()

    def wait(self, until: float) -> None:
        """Wait for that, at most until this monotonic second."""
        if not self._off.is_set():
            self.join(max(0.0, until - time.monotonic()))
            if self.is_alive():
                self._let_go("it was not done in time when the sweep had ended")

    def _let_go(self, why: str) -> None:
        with self._letting_go:  # its own thread may come to it while the sweep's does
            if self._off.is_set():
                return
            self._off.set()
        self._over.set()
        if self._made is not None:
            with suppress(Exception):
                self._made.abandon()
        self._say(f"tracker {self._chosen.kind} is off: {why}; a resume tries again")

    def _follow(self) -> None:
        following = Following(self._folder)
        study = following.study
        tracked = _tracked(study)
        self._made = self._made or _make(self._chosen)
        teller = _Teller(self._made, marks_of(self._chosen, self._folder), self)
        teller.begin(tracked)
        for number in range(len(study.records)):  # what came before, and was not told
            if self._off.is_set():
                return
            if not teller.marks.of(number).ended:
                record = study.records[number]
                teller.tell(events.between(None, record, study.plan, None), {number: record}.__getitem__)
        every = _EVERY_S if following.is_cheap else _EVERY_DATABASE_S
        while not self._off.is_set():
            over = self._over.is_set()  # before the look, so that nothing comes after the last one
            teller.tell(following.look(), lambda number: following.study.records[number])
            if over:
                break
            self._over.wait(every)
        if self._last is not None and not self._off.is_set():
            teller.finish(self._last)

    def call(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call the tracker, and know since when."""
        if self._off.is_set():
            raise _LetGo
        self._busy_since = time.monotonic()
        try:
            return call(*arguments)
        finally:
            self._busy_since = None


class _LetGo(Exception):
    """Breaks off a thread whose tracker has been let go; nobody hears of it."""


class _Teller:
    """Turns events into calls of a tracker, and marks what was told."""

    def __init__(self, tracker: Tracker, marks: Marks, thread: Tracking) -> None:
        self.marks = marks
        self._tracker, self._call = tracker, thread.call
        self._begun: set[int] = set()
        self._started: dict[int, tuple[Mapping[str, Any], datetime | None]] = {}

    def begin(self, tracked: Tracked) -> None:
        mark = self.marks.of(STUDY)
        mark.run, mark.ended = self._call(self._tracker.begin, tracked, mark.run), False
        self.marks.keep([STUDY])

    def tell(self, happened: Iterable[Event], record_of: Callable[[int], TrialRecord]) -> None:
        """Tell what happened; `record_of` is asked when all of it is known."""
        told: dict[int, None] = {}
        ended: dict[int, None] = {}
        try:
            for number, found in _by_trial(happened):
                if number not in ended and not self.marks.of(number).ended:
                    told[number] = None
                    if self._tell_trial(number, found, record_of):
                        ended[number] = None
            for number in ended:
                self._begin(number, record_of)
                mark = self.marks.of(number)
                self._call(self._tracker.end, mark.run, record_of(number))
                mark.ended = True
                self._begun.discard(number)
                self._started.pop(number, None)
        finally:
            self.marks.keep(number for number in told if self.marks.of(number).run)

    def finish(self, status: Status) -> None:
        mark = self.marks.of(STUDY)
        self._call(self._tracker.finish, mark.run, status)
        mark.ended = True
        self.marks.keep([STUDY])

    def _tell_trial(self, number: int, found: list[Event], record_of: Callable[[int], TrialRecord]) -> bool:
        """Tell what a trial did, but for its end; tell whether it ended."""
        mark = self.marks.of(number)
        reports = []
        ends = [event.at for event in found if event.kind in _ENDS]
        for event in found:
            if event.kind == "started":
                self._started[number] = event.more["params"], event.at
                self._begin(number, record_of)
            elif event.kind == "epoch" and event.more["step"] > mark.step:
                finite = {name: value for name, value in event.more["metrics"].items() if _is_finite(value)}
                reports.append(Report(event.more["step"], finite, _earlier(event.at, *ends)))
        if reports:
            self._begin(number, record_of)
            self._call(self._tracker.report, mark.run, reports)
            mark.step = reports[-1].step
        return bool(ends)

    def _begin(self, number: int, record_of: Callable[[int], TrialRecord]) -> None:
        """Open the record of a trial, if it is not open in this process."""
        if number not in self._begun:
            mark = self.marks.of(number)
            if number not in self._started:
                record = record_of(number)
                self._started[number] = record.params, record.started
            params, at = self._started[number]
            mark.run = self._call(self._tracker.start, number, params, mark.run, at)
            self._begun.add(number)


def _by_trial(happened: Iterable[Event]) -> Iterator[tuple[int, list[Event]]]:
    """Yield events together that follow each other and are of one trial."""
    together: list[Event] = []
    for event in happened:
        if event.kind == "best":
            continue
        if together and together[0].number != event.number:
            yield together[0].number, together
            together = []
        together.append(event)
    if together:
        yield together[0].number, together


def _earlier(seen: datetime | None, ended: datetime | None = None) -> datetime | None:
    """Return when something was reported, as near as that is known: a trial may have ended before it was looked at."""
    known = [at for at in (seen, ended) if at is not None]
    return min(known, key=datetime.timestamp, default=None)


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _safe(said: str) -> str:
    """Return what a library said, without what its URLs hold beside a place, and without the keys of trackers."""
    masked = secrets.mask(said, *(os.environ.get(name, "") for name in _SECRETS))
    return re.sub(r"\w+://\S+", lambda url: secrets.shown(url[0]), masked)


def _tracked(study: StoredStudy) -> Tracked:
    launched = json.dumps(study.launch, sort_keys=True, default=str)
    hashes = {name: str(study.launch[name]) for name in ("code_hash", "data_hash") if study.launch.get(name)}
    at = datetime.fromisoformat(study.launch["launched"]) if study.launch.get("launched") else None
    return Tracked(hashlib.sha256(launched.encode()).hexdigest()[:16], study.folder, study.plan, hashes, at)


def marks_of(chosen: Chosen, folder: StudyFolder) -> Marks:
    """Return what a tracker has been told of a study."""
    digest = hashlib.sha256(chosen.where.encode()).hexdigest()[:8]
    return Marks(folder.root / "trackers" / f"{chosen.kind}-{digest}.jsonl")


def _make(chosen: Chosen) -> Tracker:
    if chosen.kind == "mlflow":
        from search.trackers.mlflow import MLflow

        return MLflow(chosen.where)
    if chosen.kind == "wandb":
        from search.trackers.wandb import WandB

        return WandB(chosen.where)
    from search.trackers.tensorboard import TensorBoard

    return TensorBoard(chosen.where)
