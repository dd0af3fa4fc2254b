"""An estimator of scikit-learn's and a space beside it run as they are."""

from __future__ import annotations

import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    BaggingRegressor,
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from search.adopt.estimator_learner import EstimatorLearner, growth_of
from search.adopt.estimator_params import with_params
from search.adopt.scorers import measure, scorer_of
from search.choosing import choose
from search.contract import Context, Part, Prepared, Task
from search.errors import FailReason, InputError
from search.folds import fold_problem
from search.launch import Launch, prepare
from search.local import run_alone, run_here, setting_of
from search.study.owner import StudyOwner
from search.study.runs import Run
from search.trial import Ending
from tests.threads import one_thread

__all__ = ["one_thread"]

FOREST = """
from sklearn.ensemble import RandomForestClassifier

model = RandomForestClassifier()

def space(trial):
    trial.suggest_int("max_depth", 2, 20)
    trial.suggest_int("n_estimators", 4, 12)
    trial.suggest_categorical("criterion", ["gini", "entropy"])
"""
PIPELINE = """
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

scaler = StandardScaler()  # no objective: it predicts nothing
encoder = make_column_transformer(
    (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")), remainder=scaler
)
model = Pipeline([("prepare", encoder), ("clf", LogisticRegression(max_iter=500))])

def model_space(trial):
    trial.suggest_float("clf.C", 0.01, 10, log=True)

def other(trial):
    trial.suggest_float("clf__C", 1, 2)
"""


def launched(folder: Path, body: str, name: str = "", **flags: Any) -> Launch:
    (folder / "mine.py").write_text(body)
    given = {"data": "sklearn:breast_cancer", "seed": 0, "study": "s", "max-epochs": 4, "cache": "none"}
    given |= {flag.replace("_", "-"): value for flag, value in flags.items()}
    return prepare(f"mine.py{name}", choose(given), results=folder / "results", folder=folder)


def swept(launch: Launch) -> list[Any]:
    """Run a sweep in this process, and return its trials."""
    plan, space = launch.plan, launch.loaded_space.value
    owner = StudyOwner.open(plan, launch.folder.root, space, slots=1, run=Run("r"))
    try:
        run_here(owner, launch.problem, setting_of(plan, launch.problem))
        return owner._parts.study.get_trials()
    finally:
        owner.close()


def test_a_forest_and_its_space_are_searched_as_they_are(tmp_path: Path, one_thread: None) -> None:
    launch = launched(tmp_path, FOREST, trials=3, pruner="none")
    assert (launch.plan.metrics, launch.plan.directions) == (("val_accuracy",), ("maximize",))
    assert set(launch.baseline) == {"val_accuracy", "val_log_loss"}
    trials = swept(launch)
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 3
    for trial in trials:
        assert trial.value > launch.baseline["val_accuracy"]
        assert trial.user_attrs["val_log_loss"] > 0
        again = run_alone(launch.problem, trial.number, trial.params, setting_of(launch.plan, launch.problem))
        assert again.metrics["val_accuracy"] == trial.value, "random_state=None is seeded by the trial"


def test_a_class_is_made_without_arguments(tmp_path: Path) -> None:
    space = "def space(trial):\n    trial.suggest_float('var_smoothing', 0.1, 1)\n"
    body = f"from sklearn.naive_bayes import GaussianNB\n{space}"
    launch = launched(tmp_path, body, ":GaussianNB", metric=("roc_auc",))
    assert run_alone(launch.problem, 0, {"var_smoothing": 0.1}, setting_of(launch.plan, launch.problem)).metrics


def test_a_pipeline_gets_text_as_it_is_and_each_fold_is_fitted_whole(tmp_path: Path, one_thread: None) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.normal(size=120), "city": rng.choice(["Rome", "Oslo", "Lima"], 120)})
    frame["ill"] = np.where(frame["size"] + (frame["city"] == "Oslo") > 0.4, "yes", "no")
    frame.to_csv(tmp_path / "c.csv", index=False)
    data = {"data": "c.csv", "target": "ill"}
    given = {"trials": 2, "folds": 3, "pruner": "none", **data}
    launch = launched(tmp_path, PIPELINE, ":model", metric=("neg_log_loss",), **given)
    assert launch.plan.metrics == ("val_log_loss",)
    assert launch.plan.directions == ("minimize",)
    assert launch.loaded_space.value.__name__ == "model_space"
    for trial in swept(launch):
        assert trial.state.name == "COMPLETE"
        assert 0 < trial.value < launch.baseline["val_log_loss"]
        assert len(trial.intermediate_values) == 3


def with_a_rare_class(folder: Path) -> None:
    """Write a table of three classes, the last of which has one row, in the last group."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(90, 2)), columns=["p", "q"])
    frame["y"] = np.where(frame["p"] > 0, "a", "b")
    frame.loc[50, "y"] = "c"
    frame.to_csv(folder / "rare.csv", index=False)


LOGISTIC = """
from sklearn.linear_model import LogisticRegression

