"""A copy of studies in memory, for programs that would write into them: the originals are only read."""

from __future__ import annotations

import warnings

import optuna
from optuna.storages import BaseStorage, InMemoryStorage

from search.paths import StudyFolder
from search.plan import SweepPlan
from search.study.storage import open_for_reading


class Copies:
    """Studies in a storage of their own, which ends with this process.

    Attributes:
        storage: Optuna's.
    """

    def __init__(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.storage = InMemoryStorage()

    def add(self, folder: StudyFolder, plan: SweepPlan) -> int:
        """Copy a study as it stands, under the name of its folder; return how many trials it has.

        Raises:
            SurroundingsError: It is damaged, or cannot be reached.
        """
        found = self._found(folder, plan)
        directions = [optuna.study.StudyDirection[one.upper()] for one in plan.directions]
        copy = optuna.create_study(storage=self.storage, study_name=folder.name, directions=directions)
        if found is None:
            return 0
        source, study_id = found
        for key, value in source.get_study_system_attrs(study_id).items():
            self.storage.set_study_system_attr(copy._study_id, key, value)
        for key, value in source.get_study_user_attrs(study_id).items():
            self.storage.set_study_user_attr(copy._study_id, key, value)
        trials = source.get_all_trials(study_id, deepcopy=False)
        for trial in sorted(trials, key=lambda one: one.number):
            self.storage.create_new_trial(copy._study_id, template_trial=trial)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            copy.set_metric_names([*plan.metrics])
        return len(trials)

    def _found(self, folder: StudyFolder, plan: SweepPlan) -> tuple[BaseStorage, int] | None:
        """Return a study's storage and its id there; None of one that was launched and has not begun."""
        if plan.storage is None and not folder.journal.exists():
            return None
        source = open_for_reading(plan.storage or folder.journal)
        try:
            return source, source.get_study_id_from_name(plan.study)
        except KeyError:
            return None
