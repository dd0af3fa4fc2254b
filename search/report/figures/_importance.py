"""The importances for one metric, as a figure shows them: the `Panel`."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from search.records.explained import Explained, explained
from search.records.importances import Importance, judge, verdict
from search.records.judged import LEAST_TRIALS, Judged
from search.records.pedanova import top_count


class Panel(NamedTuple):
    """The importances for one metric; lists are of one length, most important first.

    Attributes:
        metric: A searched one.
        trials: Trials that were judged.
        of: Trials there were.
        complete: Of the judged ones.
        pruned: Of the judged ones.
        resting: Of the judged ones.
        failed: Of the judged ones.
        best: How many of the judged ones count as the best.
        name: Of each parameter.
        condition: What decides that a trial has it; "".
        having: Trials that have it.
        apart: Its share of what sets the best trials apart (PED-ANOVA).
        apart_low: Lower end of the interval.
        apart_high: Upper end.
        apart_chance: What shuffled values reach.
        explains: The share of the variance that it explains alone (fANOVA); NaN where that was not reckoned.
        explains_low: Lower end of the interval.
        explains_high: Upper end.
        explains_chance: What shuffled values reach.
        is_told: Whether either is told apart from chance.
        most: What it comes to at most by both measures; infinite where it is told apart from chance.
        verdict: That in words.
        pairs: Two names, what they explain together beyond what each does alone, and both ends of its interval.
        forest: Trials that the variance was taken of.
        valued: Trials with a value.
        predicted: The share of the variance that a forest predicts on trials it has not seen.
        left_out: Parameters that could not be judged, with the number of trials that have them.
    """

    metric: str
    trials: int
    of: int
    complete: int
    pruned: int
    resting: int
    failed: int
    best: int
    name: list[str]
    condition: list[str]
    having: list[int]
    apart: list[float]
    apart_low: list[float]
    apart_high: list[float]
    apart_chance: list[float]
    explains: list[float]
    explains_low: list[float]
    explains_high: list[float]
    explains_chance: list[float]
    is_told: list[bool]
    most: list[float]
    verdict: list[str]
    pairs: list[tuple[str, str, float, float, float]]
    forest: int
    valued: int
    predicted: float
    left_out: list[tuple[str, int]]

    def at_most(self, name: str) -> float:
        """Return what one that all trials have comes to at most; infinite of others, and of what was not judged."""
        row = self.name.index(name) if name in self.name else None
        return math.inf if row is None or self.having[row] < self.trials else self.most[row]


def panel_of(metric: str, judged: Judged, sample: int) -> Panel:
    """Judge the parameters by one metric; a forest is grown on `sample` trials at most."""
    found = judge(judged) if len(judged) >= LEAST_TRIALS else ()
    parts = explained(judged, found, sample) if found else Explained({}, {}, 0, 0, 0.0)
    missing = Importance("", "", 0, np.nan, np.nan, np.nan, np.nan)
    both = [(one, parts.alone.get(one.name, missing)) for one in found]
    both.sort(key=lambda pair: -np.nanmax([pair[0].share, pair[1].share]))
    judged_names = {one.name for one in found}
    told = [one.is_told or other.is_told for one, other in both]
    most = [float(np.nanmax([one.at_most, other.at_most])) for one, other in both]
    return Panel(
        metric=metric,
        trials=len(judged),
        of=judged.of,
        complete=judged.complete,
        pruned=judged.pruned,
        resting=judged.resting,
        failed=judged.failed,
        best=top_count(len(judged)),
        name=[one.name for one, _ in both],
        condition=[one.condition for one, _ in both],
        having=[one.trials for one, _ in both],
        apart=[one.share for one, _ in both],
        apart_low=[one.low for one, _ in both],
        apart_high=[one.high for one, _ in both],
        apart_chance=[one.chance for one, _ in both],
        explains=[one.share for _, one in both],
        explains_low=[one.low for _, one in both],
        explains_high=[one.high for _, one in both],
        explains_chance=[one.chance for _, one in both],
        is_told=told,
        most=most,
        verdict=[verdict(*one) for one in zip(told, most, strict=True)],
        pairs=[(*names, *shares) for names, shares in parts.together.items()],
        forest=parts.trials,
        valued=parts.of,
        predicted=parts.predicted,
        left_out=[
            (one.name, int(one.active.sum()))
            for one in judged.parameters
            if one.name not in judged_names and one.active.any()
        ],
    )