model = LogisticRegression()

def space(trial):
    trial.suggest_float("C", 0.1, 10)
"""


@pytest.mark.parametrize("metric", ["neg_log_loss", "neg_brier_score", "top_k_accuracy"])
def test_a_class_too_rare_for_each_fold_has_no_probability_where_it_was_not_seen(
    metric: str, tmp_path: Path, one_thread: None
) -> None:
    with_a_rare_class(tmp_path)
    launch = launched(tmp_path, LOGISTIC, trials=1, folds=3, metric=(metric,), data="rare.csv", target="y")
    assert len(launch.problem.classes) == 3
    assert all(np.isfinite(value) for value in launch.baseline.values())
    (trial,) = swept(launch)
    assert trial.state.name == "COMPLETE"
    assert trial.user_attrs["val_log_loss"] > 0.4, "one row in 24 has a probability of 0 in one fold of 3"


def test_a_metric_without_a_value_where_a_class_is_missing_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with_a_rare_class(tmp_path)
    with pytest.raises(InputError, match="roc_auc_ovr is not defined on validation rows without some class"):
        launched(tmp_path, LOGISTIC, folds=3, metric=("roc_auc_ovr",), data="rare.csv", target="y")


@pytest.mark.parametrize("name", [one for one in get_scorer_names() if get_scorer(one)._response_method != "predict"])
@pytest.mark.parametrize("classes", [2, 3])
def test_where_all_classes_are_seen_a_scorer_is_scikit_learns(name: str, classes: int) -> None:
    if (classes, name) in ((3, "roc_auc"), (2, "top_k_accuracy")):
        return  # which is for two classes alone, or for more
    features, target = load_wine(return_X_y=True)
    features, target = features[target < classes][:, :2], target[target < classes]
    model = LogisticRegression().fit(features[::2], target[::2])
    scorer = scorer_of(name)
    found = measure([scorer], model, features, target, classes)[scorer.metric.name]
    assert scorer.sign * found == get_scorer(name)(model, features, target)


def parts(task: Task) -> Prepared:
    features, target = (load_diabetes if task is Task.REGRESSION else load_breast_cancer)(return_X_y=True)
    features = StandardScaler().fit_transform(features)
    return Prepared(Part(features[:250], target[:250]), Part(features[250:400], target[250:400]))


GROWING: dict[str, tuple[Any, Task, list[int]]] = {
    "forest": (RandomForestClassifier(n_estimators=10), Task.BINARY, [2, 5, 8, 10]),
    "extra trees": (ExtraTreesRegressor(n_estimators=3), Task.REGRESSION, [1, 2, 3]),
    "boosting": (GradientBoostingRegressor(n_estimators=8), Task.REGRESSION, [2, 4, 6, 8]),
    "histogram boosting": (HistGradientBoostingClassifier(max_iter=8), Task.BINARY, [2, 4, 6, 8]),
    "bagging": (BaggingRegressor(n_estimators=4), Task.REGRESSION, [1, 2, 3, 4]),
    "behind a step": (
        make_pipeline(PCA(3, random_state=0), RandomForestClassifier(n_estimators=4)),
        Task.BINARY,
        [1, 2, 3, 4],
    ),
}


def trained(estimator: Any, task: Task, *, whole: bool) -> list[Mapping[str, float]]:
    names = ("neg_log_loss", "accuracy") if task.is_classification else ("r2", "neg_root_mean_squared_error")
    context = Context(max_epochs=4, task=task, classes=("a", "b") if task.is_classification else ())
    made = with_params(estimator, {}, seed=5)
    learner = EstimatorLearner(made, [*map(scorer_of, names)], parts(task), context, whole=whole)
    scores = []
    for _ in range(learner.budget):
        learner.fit_epoch()
        scores.append(learner.evaluate())
    return scores


@pytest.mark.parametrize("name", GROWING)
def test_what_grows_to_its_end_is_what_fit_makes(name: str, one_thread: None) -> None:
    estimator, task, sizes = GROWING[name]
    growth = growth_of(estimator[-1] if name == "behind a step" else estimator, 250, 4)
    assert growth is not None
    assert [*growth.sizes] == sizes
    grown, at_once = trained(estimator, task, whole=False), trained(estimator, task, whole=True)
    assert (len(grown), len(at_once)) == (len(sizes), 1)
    assert grown[-1] == pytest.approx(at_once[0], abs=1e-12)
    assert grown[0] != pytest.approx(grown[-1])


@pytest.mark.parametrize("estimator", [SGDClassifier(loss="log_loss"), MLPClassifier((4,)), SGDRegressor()], ids=repr)
def test_partial_fit_is_an_epoch_a_step(estimator: Any, one_thread: None) -> None:
    task = Task.REGRESSION if isinstance(estimator, SGDRegressor) else Task.BINARY
    scores = trained(estimator, task, whole=False)
    assert len(scores) == 4
    assert scores[0] != scores[-1]
    assert len(trained(estimator.set_params(max_iter=2), task, whole=False)) == 2


class Sighted(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Keeps the order in which each `partial_fit` takes its rows, seeded as scikit-learn's own learners are."""

    def __init__(self, max_iter: int = 3, random_state: Any = None) -> None:
        self.max_iter = max_iter
        self.random_state = random_state

    def partial_fit(self, features: Any, target: Any, classes: Any = None) -> Sighted:
        self.classes_ = classes
        order = tuple(check_random_state(self.random_state).permutation(len(target)))
        self.orders_ = [*getattr(self, "orders_", []), order]
        return self


