"""How a trial stands at the rungs of its study's pruner, reckoned anew from what is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast

from search.errors import InputError
from search.records.study import StoredStudy
from search.study import attributes
from search.study.record import TrialRecord

MOST_TRIALS: Final = 2_000
"""Of more trials only a stored pruning is told: a large study is shown without Optuna, and is not read whole."""


@dataclass(frozen=True, slots=True)
class _Reported:
    """What pruners read of a trial, named as Optuna's `FrozenTrial` names it."""

    number: int
    intermediate_values: dict[int, float]
    system_attrs: dict[str, Any]


def standings(study: StoredStudy, record: TrialRecord) -> tuple[dict[str, Any], ...]:
    """Return a trial's standing, as of now, at each rung that it came to, as `Pruning.to_json` has it.

    Rules without rungs have none, nor has a trial that took another's result; nor is any known of a pruner that is not
    known here, as of a study of a later version.
    """
    plan = study.plan
    if record.same_as is not None or not record.last_step or len(study.records) > MOST_TRIALS:
        return ()
    from search.study import pruners  # which loads Optuna
    from search.study.choice import Choice

    last = plan.max_epochs or pruners.NO_LIMIT
    try:
        choice = Choice.parse(plan.pruner)
        pruners.check(choice, last)
    except InputError:
        return ()
    rule = pruners.make(choice, directions=plan.directions, seed=plan.seed, max_epochs=last, metrics=plan.metrics)
    rungs = rule.rungs_of(record.number)
    if not rungs:
        return ()
    rule.replay(cast(Any, _reported(one)) for one in study.records if one.same_as is None)
    found = [rule.standing(record.number, rung) for rung in rungs if rung <= record.last_step]
    return tuple(standing.to_json() for standing in found if standing is not None)


def _reported(record: TrialRecord) -> _Reported:
    metrics = {attributes.metrics_key(step): values for step, values in record.metrics.items()}
    kept = {attributes.PRUNING: record.pruning, attributes.RUNG: record.rung}
    return _Reported(record.number, dict(record.reports), {**metrics, **kept})
