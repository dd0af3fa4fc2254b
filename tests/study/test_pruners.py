"""What each pruner may decide, and that it decides as Optuna's own."""

from __future__ import annotations

import json
import math
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from search.errors import InputError
from search.study import attributes, pruners
from search.study.choice import Choice
from search.study.pruners import Pruning
from search.study.pruners._percentile import quantile
from tests.study import histories

CHUNKS = 12
PER_CHUNK = 120


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study()


def trial(number: int, reports: dict[int, float], state: TrialState = TrialState.RUNNING, **attrs: Any) -> FrozenTrial:
    made = optuna.trial.create_trial(
        state=state,
        value=list(reports.values())[-1] if state is TrialState.COMPLETE else None,
        intermediate_values=reports,
        system_attrs=attrs,
    )
    made.number = number
    return made


def rule(text: str, *, direction: str = "minimize", seed: int = 0, max_epochs: int = 27) -> pruners.PruningRule:
    return pruners.make(Choice.parse(text), directions=[direction], seed=seed, max_epochs=max_epochs)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_verdicts_are_those_of_optuna_on_random_histories(chunk: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    differing = []
    for seed in range(chunk * PER_CHUNK, (chunk + 1) * PER_CHUNK):
        if histories.play(seed).differences:
            differing.append(seed)
    assert differing == []


def test_random_histories_let_every_pruner_prune_and_spare() -> None:
    played: dict[int, list[histories.Played]] = {}
    for seed in range(20 * len(histories.KINDS)):
        played.setdefault(seed % len(histories.KINDS), []).append(histories.play(seed))
    for of_one_kind in played.values():
        prunings = sum(one.prunings for one in of_one_kind)
        assert 0 < prunings < sum(one.verdicts for one in of_one_kind)


@pytest.mark.parametrize("name", pruners.NAMES)
def test_the_last_step_is_never_pruned(name: str, study: optuna.Study) -> None:
    pruner = rule(name, max_epochs=3)
    for number in range(10):
        good = trial(number, {1: 0.1, 2: 0.1, 3: 0.1}, TrialState.COMPLETE)
        assert pruner.judge(study, trial(number, {1: 0.1})) is None
        pruner.settle(good)
    assert pruner.judge(study, trial(99, {1: 9.0, 2: 9.0, 3: 9.0})) is None
    assert not pruner.prune(study, trial(98, {3: 9.0}))


@pytest.mark.parametrize(("direction", "worst"), [("minimize", 9.0), ("maximize", -9.0)])
def test_a_pruning_says_which_value_missed_which_cutoff(direction: str, worst: float, study: optuna.Study) -> None:
    pruner = rule("asha", direction=direction)
    for number, value in enumerate([0.1, 0.2, 0.3, 0.4, 0.5]):
        pruner.judge(study, trial(number, {1: value}))
    cutoff = 0.2 if direction == "minimize" else 0.4
    assert pruner.judge(study, trial(5, {1: worst})) == Pruning("asha", 1, worst, cutoff, rank=6, of=6, rung=1, keep=2)


def test_a_pruning_of_median_compares_the_best_report(study: optuna.Study) -> None:
    pruner = rule("median:n_startup_trials=3")
    for number in range(3):
        pruner.settle(trial(number, {1: 0.1 * number, 2: 0.1 * number}, TrialState.COMPLETE))
    assert pruner.judge(study, trial(3, {1: 0.15, 2: 7.0})) == Pruning("median", 2, 0.15, 0.1, rank=3, of=4)
    assert pruner.judge(study, trial(4, {1: 0.05, 2: 7.0})) is None


def test_a_pruning_is_json_even_where_nothing_was_a_number(study: optuna.Study) -> None:
    pruning = rule("asha").judge(study, trial(0, {1: math.nan}))
    assert pruning is not None
    assert json.loads(json.dumps(pruning.to_json(), allow_nan=False))["value"] is None


def test_a_report_that_jumps_over_rungs_is_judged_at_each(study: optuna.Study) -> None:
    pruner = rule("asha")
    for number in range(9):
        assert (pruner.judge(study, trial(number, {1: number / 10})) is None) is (number == 0)
    assert pruner.judge(study, trial(0, {1: 0.0, 11: 0.5})) is None  # alone at rungs 3 and 9
    at_first_rung = pruner.judge(study, trial(9, {11: 0.4}))
    assert at_first_rung is not None
    assert at_first_rung.rung == 1
    assert pruner.judge(study, trial(10, {11: 0.05})) is None  # the best of two at rungs 3 and 9, too


def test_replay_stops_a_trial_at_the_rung_where_it_was_pruned(study: optuna.Study) -> None:
    """A jump that ended at rung 1 left no value at rungs 3 and 9: whoever comes next is alone there."""
    first = trial(0, {1: 0.1})
    pruner = rule("asha")
    pruner.judge(study, first)
    second = trial(1, {11: 0.2})
    pruning = pruner.judge(study, second)
    assert pruning is not None
    second.system_attrs[attributes.PRUNING] = pruning.to_json()
    again = rule("asha")
    again.replay([first, second])
    third = trial(0, {1: 0.1, 11: 0.3})
    assert again.judge(study, third) == pruner.judge(study, third)
    assert again.judge(study, third) is None


@pytest.mark.parametrize("name", [one for one in pruners.NAMES if one not in ("auto", "none")])  # auto reads the study
def test_replay_forgets_what_was_before(name: str, study: optuna.Study) -> None:
    done = [trial(number, dict.fromkeys(range(1, 9), 0.1 + number / 99), TrialState.COMPLETE) for number in range(9)]
    poor = trial(9, {step: 5.0 + step for step in range(1, 9)})
    fresh, used = rule(name), rule(name)
    for _ in range(2):
        for one in done:
            used.judge(study, one)
            used.settle(one)
    used.replay(done)
    fresh.replay(done)
    assert used.judge(study, poor) == fresh.judge(study, poor) is not None


def test_brackets_depend_on_seed_and_number_and_not_on_the_studys_name() -> None:
    def pruned(seed: int, name: str) -> list[bool]:
        named = optuna.create_study(study_name=name)
        pruner = rule("hyperband", seed=seed)
        return [pruner.prune(named, trial(number, {1: float(number)})) for number in range(60)]

    assert pruned(3, "a") == pruned(3, "b") != pruned(4, "a")


def test_patient_names_itself_and_whom_it_asked(study: optuna.Study) -> None:
    pruner = rule("patient:patience=1,wrapped=asha,reduction_factor=2")
    assert pruner.judge(study, trial(0, {1: 1.0, 2: 1.1, 3: 1.2})) is None
    asked = pruner.judge(study, trial(1, {1: 2.0, 2: 2.1, 3: 2.2}))
    assert isinstance(asked, Pruning)
    assert asked.rule == "patient asha"
    alone = rule("patient:patience=1").judge(study, trial(0, {1: 1.0, 2: 1.1, 3: 1.2}))
    assert alone == Pruning("patient", 3, 1.1, 1.0)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 10, 101])
