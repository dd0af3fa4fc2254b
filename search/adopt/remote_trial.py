"""The trial that an objective of Optuna's is given on a worker: a real one, whose study is elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from search.adopt.labels import Labels
from search.adopt.remote_line import Line
from search.adopt.remote_storage import RemoteStorage
from search.study.draft import CheckedTrial


def remote_trial(line: Line, number: int, directions: list[str]) -> optuna.trial.Trial:
    """Return the trial with this number, as its study knows it.

    Args:
        line: To the study.
        number: Of the trial.
        directions: Of the study, where there is none at hand.
    """
    known: tuple[str, list[str], FrozenTrial] | None = line.call("open")
    if known is None:
        known = "alone", directions, _without_a_study(number)
    name, directions, stored = known
    own = copy.copy(stored)
    # As at its first start: what an attempt before it suggested and reported comes again, and counts once.
    own.params, own.distributions, own.intermediate_values = {}, {}, {}
    own.user_attrs = dict(stored.user_attrs)
    own.system_attrs = {key: value for key, value in stored.system_attrs.items() if not key.startswith("constraints")}
    return _RemoteTrial(_RemoteStudy(name, RemoteStorage(line, name, directions, own), line), line, own)


class _RemoteTrial(CheckedTrial):
    """A trial that has its suggestions from the study's owner.

    Args:
        study: As it is seen here.
        line: To the owner.
        own: The trial as it begins.
    """

    def __init__(self, study: optuna.Study, line: Line, own: FrozenTrial) -> None:
        # Not Optuna's constructor: it has a sampler look at the study, which the owner's does.
        self.study, self.storage, self._line = study, study._storage, line
        self._trial_id, self._cached_frozen_trial = own._trial_id, own
        self.relative_search_space: dict[str, BaseDistribution] | None = {}
        self._relative_params: dict[str, Any] | None = {}
        self._fixed_params = own.system_attrs.get("fixed_params", {})
        self._labels: dict[str, Labels] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        labels = Labels(choices)
        label = super().suggest_categorical(name, labels.choices)
        self._labels[name] = labels
        return labels.own(label)

    @property
    def params(self) -> dict[str, Any]:
        return {
            name: self._labels[name].own(value) if name in self._labels else value
            for name, value in super().params.items()
        }

    def _suggested(self, name: str, distribution: BaseDistribution) -> Any:
        own = self._cached_frozen_trial
        if name not in own.params:
            own.params[name] = self._line.call("suggest", name, distribution)
            own.distributions[name] = distribution
        return own.params[name]


class _RemoteStudy(optuna.Study):
    """A view of the study.

    Args:
        name: Of the study.
        storage: Shows its owner's.
        line: To the owner.
    """

    def __init__(self, name: str, storage: RemoteStorage, line: Line) -> None:
        super().__init__(name, storage, sampler=optuna.samplers.RandomSampler(), pruner=_RemotePruner(line))
        self._line = line
        self._thread_local.in_optimize_loop = True  # so Optuna lets an objective stop the study, and run no other in it

    def stop(self) -> None:
        super().stop()
        self._line.call("stop")


class _RemotePruner(optuna.pruners.BasePruner):
    """Asks the owner for its verdict."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:  # noqa: ARG002 - Optuna's interface
        return bool(self._line.call("prune", trial.last_step))


def _without_a_study(number: int) -> FrozenTrial:
    return FrozenTrial(
        number=number,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=datetime.now(),
        datetime_complete=None,
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
        trial_id=number,
    )
