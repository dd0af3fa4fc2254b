"""The pair `auto`: one model of all curves, beside halving, decides who goes on and what is begun, by the record alone.

Mutations that turn these red: keep the model in memory only; let decisions draw from a random stream that goes on; let
everybody rest for good once all trials are begun; forget the sign of a metric; measure what preparing takes in the
order in which trials were heard of; leave out which rows are prepared.
"""

from __future__ import annotations

import math
import pickle
import random
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from search.study import attributes, pruners, samplers
from search.study.auto.decision import STARTS, Situation
from search.study.auto.history import History, State
from search.study.auto.known import Known
from search.study.auto.ladder import Ladder
from search.study.auto.points import _moved, uniform
from search.study.auto.process import Numbers, Process, Rows, _likelihood, fitted
from search.study.auto.sampler import AutoSampler
from search.study.auto.scale import Scale
from search.study.choice import Choice
from search.study.edits import Edit
from search.study.pruners import NO_LIMIT
from search.study.pruners._auto import Auto
from search.study.reports import Reports
from search.trial import Ending, Outcome, Progress, Reuse, Verdict
from tests.study.test_promote import LAST, Sweep, train

Way = Literal["minimize", "maximize"]
PAIR = {"sampler": "auto", "pruner": "auto"}


def slowly_prepared(number: int) -> dict[str, Any]:
    cost_s = 24.0 + 12 * (number % 3 == 0)  # the same rows may be made again, and take another time
    return {"stage_s": {"train": 1.0}, "reuse": Reuse("made", cost_s, cost_s)}


def prepared_space(trial: optuna.Trial) -> None:
    trial.suggest_float("x", 0, 1)
    trial.suggest_int("preprocess.k", 0, 999)


def told(how: str, cost_s: float, train_s: float) -> dict[str, Any]:
    return {"stage_s": {"train": train_s}, "reuse": Reuse(how, cost_s, cost_s)}


def drive(
    sweep: Sweep,
    *,
    workers: int,
    between: Callable[[int], None] = lambda _: None,
    took: Callable[[int], dict[str, Any]] = lambda _: {},
) -> list[tuple[int, int, int, str]]:
    """Run a sweep to its end; return who trained which trial up to which epoch, and what was said to it.

    Args:
        sweep: It.
        workers: That train side by side.
        between: Called before each report, with their count.
        took: What a run of each trial takes.
    """
    told: list[tuple[int, int, int, str]] = []
    done: dict[int, int] = {}
    busy: dict[int, tuple[int, str]] = {}
    dice = random.Random(workers)
    for turn in range(10_000):
        for worker in range(workers):
            if worker not in busy and (job := sweep.ask(worker)) is not None:
                busy[worker] = job
        if not busy:
            return told
        between(turn)
        worker = dice.choice(sorted(busy))
        number, token = busy[worker]
        done[number] = epoch = done.get(number, 0) + 1
        verdict = train(sweep, number, token, epoch, **took(number))
        told.append((worker, number, epoch, verdict.name))
        if verdict is Verdict.STOP:
            sweep.owner.tell(number, token, Outcome(Ending.PAUSED, epoch, units=epoch))
        if verdict is not Verdict.CONTINUE or epoch == LAST:
            del busy[worker]
    raise AssertionError("a sweep without an end")


@pytest.mark.parametrize("every", [1, 7])
def test_verdicts_depend_on_the_record_only(every: int, tmp_path: Path) -> None:
    """The same trials go on, up to the same epochs, however often the study is opened again in between."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "torn").mkdir()
    whole, torn = (Sweep(tmp_path / name, space=prepared_space, trials=30, **PAIR) for name in ("whole", "torn"))
    expected = drive(whole, workers=3, took=slowly_prepared)

    def crash(turn: int) -> None:
        if turn % every == 0:
            torn.crash()

    assert drive(torn, workers=3, between=crash, took=slowly_prepared) == expected
    assert [one.params for one in torn.records()] == [one.params for one in whole.records()]
    assert any(one.origin.by in ("model", "near") for one in whole.records())
    assert any(one.by == "model" for record in whole.records() for one in record.origin.went_on)


@pytest.mark.parametrize(
    ("took", "steps"),
    [
        ({}, None),
        (told("unkept", 30.0, 1.0), None),
        (told("made", 0.9, 1e-4), 0),
        (told("made", 30.0, 50.0), 0),
        (told("made", 30.0, 1.0), 64),
    ],
)
def test_what_preparing_takes_is_measured_once_where_it_is_worth_counting(
    took: dict[str, Any], steps: int | None, tmp_path: Path
) -> None:
    sweep = Sweep(tmp_path, space=prepared_space, trials=30, **PAIR)
    drive(sweep, workers=2, took=lambda _: took)
    study = sweep.owner._parts.study
    assert study._storage.get_study_system_attrs(study._study_id).get(attributes.PREPARING) == steps


def test_points_whose_rows_are_prepared_come_first_where_preparing_takes_long(tmp_path: Path) -> None:
    shares: dict[str, float] = {}
    for pruner in ("auto", "auto:preparations=false"):
        found: list[bool] = []
        for seed in (3, 4, 5):
            folder = tmp_path / f"{len(shares)}-{seed}"
            folder.mkdir()
            sweep = Sweep(folder, space=prepared_space, trials=60, sampler="auto", pruner=pruner, seed=seed)
            drive(sweep, workers=2, took=slowly_prepared)
            keys = [one.params["preprocess.k"] for one in sweep.records()]
            late = sweep.records()[2 * STARTS :]
            found += [keys[one.number] in keys[: one.number] for one in late if one.origin.by in ("model", "near")]
        assert len(found) >= 24
        shares[pruner] = sum(found) / len(found)
    assert shares["auto"] >= 0.9
    assert shares["auto:preparations=false"] <= 0.6


def test_beside_another_pruner_preparations_do_not_count(tmp_path: Path) -> None:
    """Its options are the pruner's, so nobody could leave them out."""
    sweep = Sweep(tmp_path, space=prepared_space, trials=30, sampler="auto", pruner="asha:promote=true")
    drive(sweep, workers=2, took=slowly_prepared)
    study = sweep.owner._parts.study
    assert attributes.PREPARING not in study._storage.get_study_system_attrs(study._study_id)
    assert any(one.origin.by in ("model", "near") for one in sweep.records())


