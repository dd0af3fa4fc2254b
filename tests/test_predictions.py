"""What a learner predicts at its best step is kept with its best state, and changes nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC

from objectives.images import Images
from objectives.tabular import Tabular
from search.adopt.estimator_learner import EstimatorLearner
from search.adopt.scorers import scorer_of
from search.choosing import choose
from search.contract import REPLAY, Context, Metric, Params, Part, Prepared, Replay, State, Task
from search.data.scheme import Scheme
from search.data.source import FileSource
from search.engine import TrialRun
from search.evaluation import Evaluation
from search.launch import prepare
from search.local import run_here, setting_of
from search.paths import StudyFolder
from search.problem import Problem, open_problem
from search.session import Setting
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.trial import Ending, Outcome, TrialSpec, Verdict
from search.trialfiles import _digest, decode, encode, evaluation_of
from tests.learners import Curve, Curves
from tests.test_engine import LOSS, NO_SOURCE, Recorder, problem_of
from tests.threads import one_thread

__all__ = ["one_thread"]

LOSSES = (0.5, 0.2, 0.4)


class Shown(Curve):
    """Predicts of every row its loss beside the target, which is the row's number."""

    def predicted(self) -> Any:
        loss = self.losses[self.done - 1]
        return self.targets + loss

    def __init__(self, prepared: Prepared, losses: Any = LOSSES) -> None:
        super().__init__(losses)
        self.targets = np.asarray(prepared.validation.target, float)


class Showing(Curves):
    """An objective whose learners show what they predict."""

    def __init__(self, learner: Any = Shown) -> None:
        super().__init__(lambda params, context: learner(self.handed[-1][1]))


def ran(problem: Problem, session: Recorder, *, resume: bool = False, **setting: Any) -> Outcome:
    made = Setting(seed=0, searched=setting.pop("searched", LOSS), max_epochs=setting.pop("max_epochs", 3), **setting)
    trial = TrialRun(problem, TrialSpec(3, {}), made, session, resume=resume)
    for _ in trial:
        pass
    return trial.outcome


def opened(learner: Any = Shown) -> Problem:
    return open_problem(Showing(learner), NO_SOURCE, seed=0)


def kept(session: Recorder) -> Evaluation | None:
    return session.saved["best"].evaluation


def test_the_predictions_of_the_best_step_are_kept_and_not_those_of_the_last() -> None:
    session, problem = Recorder(), opened()
    outcome = ran(problem, session)
    found = kept(session)
    assert outcome.step == 2
    assert found is not None
    assert found.rows == len(problem.validation.target)
    assert found.residuals == (0.2,) * 7
    assert session.saved["best"].step == 2


def test_a_learner_that_shows_nothing_has_nothing_kept_and_no_note() -> None:
    session = Recorder()
    outcome = ran(problem_of(LOSSES), session)
    assert kept(session) is None
    assert outcome.notes == ()


def test_a_pruned_trial_sums_nothing_up() -> None:
    session = Recorder([Verdict.CONTINUE, Verdict.PRUNE])
    assert ran(opened(), session).ending is Ending.PRUNED
    assert not session.saved


def test_they_survive_a_pause_after_the_best_step() -> None:
    session, problem = Recorder([Verdict.CONTINUE, Verdict.CONTINUE, Verdict.STOP]), opened(Long)
    assert ran(problem, session, max_epochs=5).ending is Ending.PAUSED
    again = Recorder()
    again.saved = {kind: decode(encode(one)) for kind, one in session.saved.items()}  # type: ignore[misc]
    outcome = ran(problem, again, resume=True, max_epochs=5)
    found = kept(again)
    assert (outcome.ending, outcome.step) == (Ending.COMPLETE, 2)
    assert found is not None
    assert found.residuals == (0.2,) * 7


class Long(Shown):
    def __init__(self, prepared: Prepared) -> None:
        super().__init__(prepared, (0.5, 0.2, 0.4, 0.3, 0.3))


class Raising(Shown):
    def predicted(self) -> Any:
        raise KeyError("no such row")


class Ragged(Shown):
    def predicted(self) -> Any:
        return np.ones(3)


class Nan(Shown):
    def predicted(self) -> Any:
        return self.targets * np.nan


class Asking(Shown):
    """Has something of that name that takes an argument."""

    def predicted(self, rows: Any) -> Any:  # type: ignore[override]
        return rows


@pytest.mark.parametrize("learner", [Raising, Ragged, Nan, Asking])
def test_predictions_that_cannot_be_had_cost_a_note_and_nothing_else(learner: Any) -> None:
    session, plain = Recorder(), Recorder()
    outcome, other = ran(opened(learner), session), ran(opened(), plain)
    assert (outcome.ending, outcome.step, outcome.metrics) == (other.ending, other.step, other.metrics)
    assert kept(session) is None
    assert len(outcome.notes) == 1
    assert outcome.notes[0].startswith("its predictions are not kept (")


