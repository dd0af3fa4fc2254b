"""A search ends when the next trials are expected to gain less than a share of what its best result is uncertain by.

Mutations that turn these red: compare the gain with the noise itself; take the noise of the model where that of rows,
folds, trainings or reports is known; take a noise of 0 for an answer; forget the sign of a metric to maximize; count a
trial that misses a constraint as the best; look past trials that are better already and have not ended; take the trend
of a curve for its scatter; stop after one look, or after few trials; leave a share of the noise out of an edit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from search.checkpoint import Checkpoint
from search.contract import State, Task
from search.errors import FailReason
from search.evaluating import evaluated
from search.status import Status
from search.study.confidence import Confidence
from search.study.edits import Edit
from search.study.improvement import EVERY, IN_A_ROW
from search.study.noise import noise_of
from search.study.outlook import LEAST_TRIALS, Foresight, Outlook
from search.study.runs import Run
from search.trial import Ending, Outcome, Progress, TrialSpec, Verdict
from search.trialfiles import TrialFiles, encode
from tests.study.searches import Search, plan_of

Curve = Callable[[Mapping[str, Any], np.random.Generator], Sequence[float]]
SAID = re.compile(
    r"expected improvement of the next 10 trials is (\S+) loss, "
    r"below --until-confident (\S+) of the noise of (\S+): (.+)"
)


def plane(trial: Any) -> None:
    """Suggest two numbers."""
    trial.suggest_float("x", -1.0, 1.0)
    trial.suggest_float("y", -1.0, 1.0)


def depth(params: Mapping[str, Any]) -> float:
    """Return a smooth loss, whose least value is 0."""
    return float((params["x"] - 0.3) ** 2 + (params["y"] + 0.5) ** 2)


def noisy(params: Mapping[str, Any], random: np.random.Generator) -> list[float]:
    """Return a result of noise 0.05."""
    return [depth(params) + 0.05 * float(random.normal())]


def exact(params: Mapping[str, Any], _: np.random.Generator) -> list[float]:
    """Return the loss."""
    return [depth(params)]


def searching(
    path: Path,
    curve: Curve,
    *,
    sign: float = 1.0,
    ending: Callable[[int], Ending] = lambda _: Ending.COMPLETE,
    told: Mapping[str, float] | None = None,
    before_the_end: Callable[[TrialSpec, float], None] = lambda _, __: None,
    **changes: Any,
) -> tuple[Search, Status]:
    """Search until the end; a trial reports its curve and has the best value of it."""
    given: dict[str, Any] = {"trials": 90, "sampler": "tpe", "until_confident": 0.5, "max_epochs": 30, **changes}
    search = Search.open(path, plane, lambda _: {}, directions=("minimize" if sign > 0 else "maximize",), **given)
    random = np.random.default_rng(3)
    turn = 0
    while (spec := search.start(str(turn))) is not None:
        search.ran.append(spec)
        values = [float(sign * value) for value in curve(spec.params, random)]
        for step, value in enumerate(values, 1):
            search.owner.report(spec.number, f"t{spec.number}", Progress(step, {"loss": value}, step))
        best = values[-1] if search.owner.plan.folds else sign * min(sign * value for value in values)
        before_the_end(spec, best)
        end = ending(turn)
        reason = FailReason.INVALID if end is Ending.FAIL else None
        outcome = Outcome(end, len(values), {"loss": best, **(told or {})}, len(values), reason=reason)
        search.owner.tell(spec.number, f"t{spec.number}", outcome)
        turn += 1
    status = search.owner.finish()
    search.close()
    return search, status


def read(status: Status) -> tuple[float, float, float, str]:
    """Return gain, share, noise and the source of the noise, as the reason names them."""
    found = SAID.fullmatch(status.why_stopped)
    assert found is not None, status.why_stopped
    return float(found[1]), float(found[2]), float(found[3]), found[4]


def test_it_ends_with_gain_share_and_noise_and_where_the_noise_was_taken_from(tmp_path: Path) -> None:
    search, status = searching(tmp_path / "s", noisy)
    gain, share, noise, source = read(status)
    assert status.state == "finished"
    assert share == 0.5
    assert gain < share * noise
    assert source == "the scatter of all results around a model of them"
    assert 0.02 < noise < 0.1  # it is 0.05
    assert LEAST_TRIALS + (IN_A_ROW - 1) * EVERY <= len(search.ran) < 90
    best = min(search.ran, key=lambda spec: depth(spec.params))
    assert depth(best.params) < 0.05  # what is left to gain is within the noise


def test_a_smaller_share_takes_longer_and_without_noise_there_is_no_end_of_it_soon(tmp_path: Path) -> None:
    half, _ = searching(tmp_path / "half", noisy, until_confident=0.5)
    tenth, _ = searching(tmp_path / "tenth", noisy, until_confident=0.05)
    assert len(half.ran) < len(tenth.ran)
    search, status = searching(tmp_path / "exact", exact, trials=40)
    assert status.why_stopped == "40 of 40 trials"
    assert len(search.ran) == 40


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_neither_sign_nor_unit_of_the_metric_matters(tmp_path: Path, scale: float) -> None:
    ran = []
    for name, sign in (("down", 1.0), ("up", -1.0)):
        search, status = searching(
            tmp_path / name,
            lambda params, random: [scale * value for value in noisy(params, random)],
            sign=sign,
            sampler="random",
            trials=120,
            until_confident=1.0,
        )
        gain, share, noise, _ = read(status)
        assert 0 < gain < share * noise
        ran.append(len(search.ran))
    assert ran[0] == ran[1]


# --- where the noise is taken from ---


def keeping(folder: Path, rows: int) -> Callable[[TrialSpec, float], None]:
    """Return what keeps a checkpoint whose rows have a mean squared error of the trial's value."""

    def keep(spec: TrialSpec, value: float) -> None:
        errors = np.random.default_rng(spec.number).normal(size=rows)
        errors *= math.sqrt(abs(value) / float((errors**2).mean()))
        made = evaluated(errors, np.zeros(rows), Task.REGRESSION)
        checkpoint = Checkpoint(1, 1, State({"w": np.zeros(1)}), {}, made)
        TrialFiles(folder).save(spec.number, "best", *encode(checkpoint))

    return keep


