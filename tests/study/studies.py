"""Small studies for tests: spaces, and trials told through a storage as the owner tells them."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from search.study.draft import draft


def conditional_space(trial: optuna.trial.Trial) -> None:
    """Suggest parameters of every kind, some behind a choice."""
    family = trial.suggest_categorical("model.family", ["linear", "mlp"])
    trial.suggest_float("train.lr", 1e-5, 0.1, log=True)
    if family == "mlp":
        trial.suggest_int("model.width", 16, 256, log=True)
        trial.suggest_float("model.dropout", 0.0, 0.5, step=0.1)


def flat_space(trial: optuna.trial.Trial) -> None:
    """Suggest two numbers."""
    trial.suggest_float("x", -1.0, 1.0)
    trial.suggest_int("n", 1, 9)


def open_study(storage: BaseStorage, *, name: str = "a", sampler: BaseSampler | None = None) -> optuna.Study:
    return optuna.create_study(
        storage=storage, study_name=name, sampler=sampler or RandomSampler(seed=0), load_if_exists=True
    )


def add_trials(study: optuna.Study, count: int, *, space: Any = conditional_space) -> None:
    """Suggest, report and complete `count` trials."""
    storage = study._storage
    for _ in range(count):
        template = draft(study, study.sampler, space, fixed={}, attributes={"request": "ä"})
        trial_id = storage.create_new_trial(study._study_id, template_trial=template)
        for step in (1, 2):
            storage.set_trial_intermediate_value(trial_id, step, template.number + step / 10)
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [float(template.number)])


def content(storage: BaseStorage, *, name: str = "a") -> list[tuple[Any, ...]]:
    """Return all that is known of every trial, comparable between storages."""
    study_id = storage.get_study_id_from_name(name)
    return [
        (
            trial.number,
            trial.state,
            trial.values,
            dict(trial.params),
            dict(trial.distributions),
            dict(trial.intermediate_values),
            dict(trial.user_attrs),
            dict(trial.system_attrs),
        )
        for trial in storage.get_all_trials(study_id)
    ]