def test_a_learner_that_is_trained_again_keeps_what_it_predicted() -> None:
    class Trees(Shown):
        def state(self) -> State | Replay:
            return REPLAY

    session = Recorder()
    ran(opened(Trees), session)
    found = kept(session)
    assert found is not None
    assert found.residuals[0] == 0.2


def test_a_checkpoint_whose_evaluation_cannot_be_read_is_one_without() -> None:
    session = Recorder()
    ran(opened(), session)
    arrays, meta = encode(session.saved["best"])
    written = json.loads(meta)
    written["evaluation"]["rows"] = 0
    del written["sha256"]
    again = decode((arrays, json.dumps({**written, "sha256": _digest(arrays, written)})))
    assert again is not None
    assert again.evaluation is None


def test_a_checkpoint_with_an_evaluation_stands_a_round_trip() -> None:
    session = Recorder()
    ran(opened(), session)
    again = decode(encode(session.saved["best"]))
    assert again is not None
    assert again.evaluation == kept(session)


@pytest.mark.parametrize("replicates", [1, 2])
def test_folds_predict_every_row_once_whatever_the_replicates(replicates: int) -> None:
    problem = open_problem(Showing(), NO_SOURCE, seed=0, scheme=Scheme(folds=4))
    session = Recorder()
    ran(problem, session, replicates=replicates, max_epochs=8)
    found = kept(session)
    assert found is not None
    assert found.rows == len(problem.train.target) + len(problem.validation.target) == 80
    assert len(set(found.target)) == 80


def test_folds_that_are_resumed_remember_what_was_predicted() -> None:
    problem = open_problem(Showing(), NO_SOURCE, seed=0, scheme=Scheme(folds=4))
    session = Recorder([Verdict.CONTINUE, Verdict.STOP])
    assert ran(problem, session, max_epochs=8).ending is Ending.PAUSED
    again = Recorder()
    again.saved = {kind: decode(encode(one)) for kind, one in session.saved.items()}  # type: ignore[misc]
    assert ran(problem, again, resume=True, max_epochs=8).ending is Ending.COMPLETE
    found = kept(again)
    assert found is not None
    assert found.rows == 80


@pytest.mark.parametrize("damaged", [None, [{"task": "binary"}, 3]])
def test_folds_of_a_checkpoint_without_readable_evaluations_have_none(damaged: Any) -> None:
    problem = open_problem(Showing(), NO_SOURCE, seed=0, scheme=Scheme(folds=4))
    session = Recorder([Verdict.CONTINUE, Verdict.STOP])
    ran(problem, session, max_epochs=8)
    for one in session.saved.values():
        assert isinstance(one.state, State)
        one.state.meta["evaluations"] = damaged  # type: ignore[index]
    outcome = ran(problem, session, resume=True, max_epochs=8)
    assert outcome.ending is Ending.COMPLETE
    assert kept(session) is None


FAMILIES: list[tuple[Any, str, Mapping[str, Any]]] = [
    *[
        (Tabular(), data, {"model.family": family})
        for family in ("linear", "forest", "boosting", "mlp")
        for data in ("sklearn:wine", "sklearn:diabetes")
    ],
    (Images(), "sklearn:digits", {"model.width": 4, "model.depth": 1}),
]


@pytest.mark.parametrize(("objective", "data", "params"), FAMILIES)
def test_shipped_learners_show_predictions_that_come_to_their_metrics(
    objective: Any, data: str, params: Params
) -> None:
    problem = open_problem(objective, FileSource(data, None, Path()), seed=1)
    session, searched = Recorder(), problem.metrics[0]
    trial = TrialRun(problem, TrialSpec(0, params), Setting(seed=1, searched=searched, max_epochs=2), session)
    for _ in trial:
        pass
    outcome, found = trial.outcome, kept(session)
    assert outcome.ending is Ending.COMPLETE, outcome.text
    assert found is not None
    assert found.rows == len(problem.validation.target)
    same = (
        {"val_loss": "log_loss", "val_accuracy": "accuracy"} if found.classes else {"val_loss": "share", "val_r2": "r2"}
    )
    for metric, measure in same.items():
        assert found.measures[measure].value == pytest.approx(outcome.metrics[metric], rel=1e-9)


class Counting(KNeighborsClassifier):  # type: ignore[misc]
    calls = 0

    def predict_proba(self, rows: Any) -> Any:
        type(self).calls += 1
        return super().predict_proba(rows)


