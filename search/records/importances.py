"""How much each parameter of a study mattered, with intervals and the bar that chance reaches: the `Importances`.

Judged by PED-ANOVA on all trials that ended or rest; `sweep show` takes them from the derived table, or reckons them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.plan import SweepPlan
from search.records.judged import LEAST_TRIALS, OWN, Judged, evenly
from search.records.live import Live
from search.records.pedanova import divergences
from search.records.totals import Totals
from search.study.record import TrialRecord

if TYPE_CHECKING:
    from search.records.study import StoredStudy

SAMPLE: Final = 2000
"""Trials from which `sweep show` reckons them, at most."""

LEVEL: Final = 0.9
"""Of intervals."""

SMALL: Final = 0.1
"""Upper end of an interval up to which a parameter matters little."""

_FALSE: Final = 0.05
"""How often shuffled values reach the bar, for any parameter of a study."""

_MANY: Final = 50
"""Parameters beyond which half as many draws are made."""


@dataclass(frozen=True, slots=True)
class Importance:
    """What one parameter comes to, as shares.

    Attributes:
        name: In full.
        condition: What decides that a trial has it ("model.family=mlp"); "" if nothing does, or none is known.
        trials: That have it.
        share: Its own.
        low: Lower end of the interval.
        high: Upper end.
        chance: What shuffled values reach: in one study of twenty any of its parameters gets beyond it.
    """

    name: str
    condition: str
    trials: int
    share: float
    low: float
    high: float
    chance: float

    @property
    def is_told(self) -> bool:
        """Whether it is told apart from chance."""
        return self.low > self.chance

    @property
    def at_most(self) -> float:
        """Upper end of the interval of one that is not told apart from chance; else infinite."""
        return math.inf if self.is_told else self.high

    @property
    def verdict(self) -> str:
        """Whether it matters, in words."""
        return verdict(self.is_told, self.at_most)


@dataclass(frozen=True, slots=True)
class Importances:
    """Shares of what sets the best trials apart, most important first; they add up to 1.

    Attributes:
        parameters: Each of them; () with several metrics, too few trials, or nothing that sets trials apart.
        trials: Trials that had ended or rested from which they were reckoned.
        of: Such trials there were.
        resting: How many of all these rested.
    """

    parameters: tuple[Importance, ...] = ()
    trials: int = 0
    of: int = 0
    resting: int = 0

    @property
    def shares(self) -> dict[str, float]:
        """By parameter."""
        return {one.name: one.share for one in self.parameters}

    @property
    def is_sample(self) -> bool:
        return self.trials < self.of

    def to_json(self) -> dict[str, Any]:
        parameters = [asdict(one) for one in self.parameters]
        return {"parameters": parameters, "trials": self.trials, "of": self.of, "resting": self.resting}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Importances:
        parameters = tuple(Importance(**one) for one in found["parameters"])
        return cls(parameters, found["trials"], found["of"], found.get("resting", 0))


def verdict(is_told: bool, at_most: float) -> str:
    """Say in words, the same everywhere, whether a parameter matters.

    Args:
        is_told: Whether it is told apart from chance by some measure.
        at_most: What it comes to at most, by all of them.
    """
    if is_told:
        return "matters"
    return f"matters little, at most {percent(at_most)}" if at_most <= SMALL else "not told apart from chance"


def percent(at_most: float) -> str:
    """Return an upper end in percent, rounded up."""
    return f"{max(1, math.ceil(100 * at_most - 1e-9))}%"


def of(study: StoredStudy) -> Importances:
    """Return the importances of a study.

    Raises:
        SurroundingsError: The storage is damaged, or cannot be reached.
    """
    records = study.records
    if study.live is not None:
        return of_live(study.live, study.plan, records.unended)
    return _of(study.plan, records.totals, records.unended, len(records), records.__getitem__)


def of_live(live: Live, plan: SweepPlan, unended: Mapping[int, TrialRecord]) -> Importances:
    """Return the importances of a study of one metric, as its journal stands; from its table if that is new enough.

    Args:
        live: Of the study.
        plan: Of the study.
        unended: Trials that have not ended, by number.
    """
    known = None
    if live.table is not None and (found := live.table.facts.get("importances")) is not None:
        known = Importances.from_json(found)
    is_new = live.table is not None and live.table.mark == live.mark
    return _of(plan, live.totals, unended, live.replay.count, live.record, known, is_new=is_new)


def ended(totals: Totals) -> int:
    """Return how many trials ended, those left out that were lost through no fault of theirs."""
    failed = sum(count for reason, count in totals.failures.items() if reason in OWN)
    return totals.counts["complete"] + totals.counts["pruned"] + failed


def judge(judged: Judged) -> tuple[Importance, ...]:
    """Return the share of each parameter that can be judged, most important first.

    A parameter that only some trials have is judged among those, the best of which are the best there, and counts by
    the share of trials that have it. An interval is the spread over resampled trials, around the share. What chance
    reaches holds for all parameters together (maxT of Westfall, Young, "Resampling-Based Multiple Testing", 1993). Both
    are taken of cube roots, which give divergences, skewed as they are, nearly one shape (Wilson, Hilferty, PNAS 1931).
    """
    groups = judged.groups()
    members = [one for _, group in groups for one in group]
    if not members:
        return ()
    draws = 100 if len(members) <= _MANY else 50
    found = [divergences(group, judged.rank[rows], judged.valued[rows], draws=draws) for rows, group in groups]
    weights = np.repeat([len(rows) / len(judged) for rows, _ in groups], [len(group) for _, group in groups])
    value = np.concatenate([one.value for one in found])
    resampled = np.concatenate([one.resampled for one in found])
    roots = np.cbrt(np.concatenate([one.shuffled for one in found]))
    middle, spread = roots.mean(axis=1), np.maximum(roots.std(axis=1), 1e-12)
    reach = np.quantile(((roots - middle[:, None]) / spread[:, None]).max(axis=0), 1 - _FALSE)
    whole = float(weights @ value)
    if whole <= 0:
        return ()
    drawn, center = np.cbrt(resampled), np.cbrt(value)
    low, high = np.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=1) - drawn.mean(axis=1) + center
    ends = np.stack([center, np.maximum(0.0, low), high, middle + reach * spread]) ** 3
    shares = np.clip(ends * weights / whole, 0.0, 1.0)
    full = {one.name: one for one in judged.parameters}
    made = [
        Importance(one.name, judged.condition(full[one.name]), len(one.values), *map(float, four))
        for one, four in zip(members, shares.T, strict=True)
    ]
    return tuple(sorted(made, key=lambda one: -one.share))


def _of(
    plan: SweepPlan,
    totals: Totals,
    unended: Mapping[int, TrialRecord],
    trials: int,
    lookup: Callable[[int], TrialRecord],
    known: Importances | None = None,
    *,
    is_new: bool = False,
) -> Importances:
    """Return those `known` if they are new enough, else reckon them.

    Args:
        plan: Of the study.
        totals: What its ended trials came to.
        unended: The others, by number.
        trials: How many there are of both.
        lookup: Reads one that has ended.
        known: Reckoned before.
        is_new: Whether nothing has come since.
    """
    resting = {number: one for number, one in unended.items() if one.rests}
    count = ended(totals) + len(resting)
    if len(plan.metrics) > 1 or count < LEAST_TRIALS:
        return Importances()
    if known is not None:
        same = (known.of, known.resting) == (count, len(resting)) and (is_new or not resting)
        if same or (count > SAMPLE and 2 * known.of > count):
            return known
    numbers = [number for number in range(trials) if number not in unended or number in resting]
    chosen = [numbers[place] for place in evenly(len(numbers), SAMPLE).tolist()]
    found = [resting[number] if number in resting else lookup(number) for number in chosen]
    judged = Judged.of_records(found, plan, count)
    return Importances(judge(judged), len(judged), count, len(resting))
