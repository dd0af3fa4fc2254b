"""What the trials of a study have suggested so far: the space of an objective that tells no other."""

from __future__ import annotations

from pathlib import Path

from optuna.distributions import BaseDistribution

from search.study.storage import open_for_reading


def suggested(location: str | Path, study: str) -> dict[str, BaseDistribution]:
    """Return every parameter that a trial has suggested, as the latest one did.

    Args:
        location: Of the storage, a journal's path or a URL.
        study: Its name.

    Raises:
        SurroundingsError: It cannot be read.
    """
    storage = open_for_reading(location)
    trials = storage.get_all_trials(storage.get_study_id_from_name(study), deepcopy=False)
    return {name: distribution for trial in trials for name, distribution in trial.distributions.items()}
