"""A tracker at work: a thread that follows the study's own record and tells the tracker what is new: the `Tracking`.

The study is the queue. A slow tracker reads it later, and nothing is kept in memory for it; one that raises, or hangs,
is told of once and let go. What it has been told is marked in the study's folder, so that a resume tells it the rest.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

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
        self._hangs_s = hangs_s
        self._last: Status | None = None
        self._busy_since: float | None = None

    def run(self) -> None:
        try:
            self._follow()
        except Exception as error:  # of a foreign library, which may raise anything
            said = error.sentence() if isinstance(error, SweepError) else f"{type(error).__name__} {error}"
            self._let_go(" ".join(said.split())[:150])

    def look_after(self) -> None:
        """Let the tracker go if one of its calls hangs."""
        since = self._busy_since
        if since is not None and time.monotonic() - since > self._hangs_s and self.is_alive():
            self._let_go(f"it has not answered for {self._hangs_s:.0f} s")

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
        if not self._off.is_set():
            self._off.set()
            self._over.set()
            if self._made is not None:
                with suppress(Exception):
                    self._made.abandon()
            self._say(f"tracker {self._chosen.kind} is off: {why}; a resume tells it the rest")

    def _follow(self) -> None:
        following = Following(self._folder)
        study = following.study
        tracked = _tracked(study)
        self._made = self._made or _make(self._chosen)
        teller = _Teller(self._made, _marks(self._chosen, self._folder), self)
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
        self._params: dict[int, Mapping[str, Any]] = {}

    def begin(self, tracked: Tracked) -> None:
        mark = self.marks.of(STUDY)
        mark.run = self._call(self._tracker.begin, tracked, mark.run)
        self.marks.keep([STUDY])

    def tell(self, happened: Iterable[Event], record_of: Callable[[int], TrialRecord]) -> None:
        """Tell what happened; `record_of` is asked when all of it is known."""
        told: dict[int, None] = {}
        ended: list[int] = []
        try:
            for number, found in _by_trial(happened):
                if number not in ended and not self.marks.of(number).ended:
                    told[number] = None
                    if self._tell_trial(number, found, record_of):
                        ended.append(number)
            for number in ended:
                self._begin(number, record_of)
                mark = self.marks.of(number)
                self._call(self._tracker.end, mark.run, record_of(number))
                mark.ended = True
                self._begun.discard(number)
                self._params.pop(number, None)
        finally:
            self.marks.keep(number for number in told if self.marks.of(number).run)

    def finish(self, status: Status) -> None:
        self._call(self._tracker.finish, self.marks.of(STUDY).run, status)

    def _tell_trial(self, number: int, found: list[Event], record_of: Callable[[int], TrialRecord]) -> bool:
        """Tell what a trial did, but for its end; tell whether it ended."""
        mark = self.marks.of(number)
        reports = []
        for event in found:
            if event.kind == "started":
                self._params[number] = event.more["params"]
                self._begin(number, record_of)
            elif event.kind == "epoch" and event.more["step"] > mark.step:
                finite = {name: value for name, value in event.more["metrics"].items() if _is_finite(value)}
                reports.append(Report(event.more["step"], finite, event.at))
        if reports:
            self._begin(number, record_of)
            self._call(self._tracker.report, mark.run, reports)
            mark.step = reports[-1].step
        return any(event.kind in _ENDS for event in found)

    def _begin(self, number: int, record_of: Callable[[int], TrialRecord]) -> None:
        """Open the record of a trial, if it is not open in this process."""
        if number not in self._begun:
            mark = self.marks.of(number)
            params = self._params.get(number)
            mark.run = self._call(
                self._tracker.start, number, record_of(number).params if params is None else params, mark.run
            )
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


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _tracked(study: StoredStudy) -> Tracked:
    launched = json.dumps(study.launch, sort_keys=True, default=str)
    hashes = {name: str(study.launch[name]) for name in ("code_hash", "data_hash") if study.launch.get(name)}
    return Tracked(hashlib.sha256(launched.encode()).hexdigest()[:16], study.folder, study.plan, hashes)


def _marks(chosen: Chosen, folder: StudyFolder) -> Marks:
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
