"""Tells when a best result is so sure that going on is not worth it: by the noise of it, the rule `Confidence`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from optuna.trial import FrozenTrial, TrialState

from search.plan import SweepPlan
from search.study.constraints import is_infeasible
from search.study.noise import Noise, noise_of
from search.study.outlook import AHEAD, Outlook, is_finite

_ALIKE: Final = 1e-12  # of a value: what differs by less is the same


class Confidence:
    """Compares what the next trials are expected to gain with what the best result is uncertain by.

    A gain far below that is one that nobody could tell from none. Source: Makarova et al., "Automatic Termination for
    Hyperparameter Optimization" (2022), whose bound on what is left is another one.

    Args:
        plan: Says how small a share of the noise is too little, and in which direction.
        folder: Of the study, None of one in memory.
    """

    def __init__(self, plan: SweepPlan, folder: Path | None) -> None:
        self._plan, self._folder, self._metric = plan, folder, plan.metrics[0]
        self._sign = 1.0 if plan.directions[0] == "minimize" else -1.0

    def reached(self, outlook: Outlook | None, trials: Sequence[FrozenTrial]) -> str | None:
        """Say why going on is not worth it, or None.

        Args:
            outlook: What is expected of the next trials; None where that cannot be told yet.
            trials: Of the study.
        """
        share = self._plan.until_confident
        ranked = self._ranked(trials)
        if share is None or outlook is None or not ranked:
            return None
        noise = noise_of(ranked, self._plan, self._folder, around_model=outlook.noise)
        if noise is None:
            return None if outlook.ahead > 0 else self._all_alike(ranked)
        if outlook.ahead >= share * noise.value or self._better_by(trials, ranked[0]) >= share * noise.value:
            return None
        return self._sentence(outlook, share, noise)

    def _ranked(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the trials that could be the best, in order."""
        able = (one for one in trials if is_finite(one) and one.state is TrialState.COMPLETE)
        return sorted((one for one in able if not is_infeasible(one.system_attrs)), key=self._cost)

    def _cost(self, trial: FrozenTrial) -> float:
        return self._sign * float(trial.values[0])

    def _better_by(self, trials: Sequence[FrozenTrial], best: FrozenTrial) -> float:
        """Return how much better a trial that has not ended is already: that will be gained, whatever is expected."""
        if self._plan.folds or self._plan.replicates > 1:
            return 0.0  # a mean over some of them says little
        going = (one.intermediate_values.values() for one in trials if one.state is TrialState.RUNNING)
        seen = [self._sign * value for values in going for value in values if math.isfinite(value)]
        return max(0.0, self._cost(best) - min(seen, default=math.inf))

    def _sentence(self, outlook: Outlook, share: float, noise: Noise) -> str:
        gain = f"expected improvement of the next {AHEAD} trials is {outlook.ahead:.2g} {self._metric}"
        return f"{gain}, below --until-confident {share:g} of the noise of {noise.value:.2g}: {noise.source}"

    def _all_alike(self, ranked: Sequence[FrozenTrial]) -> str:
        best = float(ranked[0].values[0])
        alike = sum(math.isclose(one.values[0], best, rel_tol=_ALIKE, abs_tol=_ALIKE) for one in ranked)
        told = f"{alike} of {len(ranked)} completed trials came to the best {self._metric}, {best:.6g}"
        return f"{told}: --until-confident expects nothing of more"