def test_noise_is_the_standard_error_over_the_validation_rows(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    search, status = searching(
        folder,
        lambda params, random: [1.0 + value for value in noisy(params, random)],
        before_the_end=keeping(folder, 200),
    )
    _, _, noise, source = read(status)
    assert status.best is not None
    assert source == f"the standard error of trial {status.best.number} over 200 validation rows"
    assert noise == pytest.approx(status.best.values[0] * math.sqrt(2 / 200), rel=0.3)  # of squares of a normal
    assert len(search.ran) < 90


def test_noise_is_the_standard_error_over_folds(tmp_path: Path) -> None:
    def folds(params: Mapping[str, Any], random: np.random.Generator) -> list[float]:
        scores = depth(params) + 0.2 * random.normal(size=5)
        return [float(one) for one in scores.cumsum() / np.arange(1, 6)]

    _, status = searching(tmp_path / "s", folds, folds=5, until_confident=1.0)
    _, _, noise, source = read(status)
    assert status.best is not None
    assert source == f"the standard error of trial {status.best.number} over 5 folds"
    assert 0.03 < noise < 0.3  # 0.2 by the root of 1/5 + 1/4


def test_noise_is_the_standard_error_of_trainings_with_different_seeds(tmp_path: Path) -> None:
    _, status = searching(tmp_path / "s", noisy, replicates=4, told={"loss_sd": 0.2})
    _, _, noise, source = read(status)
    assert noise == 0.1
    assert source == "the standard error of 4 trainings with different seeds, from the best 5 trials"


def test_noise_is_what_the_last_reports_scatter_by(tmp_path: Path) -> None:
    def training(params: Mapping[str, Any], random: np.random.Generator) -> list[float]:
        course = depth(params) + 2.0 * np.exp(-np.arange(24) / 4)
        return [float(one) for one in course + 0.04 * random.normal(size=24)]

    _, status = searching(tmp_path / "s", training)
    _, _, noise, source = read(status)
    assert source == "the scatter of the last reports of the best 5 trials around their trend"
    assert 0.02 < noise < 0.08


def completed(reports: Mapping[int, float]) -> optuna.trial.FrozenTrial:
    """Return a trial with these reports."""
    return optuna.trial.create_trial(value=min(reports.values()), intermediate_values=dict(reports))


@pytest.mark.parametrize(
    ("reports", "seen"),
    [
        ({step: 2 * math.exp(-step / 6) for step in range(1, 28)}, False),  # a course without scatter
        ({1: 1.0, 2: 0.7, 3: 0.6}, False),  # too short to tell
        ({2**power: 1.0 / (1 + power) for power in range(8)}, False),  # no even steps
        (dict.fromkeys(range(20), 0.5), False),
        ({step: math.inf if step % 2 else 0.5 for step in range(20)}, False),
        ({step: 0.5 + 0.1 * (-1) ** step for step in range(20)}, True),
    ],
    ids=["smooth", "short", "uneven", "constant", "infinite", "restless"],
)
def test_a_course_is_no_scatter(tmp_path: Path, reports: Mapping[int, float], seen: bool) -> None:
    found = noise_of([completed(reports)], plan_of(tmp_path), None, around_model=0.0)
    assert (found is not None and found.value > 0.001) == seen


def test_a_known_noise_of_nothing_is_no_noise(tmp_path: Path) -> None:
    """Trainings that came to the same, or rows that all were right, say nothing: the next best source does."""
    plan = plan_of(tmp_path, replicates=3)
    found = noise_of([completed({1: 0.5})], plan, None, around_model=0.25)
    assert found == (0.25, "the scatter of all results around a model of them")
    assert noise_of([completed({1: 0.5})], plan, None, around_model=0.0) is None
    assert noise_of([completed({1: 0.5})], plan, None, around_model=math.nan) is None


def test_damaged_files_are_passed_by(tmp_path: Path) -> None:
    (tmp_path / "trials" / "00000" / "checkpoint").mkdir(parents=True)
    (tmp_path / "trials" / "00000" / "checkpoint" / "best.json").write_text('{"evaluation": [1')
    assert noise_of([completed({1: 0.5})], plan_of(tmp_path), tmp_path, around_model=0.25) is not None


# --- what could fool it ---


def test_where_all_came_to_the_same_it_says_so(tmp_path: Path) -> None:
    search, status = searching(tmp_path / "s", lambda _, __: [0.5])
    assert status.why_stopped == (
        "30 of 30 completed trials came to the best loss, 0.5: --until-confident expects nothing of more"
    )
    assert len(search.ran) == 30


@pytest.mark.parametrize(
    "ending",
    [lambda _: Ending.PRUNED, lambda turn: Ending.PRUNED if turn > 15 else Ending.COMPLETE, lambda _: Ending.FAIL],
    ids=["all pruned", "few completed", "all failed"],
)
def test_without_completed_trials_it_is_never_confident(tmp_path: Path, ending: Callable[[int], Ending]) -> None:
    _, status = searching(tmp_path / "s", noisy, ending=ending, trials=50)
    assert "--until-confident" not in status.why_stopped


def test_failed_and_pruned_trials_between_are_no_hindrance(tmp_path: Path) -> None:
    ends = (Ending.COMPLETE, Ending.COMPLETE, Ending.FAIL, Ending.PRUNED)
    _, status = searching(tmp_path / "s", noisy, ending=lambda turn: ends[turn % 4], trials=120)
    gain, share, noise, _ = read(status)
    assert gain < share * noise


def test_where_all_trials_miss_a_constraint_there_is_nothing_to_be_confident_of(tmp_path: Path) -> None:
    _, status = searching(tmp_path / "s", noisy, constraints=("loss>=99",), trials=45)
    assert status.why_stopped == "45 of 45 trials"


def test_a_lucky_result_does_not_end_it_and_a_far_worse_one_does_not_keep_it(tmp_path: Path) -> None:
    def odd(params: Mapping[str, Any], random: np.random.Generator) -> list[float]:
        return [1e6 if params["x"] < -0.8 else noisy(params, random)[0]]

    _, status = searching(tmp_path / "s", odd)
    assert 0.01 < read(status)[2] < 0.2


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("odd", [math.inf, -math.inf])
def test_results_that_are_not_finite_are_no_results(tmp_path: Path, odd: float, sign: float) -> None:
    """Another program may have stored them."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for turn in range(40):
        trial = study.ask()
        plane(trial)
        study.tell(trial, odd if turn == 7 else sign * depth(trial.params))
    plan = plan_of(tmp_path, until_confident=1.0, directions=("minimize" if sign > 0 else "maximize",))
    outlook = Foresight(plan).of(study.get_trials())
    assert outlook is not None
    assert 0 < outlook.ahead < 1
    said = Confidence(plan, None).reached(outlook._replace(ahead=0.0), study.get_trials())
    assert said is not None
    assert "inf" not in said


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("seen", "waits"), [(-5.0, True), (5.0, False), (math.nan, False), (0.45, False)])
def test_a_trial_that_is_better_already_is_waited_for(tmp_path: Path, sign: float, seen: float, waits: bool) -> None:
    """It has not ended, so that nobody has learnt from it: but what it has reported will be gained."""
    plan = plan_of(tmp_path, until_confident=0.5, directions=("minimize" if sign > 0 else "maximize",))
    ended = [optuna.trial.create_trial(value=sign * value) for value in (0.5, 0.6)]
    going = optuna.trial.create_trial(state=TrialState.RUNNING, intermediate_values={1: sign * seen})
    said = Confidence(plan, None).reached(Outlook(0.0, 0.01, 0.2), [*ended, going])
    assert (said is None) == waits


def test_a_trial_that_misses_a_constraint_is_not_the_best(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, until_confident=0.5)
    missing = optuna.trial.create_trial(value=0.1, system_attrs={"constraints": (1.0,)})
    kept_to = optuna.trial.create_trial(value=0.5, system_attrs={"constraints": (-1.0,)})
    assert Confidence(plan, None).reached(Outlook(0.0, 0.01, 0.2), [missing]) is None
    said = Confidence(plan, None).reached(Outlook(0.0, 0.0, 0.0), [missing, kept_to])
    assert said is not None
    assert said.startswith("1 of 1 completed trials came to the best loss, 0.5")


def test_points_that_are_tried_again_are_no_trials_to_learn_from(tmp_path: Path) -> None:
    points = [{"x": round(-1 + 0.2 * one, 1), "y": 0.0} for one in range(10)] * 7
    search, status = searching(tmp_path / "s", noisy, enqueued=tuple(points), trials=70)
    assert status.why_stopped == "70 of 70 trials"
    assert len(search.ran) == 10


def test_what_is_expected_of_ten_is_no_less_than_of_one_and_near_what_is_left(tmp_path: Path) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(40):
        trial = study.ask()
        plane(trial)
        study.tell(trial, depth(trial.params))
    outlook = Foresight(plan_of(tmp_path)).of(study.get_trials())
    assert outlook is not None
    assert 0 < outlook.next <= outlook.ahead < 5 * study.best_value
    again = Foresight(plan_of(tmp_path)).of(study.get_trials())
    assert again == outlook  # it depends on the record only


# --- changed on the way ---


def test_a_share_may_be_set_and_lifted_while_it_runs(tmp_path: Path) -> None:
    search = Search.open(tmp_path / "s", plane, lambda params: {"loss": depth(params)}, until_confident=0.5)
    looks = search.owner._parts.improvement
    for wish, changes in (("1", {"trials": 30}), ("2", {"until_confident": 0.25}), ("3", {"until_confident": None})):
        search.owner.steering.edit(Edit(wish, changes, {}, "", ""), plane)
        assert (search.owner._parts.improvement is looks) == ("trials" in changes)
        looks = search.owner._parts.improvement
    assert looks is None
    search.close()


def test_a_resume_that_lifts_it_goes_on(tmp_path: Path) -> None:
    search, status = searching(tmp_path / "s", noisy)
    ran = len(search.ran)
    assert status.why_stopped
    search, status = searching(tmp_path / "s", noisy, until_confident=None, trials=ran + 3, run=Run("two"))
    assert status.why_stopped == f"{ran + 3} of {ran + 3} trials"


def test_where_trials_rest_what_they_would_still_gain_counts(tmp_path: Path) -> None:
    """By the rule `auto` few trials ever end; its model says what those that rest, and new ones, promise."""
    random = np.random.default_rng(3)
    given: dict[str, Any] = {"sampler": "auto", "pruner": "auto", "max_epochs": 27}
    search = Search.open(tmp_path / "s", plane, lambda _: {}, trials=200, until_confident=0.5, **given)
    done: dict[int, int] = {}
    for turn in range(3000):
        if (spec := search.owner.ask(f"slot {turn}:0").spec) is None:
            break
        number, token = spec.number, f"t{turn}"
        search.owner.begin(number, token)
        verdict = Verdict.CONTINUE
        while verdict is Verdict.CONTINUE and done.get(number, 0) < 27:
            epoch = done[number] = done.get(number, 0) + 1
            loss = depth(spec.params) + 1.0 / epoch + 0.03 * float(random.normal())
            verdict = search.owner.report(number, token, Progress(epoch, {"loss": loss}, epoch))
        ending = Ending.COMPLETE if epoch == 27 else Ending.PAUSED
        search.owner.tell(number, token, Outcome(ending, epoch, {"loss": loss}, epoch))
    status = search.owner.finish()
    search.close()
    gain, _, noise, source = read(status)
    assert 0 < gain < 0.5 * noise
    assert re.fullmatch("the scatter of the last reports of the best [2-5] trials around their trend", source)
    assert status.trials["complete"] < LEAST_TRIALS
    assert status.trials["complete"] + status.trials["pruned"] < 200
    assert status.best is not None
    assert depth(status.best.params) < 0.01  # it did not stop at the first model that promised no more
