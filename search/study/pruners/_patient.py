"""Patience before pruning: another pruner is asked only about a trial that has not improved for a while."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from optuna.trial import FrozenTrial

from search.study.pruners._rule import Heard, Judged, Pruning, PruningRule


class Patient(PruningRule):
    """Asks the wrapped pruner once the last `patience + 1` reports are all worse than what came before them.

    The rule of Optuna's `PatientPruner`.

    Args:
        wrapped: Who decides then; without one the trial is pruned.
        direction: `minimize` or `maximize`.
        max_epochs: The last step.
        patience: Reports without a better one that are borne.
        min_delta: Worse by less than this is not worse.
    """

    name = "patient"

    def __init__(
        self, wrapped: PruningRule | None, *, direction: str, max_epochs: int, patience: int = 3, min_delta: float = 0.0
    ) -> None:
        super().__init__(direction=direction, max_epochs=max_epochs)
        if patience < 0:
            raise ValueError(f"patience must be at least 0, got {patience}")
        if not min_delta >= 0:  # nor NaN
            raise ValueError(f"min_delta must be at least 0, got {min_delta}")
        if wrapped is not None and wrapped.promotes:
            raise ValueError("wrapped must prune, got one that promotes; leave promote out")
        self._wrapped = wrapped
        self._patience = patience
        self._min_delta = min_delta

    @property
    def first_step(self) -> int:
        own = self._patience + 2
        return own if self._wrapped is None else max(own, self._wrapped.first_step)

    def judge_at(self, step: int, trial: FrozenTrial) -> Judged:
        loss = self._loss_of_patience(trial.intermediate_values, sorted(trial.intermediate_values))
        if loss is None:
            return None
        if self._wrapped is None:
            return loss
        judged = self._wrapped.judge_at(step, trial)
        return replace(judged, rule=f"{self.name} {judged.rule}") if isinstance(judged, Pruning) else judged

    def settle(self, trial: FrozenTrial) -> None:
        if self._wrapped is not None:
            self._wrapped.settle(trial)

    def replay(self, trials: Iterable[FrozenTrial], heard: Heard | None = None) -> None:
        if self._wrapped is None:
            return

        def heard_by_wrapped(trial: FrozenTrial) -> list[int]:
            steps, values = sorted(trial.intermediate_values), trial.intermediate_values
            return [
                step
                for step in (heard or self.steps_heard)(trial)
                if self._loss_of_patience(values, steps[: steps.index(step) + 1]) is not None
            ]

        self._wrapped.replay(trials, heard_by_wrapped)

    def _loss_of_patience(self, values: Mapping[int, float], steps: Sequence[int]) -> Pruning | None:
        """Compare the best of the last reports with the best before them; `steps` rise."""
        if len(steps) <= self._patience + 1:
            return None
        before = self._least_cost(values, steps[: -self._patience - 1])
        after = self._least_cost(values, steps[-self._patience - 1 :])
        if not before + self._min_delta < after:
            return None
        return Pruning(self.name, steps[-1], self.sign * after, self.sign * before)

    def _least_cost(self, values: Mapping[int, float], steps: Sequence[int]) -> float:
        return min((self.sign * values[step] for step in steps if not math.isnan(values[step])), default=math.nan)
