"""A stored study as Optuna's own `Study`, to be looked at: nothing can be written through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from search.errors import InputError
from search.paths import StudyFolder
from search.plan import SweepPlan

if TYPE_CHECKING:
    import optuna

OptunaStudy: TypeAlias = "optuna.Study"


def optuna_study(folder: StudyFolder, plan: SweepPlan) -> OptunaStudy:
    """Return a study as Optuna sees it now.

    Raises:
        InputError: It has no storage yet.
        SurroundingsError: Its storage is damaged, or cannot be reached.
    """
    import optuna

    from search.study.storage import open_for_reading

    storage = open_for_reading(plan.storage or folder.journal)
    try:
        return optuna.load_study(study_name=plan.study, storage=storage)
    except KeyError:
        raise InputError(f"study {plan.study!r} has not begun yet", field="study") from None
