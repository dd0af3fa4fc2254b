"""Read the trials of a study from its storage, without its lock and without changing anything."""

from __future__ import annotations

from typing import Any

from optuna.trial import FrozenTrial

from search.paths import StudyFolder
from search.plan import SweepPlan
from search.study.record import TrialRecord, from_frozen
from search.study.storage import open_for_reading


def read_trials(folder: StudyFolder, plan: SweepPlan) -> tuple[list[TrialRecord], dict[str, Any]]:
    """Return every trial of a study, in order of numbers, and the study's attributes.

    A sweep that has only just been launched has neither: its storage may not be there yet.

    Raises:
        SurroundingsError: The storage is damaged, or cannot be reached.
    """
    trials, attributes = _stored(folder, plan)
    return sorted((from_frozen(trial) for trial in trials), key=lambda record: record.number), attributes


def read_importances(folder: StudyFolder, plan: SweepPlan) -> dict[str, float]:
    """Return how much each parameter of a study mattered; {} with several metrics or too few completed trials.

    Raises:
        SurroundingsError: The storage is damaged, or cannot be reached.
    """
    if len(plan.metrics) > 1:
        return {}
    from search.study.importance import importances  # which loads scikit-learn

    return importances(_stored(folder, plan)[0], plan.directions[0])


def _stored(folder: StudyFolder, plan: SweepPlan) -> tuple[list[FrozenTrial], dict[str, Any]]:
    if plan.storage is None and not folder.journal.exists():
        return [], {}
    storage = open_for_reading(plan.storage or folder.journal)
    try:
        study_id = storage.get_study_id_from_name(plan.study)
    except KeyError:
        return [], {}
    return storage.get_all_trials(study_id, deepcopy=False), storage.get_study_system_attrs(study_id)
