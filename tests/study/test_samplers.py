"""A suggestion depends on (history, seed, number) alone; every sampler takes every space; none stores a pickle."""

from __future__ import annotations

import importlib.util
import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import CmaEsSampler
from optuna.trial import FrozenTrial, TrialState

from search.contract import Space
from search.errors import InputError, SurroundingsError
from search.study import samplers
from search.study.choice import Choice
from search.study.cmaes import CmaEs
from search.study.draft import draft
from search.trial import ParamValue
from tests.study.studies import conditional_space, flat_space

QUICK = [name for name in samplers.NAMES if name not in ("gp", "grid")]

SETTINGS = [
    "random",
    "tpe:n_startup_trials=5",
    "tpe:multivariate=true,group=true,constant_liar=false,n_ei_candidates=5,n_startup_trials=5",
    "cmaes",
    "cmaes:use_separable_cma=true,consider_pruned_trials=true",
    "cmaes:with_margin=true,popsize=4,sigma0=0.3",
    "cmaes:lr_adapt=true,independent_sampler=tpe,n_startup_trials=3",
    "qmc",
    "qmc:qmc_type=halton,scramble=false",
    "nsga2:population_size=5",
    "nsga2:population_size=4,crossover=sbx,mutation=polynomial,mutation_prob=0.2,crossover_prob=0.8,swapping_prob=0.4",
]


def suggest(
    study: optuna.Study,
    choice: Choice,
    *,
    seed: int = 0,
    space: Space = flat_space,
    fixed: Mapping[str, ParamValue] | None = None,
) -> FrozenTrial:
    """Suggest the next trial and store it, as the study's owner does."""
    number = len(study.get_trials(deepcopy=False))
    sampler = samplers.make(choice, seed=seed, number=number)
    template = draft(study, sampler, space, fixed=fixed or {}, attributes={}, number=number)
    return study._storage.get_trial(study._storage.create_new_trial(study._study_id, template_trial=template))


def complete(study: optuna.Study, trial: FrozenTrial, value: float) -> None:
    study._storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [value])


def cost(trial: FrozenTrial) -> float:
    """Return something to minimize."""
    return sum(float(value) ** 2 for value in trial.params.values() if isinstance(value, float | int))


def searched(
    text: str, count: int, *, seed: int = 0, space: Space = flat_space, value: Callable[[FrozenTrial], float] = cost
) -> optuna.Study:
    """Return a study of so many trials, one after the other."""
    study, choice = optuna.create_study(), Choice.parse(text)
    for _ in range(count):
        trial = suggest(study, choice, seed=seed, space=space)
        complete(study, trial, value(trial))
    return study


def params(study: optuna.Study) -> list[dict[str, Any]]:
    return [trial.params for trial in study.get_trials(deepcopy=False)]


@pytest.mark.parametrize("text", SETTINGS)
def test_the_same_seed_gives_the_same_trials(text: str) -> None:
    samplers.check(Choice.parse(text))
    assert params(searched(text, 15, space=conditional_space)) == params(searched(text, 15, space=conditional_space))


@pytest.mark.parametrize("text", [one for one in SETTINGS if "scramble=false" not in one])
def test_another_seed_gives_other_trials(text: str) -> None:
    mine, others = params(searched(text, 4, seed=1)), params(searched(text, 4, seed=2))
    assert all(one != other for one, other in zip(mine, others, strict=True))


@pytest.mark.parametrize("name", QUICK)
def test_no_trial_repeats_another(name: str) -> None:
    points = [tuple(sorted(one.items())) for one in params(searched(name, 20))]
    assert len(set(points)) == len(points)


@pytest.mark.parametrize("name", QUICK)
def test_what_a_sampler_stores_is_json_and_no_pickle(name: str) -> None:
    study, choice = optuna.create_study(), Choice.parse(name)
    for trial in [suggest(study, choice, space=conditional_space) for _ in range(4)]:
        complete(study, trial, cost(trial))
    for _ in range(16):
        trial = suggest(study, choice, space=conditional_space)
        complete(study, trial, cost(trial))
    kept = [study._storage.get_study_system_attrs(study._study_id)]
    kept += [trial.system_attrs for trial in study.get_trials(deepcopy=False)]
    assert '"80049' not in json.dumps(kept, allow_nan=False)  # how a pickle's text begins, in hexadecimal digits
    assert not any("optimizer" in key for attrs in kept for key in attrs)


def test_gp_suggests_from_its_model() -> None:
    study = searched("gp:n_startup_trials=3,deterministic_objective=true", 5)
    assert len(params(study)) == 5


def test_qmc_spreads_what_its_sequence_covers_and_what_it_does_not() -> None:
    study = searched("qmc", 33, space=conditional_space)
    rates = [math.log(one["train.lr"]) for one in params(study)[1:]]
    low, high = math.log(1e-5), math.log(0.1)
    assert set(np.histogram(rates, bins=8, range=(low, high))[0].tolist()) == {4}
    drawn_alone = [one["model.width"] for one in params(study) if "model.width" in one]
    assert len(set(drawn_alone)) > len(drawn_alone) / 2