def test_an_edit_holds_whether_the_study_was_opened_again_or_not(tmp_path: Path) -> None:
    """What the user fixed, new points have, and the rest of the decisions follow from the record as before."""
    found = []
    for name in ("whole", "torn"):
        (tmp_path / name).mkdir()
        sweep = Sweep(tmp_path / name, trials=30, **PAIR)

        def edit(turn: int, sweep: Sweep = sweep, *, torn: bool = name == "torn") -> None:
            if turn == 60:
                sweep.owner.steering.edit(Edit("fix", {"fixed": {"n": 3}}, {"fixed": {}}, "", ""))
            if torn and turn > 60:
                sweep.crash()

        found.append(drive(sweep, workers=2, between=edit))
        late = [one for one in sweep.records() if one.number >= 28]
        assert {one.params["n"] for one in late} == {3}
    assert found[0] == found[1]


@pytest.mark.parametrize("replays", [False, True])
def test_a_trial_that_rests_without_a_checkpoint_is_spared_no_step(tmp_path: Path, *, replays: bool) -> None:
    """To go on it is trained again from the start, which its next steps are then weighed with."""
    sweep = Sweep(tmp_path, trials=20, **PAIR)
    history = History(Ladder(LAST), Reports(["minimize"]))

    def look(_: int) -> None:
        study = sweep.storage.optuna.get_study_id_from_name("s")
        history.update(sweep.storage.optuna.get_all_trials(study, deepcopy=False))
        rests = history.state == State.RESTING
        spared = np.where(rests, 0, history.last) if replays else history.last
        assert (history.spared == spared).all()

    drive(sweep, workers=2, between=look, took=lambda _: {"replays": replays})
    assert len(history) == 20


def test_a_sweep_trains_the_likeliest_to_their_end_once_all_trials_are_begun(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, trials=25, **PAIR)
    drive(sweep, workers=2)
    records = sweep.records()
    states = [one.state for one in records]
    assert len(records) == 25
    assert set(states) == {"complete", "pruned"}
    best = min((one for one in records if one.state == "complete"), key=lambda one: one.values)
    for one in records:
        assert one.origin.by
        if one.state == "pruned" and "chance" in one.pruning:
            assert 0 <= one.pruning["chance"] <= 1
    assert best.values[0] <= float(np.quantile([min(one.reports.values()) for one in records], 0.2))
    assert sweep.owner.tick() == "25 of 25 trials"


def test_a_plateau_counts_trials_that_rest(tmp_path: Path) -> None:
    """Few trials end: those that were begun after the best one, and have not been taken on, are no better so far."""
    sweep = Sweep(tmp_path, trials=None, plateau=25, **PAIR)
    drive(sweep, workers=2)
    found = re.fullmatch(r"the best has not moved for (\d+) trials", sweep.owner.tick() or "")
    assert found is not None
    assert int(found[1]) >= 25
    records = sweep.records()
    best = min((one for one in records if one.state == "complete"), key=lambda one: one.values)
    assert 25 <= len(records) - best.number < 60


def completed(count: int) -> History:
    """Return trials of one report each, at as many places of a range in an order of chance."""
    study, places = optuna.create_study(), np.random.default_rng(0).permutation(count) / count
    for place in places.tolist():
        trial = optuna.trial.create_trial(
            params={"x": place},
            distributions={"x": FloatDistribution(0, 1)},
            value=(place - 0.3) ** 2,
            intermediate_values={9: (place - 0.3) ** 2},
        )
        study.add_trial(trial)
    history = History(Ladder(9), Reports(["minimize"]))
    history.update(study.get_trials(deepcopy=False), None)
    return history


@pytest.mark.parametrize(("before", "fits"), [(0, 1), (316, 1), (317, 0), (400, 0)])
def test_a_process_is_fitted_again_once_there_is_a_quarter_more_however_much_there_was(before: int, fits: int) -> None:
    kept: list[int] = []
    known = Known(completed(400), Numbers(), before, lambda _, rows: kept.append(rows), seed=0)
    assert known.process is not None
    assert kept == [400] * fits


def test_of_many_reports_the_best_and_some_from_the_whole_study_are_seen() -> None:
    history = completed(900)
    known = Known(history, Numbers(), 900, lambda *_: None, seed=0)
    seen, best = known.modelled, np.argsort(history.costs[:, -1, 0])
    assert len(seen) == 300
    assert np.isin(best[:100], seen).all()
    quarters = np.histogram(np.setdiff1d(seen, best[:100]), bins=4, range=(0, 900))[0]
    assert quarters.min() >= 40
    assert np.isin(best[100:300], seen).sum() < 70  # one in four, as of all others


