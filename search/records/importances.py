"""How much each parameter of a stored study mattered: taken from its derived table, or reckoned now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from search.plan import SweepPlan
from search.records.live import Live

if TYPE_CHECKING:
    from search.records.study import StoredStudy

LEAST_TRIALS: Final = 20
"""Completed trials below which an importance says more about chance than about a parameter."""

SAMPLE: Final = 2000
"""Completed trials from which they are reckoned, at most."""

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Importances:
    """Shares of what made trials good, most important first; they add up to 1.

    Attributes:
        shares: By parameter; {} with several metrics, too few completed trials, or nothing that varies.
        trials: Completed trials they were reckoned from.
        of: Completed trials there were.
    """

    shares: dict[str, float] = field(default_factory=dict)
    trials: int = 0
    of: int = 0

    @property
    def is_sample(self) -> bool:
        return self.trials < self.of

    def to_json(self) -> dict[str, Any]:
        return {"shares": self.shares, "trials": self.trials, "of": self.of}


def of(study: StoredStudy) -> Importances:
    """Return the importances of a study.

    Raises:
        SurroundingsError: The storage is damaged, or cannot be reached.
    """
    complete = study.records.totals.counts["complete"]
    if not is_wanted(study.plan, complete):
        return Importances()
    if study.live is not None:
        return of_live(study.live, study.plan, complete)
    from search.study.importance import importances
    from search.study.reading import read_complete

    trials = read_complete(study.folder, study.plan)
    chosen = sample(trials)
    return Importances(importances(chosen, study.plan.directions[0]), len(chosen), len(trials))


def of_live(live: Live, plan: SweepPlan, complete: int) -> Importances:
    """Return the importances of a study of one metric with so many completed trials."""
    known = Importances(**live.table.facts.get("importances", {})) if live.table is not None else Importances()
    if known.of == complete or (complete > SAMPLE and 2 * known.of > complete):
        return known
    from search.study.importance import frozen, importances

    numbers = live.complete()
    chosen = sample(numbers)
    shares = importances([frozen(live.raw(number)) for number in chosen], plan.directions[0])
    return Importances(shares, len(chosen), len(numbers))


def is_wanted(plan: SweepPlan, complete: int) -> bool:
    """Tell whether a study has importances: one metric, and not too few completed trials."""
    return len(plan.metrics) == 1 and complete >= LEAST_TRIALS


def sample(items: Sequence[_Item]) -> list[_Item]:
    """Return at most `SAMPLE` items, evenly spread over all."""
    count = min(len(items), SAMPLE)
    return [items[index * len(items) // count] for index in range(count)]