@pytest.mark.parametrize(
    "options", [{}, {"use_separable_cma": True}, {"with_margin": True}, {"lr_adapt": True}, {"popsize": 5}]
)
def test_cmaes_rebuilds_the_state_that_optuna_would_have_pickled(options: dict[str, Any]) -> None:
    def space(trial: optuna.trial.Trial) -> None:
        trial.suggest_float("x", -1.0, 1.0)
        trial.suggest_float("y", 1e-3, 1.0, log=True)
        trial.suggest_int("n", 0, 9)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        theirs = CmaEsSampler(seed=0, **options)
    study = optuna.create_study(sampler=theirs)
    for _ in range(41):  # Optuna keeps a generation's end with the next trial
        trial = study.ask()
        space(trial)
        study.tell(trial, cost(study.trials[-1]))
    done = study.get_trials(deepcopy=False)
    ours = samplers.make(Choice("cmaes", options), seed=0, number=0)
    assert isinstance(ours, CmaEs)
    kept: Any = theirs._restore_optimizer(done)
    rebuilt = _state(ours, study, until=kept.generation)
    assert rebuilt.generation == kept.generation > 3
    for one in ("_mean", "_sigma"):
        np.testing.assert_allclose(_inner(kept, one), _inner(rebuilt, one), rtol=1e-9)


def _inner(optimizer: Any, name: str) -> Any:
    return getattr(getattr(optimizer, "_cma", optimizer), name)


def test_a_straggler_does_not_change_what_cmaes_was_told() -> None:
    study, choice = optuna.create_study(), Choice("cmaes", {"popsize": 4})
    complete(study, suggest(study, choice), 1.0)
    slow, *others = [suggest(study, choice) for _ in range(5)]
    for trial in others:
        complete(study, trial, cost(trial))
    before = samplers.make(choice, seed=0, number=9)
    first = suggest(study, choice)
    assert isinstance(before, CmaEs)
    mean = _state(before, study).mean
    complete(study, slow, -100.0)
    assert first.system_attrs["cma:generation"] == 1
    np.testing.assert_array_equal(_state(before, study).mean, mean)


def _state(sampler: CmaEs, study: optuna.Study, *, until: int = 99) -> Any:
    """Return the optimizer as it is rebuilt from the trials of generations before `until`."""
    done = [one for one in study.get_trials(deepcopy=False) if one.state is TrialState.COMPLETE]
    done = [one for one in done if _generation(one) < until]
    sampler._space = sampler.infer_relative_search_space(study, done[-1])
    sampler._sign, sampler._direction = 1.0, study.direction
    return sampler._restore_optimizer(done)


def _generation(trial: FrozenTrial) -> int:
    return next((value for key, value in trial.system_attrs.items() if key.endswith(":generation")), 0)


def test_cmaes_finds_a_valley_better_than_chance() -> None:
    def valley(trial: FrozenTrial) -> float:
        return float((trial.params["x"] - 0.3) ** 2)

    def space(trial: optuna.trial.Trial) -> None:
        trial.suggest_float("x", -1.0, 1.0)
        trial.suggest_float("y", -1.0, 1.0)

    best = {name: searched(name, 80, space=space, value=valley).best_value for name in ("cmaes", "random")}
    assert best["cmaes"] < best["random"]


def stepped_space(trial: optuna.trial.Trial) -> None:
    """Suggest one of 3 + 2 x 2 points."""
    if trial.suggest_categorical("kind", ["a", "b"]) == "a":
        trial.suggest_float("x", 0.0, 1.0, step=0.5)
    else:
        trial.suggest_int("n", 1, 2)
        trial.suggest_categorical("c", [True, None])


def walked(*, space: Space, fixed: Mapping[str, ParamValue], together: int = 1) -> list[dict[str, Any]]:
    """Suggest until the grid is exhausted."""
    study, grid, running = optuna.create_study(), Choice("grid"), list[FrozenTrial]()
    while not samplers.exhausted(grid, study, fixed=fixed):
        running.append(suggest(study, grid, space=space, fixed=fixed))
        if len(running) == together:
            complete(study, running.pop(0), 0.0)
        assert len(params(study)) < 50
    return params(study)


@pytest.mark.parametrize("together", [1, 3])
def test_a_grid_has_every_point_once_conditional_ones_too(together: int) -> None:
    points = walked(space=stepped_space, fixed={}, together=together)
    assert len(points) == 7
    assert len({json.dumps(one) for one in points}) == 7


