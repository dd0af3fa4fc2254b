"""A study's storage with one more trial, the draft, which is written in memory only."""

from __future__ import annotations

import copy
from collections.abc import Callable, Container
from typing import Any, ClassVar, Final

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from search.study.lens import Lens

DRAFT_ID: Final = -1
"""The id of the draft; no storage gives it to a trial."""


class Overlay(Lens):
    """What a sampler sees while it suggests: everything stored, and the draft as the last trial.

    Reads, and attributes of the study, go through to the storage. Nobody else may write it meanwhile.

    Args:
        storage: Read only, but for attributes of the study.
        draft: The trial that is suggested.
        seen: How a stored trial is shown to the sampler, if not as it is; None hides it.

    Attributes:
        draft: The draft as it stands; each change makes a new one, since samplers keep the trial they looked at.
    """

    _whose: ClassVar = "a space"

    def __init__(
        self, storage: BaseStorage, draft: FrozenTrial, seen: Callable[[FrozenTrial], FrozenTrial | None] | None = None
    ) -> None:
        super().__init__(storage, seen)
        self._others: list[FrozenTrial] | None = None
        self.draft = draft

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self.draft if trial_id == DRAFT_ID else self._storage.get_trial(trial_id)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        if self._others is None:
            self._others = super().get_all_trials(study_id, deepcopy=False)
        trials = [*self._others, self.draft]
        if states is not None:
            trials = [trial for trial in trials if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        changed = self._copy(trial_id)
        changed.params = {**changed.params, param_name: distribution.to_external_repr(param_value_internal)}
        changed.distributions = {**changed.distributions, param_name: distribution}
        self.draft = changed

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        changed = self._copy(trial_id)
        changed.user_attrs = {**changed.user_attrs, key: value}
        self.draft = changed

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        changed = self._copy(trial_id)
        changed.system_attrs = {**changed.system_attrs, key: value}
        self.draft = changed

    def _copy(self, trial_id: int) -> FrozenTrial:
        if trial_id != DRAFT_ID:
            raise RuntimeError("only the trial that is being suggested can be changed")
        return copy.copy(self.draft)
