"""A cross-validation runs through the engine like any other learner: one unit is one fold."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState

from objectives.tabular import Tabular
from search.choosing import choose
from search.contract import Metric, Params, Part, Prepared, State
from search.data.scheme import Scheme
from search.data.source import FileSource
from search.engine import TrialRun
from search.errors import FailReason
from search.folds import FoldLearner, fold_problem
from search.launch import prepare
from search.local import compares_folds, run_alone, run_here, setting_of
from search.plan import SweepPlan
from search.problem import Problem, open_problem
from search.randomness import stage_seed
from search.session import Setting
from search.study.choice import Choice
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.trial import Ending, ParamValue, TrialSpec
from tests.learners import Curve, Curves, line
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


class Talking(Curve):
    """A learner that says something else each time."""

    gpu_idle = None
    said = 0

    @property
    def notes(self) -> tuple[str, ...]:
        type(self).said += 1
        return (f"the first batch took {self.said} s", "its batches were split")


def test_of_what_many_folds_say_the_first_sentences_are_kept() -> None:
    problem = open_problem(Curves(lambda *_: Talking([1.0])), FileSource(None, None, Path()), seed=4)
    many = FoldLearner(100, lambda _: problem, TrialSpec(0, {}), SETTING)
    trained(many)
    assert len(many.told) == 20
    assert "its batches were split" in many.told


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


class Uneven(Curves):
    """Learners with one unit, whose loss is that of a parameter and of the rows that are validated."""

    def __init__(self) -> None:
        super().__init__(lambda params, context: Curve([0.0]))

    def learner(self, params: Params, prepared: Prepared, context: Any) -> Any:
        return Curve([self.loss(params["train.x"], prepared.validation)])

    @staticmethod
    def loss(x: Any, validation: Part) -> float:
        return float(x + 0.2 * np.sin(50 * x + validation.target.mean()))


def swept(problem: Problem, folder: Path, pruner: str) -> list[optuna.trial.FrozenTrial]:
    plan = SweepPlan(
        objective="uneven.py:Uneven",
        space="uneven.py:space",
        study="uneven",
        results=str(folder),
        metrics=("val_loss",),
        directions=("minimize",),
        seed=4,
        trials=25,
        pruner=pruner,
    )
    owner = StudyOwner.open(plan, folder / pruner, line, slots=1, run=Run("r"))
    try:
        run_here(owner, problem, setting_of(plan, problem))
        return owner._parts.study.get_trials()
    finally:
        owner.close()


def test_wilcoxon_compares_folds_and_ends_trials_as_optunas_own_does_on_the_same_scores(tmp_path: Path) -> None:
    problem = open_problem(Uneven(), WINE, seed=4, scheme=Scheme(folds=6))
    ours = swept(problem, tmp_path, "wilcoxon")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(pruner=optuna.pruners.WilcoxonPruner(p_threshold=0.1))
    for trial in ours:
        theirs = study.ask()
        scores = [Uneven.loss(trial.params["train.x"], fold_problem(problem, one).validation) for one in problem.folds]
        for fold, score in enumerate(scores):
            theirs.report(score, fold)
            if fold < 5 and theirs.should_prune():
                study.tell(theirs, state=TrialState.PRUNED)
                break
        else:
            study.tell(theirs, float(np.mean(scores)))
    assert [trial.state for trial in ours] == [trial.state for trial in study.trials]
    assert {trial.state for trial in ours} == {TrialState.COMPLETE, TrialState.PRUNED}
    for trial, other in zip(ours, study.trials, strict=True):
        assert [*trial.intermediate_values.values()] == [*other.intermediate_values.values()], "each fold's own"
        if trial.state is TrialState.COMPLETE:
            assert trial.value == pytest.approx(other.value, abs=1e-12), "and the mean in the end"


def test_other_pruners_go_on_with_the_means_so_far(tmp_path: Path) -> None:
    problem = open_problem(Uneven(), WINE, seed=4, scheme=Scheme(folds=6))
    for trial in swept(problem, tmp_path, "none")[:3]:
        scores = [Uneven.loss(trial.params["train.x"], fold_problem(problem, one).validation) for one in problem.folds]
        means = [float(np.mean(scores[: count + 1])) for count in range(6)]
        assert [*trial.intermediate_values.values()] == pytest.approx(means)
        assert trial.value == pytest.approx(means[-1])


def test_a_resumed_trial_that_reports_its_folds_has_the_mean_of_all_of_them() -> None:
    setting = replace(SETTING, fold_scores=True)
    first = learner(opened(Folding([[0.5], [0.25]])), {}, setting)
    first.fit_epoch()
    first.fit_epoch()
    again = learner(opened(Folding([[0.75]])), {}, setting)
    again.load_state(State({}, first.state().meta))
    again.fit_epoch()
    assert again.evaluate() == {"val_loss": 0.75}
    assert again.means == {"val_loss": 0.5}


@pytest.mark.parametrize("pruner", ["wilcoxon", "wilcoxon:p_threshold=0.2", "patient:wrapped=wilcoxon,patience=1"])
def test_only_pruners_that_compare_folds_are_told_of_each(pruner: str) -> None:
    assert compares_folds(Choice.parse(pruner))
    assert not compares_folds(Choice.parse("patient:wrapped=asha,patience=1"))


def test_an_objective_may_train_its_folds_in_another_way_than_alone() -> None:
    class Whole(Folding):
        def whole(self) -> Folding:
            return Folding([[0.125]])

    problem = opened(Whole([[0.5]]))
    assert run_alone(problem, 0, {}, SETTING).metrics == {"val_loss": 0.125}