def test_a_small_space_is_tried_whole_and_then_the_sweep_ends() -> None:
    study = optuna.create_study(sampler=AutoSampler(seed=1), pruner=Auto(direction="minimize", max_epochs=4))

    def objective(trial: optuna.Trial) -> float:
        loss = float(trial.suggest_int("n", 1, 4)) + trial.suggest_categorical("c", [0.0, 0.5])
        for epoch in range(1, 5):
            trial.report(loss / epoch, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return loss / 4

    study.optimize(objective, n_trials=60)
    assert len({tuple(one.params.items()) for one in study.trials}) == 8
    assert study.best_value == 0.25


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_any_user_of_optuna_can_import_the_pair(direction: Way) -> None:
    """In its own loop nobody can rest: a trial that is neither among the best third nor likely to win is pruned."""
    sign = 1 if direction == "minimize" else -1
    study = optuna.create_study(
        direction=direction, sampler=AutoSampler(seed=3), pruner=Auto(direction=direction, max_epochs=9, promote=False)
    )

    def objective(trial: optuna.Trial) -> float:
        kind = trial.suggest_categorical("kind", ["line", "curve"])
        x = trial.suggest_float("x", 0, 1)
        rate = trial.suggest_float("curve.rate", 1e-3, 1, log=True) if kind == "curve" else 0.1
        far = (x - 0.3) ** 2 + math.log10(rate / 0.1) ** 2 / 9 + 0.05 * (kind == "line")
        for epoch in range(1, 10):
            trial.report(sign * (far + 0.5 / epoch), epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return sign * (far + 0.5 / 9)

    study.optimize(objective, n_trials=60)
    states = [one.state for one in study.trials]
    assert states.count(TrialState.PRUNED) > 20
    assert abs(study.best_value) < 0.0556 + 0.004
    by = {one.system_attrs[attributes.WHY]["by"] for one in study.trials}
    assert {"start", "uniform"} <= by
    assert by & {"model", "near"}


def poorer_and_poorer(trial: optuna.Trial, sign: float = 1.0) -> float:
    value = trial.suggest_float("x", 0, 1) + sign * trial.number
    for epoch in range(1, 10):
        trial.report(value, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return value


def test_a_pair_may_serve_one_study_after_another() -> None:
    """What it says of the second is what another pruner would say, whatever the first one held."""

    def ran(rule: Auto, objective: Callable[[optuna.Trial], float]) -> list[tuple[TrialState, int | None]]:
        study = optuna.create_study(study_name="s", sampler=optuna.samplers.RandomSampler(seed=1), pruner=rule)
        study.sampler = sampler if rule is pruner else AutoSampler(seed=1)
        study.optimize(objective, n_trials=20)
        return [(one.state, one.last_step) for one in study.trials]

    sampler, pruner = AutoSampler(seed=1), Auto(direction="minimize", max_epochs=9)
    assert ran(pruner, poorer_and_poorer).count((TrialState.PRUNED, 1)) > 5
    better = ran(pruner, lambda trial: poorer_and_poorer(trial, -1.0))
    assert better.count((TrialState.COMPLETE, 9)) == 20
    assert better == ran(Auto(direction="minimize", max_epochs=9), lambda trial: poorer_and_poorer(trial, -1.0))


def test_a_sampler_may_serve_studies_of_both_directions() -> None:
    sampler = AutoSampler(seed=1)
    for way in ("minimize", "maximize"):
        study = optuna.create_study(direction=way, sampler=sampler)
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=40)
        assert abs(study.best_value - (way == "maximize")) < 0.02
        late = np.mean([one.params["x"] for one in study.trials[20:]])
        assert late > 0.5 if way == "maximize" else late < 0.5


@pytest.mark.parametrize("directions", [["minimize"], ["maximize", "maximize"]])
def test_a_pruner_of_other_directions_is_refused_where_nobody_asks_it_too(directions: list[str]) -> None:
    metrics = ["a", "b"][: len(directions)]
    rule = pruners.make(pruners.AUTO, directions=directions, seed=0, max_epochs=9, metrics=metrics)
    study = optuna.create_study(direction="maximize", sampler=AutoSampler(seed=1), pruner=rule)
    with pytest.raises(ValueError, match="in a study to maximize: build it with its directions"):
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)


@pytest.mark.parametrize("directions", [["minimize", "maximize"], ["maximize"]])
def test_a_pruner_takes_the_directions_of_a_study(directions: list[Way]) -> None:
    study, metrics = optuna.create_study(directions=directions), ["a", "b"][: len(directions)]
    rule = pruners.make(pruners.AUTO, directions=study.directions, seed=0, max_epochs=9, metrics=metrics)
    rule.check_directions(study)
    assert rule.reports.directions == tuple(directions)
    assert rule.sign == (1.0 if directions[0] == "minimize" else -1.0)


def test_a_pruner_of_several_metrics_needs_their_names() -> None:
    with pytest.raises(ValueError, match="metrics must name each of the 2 searched ones, got"):
        pruners.make(pruners.AUTO, directions=["minimize", "maximize"], seed=0, max_epochs=9)


def test_trials_that_are_asked_side_by_side_keep_their_own_decisions() -> None:
    """Optuna infers at the first parameter, so another trial may come between two of one."""
    study = optuna.create_study(sampler=AutoSampler(seed=1))
    asked = [study.ask() for _ in range(STARTS - 2)]
    for trial in asked:
        trial.suggest_float("x", 0, 1)
    late = [study.ask() for _ in range(4)]
    late[-1].suggest_float("x", 0, 1)  # which is none of the first
    for trial in asked:
        trial.suggest_float("y", 0, STARTS)
    by = [one.system_attrs[attributes.WHY]["by"] for one in study.trials if one.params]
    assert by == ["start"] * len(asked) + ["uniform"]
    assert len({int(one.params["y"]) for one in study.trials[: len(asked)]}) == len(asked)


def test_a_study_of_several_metrics_whose_names_nobody_told_is_searched_by_its_values() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=AutoSampler(seed=1))

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x = trial.suggest_float("x", 0, 1)
        told = {"a": x, "b": x}
        study._storage.set_trial_system_attr(trial._trial_id, attributes.metrics_key(1), told)
        return x, x

    study.optimize(objective, n_trials=20)
    assert {one.state for one in study.trials} == {TrialState.COMPLETE}


