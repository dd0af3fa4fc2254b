"""A trial that is trained several times is worth the mean, and is pruned, paused and resumed between two trainings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.cli import words
from search.contract import Context, Learner, Metric, Params, Run, objective
from search.data.scheme import Scheme
from search.data.source import FileSource
from search.engine import TrialRun
from search.errors import FailReason
from search.local import run_alone
from search.problem import Problem, open_problem
from search.session import Setting
from search.status import Status, TrialScore
from search.trial import Ending, TrialSpec, Verdict
from tests.learners import Curve, Curves, line
from tests.test_engine import Recorder

WINE = FileSource("sklearn:wine", None, Path())
SETTING = Setting(seed=4, searched=Metric("val_loss", "minimize"), max_epochs=6, replicates=3)


def seeded(params: Params, context: Context) -> Learner:
    """Return a learner whose loss is told by its seed."""
    return Curve([context.seed % 1000, 5000.0])


def opened(folds: int = 0) -> tuple[Problem, Curves]:
    curves = Curves(seeded)
    return open_problem(curves, WINE, seed=4, scheme=Scheme(folds=folds)), curves


def seeds_of(curves: Curves) -> list[int]:
    return [handed[-1].seed for handed in curves.handed if len(handed) == 3]


@objective(space=line, metrics={"val_loss": "minimize"})
def noisy(run: Run) -> Iterator[Mapping[str, float]]:
    """Yield twice what the seed says."""
    for _ in range(2):
        yield {"val_loss": float(run.seed % 100)}


@pytest.mark.parametrize("folds", [0, 2])
def test_the_value_is_the_mean_over_all_trainings(folds: int) -> None:
    problem, curves = opened(folds)
    outcome = run_alone(problem, 0, {"train.x": 0.5}, SETTING)
    seeds = seeds_of(curves)
    assert len(set(seeds)) == len(seeds) == 3 * max(1, folds)
    assert outcome.ending is Ending.COMPLETE
    assert outcome.metrics["val_loss"] == pytest.approx(sum(seed % 1000 for seed in seeds) / len(seeds))
    assert outcome.metrics["val_loss_sd"] > 0
    assert outcome.units == len(seeds)


def test_each_replicate_of_a_cross_validation_has_every_fold() -> None:
    problem, curves = opened(2)
    run_alone(problem, 0, {"train.x": 0.5}, SETTING)
    rows = [len(handed[1].features) + handed[2].features.sum() for handed in curves.handed if len(handed) == 4]
    assert len(rows) == 6
    assert rows[:2] == rows[2:4] == rows[4:]
    assert rows[0] != rows[1]


@pytest.mark.parametrize("folds", [0, 2])
def test_the_deviation_is_between_whole_replicates(folds: int) -> None:
    problem, curves = opened(folds)
    outcome = run_alone(problem, 2, {"train.x": 0.5}, SETTING)
    every = max(1, folds)
    values = [seed % 1000 for seed in seeds_of(curves)]
    means = [sum(values[one * every : (one + 1) * every]) / every for one in range(3)]
    expected = (sum((value - sum(means) / 3) ** 2 for value in means) / 2) ** 0.5
    assert outcome.metrics["val_loss_sd"] == pytest.approx(expected)


def test_a_short_form_is_run_with_several_seeds() -> None:
    problem = open_problem(noisy, WINE, seed=4)
    outcome = run_alone(problem, 0, {"train.x": 0.5}, SETTING)
    assert outcome.ending is Ending.COMPLETE
    assert outcome.units == 3
    assert outcome.metrics["val_loss_sd"] > 0


@pytest.mark.parametrize("short", [False, True])
def test_a_paused_trial_goes_on_after_its_last_whole_replicate(short: bool) -> None:
    problem, curves = opened()
    if short:
        problem = open_problem(noisy, WINE, seed=4)
    spec = TrialSpec(0, {"train.x": 0.5})
    whole = run_alone(problem, 0, spec.params, SETTING)
    curves.handed.clear()
    session = Recorder([Verdict.STOP])
    first = TrialRun(problem, spec, SETTING, session)
    assert [progress.step for progress in first] == [2]
    assert first.outcome.ending is Ending.PAUSED
    second = TrialRun(problem, spec, SETTING, session, resume=True)
    assert [progress.step for progress in second] == [4, 6]
    assert second.outcome.metrics == whole.metrics
    if not short:
        assert len(seeds_of(curves)) == 3


def test_it_is_pruned_between_two_replicates() -> None:
    problem, curves = opened()
    run = TrialRun(problem, TrialSpec(0, {"train.x": 0.5}), SETTING, Recorder([Verdict.PRUNE]))
    assert [progress.step for progress in run] == [2]
    assert run.outcome.ending is Ending.PRUNED
    assert len(seeds_of(curves)) == 1


def test_a_failure_names_the_replicate_and_the_fold() -> None:
    def failing(params: Params, context: Context) -> Learner:
        failing_at.append(context.seed)
        return Curve([float("nan")] if len(failing_at) == 4 else [1.0])

    for folds, said in ((0, "replicate 4 of 5: "), (2, "replicate 2 of 5, fold 2 of 2: ")):
        failing_at: list[int] = []
        problem = open_problem(Curves(failing), WINE, seed=4, scheme=Scheme(folds=folds))
        outcome = run_alone(problem, 0, {}, replace(SETTING, replicates=5))
        assert (outcome.ending, outcome.reason) == (Ending.FAIL, FailReason.NAN)
        assert outcome.text.startswith(said)
        assert "fold" not in outcome.text.removeprefix(said)


def test_the_best_is_shown_as_a_mean() -> None:
    status: dict[str, Any] = {"study": "s", "state": "finished", "metrics": ("val_loss",), "directions": ("minimize",)}
    best = TrialScore(3, (0.25,), {})
    assert "val_loss 0.25 (mean of 3) by trial 3" in words.best(Status(**status, trials={}, best=best, replicates=3))
    assert "mean" not in words.best(Status(**status, trials={}, best=best))
