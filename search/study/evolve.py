"""A sampler for short and long sweeps alike: half of the trials are uniform, the others are mutants of the best."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import optuna
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.study.constraints import is_failure, stored, violation

_SPREAD: Final = 0.25
"""Standard deviation of a step, as a share of a parameter's range."""

_LEAST_STEP: Final = 0.7
"""The same at least, in steps of a whole number, so that ranges of few values are walked too."""

_REDRAWS: Final = 20
"""How often a mutant is drawn again because a trial like it exists, or a step because it leads outside."""

_REMEMBERED: Final = 500
"""How many of the latest trials say where it fails: a mutant is compared with each."""

_SCORED: Final = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
_ENDED: Final = (TrialState.COMPLETE, TrialState.PRUNED)


class Evolve(BaseSampler):
    """Random search and a steady-state evolution, mixed for good.

    A mutant is a copy of one of the best trials so far, judged by their last value at whatever step (one that
    misses a constraint is behind all that do not), with a few
    parameters changed: another category, or a Gaussian step in a number (in its logarithm where its range is
    logarithmic). In a conditional space it keeps its parent's branch; where a change opens another branch, the
    parameters there are drawn uniformly. One whose nearest neighbour failed is drawn again. The uniform half is what
    the literature on genetic algorithms calls random immigrants (Grefenstette 1992; the parents are those of a
    (mu + 1) evolution strategy). It keeps the search from locking itself in beside a pruner, whose bar is relative to
    what was proposed: were every mutant better than every uniform trial, halving by three would still let two mutants
    in three go on.

    With several metrics the parents are the Pareto front. One instance serves one thread.

    Args:
        n_startup_trials: Uniform until so many trials have a value.
        uniform_share: Share of later trials that are uniform, 0 to 1.
        n_parents: How many of the best trials are parents (with several metrics: the whole front).
        n_changes: Parameters that a mutant changes on average; at most half of what it has, and at least one.
        seed: Of all draws; a new instance for each trial needs its own.
    """

    def __init__(
        self,
        *,
        n_startup_trials: int = 10,
        uniform_share: float = 0.5,
        n_parents: int = 5,
        n_changes: float = 2.5,
        seed: int | None = None,
    ) -> None:
        if n_startup_trials < 0:
            raise ValueError(f"n_startup_trials must be at least 0, got {n_startup_trials}")
        if not 0 <= uniform_share <= 1:
            raise ValueError(f"uniform_share must be from 0 to 1, got {uniform_share}")
        if n_parents < 1:
            raise ValueError(f"n_parents must be at least 1, got {n_parents}")
        if not n_changes > 0:
            raise ValueError(f"n_changes must be above 0, got {n_changes}")
        self._n_startup_trials = n_startup_trials
        self._uniform_share = uniform_share
        self._n_parents = n_parents
        self._n_changes = n_changes
        self._random = np.random.default_rng(seed)
        self._uniform = RandomSampler(seed=int(self._random.integers(2**32)))
        self._parent: Mapping[str, Any] = {}

    def reseed_rng(self) -> None:
        self._random = np.random.default_rng()
        self._uniform.reseed_rng()

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Choose a parent; what a mutant takes from it is what the parent has and the user did not fix."""
        self._parent = {}
        if self._random.random() < self._uniform_share:
            return {}
        parents = self._parents(study)
        if not parents:
            return {}
        parent = parents[int(self._random.integers(len(parents)))]
        self._parent = parent.params
        fixed = trial.system_attrs.get("fixed_params", {})
        return {name: one for name, one in parent.distributions.items() if name not in fixed and not one.single()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Mutate the parent, into what no trial has been yet if that is found soon."""
        if not search_space:
            return {}
        rest = {name: value for name, value in self._parent.items() if name not in search_space}
        rest |= trial.system_attrs.get("fixed_params", {})
        trials = study.get_trials(deepcopy=False)
        tried, fails = [one.params for one in trials], _where_it_fails(trials, search_space)
        mutant = self._mutant(search_space)
        for _ in range(_REDRAWS):
            if {**rest, **mutant} not in tried and not fails(mutant):
                break
            mutant = self._mutant(search_space)
        return mutant

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._uniform.sample_independent(study, trial, param_name, param_distribution)

    def _parents(self, study: optuna.Study) -> Sequence[FrozenTrial]:
        """Return the best trials, or none while too few have a value."""
        trials = study.get_trials(deepcopy=False, states=_SCORED)
        if len(study.directions) > 1:
            complete = sum(one.state is TrialState.COMPLETE for one in trials)
            return study.best_trials if complete >= max(self._n_startup_trials, 1) else []
        sign = -1.0 if study.direction is StudyDirection.MAXIMIZE else 1.0
        scored = [
            (violation(stored(one.system_attrs)), sign * score, one.number, one)
            for one in trials
            if (score := _last_value(one)) is not None
        ]
        if len(scored) < self._n_startup_trials:
            return []
        return [one for _, _, _, one in heapq.nsmallest(self._n_parents, scored)]

    def _mutant(self, space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
        names = list(space)
        changed = self._random.random(len(names)) < min(0.5, self._n_changes / len(names))
        changed[self._random.integers(len(names))] |= not changed.any()
        return {
            name: _stepped(self._parent[name], space[name], self._random) if change else self._parent[name]
            for name, change in zip(names, changed, strict=True)
        }


def _where_it_fails(
    trials: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution]
) -> Callable[[Mapping[str, Any]], bool]:
    """Return a guess at whether a point fails: whether the nearest of the trials that have ended did.

    Those that failed are shown as PRUNED, and marked; distance is the sum over parameters, as shares of their ranges.
    """
    known = [
        one
        for one in trials[-_REMEMBERED:]
        if one.state in _ENDED and all(one.distributions.get(name) == there for name, there in space.items())
    ]
    failed = np.array([is_failure(one.system_attrs) for one in known], dtype=bool)
    if not failed.any():
        return lambda _: False
    transform = _SearchSpaceTransform(dict(space), transform_0_1=True)

    def place(params: Mapping[str, Any]) -> np.ndarray[Any, Any]:
        return transform.transform({name: params[name] for name in space})

    places = np.array([place(one.params) for one in known])
    return lambda point: bool(failed[np.abs(places - place(point)).sum(axis=1).argmin()])