def rising(x: Any, epoch: int) -> float:
    """Return what a trial measures that is best at first and then learns the rows by heart."""
    return float(x - 0.3) ** 2 + 0.05 * epoch


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whoever_has_seen_the_best_of_all_is_trained_to_its_end(seed: int, tmp_path: Path) -> None:
    """A trial's value is its best; where curves rise, no last epoch is better than what others saw before."""

    def space(trial: optuna.Trial) -> None:
        trial.suggest_float("x", 0, 1)

    sweep = Sweep(tmp_path, space=space, trials=30, max_epochs=9, seed=seed, **PAIR)
    while (job := sweep.ask(0)) is not None:
        number, token = job
        record = sweep.records()[number]
        for epoch in range(1 + record.last_step, 10):
            measured, best = ({"val_loss": rising(record.params["x"], one)} for one in (epoch, 1))
            verdict = sweep.owner.report(number, token, Progress(epoch, measured, epoch))
            if verdict is not Verdict.CONTINUE or epoch == 9:
                ending = Ending.COMPLETE if verdict is Verdict.CONTINUE else Ending.PAUSED
                sweep.owner.tell(number, token, Outcome(ending, epoch, best, epoch))
                break
    status = sweep.owner.finish()
    assert status.best is not None
    assert status.best.values[0] == min(one.reports[1] for one in sweep.records())
    by = [one.origin.by for one in sweep.records()]
    assert by.count("model") + by.count("near") > 5  # which has a chance where the best was seen


