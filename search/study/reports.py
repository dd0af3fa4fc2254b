"""What a trial has reported, as costs: the `Reports`, of one searched metric or of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from optuna.trial import FrozenTrial

from search.study import attributes

Costs: TypeAlias = tuple[float, ...]
"""One number for each searched metric; lower is better."""


class Reports:
    """Reads the reports of a study's trials.

    Optuna takes reports of one metric only, so those of several stand in an attribute for each step.

    Args:
        directions: `minimize` or `maximize`, of each searched metric.
        metrics: Their names; without those no reports of several are read, and their final values count.
    """

    def __init__(self, directions: Sequence[str], metrics: Sequence[str] = ()) -> None:
        self.directions = tuple(directions)
        self._signs = tuple(-1.0 if direction == "maximize" else 1.0 for direction in directions)
        self._metrics = tuple(metrics)

    @property
    def dimensions(self) -> int:
        return len(self._signs)

    def steps(self, trial: FrozenTrial) -> list[int]:
        """Return the steps that a trial has reported, in rising order."""
        if self.dimensions == 1:
            return sorted(trial.intermediate_values)
        if not self._metrics:
            return []
        return [*attributes.metrics_by_step(trial.system_attrs)]

    def costs(self, trial: FrozenTrial, step: int) -> Costs:
        """Return what a trial reported at a step."""
        if self.dimensions == 1:
            return (self._signs[0] * trial.intermediate_values[step],)
        told = trial.system_attrs[attributes.metrics_key(step)]
        return tuple(sign * told[name] for sign, name in zip(self._signs, self._metrics, strict=True))

    def of_values(self, values: Sequence[float]) -> Costs:
        """Return a trial's final values as costs."""
        return tuple(sign * value for sign, value in zip(self._signs, values, strict=True))

    def value(self, costs: Costs) -> float:
        """Return the first metric in its natural sign."""
        return self._signs[0] * costs[0]