@pytest.mark.parametrize(
    ("fixed", "count"), [({"kind": "b"}, 4), ({"n": 2}, 5), ({"kind": "a", "x": 0.5}, 1), ({"x": 0.25}, 5)]
)
def test_a_fixed_parameter_is_no_part_of_the_grid(fixed: dict[str, ParamValue], count: int) -> None:
    def space(trial: optuna.trial.Trial) -> None:
        if fixed.get("x") == 0.25:  # lies between the points of the grid
            if trial.suggest_categorical("kind", ["a", "b"]) == "a":
                trial.suggest_float("x", 0.0, 1.0)
            else:
                trial.suggest_int("n", 1, 2)
                trial.suggest_categorical("c", [True, None])
        else:
            stepped_space(trial)

    points = walked(space=space, fixed=fixed)
    assert len(points) == len({json.dumps(one) for one in points}) == count


def test_a_grid_counts_failed_trials_as_tried() -> None:
    study, grid = optuna.create_study(), Choice("grid")
    for _ in range(7):
        assert not samplers.exhausted(grid, study)
        trial = suggest(study, grid, space=stepped_space)
        study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    assert samplers.exhausted(grid, study)


@pytest.mark.parametrize("name", QUICK)
def test_only_a_grid_is_ever_exhausted(name: str) -> None:
    assert not samplers.exhausted(Choice(name), searched(name, 3))


GRIDS: Sequence[tuple[dict[str, BaseDistribution], set[str]]] = [
    ({"train.lr": FloatDistribution(0.0, 1.0, step=0.1), "n": IntDistribution(1, 3)}, set()),
    ({"train.lr": FloatDistribution(0.0, 1.0)}, {"train.lr"}),
]


@pytest.mark.parametrize(("space", "fixed"), GRIDS)
def test_a_grid_takes_stepped_and_fixed_floats(space: dict[str, BaseDistribution], fixed: set[str]) -> None:
    samplers.check_space(Choice("grid"), space, fixed=fixed)


def test_a_grid_wants_a_step() -> None:
    space = {"n": IntDistribution(1, 3), "train.lr": FloatDistribution(1e-5, 0.1, log=True)}
    samplers.check_space(Choice("tpe"), space)
    with pytest.raises(InputError) as caught:
        samplers.check_space(Choice("grid"), space)
    assert caught.value.sentence() == (
        "grid needs a step for train.lr (a float range); give step= or use another sampler"
    )


@pytest.mark.parametrize("name", samplers.NAMES)
def test_every_sampler_is_good_as_it_is(name: str) -> None:
    samplers.check(Choice(name))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("tpee", f"unknown sampler 'tpee'; did you mean 'tpe'? ({', '.join(sorted(samplers.NAMES))})"),
        ("", f"unknown sampler ''; known: {', '.join(sorted(samplers.NAMES))}"),
        ("random:a=1", "sampler random has no option 'a'; none is known"),
        ("grid:avoid_premature_stp=1", "sampler grid has no option 'avoid_premature_stp'; did you mean"),
        ("tpe:gamma=3", "sampler tpe has no option 'gamma'; "),
        ("tpe:seed=3", "sampler tpe has no option 'seed'; "),
        ("cmaes:restart_strategy=ipop", "sampler cmaes has no option 'restart_strategy'; "),
        ("tpe:group=3", "group of sampler tpe must be true or false, got '3'"),
        ("tpe:n_startup_trials=1.5", "n_startup_trials of sampler tpe must be a whole number, got '1.5'"),
        ("tpe:n_startup_trials=true", "n_startup_trials of sampler tpe must be a whole number, got 'true'"),
        ("cmaes:sigma0=nan", "sigma0 of sampler cmaes must be a number or none, got 'nan'"),
        ("cmaes:popsize=1", "popsize of sampler cmaes must be at least 2, got 1"),
        ("tpe:n_ei_candidates=0", "n_ei_candidates of sampler tpe must be at least 1, got 0"),
        ("nsga2:population_size=1", "sampler nsga2: `population_size` must be greater than or equal to 2"),
        (
            "nsga2:crossover=sbxx",
            "unknown crossover 'sbxx'; did you mean 'sbx'? (blxalpha, sbx, spx, undx, uniform, vsbx)",
        ),
        ("gp:independent_sampler=gp", "unknown independent sampler 'gp'; known: random, tpe"),
        ("tpe:group=true,multivariate=false", "sampler tpe: "),
    ],
)
def test_what_cannot_work_is_told_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        samplers.check(Choice.parse(text))
    assert caught.value.sentence().startswith(sentence)


def test_cmaes_refuses_several_metrics() -> None:
    with pytest.raises(InputError, match="searches one metric, got 2"):
        samplers.check(Choice("cmaes"), objectives=2)


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SurroundingsError) as caught:
        samplers.check(Choice("cmaes"))
    assert caught.value.sentence() == (
        "sampler cmaes needs cmaes, not installed here; pip install 'sweep-search[cmaes]'"
    )
