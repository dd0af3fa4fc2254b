"""Wilcoxon pruning: a signed-rank test, step by step, against the best trial; for steps that are folds or instances.

The rule of Optuna's `WilcoxonPruner`; the best trial is kept at hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from optuna.trial import FrozenTrial, TrialState

from search.study.pruners._rule import Heard, Pruning, PruningRule


class Wilcoxon(PruningRule):
    """Prunes a trial that is worse than the best one with a p-value below the threshold.

    Reports are values of their own step (a fold's score), not results so far.

    Args:
        direction: `minimize` or `maximize`.
        max_epochs: The last step.
        p_threshold: Between 0 and 1; larger prunes more.
        n_startup_steps: Nobody is pruned with fewer steps in common with the best trial; at least 2 are needed.
    """

    name = "wilcoxon"

    def __init__(self, *, direction: str, max_epochs: int, p_threshold: float = 0.1, n_startup_steps: int = 2) -> None:
        super().__init__(direction=direction, max_epochs=max_epochs)
        if not 0 <= p_threshold <= 1:
            raise ValueError(f"p_threshold must be between 0 and 1, got {p_threshold}")
        if n_startup_steps < 0:
            raise ValueError(f"n_startup_steps must be at least 0, got {n_startup_steps}")
        self._p_threshold = p_threshold
        self._n_startup_steps = n_startup_steps
        self._best: FrozenTrial | None = None

    @property
    def first_step(self) -> int:
        return max(self._n_startup_steps, 2)

    def judge_at(self, step: int, trial: FrozenTrial) -> Pruning | None:
        if self._best is None:
            return None
        own, best = trial.intermediate_values, self._best.intermediate_values
        if not best or not all(map(math.isfinite, [*own.values(), *best.values()])):
            return None
        worse_by = [self.sign * (own[one] - best[one]) for one in sorted(own.keys() & best.keys())]
        if len(worse_by) < max(2, self._n_startup_steps):
            return None
        from scipy.stats import wilcoxon  # slow to import, and few need it

        p = float(wilcoxon(worse_by, alternative="greater", zero_method="zsplit").pvalue)
        if not p < self._p_threshold or self.sign * _mean(own) <= self.sign * _mean(best):
            return None
        return Pruning(self.name, step, p, self._p_threshold, of=len(worse_by))

    def settle(self, trial: FrozenTrial) -> None:
        if trial.state is TrialState.COMPLETE and (self._best is None or self._rank(trial) < self._rank(self._best)):
            self._best = trial

    def replay(self, trials: Iterable[FrozenTrial], heard: Heard | None = None) -> None:  # noqa: ARG002 - reports alone leave no trace
        self._best = None
        for trial in trials:
            self.settle(trial)

    def _rank(self, trial: FrozenTrial) -> tuple[float, int]:
        assert trial.value is not None
        return self.sign * trial.value, trial.number


def _mean(values: dict[int, float]) -> float:
    return sum(values.values()) / len(values)