def where_trials_fail(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", 0, 1)
    if x > 0.5:
        raise ArithmeticError
    for epoch in range(1, 10):
        trial.report(abs(x - 0.45) + 1 / epoch, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return abs(x - 0.45) + 1 / 9


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_where_trials_fail_few_more_are_begun(seed: int) -> None:
    study = optuna.create_study(
        sampler=AutoSampler(seed=seed), pruner=Auto(direction="minimize", max_epochs=9, seed=seed)
    )
    study.optimize(where_trials_fail, n_trials=60, catch=ArithmeticError)
    late = [one.state for one in study.trials[2 * STARTS :]]
    assert late.count(TrialState.FAIL) < len(late) / 4


def test_what_is_on_the_front_of_several_metrics_is_trained_to_its_end(tmp_path: Path) -> None:
    def space(trial: optuna.Trial) -> None:
        trial.suggest_float("x", 0, 1)
        trial.suggest_float("y", 0, 1)

    metrics = {"metrics": ("a", "b"), "directions": ("minimize", "maximize")}
    sweep = Sweep(tmp_path, space=space, trials=40, max_epochs=9, **metrics, **PAIR)

    def told(params: Mapping[str, Any], epoch: int) -> dict[str, float]:
        return {"a": params["x"] + 1 / epoch, "b": params["x"] ** 2 - params["y"]}

    while (job := sweep.ask(0)) is not None:
        number, token = job
        record = sweep.records()[number]
        for epoch in range(1 + record.last_step, 10):
            verdict = sweep.owner.report(number, token, Progress(epoch, told(record.params, epoch), epoch))
            if verdict is not Verdict.CONTINUE or epoch == 9:
                ending = Ending.COMPLETE if verdict is Verdict.CONTINUE else Ending.PAUSED
                sweep.owner.tell(number, token, Outcome(ending, epoch, told(record.params, epoch), epoch))
                break
    sweep.owner.finish()
    last = {one.number: told(one.params, one.last_step) for one in sweep.records()}
    pruned = [one.number for one in sweep.records() if one.state == "pruned"]
    assert pruned
    for number in pruned:
        mine = last[number]
        assert any(one["a"] <= mine["a"] and one["b"] >= mine["b"] for other, one in last.items() if other != number)


@pytest.mark.parametrize("fails", [14, 40])
def test_trials_that_fail_before_they_suggest_anything_end_nothing(fails: int) -> None:
    study = optuna.create_study(sampler=AutoSampler(seed=1), pruner=Auto(direction="minimize", max_epochs=3))

    def objective(trial: optuna.Trial) -> float:
        if trial.number < fails:
            raise ArithmeticError
        value = trial.suggest_float("x", 0, 1)
        trial.report(value, 1)
        return value

    study.optimize(objective, n_trials=60, catch=ArithmeticError)
    assert [one.state for one in study.trials].count(TrialState.COMPLETE) == 60 - fails


def test_where_all_trials_fail_nothing_is_predicted() -> None:
    study = optuna.create_study(sampler=AutoSampler(seed=1), pruner=Auto(direction="minimize", max_epochs=9))

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("x", 0, 1)
        raise ArithmeticError

    study.optimize(objective, n_trials=40, catch=ArithmeticError)
    told = [one.system_attrs[attributes.WHY] for one in study.trials]
    assert {one["by"] for one in told} == {"start", "uniform"}
    assert not any("predicted" in one for one in told)


def known_of(trials: Sequence[FrozenTrial], *, last: int = 9, sign: float = 1.0, **given: Any) -> Known:
    """Return what is known of trials whose reports are of one metric, or of two."""
    ways = ["maximize" if sign < 0 else "minimize"] * given.pop("metrics", 1)
    history = History(Ladder(last), Reports(ways, "ab"[: len(ways)]))
    history.update(trials)
    return Known(history, Numbers(), 0, lambda numbers, rows: None, 0, sign, best_counts=True, **given)


def resting(number: int, x: float, curve: Sequence[Any], state: TrialState = TrialState.RUNNING) -> FrozenTrial:
    """Return a trial that rests where its curve ends, or one that has ended there."""
    rests = {attributes.LEASE: {"held": False}, attributes.RUNG: {"rung": len(curve), "rests": True}}
    several = (
        {attributes.metrics_key(step): dict(zip("ab", one, strict=True)) for step, one in enumerate(curve, 1)}
        if isinstance(curve[0], tuple)
        else {}
    )
    made = optuna.trial.create_trial(
        state=state,
        value=curve[-1] if state is TrialState.COMPLETE and not several else None,
        values=list(curve[-1]) if state is TrialState.COMPLETE and several else None,
        params={"x": x},
        distributions={"x": FloatDistribution(0.0, 1.0)},
        intermediate_values={} if several else dict(enumerate(curve, 1)),
        system_attrs={**several, **(rests if state is TrialState.RUNNING else {})},
    )
    made.number = number
    return made


@pytest.mark.parametrize(
    ("first", "second", "third", "expected"),
    [
        ((0.1, 0.4), (0.2, 0.4), (0.3, 0.3), [True, False]),
        ((0.1, 0.4), (0.1, 0.4), (0.3, 0.3), [True, False]),  # of equals one
        ((0.1, 0.4), (0.2, 0.4), (0.1, 0.3), [False, False]),  # one of those that ended
    ],
)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_who_has_seen_the_best_is_certain_to_be_it(
    first: Sequence[float], second: Sequence[float], third: Sequence[float], expected: Sequence[bool], sign: float
) -> None:
    rows = [(0.3 + place / 50, 0.35 + place / 50) for place in range(8)]
    ended = [third, *rows]
    trials = [
        resting(number, number / 20, [sign * one for one in curve]) for number, curve in enumerate((first, second))
    ]
    trials += [
        resting(2 + place, place / 20, [sign * one for one in curve], TrialState.COMPLETE)
        for place, curve in enumerate(ended)
    ]
    chances = known_of(trials, sign=sign).chances(np.array([0, 1]))
    assert [chances[number].of_best == 1.0 for number in (0, 1)] == expected


def test_where_nobody_else_has_seen_anything_there_is_nothing_to_beat() -> None:
    alone = known_of([resting(0, 0.5, [1 / epoch for epoch in range(1, 400)])], last=500)
    (chance,) = alone.chances(np.array([0])).values()
    assert (chance.of_best, chance.to_beat) == (1.0, None)


def test_the_front_is_that_of_the_values_that_trials_would_have() -> None:
    """Those are of the step at which the first metric was best."""
    curves = [[(0.4, 0.5), (0.9, 0.1)], [(0.7, 0.7), (0.5, 0.6)], [(0.8, 0.8), (0.6, 0.55)]]
    more = [[(0.9 + place / 9, 0.9 + place / 9)] * 2 for place in range(6)]
    trials = [resting(number, number / 9, curve) for number, curve in enumerate([*curves, *more])]
    known = known_of(trials, metrics=2)
    assert known._are_on_the_front(np.arange(3)) == [True, False, False]


def test_a_point_that_failed_and_was_run_again_keeps_nobody_away() -> None:
    """Nor does one that missed a constraint, where the optimum often lies, or one that is merely infinite."""
    trials = [resting(number, number / 40, [0.5, 0.4]) for number in range(16)]
    failed = resting(16, 0.9, [0.5], TrialState.FAIL)
    again = resting(17, 0.9, [0.1, 0.1], TrialState.COMPLETE)
    again.system_attrs = {attributes.RETRY_OF: 16}
    infinite = resting(18, 0.8, [math.inf, math.inf], TrialState.COMPLETE)
    situation = Situation(known_of([*trials, failed, again, infinite]))
    assert not situation.known.history.failed.any()
    situation = Situation(known_of([*trials, failed]))
    assert situation.known.history.failed.tolist() == [False] * 16 + [True]
    drawn = [situation._anywhere(np.random.default_rng(seed)) for seed in range(60)]
    points = [one.point["x"] for one in drawn if one.point is not None and isinstance(one.point["x"], float)]
    assert len(points) > 30
    assert max(points) < (0.375 + 0.9) / 2
    assert {one.by for one in drawn} == {"safe", "uniform"}


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_prediction_of_a_poor_trial_is_open_at_its_worse_end(sign: float) -> None:
    curves = [*([0.3 + place / 50] * 3 for place in range(12)), [1e6] * 3]
    trials = [resting(number, number / 13, [sign * one for one in curve]) for number, curve in enumerate(curves)]
    chances = known_of(trials, sign=sign).chances(np.array([0, 12]))
    best, poor = (chances[number].predicted for number in (0, 12))
    assert best is not None
    assert poor is not None
    assert (best.open_end, poor.open_end) == ("", "high" if sign > 0 else "low")


@pytest.mark.parametrize("last", [2, 3, 4, 5, 9, 27])
def test_where_the_best_was_seen_early_candidates_are_compared_there(last: int) -> None:
    trials = [resting(number, number / 20, [0.3 + number / 50, *[2.0] * (last - 1)]) for number in range(16)]
    assert Situation(known_of(trials, last=last))._peak() == [(1, 0.01)]


def test_two_files_may_hold_studies_of_one_name(tmp_path: Path) -> None:
    rule = Auto(direction="minimize", max_epochs=9)

    def study_in(name: str) -> optuna.Study:
        backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / name))
        return optuna.create_study(study_name="s", storage=optuna.storages.JournalStorage(backend), load_if_exists=True)

    study = study_in("a")
    for place in range(STARTS):
        study.add_trial(resting(place, place / STARTS, [1.0], TrialState.COMPLETE))
    assert rule.decision(study_in("a")).by != "start"
    assert rule.decision(study_in("b")).by == "start"


