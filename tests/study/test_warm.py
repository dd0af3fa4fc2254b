"""A study begins from earlier ones: related ones help, others do little harm, and nothing depends on them later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState

from search.errors import InputError
from search.study import attributes
from search.study.likeness import Likeness, tau
from search.study.runs import Run
from search.study.space import describe
from search.study.warm import MOST_TEXT, MOST_TRIALS, Source, WarmStart, take
from tests.study.searches import Search

Loss = Callable[[Mapping[str, Any]], float]


def here(trial: Any) -> None:
    """Suggest a category and four numbers."""
    trial.suggest_categorical("kind", ["a", "b", "c"])
    trial.suggest_float("lr", 1e-4, 1.0, log=True)
    for number in range(3):
        trial.suggest_float(f"x{number}", 0.0, 1.0)


def loss(params: Mapping[str, Any]) -> dict[str, float]:
    far = sum((params[f"x{number}"] - 0.2 - 0.2 * number) ** 2 for number in range(3))
    return {"loss": float(far + (np.log10(params["lr"]) / 4 + 0.4) ** 2 + 0.3 * (params["kind"] != "b"))}


def trials_of(value: Loss, space: Any = here, *, count: int = 60, seed: int = 0) -> list[FrozenTrial]:
    """Return random trials of an earlier study."""
    study = optuna.create_study(sampler=RandomSampler(seed=seed))
    for _ in range(count):
        trial = study.ask()
        space(trial)
        study.tell(trial, value(trial.params))
    return study.get_trials()


def source_of(value: Loss, *, name: str = "rain", seed: int = 0, space: Any = here) -> Source:
    known = describe(here, seed=0)
    return take(name, trials_of(value, space, seed=seed), ["minimize"], space=known, wanted=["minimize"])


RELATED: Loss = lambda params: 7 * loss(params)["loss"] + 3  # noqa: E731
INVERTED: Loss = lambda params: -loss(params)["loss"]  # noqa: E731


def bests(folder: Path, value: Loss | None, *, count: int = 25, seeds: int = 12) -> np.ndarray[Any, Any]:
    """Return the best loss of a sweep from an earlier study of `value`, for some seeds."""
    found = []
    for seed in range(seeds):
        warm = [] if value is None else [source_of(value, seed=100 + seed).to_json()]
        search = Search.open(folder / str(seed), here, loss, warm_start=warm, trials=count, seed=seed, sampler="random")
        best = search.run().best
        assert best is not None
        found.append(best.values[0])
        search.close()
    return np.array(found)


def test_a_related_study_helps_and_a_useless_one_does_little_harm(tmp_path: Path) -> None:
    cold = bests(tmp_path / "cold", None)
    related = bests(tmp_path / "related", RELATED)
    inverted = bests(tmp_path / "inverted", INVERTED)
    assert np.log(related / cold).mean() < np.log(0.7)
    assert (related < cold).mean() > 0.6
    harm = np.log(inverted / cold)
    assert harm.mean() < 0.1 + harm.std() / np.sqrt(len(harm))


def test_first_comes_the_best_of_each_earlier_study(tmp_path: Path) -> None:
    sources = [source_of(RELATED, name="rain"), source_of(INVERTED, name="snow", seed=3)]
    warm = [one.to_json() for one in sources]
    search = Search.open(tmp_path / "s", here, loss, warm_start=warm, trials=2)
    search.run()
    for one, source in zip(search.records(), sources, strict=True):
        assert one.params == source.points[0]
    proposed = [trial.system_attrs[attributes.WARM] for trial in search.owner._parts.study.get_trials()]
    assert proposed == ["rain", "snow"]
    search.close()


def test_what_does_not_order_the_trials_gets_no_weight() -> None:
    study = optuna.create_study()
    study.add_trials(trials_of(lambda params: loss(params)["loss"], count=30, seed=9))
    sources = [source_of(RELATED), source_of(INVERTED), source_of(lambda params: params["x0"] * 0 + 0.5)]
    related, inverted, flat = WarmStart(sources, study, seed=1).weights(study.get_trials())
    assert related > 0.4
    assert inverted == 0.0
    assert flat < 0.2


def test_pruned_trials_are_behind_all_complete_ones() -> None:
    trials = trials_of(lambda params: loss(params)["loss"], count=20)
    for trial in trials[:10]:
        trial.state = TrialState.PRUNED
        trial.values = [-5.0]
    source = take("rain", trials, ["minimize"], space=describe(here, seed=0), wanted=["minimize"])
    complete = {tuple(trial.params.values()) for trial in trials[10:]}
    assert {tuple(point.values()) for point in source.points[:10]} == complete


def narrower(trial: Any) -> None:
    """Suggest some of the same names: a wider range, other choices, another kind, and one more."""
    trial.suggest_float("lr", 1e-6, 10.0, log=True)
    trial.suggest_categorical("kind", ["b", "z"])
    trial.suggest_int("x0", 0, 1)
    trial.suggest_float("x1", 0.0, 1.0)
    trial.suggest_float("extra", 0.0, 1.0)


def test_what_both_spaces_have_is_taken_and_the_rest_is_left_to_the_sampler(tmp_path: Path) -> None:
    source = source_of(lambda params: params["x1"], space=narrower)
    assert set(source.shared) == {"lr", "kind", "x1"}
    assert source.sentence() == "warm start from rain (60 trials, 3 of 5 parameters shared)"
    for point in source.points:
        assert point.get("kind", "b") == "b"
        assert 1e-4 <= point.get("lr", 1.0) <= 1.0  # type: ignore[operator]
    search = Search.open(tmp_path / "s", here, loss, warm_start=[source.to_json()], trials=15)
    search.run()
    assert all(len(one.params) == 5 for one in search.records())
    search.close()


def moving(trial: Any) -> None:
    """Suggest a number whose range hangs on a choice."""
    wide = trial.suggest_categorical("kind", ["a", "b", "c"]) != "b"
    trial.suggest_float("x0", 0.0, 1.0 if wide else 0.01)


def test_what_is_allowed_beside_other_values_only_is_left_to_the_sampler(tmp_path: Path) -> None:
    source = source_of(lambda params: params["x0"] + 9.0 * (params["kind"] != "b"))
    search = Search.open(
        tmp_path / "s", moving, lambda params: {"loss": params["x0"]}, warm_start=[source.to_json()], trials=10
    )
    assert search.run().trials["complete"] == 10
    search.close()


def test_what_the_user_fixed_stays_fixed(tmp_path: Path) -> None:
    search = Search.open(
        tmp_path / "s", here, loss, warm_start=[source_of(RELATED).to_json()], trials=12, fixed={"kind": "a"}
    )
    search.run()
    assert {one.params["kind"] for one in search.records()} == {"a"}
    search.close()


@pytest.mark.parametrize("sampler", ["random", "tpe", "evolve"])
def test_a_restart_goes_on_as_if_nothing_had_happened(tmp_path: Path, sampler: str) -> None:
    warm = [source_of(RELATED).to_json()]
    whole = Search.open(tmp_path / "whole", here, loss, warm_start=warm, trials=16, sampler=sampler)
    whole.run()
    first = Search.open(tmp_path / "cut", here, loss, warm_start=warm, trials=7, sampler=sampler)
    first.run()
    first.close()
    second = Search.open(tmp_path / "cut", here, loss, trials=16, sampler=sampler, run=Run("two"))  # without the study
    second.run()
    assert [one.params for one in second.records()] == [one.params for one in whole.records()]
    for search in (whole, second):
        search.close()


def test_what_is_kept_of_a_large_study_is_small() -> None:
    def texts(trial: Any) -> None:
        here(trial)
        trial.suggest_categorical("text", ["long " * 2000, "short"])

    known = describe(texts, seed=0)
    source = take("rain", trials_of(lambda params: loss(params)["loss"], texts, count=400), ["minimize"], space=known,
                  wanted=["minimize"])  # fmt: skip
    assert len(source.points) <= MOST_TRIALS
    assert len(str(source.to_json()["points"])) <= 1.1 * MOST_TEXT
    assert Source.from_json(source.to_json()) == source
    assert source.trials == 400
    assert source.ranks[0] == 0.0
    assert source.ranks == tuple(sorted(source.ranks))


def other(trial: Any) -> None:
    """Suggest what nobody else has."""
    trial.suggest_float("z", 0.0, 1.0)


def failed(count: int = 3) -> list[FrozenTrial]:
    return [optuna.trial.create_trial(state=TrialState.FAIL) for _ in range(count)]


@pytest.mark.parametrize(
    ("trials", "directions", "wanted", "sentence"),
    [
        ([], ["minimize"], ["minimize"], "--warm-start study 'rain' has no completed trial; name another study"),
        (failed(), ["minimize"], ["minimize"], "--warm-start study 'rain' has no completed trial; name another study"),
        (
            trials_of(lambda params: params["z"], other),
            ["minimize"],
            ["minimize"],
            "--warm-start study 'rain' shares no parameter with this sweep's space; name another study",
        ),
        (
            trials_of(RELATED),
            ["maximize"],
            ["minimize"],
            "--warm-start study 'rain' is to maximize its metric, and this sweep to minimize; leave it out",
        ),
        (
            trials_of(RELATED),
            ["minimize", "minimize"],
            ["minimize"],
            "--warm-start study 'rain' has 2 metrics, and one can be learnt from; leave it out",
        ),
    ],
)
def test_a_study_that_nothing_can_be_learnt_from_is_told(
    trials: list[FrozenTrial], directions: list[str], wanted: list[str], sentence: str
) -> None:
    with pytest.raises(InputError) as told:
        take("rain", trials, directions, space=describe(here, seed=0), wanted=wanted)
    assert told.value.sentence() == sentence


def test_likeness_is_from_chance_to_full_agreement() -> None:
    order = np.arange(10.0)
    assert tau(order, order) == 1.0
    assert tau(order, -order) == -1.0
    assert tau(order, np.zeros(10)) == 0.0
    source = source_of(RELATED)
    likeness = Likeness(source.shared, source.points, source.ranks, seed=0)
    assert likeness.agreement([], [], []) > 0
    points = [trial.params for trial in trials_of(RELATED, count=40, seed=7)]
    costs = [loss(point)["loss"] for point in points]
    assert likeness.agreement(range(40), points, costs) > 0.4
    assert likeness.agreement(range(40), points, [-cost for cost in costs]) == 0.0


@pytest.mark.parametrize("bound", [None, 0.3])
def test_studies_that_miss_a_constraint_alike_are_alike(bound: float | None) -> None:
    """Whoever misses it is worse than all that do not, whatever its value, which is best there."""

    def study_of(seed: int) -> optuna.Study:
        study = optuna.create_study(sampler=RandomSampler(seed=seed))
        for trial in trials_of(lambda params: -params["x0"], seed=seed):
            beyond = {} if bound is None else {f"constraints:x0<={bound}": trial.params["x0"] - bound}
            trial.system_attrs.update(beyond)
            study.add_trial(trial)
        return study

    earlier, mine = study_of(0), study_of(1)
    source = take("rain", earlier.trials, ["minimize"], space=describe(here, seed=0), wanted=["minimize"])
    (weight,) = WarmStart([source], mine, seed=1).weights(mine.trials)
    assert weight > 0.5
