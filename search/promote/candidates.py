"""The trials of a study that may win: its best ones, each with parameters of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from search.errors import ExitCode, SweepError
from search.records.leaderboard import leaders
from search.records.study import StoredStudy, status
from search.status import TrialScore
from search.study.record import TrialRecord

Keep = Callable[[TrialRecord], bool]
"""Tells whether a trial may win."""


class NoCandidate(SweepError):
    """A study holds no trial that could win: it ran, and failed."""

    code = ExitCode.FAILED


def candidates(stored: StoredStudy, top: int, keep: Keep = lambda _: True) -> list[TrialRecord]:
    """Return the best COMPLETE trials that keep to the constraints, no two with the same parameters.

    With several metrics they are those of the Pareto front, by the first metric.

    Args:
        stored: The study.
        top: How many, at most.
        keep: Leaves out the others.

    Raises:
        NoCandidate: There is none.
    """
    found: dict[str, TrialRecord] = {}
    for score in _ranked(stored, top):
        record = stored.records[score.number]
        if keep(record):
            found.setdefault(json.dumps(sorted(score.params.items()), default=repr), record)
        if len(found) == top:
            break
    if not found:
        missed = status(stored).missed
        said = "completed trial that keeps to its constraints" if missed else "completed trial"
        name = stored.folder.name
        raise NoCandidate(f"study {name!r} has no {said}", field="study", hint=f"`sweep show {name}` says why")
    return list(found.values())


def _ranked(stored: StoredStudy, top: int) -> Iterator[TrialScore]:
    """Yield the trials that could win, the best first; all of them are looked at only where the best are twins."""
    if len(stored.plan.metrics) > 1:
        sign = 1.0 if stored.plan.directions[0] == "minimize" else -1.0
        yield from sorted(status(stored).front, key=lambda score: (sign * score.values[0], score.number))
        return
    count = max(20, 2 * top)
    ahead = leaders(stored, count)
    yield from (score for score in ahead if score.violation == 0)
    if len(ahead) == count:
        yield from (score for score in leaders(stored, len(stored.records))[count:] if score.violation == 0)
