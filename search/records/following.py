"""A study followed while somebody else runs it: each look tells what happened since the last, and where it stands."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime

from search.paths import StudyFolder
from search.records import events
from search.records.events import Event
from search.records.live import Live
from search.records.study import of_live, read, read_launch
from search.status import TrialScore
from search.study import attributes
from search.study.holder import Holder
from search.study.internal import UnsupportedError
from search.study.lock import living_holder
from search.study.record import TrialRecord
from search.study.replay import RawTrial


class Following:
    """One study. Of a journal each look reads only what is new; of a database it reads everything.

    Args:
        folder: Of the study.
        from_start: Whether the first look tells everything that ever happened.

    Attributes:
        study: As it stood at the last look.

    Raises:
        SurroundingsError: The study cannot be read.
    """

    def __init__(self, folder: StudyFolder, *, from_start: bool = False) -> None:
        self._folder = folder
        self._launch, self._plan = read_launch(folder)
        self._holder = living_holder(folder.root)
        self._count = 0  # trials that were seen
        self._known: dict[int, TrialRecord] = {}  # as last seen: those of them that had not ended
        self._front: tuple[TrialScore, ...] = ()
        self._past = from_start
        self.study = read(folder)
        self._live = self.study.live
        if not from_start:
            self._count, self._known = len(self.study.records), dict(self.study.records.unended)
            self._front = self.study.records.totals.scores.front
        elif self._live is not None:
            with contextlib.suppress(UnsupportedError, OSError):
                self._live = Live(folder, self._plan)

    @property
    def is_cheap(self) -> bool:
        """Whether a look reads only what is new."""
        return self._live is not None

    @property
    def is_over(self) -> bool:
        """Whether nobody ran it at the last look, nor will without a word of somebody's."""
        if self.study.holder is not None:
            return False
        last = self._holder
        if last is None or not last.driver or self.study.attributes.get(attributes.STOPPED) is not None:
            return True
        return last.is_at_work() is not True

    def look(self) -> Iterator[Event]:
        """Yield what happened since the last look, and bring `study` up to date at the end.

        Raises:
            SurroundingsError: The study can no longer be read.
        """
        seen, self._past = (None if self._past else datetime.now()), False
        holder = living_holder(self._folder.root)  # first, so that the last words of a run are not missed
        if self._live is not None:
            try:
                yield from self._read_on(self._live, holder, seen)
            except (UnsupportedError, OSError):  # it was cut or replaced, or only Optuna can read it
                self._live = None
        if self._live is None:
            self.study = read(self._folder)
            self._live = self.study.live
            yield from self._compare(seen)
        self._holder = self.study.holder or self._holder

    def _read_on(self, live: Live, holder: Holder | None, seen: datetime | None) -> Iterator[Event]:
        reported: RawTrial | None = None  # what else was measured at that step is the next record
        for trial in live.changes():
            if reported is not None and reported is not trial:
                yield from self._changed(reported.record(), seen)
            if reported is not trial and _is_half(trial):
                reported = trial
                continue
            reported = None
            yield from self._changed(trial.record(), seen)
            if trial.state.is_finished:
                yield from self._best(live.totals.scores.front, trial.datetime_complete)
        if reported is not None:
            yield from self._changed(reported.record(), seen)
        self.study = of_live(self._folder, self._launch, self._plan, holder, live)
        yield from self._given_up(seen)

    def _compare(self, seen: datetime | None) -> Iterator[Event]:
        records = self.study.records
        lost = {number for number in self._known if number >= len(records)}  # with the end of a journal that was cut
        again = {number for number in records.unended if number < self._count}  # so may be the ends of these
        self._known = {**{number: records.unended[number] for number in again}, **self._known}
        for number in sorted({*self._known, *range(self._count, len(records))} - lost):
            yield from self._changed(records[number], seen)
        self._count = len(records)
        for number in lost:
            del self._known[number]
        yield from self._best(self.study.records.totals.scores.front, seen)

    def _given_up(self, seen: datetime | None) -> Iterator[Event]:
        """Yield what became of trials whose holder has gone without a word."""
        if self.is_over:
            for record in self.study.records.unended.values():
                yield from self._changed(record, seen)

    def _changed(self, now: TrialRecord, seen: datetime | None) -> Iterator[Event]:
        yield from events.between(self._known.get(now.number), now, self._plan, seen)
        self._count = max(self._count, now.number + 1)
        if now.ended is None:
            self._known[now.number] = now
        else:
            self._known.pop(now.number, None)

    def _best(self, front: tuple[TrialScore, ...], at: datetime | None) -> Iterator[Event]:
        before = {score.number for score in self._front}
        self._front = front
        yield from (events.best(score, at) for score in front if score.number not in before)


def _is_half(trial: RawTrial) -> bool:
    """Tell whether the last thing known of a trial is a report without the other metrics of its step."""
    if trial.state.is_finished or not trial.intermediate_values:
        return False
    return attributes.metrics_key([*trial.intermediate_values][-1]) not in trial.system_attrs
