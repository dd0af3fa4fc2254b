"""A study's journal, read to its end and then followed: the `Live`. Starts from the derived table, if any."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from search.paths import StudyFolder
from search.plan import SweepPlan
from search.records import rows
from search.records.totals import Totals
from search.records.trials import Trials
from search.study.internal import UnsupportedError
from search.study.record import TrialRecord
from search.study.replay import RawTrial, Replay
from search.study.tail import Mark, Tail

if TYPE_CHECKING:
    from search.records.table_file import Table

ODD: Final = (ValueError, KeyError, TypeError, AttributeError)
"""What a trial raises whose attributes are not what the owner writes."""


class Live:
    """What a journal has come to.

    Args:
        folder: Of the study.
        plan: Of the study.
        table: Derived from the journal's beginning; without one it is read from its first record.

    Attributes:
        replay: The study, and its trials that have not ended.
        totals: What the ended ones came to.
        ended: Those that ended since the table, packed, by number.
        packer: Packed them.

    Raises:
        UnsupportedError: The journal does not begin as the table says, or is not what Optuna writes.
        OSError: It cannot be read.
    """

    def __init__(self, folder: StudyFolder, plan: SweepPlan, table: Table | None = None) -> None:
        self._plan, self.table = plan, table
        self._tail = Tail(folder.journal, table.mark if table is not None else Mark())
        self.replay = table.replay() if table is not None else Replay(plan.study)
        self.packer = rows.Packer(table.texts if table is not None else ())
        self.ended: dict[int, str] = {}
        known = table.totals(plan) if table is not None else Totals(plan)
        self.totals = known if known is not None else self._counted_anew()

    @property
    def mark(self) -> Mark:
        """How far the journal has been read."""
        return self._tail.mark

    def catch_up(self) -> None:
        """Read what has come since."""
        for _ in self.changes():
            pass

    def changes(self) -> Iterator[RawTrial]:
        """Read what has come since, and yield each trial as each of its records left it.

        Raises:
            UnsupportedError: The journal is not what Optuna writes, was cut, or was replaced.
            OSError: It cannot be read.
        """
        late = False
        for record in self._tail.read():
            trial = self.replay.apply(record)
            if trial is None:
                continue
            if trial.state.is_finished:
                late = not self._end(trial) or late
            yield trial
        if late:
            self.totals = self._counted_anew()

    def trials(self, shown: Callable[[TrialRecord], TrialRecord], ended: Callable[[int], TrialRecord]) -> Trials:
        """Return all trials as they stand.

        Args:
            shown: What is shown of one that has not ended.
            ended: Looks up one that has.
        """
        return Trials(self.replay.count, self.unended(shown), ended, self.totals)

    def unended(self, shown: Callable[[TrialRecord], TrialRecord] = lambda record: record) -> dict[int, TrialRecord]:
        """Return by number those that have not ended, each as it is shown.

        Raises:
            UnsupportedError: One is not what Optuna writes.
        """
        try:
            return {number: shown(trial.record()) for number, trial in sorted(self.replay.open.items())}
        except ODD as error:
            raise UnsupportedError("a trial that has not ended") from error

    def record(self, number: int) -> TrialRecord:
        """Return a trial that has ended."""
        return self.raw(number).record()

    def packed(self, number: int) -> str:
        """Return a trial as text."""
        text = self.ended.get(number)
        if text is not None:
            return text
        if number in self.replay.open:
            return self.packer.pack(self.replay.open[number])
        assert self.table is not None
        return self.table.packed(number)

    def raw(self, number: int) -> RawTrial:
        """Return a trial that has ended, with its distributions."""
        return rows.unpack(self.packed(number), self.packer.texts, number)

    def _end(self, trial: RawTrial) -> bool:
        """Take in a trial that has ended; tell whether it was counted."""
        self.ended[trial.number] = self.packer.pack(trial)
        try:
            record = trial.record()
            if not self.totals.comes_next(record):
                return False
            self.totals.add(record)
        except ODD as error:
            raise UnsupportedError(f"trial {trial.number}") from error
        return True

    def _counted_anew(self) -> Totals:
        """Count all trials: some ended before others that had been counted, as after a change of the clock."""
        ends: list[tuple[Any, int]] = []
        for number in range(self.replay.count):
            if number not in self.replay.open:
                ends.append((self.record(number).ended, number))
        totals = Totals(self._plan)
        for _, number in sorted(ends):
            totals.add(self.record(number))
        return totals
