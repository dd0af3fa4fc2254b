"""Takes up a study from its storage: what has ended is counted, what has not is held, or offered to whoever asks."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.plan import SweepPlan
from search.study import attributes
from search.study.aheads import is_ahead
from search.study.held import Hands, take_up
from search.study.ledger import Ledger
from search.study.record import TrialRecord, from_frozen


def open_study(plan: SweepPlan, storage: optuna.storages.BaseStorage) -> optuna.Study:
    """Open the study of a plan, or make it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it announces every study on stderr
    directions = [optuna.study.StudyDirection[one.upper()] for one in plan.directions]
    study = optuna.create_study(storage=storage, study_name=plan.study, directions=directions, load_if_exists=True)
    attrs = storage.get_study_system_attrs(study._study_id)
    if attributes.SCHEMA_KEY not in attrs:
        storage.set_study_system_attr(study._study_id, attributes.SCHEMA_KEY, attributes.SCHEMA)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(plan.metrics))
    return study


def fill(
    ledger: Ledger,
    hands: Hands,
    trials: Sequence[FrozenTrial],
    *,
    again: bool,
    began_at_s: float,
    now: float,
    by_hand: bool = False,
) -> None:
    """Count the trials that have ended, and hold those that have not.

    Args:
        ledger: Empty but for its seconds.
        hands: Empty.
        trials: All of the study's.
        again: Whether the study is opened again within a run, whose workers live; else all that has not ended is in
            nobody's hands.
        began_at_s: Seconds of the study's life at which the run began: failures in a row are those since.
        now: Monotonic seconds.
        by_hand: Whether the objective numbers its reports by itself, so that a step is no count of them.
    """
    instead_of = (attributes.RETRY_OF, attributes.MOVED_FROM)
    ledger.take_back({trial.system_attrs[key] for trial in trials for key in instead_of if key in trial.system_attrs})
    for trial, record in sorted(((one, from_frozen(one)) for one in trials), key=_in_order_of_ends):
        ledger.epochs += len(record.reports) if by_hand else record.epochs_run
        if trial.state.is_finished():
            ledger.count(record, in_this_run=record.at_s > began_at_s)
        elif trial.state is TrialState.RUNNING and attributes.REQUEST in trial.system_attrs:
            _hold(hands, trial, mine=again, at_s=ledger.seconds, now=now)
        if again and (request := _request_of(trial)):
            hands.remember(request, trial.number)


def _in_order_of_ends(one: tuple[FrozenTrial, TrialRecord]) -> tuple[bool, float, int]:
    """Return what sorts trials by their ends, unended ones last; a wall clock may have been set back between two."""
    trial, record = one
    ended = trial.state.is_finished()
    return not ended, record.at_s if ended else 0.0, trial.number


def _hold(hands: Hands, trial: FrozenTrial, *, mine: bool, at_s: float, now: float) -> None:
    """Hold a trial that has not ended; one that nobody has is offered to the next who asks."""
    request, lease = _request_of(trial) if mine else "", trial.system_attrs.get(attributes.LEASE, {})
    held = take_up(trial, request, now=now, at_s=at_s)
    if not mine:
        held.let_go(now)
        held.paused = True
    late_worker = lease.get("token", "") != held.token  # began it after it had been taken from its slot
    hands.hold(held, offer=not request and (held.paused or not late_worker))


def _request_of(trial: FrozenTrial) -> str:
    """Return the ask that a stored trial answered last; "" if it waits for one."""
    lease = trial.system_attrs.get(attributes.LEASE, {})
    request = str(lease.get("request", trial.system_attrs.get(attributes.REQUEST, "")))
    return "" if is_ahead(request) else request
