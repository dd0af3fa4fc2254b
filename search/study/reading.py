"""Read the trials of a study from its storage by Optuna, without its lock and without changing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from search.paths import StudyFolder
from search.plan import SweepPlan
from search.study.record import TrialRecord, from_frozen

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


def read_trials(folder: StudyFolder, plan: SweepPlan) -> tuple[list[TrialRecord], dict[str, Any]]:
    """Return every trial of a study, in order of numbers, and the study's attributes.

    A sweep that has only just been launched has neither: its storage may not be there yet.

    Raises:
        SurroundingsError: The storage is damaged, or cannot be reached.
    """
    trials, attributes = stored_trials(folder, plan)
    return sorted((from_frozen(trial) for trial in trials), key=lambda record: record.number), attributes


def stored_trials(folder: StudyFolder, plan: SweepPlan) -> tuple[list[FrozenTrial], dict[str, Any]]:
    from search.study.journal_file import refuse_cut
    from search.study.storage import open_for_reading  # which loads Optuna

    if plan.storage is None and not folder.journal.exists():
        refuse_cut(folder.journal)
        return [], {}
    storage = open_for_reading(plan.storage or folder.journal)
    try:
        study_id = storage.get_study_id_from_name(plan.study)
    except KeyError:
        return [], {}
    return storage.get_all_trials(study_id, deepcopy=False), storage.get_study_system_attrs(study_id)
