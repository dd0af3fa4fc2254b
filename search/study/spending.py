"""What a stored study has spent of its budget, read without its lock."""

from __future__ import annotations

import time

from search.paths import StudyFolder
from search.plan import SweepPlan
from search.study import takeover
from search.study.course import Course
from search.study.held import Hands
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
    now, hands, ledger = time.monotonic(), Hands(), Ledger(plan.directions, plan.max_epochs)
    ledger.seconds = seconds_of(attrs, map(from_frozen, trials))
    takeover.fill(ledger, hands, trials, again=False, began_at_s=ledger.seconds, now=now)
    return Course(plan, ledger, hands, lambda: now).why_stopping()
