"""The best trials of a study, in order."""

from __future__ import annotations

from search.records.study import StoredStudy
from search.status import TrialScore
from search.study.scores import score_of


def leaders(study: StoredStudy, count: int) -> list[TrialScore]:
    """Return the best COMPLETE trials, those that miss a constraint last; equal ones in order of their numbers.

    With several metrics these are the trials of the Pareto front, by the first metric.
    """
    known = study.records.totals.leaders(count)
    if known is not None:
        return known
    found = [score_of(record) for record in study.records if record.state == "complete"]
    sign = 1.0 if study.plan.directions[0] == "minimize" else -1.0
    return sorted(found, key=lambda one: (one.violation > 0, sign * one.values[0], one.number))[:count]
