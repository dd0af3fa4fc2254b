"""What the evolving sampler suggests: whom it copies, what it changes, and what it never does."""

from __future__ import annotations

import math
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from search.contract import Direction
from search.study.draft import draft
from search.study.evolve import Evolve
from tests.study.studies import conditional_space

ALWAYS_MUTANTS: dict[str, Any] = {"n_startup_trials": 1, "uniform_share": 0.0, "n_parents": 1}
FLOATS: dict[str, BaseDistribution] = {name: FloatDistribution(0.0, 1.0) for name in "abcd"}


def flat_space(trial: optuna.trial.Trial) -> None:
    for name in FLOATS:
        trial.suggest_float(name, 0.0, 1.0)


def study_of(
    *values: float | None, direction: Direction = "minimize", state: TrialState = TrialState.COMPLETE
) -> optuna.Study:
    """Return a study of trials whose parameters are all number / 10; one without a value failed."""
    study = optuna.create_study(direction=direction)
    for number, value in enumerate(values):
        ended = state if value is not None else TrialState.FAIL
        study.add_trial(
            optuna.trial.create_trial(
                state=ended,
                values=[value] if ended is TrialState.COMPLETE and value is not None else None,
                intermediate_values={} if value is None else {1: value},
                params=dict.fromkeys(FLOATS, number / 10),
                distributions=FLOATS,
            )
        )
    return study


def suggest(study: optuna.Study, sampler: Evolve, *, space: Any = flat_space, **fixed: Any) -> FrozenTrial:
    return draft(study, sampler, space, fixed=fixed, attributes={})


def parent(trial: FrozenTrial) -> float:
    """Return what most of the parameters are: those that were copied."""
    values = list(trial.params.values())
    return float(max(values, key=values.count))


def mutants(study: optuna.Study, count: int = 20, **options: Any) -> list[FrozenTrial]:
    return [
        suggest(study, Evolve(seed=seed, **{**ALWAYS_MUTANTS, "n_changes": 0.01, **options})) for seed in range(count)
    ]


@pytest.mark.parametrize(("direction", "best"), [("minimize", 0.2), ("maximize", 0.1)])
@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING])
def test_the_best_trial_by_its_last_value_is_the_parent(direction: Direction, best: float, state: TrialState) -> None:
    study = study_of(
        4.0, 9.0, 1.0, None, math.inf if direction == "minimize" else -math.inf, direction=direction, state=state
    )
    assert {parent(one) for one in mutants(study)} == {best}


def test_a_value_that_is_not_a_number_makes_no_parent() -> None:
    assert {parent(one) for one in mutants(study_of(math.nan, 3.0, math.nan, state=TrialState.PRUNED))} == {0.1}


def test_only_the_best_few_are_parents() -> None:
    found = {parent(one) for one in mutants(study_of(5.0, 4.0, 3.0, 2.0, 1.0), 40, n_parents=2)}
    assert found == {0.3, 0.4}


def test_a_mutant_differs_from_its_parent_and_stays_in_range() -> None:
    for one in mutants(study_of(0.0), 60):
        assert set(one.params.values()) != {0.0}
        assert all(0.0 <= value <= 1.0 for value in one.params.values())


def test_trials_are_uniform_until_enough_have_a_value() -> None:
    study = study_of(1.0, 2.0, None, None)
    uniform = suggest(study, Evolve(seed=0, n_startup_trials=3, uniform_share=0.0))
    assert len(set(uniform.params.values())) == len(FLOATS)
    mutant = suggest(study, Evolve(seed=0, n_startup_trials=2, uniform_share=0.0, n_parents=1, n_changes=0.01))
    assert parent(mutant) == 0.0


def test_the_uniform_share_is_kept() -> None:
    found = mutants(study_of(1.0), 200, uniform_share=0.5)
    uniform = sum(0.0 not in one.params.values() for one in found)
    assert 70 <= uniform <= 130


def test_fixed_parameters_are_not_what_a_mutant_changes() -> None:
    study = study_of(1.0, 2.0)
    for seed in range(20):
        one = suggest(study, Evolve(seed=seed, **ALWAYS_MUTANTS), a=0.5, b=0.5, c=0.5)
        assert [one.params[name] for name in "abc"] == [0.5] * 3
        assert one.params["d"] != 0.0


