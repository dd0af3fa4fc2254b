"""CMA-ES whose state is rebuilt from the finished trials: Optuna's sampler, without the pickle in the storage."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import optuna
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution
from optuna.samplers import CmaEsSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from search.study import attributes


class CmaEs(CmaEsSampler):
    """Optuna's CMA-ES for one suggestion; numbers are searched together, all else is drawn by itself.

    A trial keeps the generation it belongs to as an attribute (with margin also its point before rounding). A
    generation is told the trials that completed first, so a straggler does not change what was told already.
    """

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        self._sign = 1.0 if study.direction == StudyDirection.MINIMIZE else -1.0
        self._direction = study.direction
        self._space = search_space
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Separable CMA-ES")  # at each trial of a space with one number
            return super().sample_relative(study, trial, search_space)

    def _restore_optimizer(self, completed_trials: list[FrozenTrial]) -> Any:
        """Tell a fresh optimizer every whole generation again, in order."""
        transform = _SearchSpaceTransform(self._space, transform_step=not self._with_margin, transform_0_1=True)
        optimizer: Any = self._init_optimizer(transform, self._direction)
        while True:
            size = optimizer.population_size
            told = self._get_solution_trials(completed_trials, optimizer.generation)[:size]
            if len(told) < size:
                return optimizer
            optimizer.tell([(self._point(one, transform), self._cost(one)) for one in told])

    def _get_solution_trials(self, trials: list[FrozenTrial], generation: int) -> list[FrozenTrial]:
        # A space that has changed since leaves trials behind that lack a parameter of the space of today.
        found = [
            trial
            for trial in super()._get_solution_trials(trials, generation)
            if self._space.keys() <= trial.params.keys() and self._has_point(trial)
        ]
        return sorted(found, key=_end_of)

    def _has_point(self, trial: FrozenTrial) -> bool:
        return not self._with_margin or len(trial.system_attrs["x_for_tell"]) == len(self._space)

    def _point(self, trial: FrozenTrial, transform: _SearchSpaceTransform) -> np.ndarray[Any, Any]:
        return np.array(trial.system_attrs["x_for_tell"]) if self._with_margin else transform.transform(trial.params)

    def _cost(self, trial: FrozenTrial) -> float:
        values: Sequence[float] | None = trial.values
        assert values is not None  # of a COMPLETE trial, or of a PRUNED one that is considered: its last report
        return self._sign * values[0]

    def _split_optimizer_str(self, optimizer_str: str) -> dict[str, str]:  # noqa: ARG002 - Optuna's hook
        return {}  # what Optuna would store: a pickle


def _end_of(trial: FrozenTrial) -> tuple[float, datetime, int]:
    """Return what sorts trials by their ends: by the study's own clock, since a wall clock may be set back."""
    at_s = trial.system_attrs.get(attributes.END, {}).get("at_s", 0.0)
    return at_s, trial.datetime_complete or datetime.max, trial.number
