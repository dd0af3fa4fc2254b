"""What a stored study has spent of its budget, read without its lock."""

from __future__ import annotations

from search.paths import StudyFolder
from search.plan import SweepPlan
from search.study import attributes
from search.study.budget import Budget, exhausted
from search.study.ledger import Ledger
from search.study.reading import stored_trials
from search.study.record import from_frozen
from search.study.runs import seconds_of


def why_exhausted(folder: StudyFolder, plan: SweepPlan) -> str | None:
    """Say which limit of the plan is used up, None if there is room.

    Raises:
        SurroundingsError: The storage is damaged, or cannot be reached.
    """
    trials, attrs = stored_trials(folder, plan)
    records = [from_frozen(trial) for trial in trials]
    ledger = Ledger(plan.directions, plan.max_epochs)
    ledger.take_back({trial.system_attrs.get(attributes.RETRY_OF, -1) for trial in trials})
    for record in sorted(records, key=lambda one: (one.ended is None, one.ended, one.number)):
        ledger.epochs += record.last_step
        if record.ended is not None:
            ledger.count(record)
    spent = ledger.spent(held=0, held_s=0.0, seconds=seconds_of(attrs, records))
    return exhausted(Budget.of(plan), spent, cpus=plan.cpus, gpus=plan.gpus)