@pytest.mark.parametrize("seed", [None, 3, np.int64(3), np.random.RandomState(3)], ids=str)
def test_each_epoch_takes_the_rows_in_an_order_of_its_own_and_a_repeat_in_the_same(seed: Any) -> None:
    context = Context(max_epochs=3, task=Task.BINARY, classes=("a", "b"))
    own, seen = Sighted(random_state=seed), []
    for _ in range(2):
        made = with_params(make_pipeline(PCA(2), own), {}, seed=5)
        learner = EstimatorLearner(made, [scorer_of("accuracy")], parts(Task.BINARY), context, whole=False)
        for _ in range(learner.budget):
            learner.fit_epoch()
        seen.append(learner._estimator.orders_)
    assert len(set(seen[0])) == 3
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    "estimator",
    [
        GaussianNB(),  # whose partial_fit counts rows twice in a second pass
        LogisticRegression(warm_start=True),  # whose solver would begin anew
        GradientBoostingRegressor(n_iter_no_change=3),
        HistGradientBoostingClassifier(early_stopping=True),
        MLPClassifier(early_stopping=True),
        RandomForestClassifier(oob_score=True),
        RandomForestClassifier(class_weight="balanced"),
    ],
    ids=repr,
)
def test_what_would_come_to_something_else_is_trained_at_once(estimator: Any) -> None:
    assert growth_of(estimator, 250, 4) is None


def test_a_fold_of_what_grows_is_fitted_whole(tmp_path: Path) -> None:
    problem = launched(tmp_path, FOREST, folds=3).problem
    context = Context(max_epochs=4, task=problem.task, classes=problem.classes)
    rows = Prepared(problem.train, problem.validation)
    assert problem.stages.learner({}, rows, context).budget == 4  # type: ignore[union-attr, arg-type]
    assert fold_problem(problem, problem.folds[0]).stages.learner({}, rows, context).budget == 1  # type: ignore[union-attr, arg-type]


def test_a_search_of_a_growing_estimator_is_pruned_between_its_steps(tmp_path: Path, one_thread: None) -> None:
    trials = swept(launched(tmp_path, FOREST, trials=9, pruner="median:n_startup_trials=2", patience=0))
    assert {trial.state.name for trial in trials} == {"COMPLETE", "PRUNED"}
    assert all(len(trial.intermediate_values) == 4 for trial in trials if trial.state.name == "COMPLETE")


@pytest.mark.parametrize("name", get_scorer_names())
def test_every_scorer_is_found_by_its_own_name_and_by_its_metrics(name: str) -> None:
    scorer = scorer_of(name)
    assert scorer.name == name
    assert scorer_of(scorer.metric.name) == scorer
    assert scorer.sign == get_scorer(name)._sign


def test_a_metric_has_its_natural_sign() -> None:
    scores = trained(RandomForestClassifier(n_estimators=4), Task.BINARY, whole=True)[0]
    assert scores["val_log_loss"] > 0
    assert 0 < scores["val_accuracy"] <= 1


def test_seeds_and_threads_are_set_where_the_user_has_set_none() -> None:
    pipeline = make_pipeline(StandardScaler(), RandomForestClassifier())
    made = with_params(pipeline, {"randomforestclassifier.max_depth": 3}, seed=7, threads=2)
    forest = made[-1]
    assert (forest.random_state, forest.n_jobs, forest.max_depth) == (7, 2, 3)
    own = RandomForestClassifier(random_state=1, n_jobs=1)
    kept = with_params(own, {"model.max_depth": 2}, seed=7, threads=2)
    assert (kept.random_state, kept.n_jobs, kept.max_depth) == (1, 1, 2)