@pytest.mark.parametrize(
    ("estimator", "classes", "names", "shape"),
    [
        (LogisticRegression(), 2, ["accuracy", "neg_log_loss"], (40, 2)),
        (LogisticRegression(), 3, ["neg_log_loss"], (40, 3)),
        (SVC(), 2, ["accuracy"], (40,)),
        (KNeighborsRegressor(), 0, ["r2"], (40,)),
    ],
)
def test_estimators_show_what_they_predict(
    estimator: Any, classes: int, names: list[str], shape: tuple[int, ...]
) -> None:
    learner = estimated(estimator, classes, names)
    scores, predicted = learner.evaluate(), learner.predicted()
    assert set(scores) == {scorer_of(name).metric.name for name in names}
    assert predicted.shape == shape
    if len(shape) == 2:
        assert predicted.sum(axis=1) == pytest.approx(1)
        expected = estimator.predict_proba(learner._validation)
        assert predicted == pytest.approx(expected)


def test_an_estimator_predicts_once_for_its_scores_and_what_it_shows() -> None:
    Counting.calls = 0
    learner = estimated(Counting(), 2, ["neg_log_loss", "neg_brier_score"])
    learner.evaluate()
    learner.predicted()
    assert Counting.calls == 1


def estimated(estimator: Any, classes: int, names: list[str]) -> EstimatorLearner:
    dice = np.random.default_rng(0)
    features = dice.normal(size=(80, 3))
    target = np.arange(80) % classes if classes else features[:, 0]
    part = [Part(features[rows], target[rows]) for rows in (slice(0, 40), slice(40, 80))]
    task = Task.MULTICLASS if classes else Task.REGRESSION
    context = Context(task=task, classes=tuple(str(one) for one in range(classes)))
    learner = EstimatorLearner(estimator, [scorer_of(name) for name in names], Prepared(*part), context, whole=True)
    learner.fit_epoch()
    return learner


BODY = """
from search.contract import Metric
from objectives.tabular import Tabular

def space(trial):
    trial.suggest_categorical("model.family", ["linear", "boosting"])
    trial.suggest_float("model.l2", 1e-4, 1.0, log=True)
    trial.suggest_float("model.shrinkage", 0.4, 0.9)
    trial.suggest_categorical("preprocess.scale", ["standard", "none"])

class Plain(Tabular):
    space = staticmethod(space)

class Silent(Plain):
    def learner(self, params, prepared, context):
        made = super().learner(params, prepared, context)
        made.predicted = None
        return made
"""


def swept(folder: Path, name: str) -> tuple[list[Any], StudyFolder]:
    """Sweep in this process; return what is stored, its times apart, and the folder."""
    path = folder / "problem.py"
    path.write_text(BODY)
    given = {"seed": 3, "trials": 6, "max-epochs": 4, "study": name.lower(), "data": "sklearn:wine", "pruner": "asha"}
    launch = prepare(f"{path}:{name}", choose(given), results=folder / "results", folder=folder)
    launch.folder.root.mkdir(parents=True)
    owner = StudyOwner.open(launch.plan, launch.folder.root, launch.loaded_space.value, slots=1, run=Run("r"))
    try:
        run_here(owner, launch.problem, setting_of(launch.plan, launch.problem), launch.folder.root)
        trials = owner._parts.study.get_trials()
    finally:
        owner.close()
    return [(one.number, one.state, one.params, one.values, one.intermediate_values) for one in trials], launch.folder


def test_a_study_comes_to_the_same_whether_its_learners_show_what_they_predict_or_not(tmp_path: Path) -> None:
    shown, folder = swept(tmp_path, "Plain")
    silent, quiet = swept(tmp_path, "Silent")
    assert shown == silent
    best = min((one for one in shown if one[1].name == "COMPLETE"), key=lambda one: one[3][0])[0]
    found = evaluation_of(folder, best)
    assert found is not None
    assert found.task == "multiclass"
    assert sum(map(sum, found.confusion)) == found.rows
    assert evaluation_of(quiet, best) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"evaluation": 3}', '{"evaluation": {"task": "binary"}}', "\xff"])
def test_an_evaluation_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    folder = StudyFolder(tmp_path)
    assert evaluation_of(folder, 0) is None
    folder.trial(0).checkpoint.mkdir(parents=True)
    (folder.trial(0).checkpoint / "best.json").write_bytes(text.encode("latin-1"))
    assert evaluation_of(folder, 0) is None


def test_what_is_searched_may_be_maximized() -> None:
    session = Recorder()
    ran(opened(), session, searched=Metric("val_loss", "maximize"))
    found = kept(session)
    assert found is not None
    assert found.residuals[0] == 0.5