def _last_value(trial: FrozenTrial) -> float | None:
    """Return a trial's value, or while it has none its last report; None if that is no number."""
    if trial.values is not None:
        value = trial.values[0]
    elif trial.intermediate_values:
        value = trial.intermediate_values[max(trial.intermediate_values)]
    else:
        return None
    return None if math.isnan(value) else value


def _stepped(value: Any, distribution: BaseDistribution, random: np.random.Generator) -> Any:
    """Return a value near another one, and not the same."""
    if isinstance(distribution, CategoricalDistribution):
        here = int(distribution.to_internal_repr(value))
        others = [index for index in range(len(distribution.choices)) if index != here]
        return distribution.choices[others[random.integers(len(others))]]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    for _ in range(_REDRAWS):
        stepped = _step(value, distribution, random)
        if stepped != value and distribution.low <= stepped <= distribution.high:
            return stepped
    return value


def _step(value: float, distribution: FloatDistribution | IntDistribution, random: np.random.Generator) -> float:
    """Draw one step; it may lead outside the range."""
    low, high, step = float(distribution.low), float(distribution.high), distribution.step
    if distribution.log:
        half = 0.5 if isinstance(distribution, IntDistribution) else 0.0  # a whole number stands for what rounds to it
        low, high, here = math.log(low - half), math.log(high + half), math.log(value)
        far = math.exp(here + random.normal() * _SPREAD * (high - low))
        return round(far) if half else far
    if step is None:
        return value + random.normal() * _SPREAD * (high - low)
    steps = random.normal() * max(_SPREAD * (high - low) / step, _LEAST_STEP)
    there = low + step * round((value - low) / step + steps)
    return round(there) if isinstance(distribution, IntDistribution) else there
