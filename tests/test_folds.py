"""A cross-validation runs through the engine like any other learner: one unit is one fold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from objectives.tabular import Tabular
from search.choosing import choose
from search.contract import Metric, Params, Part, Prepared, State
from search.data.scheme import Scheme
from search.data.source import FileSource
from search.engine import Setting, TrialRun
from search.errors import FailReason
from search.folds import FoldLearner, fold_problem
from search.launch import prepare
from search.local import run_alone
from search.problem import Problem, open_problem
from search.randomness import stage_seed
from search.trial import Ending, ParamValue, TrialSpec
from tests.learners import Curve, Curves
from tests.test_engine import Recorder
from tests.threads import one_thread

__all__ = ["one_thread"]

WINE = FileSource("sklearn:wine", None, Path())
SETTING = Setting(seed=4, searched=Metric("val_loss", "minimize"), max_epochs=3)
K = 3


def opened(objective: Any) -> Problem:
    return open_problem(objective, WINE, seed=4, scheme=Scheme(folds=K))


def learner(problem: Problem, params: Mapping[str, ParamValue], setting: Setting = SETTING) -> FoldLearner:
    folds = problem.folds
    return FoldLearner(K, lambda number: fold_problem(problem, folds[number]), TrialSpec(0, dict(params)), setting)


def trained(one: FoldLearner) -> list[Mapping[str, float]]:
    """Train to the end; return the scores after each fold."""
    scores = []
    while len(one.state().meta["folds"]) < one.budget:
        one.fit_epoch()
        scores.append(one.evaluate())
    return scores


PARAMS: Mapping[str, dict[str, ParamValue]] = {
    "linear": {"preprocess.impute": "median", "preprocess.scale": "standard"},
    "forest": {"preprocess.impute": "median"},
    "boosting": {"model.leaves": 4, "model.min_rows": 5},
    "mlp": {"preprocess.impute": "median", "preprocess.scale": "standard", "model.width": 8},
}


@pytest.mark.parametrize("family", PARAMS)
def test_the_scores_of_a_family_are_the_means_of_the_folds_run_alone(family: str) -> None:
    problem, params = opened(Tabular()), {"model.family": family, **PARAMS[family]}
    session = Recorder()
    run = TrialRun(problem, TrialSpec(0, params), SETTING, session)
    for _ in run:
        pass
    alone = [
        run_alone(
            fold_problem(problem, fold), 0, params, replace(SETTING, seed=stage_seed(4, 0, f"fold {number}"))
        ).metrics
        for number, fold in enumerate(problem.folds)
    ]
    assert [report.units for report in session.reports] == [1, 2, 3]
    for report in session.reports:
        for name in alone[0]:
            mean = sum(one[name] for one in alone[: report.units]) / report.units
            assert report.metrics[name] == pytest.approx(mean, abs=1e-12)
    assert len({one["val_loss"] for one in alone}) == K
    assert run.outcome.metrics == session.reports[-1].metrics, "of all folds, even where fewer were better"


def test_a_resumed_trial_goes_on_after_its_last_whole_fold_to_the_same_scores() -> None:
    problem, params = opened(Tabular()), {"model.family": "linear", "preprocess.impute": "median"}
    whole = trained(learner(problem, params))
    first = learner(problem, params)
    first.fit_epoch()
    kept = first.state()
    assert not kept.arrays
    again = learner(problem, params)
    again.load_state(State({}, kept.meta))
    assert trained(again) == whole[1:]


class Folding(Curves):
    """Learners whose losses are known by the fold, told apart by how many rows were validated before."""

    def __init__(self, losses: list[list[Any]]) -> None:
        self.losses = [*losses]
        self.seen: list[np.ndarray[Any, Any]] = []
        super().__init__(lambda params, context: Curve(self.losses.pop(0)))

    def preprocess(self, params: Params, train: Part, validation: Part, context: Any) -> Prepared:
        self.seen.append(validation.target)
        assert not set(train.target) & set(validation.target)
        return super().preprocess(params, train, validation, context)


def test_a_fold_counts_with_its_best_step() -> None:
    objective = Folding([[0.5, 0.1, 0.9], [0.3, 0.4, 0.5], [0.8, 0.7, 0.6]])
    scores = trained(learner(opened(objective), {}))
    assert [score["val_loss"] for score in scores] == pytest.approx([0.1, 0.2, 1.0 / 3])


def test_a_fold_ends_early_by_the_patience_of_the_sweep() -> None:
    objective = Folding([[0.5, 0.6, 0.1]] * K)
    scores = trained(learner(opened(objective), {}, replace(SETTING, patience=1)))
    assert scores[-1]["val_loss"] == 0.5


def test_a_searched_metric_that_no_fold_has_leaves_the_others_to_be_told() -> None:
    setting = replace(SETTING, searched=Metric("val_auc", "maximize"))
    scores = trained(learner(opened(Folding([[0.5, 0.25]] * K)), {}, setting))
    assert scores[-1] == {"val_loss": 0.25}


def test_the_folds_of_a_trial_share_its_time_out() -> None:
    now = 0.0

    class Slow(Curve):
        def fit_epoch(self) -> Mapping[str, float]:
            nonlocal now
            now += 10
            return super().fit_epoch()

    problem = opened(Curves(lambda params, context: Slow([0.5, 0.5])))
    setting = replace(SETTING, timeout_s=45)
    run = TrialRun(problem, TrialSpec(0, {}), setting, Recorder(), clock=lambda: now)
    for _ in run:
        pass
    assert (run.outcome.reason, now) == (FailReason.TIMEOUT, 50)
    assert run.outcome.text == "fold 3 of 3: longer than 45 s"


def test_every_row_but_the_sealed_ones_validates_once() -> None:
    objective = Folding([[0.5]] * K)
    problem = opened(objective)
    trained(learner(problem, {}))
    seen = np.sort(np.concatenate(objective.seen))
    assert seen.tolist() == sorted([*problem.train.target, *problem.validation.target])


def test_a_fold_that_fails_fails_the_trial_and_says_which_it_was() -> None:
    outcome = run_alone(opened(Folding([[0.5], [math.nan], [0.5]])), 0, {}, SETTING)
    assert (outcome.ending, outcome.reason) == (Ending.FAIL, FailReason.NAN)
    assert outcome.text == "fold 2 of 3: metric 'val_loss' is nan"
    assert outcome.metrics == {"val_loss": 0.5}


def test_an_exception_in_a_fold_keeps_its_traceback() -> None:
    class Broken(Folding):
        def preprocess(self, params: Params, train: Part, validation: Part, context: Any) -> Prepared:
            raise KeyError("no such column")

    outcome = run_alone(opened(Broken([])), 0, {}, SETTING)
    assert (outcome.ending, outcome.reason) == (Ending.FAIL, FailReason.EXCEPTION)
    assert outcome.text == "fold 1 of 3: KeyError: 'no such column'"
    assert "in preprocess" in outcome.trace


def test_no_sealed_row_is_in_a_fold() -> None:
    problem = opened(Curves(lambda params, context: Curve([0.5])))
    assert problem.split is not None
    assert problem.dataset is not None
    sealed = set(problem.split.test.open(problem.dataset, "a test").target)
    for fold in problem.folds:
        train, validation = fold.parts(problem.train, problem.validation)
        assert not sealed & {*train.target, *validation.target}


def test_each_fold_has_rows_of_its_own_for_whoever_keeps_what_was_prepared() -> None:
    problem = opened(Tabular())
    folds = [fold_problem(problem, fold) for fold in problem.folds]
    assert len({fold.rows for fold in folds} | {problem.rows}) == K + 1
    assert all(set(fold.roles) == set(fold.train.features.columns) for fold in folds)


def test_the_baseline_is_the_mean_over_the_folds_in_the_unit_that_trials_have(tmp_path: Path) -> None:
    rows = 120
    frame = pd.DataFrame({"day": range(rows), "x": np.random.default_rng(0).normal(size=rows)})
    frame["y"] = frame["day"] + frame["x"]
    frame.to_csv(tmp_path / "trend.csv", index=False)
    given = {"data": "trend.csv", "target": "y", "split": "time:day", "folds": 4, "seed": 1, "study": "s"}
    launch = prepare("tabular", choose(given), results=tmp_path / "results", folder=tmp_path)
    rmse, loss = [], []
    for fold in launch.problem.folds:
        train, validation = fold.parts(launch.problem.train, launch.problem.validation)
        error = float(np.mean((validation.target - train.target.mean()) ** 2))
        rmse.append(error**0.5)
        loss.append(error / float(np.var(train.target)))
    assert launch.baseline["val_rmse"] == pytest.approx(np.mean(rmse))
    assert launch.baseline["val_loss"] == pytest.approx(np.mean(loss))
