"""The rules of a pruner: Optuna's verdicts, each with its reason, and the same ones after a restart."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.errors import InputError
from search.study import pruners
from search.study.attributes import PRUNING
from search.study.choice import Choice
from search.study.pruners import Pruning, PruningRule
from search.study.pruners._percentile import quantile
from tests.study.histories import run_histories

WITHOUT_NONE = [name for name in pruners.NAMES if name != "none"]
NAN = math.nan


def make(text: str, *, direction: str = "minimize", seed: int = 0, max_epochs: int = 27) -> PruningRule:
    return pruners.make(Choice.parse(text), directions=(direction,), seed=seed, max_epochs=max_epochs)


def trial_with(
    reports: Mapping[int, float],
    *,
    number: int = 0,
    state: TrialState = TrialState.RUNNING,
    pruning: Pruning | None = None,
) -> FrozenTrial:
    trial = create_trial(
        state=state,
        value=1.0 if state is TrialState.COMPLETE else None,
        intermediate_values=dict(reports),
        system_attrs={PRUNING: pruning.to_json()} if pruning else {},
    )
    trial.number = number
    return trial


def judged(rule: PruningRule, *trials: FrozenTrial) -> list[Pruning | None]:
    study = optuna.create_study()
    return [rule.judge(study, trial) for trial in trials]


# --- the same verdicts as Optuna's own ---


@pytest.mark.parametrize(
    ("name", "histories"),
    [("asha", 500), ("hyperband", 300), ("median", 250), ("percentile", 250), ("patient", 250), ("wilcoxon", 16)],
)
def test_verdicts_are_those_of_optunas_pruner_before_and_after_restarts(name: str, histories: int) -> None:
    count = run_histories(name, range(histories))
    assert count.differences == []
    assert count.prunings > histories / 4
    assert count.restarts > histories / 4


@pytest.mark.parametrize("name", WITHOUT_NONE)
def test_a_pruner_serves_optunas_own_loop(name: str) -> None:
    study = optuna.create_study(pruner=make(name, max_epochs=9), sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        for step in range(1, 10):
            trial.report(x * step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return x

    study.optimize(objective, n_trials=12)
    assert {trial.state for trial in study.trials} <= {TrialState.COMPLETE, TrialState.PRUNED}


def test_a_quantile_is_numpys_to_the_last_bit() -> None:
    rng = random.Random(0)
    for size in range(1, 60):
        values = sorted(rng.gauss(0, 1) for _ in range(size))
        for percentile in (0, 10, 33.3, 50, 90, 100):
            assert quantile(values, percentile / 100) == np.percentile(values, percentile)


@pytest.mark.parametrize("name", WITHOUT_NONE)
def test_a_verdict_takes_nothing_from_the_study(name: str) -> None:
    small, large = optuna.create_study(), optuna.create_study()
    for number in range(30):
        large.add_trial(trial_with({1: number, 2: number}, state=TrialState.COMPLETE))
    bad = trial_with({1: 99.0, 2: 99.0}, number=7)
    assert make(name).judge(small, bad) == make(name).judge(large, bad)


# --- what a verdict says ---


def test_asha_lets_the_best_third_pass_and_names_bar_and_rank() -> None:
    rule = make("asha", direction="maximize")
    verdicts = judged(rule, *(trial_with({1: value}, number=n) for n, value in enumerate([0.5, 0.7, 0.6, 0.8])))
    assert verdicts == [None, None, Pruning("asha", 1, 0.6, cutoff=0.7, rank=2, of=3, rung=1), None]


def test_asha_judges_only_where_a_trial_reaches_a_rung() -> None:
    rule = make("asha")
    judged(rule, trial_with({1: 0.1, 2: 0.1, 3: 0.1}, number=0))
    assert judged(rule, trial_with({1: 0.0}, number=1)) == [None]
    assert judged(rule, trial_with({1: 0.0, 2: 9.0}, number=1)) == [None]
    (pruning,) = judged(rule, trial_with({1: 0.0, 2: 9.0, 4: 9.0}, number=1))
    assert pruning == Pruning("asha", 4, 9.0, cutoff=0.1, rank=2, of=2, rung=3)


def test_a_report_may_jump_over_several_rungs() -> None:
    rule = make("asha")
    judged(rule, trial_with({10: 1.0}, number=0))
    (pruning,) = judged(rule, trial_with({12: 2.0}, number=1))
    assert pruning is not None
    assert (pruning.step, pruning.rung) == (12, 1)


def test_median_compares_the_best_report_so_far_with_complete_trials() -> None:
    rule = make("median:n_startup_trials=3")
    for number, value in enumerate([1.0, 2.0, 3.0]):
        rule.settle(trial_with({4: value}, number=number, state=TrialState.COMPLETE))
    rule.settle(trial_with({4: 0.0}, number=3, state=TrialState.PRUNED))
    assert judged(rule, trial_with({3: 1.5, 4: 9.0}, number=4)) == [None]
    assert judged(rule, trial_with({3: 9.0, 4: 2.5}, number=5)) == [
        Pruning("median", 4, 2.5, cutoff=2.0, rank=3, of=4),
    ]


def test_patience_names_the_rule_that_it_waited_for() -> None:
    alone, wrapping = make("patient:patience=1"), make("patient:patience=1,wrapped=asha")
    judged(wrapping, trial_with({1: 0.0, 2: 0.5, 3: 0.5}, number=0))
    worse = trial_with({1: 1.0, 2: 2.0, 3: 3.0}, number=1)
    assert judged(alone, worse) == [Pruning("patient", 3, 2.0, cutoff=1.0)]
    (pruning,) = judged(wrapping, worse)
    assert pruning is not None
    assert pruning.rule == "patient asha"


@pytest.mark.parametrize("name", ["asha", "hyperband"])
def test_a_value_that_is_no_number_is_pruned_at_a_rung_and_leaves_no_trace(name: str) -> None:
    rule = make(f"{name}:min_resource=1", max_epochs=2)
    assert judged(rule, trial_with({1: NAN}, number=0))[0] is not None
    assert judged(rule, trial_with({1: 5.0}, number=1)) == [None]


@pytest.mark.parametrize(
    "pruning",
    [Pruning("asha", 3, 0.5, 0.4, 2, 9, 3), Pruning("asha", 1, NAN, rung=1), Pruning("median", 2, math.inf, 1.0)],
)
def test_a_reason_is_json(pruning: Pruning) -> None:
    stored = json.loads(json.dumps(pruning.to_json(), allow_nan=False))
    assert stored["rule"] == pruning.rule
    assert stored["value"] == (pruning.value if math.isfinite(pruning.value) else None)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("name", pruners.NAMES)
def test_a_report_at_the_last_step_is_never_pruned(name: str, direction: str) -> None:
    rule = make(name, direction=direction, max_epochs=3)
    good, bad = (0.0, 9.0) if direction == "minimize" else (9.0, 0.0)
    for number in range(12):
        curve = trial_with(dict.fromkeys((1, 2, 3), good), number=number)
        judged(rule, curve)
        rule.settle(trial_with(curve.intermediate_values, number=number, state=TrialState.COMPLETE))
    assert judged(rule, trial_with({1: bad, 2: bad, 3: bad}, number=20)) == [None]
    assert judged(rule, trial_with({3: NAN}, number=21)) == [None]


def test_a_bracket_hangs_on_seed_and_number_alone() -> None:
    """Rungs of the first bracket begin at 1; a trial of another passes there, however poor."""

    def pruned_at_1(seed: int) -> list[bool]:
        rule = make("hyperband", seed=seed)
        judged(rule, *(trial_with({1: -1.0}, number=number) for number in range(1000, 1100)))
        return [judged(rule, trial_with({1: float(number)}, number=number)) != [None] for number in range(300)]

    assert pruned_at_1(3) == pruned_at_1(3) != pruned_at_1(4)
    assert 0.4 < sum(pruned_at_1(3)) / 300 < 0.7  # brackets of 27, 12, 6 and 4: 27 of 49 trials


# --- a restart ---


def test_a_restart_knows_at_which_rung_a_report_that_jumped_was_stopped() -> None:
    rule, again = make("asha"), make("asha")
    first, second = trial_with({3: 1.0}, number=0), trial_with({3: 2.0}, number=1)
    pruning = judged(rule, first, second)[1]
    assert pruning is not None
    again.replay([first, trial_with({3: 2.0}, number=1, state=TrialState.PRUNED, pruning=pruning)])
    late = trial_with({1: 0.0}, number=2), trial_with({1: 0.0, 3: 1.5}, number=2)
    assert judged(rule, *late) == judged(again, *late) == [None, Pruning("asha", 3, 1.5, 1.0, rank=2, of=2, rung=3)]


def test_replay_forgets_what_was_known() -> None:
    rule = make("asha")
    judged(rule, trial_with({1: 0.0}, number=0))
    rule.replay([])
    assert judged(rule, trial_with({1: 9.0}, number=0)) == [None]


# --- choices ---


@pytest.mark.parametrize(
    ("text", "max_epochs", "said"),
    [
        (
            "hyperband",
            1,
            "hyperband cannot prune with 1 epoch a trial; raise --max-epochs or use --pruner none",
        ),
        (
            "median:n_warmup_steps=9",
            9,
            "median cannot prune with 9 epochs a trial; raise --max-epochs or use --pruner none",
        ),
        ("medain", 27, "unknown pruner 'medain'; did you mean 'median'?"),
        ("asha:reduction=4", 27, "did you mean 'reduction_factor'?"),
        ("asha:seed=4", 27, "pruner asha has no option 'seed'"),
        ("asha:reduction_factor=1", 27, "reduction_factor must be at least 2, got 1"),
        ("asha:min_resource=soon", 27, "min_resource must be at least 1, or auto, got soon"),
        ("asha:min_early_stopping_rate=999999999", 27, "min_early_stopping_rate must be between 0 and 63"),
        ("hyperband:min_resource=40", 27, "min_resource must be between 1 and max_resource (27), got 40"),
        ("hyperband:max_resource=0", 27, "max_resource"),
        ("percentile:percentile=101", 27, "percentile must be between 0 and 100, got 101"),
        ("percentile:percentile=NaN", 27, "percentile of pruner percentile must be a number, got 'nan'"),
        ("median:percentile=25", 27, "pruner median has no option 'percentile'"),
        ("patient:patience=-1", 27, "patience must be at least 0, got -1"),
        ("patient:min_delta=NaN", 27, "min_delta of pruner patient must be a number, got 'nan'"),
        ("patient:wrapped=patient", 27, "unknown pruner 'patient'"),
        ("patient:wrapped=asha,n_startup_trials=3", 27, "pruner asha has no option 'n_startup_trials'"),
        ("patient:reduction_factor=3", 27, "pruner patient has no option 'reduction_factor'"),
        ("wilcoxon:p_threshold=2", 27, "p_threshold must be between 0 and 1, got 2"),
        ("none:now=true", 27, "pruner none has no option 'now'"),
    ],
)
def test_a_wrong_choice_is_told_in_a_sentence(text: str, max_epochs: int, said: str) -> None:
    with pytest.raises(InputError) as caught:
        pruners.check(Choice.parse(text), max_epochs)
    assert said in caught.value.sentence()
    assert caught.value.field == "--pruner"


@pytest.mark.parametrize(
    "text",
    [
        *pruners.NAMES,
        "asha:min_resource=auto,reduction_factor=4,min_early_stopping_rate=1,bootstrap_count=2",
        "hyperband:min_resource=2,max_resource=auto,reduction_factor=2,bootstrap_count=1",
        "hyperband:max_resource=27",
        "median:n_startup_trials=0,n_warmup_steps=3,interval_steps=2,n_min_trials=4",
        "percentile:percentile=12.5",
        "patient:patience=0,min_delta=0.5",
        "patient:wrapped=percentile,percentile=10,n_startup_trials=2",
        "wilcoxon:p_threshold=0.05,n_startup_steps=4",
    ],
)
def test_every_option_can_be_given(text: str) -> None:
    pruners.check(Choice.parse(text), 27)
    make(text)


@pytest.mark.parametrize("text", ["asha", "none"])
def test_default_and_none_are_fine_with_one_epoch(text: str) -> None:
    pruners.check(Choice.parse(text), 1)
    assert judged(make(text, max_epochs=1), trial_with({1: 9.0})) == [None]
