"""How a study's trials are shown to its sampler, so that it learns from those that failed, and only from those.

A FAIL of the configuration is the worst there is; one of the surroundings says nothing. Optuna's samplers read
neither: GP and TPE would suggest the same failing point again and again.

| sampler | sees a FAIL of the configuration as | because |
|---|---|---|
| tpe | PRUNED before its first report | it ranks that below every value |
| gp, cmaes | COMPLETE with the worst value seen, of each metric | they read nothing else |
| evolve | PRUNED before its first report | it leaves mutants be that are nearest to one |
| nsga2 | FAIL | it makes no parent; with a value it could, where few others have one |
| random, qmc, grid | FAIL | they learn nothing |
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from typing import Final

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.errors import FailReason
from search.study import attributes
from search.study.record import from_frozen

Seen = Callable[[FrozenTrial], FrozenTrial]

_BY_VALUE: Final = ("gp", "cmaes")


def view_of(sampler: str, study: optuna.Study, *, forgiven: Collection[int] = ()) -> Seen | None:
    """Return how trials are shown to a sampler; None for as they are.

    Args:
        sampler: Its name.
        study: The trials are read of.
        forgiven: Failed trials that are run again.
    """
    if sampler == "tpe":
        return lambda trial: _unpaused(_failed(trial, None, forgiven))
    if sampler == "evolve":
        return lambda trial: _failed(trial, None, forgiven)
    if sampler in _BY_VALUE and (worst := _worst(study)):
        return lambda trial: _failed(trial, worst, forgiven)
    return None


def is_infeasible(trial: FrozenTrial) -> bool:
    """Tell whether a FAIL is of the configuration."""
    if trial.state is not TrialState.FAIL:
        return False
    reason = trial.system_attrs.get(attributes.END, {}).get("reason")
    return reason is not None and FailReason(reason).is_the_trials_own


def _failed(trial: FrozenTrial, values: Sequence[float] | None, forgiven: Collection[int]) -> FrozenTrial:
    if not is_infeasible(trial) or trial.number in forgiven:
        return trial
    changed = copy.copy(trial)
    changed.state = TrialState.PRUNED if values is None else TrialState.COMPLETE
    changed.values, changed.intermediate_values = values, {}
    return changed


def _unpaused(trial: FrozenTrial) -> FrozenTrial:
    """A paused trial is nobody's, so it must not repel the sampler from its neighbourhood."""
    if trial.state is not TrialState.RUNNING or from_frozen(trial).state != "paused":
        return trial
    changed = copy.copy(trial)
    changed.state = TrialState.WAITING
    return changed


def _worst(study: optuna.Study) -> list[float]:
    """Return the worst value seen of each metric; [] while there is none."""
    complete = [one.values for one in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]
    by_metric = zip(study.directions, zip(*complete, strict=True), strict=True) if complete else ()
    return [max(values) if way is StudyDirection.MINIMIZE else min(values) for way, values in by_metric]