def test_a_space_of_constants_has_nothing_to_change() -> None:
    def constants(trial: optuna.trial.Trial) -> None:
        trial.suggest_int("n", 3, 3)

    study = optuna.create_study()
    for _ in range(3):
        study.tell(study.ask({"n": IntDistribution(3, 3)}), 1.0)
    assert suggest(study, Evolve(seed=0, **ALWAYS_MUTANTS), space=constants).params == {"n": 3}


def test_a_mutant_keeps_its_parents_branch_or_draws_the_other_one_whole() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(10):
        trial = study.ask()
        conditional_space(trial)
        study.tell(trial, 0.0 if trial.params["model.family"] == "mlp" else 1.0)
    names: dict[str, set[frozenset[str]]] = {}
    for seed in range(60):
        one = suggest(study, Evolve(seed=seed, **ALWAYS_MUTANTS), space=conditional_space)
        names.setdefault(one.params["model.family"], set()).add(frozenset(one.params))
    assert set(names) == {"linear", "mlp"}
    for family, found in names.items():
        told = [one for one in study.trials if one.params["model.family"] == family]
        assert found <= {frozenset(one.params) for one in told}


def test_no_trial_is_suggested_again_while_others_are_near() -> None:
    space: dict[str, BaseDistribution] = {"a": IntDistribution(0, 3), "b": CategoricalDistribution(["x", "y", "z"])}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    study.tell(study.ask(space), 0.0)
    seen = [study.trials[0].params]
    for seed in range(6):
        study.sampler = Evolve(seed=seed, **ALWAYS_MUTANTS)
        trial = study.ask(space)
        assert trial.params not in seen
        seen.append(trial.params)
        study.tell(trial, 1.0)


def test_of_several_metrics_the_front_is_the_parents() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    for number, values in enumerate([(0.0, 0.0), (1.0, 1.0), (2.0, 0.5), (3.0, 3.0)]):
        params = dict.fromkeys(FLOATS, number / 10)
        study.add_trial(optuna.trial.create_trial(values=values, params=params, distributions=FLOATS))
    assert {parent(one) for one in mutants(study, 40)} == {0.0, 0.1, 0.3}


def test_the_same_seed_and_history_give_the_same_trial() -> None:
    study = study_of(3.0, 1.0, 2.0)
    first, second = (suggest(study, Evolve(seed=7, n_startup_trials=1)) for _ in range(2))
    assert first.params == second.params


def test_a_logarithmic_range_is_walked_in_ratios() -> None:
    space: dict[str, BaseDistribution] = {
        "lr": FloatDistribution(1e-6, 1.0, log=True),
        "width": IntDistribution(1, 1024, log=True),
    }
    study = optuna.create_study()
    study.add_trial(optuna.trial.create_trial(value=0.0, params={"lr": 1e-3, "width": 32}, distributions=space))
    found = []
    for seed in range(200):
        study.sampler = Evolve(seed=seed, **ALWAYS_MUTANTS)
        found.append(study.ask(space).params)
    for name, here in (("lr", 1e-3), ("width", 32)):
        changed = [one[name] for one in found if one[name] != here]
        below = sum(value < here for value in changed)
        assert 0.3 < below / len(changed) < 0.7
        assert len(changed) >= 60


def test_it_finds_a_valley_better_than_chance() -> None:
    best = []
    for sampler in (Evolve(seed=0), optuna.samplers.RandomSampler(seed=0)):
        study = optuna.create_study(sampler=sampler)
        study.optimize(lambda trial: sum((trial.suggest_float(name, 0, 1) - 0.3) ** 2 for name in FLOATS), n_trials=100)
        best.append(study.best_value)
    assert best[0] < best[1] / 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_startup_trials": -1}, "n_startup_trials must be at least 0, got -1"),
        ({"uniform_share": 1.5}, "uniform_share must be from 0 to 1, got 1.5"),
        ({"n_parents": 0}, "n_parents must be at least 1, got 0"),
        ({"n_changes": 0.0}, "n_changes must be above 0, got 0"),
    ],
)
def test_an_option_out_of_range_says_which_and_what_came(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Evolve(**options)
