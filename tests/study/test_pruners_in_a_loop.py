"""Pruners behind Optuna's own interface: in its loop, and whatever the study they are given."""

from __future__ import annotations

import math

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.errors import InputError
from search.study import pruners
from search.study.choice import Choice

PRUNING = [name for name in pruners.NAMES if name not in ("auto", "none")]  # auto reads the study: test_auto.py


def rule(text: str, *, max_epochs: int = 27) -> pruners.PruningRule:
    return pruners.make(Choice.parse(text), directions=["minimize"], seed=0, max_epochs=max_epochs)


def trial(number: int, reports: dict[int, float]) -> FrozenTrial:
    made = create_trial(state=TrialState.RUNNING, intermediate_values=reports)
    made.number = number
    return made


@pytest.mark.parametrize("name", pruners.NAMES)
def test_a_pruner_serves_optunas_own_loop(name: str) -> None:
    study = optuna.create_study(pruner=rule(name, max_epochs=9), sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        for step in range(1, 10):
            trial.report(x * step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return x

    study.optimize(objective, n_trials=12)
    states = {trial.state for trial in study.trials}
    # Those that learn from COMPLETE trials are told of them by `settle`, which this loop does not know.
    assert states == ({TrialState.COMPLETE, TrialState.PRUNED} if name in ("asha", "hyperband") else states)
    assert states <= {TrialState.COMPLETE, TrialState.PRUNED}


@pytest.mark.parametrize("name", [name for name in pruners.NAMES if name != "none"])
def test_a_pruner_that_was_built_for_the_other_direction_says_so(name: str) -> None:
    study = optuna.create_study(direction="maximize", pruner=rule(name))
    running = study.ask()
    running.report(0.5, 1)
    with pytest.raises(ValueError, match="was built to minimize in a study to maximize"):
        running.should_prune()


@pytest.mark.parametrize("study_name", [None, "s"])
@pytest.mark.parametrize("name", PRUNING)
def test_a_pruner_that_keeps_what_it_saw_refuses_another_study(name: str, study_name: str | None) -> None:
    judging = rule(name)
    for turn in range(2):
        running = optuna.create_study(study_name=study_name, pruner=judging).ask()
        running.report(0.5, 1)
        if turn:
            with pytest.raises(ValueError, match="has judged another study: build one for each"):
                running.should_prune()
        else:
            running.should_prune()


def test_one_that_prunes_nobody_serves_any_study() -> None:
    judging = rule("none")
    for _ in range(2):
        running = optuna.create_study(pruner=judging).ask()
        running.report(0.5, 1)
        assert not running.should_prune()


@pytest.mark.parametrize("name", PRUNING)
def test_a_verdict_takes_nothing_from_the_study(name: str) -> None:
    """So its cost cannot grow with the study."""
    small, large = optuna.create_study(), optuna.create_study()
    for value in range(30):
        large.add_trial(create_trial(value=value, intermediate_values={step: float(value) for step in range(1, 9)}))
    poor = trial(7, {step: 90.0 + step for step in range(1, 9)})
    assert rule(name).judge(small, poor) == rule(name).judge(large, poor)


@pytest.mark.parametrize("name", ["asha", "hyperband:min_resource=1"])
def test_what_is_not_a_number_is_pruned_at_a_rung_and_stays_out_of_it(name: str) -> None:
    study, pruner = optuna.create_study(), rule(name, max_epochs=2)
    pruning = pruner.judge(study, trial(0, {1: math.nan}))
    assert isinstance(pruning, pruners.Pruning)
    assert (pruning.cutoff, pruning.rank, pruning.rung) == (None, None, 1)
    assert pruner.judge(study, trial(1, {1: 5.0})) is None


def test_asha_judges_only_where_a_trial_reaches_a_rung() -> None:
    study, pruner = optuna.create_study(), rule("asha")
    pruner.judge(study, trial(0, {1: 0.1, 2: 0.1, 3: 0.1}))
    assert pruner.judge(study, trial(1, {1: 0.0})) is None
    assert pruner.judge(study, trial(1, {1: 0.0, 2: 9.0})) is None
    assert pruner.judge(study, trial(1, {1: 0.0, 2: 9.0, 4: 9.0})) == pruners.Pruning(
        "asha", 4, 9.0, 0.1, 2, 2, 3, keep=1
    )


@pytest.mark.parametrize(
    "text",
    ["asha:min_early_stopping_rate=99999999999", "percentile:percentile=NaN", "patient:min_delta=NaN", "asha:seed=1"],
)
def test_what_no_pruner_can_take_is_told(text: str) -> None:
    with pytest.raises(InputError) as caught:
        pruners.check(Choice.parse(text), 27)
    assert caught.value.field == "--pruner"
