"""A study's storage as its sampler sees it while a stored trial suggests its parameters one by one: the `Lens`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Container
from typing import Any, ClassVar, NoReturn

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState


class Lens(BaseStorage):
    """Everything stored; what a sampler may write, parameters and attributes, is stored too.

    Args:
        storage: Of the study.
        seen: How a stored trial is shown to the sampler, None of one that is hidden; None for as they are.
    """

    _whose: ClassVar = "a sampler"  # calls

    def __init__(self, storage: BaseStorage, seen: Callable[[FrozenTrial], FrozenTrial | None] | None) -> None:
        self._storage, self._seen = storage, seen

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._storage.get_trial(trial_id)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        trials = self._storage.get_all_trials(study_id, deepcopy=False)
        if self._seen is not None:
            trials = [one for trial in trials if (one := self._seen(trial)) is not None]
        if states is not None:
            trials = [trial for trial in trials if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        self._storage.set_trial_param(trial_id, param_name, param_value_internal, distribution)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._storage.set_trial_user_attr(trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._storage.set_trial_system_attr(trial_id, key, value)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._storage.set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._storage.set_study_system_attr(study_id, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        return self._storage.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._storage.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._storage.get_study_directions(study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._storage.get_study_user_attrs(study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._storage.get_study_system_attrs(study_id)

    def get_all_studies(self) -> list[Any]:
        return self._storage.get_all_studies()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise RuntimeError(f"{self._whose} only suggests parameters: it reports nothing, and makes and ends no trials")

    set_trial_state_values = _refuse
    set_trial_intermediate_value = _refuse
    create_new_trial = _refuse
    create_new_study = _refuse
    delete_study = _refuse
