"""Asynchronous successive halving: at each rung only the best 1/`reduction_factor` of those seen there go on.

The rule is that of Li et al., "A System for Massively Parallel Hyperparameter Tuning" (2020), as Optuna's
`SuccessiveHalvingPruner` applies it; the values at each rung are kept sorted.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable

from optuna.trial import FrozenTrial

from search.study import attributes
from search.study.pruners._rule import Heard, Pruning, PruningRule


class Asha(PruningRule):
    """Successive halving without waiting for others.

    Rung k is at step `min_resource * reduction_factor ** (min_early_stopping_rate + k)`.

    Args:
        direction: `minimize` or `maximize`.
        max_epochs: The last step.
        min_resource: First rung, in steps; "auto" is a hundredth of the last step.
        reduction_factor: One in so many goes on from a rung.
        min_early_stopping_rate: How many rungs are left out at the beginning.
        bootstrap_count: At a rung nobody goes on before more than so many have been there.
    """

    name = "asha"

    def __init__(
        self,
        *,
        direction: str,
        max_epochs: int,
        min_resource: int | str = 1,
        reduction_factor: int = 3,
        min_early_stopping_rate: int = 0,
        bootstrap_count: int = 0,
    ) -> None:
        super().__init__(direction=direction, max_epochs=max_epochs)
        if min_resource != "auto" and (isinstance(min_resource, str) or min_resource < 1):
            raise ValueError(f"min_resource must be at least 1, or auto, got {min_resource}")
        if reduction_factor < 2:
            raise ValueError(f"reduction_factor must be at least 2, got {reduction_factor}")
        if min_early_stopping_rate < 0:
            raise ValueError(f"min_early_stopping_rate must be at least 0, got {min_early_stopping_rate}")
        if min_early_stopping_rate > 63:  # nobody trains that far, and its power would take all memory
            raise ValueError(f"min_early_stopping_rate must be at most 63, got {min_early_stopping_rate}")
        if bootstrap_count < 0:
            raise ValueError(f"bootstrap_count must be at least 0, got {bootstrap_count}")
        first = max(max_epochs // 100, 1) if isinstance(min_resource, str) else min_resource
        self._first_step: int = first * reduction_factor**min_early_stopping_rate
        self._reduction_factor = reduction_factor
        self._bootstrap_count = bootstrap_count
        self._rungs: defaultdict[int, list[float]] = defaultdict(list)  # costs at each rung, rising
        self._reached: dict[int, int] = {}  # by trial number: rungs it has been judged at

    @property
    def first_step(self) -> int:
        return self._first_step

    def judge_at(self, step: int, trial: FrozenTrial) -> Pruning | None:
        value = trial.intermediate_values[step]
        while (rung_step := self._rung_step(self._reached.get(trial.number, 0))) <= step:
            if math.isnan(value):
                return Pruning(self.name, step, value, rung=rung_step)
            place, costs = self._enter(trial.number, value)
            bar = costs[max(len(costs) // self._reduction_factor, 1) - 1]
            if len(costs) <= self._bootstrap_count or self.sign * value > bar:
                cutoff = self.sign * bar
                return Pruning(self.name, step, value, cutoff, place + 1, len(costs), rung_step)
        return None

    def replay(self, trials: Iterable[FrozenTrial], heard: Heard | None = None) -> None:
        self._rungs.clear()
        self._reached.clear()
        for trial in trials:
            self.recall(trial, (heard or self.steps_heard)(trial))

    def recall(self, trial: FrozenTrial, steps: Iterable[int]) -> None:
        """Take in one trial of a storage, which was judged at these steps.

        A report may have jumped over several rungs; where that ended is told by the pruning that was stored.
        """
        stopped_at = (trial.system_attrs.get(attributes.PRUNING) or {}).get("rung") or math.inf
        for step in steps:
            value = trial.intermediate_values[step]
            if math.isnan(value):
                continue
            while self._rung_step(self._reached.get(trial.number, 0)) <= min(step, stopped_at):
                self._enter(trial.number, value)

    def _rung_step(self, rung: int) -> int:
        return int(self._first_step * self._reduction_factor**rung)

    def _enter(self, number: int, value: float) -> tuple[int, list[float]]:
        """Add a trial's value at its next rung; return how many there are better, and all costs there."""
        rung = self._reached.get(number, 0)
        self._reached[number] = rung + 1
        costs, cost = self._rungs[rung], self.sign * value
        insort(costs, cost)
        return bisect_left(costs, cost), costs