@pytest.mark.parametrize("q", [0.0, 0.1, 0.25, 1 / 3, 0.5, 0.9, 1.0])
def test_a_quantile_is_numpys_to_the_last_bit(count: int, q: float) -> None:
    import numpy as np

    rising = sorted(np.random.default_rng(count).normal(size=count).tolist())
    assert quantile(rising, q) == np.quantile(rising, q)


@pytest.mark.parametrize("name", pruners.NAMES)
def test_every_pruner_is_good_as_it_is(name: str) -> None:
    pruners.check(Choice(name), 27)


@pytest.mark.parametrize(
    "text",
    [
        "asha:min_resource=auto,reduction_factor=2,min_early_stopping_rate=1,bootstrap_count=2",
        "asha:promote=true",
        "hyperband:promote=true",
        "hyperband:min_resource=1,max_resource=9,reduction_factor=3,bootstrap_count=1",
        "hyperband:max_resource=auto",
        "median:n_startup_trials=3,n_warmup_steps=2,interval_steps=2,n_min_trials=2",
        "percentile:percentile=10",
        "percentile:percentile=12.5",
        "wilcoxon:p_threshold=0.2,n_startup_steps=3",
        "patient:patience=2,min_delta=0.01",
        "patient:wrapped=none",
        "patient:wrapped=hyperband,reduction_factor=4",
    ],
)
def test_every_option_can_be_set(text: str) -> None:
    pruners.check(Choice.parse(text), 27)


