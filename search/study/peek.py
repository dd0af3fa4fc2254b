"""Looks into a study's storage for one fact at a time, from any process: the `Peek`. Changes nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from optuna.storages import BaseStorage

from search.errors import InputError, SurroundingsError
from search.paths import StudyFolder
from search.study.storage import open_for_reading

Stage = Literal["missing", "going", "ended"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a study is stored.

    Attributes:
        url: Of its database; None if it has a journal.
        study: Its name in there; its folder may have got another one since.
    """

    url: str | None
    study: str


def place(folder: StudyFolder) -> Place:
    """Return where a study is stored; only this is read of its plan, whatever else of it is damaged.

    Raises:
        SurroundingsError: There is no plan that can be read.
    """
    try:
        plan = dict(json.loads(folder.plan.read_text(encoding="utf-8"))["plan"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SurroundingsError(
            f"{folder.plan} is no plan of a study: {type(error).__name__}: {error}",
            field="study",
            hint="restore a copy of it; the trials are not in it",
        ) from error
    url, study = plan.get("storage"), plan.get("study")
    return Place(url if isinstance(url, str) else None, study if isinstance(study, str) else folder.name)


class Peek:
    """A study that another process may be running; each look sees what has been stored meanwhile.

    Args:
        folder: Of the study.

    Raises:
        SurroundingsError: Its plan or its storage is damaged, or cannot be reached.
    """

    def __init__(self, folder: StudyFolder) -> None:
        self._place = place(folder)
        self._location = self._place.url or folder.journal
        self._storage: BaseStorage | None = None

    def count(self) -> int:
        """Return how many trials are stored, 0 while there is no storage yet."""
        found = self._open()
        return found[0].get_n_trials(found[1]) if found else 0

    def stage(self, number: int) -> Stage:
        """Tell whether a trial is there, and whether it has ended."""
        found = self._open()
        if found is None or number >= found[0].get_n_trials(found[1]):
            return "missing"
        trial_id = found[0].get_trial_id_from_study_id_trial_number(found[1], number)
        return "ended" if found[0].get_trial(trial_id).state.is_finished() else "going"

    def _open(self) -> tuple[BaseStorage, int] | None:
        try:
            if self._storage is None:
                self._storage = open_for_reading(self._location)
            return self._storage, self._storage.get_study_id_from_name(self._place.study)
        except (InputError, KeyError):  # a sweep that has only just been launched
            return None