SVM = "from sklearn.svm import SVC\nmodel = SVC()\ndef space(trial):\n    trial.suggest_float('C', 0.1, 1)\n"
NO_FIT = """
class Model:
    def get_params(self, deep=True): return {}
    def set_params(self): ...
    def predict(self): ...

model = Model()

def space(trial):
    trial.suggest_int("x", 0, 1)
"""
WRONG: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "no such metric": (FOREST, "", {"metric": ("roc_acu",)}, "no scorer 'roc_acu'; did you mean 'roc_auc'"),
    "a metric twice": (FOREST, "", {"metric": ("roc_auc", "val_roc_auc")}, "--metric roc_auc is given twice"),
    "no such parameter": (
        FOREST.replace("max_depth", "max_dept"),
        "",
        {},
        "no parameter 'max_dept'; did you mean 'max_depth'",
    ),
    "no probabilities": (SVM, "", {"metric": ("neg_log_loss",)}, "neg_log_loss needs predict_proba, which SVC lacks"),
    "another target": (
        SVM,
        "",
        {"data": "sklearn:diabetes"},
        "SVC is a classifier, and the target of sklearn:diabetes is num",
    ),
    "another metric": (
        FOREST,
        "",
        {"data": "sklearn:wine", "metric": ("roc_auc",)},
        "roc_auc cannot score this target",
    ),
    "no fit": (NO_FIT, ":model", {}, "Model has no fit"),
    "no space": (SVM.replace("trial", "n"), "", {}, "holds no search space for model"),
    "two spaces": (PIPELINE.replace("model_space", "one"), ":model", {}, "holds 2 search spaces (one, other)"),
    "suggests nothing": (
        SVM.replace("trial.suggest_float('C', 0.1, 1)", "pass"),
        "",
        {},
        "the space suggests no parameter",
    ),
    "no data": (SVM, "", {"data": None}, "SVC brings no data; give --data FILE --target COLUMN"),
    "text": (
        FOREST,
        "",
        {"data": "t.csv", "target": "y"},
        "takes no text, as in column 'city'; put it into a Pipeline",
    ),
    "gaps": (SVM, "", {"data": "g.csv", "target": "y"}, "SVC takes no missing values, as in column 'a'"),
    "no such group": (FOREST, "", {"data": "g.csv", "target": "y", "split": "group:b"}, "no feature column 'b'"),
    "a stage's parameter": (SVM.replace("'C'", "'preprocess.C'"), "", {}, "write preprocess__C"),
    "more folds than rows": (SVM, "", {"folds": 500}, "--folds"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_in_a_sentence_before_anything_runs(case: str, tmp_path: Path) -> None:
    body, name, flags, said = WRONG[case]
    numbers = np.arange(40.0)
    y = np.where(numbers % 2, "p", "q")
    pd.DataFrame({"city": np.where(numbers > 20, "Rome", "Oslo"), "a": numbers, "y": y}).to_csv(tmp_path / "t.csv")
    pd.DataFrame({"a": np.where(numbers == 3, np.nan, numbers * 1.5), "y": y}).to_csv(tmp_path / "g.csv", index=False)
    with pytest.raises(InputError) as fault:
        launched(tmp_path, body, name, **flags)
    assert said in fault.value.sentence()
    assert len(fault.value.sentence()) <= 200


def test_an_estimator_takes_gaps_that_it_says_it_takes(tmp_path: Path) -> None:
    numbers = np.arange(40.0)
    frame = pd.DataFrame({"a": np.where(numbers == 3, np.nan, numbers), "y": np.where(numbers % 2, "p", "q")})
    frame.to_csv(tmp_path / "g.csv", index=False)
    assert launched(tmp_path, FOREST, data="g.csv", target="y").baseline


def test_a_value_that_the_estimator_refuses_fails_its_trial(tmp_path: Path) -> None:
    launch = launched(tmp_path, SVM)
    outcome = run_alone(launch.problem, 0, {"C": -1.0}, setting_of(launch.plan, launch.problem))
    assert (outcome.ending, outcome.reason) == (Ending.FAIL, FailReason.EXCEPTION)
    assert "'C' parameter of SVC" in outcome.text


DOCS = (Path(__file__).resolve().parents[2] / "docs" / "sklearn.md").read_text(encoding="utf-8")
FILE, CODE = re.findall(r"^```python\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)


def test_the_file_of_the_docs_is_swept_as_it_is(tmp_path: Path, one_thread: None) -> None:
    launch = launched(tmp_path, FILE, ":model", trials=2, metric=("roc_auc",), folds=3, pruner="wilcoxon")
    assert launch.plan.metrics == ("val_roc_auc",)
    assert all(trial.value > 0.9 for trial in swept(launch))


def test_the_code_of_the_docs_searches(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(CODE)
    search = runpy.run_path(str(tmp_path / "code.py"))["search"]
    assert search.best_score_ > 0.9
    assert {trial.state.name for trial in search.study_.trials} == {"COMPLETE", "PRUNED"}