@pytest.mark.parametrize(
    ("text", "max_epochs", "sentence"),
    [
        (
            "hyperband",
            1,
            "hyperband cannot prune with 1 epoch a trial; raise --max-epochs or use --pruner none",
        ),
        (
            "asha:min_resource=9",
            9,
            "asha cannot prune with 9 epochs a trial; raise --max-epochs or use --pruner none",
        ),
        (
            "patient:patience=7,wrapped=asha",
            9,
            "patient cannot prune with 9 epochs a trial; raise --max-epochs or use --pruner none",
        ),
        (
            "hyperbnd",
            27,
            (
                "unknown pruner 'hyperbnd'; did you mean 'hyperband'? "
                "(asha, auto, hyperband, median, none, patient, percentile, wilcoxon)"
            ),
        ),
        (
            "asha:rate=3",
            27,
            (
                "pruner asha has no option 'rate'; "
                "known: bootstrap_count, min_early_stopping_rate, min_resource, promote, reduction_factor"
            ),
        ),
        (
            "asha:reduction_factor=2.5",
            27,
            "reduction_factor of pruner asha must be a whole number, got '2.5'",
        ),
        ("asha:reduction_factor=1", 27, "pruner asha: reduction_factor must be at least 2, got 1"),
        ("asha:min_resource=soon", 27, "pruner asha: min_resource must be at least 1, or auto, got soon"),
        (
            "asha:min_early_stopping_rate=-1",
            27,
            "pruner asha: min_early_stopping_rate must be at least 0, got -1",
        ),
        ("asha:bootstrap_count=-1", 27, "pruner asha: bootstrap_count must be at least 0, got -1"),
        ("hyperband:max_resource=x", 27, "pruner hyperband: max_resource must be a whole number or auto, got x"),
        (
            "hyperband:min_resource=30",
            27,
            "pruner hyperband: min_resource must be between 1 and max_resource (27), got 30",
        ),
        ("median:n_startup_trials=-1", 27, "pruner median: n_startup_trials must be at least 0, got -1"),
        ("median:n_warmup_steps=-1", 27, "pruner median: n_warmup_steps must be at least 0, got -1"),
        ("median:interval_steps=0", 27, "pruner median: interval_steps must be at least 1, got 0"),
        ("median:n_min_trials=0", 27, "pruner median: n_min_trials must be at least 1, got 0"),
        ("percentile:percentile=101", 27, "pruner percentile: percentile must be between 0 and 100, got 101"),
        ("wilcoxon:p_threshold=2", 27, "pruner wilcoxon: p_threshold must be between 0 and 1, got 2"),
        ("wilcoxon:n_startup_steps=-1", 27, "pruner wilcoxon: n_startup_steps must be at least 0, got -1"),
        ("patient:patience=-1", 27, "pruner patient: patience must be at least 0, got -1"),
        ("patient:min_delta=-0.1", 27, "pruner patient: min_delta must be at least 0, got -0.1"),
        ("patient:rate=1", 27, "pruner patient has no option 'rate'; known: min_delta, patience, wrapped"),
        (
            "patient:wrapped=asha,promote=true",
            27,
            "pruner patient: wrapped must prune, got one that promotes; leave promote out",
        ),
        ("asha:promote=1", 27, "promote of pruner asha must be true or false, got '1'"),
        (
            "patient:wrapped=patient",
            27,
            "unknown pruner 'patient'; known: asha, hyperband, median, percentile, wilcoxon",
        ),
        (
            "patient:wrapped=median,rate=1",
            27,
            "pruner median has no option 'rate'; known: interval_steps, n_min_trials, n_startup_trials, n_warmup_steps",
        ),
    ],
)
def test_what_cannot_work_is_told_in_one_sentence(text: str, max_epochs: int, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        pruners.check(Choice.parse(text), max_epochs)
    assert caught.value.sentence() == sentence


def test_one_epoch_a_trial_is_no_error_when_no_pruner_was_asked_for() -> None:
    pruners.check(pruners.DEFAULT, 1)
    pruners.check(Choice("none"), 1)
