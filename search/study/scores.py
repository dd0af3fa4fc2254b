"""The COMPLETE trials of a study by their results: the best one, or the Pareto front, kept up to date."""

from __future__ import annotations

from collections.abc import Sequence

from search.status import TrialScore
from search.study.record import TrialRecord


class Scores:
    """The best of a study, updated a trial at a time.

    With one metric the best is the first trial that reached the best value. With several the front holds every
    trial that no other dominates, in order of their numbers. A trial that misses a constraint is neither.

    Attributes:
        front: The best trials.
        since_best: Trials that ended since the best, or the front, moved, and were begun after those.
        missed: COMPLETE trials that miss a constraint.
        nearest: The first of those that miss by least.
        worst: The worst value of each metric; () before the first trial.
        ended: Trials that were taken in or passed by.
        moves: With one metric, each time that the best moved: `ended` with that trial, and its value.
    """

    def __init__(self, directions: Sequence[str]) -> None:
        self._signs = tuple(1.0 if direction == "minimize" else -1.0 for direction in directions)
        self.front: tuple[TrialScore, ...] = ()
        self.since_best = 0
        self.missed = 0
        self.nearest: TrialScore | None = None
        self.worst: tuple[float, ...] = ()
        self.ended = 0
        self.moves: tuple[tuple[int, float], ...] = ()

    @property
    def best(self) -> TrialScore | None:
        return self.front[0] if self.front else None

    def add(self, score: TrialScore) -> bool:
        """Take a COMPLETE trial in; tell whether the best, or the front, moved."""
        pairs = zip(self._signs, score.values, self.worst or score.values, strict=True)
        self.worst = tuple(sign * max(sign * value, sign * worst) for sign, value, worst in pairs)
        if score.violation > 0:
            self.missed += 1
            if self.nearest is None or score.violation < self.nearest.violation:
                self.nearest = score
            self.pass_by(score.number)
            return False
        new = self._costs(score)
        if any(self._covers(self._costs(old), new) for old in self.front):
            self.pass_by(score.number)
            return False
        kept = [old for old in self.front if not self._covers(new, self._costs(old))]
        self.front = tuple(sorted([*kept, score], key=lambda one: one.number))
        self.since_best = 0
        self.ended += 1
        if len(self._signs) == 1:
            self.moves = (*self.moves, (self.ended, score.values[0]))
        return True

    def pass_by(self, number: int) -> None:
        """Count a trial that ended without a better result."""
        self.since_best += all(number > one.number for one in self.front)
        self.ended += 1

    def _costs(self, score: TrialScore) -> tuple[float, ...]:
        return tuple(sign * value for sign, value in zip(self._signs, score.values, strict=True))

    def _covers(self, one: tuple[float, ...], other: tuple[float, ...]) -> bool:
        """Tell whether `one` is at least as good in every metric."""
        return all(a <= b for a, b in zip(one, other, strict=True))


def score_of(record: TrialRecord) -> TrialScore:
    """Return a COMPLETE trial by its result."""
    end = record.end
    return TrialScore(
        record.number, record.values, record.params, end.get("metrics", {}), end.get("step", 0), record.constraints
    )
