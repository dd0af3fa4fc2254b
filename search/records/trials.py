"""The trials of a stored study, looked up when they are wanted: there may be more than one wants to hold at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import overload

from search.records.totals import Totals
from search.status import STATES
from search.study.record import TrialRecord


class Trials(Sequence[TrialRecord]):
    """Every trial of a study, in order of numbers, which begin at 0.

    Args:
        count: How many there are.
        unended: Those that have not ended, by number.
        ended: Looks up one that has.
        totals: What the ended ones came to.
    """

    def __init__(
        self,
        count: int,
        unended: Mapping[int, TrialRecord],
        ended: Callable[[int], TrialRecord],
        totals: Totals,
    ) -> None:
        self._count = count
        self._ended = ended
        self.unended = unended
        self.totals = totals

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> TrialRecord: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[TrialRecord, ...]: ...
    def __getitem__(self, index: int | slice) -> TrialRecord | tuple[TrialRecord, ...]:
        if isinstance(index, slice):
            return tuple(map(self._one, range(self._count)[index]))
        return self._one(range(self._count)[index])

    def __iter__(self) -> Iterator[TrialRecord]:
        return map(self._one, range(self._count))

    @property
    def by_state(self) -> dict[str, int]:
        """How many trials are in each state."""
        counts = dict.fromkeys(STATES, 0) | self.totals.counts
        for record in self.unended.values():
            counts[record.state] += 1
        return counts

    @property
    def epochs(self) -> int:
        """Steps reported over all trials."""
        return self.totals.epochs + sum(record.epochs_run for record in self.unended.values())

    @property
    def at_s(self) -> float:
        """Seconds of the study's life at which the last trial began or ended."""
        return max([self.totals.at_s, *(record.at_s for record in self.unended.values())])

    @property
    def last_begun(self) -> TrialRecord | None:
        """The trial with the highest number that began."""
        begun = [record.number for record in self.unended.values() if record.started is not None]
        number = max([self.totals.begun, *begun])
        return None if number < 0 else self._one(number)

    def _one(self, number: int) -> TrialRecord:
        found = self.unended.get(number)
        return self._ended(number) if found is None else found
