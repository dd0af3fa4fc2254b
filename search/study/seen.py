"""How a study's trials are shown to its sampler, so that it learns from those that failed, and only from those.

A FAIL of the configuration is the worst there is; one of the surroundings says nothing. Optuna's samplers read
neither: GP and TPE would suggest the same failing point again and again.

| sampler | sees a FAIL of the configuration as | because |
|---|---|---|
| tpe | PRUNED, and beyond every constraint | it ranks that below every value |
| gp, cmaes | COMPLETE with the worst value seen, of each metric | they read nothing else |
| evolve | the same | it draws mutants again that are nearest to one |
| nsga2 | FAIL | it makes no parent; with a value it could, where few others have one |
| random, qmc, grid | FAIL | they learn nothing |

A trial that rests at a rung until it is promoted is PRUNED to tpe and evolve: with one metric they learn from its
reports meanwhile. With several, Optuna keeps no reports: all they know of a pruned trial is that it did not fail.

Of constraints, too: tpe weighs a failed trial behind those that miss one, gp gets as many for each trial (it takes no
other), and cmaes, which knows of none, sees a trial that misses one as the worst.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.errors import FailReason
from search.study import attributes
from search.study.aheads import is_ahead
from search.study.constraints import FAILURE, is_infeasible, stored
from search.study.mapping import SpaceMapping
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
        return lambda trial: _unpaused(_rested(_failed(trial, None, forgiven)))
    if sampler == "evolve":
        return lambda trial: _rested(_failed(trial, None, forgiven))
    if sampler in _BY_VALUE and (worst := _worst(study)):
        excess = _worst_excess(study)
        shown = _with_all_constraints if sampler == "gp" else _worst_where_missed
        return lambda trial: shown(_failed(trial, worst, forgiven), worst, excess)
    return None


def through(mapping: SpaceMapping | None, view: Seen | None) -> Callable[[FrozenTrial], FrozenTrial | None] | None:
    """Return a view of trials that stand in the space of today, those of an earlier one as they are mapped into it."""
    if mapping is None or view is None:
        return mapping or view

    def seen(trial: FrozenTrial) -> FrozenTrial | None:
        mapped = mapping(trial)
        return None if mapped is None else view(mapped)

    return seen


def is_of_the_configuration(trial: FrozenTrial) -> bool:
    """Tell whether a trial is a FAIL, and the configuration's own."""
    if trial.state is not TrialState.FAIL:
        return False
    reason = trial.system_attrs.get(attributes.END, {}).get("reason")
    return reason is not None and FailReason(reason).is_the_trials_own


def _failed(trial: FrozenTrial, values: Sequence[float] | None, forgiven: Collection[int]) -> FrozenTrial:
    if not is_of_the_configuration(trial) or trial.number in forgiven:
        return trial
    changed = copy.copy(trial)
    changed.state = TrialState.PRUNED if values is None else TrialState.COMPLETE
    changed.values, changed.intermediate_values = values, {}
    if values is None:
        changed.system_attrs = {**trial.system_attrs, **FAILURE}
    return changed


def _with_all_constraints(trial: FrozenTrial, _: Sequence[float], excess: Mapping[str, float]) -> FrozenTrial:
    """Show a trial with every constraint that any trial has, at its worst where it has not said."""
    if not excess or trial.state is not TrialState.COMPLETE:
        return trial
    mine = stored(trial.system_attrs)
    others = {key: one for key, one in trial.system_attrs.items() if not key.startswith("constraints")}
    changed = copy.copy(trial)
    changed.system_attrs = others | {f"constraints:{name}": mine.get(name, worst) for name, worst in excess.items()}
    return changed


def _worst_where_missed(trial: FrozenTrial, worst: Sequence[float], excess: Mapping[str, float]) -> FrozenTrial:
    """Show a trial that misses a constraint as the worst there is."""
    if not excess or trial.state is not TrialState.COMPLETE or not is_infeasible(trial.system_attrs):
        return trial
    changed = copy.copy(trial)
    changed.values = list(worst)
    return changed


def _rested(trial: FrozenTrial) -> FrozenTrial:
    """A trial that rests at a rung says what a pruned one does: it may end as one."""
    if trial.state is not TrialState.RUNNING:
        return trial
    record = from_frozen(trial)
    if record.state != "paused" or not record.rung.get("rests"):
        return trial
    changed = copy.copy(trial)
    changed.state = TrialState.PRUNED
    return changed


def _unpaused(trial: FrozenTrial) -> FrozenTrial:
    """A paused trial is nobody's, so it must not repel the sampler from its neighbourhood; one drawn ahead does."""
    if trial.state is not TrialState.RUNNING or from_frozen(trial).state != "paused":
        return trial
    if is_ahead(trial.system_attrs[attributes.LEASE].get("request", "")):
        return trial
    changed = copy.copy(trial)
    changed.state = TrialState.WAITING
    return changed


def _worst(study: optuna.Study) -> list[float]:
    """Return the worst value seen of each metric; [] while there is none."""
    complete = [one.values for one in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]
    by_metric = zip(study.directions, zip(*complete, strict=True), strict=True) if complete else ()
    return [max(values) if way is StudyDirection.MINIMIZE else min(values) for way, values in by_metric]


def _worst_excess(study: optuna.Study) -> dict[str, float]:
    """Return by name how far a trial was beyond each constraint at the most; {} where there are none."""
    found: dict[str, float] = {}
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        for name, excess in stored(trial.system_attrs).items():
            found[name] = max(excess, found.get(name, excess))
    return found
