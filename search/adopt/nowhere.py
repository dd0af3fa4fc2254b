"""The storage of the studies that a script makes or opens while it is only loaded: the `Nowhere`."""

from __future__ import annotations

from typing import NoReturn

from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection

from search.adopt.starting import stop


class Nowhere(InMemoryStorage):
    """Takes every study, and forgets it: else every process that loads a script would write the user's database."""

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return a study, which is made if the script has not: it may lie in a database that is left alone."""
        try:
            return super().get_study_id_from_name(study_name)
        except KeyError:
            return self.create_new_study([StudyDirection.MINIMIZE], study_name)

    def get_best_trial(self, study_id: int) -> NoReturn:
        """End the loading: what stands below is about results.

        Raises:
            Started: Always.
        """
        stop(study_id)
