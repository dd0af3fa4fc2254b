"""A study's storage as an objective of Optuna's sees it on a worker; what it may write goes to the study's owner."""

from __future__ import annotations

import copy
import json
from collections.abc import Container
from typing import Any, Final, NoReturn

from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from search.adopt.remote_line import Line

STUDY_ID: Final = 0
"""Of the one study that the storage shows."""


class RemoteStorage(BaseStorage):
    """What trial and study read and write, sent to the study's owner.

    Args:
        line: To the owner.
        name: Of the study.
        directions: Of the study, `minimize` or `maximize`.
        own: The trial that runs here.

    Attributes:
        own: As this attempt sees it: what an earlier one suggested and reported is not in it.
    """

    def __init__(self, line: Line, name: str, directions: list[str], own: FrozenTrial) -> None:
        self._line, self._name = line, name
        self._directions = [StudyDirection[one.upper()] for one in directions]
        self._ended: list[FrozenTrial] = []  # the first trials, as far as all of them have ended
        self.own = own

    # --- the trial that runs here ---

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        self._check_own(trial_id)
        self._line.call("report", step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._check_own(trial_id)
        self._line.call("user_attr", key, _plain(key, value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._check_own(trial_id)
        self._line.call("system_attr", key, _plain(key, value))
        self.own.system_attrs[key] = value

    # --- the study ---

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:  # noqa: ARG002 - there is one study
        self._line.call("study_user_attr", key, _plain(key, value))

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:  # noqa: ARG002 - there is one study
        self._line.call("study_system_attr", key, _plain(key, value))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:  # noqa: ARG002 - there is one study
        return dict(self._line.call("study_attrs")[0])

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:  # noqa: ARG002 - there is one study
        return dict(self._line.call("study_attrs")[1])

    def get_study_id_from_name(self, study_name: str) -> int:
        if study_name != self._name:
            raise KeyError(f"the only study here is {self._name!r}")
        return STUDY_ID

    def get_study_name_from_id(self, study_id: int) -> str:  # noqa: ARG002 - there is one study
        return self._name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:  # noqa: ARG002 - there is one study
        return self._directions

    def get_all_studies(self) -> list[FrozenStudy]:
        user, system = self._line.call("study_attrs")
        return [FrozenStudy(self._name, None, user, system, STUDY_ID, directions=self._directions)]

    # --- all trials ---

    def get_trial(self, trial_id: int) -> FrozenTrial:
        if trial_id == self.own._trial_id:
            return self.own
        for trial in self._trials():
            if trial._trial_id == trial_id:
                return trial
        raise KeyError(f"there is no trial with the id {trial_id}")

    def get_all_trials(
        self,
        study_id: int,  # noqa: ARG002
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        trials = [trial for trial in self._trials() if states is None or trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def _trials(self) -> list[FrozenTrial]:
        """Return all trials; those that had ended when they were last read are not sent again."""
        rest: list[FrozenTrial] = self._line.call("trials", len(self._ended))
        open_ = next((place for place, one in enumerate(rest) if not one.state.is_finished()), len(rest))
        self._ended.extend(rest[:open_])
        return [*self._ended, *rest[open_:]]

    def _check_own(self, trial_id: int) -> None:
        if trial_id != self.own._trial_id:
            raise RuntimeError("an objective changes its own trial only")

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise RuntimeError(
            "an objective in a sweep makes and ends no trials; `sweep enqueue` adds a point, and returning ends its own"
        )

    set_trial_param = _refuse
    set_trial_state_values = _refuse
    create_new_trial = _refuse
    create_new_study = _refuse
    delete_study = _refuse


def _plain(key: str, value: Any) -> Any:
    """Return an attribute's value if it can be stored.

    Raises:
        TypeError: It is no JSON value.
    """
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"attribute {key!r} must be a JSON value, got {type(value).__name__}") from error
    return value