@pytest.mark.parametrize("directions", [[], ["min"], "minimize"])
def test_directions_that_are_none_are_refused(directions: list[str]) -> None:
    with pytest.raises(ValueError, match="must be minimize or maximize for each searched metric, got"):
        pruners.make(pruners.AUTO, directions=directions, seed=0, max_epochs=9)


def test_the_way_of_a_metric_changes_nothing() -> None:
    def params(sign: int) -> list[dict[str, float]]:
        way: Way = "minimize" if sign > 0 else "maximize"
        study = optuna.create_study(direction=way, sampler=AutoSampler(seed=5))
        study.pruner = Auto(direction=way, max_epochs=3, seed=5, promote=False)

        def objective(trial: optuna.Trial) -> float:
            value = sign * (trial.suggest_float("x", 0, 1) - 0.7) ** 2
            for epoch in (1, 2, 3):
                trial.report(value, epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return value

        study.optimize(objective, n_trials=30)
        return [one.params for one in study.trials]

    assert params(1) == params(-1)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_sweep_of_a_space_with_six_points_comes_to_its_end(workers: int, tmp_path: Path) -> None:
    """Once all points are tried, neither a trial that has ended nor anybody else goes on in their stead."""

    def space(trial: optuna.Trial) -> None:
        trial.suggest_categorical("a", [1, 2, 3])
        trial.suggest_categorical("b", ["x", "y"])

    for seed in range(4):
        (tmp_path / str(seed)).mkdir()
        sweep = Sweep(tmp_path / str(seed), space=space, trials=30, seed=seed, **PAIR)
        drive(sweep, workers=workers)
        assert sweep.owner.finish().why_stopped == "30 of 30 trials"


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("last", [9, NO_LIMIT])
def test_optunas_own_loop_may_have_threads_and_begin_to_count_where_it_likes(first: int, last: int) -> None:
    study = optuna.create_study(sampler=AutoSampler(seed=3), pruner=Auto(direction="minimize", max_epochs=last))

    def objective(trial: optuna.Trial) -> float:
        value = (trial.suggest_float("x", -5, 5) - 1) ** 2
        for step in range(first, 10):
            trial.report(value + 1 / (1 + step), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    study.optimize(objective, n_trials=40, n_jobs=2)
    states = [one.state for one in study.trials]
    assert states.count(TrialState.COMPLETE) + states.count(TrialState.PRUNED) == 40
    assert states.count(TrialState.PRUNED) > 5
    assert study.best_value < 0.1


def test_a_study_can_be_pickled_with_the_pair_and_goes_on_as_it_would_have() -> None:
    def objective(trial: optuna.Trial) -> float:
        value = (trial.suggest_float("x", -5, 5) - 1) ** 2
        for step in range(1, 10):
            trial.report(value + 1 / step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    study = optuna.create_study(sampler=AutoSampler(seed=3), pruner=Auto(direction="minimize", max_epochs=9))
    study.optimize(objective, n_trials=30)
    kept = pickle.loads(pickle.dumps(study))
    for one in (study, kept):
        one.optimize(objective, n_trials=15)
    assert [one.params for one in kept.trials] == [one.params for one in study.trials]
    assert [one.state for one in kept.trials] == [one.state for one in study.trials]
    assert len(kept.trials) == 45


def test_several_values_without_reports_are_weighed_too() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=AutoSampler(seed=1))
    study.pruner = Auto(direction="minimize", max_epochs=9)  # Optuna asks no pruner then
    study.optimize(lambda trial: ((x := trial.suggest_float("x", 0, 1)), x - 0.3 * x * x), n_trials=40)
    by = [one.system_attrs[attributes.WHY]["by"] for one in study.trials]
    assert by.count("model") + by.count("near") > 10


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("direction", 0, "must be minimize"),
        ("max_epochs", 0, "must be a whole number of 1 or more"),
        ("seed", None, "must be a whole number"),
        ("seed", -1, "must be a whole number of 0 or more"),
        ("max_epochs", 27.5, "must be a whole number of 1 or more"),
        ("halving_late", 1.5, "from 0 to 1"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(option: str, value: object, said: str) -> None:
    given: dict[str, Any] = {"direction": "minimize", "max_epochs": 9, option: value}
    with pytest.raises(ValueError, match=said):
        Auto(**given)


@pytest.mark.parametrize("text", ["auto", "auto:promote=false"])
def test_by_hand_nobody_rests(text: str) -> None:
    given: dict[str, Any] = {"directions": ["minimize"], "seed": 0, "max_epochs": 9}
    assert not pruners.make(Choice.parse(text), by_hand=True, **given).promotes
    assert pruners.make(Choice.parse(text), **given).promotes is (text == "auto")


def test_a_neighbour_of_a_number_of_a_grid_is_on_the_grid() -> None:
    grid = FloatDistribution(0.0, 1.0, step=0.1)
    on = set(uniform(grid, np.linspace(0, 1, 200)))
    for value in on:
        assert {_moved(grid, value, step) for step in (-0.01, 0.01, -1.0, 1.0)} <= on
    assert type(_moved(IntDistribution(1, 9), 3, 0.01)) is int


def test_without_steps_it_is_tpe() -> None:
    studies = [optuna.create_study(sampler=samplers.make(Choice("auto"), seed=1, number=0)) for _ in range(2)]
    studies[0].pruner = Auto(direction="minimize", max_epochs=1)
    studies[0].optimize(lambda trial: trial.suggest_float("x", 0, 1) ** 2, n_trials=30)
    assert studies[0].best_value < 0.01
    assert all(one.system_attrs[attributes.WHY] == {"by": "tpe"} for one in studies[0].trials)


def test_the_first_trials_are_spread_over_each_range() -> None:
    study = optuna.create_study()
    study.pruner = Auto(direction="minimize", max_epochs=9)
    for number in range(STARTS - 1):  # in Optuna's loop the last one of them is in the study before it is suggested
        study.sampler = samplers.make(Choice("auto"), seed=1, number=number)
        trial = study.ask()
        trial.suggest_float("x", 0, STARTS)
        trial.suggest_float("rate", 1.0, 10.0**STARTS, log=True)
        trial.suggest_categorical("kind", ["a", "b", "c"])
    assert len({int(one.params["x"]) for one in study.trials}) == STARTS - 1
    assert len({int(math.log10(one.params["rate"])) for one in study.trials}) == STARTS - 1
    kinds = [one.params["kind"] for one in study.trials]
    assert all(len({*kinds[lap : lap + 3]}) == 3 for lap in range(0, STARTS - 3, 3))  # however few trials there will be


def test_the_gradient_of_the_likelihood_is_its_own() -> None:
    dice = np.random.default_rng(0)
    points, trials = dice.random((20, 3)), dice.integers(0, 8, 20)
    logs = np.log(dice.integers(1, 9, 20))
    gaps = np.array([((points[:, [one]] - points[:, one]) ** 2).ravel() for one in range(3)])
    times, same = (logs[:, None] - logs) ** 2, (trials[:, None] == trials).astype(float)
    values = dice.normal(size=20)
    alike = (trials[:, None] % 2 == trials % 2).astype(float)
    at = Numbers().logs(["a", "b", "c"]) + dice.normal(0, 0.3, 12)
    _, slope = _likelihood(at, gaps, times, same, alike, values)
    for place in range(len(at)):
        step = np.zeros(len(at))
        step[place] = 1e-5
        high, low = (_likelihood(at + way * step, gaps, times, same, alike, values)[0] for way in (1, -1))
        assert slope[place] == pytest.approx((high - low) / 2e-5, rel=1e-3, abs=1e-6)


def test_a_process_says_what_was_seen_where_it_was_seen_and_little_where_nothing_was() -> None:
    dice = np.random.default_rng(1)
    trials = np.tile(np.arange(10), 4)
    rows = Rows(dice.random((40, 2)), np.log(np.repeat([1, 2, 4, 8], 10)), trials, np.zeros(40, int))
    rows.points[:] = np.tile(rows.points[:10], (4, 1))
    values = np.sin(6 * rows.points[:, 0]) - 0.3 * rows.logs
    values = (values - values.mean()) / values.std()
    names, groups = ("x", "y"), np.arange(2)
    numbers = fitted(Numbers(), rows, values, names, groups)
    assert numbers.lengths["x"] < numbers.lengths["y"]
    process = Process(numbers, rows, values, names, groups)
    mean, spread = process.predict(rows)
    assert np.abs(mean - values).max() < 0.2
    _, new = process.predict(Rows(np.array([[0.5, 9.0]]), np.log([8.0]), np.array([-1]), np.array([0])))
    assert new[0] > 2 * spread.max()
    assert Numbers.from_json(numbers.to_json()) == numbers


def test_what_a_branch_of_a_conditional_space_comes_to_is_expected_of_its_next_point_too() -> None:
    """Two branches with nothing in common but their steps: one falls, one does not."""
    steps = np.array([1, 3, 9, 27])
    trials = np.repeat(np.arange(12), 4)
    branches = trials % 2
    points = np.random.default_rng(2).random((12, 2))[trials] * np.eye(2)[branches]
    logs = np.tile(np.log(steps), 12)
    values = np.where(branches == 0, -logs, 0.0)
    values = (values - values.mean()) / values.std()
    names, groups = ("x", "y"), np.arange(2)
    rows = Rows(points, logs, trials, branches)
    process = Process(fitted(Numbers(), rows, values, names, groups), rows, values, names, groups)
    there = Rows(np.array([[0.5, 0.0], [0.0, 0.5]]), np.log([27.0, 27.0]), np.array([-1, -2]), np.array([0, 1]))
    mean, spread = process.predict(there)
    assert mean[0] == pytest.approx(values.min(), abs=0.3)
    assert mean[1] == pytest.approx(values.max(), abs=0.3)
    unknown, more = process.predict(Rows(there.points, there.logs, there.trials, np.array([-1, -1])))
    assert (more > spread).all()
    assert abs(unknown[0] - unknown[1]) < abs(mean[0] - mean[1])
    drawn = process.draw(Rows(*(getattr(there, name)[:1] for name in there.__slots__)), 4000, np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(mean[0], abs=0.1)
    assert drawn.std() <= spread[0] + 0.02


@pytest.mark.parametrize("unit", [1e-14, 1.0, 1e9])
@pytest.mark.parametrize("costs", [[1.0, 2.0, 3.0, 9.0], [5.0], [0.2, 0.2, 0.2], [1.0, math.inf, 2.0, 3.0]])
def test_a_scale_reads_costs_back(costs: list[float], unit: float) -> None:
    costs = [unit * one for one in costs]
    scale, values = Scale.of(np.array(costs))
    assert np.isfinite(values).all()
    worst = max(one for one in costs if one < math.inf)
    for cost, value in zip(costs, values, strict=True):
        poor = scale.best + 1.5 * scale.width
        assert scale.back(float(value)) == pytest.approx(min(cost, poor, worst), rel=1e-6, abs=0)
    moved, same = Scale.of(unit * 7 + 3 * np.array(costs))
    assert same == pytest.approx(values)
    assert moved.best == pytest.approx(unit * 7 + 3 * scale.best, rel=1e-6, abs=0)


@pytest.mark.parametrize("far", [100.0, 1e4, 1e13, 1e300, 1.7e308, math.inf])
@pytest.mark.parametrize("diverged", [1, 3, 5, 12])
def test_a_scale_tells_good_trials_apart_however_bad_others_are(far: float, diverged: int) -> None:
    good = [0.3, 0.4, 0.5, 0.6, 0.7]
    scale, values = Scale.of(np.array([*good, *[far] * diverged]))
    assert (np.diff(values[: len(good)]) > 0.05).all()
    worst = max(good) if far == math.inf else far
    assert [scale.back(float(one)) for one in values[:3]] == pytest.approx(good[:3])
    assert scale.back(float(values[-1])) == pytest.approx(min(worst, scale.best + 1.5 * scale.width))


def test_a_scale_of_the_largest_numbers_is_finite() -> None:
    assert np.isfinite(Scale.of(np.array([-1.7e308] * 3 + [1.7e308] * 3))[1]).all()


def test_where_nearly_all_are_alike_the_others_are_far_off() -> None:
    _, values = Scale.of(np.array([1.0] * 7 + [2.0]))
    assert values.argmax() == 7
    assert len({*values[:7].tolist()}) == 1


@pytest.mark.parametrize("last", [1, 2, 3, 9, 27, 100, 1000])
def test_rungs_rise_to_the_last_step(last: int) -> None:
    ladder = Ladder(last)
    for following in (ladder.next_rung, ladder.next_halving, ladder.next_check):
        step, steps = 0, list[int]()
        while step < last:
            step = following(step)
            steps.append(step)
        assert steps == sorted(set(steps))
        assert steps[-1] == last
        assert len(steps) < 16
    assert ladder.rung_of(last) == len(ladder.steps) - 1


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("epochs", [90, 400])
def test_what_a_sweep_may_cost_is_enough_for_a_trained_model(epochs: int, workers: int, tmp_path: Path) -> None:
    """Without a limit of trials, the last part of the budget is kept for the likeliest one, which comes to its end."""
    sweep = Sweep(tmp_path, trials=None, epochs=epochs, **PAIR)
    drive(sweep, workers=workers)
    status = sweep.owner.finish()
    assert status.why_stopped.endswith(f"of {epochs} epochs")
    assert status.trials["complete"] >= 1
    assert status.epochs_run <= epochs + workers


def test_a_branch_that_learns_slowly_is_not_starved(tmp_path: Path) -> None:
    """Halving compares a trial with those of its own branch: fast ones are ahead of all slow ones at first."""

    def space(trial: optuna.Trial) -> None:
        if trial.suggest_categorical("family", ["fast", "slow"]) == "slow":
            trial.suggest_float("slow.x", 0, 1)
        else:
            trial.suggest_float("fast.x", 0, 1)

    sweep = Sweep(tmp_path, space=space, trials=60, pruner="auto:halving_early=1,halving_late=1", sampler="auto")
    busy: dict[int, int] = {}
    while (job := sweep.ask(0)) is not None:
        number, token = job
        params: dict[str, Any] = dict(sweep.records()[number].params)
        slow = params["family"] == "slow"
        verdict = Verdict.CONTINUE
        while verdict is Verdict.CONTINUE and busy.get(number, 0) < LAST:
            epoch = busy[number] = busy.get(number, 0) + 1
            loss = 3 - 0.1 * epoch + params["slow.x"] if slow else 1 + params["fast.x"]
            verdict = sweep.owner.report(number, token, Progress(epoch, {"val_loss": loss}, epoch))
        ending = Ending.COMPLETE if busy[number] == LAST else Ending.PAUSED
        sweep.owner.tell(number, token, Outcome(ending, busy[number], {"val_loss": loss}, busy[number]))
    deep = {one.params["family"] for one in sweep.records() if one.last_step >= 9}
    assert deep == {"fast", "slow"}


def test_a_rule_that_attends_a_study_reads_it_whoever_asks() -> None:
    """The server's studies are asked through a view of them."""
    attended, other = optuna.create_study(), optuna.create_study()
    ranges = {"x": FloatDistribution(0.0, 1.0)}
    for place in range(STARTS):
        seen = {"params": {"x": place / STARTS}, "intermediate_values": {9: 1.0 + place}}
        attended.add_trial(optuna.trial.create_trial(value=1.0 + place, distributions=dict(ranges), **seen))  # type: ignore[arg-type]
    rule = Auto(direction="minimize", max_epochs=9)
    rule.attend(attended)
    assert rule.decision(other).by != "start"
    alone = Auto(direction="minimize", max_epochs=9)
    assert alone.decision(attended).by != "start"
    assert alone.decision(other).by == "start"
