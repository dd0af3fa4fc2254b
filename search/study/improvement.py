"""Tells when going on is not worth its cost any more: by what more trials are expected to gain over the best so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.trial import FrozenTrial

from search.plan import SweepPlan
from search.study import attributes
from search.study.confidence import Confidence
from search.study.outlook import Foresight, Outlook
from search.study.pruners import PruningRule
from search.study.record import TrialRecord

EVERY: Final = 5
"""Trials that ended between two looks, or came to rest by a rule that foresees what they would gain."""

IN_A_ROW: Final = 3
"""Looks in a row that have to find too little."""


class Improvement:
    """Looks every few trials at how much better the next ones may be expected to be.

    Args:
        plan: Says what gain is too little, and in which direction.
        folder: Of the study, None of one in memory.
        rule: The pruner, which may foresee more than a model of the trials that have ended.
        looks: What the study kept as `sweep:looks`; {} if it begins anew, as it does with other limits.
        store: Has the study keep a value under a name.
    """

    def __init__(
        self,
        plan: SweepPlan,
        folder: Path | None,
        rule: PruningRule,
        *,
        looks: Mapping[str, Any],
        store: Callable[[str, Any], None],
    ) -> None:
        self._rule, self._store = rule, store
        self._gain, self._metric = plan.min_gain, plan.metrics[0]
        self._foresight = Foresight(plan)
        self._confidence = Confidence(plan, folder) if plan.until_confident is not None else None
        self._limits = [plan.min_gain, plan.until_confident]
        if looks.get("limits") != self._limits:
            looks = {}
        self._since: int = looks.get("since", 0)
        self._low: list[int] = looks.get("low", [0, 0])  # looks in a row that found too little, by each limit

    def after(
        self,
        record: TrialRecord,
        study: optuna.Study,
        *,
        shown: Callable[[FrozenTrial], FrozenTrial | None] | None = None,
    ) -> str | None:
        """Take in that a trial has ended; say why the sweep should stop, or None.

        Args:
            record: The trial.
            study: With it.
            shown: How a trial stands in the space of today, if not as it is; None if it does not.
        """
        self._since += record.same_as is None
        return self._look(study, shown)

    def rested(
        self, study: optuna.Study, *, shown: Callable[[FrozenTrial], FrozenTrial | None] | None = None
    ) -> str | None:
        """Take in that a trial has come to rest; else as `after`."""
        if not self._rule.foresees:
            return None
        self._since += 1
        return self._look(study, shown)

    def _look(self, study: optuna.Study, shown: Callable[[FrozenTrial], FrozenTrial | None] | None) -> str | None:
        why = self._looked(study, shown) if self._since >= EVERY else None
        self._store(attributes.LOOKS, {"limits": self._limits, "since": self._since, "low": self._low})
        return why

    def _looked(self, study: optuna.Study, shown: Callable[[FrozenTrial], FrozenTrial | None] | None) -> str | None:
        self._since = 0
        trials = study.get_trials(deepcopy=False)
        if shown is not None:
            trials = [one for trial in trials if (one := shown(trial)) is not None]
        outlook = self._rule.outlook() if self._rule.foresees else self._foresight.of(trials)
        sure = None if self._confidence is None else self._confidence.reached(outlook, trials)
        found = (self._too_little(outlook), sure)
        self._low = [low + 1 if why else 0 for low, why in zip(self._low, found, strict=True)]
        return next((why for low, why in zip(self._low, found, strict=True) if low >= IN_A_ROW), None)

    def _too_little(self, outlook: Outlook | None) -> str | None:
        if outlook is None or self._gain is None or outlook.next >= self._gain:
            return None
        told = f"expected improvement of another trial is {outlook.next:.2g} {self._metric}"
        return f"{told}, below --min-gain {self._gain:g}"
